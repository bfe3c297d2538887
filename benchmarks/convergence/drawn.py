"""Convex problems of any number of examples, whose gap to the optimum has no cancellation."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

import dlcore as dl
from benchmarks.convergence.problems import BatchSize, Problem, logistic_loss, newton, with_gap, with_glimpse
from dlcore.core.dataset import Split


def inputs_of(random: np.random.Generator, num_examples: int, spectrum: np.ndarray) -> np.ndarray:
    """Gaussian inputs [num_examples, d] with the variances `spectrum` [d]; descent does not see how they are turned."""
    return (random.normal(size=(num_examples, len(spectrum))) * np.sqrt(spectrum)).astype(np.float32)


def direction_of(random: np.random.Generator, spectrum: np.ndarray) -> np.ndarray:
    """Weights [d] of which every direction of the inputs explains as much as any other; together 1."""
    return random.choice([-1.0, 1.0], len(spectrum)) / np.sqrt(len(spectrum) * spectrum)


def least_squares(
    random: np.random.Generator, num_examples: int, spectrum: np.ndarray, noise: float, **settings
) -> Problem:
    """Linear targets of variance 1, plus noise with a standard deviation of `noise`.

    Args:
      settings: `targets`, `epochs`, `record_every` of the problem.
    """
    direction = direction_of(random, spectrum)
    inputs = inputs_of(random, num_examples, spectrum)
    design = inputs.astype(np.float64)
    targets = (design @ direction + noise * random.normal(size=num_examples)).astype(np.float32)
    solution = np.linalg.lstsq(design, targets, rcond=None)[0]
    hessian = 2 * design.T @ design / num_examples
    optimum, initial = float(np.mean((design @ solution - targets) ** 2)), float(np.mean(targets.astype(float) ** 2))
    best, curvature = jnp.asarray(solution, jnp.float32), jnp.asarray(hessian, jnp.float32)

    def gap(params, loss):
        return 0.5 * (params - best) @ curvature @ (params - best) / (initial - optimum)

    data = with_glimpse(dl.data.Dataset(Split(inputs, targets), name="drawn", source="drawn from a linear model"))
    return Problem(
        name="drawn_least_squares",
        title="Least squares, drawn",
        task=with_gap(dl.tasks.regression(_linear(len(spectrum)), data), gap),
        optimum=optimum,
        initial=initial,
        learning_rates=_rates(hessian),
        hessian_eigenvalues=np.linalg.eigvalsh(hessian),
        minimizer=best,
        gap_split="validation",
        **settings,
    )


def drawn_logistic(random: np.random.Generator, num_examples: int, spectrum: np.ndarray, **settings) -> Problem:
    """Labels by chance, of a logistic model of the inputs; settings: of `logistic`."""
    direction = 5 * direction_of(random, spectrum)
    inputs = inputs_of(random, num_examples, spectrum)
    signs = np.where(inputs @ direction + random.logistic(size=num_examples) > 0, 1.0, -1.0)
    return logistic(inputs, signs, title="Logistic regression, drawn", **settings)


def breast_cancer(strength: float, **settings) -> Problem:
    """L2-regularized logistic regression on the breast-cancer data; settings: of `logistic`."""
    train = dl.data.breast_cancer(test=0.0).train
    title = "Regularized logistic regression, breast cancer"
    return logistic(np.asarray(train.inputs), 2.0 * np.asarray(train.targets) - 1, strength, title=title, **settings)


def logistic(inputs: np.ndarray, signs: np.ndarray, strength: float, *, title: str, **settings) -> Problem:
    """Labels -1 and 1 [n] by a linear model of inputs [n, d], plus `strength / 2 * ||weights||^2`.

    The gap is a Bregman divergence: no two losses are subtracted, so it can be followed below the rounding of a loss.
    """
    design = inputs.astype(np.float64)
    solution = newton(design, signs, strength)
    optimum = logistic_loss(solution, design, signs, strength)
    initial = logistic_loss(np.zeros_like(solution), design, signs, strength)
    chances = special.expit(design @ solution)
    hessian = (design.T * (chances * (1 - chances))) @ design / len(design) + strength * np.eye(len(solution))
    best = jnp.asarray(solution, jnp.float32)
    rows, chance = jnp.asarray(inputs, jnp.float32), jnp.asarray(chances, jnp.float32)

    def gap(params, loss):
        apart = params - best
        moved = rows @ apart
        divergence = jnp.mean(jnp.log1p(chance * jnp.expm1(moved)) - chance * moved)
        return (divergence + 0.5 * strength * apart @ apart) / (initial - optimum)

    data = dl.data.Dataset(Split(inputs.astype(np.float32), signs.astype(np.float32)), name="logistic", source=title)
    task = dl.tasks.supervised(
        _linear(inputs.shape[1]),
        data,
        lambda outputs, signs: jax.nn.softplus(-signs * outputs),
        penalty=dl.tasks.l2(strength),
    )
    return Problem(
        name="logistic",
        title=title,
        task=with_gap(task, gap),
        optimum=optimum,
        initial=initial,
        learning_rates=_rates(hessian),
        hessian_eigenvalues=np.linalg.eigvalsh(hessian),
        minimizer=best,
        **settings,
    )


def _linear(num_inputs: int) -> dl.Model:
    """Inputs times weights [num_inputs], which begin at 0."""
    return dl.Model(
        init=lambda key: (jnp.zeros(num_inputs), {}),
        apply=lambda params, state, x, *, key=None, train=False: (x @ params, state),
    )


def _rates(hessian: np.ndarray) -> Mapping[BatchSize, float]:
    """First guesses: the best rate of full batch on a quadratic, and half of what single samples stand."""
    eigenvalues = np.linalg.eigvalsh(hessian)
    return {"full": 2 / (eigenvalues[0] + eigenvalues[-1]), 1: 0.5 / float(np.trace(hessian))}
