"""Radial basis function networks, trained in two stages or from end to end."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer

from dlcore.core.arguments import arguments, array, boolean, instance, number, tree
from dlcore.core.dtypes import in_single, is_float
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.core.model import Model, ModelState, Params
from dlcore.nn import initializers
from dlcore.nn.adapters import built_in
from dlcore.nn.blocks import WIDTH
from dlcore.nn.initializers import INITIALIZER, Initializer
from dlcore.nn.inputs import as_features
from dlcore.nn.radial_basis import CENTERS, RadialBasis


class RadialBasisNetwork(nnx.Module):
    """Bumps around centers [K, D] and a dense layer: [B, D] -> [B, num_outputs]; arguments of `radial_basis`."""

    def __init__(
        self,
        centers: jax.Array,
        widths: jax.Array,
        num_outputs: int,
        learned: bool,
        weights: Initializer,
        rngs: nnx.Rngs,
    ):
        self.num_inputs = centers.shape[1]
        self.basis = RadialBasis(centers, widths, learned=learned)
        self.output = nnx.Linear(len(centers), num_outputs, kernel_init=weights, rngs=rngs)

    def features(self, x):
        return self.basis(as_features("radial_basis", x, self.num_inputs, "The centers are that long."))

    def __call__(self, x):
        return self.output(self.features(x))


@arguments(
    centers=CENTERS,
    widths=array("iuf", ndim=(0, 1), text="one width, or one for each center: positive numbers [K]"),
    num_outputs=WIDTH,
    learned=boolean,
    initializer=INITIALIZER,
)
def radial_basis(
    centers: Any,
    widths: Any,
    num_outputs: int = 1,
    *,
    learned: bool = False,
    initializer: str | Initializer = "lecun_normal",
) -> Model:
    """Gaussian bumps around centers, and an affine map of their heights: [B, D] -> [B, num_outputs].

    In two stages: place the centers (`k_means_centers`, `random_centers`) and choose the
    widths (`nearest_center_widths`, `spread_widths`), then fit the output layer, in closed form by `fit_output_layer`
    or by gradient. From end to end: the same with `learned=True`, all by gradient.

    Args:
      centers: [K, D], at the start; may be traced.
      widths: of the bumps at the start, [K] or one for all, positive; may be traced.
      learned: centers and widths are parameters; else they are part of the model's state, and stay.
      initializer: of the output layer's weights.

    The part "features" gives the heights [B, K].

    Raises:
      ArgumentError: centers that are no floats [K, D], widths that do not fit them or are not positive.
    Reference: Broomhead and Lowe 1988; Moody and Darken 1989.

    Example:
      >>> model = dl.models.radial_basis([[0.0], [1.0]], 0.5)
      >>> model.parts["features"].apply(*model.init(jax.random.key(0)), jnp.array([[1.0]]))[0].round(2)
      Array([[0.14, 1.  ]], dtype=float32)
    """
    centers = jnp.asarray(centers, float)
    if not centers.size:
        raise DataError(
            f"radial_basis: centers are {list(centers.shape)}; expects one or more, of one or more numbers."
        )
    widths = _checked_widths(widths, len(centers))
    weights = initializers.by_name(initializer)
    return built_in(
        lambda rngs: RadialBasisNetwork(centers, widths, num_outputs, learned, weights, rngs), parts=("features",)
    )


@arguments(
    model=instance(Model, example="dl.models.radial_basis(centers, widths)"),
    params=tree,
    state=tree,
    inputs=array(text="inputs [N, D]"),
    targets=array(text="targets [N] or [N, num_outputs]"),
    penalty=number(0),
)
def fit_output_layer(
    model: Model, params: Params, state: ModelState, inputs: Any, targets: Any, *, penalty: float | jax.Array = 0.0
) -> Params:
    """The params of a radial basis network with the output layer that fits the targets best, in closed form.

    Minimizes `sum of squared errors + penalty * ||kernel||^2`; the bias is free. Where several fit equally well, the
    smallest.

    Args:
      model: made by `radial_basis`; params, state: of it.
      inputs: [N, D]; targets: floats [N] or [N, num_outputs], e.g. `jax.nn.one_hot(labels, 10)`.
      penalty: 0 or more; may be traced.

    Raises:
      DataError: targets that are no floats or do not fit the inputs and the output layer; NaN, where that is known.
    Reference: Broomhead and Lowe 1988, section 3; ridge regression, Hoerl and Kennard 1970.

    Example:
      >>> model, inputs = dl.models.radial_basis([[0.0], [1.0]], 0.5), jnp.array([[0.0], [0.5], [1.0]])
      >>> params, state = model.init(jax.random.key(0))
      >>> params = dl.models.fit_output_layer(model, params, state, inputs, jnp.array([0.0, 1.0, 2.0]))
      >>> bool(jnp.allclose(model.apply(params, state, inputs)[0][:, 0], jnp.array([0.0, 1.0, 2.0]), atol=1e-4))
      True
    """
    if "features" not in model.parts or not isinstance(params, dict) or "output" not in params:
        raise ArgumentError(
            f"fit_output_layer: model has the parts {sorted(model.parts)}, params are {described(params)}; expects a "
            "model of dl.models.radial_basis and its params."
        )
    features, _ = model.parts["features"].apply(params, state, jnp.asarray(inputs))
    kernel = params["output"]["kernel"]
    targets = jnp.asarray(targets)
    columns = targets.reshape(targets.shape[0] if targets.ndim else 1, -1) if targets.size else targets
    if not is_float(targets.dtype) or columns.shape != (len(features), kernel.shape[1]):
        raise DataError(
            f"fit_output_layer: targets are {targets.dtype}{list(targets.shape)}; expects floats "
            f"[{len(features)}, {kernel.shape[1]}]. Of class labels, use jax.nn.one_hot(labels, {kernel.shape[1]})."
        )
    for name, values in {"inputs": inputs, "targets": targets}.items():
        if not isinstance(values, Tracer) and not np.isfinite(np.asarray(values, float)).all():
            raise DataError(
                f"fit_output_layer: {name} hold NaN or inf; expects finite numbers. Drop or fill such rows."
            )
    columns = in_single(columns)  # whose means halves would round
    center, level = features.mean(axis=0, keepdims=True), columns.mean(axis=0, keepdims=True)
    # The penalty as further rows of a least-squares problem: normal equations would square the condition number.
    ridge = jnp.sqrt(penalty).astype(features.dtype) * jnp.eye(len(kernel), dtype=features.dtype)
    rows = jnp.concatenate([features - center, ridge])
    kernel = jnp.linalg.lstsq(rows, jnp.concatenate([columns - level, jnp.zeros_like(kernel)]))[0]
    return {**params, "output": {"kernel": kernel, "bias": (level - center @ kernel)[0]}}


def _checked_widths(widths: Any, num_centers: int) -> jax.Array:
    widths = jnp.asarray(widths, float)
    if widths.shape not in ((), (num_centers,)):
        raise ArgumentError(
            f"radial_basis: widths are {list(widths.shape)}; expects one, or [{num_centers}], one for each center."
        )
    least = jnp.finfo(widths.dtype).tiny  # of less JAX makes 0
    if not isinstance(widths, Tracer) and not (np.isfinite(widths) & (np.asarray(widths) >= least)).all():
        raise ArgumentError(
            f"radial_basis: widths reach from {np.min(widths):g} to {np.max(widths):g}; expects positive finite "
            f"widths, of {least:.2g} or more."
        )
    return jnp.broadcast_to(widths, (num_centers,))
