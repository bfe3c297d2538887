"""Normalizers: against scikit-learn, and back again."""

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
