"""Every loss over every dtype that NumPy has: right, as float64 has it, or refused; and what no float holds."""

import examples.losses
import float64_losses as float64
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import dlcore as dl
from dlcore import losses
from dlcore.nn.embeddings import Angles, Gaussian

NUMBERS = [np.dtype(order + code) for code in "bhiqBHIQefdg" for order in "<>"]
NUMBERS += [np.dtype(bool), np.dtype(ml_dtypes.bfloat16)]
OTHERS = [np.dtype(code) for code in ("F", "D", "G", "O", "U2", "S2", "M8[s]", "m8[s]", "i4,i4")]
EXAMPLES = examples.losses.EXAMPLES
# Small whole numbers, the larger ones among the targets: unsigned differences would wrap around.
X, LABELS = np.array([[0, 1, 2], [3, 1, 0], [0, 0, 1]]), np.array([2, 1, 0])
FLAGS = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1]])
OF_CLASSES = ("softmax_cross_entropy", "weighted_cross_entropy", "multiclass_focal", "multiclass_hinge")
OF_FLAGS = ("binary_cross_entropy", "multi_label_cross_entropy", "focal", "hinge", "bernoulli_cross_entropy")
OF_NUMBERS = ("squared_error", "absolute_error", "huber", "pinball", "kl_divergence")
PAIRS = (
    dict.fromkeys(OF_CLASSES, (X, LABELS))
    | dict.fromkeys(OF_FLAGS, (X, FLAGS))
    | dict.fromkeys(OF_NUMBERS, (X, X + 1))
    | {"kl_divergence": (X, np.eye(3, dtype=int))}
)


def cast(values, dtype):
    """In that dtype; of structured ones, and where numbers do not become it, zeros."""
    if dtype.names or dtype.kind in "SU":
        return np.zeros(values.shape, dtype)
    return values.astype(dtype)


def is_number(dtype):
    return dtype.kind in "biuf" or dtype == ml_dtypes.bfloat16


def fits(name, position, dtype):
    """Whether outputs (position 0) or targets (1) may have the dtype."""
    return is_number(dtype) and (position == 0 or name not in OF_CLASSES or dtype.kind in "iu")


@pytest.mark.parametrize("name", PAIRS)
def test_outputs_and_targets(name):
    """Catches a difference of unsigned integers, big-endian and long double arrays, Booleans taken for classes."""
    assert set(PAIRS) | {"masked_cross_entropy"} | set(RECORDS) == set(losses.__all__)
    for position in (0, 1):
        for dtype in NUMBERS + OTHERS:
            arguments = list(PAIRS[name])
            arguments[position] = cast(arguments[position], dtype)
            if not fits(name, position, dtype):
                with pytest.raises(dl.DataError, match="expects"):
                    getattr(losses, name)(*arguments)
                continue
            found = getattr(losses, name)(*arguments)
            assert found.dtype == np.float32
            expected = getattr(float64, name)(*(each.astype(np.float64) for each in arguments))
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7, err_msg=f"{dtype} at {position}")


RECORDS = {
    "masked_cross_entropy": "logits",
    "mixture_density": "targets",
    "grid_detection": "targets",
    "triplet": "embeddings",
    "mutual_likelihood": "embeddings",
    "mutual_likelihood_scores": "a",
    "arcface": "angles",
    "cosface": "angles",
    "sphereface": "angles",
}


@pytest.mark.parametrize("name", RECORDS)
def test_fields_and_sequences(name):
    """Catches a field of a record, or an argument, that goes by the doors of the others; without compiling the loss."""
    given, door = EXAMPLES[name]()[RECORDS[name]], getattr(losses, name).constraints[RECORDS[name]]
    for dtype in NUMBERS + OTHERS:
        changed = jax.tree.map(lambda leaf, dtype=dtype: cast(np.asarray(leaf), dtype), given)
        if not is_number(dtype):
            with pytest.raises(dl.DataError, match="expects"):
                door.check(name, changed)
            continue
        accepted = door.check(name, changed)
        for leaf, was in zip(jax.tree.leaves(accepted), jax.tree.leaves(changed), strict=True):
            assert leaf.dtype == np.float32
            np.testing.assert_array_equal(leaf, was.astype(np.float32), err_msg=str(dtype))


@pytest.mark.parametrize("name", PAIRS)
def test_masked_arrays(name):
    """Catches a value that the mask hides, trained on; a mask that hides nothing is none."""
    for position in (0, 1):
        arguments = list(PAIRS[name])
        expected = getattr(losses, name)(*arguments)
        arguments[position] = np.ma.array(arguments[position])
        np.testing.assert_array_equal(getattr(losses, name)(*arguments), expected)
        arguments[position] = np.ma.array(arguments[position], mask=np.zeros(arguments[position].shape))
        arguments[position][0] = np.ma.masked
        with pytest.raises(dl.DataError, match="masked: fill or drop them first"):
            getattr(losses, name)(*arguments)


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (np.array([2**24 + 1]), np.array([2**24]), r"It holds 16777217 at \[0\]; expects whole numbers up to 16777216"),
        (np.array([0]), np.array([-(2**40)]), r"targets is int64\[1\]; .* It holds -1099511627776 at \[0\]"),
        (np.array([0], np.uint64), np.array([2**64 - 1], np.uint64), "holds 18446744073709551615"),
        (np.array([1e39]), np.array([0.0]), r"It holds 1e\+39 at \[0\]; expects numbers that fit float32"),
        (np.array([0.0]), np.array([-1e39], np.longdouble), "expects numbers that fit float32. Shift or rescale"),
    ],
)
def test_numbers_that_no_float_holds(outputs, targets, message):
    """Catches 2^24 + 1 taken for 2^24, and 1e39 for infinity."""
    for name in ("squared_error", "absolute_error", "huber", "pinball"):
        with pytest.raises(dl.DataError, match=message):
            getattr(losses, name)(outputs, targets)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("name", OF_CLASSES)
def test_narrow_labels_of_many_classes(name, dtype):
    """Catches a number of classes that wraps around next to labels of 8 bits."""
    logits, label = np.zeros((1, 300)), np.iinfo(dtype).max
    logits[0, label] = 1
    found = jax.jit(getattr(losses, name))(logits, np.array([label], dtype))
    np.testing.assert_allclose(found, getattr(float64, name)(logits, np.array([label])), rtol=1e-5)


def test_traced_labels_of_no_class():
    """Catches -1 taken for the last class, and too large a label for it as well."""
    wrong = np.array([-1, 3])
    for name in OF_CLASSES:
        assert np.isnan(jax.jit(getattr(losses, name))(np.zeros((2, 3)), wrong)).all()
    assert np.isnan(jax.jit(lambda labels: losses.arcface(Angles(jnp.zeros((2, 3)), jnp.ones(2)), labels))(wrong)).all()


def test_identities_are_whole_numbers():
    """Catches identities that JAX cuts to 32 bits, and so takes for one another."""
    x, labels = np.float32([[0], [3], [1], [4]]), np.array([0, 0, 2**32, 2**32])
    assert float(losses.triplet(x, labels, mining="hard")) == pytest.approx(8.2)
    apart = losses.mutual_likelihood(Gaussian(x, 0 * x), np.array([0, 2**32, 2**33, 2**34]))
    assert float(apart) == 0


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision(dtype):
    """Catches a loss that overflows or is rounded in the outputs' dtype; the gradient keeps theirs."""
    outputs = jnp.array([[300.0, -300.0]], dtype)
    assert float(losses.squared_error(outputs, jnp.zeros((1, 2), dtype))[0]) == float(outputs[0, 0]) ** 2
    gradient = jax.grad(lambda z: losses.softmax_cross_entropy(z, jnp.array([1])).sum())(outputs)
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(gradient, [[1, -1]])
