"""Small random networks with data, in float64: what formulas are tried on."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dlcore.core.arguments import arguments, function, integer, one_of, sequence
from dlcore.textbook.backpropagation import LOSSES

WIDTHS = sequence(integer(), 2, text="2 or more positive integers, inputs first and outputs last")
SEEDS = sequence(integer(0), 1, text="seeds")
BIASES = 0.1  # standard deviation; at 0 a layer of dead units leaves the next one exactly at its kinks


class Problem(NamedTuple):
    """Params and data of a network, or of several stacked, of `random_problems`.

    params: as those of `dl.models.mlp`. inputs: [B, n_0]. targets: as the loss takes them.

    Example:
      >>> problem = dl.textbook.random_problems([0, 1], [4, 3])
      >>> problem.inputs.shape, problem.targets.shape, problem.params["layers"][0]["bias"].shape
      ((2, 32, 4), (2, 32), (2, 3))
    """

    params: Any
    inputs: np.ndarray
    targets: np.ndarray


@arguments(seeds=SEEDS, widths=WIDTHS, loss=one_of(*LOSSES), num_rows=integer(1, 1_000_000))
def random_problems(
    seeds: Sequence[int] | np.ndarray,
    widths: Sequence[int],
    *,
    loss: str = "softmax_cross_entropy",
    num_rows: int = 32,
) -> Problem:
    """A network with random weights and data for each seed, stacked: each array [len(seeds), ...], for `jax.vmap`.

    Weights are normal, of variance 1 / fan-in; no bias is 0; inputs are normal, targets random. In float64, which JAX
    keeps in `with jax.enable_x64(True):`.

    Args:
      seeds: one of each network.
      widths: units of each layer, inputs first; of binary_cross_entropy one output.
      loss: of `through_layers`.
      num_rows: of the data of each network.

    Example:
      >>> problem = dl.textbook.random_problems([0, 1], [4, 8, 3])
      >>> problem.inputs.shape, problem.params["layers"][0]["kernel"].shape
      ((2, 32, 4), (2, 4, 8))
    """
    drawn = [_problem(np.random.default_rng(int(seed)), widths, loss, num_rows) for seed in seeds]
    layers = {
        i: {part: np.stack([each.params[i][part] for each in drawn]) for part in ("kernel", "bias")}
        for i in range(len(widths) - 1)
    }
    inputs, targets = (np.stack([getattr(each, part) for each in drawn]) for part in ("inputs", "targets"))
    return Problem({"layers": layers}, inputs, targets)


@arguments(evaluate=function, seeds=SEEDS, widths=WIDTHS, loss=one_of(*LOSSES), dtype=one_of("float64", "float32"))
def over_problems(
    evaluate: Callable[[Any, jax.Array, jax.Array], Any],
    seeds: Sequence[int] | np.ndarray,
    widths: Sequence[int],
    *,
    loss: str = "softmax_cross_entropy",
    dtype: str = "float64",
) -> Any:
    """What a function of params, inputs and targets gives for the random problem of each seed; arrays [n, ...].

    Args:
      evaluate: `evaluate(params, inputs, targets)`, compiled, and mapped over the seeds.
      seeds, widths, loss: as in `random_problems`.
      dtype: that weights, inputs and all that is made of them have.

    Example:
      >>> dl.textbook.over_problems(lambda params, inputs, targets: inputs.mean(), [0, 1], [4, 3]).dtype
      dtype('float64')
    """
    with jax.enable_x64(True):
        problems = tuple(random_problems(seeds, widths, loss=loss))
        given = jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.dtype == np.float64 else leaf, problems)
        return jax.tree.map(np.asarray, jax.jit(jax.vmap(evaluate))(*given))


def _problem(random: np.random.Generator, widths: Sequence[int], loss: str, num_rows: int) -> Problem:
    layers = {
        i: {"kernel": random.normal(size=(n, m)) / np.sqrt(n), "bias": BIASES * random.normal(size=m)}
        for i, (n, m) in enumerate(itertools.pairwise(widths))
    }
    inputs = random.normal(size=(num_rows, widths[0]))
    if loss == "squared_error":
        return Problem(layers, inputs, random.normal(size=(num_rows, widths[-1])))
    return Problem(layers, inputs, random.integers(0, max(2, widths[-1]), num_rows))
