"""What the tests of data share: files written in the formats users have, and the folder of real ones."""

import gzip
import io
import os
import pathlib
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from dlcore.data.read.files import cache_folder

REPOSITORY = pathlib.Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory, monkeypatch):
    """Each test has a cache of its own."""
    monkeypatch.setenv("DLCORE_CACHE", str(tmp_path_factory.mktemp("cache")))


def shared_data() -> pathlib.Path | None:
    """The folder of real files: DLCORE_DATA, ../shared/data, or the user's cache; None if there is none."""
    given = os.environ.get("DLCORE_DATA")
    candidates = [pathlib.Path(given)] if given else []
    candidates += [REPOSITORY.parent / "shared" / "data", cache_folder() / "data"]
    return next((folder for folder in candidates if (folder / "orl-faces.zip").exists()), None)


def needs_shared_data() -> pathlib.Path:
    """The folder, or a skipped test."""
    folder = shared_data()
    if folder is None:
        pytest.skip("the shared data files are not here: set DLCORE_DATA, or put them in ../shared/data")
    return folder


def idx_bytes(array: np.ndarray) -> bytes:
    code = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}[array.dtype.name]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path: pathlib.Path, data: bytes | str, *, packed: bool = False) -> pathlib.Path:
    data = data.encode() if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def png(array: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind)
    return stream.getvalue()


def zip_bytes(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return stream.getvalue()


def tar_bytes(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def pictures(count: int = 3, shape: tuple[int, ...] = (5, 4), seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8))


def image_members(shape: tuple[int, ...] = (5, 4)) -> tuple[dict[str, bytes], np.ndarray]:
    """Six PNG files of two classes by name, and their pixels in order."""
    images = pictures(6, shape)
    names = [f"{label}/{number}.png" for label in ("cat", "dog") for number in (1, 2, 10)]
    return {name: png(image) for name, image in zip(names, images, strict=True)}, np.stack(images)
