"""The problems on which batch and stochastic descent are compared, each with its optimum and its step-size theory."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize, special

import dlcore as dl
from dlcore.core.dataset import Split
from dlcore.core.task import Task

BatchSize = int | Literal["full"]


class Problem(NamedTuple):
    """A task whose records include `train_gap`, the share of the initial suboptimality that is left.

    task: reports `gap = (loss - optimum) / (initial - optimum)` on every split.
    optimum, initial: train loss at the minimum (for the network: the lower bound 0) and at the start.
    targets: gaps to reach, coarse to fine.
    epochs: length of a run for each batch size. learning_rates: middle of the first grid for each batch size.
    record_every: examples between records, the same for all batch sizes; a batch that is larger is recorded each step.
    gap_split: on which the gap is recorded; where it is a function of the parameters alone, rows need not be looked at.
    interpolates: whether some parameters fit every example, so that the noise of the gradient vanishes there.
    hessian_eigenvalues: of the train loss, ascending; None where it is not constant.
    minimizer: parameters at the optimum, or None where there is no closed form or unique one.
    """

    name: str
    title: str
    task: Task
    optimum: float
    initial: float
    targets: tuple[float, ...]
    epochs: Mapping[BatchSize, float]
    learning_rates: Mapping[BatchSize, float]
    record_every: int
    gap_split: str = "train"
    interpolates: bool = False
    hessian_eigenvalues: np.ndarray | None = None
    minimizer: Any = None


def with_gap(task: Task, gap: Callable[[Any, jax.Array], jax.Array]) -> Task:
    """The task with one more metric, `gap(params, loss)`."""

    def report(params, outputs, batch):
        loss, metrics = task.report(params, outputs, batch)
        return loss, {**metrics, "gap": gap(params, loss)}

    return task._replace(report=report)


def with_glimpse(data: dl.data.Dataset) -> dl.data.Dataset:
    """The data with a validation split of two rows, for a gap that is the same on all rows."""
    train = data.train
    return dataclasses.replace(data, validation=Split(train.inputs[:2], train.targets[:2]))


def least_squares() -> Problem:
    """Linear regression on the diabetes data: a quadratic whose optimum and Hessian are known exactly."""
    data = with_glimpse(dl.data.diabetes(test=0.0))
    design = np.column_stack([data.train.inputs, np.ones(len(data.train.inputs))]).astype(np.float64)
    targets = data.train.targets.astype(np.float64)
    solution = np.linalg.lstsq(design, targets, rcond=None)[0]
    optimum, initial = np.mean((design @ solution - targets) ** 2), np.mean(targets**2)
    hessian = 2 * design.T @ design / len(design)
    curvature = jnp.asarray(hessian, jnp.float32)

    def gap(params, loss):
        # As a quadratic form in the error it has no cancellation, so it can be followed down to 1e-12.
        layer = params["layers"][0]
        error = jnp.concatenate([layer["kernel"][:, 0], layer["bias"]]) - jnp.asarray(solution, jnp.float32)
        return 0.5 * error @ curvature @ error / (initial - optimum)

    return Problem(
        name="least_squares",
        title="Least squares, diabetes",
        task=with_gap(dl.tasks.regression(dl.models.linear(data.train.inputs.shape[1]), data), gap),
        optimum=float(optimum),
        initial=float(initial),
        targets=(1e-2, 3e-3),
        epochs={"full": 200, 64: 200, 8: 110, 1: 110},
        learning_rates={"full": 0.2, 64: 0.2, 8: 0.02, 1: 0.004},
        record_every=64,
        gap_split="validation",
        hessian_eigenvalues=np.linalg.eigvalsh(hessian),
        minimizer=_linear_params(solution),
    )


def logistic_regression(strength: float = 1e-2) -> Problem:
    """L2-regularized logistic regression on the breast-cancer data: strongly convex, not quadratic."""
    data = dl.data.breast_cancer(test=0.0)
    design = np.column_stack([data.train.inputs, np.ones(len(data.train.inputs))]).astype(np.float64)
    signs = 2.0 * data.train.targets - 1
    task = dl.tasks.classification(dl.models.linear(data.train.inputs.shape[1]), data, penalty=dl.tasks.l2(strength))
    solution = newton(design, signs, strength)
    optimum = logistic_loss(solution, design, signs, strength)
    initial = logistic_loss(np.zeros_like(solution), design, signs, strength)
    return Problem(
        name="logistic_regression",
        title="Regularized logistic regression, breast cancer",
        task=with_gap(task, lambda params, loss: (loss - optimum) / (initial - optimum)),
        optimum=optimum,
        initial=initial,
        targets=(1e-2, 1e-3, 1e-4),
        epochs={"full": 80, 512: 90, 64: 60, 8: 40, 1: 40},
        learning_rates={"full": 4.0, 512: 4.0, 64: 2.0, 8: 0.4, 1: 0.04},
        record_every=64,
        minimizer=_linear_params(solution),
    )


def network() -> Problem:
    """A 64-128-10 ReLU network on the digits: not convex; its loss is bounded by 0, its optimum is not known."""
    data = dl.data.digits()
    initial = float(np.log(10))
    return Problem(
        name="network",
        title="64-128-10 network, digits",
        task=with_gap(dl.tasks.classification(dl.models.mlp([64, 128, 10]), data), lambda params, loss: loss / initial),
        optimum=0.0,
        initial=initial,
        targets=(1e-1, 3e-2),
        epochs={"full": 150, 512: 80, 64: 24, 8: 18, 1: 14},
        learning_rates={"full": 1.6, 512: 1.6, 64: 0.8, 8: 0.4, 1: 0.1},
        record_every=256,
        interpolates=True,
    )


def interpolation() -> Problem:
    """Linear regression without noise: some weights fit every example, so the noise of the gradient ends there."""
    random = np.random.default_rng(0)
    spectrum = np.geomspace(1.0, 1 / 30, 20)  # variances of the inputs
    inputs = (random.normal(size=(512, 20)) * np.sqrt(spectrum)).astype(np.float32)
    solution = random.normal(size=20) / np.sqrt(spectrum)
    targets = inputs.astype(np.float64) @ solution
    hessian = 2 * inputs.T.astype(np.float64) @ inputs / len(inputs)
    initial = float(np.mean(targets**2))
    model = dl.Model(
        init=lambda key: (jnp.zeros(20), {}),
        apply=lambda params, state, x, *, key=None, train=False: (x @ params, state),
    )
    data = with_glimpse(
        dl.data.Dataset(Split(inputs, targets.astype(np.float32)), name="interpolation", source="drawn, without noise")
    )
    exact, curvature = jnp.asarray(solution, jnp.float32), jnp.asarray(hessian, jnp.float32)
    return Problem(
        name="interpolation",
        title="Least squares without noise, drawn",
        task=with_gap(
            dl.tasks.regression(model, data),
            lambda params, loss: 0.5 * (params - exact) @ curvature @ (params - exact) / initial,
        ),
        optimum=0.0,
        initial=initial,
        targets=(1e-2, 1e-4, 1e-6),
        epochs={"full": 160, 64: 40, 8: 20, 1: 20},
        learning_rates={"full": 0.8, 64: 0.4, 8: 0.2, 1: 0.04},
        record_every=32,
        gap_split="validation",
        interpolates=True,
        hessian_eigenvalues=np.linalg.eigvalsh(hessian),
        minimizer=exact,
    )


def noisy_quadratic() -> Problem:
    """DeepOBS' 100-dimensional quadratic with 90 small and 10 large eigenvalues, in the eigenbasis of its Hessian.

    Gradient descent commutes with rotations, so the numbers are those of the original coordinates.

    Reference: Schneider, Balles and Hennig, DeepOBS, ICLR 2019; settings in `quadratic_deep`.
    """
    eigenvalues, rotation = _deepobs_hessian(np.random.RandomState(42))
    train, test = (np.random.RandomState(seed).normal(0, 0.6, (1000, 100)).astype(np.float32) for seed in (42, 43))
    start = rotation @ np.ones(100)
    train, test = ((points @ rotation.T).astype(np.float32) for points in (train, test[:896]))  # 7 batches of 128
    data = dl.data.Dataset(
        Split(train, np.zeros(len(train))),
        validation=Split(train[:2], np.zeros(2)),
        test=Split(test, np.zeros(len(test))),
        name="quadratic_deep",
        source="drawn as DeepOBS draws it",
    )
    weights = jnp.asarray(eigenvalues, jnp.float32)
    model = dl.Model(
        init=lambda key: (jnp.asarray(start, jnp.float32), {}),
        apply=lambda params, state, x, *, key=None, train=False: (params[None] - x, state),
    )
    task = dl.tasks.supervised(model, data, lambda errors, _: 0.5 * jnp.sum(weights[None] * errors**2, axis=-1))
    mean = train.astype(np.float64).mean(0)
    optimum = 0.5 * np.mean((mean - train) ** 2 @ eigenvalues)
    initial = 0.5 * np.mean((start - train) ** 2 @ eigenvalues)

    def gap(params, loss):
        return 0.5 * jnp.sum(weights * (params - jnp.asarray(mean, jnp.float32)) ** 2) / (initial - optimum)

    return Problem(
        name="noisy_quadratic",
        title="Noisy quadratic, DeepOBS",
        task=with_gap(task, gap),
        optimum=float(optimum),
        initial=float(initial),
        targets=(3e-2, 1e-2, 3e-3),
        epochs={"full": 250, 512: 200, 64: 40, 8: 20, 1: 20},
        learning_rates={"full": 0.02, 512: 0.02, 64: 0.02, 8: 0.008, 1: 0.004},
        record_every=128,
        gap_split="validation",
        hessian_eigenvalues=np.sort(eigenvalues),
        minimizer=jnp.asarray(mean, jnp.float32),
    )


PROBLEMS: dict[str, Callable[[], Problem]] = {
    function.__name__: functools.cache(function)
    for function in (least_squares, logistic_regression, noisy_quadratic, interpolation, network)
}


def logistic_loss(solution: np.ndarray, design: np.ndarray, signs: np.ndarray, strength: float) -> float:
    """Mean logistic loss plus `strength / 2 * ||solution||^2`, in float64."""
    return float(np.mean(np.logaddexp(0, -signs * (design @ solution))) + 0.5 * strength * solution @ solution)


def newton(design: np.ndarray, signs: np.ndarray, strength: float, tolerance: float = 1e-10) -> np.ndarray:
    """Minimizer of `logistic_loss` in float64, to a gradient norm below the tolerance."""

    def gradient(w):
        return -design.T @ (signs * special.expit(-signs * (design @ w))) / len(signs) + strength * w

    def hessian(w):
        slope = special.expit(design @ w) * special.expit(-(design @ w))
        return (design.T * slope) @ design / len(signs) + strength * np.eye(len(w))

    found = optimize.root(gradient, np.zeros(design.shape[1]), jac=hessian, tol=1e-14)
    if np.linalg.norm(gradient(found.x)) > tolerance:
        raise AssertionError(f"Newton stopped at a gradient norm of {np.linalg.norm(gradient(found.x)):.1e}")
    return found.x


def _linear_params(solution: np.ndarray) -> Any:
    """Weights and bias (last) as the parameters of `dl.models.linear`."""
    values = jnp.asarray(solution, jnp.float32)
    return {"layers": {0: {"kernel": values[:-1, None], "bias": values[-1:]}}}


def _deepobs_hessian(random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [100] and rotation R [100, 100] with Hessian `R^T diag(eigenvalues) R`.

    The rotation is drawn from SO(100) by the subgroup algorithm: one Householder reflection per dimension.

    Reference: Diaconis and Shahshahani, The subgroup algorithm for generating uniform random variables, 1987.
    """
    eigenvalues = np.concatenate([random.uniform(0, 1, 90), random.uniform(30, 60, 10)])
    angle = 2 * np.pi * random.uniform()
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for size in range(3, 101):
        direction = random.normal(size=size)
        mirror = np.eye(size)[0] - direction / np.linalg.norm(direction)
        mirror /= np.linalg.norm(mirror)
        embedded = np.eye(size)
        embedded[1:, 1:] = rotation
        rotation = embedded - 2 * np.outer(mirror, mirror @ embedded)
    return eigenvalues, -rotation
