"""What every model family promises. A test file of a family subclasses `ModelContract` and lists its cases."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import dlcore as dl


class Case(NamedTuple):
    """A tiny model at work.

    task: makes a task with 32 train examples.
    learning_rate: with which Adam overfits them in `num_steps` full-batch steps.
    remaining: share of the initial training loss below which it counts as overfitted.
    lowest: the loss that no model can go below, where that is not 0 (entropies, densities).
    inputs: the model's inputs in the form it takes, where they are not the inputs of the data set.
    heavy: takes long to compile, and another case has its family: run by `make verify`, not by `make test`.
    """

    task: Callable[[], dl.tasks.Task]
    learning_rate: float = 0.01
    num_steps: int = 100
    remaining: float = 0.05
    lowest: float = 0.0
    inputs: Callable[[dl.data.Split], Any] = lambda split: split.inputs
    heavy: bool = False


def leaves(tree: Any) -> list[np.ndarray]:
    """The arrays of a tree, on the host."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def assert_close(a: Any, b: Any, tolerance: float) -> None:
    """Trees agree to `tolerance`, relative to the largest value of each array."""
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * (1e-3 + np.max(np.abs(y), initial=0)))


def in_double(leaf: Any) -> jax.Array:
    """Floats as float64, everything else as it is."""
    floating = jnp.issubdtype(leaf.dtype, jnp.floating)
    return jnp.asarray(leaf, jnp.float64 if floating else leaf.dtype)


class Prepared(NamedTuple):
    """What the tests of a case share, so that each program is compiled once.

    variables: params and state of seed 0. evaluate: (params, state, x) to the output. train: the same with a key to
    output and next state.
    """

    task: dl.tasks.Task
    x: Any
    init: Callable[..., Any]
    variables: tuple[Any, Any]
    evaluate: Callable[..., Any]
    train: Callable[..., Any]


@functools.lru_cache(maxsize=2)
def prepared(case: Case) -> Prepared:
    """The case at work; of the last few only, to save memory."""
    task = case.task()
    init = jax.jit(task.model.init)
    return Prepared(
        task=task,
        x=case.inputs(task.data.train),
        init=init,
        variables=init(jax.random.key(0)),
        evaluate=jax.jit(lambda params, state, x: task.model.apply(params, state, x)[0]),
        train=jax.jit(lambda params, state, x, key: task.model.apply(params, state, x, key=key, train=True)),
    )


class ModelContract:
    """Subclass it in a file `tests/models/test_*.py`; each test runs for each case.

    ONCE: those that `make test` runs for the first case only.
    """

    CASES: ClassVar[Mapping[str, Case]] = {}
    ONCE = ("test_overfits_in_a_sweep", "test_jit_equals_eager")

    def test_pure_in_its_key(self, case):
        """Catches hidden seeds, an init that ignores its key, noise that changes from call to call."""
        _, x, init, first, _, train = prepared(case)
        again, other = (init(jax.random.key(seed)) for seed in (0, 1))
        assert_close(first, again, 0)
        assert any(not np.array_equal(a, b) for a, b in zip(leaves(first), leaves(other), strict=True))
        assert all(type(tree) is dict for tree in first), "params and state are plain dictionaries"
        once, twice = (train(*first, x, jax.random.key(2)) for _ in range(2))
        assert_close(once, twice, 0)
        assert jax.tree.structure(once[1]) == jax.tree.structure(first[1])

    def test_jit_equals_eager(self, case):
        """Catches Python branches on values, and state that changes outside of what is returned."""
        task, x, _, variables, evaluate, train = prepared(case)
        key = jax.random.key(1)
        assert_close(evaluate(*variables, x), task.model.apply(*variables, x)[0], 1e-5)
        assert_close(train(*variables, x, key), task.model.apply(*variables, x, key=key, train=True), 1e-5)

    def test_batch_order_does_not_matter(self, case):
        """Catches examples that leak into each other: a softmax or a norm over the wrong axis."""
        _, x, _, variables, evaluate, _ = prepared(case)
        order = np.random.default_rng(0).permutation(len(jax.tree.leaves(x)[0]))
        moved = evaluate(*variables, jax.tree.map(lambda values: values[order], x))
        assert_close(moved, jax.tree.map(lambda values: values[order], evaluate(*variables, x)), 1e-5)

    def test_gradient_equals_finite_differences(self, case):
        """Catches a wrong or missing derivative, a stray stop_gradient, NaN where a branch is masked out."""
        task, (params, state) = prepared(case).task, prepared(case).variables
        with jax.enable_x64(True):
            params, state, batch = jax.tree.map(in_double, (params, state, task.data.train))
            rng = np.random.default_rng(1)
            direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)

            @jax.jit
            @jax.value_and_grad
            def loss(distance):
                moved = jax.tree.map(lambda leaf, way: leaf + distance * way, params, direction)
                return task.objective(moved, state, batch, key=jax.random.key(1), train=True)[0]

            step = 1e-6  # equal pixels pass the kink of a ReLU together: with 1e-5 they did
            (low, _), (_, slope), (high, _) = (loss(jnp.asarray(distance)) for distance in (-step, 0.0, step))
            slope, difference = float(slope), float(high - low) / (2 * step)
        assert np.isfinite(slope)
        assert slope != 0
        np.testing.assert_allclose(slope, difference, rtol=1e-4)

    def test_overfits_in_a_sweep(self, case):
        """Catches a model that cannot learn, or that a study cannot map over seeds and learning rates."""
        task = prepared(case).task
        assert len(task.data.train.inputs) == 32

        def fit(seed, learning_rate):
            optimizer = optax.adam(learning_rate)
            return dl.training(
                jax.random.key(seed),
                task,
                optimizer,
                batch_size="full",
                num_steps=case.num_steps,
                record_every=case.num_steps,
                evaluate=("train",),
            )

        axes = {"seed": jnp.arange(2), "learning_rate": jnp.array([0.0, case.learning_rate])}
        runs = dl.sweep(fit, **axes, lane_width=2)
        assert runs.finite.all()
        loss = runs.train_loss - case.lowest
        if not leaves(prepared(case).variables[1]):  # running averages move without any learning
            np.testing.assert_allclose(
                loss.isel(learning_rate=0, step=-1), loss.isel(learning_rate=0, step=0), rtol=1e-2
            )
        share = (loss.isel(learning_rate=1, step=-1) / loss.isel(learning_rate=1, step=0)).values
        assert (share < case.remaining).all(), f"share of the loss that remains: {share}"
        assert (loss.isel(learning_rate=1, seed=0) != loss.isel(learning_rate=1, seed=1)).any(), (
            "seeds make a difference"
        )
        alone = dl.sweep(fit, seed=jnp.array([1]), learning_rate=jnp.array([case.learning_rate]), lane_width=2)
        assert alone.train_loss.values.tobytes() == runs.train_loss.values[1:, 1:].tobytes()
