"""Options of layers, in every model that has such layers: normalizations, groups, pooling, cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dlcore as dl
from dlcore.nn.convolution import Convolution, TransposedConvolution
from dlcore.nn.pooling import average_pool, max_pool

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
ROWS = IMAGES.reshape(8, 64)
NORMALIZED = {
    "mlp": (lambda n: dl.models.mlp([64, 6, 4, 3], normalization=n), ROWS),
    "convolutional": (lambda n: dl.models.convolutional((8, 8), [4], 3, normalization=n, head=()), IMAGES),
    "resnet": (lambda n: dl.models.resnet((8, 8), 3, depth=8, width=2, normalization=n), IMAGES),
    "grid_detector": (lambda n: dl.models.grid_detector((8, 8), 3, channels=[4], normalization=n), IMAGES),
    "autoencoder": (lambda n: dl.models.autoencoder([64, 8, 4], normalization=n), ROWS),
    "convolutional_autoencoder": (
        lambda n: dl.models.convolutional_autoencoder((8, 8), [2, 4], 3, normalization=n),
        IMAGES,
    ),
}


@pytest.mark.parametrize("name", NORMALIZED)
def test_normalization_reaches_every_model(name):
    """Catches a model that leaves the normalization or its epsilon out: a huge one makes all examples alike."""
    build, x = NORMALIZED[name]

    def spread(normalization):
        model = build(normalization)
        outputs = jax.jit(lambda key, x: model.apply(*model.init(key), x)[0])(KEY, x)
        return max(float(jnp.std(leaf, axis=0).max()) for leaf in jax.tree.leaves(outputs))

    assert spread(dl.models.group_norm(2, epsilon=1e6)) < 0.02 < spread("layer" if x is ROWS else "group") / 5


@pytest.mark.parametrize("name", NORMALIZED)
@pytest.mark.parametrize("option", [None, "batch", "layer", dl.models.batch_norm(momentum=0.5)])
def test_every_model_takes_every_normalization(name, option):
    """Catches a bias beside that of a normalization, or none at all; statistics that are no state."""
    build, x = NORMALIZED[name]
    _, state = jax.eval_shape(build(option).init, KEY)
    output, after = jax.eval_shape(
        lambda x: build(option).apply(*build(option).init(KEY), x, key=KEY, train=True), jnp.asarray(x)
    )
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert bool(jax.tree.leaves(state)) == (option not in (None, "layer"))
    assert jax.tree.leaves(output)[0].shape[0] == 8


def test_without_normalization_convolutions_have_biases():
    """Catches networks that cannot shift anything once their normalization is gone."""
    for build in (NORMALIZED["resnet"][0], NORMALIZED["grid_detector"][0]):
        blocks = jax.eval_shape(build(None).init, KEY)[0]["blocks"]
        assert "'bias'" in str(jax.tree_util.tree_leaves_with_path(blocks))


def test_momentum_and_epsilon_by_hand():
    """Catches PyTorch's momentum for Flax's, and an epsilon added to the deviation."""
    x = np.array([[1.0], [3.0]], np.float32)
    options = dl.models.batch_norm(momentum=0.75, epsilon=3.0, unbiased=True)
    model = dl.models.mlp([1, 1, 1], "identity", initializer=nnx.initializers.ones, normalization=options)
    output, state = model.apply(*model.init(KEY), x, train=True)
    np.testing.assert_allclose(state["norms"][0]["mean"], [0.25 * 2.0], rtol=1e-6)
    np.testing.assert_allclose(state["norms"][0]["var"], [0.75 + 0.25 * 2.0], rtol=1e-6)
    np.testing.assert_allclose(output, [[-0.5], [0.5]], rtol=1e-6)


def test_pooling_of_a_network():
    """Catches options that the network does not hand on."""
    options = {"pool": "average", "pool_strides": 1, "pool_padding": "SAME", "activation": "identity"}
    options |= {"kernel_size": 1, "head": (), "global_pooling": True, "initializer": nnx.initializers.ones}
    model = dl.models.convolutional((8, 8), [1], 1, **options, pool_dilation=2, pool_counts_padding=True)
    output, _ = model.apply(*model.init(KEY), IMAGES)
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1)))
    means = sum(padded[:, i : i + 8, j : j + 8] for i in (0, 2) for j in (0, 2)) / 4
    np.testing.assert_allclose(output[:, 0], means.mean(axis=(1, 2)), atol=1e-6)


def test_pooling_of_small_integers():
    """Catches sums of pixels that wrap around, and -inf as an integer."""
    x = np.full((1, 2, 2, 1), 200, np.uint8)
    assert float(average_pool(x, 2)[0, 0, 0, 0]) == 200
    assert int(max_pool(-np.ones((1, 2, 2, 1), np.int8), 2, 1, 1).max()) == -1


def test_groups_see_their_own_channels():
    """Catches groups that are dropped on the way to the layers."""
    pictures = (8, 8, 2)
    model = dl.models.convolutional(pictures, [4, 4], 3, num_groups=(2, 4), head=())
    shapes = jax.tree.map(jnp.shape, jax.eval_shape(model.init, KEY)[0]["blocks"])
    assert [shapes[i]["convolution"]["kernel"] for i in range(2)] == [(3, 3, 1, 4), (3, 3, 1, 4)]
    model = dl.models.convolutional_autoencoder(pictures, [4, 8], 3, num_groups=(2, 4))
    shapes = jax.tree.map(jnp.shape, jax.eval_shape(model.init, KEY)[0])
    assert [shapes["encoder"]["layers"][i]["kernel"] for i in range(2)] == [(3, 3, 1, 4), (3, 3, 1, 8)]
    assert [shapes["decoder"]["layers"][i]["kernel"] for i in range(2)] == [(3, 3, 2, 4), (3, 3, 2, 2)]
    layer = TransposedConvolution(2, 4, (2, 2), 2, feature_group_count=2, rngs=nnx.Rngs(0))
    x = jnp.zeros((1, 2, 2, 2)).at[..., 1].set(1)
    assert not layer(x)[..., :2].any()
    assert layer(x)[..., 2:].any()


@pytest.mark.parametrize(
    ("build", "num_layers"),
    [
        (lambda cell: dl.models.recurrent(2, 3, 1, cell=cell, num_layers=2), 2),
        (lambda cell: dl.models.sequence_to_sequence(5, 5, num_units=4, embedding_size=2, cell=cell), 2),
        (lambda cell: dl.models.mixture_density(2, num_units=3, cell=cell), 1),
    ],
)
def test_cells_reach_every_model(build, num_layers):
    """Catches a model with a list of cells of its own."""
    paths = str(jax.tree_util.tree_leaves_with_path(jax.eval_shape(build("lstm_peephole").init, KEY)[0]))
    assert paths.count("peepholes") == num_layers
    jax.eval_shape(build("gru_reset_before").init, KEY)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: dl.models.mlp([4, 6, 3], normalization=dl.models.group_norm(4)), "num_groups=4, .* 6 .* e.g. 6"),
        (lambda: dl.models.resnet((8, 8), 3, width=2, normalization=dl.models.group_norm(4)), r"all of \[2, 4, 8\]"),
        (lambda: dl.models.mlp([4, 3], normalization=dl.models.group_norm), "or a Normalization, e.g. dl.models.group"),
        (lambda: dl.models.layer_norm(epsilon=0), "epsilon is 0; expects a finite number, 1e-12 or more"),
        (lambda: dl.models.batch_norm(momentum=1), "momentum is 1; .* below 1"),
        (lambda: jax.jit(lambda e: dl.models.layer_norm(epsilon=e) and e)(0.1), "pass it as a list, a static axis"),
        (lambda: dl.models.convolutional((8, 8), [4], 3, num_groups=2), "groups is 2, of channels 1 in and 4 out"),
        (lambda: dl.models.convolutional((8, 8), [4], 3, num_groups=(1, 1)), "one for each of 1 blocks"),
        (lambda: dl.models.convolutional((8, 8), [4], 3, pool_dilation=8), "pool_size, dilated, is 9"),
        (lambda: dl.models.convolutional((8, 8), [4], 3, pool_counts_padding=True), "pool='max'; expects pool=\"aver"),
        (lambda: dl.models.convolutional_autoencoder((8, 8), [4], 3, num_groups=(2,)), "e.g. 1"),
        (lambda: Convolution(2, 2, (3, 3), precision="highest", rngs=nnx.Rngs(0)), "precision is given, which this"),
        (lambda: TransposedConvolution(2, 3, (3, 3), feature_group_count=2, rngs=nnx.Rngs(0)), "2 in and 3 out"),
        (lambda: max_pool(IMAGES[..., None], 2, 2, 3), "one of them meets nothing but padding"),
        (lambda: max_pool(IMAGES[..., None], 2, padding=[1.5, 1]), "expects an integer or a pair"),
    ],
)
def test_bad_options(build, text):
    """Catches options that do not fit, or that have no effect."""
    with pytest.raises(dl.ArgumentError, match=text):
        build()


@pytest.mark.parametrize(("normalization", "width"), [("group", 8), ("layer", 1), (dl.models.group_norm(3), 3)])
def test_one_value_is_not_normalized(normalization, width):
    """Catches a network that is 0 whatever it gets."""
    model = dl.models.mlp([64, width, 3], normalization=normalization)
    with pytest.raises(dl.DataError, match=r"one value to a (group|layer), which it makes 0"):
        jax.eval_shape(lambda x: model.apply(*model.init(KEY), x), jnp.asarray(ROWS))
