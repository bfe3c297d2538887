"""Models that start elsewhere."""

from collections.abc import Callable

import jax

from dlcore.core.arguments import arguments, function, instance
from dlcore.core.errors import ArgumentError, described
from dlcore.core.model import Model

Change = Callable[[jax.Array, str, jax.Array], jax.Array]


@arguments(model=instance(Model, example="dl.models.mlp([4, 3])"), change=function)
def restarted(model: Model, change: Change) -> Model:
    """The same network with other parameters at first, made of those that it starts with.

    Args:
      model: any.
      change: `change(key, name, values)` gives what an array of the parameters starts with in place of its values, of
        the same shape; name: the last part of its path, such as "kernel" or "bias"; key: its own.

    Raises:
      ArgumentError: on init: another shape or dtype.

    Example:
      >>> halved = dl.models.restarted(dl.models.mlp([4, 3]), lambda key, name, values: values / 2)
      >>> params, state = halved.init(jax.random.key(0))
    """

    def init(key):
        params, state = model.init(key)
        leaves, structure = jax.tree_util.tree_flatten_with_path(params)
        changed = []
        for i, (path, values) in enumerate(leaves):
            made = change(jax.random.fold_in(key, i), jax.tree_util.keystr(path[-1:], simple=True), values)
            if getattr(made, "shape", None) != values.shape or made.dtype != values.dtype:
                raise ArgumentError(
                    f"restarted: change gives {described(made)} for {jax.tree_util.keystr(path)}, "
                    f"{described(values)}; expects the same shape and dtype."
                )
            changed.append(made)
        return jax.tree.unflatten(structure, changed), state

    return Model(init, model.apply, model.parts)
