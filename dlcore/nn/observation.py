"""Watching the layers of Flax NNX modules while they are called: for summaries, and to name the layer that fails."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from flax import nnx

# observer(path, layer, call, inputs): stands in for `call()`, the layer's own call, and returns what the layer shall.
Observer = Callable[[str, nnx.Module, Callable[[], Any], tuple], Any]
# check(path, layer, inputs, options) of a call with these positional and keyword arguments; may raise.
Check = Callable[[str, nnx.Module, tuple, dict[str, Any]], None]

_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)
_prefix: ContextVar[str] = ContextVar("prefix", default="")
_lock = threading.RLock()


@contextlib.contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Within the context, each call of a layer of any model made by `from_nnx` goes through the observer."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


@contextlib.contextmanager
def within(part: str) -> Iterator[None]:
    """Within the context, paths of layers begin with `part`: for models that are put together from models."""
    token = _prefix.set(f"{_prefix.get()}{part}.")
    try:
        yield
    finally:
        _prefix.reset(token)


@contextlib.contextmanager
def watched(root: nnx.Module, check: Check | None = None) -> Iterator[None]:
    """Show the calls of the layers of `root` to the observer, if there is one; `check` sees each beforehand."""
    observer = _observer.get()
    if observer is None and check is None:
        yield
        return
    found = list(nnx.iter_modules(root))
    layers = {id(layer): (".".join(map(str, path)), layer) for path, layer in found}
    kinds = {type(layer) for _, layer in layers.values() if callable(layer)}
    originals = {kind: kind.__call__ for kind in kinds}
    own = {kind for kind in kinds if "__call__" in vars(kind)}

    def through_observer(original):
        @functools.wraps(original)
        def call(layer, *args, **kwargs):
            run = functools.partial(original, layer, *args, **kwargs)
            path, known = layers.get(id(layer), ("", None))
            if known is not layer:
                return run()
            if check is not None:
                check(_prefix.get() + path, layer, args, kwargs)
            return observer(_prefix.get() + path, layer, run, args) if observer is not None and path else run()

        return call

    with _lock:  # Python looks `__call__` up on the class, so the class is changed for the while
        try:
            for kind, original in originals.items():
                setattr(kind, "__call__", through_observer(original))  # noqa: B010
            yield
        finally:
            for kind, original in originals.items():
                if kind in own:
                    setattr(kind, "__call__", original)  # noqa: B010
                else:
                    delattr(kind, "__call__")


def failing_layer(root: nnx.Module, call: Callable[[], Any]) -> tuple[str, nnx.Module, Any] | None:
    """Path, layer and inputs of the innermost layer of `root` in which `call()` raises a `TypeError` or `ValueError`;
    None if it is in none.
    """
    found: list[tuple[str, nnx.Module, Any]] = []

    def observer(path, layer, run, inputs):
        try:
            return run()
        except (TypeError, ValueError):
            found.append((path, layer, inputs))
            raise

    with observing(observer), watched(root), contextlib.suppress(TypeError, ValueError):
        call()
    return found[0] if found else None
