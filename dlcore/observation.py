"""Watching the layers of a Flax NNX module while it is called: for summaries, and to name the layer that fails."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
from flax import nnx

Observer = Callable[[str, nnx.Module, Callable[[], Any], Any], Any]

_lock = threading.RLock()


@contextlib.contextmanager
def observed(root: nnx.Module, observer: Observer) -> Iterator[None]:
    """Within the context, each call of a layer of `root` goes through `observer(path, layer, call, inputs)`.

    Args:
      root: itself no layer: its path would be empty.
      observer: returns what the layer shall return, usually `call()`. inputs: the call's positional arguments.
    """
    paths = {id(layer): (".".join(map(str, path)), layer) for path, layer in nnx.iter_modules(root) if path}
    kinds = {type(layer) for _, layer in paths.values() if callable(layer)}
    originals = {kind: kind.__call__ for kind in kinds}
    own = {kind for kind in kinds if "__call__" in vars(kind)}

    def watched(original):
        @functools.wraps(original)
        def call(layer, *args, **kwargs):
            run = functools.partial(original, layer, *args, **kwargs)
            path, same = paths.get(id(layer), ("", None))
            return observer(path, layer, run, args) if same is layer else run()

        return call

    with _lock:  # Python looks `__call__` up on the class, so the class is changed for the while
        try:
            for kind, original in originals.items():
                setattr(kind, "__call__", watched(original))  # noqa: B010
            yield
        finally:
            for kind, original in originals.items():
                if kind in own:
                    setattr(kind, "__call__", original)  # noqa: B010
                else:
                    del kind.__call__


def failing_layer(root: nnx.Module, call: Callable[[], Any]) -> tuple[str, nnx.Module, Any] | None:
    """Path, layer and inputs of the innermost layer of `root` in which `call()` raises; None if it is in none."""
    found: list[tuple[str, nnx.Module, Any]] = []

    def observer(path, layer, run, inputs):
        try:
            return run()
        except Exception:
            found.append((path, layer, inputs))
            raise

    with observed(root, observer), contextlib.suppress(Exception):
        call()
    return found[0] if found else None


def described(tree: Any) -> str:
    """Dtypes and shapes of the arrays of a tree: "float32[8, 3]", or several of them."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape")]
    return ", ".join(f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}]" for leaf in arrays) or repr(tree)
