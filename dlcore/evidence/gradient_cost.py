"""What the gradient of a model costs, in operations and in seconds."""

import functools
from typing import Any

import jax
import numpy as np
import xarray as xr

from dlcore.core.arguments import arguments, instance, integer, number, tree
from dlcore.core.model import Model
from dlcore.engine.planning.flops import flops_of
from dlcore.evidence.timing import seconds_per_call


@arguments(
    model=instance(Model, example="dl.models.mlp([4, 3])"), inputs=tree, blocks=integer(1, 1000), seconds=number(0, 60)
)
def gradient_cost(model: Model, inputs: Any, *, blocks: int = 10, seconds: float = 0.005) -> xr.Dataset:
    """Forward pass alone, and with the gradient by all parameters, of the mean square of a model's outputs.

    Args:
      model: its outputs are an array.
      inputs: a batch.
      blocks: how often both are timed, in turn.
      seconds: how long a turn lasts, about.

    Returns:
      operations, dims (side); seconds, dims (side, block); side is "forward", "gradient": the latter with the forward
      pass in it.

    Raises:
      DataError: inputs that do not fit the model.

    Example:
      >>> cost = dl.evidence.gradient_cost(dl.models.linear(4), jnp.ones((8, 4)), blocks=2, seconds=0.0)
      >>> cost.operations.values  # backward there are as many: none go to the inputs
      array([ 89., 178.])
    """
    params, state = model.init(jax.random.key(0))

    def loss(params):
        return (model.apply(params, state, inputs)[0] ** 2).mean()

    calls = [functools.partial(jax.jit(side), params) for side in (loss, jax.value_and_grad(loss))]
    times = seconds_per_call(calls, blocks=blocks, seconds=seconds)
    found = xr.Dataset({"operations": ("side", [flops_of(call).count for call in calls])})
    found["seconds"] = ("side", "block"), np.transpose(times), {"units": "s"}
    return found.assign_coords(side=["forward", "gradient"])
