"""Operations of functions, next to hand counts and to XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

import dlcore as dl
from dlcore.engine.devices import Constants
from dlcore.engine.planning.flops import flops_of
from dlcore.engine.traced import trace
from dlcore.nn.convolution import convolve

MATRIX = np.ones((20, 20), np.float32)
PRODUCT = 2 * 20**3


def counted(function, *arguments):
    """The count alone, of one that is exact."""
    flops = flops_of(function, *arguments)
    assert flops.exact
    return flops.count


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda x: x @ x, PRODUCT),
        (lambda x: jnp.tanh(x + 1) - x, 3 * 400),
        (lambda x: jax.jit(lambda y: y @ y)(x), PRODUCT),
        (lambda x: jax.checkpoint(lambda y: y @ y)(x), PRODUCT),
        (lambda x: jax.nn.relu(x), 400),
        (lambda x: jax.lax.scan(lambda y, _: (y @ x, None), x, length=7)[0], 7 * PRODUCT),
        (lambda x: jax.lax.fori_loop(0, 7, lambda _, y: y @ x, x), 7 * PRODUCT),
        (lambda x: jax.lax.map(lambda row: row * 2, x), 400),
        (lambda x: jax.lax.cond(x[0, 0] > 0, lambda y: y @ y, lambda y: y * 2, x), PRODUCT),
        (lambda x: jax.vmap(lambda row: x @ row)(x), PRODUCT),
        (lambda x: x.sum(), 400),
        (lambda x: x.at[0].add(x[1]), 20),
        (lambda x: x**3, 2 * 400),
        (lambda x: jnp.linalg.cholesky(x, symmetrize_input=False).sum(), 400 + 20**3 / 3),
        (lambda x: x.astype(jnp.int32) + 3, 0),
        (lambda x: (x @ x, x * 2)[1], 400),
    ],
)
def test_counts_of_small_functions(function, count):
    """Catches a loop whose body counts once, calls that are left out, integers and unused results that count."""
    assert counted(function, MATRIX) == pytest.approx(count)


def test_a_loop_that_ends_on_a_condition_is_not_exact():
    """Catches a count that passes for exact where nobody knows how often a body runs."""
    flops = flops_of(lambda x: jax.lax.while_loop(lambda y: y[0, 0] < 9, lambda y: y @ y, x), MATRIX)
    assert flops.count == PRODUCT
    assert not flops.exact
    inside = flops_of(
        lambda x: jax.lax.scan(
            lambda c, _: (jax.lax.while_loop(lambda y: y[0, 0] < 9, lambda y: y @ y, c), None), x, length=3
        )[0],
        MATRIX,
    )
    assert inside.count == 3 * PRODUCT
    assert not inside.exact


def test_convolutions():
    """Catches groups, strides and features that count wrongly: multiplications and additions of each output."""
    image, kernel = np.ones((2, 8, 8, 6), np.float32), np.ones((3, 3, 3, 4), np.float32)

    def convolved(image, kernel):
        return jax.lax.conv_general_dilated(
            image, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=2
        )

    assert counted(convolved, image, kernel) == 2 * (2 * 3 * 3 * 4) * (3 * 3 * 3)


def test_next_to_xla_where_there_is_no_loop():
    """Catches formulas of our own: of a step of descent, XLA's count before it optimizes differs by a few percent."""
    x, y = np.ones((16, 30), np.float32), np.ones((16, 10), np.float32)
    params = (np.ones((30, 40), np.float32), np.ones((40, 10), np.float32))

    def step(params, x, y):
        gradient = jax.grad(lambda p: jnp.mean((jnp.tanh(x @ p[0]) @ p[1] - y) ** 2))(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)

    theirs = jax.jit(step).lower(params, x, y).cost_analysis()["flops"]
    assert counted(step, params, x, y) == pytest.approx(theirs, rel=0.05)


def advance_flops(task, batch_size):
    """Operations of an epoch of a training of this task, without evaluation."""

    def make(cell):
        return dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=batch_size, num_epochs=1, evaluate=())

    traced = trace(make, {}, Constants())
    return counted(traced.advance.call, traced.advance.constants, {}, traced.state)


def test_an_epoch_of_a_dense_network():
    """Catches steps that count once an epoch; every layer makes three products, the first no gradient of its inputs."""
    data = dl.data.first(dl.data.digits(), 256)
    task = dl.tasks.classification(dl.models.mlp([64, 128, 10]), data)
    steps = data.train.num_rows // 32
    products = steps * 32 * 2 * (2 * 64 * 128 + 3 * 128 * 10)
    assert products < advance_flops(task, 32) < 1.04 * products


def test_an_epoch_of_a_convolutional_network():
    """Catches convolutions that count as what their slices and gradients are copied by."""
    images = np.zeros((64, 28, 28, 1), np.float32)
    task = dl.tasks.classification(dl.models.lenet(), dl.data.Dataset((images, np.arange(64) % 10)))
    first, second = 28 * 28 * 6 * 5 * 5, 10 * 10 * 16 * 5 * 5 * 6
    dense = 400 * 120 + 120 * 84 + 84 * 10
    products = 64 * 2 * (2 * first + 3 * second + 3 * dense)
    assert products < advance_flops(task, 32) < 1.08 * products


def test_the_small_network_of_the_tests_by_hand():
    """Catches lanes or evaluation that are left out: 3 epochs of 4 steps, whole splits after each and at the start."""
    found = dl.plan(small.fit, seed=np.arange(2), measure=False).programs[0].flops
    weights = 4 * 5 + 5 * 3
    steps = 3 * 24 * 2 * (2 * 4 * 5 + 3 * 5 * 3)
    evaluations = 4 * (24 + 8) * 2 * weights
    assert steps + evaluations < found < 2.5 * (steps + evaluations)  # so small that activations and losses count


def test_convolutions_by_the_library():
    """Catches one of the three products of a convolution and its gradients that is not counted as the others."""
    x, kernel = jnp.ones((2, 5, 5, 4)), jnp.ones((3, 3, 4, 20))

    def loss(x, kernel):
        return convolve(x, kernel, form="library").sum()

    one = 2 * (2 * 5 * 5 * 20) * (3 * 3 * 4)
    assert counted(lambda x, kernel: convolve(x, kernel, form="library"), x, kernel) == one
    assert counted(jax.grad(loss, (0, 1)), x, kernel) == 2 * one
