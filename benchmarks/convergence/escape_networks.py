"""A small network at a bad local minimum that is known: found in float64, and left or not by runs that start there."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from scipy import optimize

import dlcore as dl
from benchmarks.convergence.escape_wells import BATCH_SIZES, FRACTIONS, NUM_RUNS
from benchmarks.convergence.parts import Scale
from dlcore.core.dataset import Split

STRENGTH = 1e-2  # of the L2 penalty on the weights, without which a minimum has flat directions
PENALIZED = np.array([1.0, 0.0, 1.0, 0.0])  # the weights of (weight, bias, weight of the output, bias of the output)
INPUTS = np.linspace(-2, 2, 16)
NUM_EPOCHS = 300
AROUND = 0.05  # standard deviation of what is added to the parameters of the bad minimum at the start
LANES = 64  # runs are tiny: a step of 64 takes hardly longer than one of 8
FIRST_KEYS = 100  # seeds of runs are seed * FIRST_KEYS + run
IMAGES, PULLS, PULL = 41, 1500, 0.05  # points of a path, steps of its descent, their size


class Problem(NamedTuple):
    """Targets of a tanh network with one input, one hidden unit and one output, and where its minima are.

    bad, good: starts [4] (weight, bias, weight of the output, bias of the output) from which descent ends in the bad
      minimum and in the best one known: the lowest of 60 from random starts.
    """

    targets: np.ndarray
    bad: tuple[float, ...]
    good: tuple[float, ...]


# Chosen in a pilot among targets with a minimum a good deal above the best one: two shallow ones, and one that is not.
# Left out: sin(3 x), whose bad minimum is only 5 % above the best and was hardly ever left (at most 1 run in 64), and
# tanh(3 (x + 1)) - tanh(3 (x - 0.5)), with a climb of 70 % of the way down, which at most one run in nine left.
STEPS = np.tanh(4 * (INPUTS + 1)) - np.tanh(4 * (INPUTS - 1)) + 0.5 * np.tanh(4 * INPUTS)
PROBLEMS = {
    "steps": Problem(STEPS, (-1.6, 3.0, 0.5, 0.5), (2.0, 2.0, 1.1, 0.4)),
    "outlier": Problem(
        np.where(INPUTS > 1.6, -1.0, np.tanh(2 * INPUTS)), (2.2, -4.5, -0.8, -1.0), (2.0, 0.0, 0.9, 0.0)
    ),
    "pulse": Problem(
        np.where(abs(INPUTS) < 1, 1.0, -1.0) + 0.3 * np.sign(INPUTS), (-2.2, 3.1, 0.5, -0.4), (2.2, 2.4, 1.0, -0.5)
    ),
}
# A minimum is shallow where the way out climbs less than this share of the way down behind it.
SHALLOW = 0.1


class Minimum(NamedTuple):
    """parameters: [4]. gradient: its norm. eigenvalues: of the Hessian, ascending [4]."""

    parameters: np.ndarray
    loss: float
    gradient: float
    eigenvalues: np.ndarray


def loss_and_gradient(parameters: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared error with the penalty, and its gradient: of [..., 4] they are [...] and [..., 4]."""
    weight, bias, output, constant = np.moveaxis(parameters[..., None], -2, 0)
    hidden = np.tanh(weight * INPUTS + bias)
    error = output * hidden + constant - targets
    inner = 2 * error * output * (1 - hidden**2)
    gradient = np.stack([(inner * INPUTS).mean(-1), inner.mean(-1), (2 * error * hidden).mean(-1), 2 * error.mean(-1)])
    loss = (error**2).mean(-1) + STRENGTH / 2 * (PENALIZED * parameters**2).sum(-1)
    return loss, np.moveaxis(gradient, 0, -1) + STRENGTH * PENALIZED * parameters


def hessian(parameters: np.ndarray, targets: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Second derivatives [4, 4], by central differences of the gradient."""
    moved = parameters + step * np.stack([np.eye(4), -np.eye(4)])
    ahead, behind = loss_and_gradient(moved, targets)[1]
    found = (ahead - behind) / (2 * step)
    return (found + found.T) / 2


def minimum(start: tuple[float, ...], targets: np.ndarray) -> Minimum:
    """Where BFGS, polished by Newton's method, ends in float64."""
    fun = functools.partial(loss_and_gradient, targets=targets)
    found = optimize.minimize(fun, np.asarray(start, float), jac=True, method="BFGS", options={"gtol": 1e-7}).x
    for _ in range(3):
        found = found - np.linalg.solve(hessian(found, targets), fun(found)[1])
    loss, gradient = fun(found)
    return Minimum(found, float(loss), float(np.linalg.norm(gradient)), np.linalg.eigvalsh(hessian(found, targets)))


def climb(begin: np.ndarray, end: np.ndarray, targets: np.ndarray) -> float:
    """Height above `begin` of the lowest pass found on the way to `end`, by the string method from a straight line.

    Reference: E, Ren and Vanden-Eijnden, Simplified and improved string method, J. Chem. Phys. 2007.
    """
    path = begin + np.linspace(0, 1, IMAGES)[:, None] * (end - begin)
    for _ in range(PULLS):
        path[1:-1] -= PULL * loss_and_gradient(path[1:-1], targets)[1]
        lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        path = np.column_stack([np.interp(np.linspace(0, lengths[-1], IMAGES), lengths, part) for part in path.T])
    losses = loss_and_gradient(path, targets)[0]
    return float(losses.max() - losses[0])


def barrier(bad: Minimum, good: Minimum, targets: np.ndarray) -> float:
    """Lowest climb from one minimum to the other, or to its mirror image: tanh is odd."""
    mirror = np.array([-1, -1, -1, 1])
    return min(climb(bad.parameters, sign * good.parameters, targets) for sign in (np.ones(4), mirror))


def landscapes(names: list[str]) -> xr.Dataset:
    """The two minima of each problem: bad_loss, good_loss, gradient (norm), eigenvalue (parameter), barrier, start."""
    problems = [PROBLEMS[name] for name in names]
    bad = [minimum(problem.bad, problem.targets) for problem in problems]
    good = [minimum(problem.good, problem.targets) for problem in problems]
    heights = [barrier(low, best, problem.targets) for low, best, problem in zip(bad, good, problems, strict=True)]
    return xr.Dataset(
        {
            "bad_loss": ("landscape", [one.loss for one in bad]),
            "good_loss": ("landscape", [one.loss for one in good]),
            "gradient": ("landscape", [one.gradient for one in bad]),
            "eigenvalues": (("landscape", "parameter"), [one.eigenvalues for one in bad]),
            "start": (("landscape", "parameter"), [one.parameters for one in bad]),
            "barrier": ("landscape", heights),
        },
        coords={"landscape": names},
    )


def shares(scale: Scale) -> xr.Dataset:
    """Runs that start at the bad minimum and end closer to the loss of the good one.

    Returns:
      that of `landscapes`, and better: how many of `attrs["runs"]` independent runs, dims (landscape, batch_size,
      fraction, seed); judged: whether a seed is judged, the others are for tuning. fraction: of the full batch's
      stability limit, 2 / largest eigenvalue of the Hessian at the bad minimum.
    """
    names = list(PROBLEMS)[: 1 if scale.quick else None]
    found = landscapes(names)
    seeds = np.concatenate([scale.tuning_seeds[:8], scale.seeds])
    sizes = [size for size in BATCH_SIZES if size != "8" or not scale.quick]
    limits = 2 / found.eigenvalues.values[:, -1]
    cells = [(i, limit * fraction) for i, limit in enumerate(limits) for fraction in FRACTIONS]
    points = dl.points("cell", problem=np.array([i for i, _ in cells]), learning_rate=np.array([r for _, r in cells]))
    halfway = ((found.bad_loss + found.good_loss) / 2).values

    def ended_better(size: str) -> np.ndarray:
        fit = functools.partial(_fit, found, "full" if size == "full" else int(size))
        keys = (seeds[:, None] * FIRST_KEYS + np.arange(NUM_RUNS)).ravel()
        kept = {"store": scale.store("escape", "networks", size), "final_state": False}
        history = dl.sweep(fit, points, seed=keys, lane_width=LANES, progress=False, **kept)
        shape = (len(names), len(FRACTIONS), len(seeds), NUM_RUNS)
        losses = history.train_loss.isel(step=-1).values.reshape(shape)
        return (losses < halfway[:, None, None, None]).sum(axis=-1)  # those that blew up are not

    counts = np.stack([ended_better(size) for size in sizes], axis=1)
    found["better"] = ("landscape", "batch_size", "fraction", "seed"), counts
    found["judged"] = "seed", np.isin(seeds, scale.seeds)
    found = found.assign_coords(batch_size=sizes, fraction=FRACTIONS, seed=seeds)
    return found.assign_attrs(runs=NUM_RUNS)


def _fit(found: xr.Dataset, batch_size, problem, learning_rate, seed) -> dl.Training:
    """A run near the bad minimum of the problem with that number."""
    key, around = jax.random.split(jax.random.key(seed))
    starts = jnp.asarray(found.start.values, jnp.float32)
    weight, bias, output, constant = starts[problem] + AROUND * jax.random.normal(around, (4,))
    layers = {0: _layer(weight, bias), 1: _layer(output, constant)}
    model = dl.models.mlp([1, 1, 1], "tanh")._replace(init=lambda key: ({"layers": layers}, {}))
    targets = np.column_stack([PROBLEMS[str(name)].targets for name in found.landscape.values])
    data = dl.data.Dataset(Split(np.float32(INPUTS[:, None]), np.float32(targets)), name="bad minima", source="drawn")
    task = dl.tasks.supervised(
        model, data, lambda output, targets: (output[:, 0] - targets[:, problem]) ** 2, penalty=_penalty
    )
    num_steps = NUM_EPOCHS * (1 if batch_size == "full" else len(INPUTS) // batch_size)
    sampling = "reshuffle" if batch_size == "full" else "with_replacement"
    return dl.training(
        key,
        task,
        optax.sgd(learning_rate),
        batch_size=batch_size,
        num_steps=num_steps,
        record_every=num_steps,
        evaluate=("train",),
        sampling=sampling,
    )


def _penalty(params) -> jax.Array:
    kernels = [layer["kernel"] for layer in params["layers"].values()]
    return STRENGTH / 2 * sum((jnp.sum(kernel**2) for kernel in kernels), jnp.zeros(()))


def _layer(weight: jax.Array, bias: jax.Array) -> dict[str, jax.Array]:
    return {"kernel": weight[None, None], "bias": bias[None]}
