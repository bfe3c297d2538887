"""A study packed for other processes: its code by cloudpickle, its arrays once, by content, in the store's folder."""

import contextlib
import functools
import hashlib
import io
import pathlib
import pickle
import platform
import secrets
import socket
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import cloudpickle
import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
from jax.core import Tracer

from dlcore.core.errors import ArgumentError, DataError
from dlcore.engine.axes import Study
from dlcore.engine.distributed.unpicklable import in_the_way
from dlcore.engine.dtypes import digest
from dlcore.engine.durable import constants, parts
from dlcore.engine.folders import unwritable
from dlcore.engine.labels import name_of

CODE = "code"  # folder of a store: pickles of the calls that run
INLINE = 1024  # most bytes of an array that stands in the pickle
KEPT = 4  # payloads that a process keeps unpacked

_lock = threading.RLock()
_arrays: WeakValueDictionary[tuple[str, str], np.ndarray] = WeakValueDictionary()
_unpacked: OrderedDict[tuple[str, str], tuple[Study, Any]] = OrderedDict()


class Payload(NamedTuple):
    """What every block carries of its study: where it lies in the folder.

    sha256: of the pickle. name: of its file in `CODE`. versions: of what has to be alike where it is unpacked.
    """

    sha256: str
    name: str
    versions: Mapping[str, str]


def packed(study: Study, options: Any, folder: pathlib.Path) -> Payload:
    """Pickle the user's function and axes; arrays of more than `INLINE` bytes are written to the folder, once each.

    Raises:
      ArgumentError: something cannot be pickled; the message names it. And what `parts.commit` raises.
    """
    stream = io.BytesIO()
    content = (Study(study.fn, study.dims), options)  # a new one, without what the study has computed of itself
    try:
        _Pickler(stream, folder).dump(content)
    except ArgumentError:
        raise
    except Exception as error:  # pickling runs the user's own __reduce__ and __getstate__
        raise _unpicklable(study, options, error) from error
    data = stream.getvalue()
    sha256 = hashlib.sha256(data).hexdigest()
    name = secrets.token_hex(16)  # another call, which packs the same, ends at another time
    _make_folder(folder / CODE)
    parts.commit_text(folder / CODE / name, data)
    return Payload(sha256, name, _versions())


def forget_code(payload: Payload, folder: pathlib.Path) -> None:
    """Remove what `packed` wrote for the workers of one call, when none of them will begin."""
    with contextlib.suppress(OSError):  # a folder that is gone, or read-only by now
        (folder / CODE / payload.name).unlink()


def _unpicklable(study: Study, options: Any, error: Exception) -> ArgumentError:
    name = name_of(study.fn)
    found = in_the_way(study.fn, name, _pickles) or in_the_way((study.dims, options), "the study", _pickles)
    what, reason = found or ("the study", str(error))
    return ArgumentError(
        f"{name} cannot be sent to a worker: {what} cannot be pickled ({reason}). Make it inside the function, or pass "
        "what it is made from."
    )


def unpacked(payload: Payload, folder: pathlib.Path) -> tuple[Study, Any]:
    """The study and its options, as `packed` got them; the same objects as long as this process keeps them.

    NumPy arrays are read-only, and shared by all payloads of the process.

    Raises:
      ArgumentError: other versions of Python or JAX; a module that is not installed here.
      DataError: the folder or a file is not there; bytes that are not what was packed.
    """
    key = (str(folder), payload.sha256)
    with _lock:
        if key not in _unpacked:
            _unpacked[key] = _loaded(payload, folder)
        _unpacked.move_to_end(key)
        while len(_unpacked) > KEPT:
            _unpacked.popitem(last=False)
        return _unpacked[key]


def forget_payloads() -> None:
    """Drop what this process has unpacked."""
    with _lock:
        _unpacked.clear()


def _loaded(payload: Payload, folder: pathlib.Path) -> tuple[Study, Any]:
    where = f"the worker on {socket.gethostname()}"
    for name, version in _versions().items():
        if payload.versions.get(name) != version:
            raise ArgumentError(
                f"{where} has {name} {version}, the study comes from {name} {payload.versions.get(name)}; expects the "
                "same. Start the workers from the same environment."
            )
    if not (folder / CODE / payload.name).exists():
        raise _unseen(folder)
    data = parts.read_bytes(folder / CODE / payload.name)
    if hashlib.sha256(data).hexdigest() != payload.sha256:  # before anything is unpickled
        raise DataError("a study that reached a worker is not what was sent: its SHA-256 differs. Call sweep again.")
    try:
        return _Unpickler(io.BytesIO(data), folder).load()
    except (ImportError, AttributeError) as error:
        module = f", or pickle it with the study: cloudpickle.register_pickle_by_value({error.name})" * bool(error.name)
        raise ArgumentError(
            f"{where} cannot rebuild the study: {error}. Make the module importable there (install it, or set "
            f"PYTHONPATH){module}."
        ) from error


def _versions() -> dict[str, str]:
    """What code and programs depend on; bytecode does on the minor version of Python."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, "jax": jax.__version__, "jaxlib": jaxlib.__version__}


class _Pickler(cloudpickle.Pickler):
    """folder: where large arrays go; None: they are left out, to see whether the rest pickles."""

    def __init__(self, stream: io.BytesIO, folder: pathlib.Path | None):
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._folder = folder
        self._written: dict[int, tuple[str, np.ndarray]] = {}  # id of an array to its digest; holding it keeps the id

    def persistent_id(self, obj: Any) -> str | None:
        if type(obj) is not np.ndarray or obj.nbytes <= INLINE or not _is_numbers(obj.dtype):
            return None
        if id(obj) not in self._written:
            if self._folder:
                _make_folder(self._folder / constants.FOLDER)
            self._written[id(obj)] = constants.keep(self._folder, obj) if self._folder else "", obj
        return self._written[id(obj)][0]

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, jax.Array) and not isinstance(obj, Tracer):
            return _reduced(obj)
        if isinstance(obj, functools._lru_cache_wrapper) and _is_unknown_elsewhere(obj):
            return _cached, (obj.__wrapped__, obj.cache_parameters())
        return super().reducer_override(obj)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, folder: pathlib.Path):
        super().__init__(stream)
        self._folder = folder

    def persistent_load(self, pid: str) -> np.ndarray:
        key = (str(self._folder), pid)
        if (array := _arrays.get(key)) is None:
            array = np.asarray(constants.kept(self._folder, pid))
            if digest(array) != pid:
                file = self._folder / constants.FOLDER / f"{pid}.npz"
                raise DataError(f"{str(file)!r} is not what its name says. Remove it, and call sweep again.")
            array.flags.writeable = False
            _arrays[key] = array
        return array


def _is_numbers(dtype: np.dtype) -> bool:
    return dtype.kind in "biufc" or (jnp.issubdtype(dtype, np.number) and dtype.fields is None)


def _reduced(array: jax.Array) -> tuple[Any, tuple[Any, ...]]:
    """A JAX array as a NumPy array and what that lacks; keys as their data."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return _key, (jax.random.key_data(array), jax.random.key_impl(array))
    if not array.is_fully_addressable:
        raise ArgumentError(
            f"a JAX array {array.dtype}{list(array.shape)} lies on devices of several processes; expects arrays that "
            "this process holds. Use jax.experimental.multihost_utils.process_allgather."
        )
    return _array, (np.asarray(array), bool(array.weak_type))


def _array(values: np.ndarray, weak: bool) -> jax.Array:
    strong = jnp.asarray(values)
    if not weak:
        return strong
    zero = np.zeros((), values.dtype).item()  # a Python number, which makes a weak array
    return jnp.full(strong.shape, zero).at[...].set(strong)


def _key(data: jax.Array, implementation: Any) -> jax.Array:
    return jax.random.wrap_key_data(data, impl=implementation)


def _is_unknown_elsewhere(function: Any) -> bool:
    """Whether another process does not find a function by its name; cloudpickle looks only at plain functions."""
    by_value = {"__main__", *cloudpickle.list_registry_pickle_by_value()}
    return "<locals>" in function.__qualname__ or function.__module__ in by_value


def _cached(function: Any, parameters: Mapping[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _pickles(obj: Any) -> str | None:
    """Why an object does not pickle, or None."""
    try:
        _Pickler(io.BytesIO(), None).dump(obj)
    except Exception as error:  # see `packed`
        return next(iter(str(error).splitlines()), "") or type(error).__name__
    return None


def _make_folder(folder: pathlib.Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(str(folder), error) from None


def _unseen(folder: pathlib.Path) -> DataError:
    return DataError(
        f"the worker on {socket.gethostname()} does not see the store {str(folder)!r} as it is where sweep was called; "
        "expects a disk that all workers share, under one path."
    )
