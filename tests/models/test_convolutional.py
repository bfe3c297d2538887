"""Convolutional families keep the contract of models and have the published sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_contract import Case, ModelContract

import dlcore as dl


def striped(num_train: int = 32) -> dl.data.Dataset:
    """Gray images [N, 8, 8] with noise, stripes upright (0), level (1) or none (2)."""
    random = np.random.default_rng(0)
    labels = (np.arange(num_train) % 3).astype(np.int32)
    inputs = random.normal(size=(num_train, 8, 8)).astype(np.float32)
    inputs[labels == 0, :, ::2] += 1.5
    inputs[labels == 1, ::2, :] += 1.5
    return dl.data.Dataset(dl.data.Split(inputs, labels), name="stripes")


def classified(model) -> dl.tasks.Task:
    """The model at stripes."""
    return dl.tasks.classification(model, striped())


class TestConvolutional(ModelContract):
    """Plain, with every normalization and pooling, and residual."""

    CASES = {
        "convolutional": Case(
            lambda: classified(dl.models.convolutional((8, 8), [6, 8], 3, activation="silu", head=(16,))),
        ),
        "batch_average_maxout": Case(
            lambda: classified(
                dl.models.convolutional(
                    (8, 8, 1), [8], 3, activation="maxout", normalization="batch", pool="average", head=()
                )
            ),
        ),
        "group_global": Case(
            lambda: classified(
                dl.models.convolutional(
                    (8, 8), [16, 16], 3, activation="silu", normalization="group", global_pooling=True, head=()
                )
            ),
            num_steps=150,
            learning_rate=0.02,
            heavy=True,
        ),
        "resnet": Case(
            lambda: classified(dl.models.resnet((8, 8), 3, depth=8, width=4, activation="silu")),
            learning_rate=0.02,
            heavy=True,
        ),
    }


@pytest.mark.parametrize(
    ("model", "shape", "count"),
    [
        (lambda: dl.models.lenet(), (28, 28), 61_706),
        (lambda: dl.models.deepobs_2c2d(), (28, 28), 3_274_634),
        (lambda: dl.models.deepobs_3c3d(), (32, 32, 3), 895_210),
        (
            lambda: dl.models.convolutional((28, 28), [32, 64], 10, padding="VALID", head=(), dropout=0.5),
            (28, 28),
            34_826,  # keras.io, examples/vision/mnist_convnet
        ),
        (lambda: dl.models.resnet((32, 32, 3), 10, depth=20), (32, 32, 3), 269_722),
    ],
    ids=["lenet", "2c2d", "3c3d", "keras", "resnet20"],
)
def test_published_sizes(model, shape, count):
    """Catches a layer, a bias or a padding that differs from the published network."""
    model = model()
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
    output = jax.eval_shape(lambda p, s, x: model.apply(p, s, x)[0], params, state, jnp.zeros((2, *shape)))
    assert output.shape == (2, 10)


def test_deepobs_starts_as_published():
    """Catches initializers swapped: 2c2d draws from N(0, 0.05) cut at two deviations, 3c3d by Glorot."""
    params, _ = jax.jit(dl.models.deepobs_2c2d((10, 10)).init)(jax.random.key(0))
    kernel = np.asarray(params["blocks"][1]["convolution"]["kernel"])
    assert kernel.std() == pytest.approx(0.05 * 0.8796, rel=0.02)
    assert np.abs(kernel).max() <= 0.1
    assert all((leaf == np.float32(0.05)).all() for leaf in jax.tree.leaves(params) if leaf.ndim == 1)
    params, _ = jax.jit(dl.models.deepobs_3c3d((20, 20, 3)).init)(jax.random.key(0))
    kernel = np.asarray(params["blocks"][1]["convolution"]["kernel"])
    assert kernel.std() == pytest.approx((2 / (9 * (64 + 96))) ** 0.5, rel=0.02)
    dense = np.asarray(params["head"]["layers"][1]["linear"]["kernel"])
    assert np.abs(dense).max() == pytest.approx((6 / (512 + 256)) ** 0.5, rel=0.01)


def test_dropout_can_be_swept():
    """Catches a check or a branch in Python on a traced rate."""
    import optax

    def fit(rate):
        model = dl.models.convolutional((8, 8), [2], 3, head=(), dropout=rate)
        return dl.training(
            jax.random.key(0), classified(model), optax.sgd(0.0), batch_size="full", num_steps=1, evaluate=("train",)
        )

    runs = dl.sweep(fit, rate=np.float32([0.0, 0.5]))
    losses = runs.batch_loss.isel(step=1).values
    assert losses[0] == pytest.approx(float(runs.train_loss[0, 1]), rel=1e-6)
    assert losses[1] != losses[0]


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: dl.models.convolutional((8, 8), [4], 3, kernel_size=9), "block 0: kernel_size is 9, .* 8 x 8"),
        (lambda: dl.models.convolutional((8, 8), [4], 3, kernel_size=0), "kernel_size is 0; expects an integer from 1"),
        (lambda: dl.models.convolutional((8, 8), [4], 3, kernel_size=[3, 3]), "one for each of 1 blocks"),
        (lambda: dl.models.convolutional((8, 8), [4, 4, 4, 4], 3, kernel_size=1), "block 3: pool_size is 2, .* 1 x 1"),
        (
            lambda: dl.models.convolutional((8, 8), [], 3),
            r"channels is \[\]; expects a sequence of 1 to 1000 positive integers",
        ),
        (lambda: dl.models.convolutional((8, 8), [4, -1], 3), r"channels is \[4, -1\]"),
        (lambda: dl.models.convolutional((8, 8), [4], 0), "num_outputs is 0; expects an integer from 1"),
        (lambda: dl.models.convolutional((8,), [4], 3), r"image_shape is \(8,\); expects \(height, width\)"),
        (lambda: dl.models.convolutional((8, 8), [4], 3, pool="maxx"), "pool is 'maxx'; .* Did you mean 'max'"),
        (lambda: dl.models.convolutional((8, 8), [4], 3, normalization="bath"), "Did you mean 'batch'"),
        (
            lambda: dl.models.convolutional((8, 8), [4], 3, padding="same"),
            "padding is 'same'; expects one of 'SAME', 'VALID'",
        ),
        (lambda: dl.models.convolutional((8, 8), [4], 3, dropout=1.5), "dropout is 1.5"),
        (lambda: dl.models.resnet((8, 8), 3, depth=18), "depth is 18; expects 6 n .* Nearest: 20"),
        (lambda: dl.models.resnet((8, 8), 3, activation="maxout"), "keeps the number of channels"),
    ],
)
def test_bad_arguments(build, text):
    """Catches a bad argument that gets through, or an error that does not say what is wrong."""
    with pytest.raises(dl.ArgumentError, match=text):
        build()


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (np.ones((5, 64), np.float32), r"convolutional: inputs are float32\[5, 64\]; .* \[B, 8, 8, 1\] or \[B, 8, 8\]"),
        (np.ones((5, 8, 9), np.float32), r"float32\[5, 8, 9\]"),
        (np.ones((5, 8, 8), np.uint8), r"uint8\[5, 8, 8\]; the first layer expects floats"),
    ],
)
def test_bad_inputs(inputs, text):
    """Catches images of another rank, size or type that get through."""
    model = dl.models.convolutional((8, 8), [2], 3)
    with pytest.raises(dl.DataError, match=text):
        model.apply(*model.init(jax.random.key(0)), inputs)
