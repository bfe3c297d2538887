"""Samples of strokes: the ways of a pen, out of a model of its offsets."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from dlcore.core.arguments import arguments, instance, integer, key, number, tree
from dlcore.core.model import Apply, Model, ModelState, Params
from dlcore.generation.checks import check_known, check_model
from dlcore.nn.mixture import draw, sharpened


@arguments(
    model=instance(Model),
    params=tree,
    state=tree,
    key=key,
    num_strokes=integer(1, 1_000_000),
    num_points=integer(1, 100_000, meaning="with the first, at (0, 0)"),
    temperature=number(0, 1e6, open_low=True),
)
def sample_strokes(
    model: Model,
    params: Params,
    state: ModelState,
    key: jax.Array,
    *,
    num_strokes: int,
    num_points: int,
    temperature: float | jax.Array = 1.0,
) -> jax.Array:
    """The ways of a pen, drawn point by point from a mixture density; compiled once for each shape.

    Args:
      model: of `dl.models.mixture_density`.
      params, state: of the model.
      key: consumed.
      num_strokes: how many.
      num_points: of each, with the first at (0, 0).
      temperature: above 0; 1 draws from the density, less draws likelier points.

    Returns:
      coordinates [num_strokes, num_points, 2], or [..., 3] with a pen.

    Raises:
      ArgumentError: a number out of its domain, a model without the parts "start" and "step".
      DataError: params or state of another model, or NaN.
    Reference: Graves, Generating sequences with recurrent neural networks, 2013, sec. 4.

    Example:
      >>> model = dl.models.mixture_density(1, num_units=2)
      >>> params, state = model.init(jax.random.key(0))
      >>> dl.generation.sample_strokes(model, params, state, jax.random.key(1), num_strokes=3, num_points=4).shape
      (3, 4, 2)
    """
    as_of = "dl.models.mixture_density"
    params, state = check_model("sample_strokes", model, params, state, parts=("start", "step"), as_of=as_of)
    start, step = model.parts["start"].apply, model.parts["step"].apply
    drawn = _sampled(start, step, num_strokes, num_points, params, state, key, temperature)
    check_known("sample_strokes", jnp.isfinite(drawn).all(), "points that are NaN or inf")
    return drawn


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _sampled(
    start: Apply,
    step: Apply,
    num_strokes: int,
    num_points: int,
    params: Params,
    state: ModelState,
    key: jax.Array,
    temperature: jax.Array,
) -> jax.Array:
    first, _ = start(params, state, jnp.zeros(num_strokes))

    def extend(carried, number):
        (carry, mixture), _ = step(params, state, carried)
        offset = draw(jax.random.fold_in(key, number), sharpened(mixture, temperature))
        return (carry, offset), offset

    _, drawn = lax.scan(extend, first, jnp.arange(num_points - 1))
    drawn = jnp.concatenate([first[1][:, None], drawn.swapaxes(0, 1)], axis=1)
    return drawn.at[..., :2].set(jnp.cumsum(drawn[..., :2], axis=1))
