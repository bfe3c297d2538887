"""Normalizers: against scikit-learn, and back again."""

import functools

import golden_values
import hypothesis
import hypothesis.extra.numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from hypothesis import strategies as st

import dlcore as dl

GOLDEN = golden_values.load("functions")["normalizers"]
NORMALIZERS = {
    "min_max": lambda **options: dl.data.min_max(-1, 3, **options),
    "mean_normalization": dl.data.mean_normalization,
    "z_score": dl.data.z_score,
}
CONSTANT = {"min_max": 1, "mean_normalization": 0, "z_score": 0}  # where constant values go


@pytest.mark.parametrize("name", ["min_max", "z_score"])
def test_equal_to_scikit_learn(name):
    """Catches the deviation of N - 1, statistics of the rows they are applied to, low and high swapped."""
    normalizer = NORMALIZERS[name]()
    fitted = normalizer.fit(GOLDEN["train"])
    np.testing.assert_allclose(normalizer.apply(fitted, GOLDEN["test"]), GOLDEN[name], rtol=2e-5)


def test_mean_normalization_by_hand():
    """Catches a deviation for the range, and a middle of the range for the mean."""
    normalizer = dl.data.mean_normalization()
    values = np.float32([[0, 10], [1, 10], [5, 10]])
    fitted = normalizer.fit(values)
    np.testing.assert_allclose(normalizer.apply(fitted, values), [[-0.4, 0], [-0.2, 0], [0.6, 0]], rtol=1e-6)


@pytest.mark.parametrize("name", NORMALIZERS)
def test_global_takes_all_values_together(name):
    """Catches statistics of columns where those of all are asked for."""
    together, alone = NORMALIZERS[name](per="global"), NORMALIZERS[name]()
    values = GOLDEN["train"]
    expected = alone.apply(alone.fit(values.reshape(-1, 1)), values.reshape(-1, 1)).reshape(values.shape)
    np.testing.assert_array_equal(together.apply(together.fit(values), values), expected)


@pytest.mark.parametrize("per", ["feature", "global"])
@pytest.mark.parametrize("name", NORMALIZERS)
def test_constant_values_come_back_exactly(name, per):
    """Catches 0 / 0, and a deviation that is but the rounding error of a mean: 0.1 is not a binary number."""
    normalizer = NORMALIZERS[name](per=per)
    values = np.full((1000, 2), 0.1)
    assert values.std() > 0
    fitted = normalizer.fit(values)
    there = normalizer.apply(fitted, values)
    np.testing.assert_array_equal(there, CONSTANT[name])
    np.testing.assert_array_equal(normalizer.invert(fitted, there), values)
    scale = 4 if name == "min_max" else 1  # as scikit-learn has it: the width of the range asked for
    np.testing.assert_allclose(normalizer.apply(fitted, values + 1), CONSTANT[name] + scale, rtol=1e-6)


@hypothesis.given(
    hypothesis.extra.numpy.arrays(
        st.sampled_from([np.uint8, np.uint16, np.int8, np.bool_]), hypothesis.extra.numpy.array_shapes(min_dims=1)
    ),
    st.sampled_from(sorted(NORMALIZERS)),
    st.sampled_from(["feature", "global"]),
)
def test_integers_come_back_exactly(values, name, per):
    """Catches integers that wrap around in a difference, that are cut instead of rounded, or that stay floats."""
    normalizer = NORMALIZERS[name](per=per)
    fitted = normalizer.fit(values)
    there = normalizer.apply(fitted, values)
    assert there.dtype == np.float32
    back = normalizer.invert(fitted, there)
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


@hypothesis.given(
    hypothesis.extra.numpy.arrays(np.float32, (5, 3), elements=st.floats(-1000, 1000, width=32)),
    st.sampled_from(sorted(NORMALIZERS)),
)
def test_floats_come_back(values, name):
    """Catches an inverse in another order than the way there."""
    normalizer = NORMALIZERS[name]()
    fitted = normalizer.fit(values)
    back = normalizer.invert(fitted, normalizer.apply(fitted, values))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, values, rtol=0, atol=2e-6 * max(np.abs(values).max(), 1e-3))
    if name == "min_max":
        assert np.all(np.abs(normalizer.apply(fitted, values) - 1) <= 2 + 1e-5)


@pytest.mark.parametrize("name", NORMALIZERS)
def test_compiled_on_jax_arrays(name):
    """Catches host arrays inside, and a fit that no study can trace."""
    normalizer = NORMALIZERS[name]()
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 2), dtype=np.uint8)

    @jax.jit
    def there_and_back(values):
        fitted = normalizer.fit(values)
        there = normalizer.apply(fitted, values)
        return there, normalizer.invert(fitted, there)

    there, back = there_and_back(jnp.asarray(images))
    np.testing.assert_allclose(there, normalizer.apply(normalizer.fit(images), images), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(back, images)
    assert back.dtype == np.uint8
    mixed = jax.jit(normalizer.apply)(normalizer.fit(images), images)
    np.testing.assert_allclose(mixed, there, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("targets", [False, True])
def test_a_data_set_is_normalized_by_its_train_split(targets):
    """Catches statistics that leak from the test split, targets scaled unasked, and a record that says nothing."""
    data = small.noisy_line()
    normalizer = dl.data.min_max()
    scaled = dl.data.normalize(data, normalizer, targets=targets)
    assert (scaled.train.inputs.min(axis=0) == 0).all()
    np.testing.assert_allclose(scaled.train.inputs.max(axis=0), 1, rtol=1e-6)
    fitted = normalizer.fit(data.train.inputs)
    np.testing.assert_array_equal(scaled.test.inputs, normalizer.apply(fitted, data.test.inputs))
    assert np.array_equal(scaled.test.targets, data.test.targets) != targets
    what = "inputs and targets" if targets else "inputs"
    assert scaled.normalization == f"{what} scaled to [0, 1] per column on train"
    assert scaled.name == data.name
    predictions = normalizer.invert(normalizer.fit(data.train.targets), scaled.test.targets)
    if targets:
        np.testing.assert_allclose(predictions, data.test.targets, rtol=1e-4, atol=1e-6)


def test_what_was_done_before_is_not_forgotten():
    """Catches a record of the last step only."""
    data = dl.data.normalize(dl.data.digits(), dl.data.z_score(per="global"))
    assert data.normalization == "pixels 0 to 16 scaled to [0, 1]; then inputs standardized as a whole on train"


def by_hand(name, values):
    """The normalized values, in float64."""
    values = np.asarray(values, np.float64)
    low, spread, mean = values.min(axis=0), np.ptp(values, axis=0), values.mean(axis=0)
    if name == "min_max":
        return (values - low) / spread * 4 - 1
    return (values - mean) / (spread if name == "mean_normalization" else values.std(axis=0))


@pytest.mark.parametrize(
    ("offset", "scale"), [(0, 1), (1e4, 1), (1e4, 1e-2), (0, 1e-6), (0, 1e6), (0, 1e-30), (0, 1e30)]
)
@pytest.mark.parametrize("name", NORMALIZERS)
def test_values_far_from_zero_and_of_any_size(name, offset, scale):
    """Catches E[x^2] - E[x]^2, a mean rounded to float32 before it is subtracted, squares that vanish or overflow."""
    normalizer = NORMALIZERS[name]()
    values = np.float32(offset + scale * np.random.default_rng(0).normal(size=(1500, 3)))  # in two pieces
    fitted = normalizer.fit(values)
    expected = by_hand(name, values)
    for found in (normalizer.apply(fitted, values), *traced(name)(fitted, values)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    back = normalizer.invert(fitted, normalizer.apply(fitted, values))
    np.testing.assert_allclose(back, values, rtol=1e-6, atol=1e-6 * scale)


@functools.cache
def traced(name):
    """Applied in a program: as fitted outside, and as fitted inside."""
    normalizer = NORMALIZERS[name]()
    return jax.jit(lambda fitted, x: (normalizer.apply(fitted, x), normalizer.apply(normalizer.fit(x), x)))


NUMBERS = [np.dtype(order + code) for code in "bhiqBHIQefdg" for order in "<>"] + [np.dtype(bool)]
OTHERS = [np.dtype(code) for code in ("F", "D", "G", "O", "U2", "S2", "M8[s]", "m8[s]")]


@pytest.mark.parametrize("name", NORMALIZERS)
def test_dtypes(name):
    """Catches differences that wrap around, and raw errors of other byte orders and of what are no numbers."""
    normalizer, whole = NORMALIZERS[name](), np.array([[0, 4], [1, 1], [3, 0]])
    for dtype in NUMBERS:
        values = whole.astype(dtype)
        fitted = normalizer.fit(values)
        there = normalizer.apply(fitted, values)
        np.testing.assert_allclose(there, by_hand(name, values), atol=2e-3 if dtype.itemsize == 2 else 1e-6)
        np.testing.assert_allclose(normalizer.invert(fitted, there), values.astype(float), atol=5e-3)
        np.testing.assert_array_equal(normalizer.apply(normalizer.fit(np.ma.array(values)), np.ma.array(values)), there)
    for values in [whole.astype(dtype) for dtype in OTHERS] + [np.ma.array(whole, mask=whole > 3)]:
        with pytest.raises(dl.DataError, match="expects numbers"):
            normalizer.fit(values)


def test_wide_integers_of_jax_predictions():
    """Catches 2^40 that is cut to 32 bits where predictions are JAX arrays."""
    normalizer = dl.data.min_max()
    back = normalizer.invert(normalizer.fit(np.array([0, 2**40])), jnp.array([0.0, 1.0]))
    np.testing.assert_array_equal(back, [0, 2**40])


@pytest.mark.parametrize("name", NORMALIZERS)
def test_large_integers_come_back_exactly(name):
    """Catches known JAX arrays that are shifted in float32."""
    normalizer = NORMALIZERS[name]()
    for values in (jnp.array([[2**30], [2**30 + 3], [2**30 + 2**23 - 1]]), np.array([[2**52 + 1], [2**52 + 4]])):
        fitted = normalizer.fit(values)
        np.testing.assert_array_equal(normalizer.invert(fitted, normalizer.apply(fitted, values)), values)


@pytest.mark.parametrize("name", NORMALIZERS)
def test_the_range_of_float32_and_integers_after_halves(name):
    """Catches a span that is inf in float32, and integers that become float16."""
    normalizer, values = NORMALIZERS[name](), np.float32([[-3e38], [3e38]])
    found = normalizer.apply(normalizer.fit(values), jnp.asarray(values))
    np.testing.assert_allclose(found, by_hand(name, np.array([[-3.0], [3.0]])), rtol=1e-6)
    assert np.isnan(jax.jit(lambda v: normalizer.apply(normalizer.fit(v), v))(values)).any()
    fitted = normalizer.fit(np.float16([[0], [4]]))
    found = normalizer.apply(fitted, np.array([[0], [4 * 10**6]]))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_predictions_beyond_the_range(dtype):
    """Catches 256 that becomes 0, and -1 that becomes 255, or True."""
    normalizer = dl.data.min_max()
    low, high = (False, True) if dtype is bool else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    back = normalizer.invert(normalizer.fit(np.array([low, high], dtype)), np.array([-0.5, 1.5]))
    assert back[0] == low
    assert back[1] >= high * (1 - 1e-9)
    with pytest.raises(dl.DataError, match=r"values hold nan at \[0\]"):
        normalizer.invert(normalizer.fit(np.array([low, high], dtype)), np.array([np.nan]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda n: n.fit(np.array([[1.0], [np.nan]])),
            r"values hold nan at \[1, 0\]; expects finite numbers. Drop or impute",
        ),
        (lambda n: n.fit(np.zeros((0, 2))), r"values are float64\[0, 2\]; expects .* at least one row"),
        (lambda n: n.fit([[1.0], [1.0, 2.0]]), "expects numbers"),
        (lambda n: n.apply(n.fit(np.ones((2, 3))), np.ones((2, 1))), r"values are float64\[2, 1\]; expects \[N, 3\]"),
        (
            lambda n: n.invert(n.fit(np.ones((2, 3))), np.ones(3)),
            r"invert .* values are float64\[3\]; expects \[N, 3\]",
        ),
        (lambda n: n.fit(np.array([-1.7e308, 1.7e308])), "values span more than float64 holds"),
    ],
)
@pytest.mark.parametrize("name", NORMALIZERS)
def test_bad_values(name, call, message):
    """Catches a scale that broadcasts over other columns, and statistics of nothing or of NaN."""
    with pytest.raises(dl.DataError, match=message):
        call(NORMALIZERS[name]())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dl.data.min_max(1, 1), "min_max: low is 1 and high 1; expects low below high"),
        (lambda: dl.data.min_max(0, np.inf), "min_max: high is inf; expects a finite number"),
        (lambda: dl.data.z_score(per="features"), "z_score: per is 'features'; expects .* Did you mean 'feature'"),
        (lambda: dl.data.mean_normalization(per=0), "mean_normalization: per is 0; expects one of 'feature', 'global'"),
    ],
)
def test_bad_arguments(call, message):
    """Catches a range of width 0, and a misspelt axis that means all."""
    with pytest.raises(dl.ArgumentError, match=message):
        call()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "uint32"])
def test_inversion_ends_at_the_limits_of_the_dtype(dtype):
    """Catches a prediction beyond 255 that becomes a dark pixel."""
    limits = np.iinfo(dtype)
    values = np.array([[0], [100]], dtype)
    normalizer = dl.data.min_max()
    scaling = normalizer.fit(values)
    for floats in (np.float32([[-1e9], [1e9]]), jnp.float32([[-1e9], [1e9]])):
        low, high = np.asarray(normalizer.invert(scaling, floats))[:, 0].tolist()
        assert low == limits.min
        assert limits.max - 256 <= high <= limits.max
