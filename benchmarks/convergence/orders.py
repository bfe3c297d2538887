"""Claim (d): what the order of the examples decides, and what it does not."""

from collections.abc import Mapping

import jax
import numpy as np
import xarray as xr

from benchmarks.convergence import comparison
from benchmarks.convergence.descents import descend, with_start
from benchmarks.convergence.parts import Part, Scale
from benchmarks.convergence.problems import PROBLEMS, BatchSize, Problem
from dlcore.evidence import Check, Claim, Evidence, SubClaim, Verdict, above, exact, geometric_mean_interval

EPOCHS: dict[BatchSize, int] = {"full": 20, 1: 2}
APART = 1e-3  # relative difference of two gaps; between orders of a full batch it is 0

CLAIM = Claim(
    "d",
    "Batch descent is deterministic, stochastic descent is random.",
    (
        SubClaim(
            "orders differ",
            "From one start, different orders of the examples end at different points.",
            f"relative difference of the gaps of two orders after {EPOCHS[1]} epochs of single samples",
            above(APART),
            "{} apart",
        ),
        SubClaim(
            "a seed repeats",
            "The order is all that is random: given its seed, a run repeats bit for bit, in another study too.",
            "share of the runs that repeat",
            above(0.999),
            "share {}",
        ),
    ),
)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """By problem: gap_full, gap_single, again; dims (seed): from one start, under different orders of the examples."""
    return {name: measured(PROBLEMS[name](), scale) for name in comparison.problems(scale)}


def measured(problem: Problem, scale: Scale) -> xr.Dataset:
    """At half of a good learning rate."""
    init = problem.task.model.init
    fixed = with_start(problem, lambda key: init(jax.random.key(0)))
    seeds = scale.seeds

    def last_gap(name: str, size: BatchSize, seeds: np.ndarray, rates: np.ndarray) -> xr.DataArray:
        axes = {"learning_rate": rates, "decay": np.zeros(1), "seed": seeds}
        gap = descend(fixed, size, epochs=EPOCHS[size], store=scale.store("orders", problem.name, name), **axes)
        return gap.isel(step=-1, decay=0, learning_rate=-1, drop=True).drop_vars(
            ["step", "epoch", "examples"], errors="ignore"
        )

    rate = {size: np.array([problem.learning_rates[size] / 2]) for size in EPOCHS}
    single = last_gap("single", 1, seeds, rate[1])
    another_study = np.concatenate([rate[1] / 8, rate[1]])
    # In a folder of its own: what is to be the same again has to be computed again.
    again = last_gap("again", 1, seeds[::-1], another_study).sel(seed=seeds)
    full = last_gap("full", "full", seeds, rate["full"])
    names = {"gap_full": full, "gap_single": single, "again": again}
    return xr.Dataset(
        {name: ("seed", gap.values) for name, gap in names.items()}, {"seed": seeds}, {"title": problem.title}
    )


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """The verdict on (d); two orders that are compared are in no other pair, so that pairs are independent."""
    orders, repeats, checks = [], [], []
    for data in measured.values():
        title, single, full = data.attrs["title"], data.gap_single.values, data.gap_full.values
        one, other = single[0 : len(single) // 2 * 2 : 2], single[1::2]
        with np.errstate(invalid="ignore"):
            apart = np.abs(one - other) / np.sqrt(np.abs(one * other))
        orders.append(Evidence(title, geometric_mean_interval(apart)))
        same = np.isclose(single, data.again.values, rtol=0, atol=0)
        repeats.append(
            Evidence(title, exact(float(same.mean()) if len(same) else np.nan), f"{same.sum()} of {len(same)} runs")
        )
        spread = float(np.max(np.abs(full - full[:1]), initial=0.0))
        checks.append(
            Check(
                f"Full batch does not depend on the order: {title}",
                bool(len(full)) and spread == 0.0,
                f"largest difference of the gaps of {len(full)} orders after {EPOCHS['full']} epochs: {spread:g}",
            )
        )
    return [Verdict(CLAIM, {"orders differ": orders, "a seed repeats": repeats}, checks)]


PART = Part("orders", "Orders: what the order of the examples decides", (CLAIM,), measure, judge)
