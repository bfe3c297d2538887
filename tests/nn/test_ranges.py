"""Numbers far from 0 or from 1, tiny and huge: distances, norms, pools, dropout."""

import functools

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

import dlcore as dl
from dlcore.nn.distances import squared_distances
from dlcore.nn.dropout import Dropout
from dlcore.nn.embeddings import angles, unit_vectors
from dlcore.nn.normalization import BatchNorm, batch_norm, group_norm, layer_norm, normalization_layer
from dlcore.nn.pooling import average_pool, max_pool

RNG, NAN = np.random.default_rng(0), np.nan


def test_distances_of_two_distant_clusters():
    """Catches |a|^2 + |b|^2 - 2ab, whatever its origin: it is near one of the clusters only."""
    rows = np.concatenate([RNG.normal(size=(6, 3)), 1e4 + RNG.normal(size=(6, 3))]).astype(np.float32)
    differences = rows[:, None].astype(float) - rows[None]
    weights = RNG.normal(size=(12, 12)) * (np.arange(12)[:, None] // 6 == np.arange(12)[None] // 6)
    weights = weights.astype(np.float32)
    loss = jax.jit(jax.value_and_grad(lambda a, b: jnp.sum(weights * squared_distances(a, b)), argnums=(0, 1)))
    value, (to_first, to_second) = loss(rows, rows)
    np.testing.assert_allclose(squared_distances(rows, rows), (differences**2).sum(-1), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(value, (weights * (differences**2).sum(-1)).sum(), rtol=1e-4)
    expected = 2 * np.einsum("ab,abd->abd", weights.astype(float), differences)
    np.testing.assert_allclose(to_first, expected.sum(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(to_second, -expected.sum(0), rtol=1e-4, atol=1e-4)


def test_distances_keep_no_differences():
    """Catches an array [A, B, D] in the gradient: 256 MB for a thousand rows of 64 numbers each."""
    size, width = 100, 50
    gradient = jax.jit(jax.grad(lambda a, b: jnp.sum(jnp.sin(squared_distances(a, b)))))
    analysis = gradient.lower(*[jax.ShapeDtypeStruct((size, width), jnp.float32)] * 2).compile().memory_analysis()
    if analysis is None:
        pytest.skip("this platform does not say how much memory a program takes")
    assert analysis.temp_size_in_bytes < 4 * size**2 * width / 4


@pytest.mark.parametrize(("offset", "scale"), [(300, 1), (3000, 1), (1e4, 1), (0, 1e-6), (0, 1e6)])
@pytest.mark.parametrize("name", ["batch", "batch_unbiased", "group", "layer"])
def test_normalizations_far_from_zero(name, offset, scale):
    """Catches E[x^2] - E[x]^2, and a running variance of it."""
    x = (offset + scale * RNG.normal(size=(64, 4, 4, 2))).astype(np.float32)
    epsilon = min(1e-5, scale**2)
    specs = {"batch": batch_norm, "batch_unbiased": functools.partial(batch_norm, unbiased=True), "layer": layer_norm}
    spec = specs.get(name, functools.partial(group_norm, 2))(epsilon=epsilon)
    layer = normalization_layer(spec, 2, (-3, -2, -1), nnx.Rngs(0))
    if isinstance(layer, BatchNorm):
        layer.use_running_average = False
    axes = {"layer": (1, 2, 3), "group": (1, 2)}.get(name, (0, 1, 2))
    exact = x.astype(float)
    variance = exact.var(axes, keepdims=True)
    expected = (exact - exact.mean(axes, keepdims=True)) / np.sqrt(variance + epsilon)
    np.testing.assert_allclose(layer(x), expected, atol=1e-3 + 1e-6 * offset)
    if isinstance(layer, BatchNorm):
        unbiased = 1024 / 1023 if name == "batch_unbiased" else 1
        np.testing.assert_allclose((layer.var[...] - 0.9) / 0.1, unbiased * variance.ravel(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("unbiased", [False, True])
def test_batch_norm_under_a_mask(unbiased):
    """Catches NaN that the mask hides in the gradient, hidden values in n - 1, and the mean of nothing."""
    x = RNG.normal(size=(4, 2)).astype(np.float32)

    def normalized(x, mask):
        layer = BatchNorm(2, momentum=0.5, use_fast_variance=False, unbiased=unbiased, rngs=nnx.Rngs(0))
        outputs = layer(x, use_running_average=False, mask=mask)
        kept = outputs if mask is None else jnp.where(mask, outputs, 0)
        return jnp.sum(kept**3), (layer.mean[...], layer.var[...])

    evaluate = jax.jit(jax.value_and_grad(normalized, has_aux=True))
    (value, averages), gradient = evaluate(x, None)
    holes = np.concatenate([x, np.full((2, 2), np.nan, np.float32)])
    (hidden_value, hidden_averages), hidden_gradient = evaluate(holes, np.isfinite(holes))
    np.testing.assert_allclose(hidden_value, value, rtol=1e-5)
    np.testing.assert_allclose(hidden_averages, averages, rtol=1e-5)
    np.testing.assert_allclose(hidden_gradient, np.concatenate([gradient, np.zeros((2, 2))]), atol=1e-5)
    (nothing, (mean, variance)), gradient = evaluate(holes, np.zeros((6, 2), bool))
    assert (float(nothing), mean.tolist(), variance.tolist()) == (0, [0, 0], [1, 1])
    assert not np.any(gradient)


POOLED = np.array([[1, 3], [2, 5]])[None, ..., None]
POOL_TYPES = [*"bhilBHILefdg?", ">i4", ">f4", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4]


@pytest.mark.parametrize("dtype", POOL_TYPES)
def test_pools_take_every_real_dtype(dtype):
    """Catches -inf as the padding of integers, and dtypes that JAX does not have."""
    x = POOLED.astype(dtype)
    largest = jax.eval_shape(lambda: max_pool(x, 2, padding="SAME", strides=1))
    mean = jax.eval_shape(lambda: average_pool(x, 2, padding="SAME", strides=1))
    assert largest.shape == mean.shape == (1, 2, 2, 1)
    kept = jax.dtypes.canonicalize_dtype(np.float64 if dtype == "g" else np.dtype(dtype).newbyteorder("="))
    assert largest.dtype == (np.float32 if dtype is ml_dtypes.float8_e4m3fn else kept)
    assert mean.dtype == (largest.dtype if jnp.issubdtype(largest.dtype, jnp.floating) else np.float32)


@pytest.mark.parametrize("dtype", ["B", "b", "?", ">i4", ml_dtypes.bfloat16])
def test_pools_of_few_bits(dtype):
    """Catches a mean of bytes that wraps around or is cut off, and padding that is larger than the pixels."""
    x = (POOLED * (20 if dtype in ("B", "b") else -1 if dtype == ">i4" else 1)).astype(dtype)
    x = np.where(x == 100, 127, x).astype(dtype)
    known = x.astype(x.dtype.newbyteorder("=")).astype(float)[0, ..., 0]
    found = np.asarray(max_pool(x, 2, padding="SAME", strides=1)[0, ..., 0], float)
    np.testing.assert_array_equal(found, [[known.max(), known[:, 1].max()], [known[1].max(), known[1, 1]]])
    np.testing.assert_allclose(np.asarray(average_pool(x, 2), float).item(), known.mean(), rtol=4e-3)


@pytest.mark.parametrize("pool", [max_pool, average_pool])
@pytest.mark.parametrize("dtype", ["F", "O", "S3", "M8[s]", "m8[s]"])
def test_pools_of_what_is_no_number(pool, dtype):
    """Catches an order of complex numbers, and JAX's own errors."""
    with pytest.raises(dl.DataError, match="numbers"):
        pool(POOLED.astype(dtype), 2)


def test_pools_at_the_ends_of_the_range():
    """Catches a sum of halves that is inf, and integers of 64 bits that lose their upper half."""
    assert average_pool(np.full((1, 2, 2, 1), 60000, np.float16), 2).item() == 60000
    assert average_pool(np.full((1, 2, 2, 1), 2**31 - 1), 2).item() == 2.0**31
    with pytest.raises(dl.DataError, match="beyond int32"):
        max_pool(np.full((1, 2, 2, 1), 2**40), 2)


@jax.jit
@jax.value_and_grad
def dropped(x, rate):
    """The sum of what a dropout of a traced rate leaves."""
    return Dropout(rate, rngs=nnx.Rngs(dropout=0))(x).sum()


@pytest.mark.parametrize(
    ("rate", "value", "slope"), [(0.0, 4.0, 1.0), (1.0, 0.0, 0.0), (1.5, np.nan, np.nan), (np.nan, np.nan, np.nan)]
)
def test_traced_dropout_at_the_ends(rate, value, slope):
    """Catches the derivative of x / 0 where all is dropped, and a rate that is none and drops everything."""
    found, gradient = dropped(np.ones(4, np.float32), rate)
    np.testing.assert_array_equal(found, value)
    if np.isfinite(slope):
        np.testing.assert_array_equal(gradient, np.full(4, slope))


@pytest.mark.parametrize("scale", [1e-25, 1e-8, 1.0, 1e25])
def test_unit_vectors_of_every_scale(scale):
    """Catches squares that overflow or vanish, and a floor below which vectors are no unit vectors."""
    x = np.array([[3.0, 4.0]], np.float32) * scale
    np.testing.assert_allclose(unit_vectors(x), [[0.6, 0.8]], rtol=1e-6)
    gradient = jax.grad(lambda x: unit_vectors(x)[0, 0])(x)
    np.testing.assert_allclose(gradient * scale, [[0.128, -0.096]], rtol=1e-5)
    np.testing.assert_allclose(jax.grad(lambda x: angles(x, x).norms.sum())(x), [[0.6, 0.8]], rtol=1e-6)
    zero = jax.grad(lambda x: angles(x, x).norms.sum() + unit_vectors(x).sum())(jnp.zeros((1, 2)))
    assert np.isfinite(zero).all()


def test_layer_norms_of_every_scale():
    """Catches squares that overflow, vanish or wrap around, and an infinite derivative at 0."""

    def norm(values):
        return dl.probes.layer_norms({"a": {"k": values}}).values[0]

    for value, dtype in [(300, np.float16), (200, np.uint8), (1e25, np.float32), (1e-25, np.float32), (3, ">f8")]:
        np.testing.assert_allclose(norm(np.full(4, value, dtype)), 2.0 * value, rtol=1e-3)
    assert not np.any(jax.grad(norm)(jnp.zeros(3)))
    assert norm(jnp.array([jnp.inf, 1])) == jnp.inf
    assert np.isnan(norm(jnp.array([jnp.nan, 1])))
    assert norm(3.0) == 3
    with pytest.raises(
        dl.DataError, match=r"values at 'a.k' is .*; expects arrays of numbers. Random keys are no numbers"
    ):
        norm(jax.random.key(0))


def test_radial_basis_functions_far_from_zero_and_narrow():
    """Catches cancellation of squares, and infinity times the distance 0."""
    centers = (1e4 + RNG.normal(size=(4, 2))).astype(np.float32)
    squares = ((centers[:, None].astype(float) - centers[None]) ** 2).sum(-1)
    model = dl.models.radial_basis(centers, 1.0, learned=True)
    params, state = jax.jit(model.init)(jax.random.key(0))

    @jax.jit
    @jax.value_and_grad
    def total(basis, weights):
        features = model.parts["features"].apply({**params, "basis": basis}, state, centers)[0]
        return jnp.sum(weights * features)

    weights = RNG.normal(size=(4, 4)).astype(np.float32)
    for width in (1.5, 1e-20):
        basis = {**params["basis"], "log_widths": jnp.full(4, np.log(width), jnp.float32)}
        value, gradient = total(basis, weights)
        np.testing.assert_allclose(value, (weights * np.exp(-squares / 2 / width**2)).sum(), atol=1e-5)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    nearest = np.sqrt(np.sort(squares, axis=1)[:, 1])
    np.testing.assert_allclose(dl.models.nearest_center_widths(centers, 1), nearest, rtol=1e-5)
    rows = np.concatenate([centers, centers - 1e4])
    found = dl.models.k_means_centers(rows, 8)
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(rows.astype(float), axis=0), rtol=1e-12)
    halves = np.array([[300, 0], [0, 0]], np.float16)
    assert dl.models.nearest_center_widths(halves, 1).tolist() == [300, 300]


@pytest.mark.parametrize("decay", [0.0, 0.5, 1 - 1e-9])
def test_moving_averages_of_slow_decay(decay):
    """Catches 1 - decay ** n, which is 0 in float32 where the decay is near 1."""
    optimizer = dl.optimizers.average_parameters(decay)
    params = jnp.float32(1)
    state = optimizer.init(params)
    for _ in range(3):
        _, state = optimizer.update(jnp.float32(1), state, params)
        params = params + 1
    weights = np.array([decay**2, decay, 1])
    np.testing.assert_allclose(state.average, weights @ [2, 3, 4] / weights.sum(), rtol=1e-6)
