"""Reading a Zarr store by its manifest only."""

import asyncio
import pathlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from dlcore.engine.manifest import Manifest, verified


class VerifiedStore(WrapperStore[Store]):
    """A Zarr store on disk that gives only what its manifest lists, and that only as it was written."""

    def __init__(self, store: Store, folder: pathlib.Path, manifest: Manifest) -> None:
        super().__init__(store)
        self._folder, self._manifest = folder, manifest

    @classmethod
    def at(cls, folder: pathlib.Path, manifest: Manifest) -> "VerifiedStore":
        """The store in a folder."""
        return cls(LocalStore(folder, read_only=True), folder, manifest)

    def _with_store(self, store: Store) -> "VerifiedStore":
        return type(self)(store, self._folder, self._manifest)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The file of that name; None where the chunk has the fill value throughout and so has no file."""
        if key not in self._manifest.files:
            return None
        assert byte_range is None  # only shards are read in parts, and save writes none
        content = await asyncio.to_thread(verified, self._folder, self._manifest, key)
        return prototype.buffer.from_bytes(content)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Several files."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def _get_many(self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]) -> Any:
        for key, prototype, byte_range in requests:
            yield key, await self.get(key, prototype, byte_range)

    async def exists(self, key: str) -> bool:
        """Whether the manifest lists it."""
        return key in self._manifest.files

    async def is_empty(self, prefix: str) -> bool:
        """Whether nothing below `prefix` is listed."""
        return not any(key.startswith(prefix) for key in self._manifest.files)

    async def list(self) -> AsyncIterator[str]:
        """All files."""
        for key in self._manifest.files:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Files whose path begins with `prefix`."""
        for key in self._manifest.files:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names of files and folders in a folder."""
        folder = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        names = {key.removeprefix(folder).split("/")[0] for key in self._manifest.files if key.startswith(folder)}
        for name in sorted(names):
            yield name

    async def getsize(self, key: str) -> int:
        """Bytes of a file."""
        return self._manifest.files[key][0]
