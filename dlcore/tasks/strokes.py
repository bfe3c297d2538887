"""Tasks of pen strokes."""

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.arguments import arguments
from dlcore.core.dataset import Dataset, one_array
from dlcore.core.dtypes import in_single, is_float
from dlcore.core.errors import DataError, described
from dlcore.core.model import Model
from dlcore.core.task import DATASET, MODEL, PENALTY, Penalty, Task, weighted_mean
from dlcore.losses import mixture_density
from dlcore.metrics.undefined import are_flags
from dlcore.nn.masked import Masked


@arguments(model=MODEL, data=DATASET, penalty=PENALTY)
def strokes(model: Model, data: Dataset, *, penalty: Penalty | None = None) -> Task:
    """The next point of a pen's way, by the density of its offset; nats a point.

    The first offset is predicted from an offset of 0; where the first point lies is no part of the density.

    Args:
      model: of `dl.models.mixture_density`.
      data: inputs [N, points, 2], absolute coordinates as of `dl.data.from_pen_strokes`; or [N, points, 3], the third 1
        where the pen is up after the point, else 0. Targets bool [N, points] tell which points are there, the first of
        each row among them; other targets are not used and may be None. Weights count in the loss.

    Raises:
      DataError: inputs of another shape, fewer than two points, a pen that is neither 0 nor 1, a mask with holes.

    Example:
      >>> data = dl.data.Dataset((np.ones((2, 3, 2)), np.ones((2, 3), bool)))
      >>> task = dl.tasks.strokes(dl.models.mixture_density(1, num_units=4), data)
    """
    one_array(data, "inputs", "strokes")
    masked = getattr(data.train.targets, "dtype", np.dtype(float)).kind == "b"
    for split in data.splits:
        _check(data, split, masked)

    def there(batch):
        return batch.targets[:, 1:] if masked else None

    def forward(params, state, batch, *, key=None, train=False):
        x = jnp.pad(offsets(batch.inputs)[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return model.apply(params, state, Masked(x, there(batch)) if masked else x, key=key, train=train)

    def report(params, mixture, batch):
        value = weighted_mean(mixture_density(mixture, offsets(batch.inputs), there(batch)), batch.weights)
        return value if penalty is None else value + penalty(params), {}

    return Task(model, data, forward, report)


def offsets(points: jax.Array) -> jax.Array:
    """From each point to the next: [B, points, 2] -> [B, points - 1, 2]; a third column is that of the next point."""
    points = in_single(points)
    return jnp.concatenate([jnp.diff(points[..., :2], axis=1), points[:, 1:, 2:]], axis=-1)


def _check(data: Dataset, split: str, masked: bool) -> None:
    points, mask = getattr(data, split)[:2]
    if points.ndim != 3 or points.shape[2] not in (2, 3) or not is_float(points.dtype):
        raise DataError(
            f"inputs of the {split} split are {described(points)}; strokes expects float coordinates [N, points, 2], "
            "or [N, points, 3] with the pen."
        )
    if points.shape[1] < 2:
        raise DataError(f"inputs of the {split} split are {described(points)}; expects two points or more.")
    if isinstance(points, np.ndarray) and not are_flags(points[..., 2:]).all():
        raise DataError(f"inputs of the {split} split: the pen, the third column, expects 1 (up) and 0 only.")
    if masked and mask.shape != points.shape[:2]:
        raise DataError(
            f"targets of the {split} split are {described(mask)}; as a mask, strokes expects bool "
            f"{list(points.shape[:2])}, one for each point."
        )
    if masked and isinstance(mask, np.ndarray):
        wrong = ~mask[:, 0] | (mask[:, 1:] > mask[:, :-1]).any(axis=1)
        if wrong.any():
            raise DataError(
                f"targets of the {split} split, row {int(np.argmax(wrong))}: the mask has a point after one that is "
                "not there; expects those that are there first. Move them to the front of the row."
            )
