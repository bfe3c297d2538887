"""What enters a model, for all families alike: padding, dtypes, empty batches."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

import dlcore as dl

KEY = jax.random.key(0)
MASK = np.arange(4)[None] < np.array([[4], [2]])
FLOATS = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)


class Mean(nnx.Module):
    """A user's own module of masked sequences."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, x):
        return jnp.where(x.mask[..., None], self.linear(x.values), 0).sum(axis=1)


def small(**options):
    return dl.models.recurrent(3, 2, 2, **{"cell": "simple", **options})


SEQUENCES = {
    "stack": lambda: small(num_layers=2, output="all"),
    "lstm, both ways": lambda: small(cell="lstm", bidirectional=True),
    "truncated gru": lambda: small(cell="gru", truncation=2, output="mean"),
    "tokens": lambda: small(num_tokens=5),
    "mixture density": lambda: dl.models.mixture_density(1, num_units=2, cell="simple", pen=True),
    "embedding": lambda: dl.models.embedding(small(), 2),
    "experts": lambda: dl.models.mixture_of_experts([small(), small()], small(), top_k=1),
    "user's module": lambda: dl.from_nnx(Mean),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.heavy) if name in ("stack", "embedding") else name for name in SEQUENCES],
)
def test_what_a_mask_hides_is_harmless(name):
    """Catches NaN in the gradient of one family, whose outputs are masked, but not what they are computed from."""
    model = SEQUENCES[name]()
    params, state = model.init(KEY)
    shown, hidden = (np.arange(8).reshape(2, 4) % 4 + 1, 99) if name == "tokens" else (FLOATS, np.nan)
    there = MASK if name == "tokens" else MASK[..., None]

    @jax.jit
    @jax.value_and_grad
    def loss(params, values):
        outputs, _ = model.apply(params, state, dl.Masked(values, MASK))
        kept = [
            jnp.where(MASK[..., None], leaf, 0) if leaf.shape[:2] == (2, 4) and leaf.ndim == 3 else leaf
            for leaf in jax.tree.leaves(outputs)
        ]
        return sum(jnp.sum(leaf**2) for leaf in kept)

    clean, holes = (jax.tree.leaves(loss(params, np.where(there, shown, fill))) for fill in (0, hidden))
    assert all(np.isfinite(leaf).all() for leaf in holes)
    assert any(np.any(leaf) for leaf in holes[1:])
    for expected, found in zip(clean, holes, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_hidden_tokens_may_be_anything():
    """Catches a check of ids that looks under the mask, or no longer looks beside it."""
    model = small(num_tokens=5)
    ids = np.where(MASK, 1, -7)
    assert np.isfinite(model.apply(*model.init(KEY), dl.Masked(ids, MASK))[0]).all()
    with pytest.raises(dl.DataError, match="hold 9 at row 1, step 0"):
        model.apply(*model.init(KEY), dl.Masked(np.where(MASK, [[1], [9]], -7), MASK))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (MASK.astype(np.float32), r"the mask is float32\[2, 4\]; expects .*Booleans.* Use mask != 0"),
        (MASK[..., None], r"the mask is \[2, 4, 1\]; expects \[2, 4\], like the sequences. Use mask\[..., 0\]"),
        (MASK * 255, "the mask holds 255; expects 0 and 1, or Booleans"),
        (None, "the mask is None; expects a mask"),
        (np.zeros((2, 4), bool), "the mask hides all steps of row 0"),
    ],
)
def test_masks_that_are_none(mask, message):
    """Catches a weight taken for a mask, and a mask that broadcasts."""
    model = small()
    with pytest.raises(dl.DataError, match=message):
        model.apply(*model.init(KEY), dl.Masked(FLOATS, mask))
    if "!=" in message:
        assert model.apply(*model.init(KEY), dl.Masked(FLOATS, mask != 0))[0].shape == (2, 2), "the fix works"


FAMILIES = {
    "mlp": (dl.models.mlp([4, 3]), (2, 4)),
    "autoencoder": (dl.models.autoencoder([4, 2]), (2, 4)),
    "radial basis": (dl.models.radial_basis([[0.0, 1.0, 2.0, 3.0]], 1.0), (2, 4)),
    "convolutional": (dl.models.convolutional((4, 4), [2], 2, head=()), (2, 4, 4)),
    "convolutional autoencoder": (dl.models.convolutional_autoencoder((4, 4), [2], 2), (2, 4, 4)),
    "resnet": (dl.models.resnet((4, 4), 2, depth=8, width=1), (2, 4, 4)),
    "detector": (dl.models.grid_detector((4, 4), 2, channels=[2]), (2, 4, 4)),
    "recurrent": (dl.models.recurrent(4, 2, 2), (2, 3, 4)),
    "mixture density": (dl.models.mixture_density(2, num_units=2), (2, 3, 2)),
    "embedding": (dl.models.embedding(dl.models.mlp([4, 3]), 3), (2, 4)),
    "experts": (dl.models.mixture_of_experts([dl.models.mlp([4, 3])] * 2, dl.models.mlp([4, 2])), (2, 4)),
    "decomposed": (dl.models.decomposed([dl.models.mlp([2, 3])] * 2, split=lambda x: (x[:, :2], x[:, 2:])), (2, 4)),
    "tokens": (dl.models.recurrent(2, 2, 2, num_tokens=4), (2, 3)),
}
FLOAT_TYPES = ["e", "f", "d", "g", ">f2", ">f4", ">f8", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]
INTEGER_TYPES = ["b", "h", "i", "l", "B", "H", "I", "L", ">i2", ">i4", ">u8"]
OTHER_TYPES = ["?", "F", "D", "G", "O", "S3", "U3", "M8[s]", "m8[s]", ml_dtypes.int4]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_dtype_is_taken_or_refused_in_words(family):
    """Catches JAX's own errors for dtypes that it does not have, and integers that train without a word."""
    model, shape = FAMILIES[family]
    variables = jax.eval_shape(model.init, KEY)

    def outputs(x):
        return jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), jax.eval_shape(lambda p, s: model.apply(p, s, x)[0], *variables)
        )

    taken, refused = (INTEGER_TYPES, FLOAT_TYPES) if family == "tokens" else (FLOAT_TYPES, INTEGER_TYPES)
    expected = outputs(np.ones(shape, taken[2]))
    for dtype in taken:
        assert outputs(np.ones(shape).astype(dtype)) == expected, dtype
    refusals = [np.ones(shape).astype(int).astype(dtype) for dtype in refused + OTHER_TYPES]
    masked = np.ma.array(np.ones(shape, taken[2]), mask=np.arange(np.prod(shape)).reshape(shape) == 1)
    for x in [*refusals, masked, np.ones((0, *shape[1:]), taken[2]), None, "text"]:
        with pytest.raises(dl.DlcoreError):
            outputs(x)


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
def test_dtypes_give_the_same_numbers(dtype):
    """Catches bytes read in the wrong order."""
    model = dl.models.mlp([2, 2])
    x = np.array([[1.0, 2.0], [0.5, -3.0]])
    variables = model.init(KEY)
    expected = model.apply(*variables, x.astype(np.float32))[0]
    np.testing.assert_allclose(model.apply(*variables, x.astype(dtype))[0], expected, rtol=1e-6)
    swapped = jax.tree.map(lambda leaf: np.asarray(leaf).astype(">f8"), variables[0])
    np.testing.assert_allclose(model.apply(swapped, {}, x)[0], expected, rtol=1e-6)


def test_tokens_that_a_trace_cannot_look_at():
    """Catches indices that wrap around or are clamped: another token without a word."""
    model = dl.models.recurrent(2, 2, 2, num_tokens=300, padding=None)
    params, state = model.init(KEY)
    apply = jax.jit(lambda ids: model.apply(params, state, ids)[0])
    np.testing.assert_allclose(apply(np.array([[200, 3]], np.uint8)), apply(np.array([[200, 3]])), rtol=1e-6)
    outputs = apply(np.array([[200, -1], [300, 3], [2**30, 1], [299, 0]]))
    assert np.isnan(outputs).all(axis=1).tolist() == [True, True, True, False]
    with pytest.raises(dl.DataError, match="beyond int32"):
        model.apply(params, state, np.array([[2**32 + 1]]))


def test_rows_that_a_traced_mask_hides():
    """Catches the mean of no steps, and weights of attention that are NaN in the gradient."""
    model = dl.models.sequence_to_sequence(5, 5, num_units=2, embedding_size=2, cell="simple")
    params, state = model.init(KEY)
    loss = jax.jit(jax.value_and_grad(lambda params, source: model.apply(params, state, (source, source))[0].sum()))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(loss(params, np.zeros((1, 2), int))))
