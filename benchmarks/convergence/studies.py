"""Measurements made for one claim each: gradients, determinism, endurance, shuffling, wells, size of the train set."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

import dlcore as dl
from benchmarks.convergence.measure import (
    FIRST_SEED,
    GRID,
    Scale,
    grid,
    linear_rate,
    noise_floor,
    published,
    size_of,
    steps_to,
    timed,
)
from benchmarks.convergence.problems import PROBLEMS, BatchSize, Problem, logistic_loss, newton, with_gap
from dlcore.core.dataset import Split
from dlcore.core.order import Sampling
from dlcore.core.task import Task
from dlcore.evidence import convergence


def gradients(scale: Scale) -> xr.Dataset:
    """How far one example's gradient, and the mean of all of them, are from the gradient over the whole set.

    Returns:
      single, mean: relative distances ||g - full|| / ||full||, dims (problem, seed); single: median over examples.
    """

    def distances(problem: Problem, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        task, data = problem.task, jax.tree.map(jnp.asarray, problem.task.data.train)
        params, state = task.model.init(key)

        def gradient(batch):
            found = jax.grad(lambda p: task.objective(p, state, batch)[0])(params)
            return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(found)])

        full = gradient(data)
        each = jax.lax.map(lambda row: gradient(jax.tree.map(lambda leaf: leaf[None], row)), data, batch_size=64)
        norm = jnp.linalg.norm(full)
        single = jnp.median(jnp.linalg.norm(each - full, axis=1)) / norm
        return single, jnp.linalg.norm(each.mean(0) - full) / norm

    keys = [jax.random.key(FIRST_SEED + i) for i in range(scale.num_seeds)]
    compiled = {name: jax.jit(functools.partial(distances, PROBLEMS[name]())) for name in scale.problems}
    values = np.array([[function(key) for key in keys] for function in compiled.values()])
    dims = ("problem", "seed")
    return xr.Dataset(
        {"single": (dims, values[..., 0]), "mean": (dims, values[..., 1])}, coords={"problem": list(compiled)}
    )


def determinism(scale: Scale) -> xr.Dataset:
    """Train gap after some epochs from one start, under several orders of the examples.

    Returns:
      gap, dims (problem, batch_size, seed); repeats, dims (problem): whether single-sample descent gives the
      same bits again for the same seeds.
    """
    epochs: dict[BatchSize, int] = {"full": 20, 1: 2}

    def final_gap(problem: Problem, batch_size: BatchSize) -> np.ndarray:
        model = problem.task.model
        same_start = model._replace(init=lambda key: model.init(jax.random.key(0)))
        fixed = problem._replace(task=problem.task._replace(model=same_start))
        rate = problem.learning_rates[batch_size] / 2
        history = grid(fixed, batch_size, epochs=epochs[batch_size], learning_rates=[rate], num_seeds=scale.num_seeds)
        return history.train_gap.isel(decay=0, learning_rate=0, step=-1).values

    problems = [PROBLEMS[name]() for name in scale.problems]
    values = np.stack([[final_gap(problem, size) for size in epochs] for problem in problems])
    again = np.stack([final_gap(problem, 1) for problem in problems])
    return xr.Dataset(
        {
            "gap": (("problem", "batch_size", "seed"), values),
            "repeats": ("problem", (values[:, 1] == again).all(axis=1)),
        },
        coords={"problem": list(scale.problems), "batch_size": [str(size) for size in epochs]},
    )


def endurance(scale: Scale) -> xr.Dataset:
    """The train gap that long runs end at, at the rate that makes it smallest; problems with a known optimum.

    Full batch gets 3 000 epochs, single examples 200 with a constant and with a decaying rate.

    Returns:
      gap, dims (problem, descent, seed): the geometric mean of the last tenth of the records.
    """
    methods: dict[str, tuple[BatchSize, float, int]] = {
        "full": ("full", 0.0, 3000),
        "1 constant": (1, 0.0, 200),
        "1 decaying": (1, 1.0, 200),
    }
    names = [name for name in scale.problems if name != "network"]

    def measured(problem: Problem, batch_size: BatchSize, decay: float, epochs: float) -> np.ndarray:
        def run_rates(rates):
            # Full-batch descent is deterministic here (see `determinism`): one run stands for all seeds.
            seeds = 1 if batch_size == "full" else scale.num_seeds
            history = grid(
                problem,
                batch_size,
                epochs=epochs * scale.epochs,
                learning_rates=rates,
                num_seeds=seeds,
                decays=(decay,),
                num_records=100 if problem.name == "noisy_quadratic" else None,
            ).isel(decay=0)
            late = history.train_gap.isel(step=slice(-history.sizes["step"] // 10, None))
            return xr.Dataset({"gap": np.exp(np.log(np.abs(late) + 1e-12).mean("step")).fillna(np.inf)})

        first = problem.learning_rates[batch_size] * GRID / (1 if batch_size == "full" else 8)
        found = convergence.tune(run_rates, first, lambda history: history.gap.median("seed"), max_rounds=3)
        gap = found.history.gap.sel(learning_rate=float(found.best), method="nearest").values
        return np.broadcast_to(gap, scale.num_seeds)

    values = np.stack([[measured(PROBLEMS[name](), *method) for method in methods.values()] for name in names])
    coords = {"problem": names, "descent": list(methods)}
    return xr.Dataset({"gap": (("problem", "descent", "seed"), values)}, coords=coords)


def shuffling(scale: Scale) -> xr.Dataset:
    """Train gap after a few epochs over data stored in the order of its targets, by how the examples are drawn.

    Returns:
      gap, dims (problem, sampling, seed): single examples, at the best rate of each way of drawing; and "full
      in_order", "full shuffled": full batch over the sorted data and over the same data shuffled.
    """
    samplings: list[Sampling] = ["in_order", "shuffle_once", "reshuffle"]
    names = [name for name in scale.problems if name != "noisy_quadratic"]

    def single(problem: Problem, sampling: Sampling) -> np.ndarray:
        rates = problem.learning_rates[1] * 2.0 ** np.arange(-5, 3)
        history = grid(
            problem, 1, epochs=5 * scale.epochs, learning_rates=rates, num_seeds=scale.num_seeds, sampling=sampling
        )
        gap = history.train_gap.isel(decay=0, step=-1).fillna(np.inf)
        return gap.isel(learning_rate=int(gap.median("seed").argmin("learning_rate"))).values

    def full(problem: Problem) -> np.ndarray:
        rate = problem.learning_rates["full"] / 2
        history = grid(problem, "full", epochs=20, learning_rates=[rate], num_seeds=scale.num_seeds)
        return history.train_gap.isel(decay=0, learning_rate=0, step=-1).values

    def every_way(problem: Problem) -> list[np.ndarray]:
        rows = np.argsort(problem.task.data.train.targets, kind="stable")
        stored = _rearranged(problem, rows)
        shuffled = _rearranged(problem, np.random.default_rng(0).permutation(rows))
        return [*(single(stored, sampling) for sampling in samplings), full(stored), full(shuffled)]

    values = np.stack([every_way(PROBLEMS[name]()) for name in names])
    coords = {"problem": names, "sampling": [*samplings, "full in_order", "full shuffled"]}
    return xr.Dataset({"gap": (("problem", "sampling", "seed"), values)}, coords=coords)


def _rearranged(problem: Problem, rows: np.ndarray) -> Problem:
    """The problem with its train examples stored in another order."""
    train = problem.task.data.train
    data = dataclasses.replace(problem.task.data, train=Split(train.inputs[rows], train.targets[rows]))
    return problem._replace(task=problem.task._replace(data=data))


# (depth, width, place) of the shallow well, where runs start, and of the deep one.
WELLS = {
    "deep well flat": ((0.4, 0.25, -1.0), (1.0, 0.6, 1.0)),
    "deep well sharp": ((0.4, 0.25, -1.0), (1.0, 0.2, 1.0)),
}
WELL_EXAMPLES, WELL_NOISE, WELL_EPOCHS = 256, 1.5, 200
IN_DEEP_WELL = 0.6  # distance from its center


def wells(scale: Scale) -> xr.Dataset:
    """Whether runs that start in the shallow one of two wells end in the deep one, on a one-dimensional loss.

    Example i contributes `V(theta) + noise_i * theta` with noise that sums to zero: the full gradient is that of V
    exactly, a minibatch's is V's plus noise.

    Returns:
      deep: bool, dims (landscape, batch_size, learning_rate, seed), after equally many examples.
    """
    sizes: list[BatchSize] = [size for size in scale.batch_sizes if size != 512]
    rates = 2.0 ** np.arange(-8, 2)

    def ends_deep(task: Task, size: BatchSize) -> np.ndarray:
        def fit(learning_rate, seed):
            return dl.training(
                jax.random.key(seed),
                task,
                optax.sgd(learning_rate),
                batch_size=size,
                num_epochs=WELL_EPOCHS,
                record_every=WELL_EPOCHS // 4 * (1 if size == "full" else WELL_EXAMPLES // size),
                evaluate=("train",),
            )

        history = dl.sweep(fit, learning_rate=rates, seed=FIRST_SEED + np.arange(4 * scale.num_seeds))
        return np.abs(history.train_gap.isel(step=-1).values - WELLS["deep well flat"][1][2]) < IN_DEEP_WELL

    values = np.stack([[ends_deep(_well_task(landscape), size) for size in sizes] for landscape in WELLS.values()])
    return xr.Dataset(
        {"deep": (("landscape", "batch_size", "learning_rate", "seed"), values)},
        coords={"landscape": list(WELLS), "batch_size": [str(size) for size in sizes], "learning_rate": rates},
    )


def _well_task(wells: tuple[tuple[float, float, float], ...]) -> Task:
    """The parameter itself is reported as "gap"."""
    depth, width, place = jnp.asarray(wells).T  # arrays, not numbers: both landscapes are one program
    noise = np.random.default_rng(0).normal(size=(WELL_EXAMPLES, 1))
    noise = WELL_NOISE * (noise - noise.mean()) / noise.std()

    def apply(params, state, x, *, key=None, train=False):
        pits = jnp.sum(-depth * jnp.exp(-0.5 * ((params - place) / width) ** 2))
        return pits + 0.05 * params[0] ** 2 + x[:, 0] * params[0], state

    model = dl.Model(init=lambda key: (place[:1], {}), apply=apply)
    data = dl.data.Dataset(Split(noise, np.zeros(WELL_EXAMPLES)), name="wells", source="drawn")
    return with_gap(dl.tasks.supervised(model, data, lambda output, _: output), lambda params, loss: params[0])


TRAIN_SET_SIZES = (500, 4000, 32000)


def train_set_size(scale: Scale) -> xr.Dataset:
    """Cost to 1 % of the initial gap against the number of examples, on logistic regression from one distribution.

    Returns:
      examples, seconds: dims (num_examples, descent, seed), at each method's best rate; NaN where censored.
    """
    methods: tuple[BatchSize, ...] = ("full", 1)
    problems = {size: _drawn_logistic_regression(size) for size in TRAIN_SET_SIZES}

    def steps(problem: Problem, batch_size: BatchSize) -> np.ndarray:
        num_seeds = 1 if batch_size == "full" else scale.num_seeds  # full-batch descent from zero is deterministic
        found = convergence.tune(
            lambda rates: grid(
                problem, batch_size, epochs=problem.epochs[batch_size], learning_rates=rates, num_seeds=num_seeds
            ).isel(decay=0),
            problem.learning_rates[batch_size] * GRID,
            lambda history: steps_to(problem, history).isel(target=0).fillna(np.inf).median("seed"),
        )
        reached = steps_to(problem, found.history).isel(target=0)
        return np.broadcast_to(reached.sel(learning_rate=float(found.best), method="nearest"), scale.num_seeds)

    taken = np.stack([[steps(problem, method) for method in methods] for problem in problems.values()])
    per_step = [[size_of(problem, method) for method in methods] for problem in problems.values()]
    seconds = convergence.seconds_per_step([timed(problem, m) for problem in problems.values() for m in methods])
    dims = ("num_examples", "descent", "seed")
    return xr.Dataset(
        {
            "examples": (dims, taken * np.array(per_step)[..., None]),
            "seconds": (dims, taken * seconds.reshape(len(problems), len(methods), 1)),
        },
        coords={"num_examples": list(problems), "descent": [str(method) for method in methods]},
    )


def _drawn_logistic_regression(num_examples: int, num_inputs: int = 20, strength: float = 1e-2) -> Problem:
    """Noisy linear labels on Gaussian inputs; the first rows are the same for every size."""
    random = np.random.default_rng(0)
    direction = random.normal(size=num_inputs)
    inputs = np.random.default_rng(1).normal(size=(num_examples, num_inputs)).astype(np.float32)
    labels = (inputs @ direction + np.random.default_rng(2).logistic(size=num_examples) > 0).astype(np.int32)
    data = dl.data.Dataset(Split(inputs, labels), name=f"drawn_{num_examples}", source="drawn from a logistic model")
    design, signs = np.column_stack([inputs, np.ones(num_examples)]).astype(np.float64), 2.0 * labels - 1
    optimum = logistic_loss(newton(design, signs, strength), design, signs, strength)
    initial = float(np.log(2))
    task = dl.tasks.classification(dl.models.linear(num_inputs), data, penalty=dl.tasks.l2(strength))
    return Problem(
        name="drawn",
        title="",
        task=with_gap(task, lambda params, loss: (loss - optimum) / (initial - optimum)),
        optimum=optimum,
        initial=initial,
        targets=(1e-2,),
        epochs={"full": 60, 1: 24000 / num_examples},
        learning_rates={"full": 4.0, 1: 0.02},
    )


STUDIES: dict[str, Callable[[Scale], xr.Dataset]] = {
    "published": lambda scale: published(8 * scale.num_seeds),
    "linear_rate": lambda scale: linear_rate(PROBLEMS["least_squares"]()),
    "noise_floor": lambda scale: noise_floor(PROBLEMS["least_squares"](), scale),
    **{study.__name__: study for study in (gradients, determinism, endurance, shuffling, wells, train_set_size)},
}
