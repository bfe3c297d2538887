"""One optimizer step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from jax.sharding import Mesh

from dlcore.core.dataset import Split
from dlcore.core.model import ModelState, Params
from dlcore.core.optimizer import OPTIMIZER
from dlcore.core.parallel import split_over, take_split
from dlcore.core.task import Task

# Each use of randomness has a key of its own, folded from the root by one of these constants.
INITIALIZATION, ORDER, NOISE = range(3)


class State(NamedTuple):
    """All that changes during a run; with the run's arguments it determines everything that follows.

    step: completed optimizer updates, a scalar; opt_state: what optax keeps; watch: what `keep_best` and `stop`
    remember.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 3]), dl.data.iris())
      >>> state = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size="full", num_steps=1).init()
      >>> int(state.step), state.params["layers"][0]["kernel"].shape
      (0, (4, 3))
    """

    step: jax.Array
    params: Params
    model_state: ModelState
    opt_state: Any
    watch: Any = ()


class Step(NamedTuple):
    """What one optimizer step was made of.

    loss: of its batch, before the step. gradient: of that loss. updates: what the optimizer added to the parameters.
    """

    loss: jax.Array
    gradient: Params
    updates: Params


def make_update(
    key: jax.Array, task: Task, optimizer: optax.GradientTransformation, mesh: Mesh | None = None
) -> Callable[[State, Split, jax.Array | None], tuple[State, Step]]:
    """`update(state, train, rows) -> (state, step)`: an optimizer step on these rows of the train split; None for all.

    A batch is split over the devices of the mesh, if there is one.

    Optimizers that want more than the gradient (line searches, Polyak steps, sharpness-aware ones, Sophia) get the
    loss, and functions of the parameters for it and for its gradient, all for the same batch and the same noise.
    """
    optimizer = OPTIMIZER.check("make_update: optimizer", optimizer)

    def update(state, train, rows):
        batch = split_over(mesh, train) if rows is None else take_split(mesh, train, rows)
        noise = jax.random.fold_in(jax.random.fold_in(key, NOISE), state.step)

        def objective(params):
            loss, (_, model_state) = task.objective(params, state.model_state, batch, key=noise, train=True)
            return loss, model_state

        def loss_of(params, obj_fn=None, grad_fn=None):  # optax's line searches hand over what they do not know
            return objective(params)[0]

        (loss, model_state), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
        more = {"value": loss, "grad": gradient, "value_fn": loss_of, "obj_fn": loss_of}
        more["grad_fn"] = lambda params, i=0: jax.grad(loss_of)(params)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params, **more)
        params = optax.apply_updates(state.params, updates)
        return State(state.step + 1, params, model_state, opt_state, state.watch), Step(loss, gradient, updates)

    return update
