"""What theory and published runs say, next to the eight claims: linear rate, noise floor, DeepOBS' numbers."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
import optax
import pandas as pd
import xarray as xr

import dlcore as dl
from benchmarks.convergence import floor, published
from benchmarks.convergence.parts import Part, Picture, Scale
from benchmarks.convergence.problems import PROBLEMS
from dlcore.evidence.claims import Claim, Evidence, SubClaim, Verdict, within
from dlcore.evidence.intervals import Interval, exact, undetermined

RELATIVE_RATES = np.array([0.25, 0.5, 0.9, 1.02])  # in units of 2 / (largest eigenvalue), the stability limit
# From step 500 on one eigenvalue decides; after 1000 steps at 1.02 float32 overflows.
NUM_STEPS, INTERVAL, FROM_RECORD = 1000, 50, 10
SAME_RATE = 1e-3

RATE = Claim(
    "rate",
    "On a quadratic, full-batch descent converges, or diverges, at the linear rate of its slowest direction.",
    (
        SubClaim(
            "linear rate",
            "A step multiplies the gap by the largest (1 - rate x eigenvalue)^2 over the eigenvalues of the Hessian.",
            "relative difference from theory of the logarithm of the factor by which a step multiplies the gap",
            within(-SAME_RATE, SAME_RATE),
            "relative difference {}",
        ),
    ),
)


def linear_rate(scale: Scale) -> xr.Dataset:
    """Factor by which full-batch descent on least squares multiplies the gap per step, late in a run, next to theory.

    Returns:
      measured, theory: dims (relative_rate).
    """
    problem = PROBLEMS["least_squares"]()
    eigenvalues = problem.hessian_eigenvalues
    assert eigenvalues is not None, "it is a quadratic"
    rates = RELATIVE_RATES * 2 / eigenvalues[-1]

    def fit(relative_rate):
        """How fast full batch converges on a quadratic."""
        return dl.training(
            jax.random.key(0),
            problem.task,
            optax.sgd(relative_rate * 2 / eigenvalues[-1]),
            batch_size="full",
            num_steps=NUM_STEPS,
            record_every=INTERVAL,
            evaluate=("train",),
        )

    history = dl.sweep(
        fit,
        lane_width=len(RELATIVE_RATES),
        store=scale.store("theory", "linear_rate"),
        final_state=False,
        progress=False,
        relative_rate=RELATIVE_RATES,
    )
    gap = history.train_gap.astype(float)
    late = gap.isel(step=slice(FROM_RECORD, None))
    measured = (late.isel(step=-1) / late.isel(step=0)) ** (1 / float(late.step[-1] - late.step[0]))
    theory = np.max((1 - rates[:, None] * eigenvalues) ** 2, axis=1)
    dims = ("relative_rate",)
    return xr.Dataset(
        {"measured": (dims, measured.values), "theory": (dims, theory)}, coords={"relative_rate": RELATIVE_RATES}
    )


def judge_rate(measured: xr.Dataset) -> Verdict:
    """A deterministic run for each rate."""
    evidence = [
        Evidence(
            f"{float(each.relative_rate):g} of the stability limit",
            _difference(float(each.measured), float(each.theory)),
            f"factor {float(each.measured):.6f}, theory {float(each.theory):.6f}",
        )
        for each in (measured.isel(relative_rate=i) for i in range(measured.sizes["relative_rate"]))
    ]
    return Verdict(RATE, {"linear rate": evidence})


def _difference(measured: float, theory: float) -> Interval:
    # Of the logarithm, since a factor of 0.998 is 0.002 from no convergence at all.
    if not (np.isfinite(measured) and measured > 0):
        return undetermined("the run overflowed, or ended at the optimum")
    return exact(float(np.log(measured) / np.log(theory) - 1))


def rate_table(measured: xr.Dataset) -> pd.DataFrame:
    """Factors per step and their theory."""
    return pd.DataFrame(
        {
            "rate / stability limit (2 / largest eigenvalue)": [f"{rate:g}" for rate in measured.relative_rate.values],
            "measured factor": [f"{value:.6f}" for value in measured.measured.values],
            "theory": [f"{value:.6f}" for value in measured.theory.values],
        }
    )


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """All three."""
    return {
        "linear_rate": linear_rate(scale),
        "noise_floor": floor.measure(scale),
        "published": published.measure(scale),
    }


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """A verdict for each; without evidence where nothing was measured."""
    judges = {
        "linear_rate": (RATE, judge_rate),
        "noise_floor": (floor.CLAIM, floor.judge),
        "published": (published.CLAIM, published.judge),
    }
    return [of(measured[name]) if name in measured else Verdict(claim, {}) for name, (claim, of) in judges.items()]


def draw(measured: Mapping[str, xr.Dataset]) -> Sequence[Picture]:
    """The noise floor."""
    return [floor.draw(measured["noise_floor"])] if "noise_floor" in measured else []


def tables(measured: Mapping[str, xr.Dataset]) -> dict[str, pd.DataFrame]:
    """Numbers behind the verdicts."""
    found = {}
    if "linear_rate" in measured:
        title = "Least squares, diabetes, full batch: factor by which a step multiplies the gap"
        found[title] = rate_table(measured["linear_rate"])
    if "noise_floor" in measured:
        found |= floor.tables(measured["noise_floor"])
    if "published" in measured:
        title = "Noisy quadratic, DeepOBS: published, and measured over partitions into batches"
        found[title] = published.table(measured["published"])
    return found


PART = Part(
    "theory",
    "Theory and published runs: linear rate, noise floor, DeepOBS",
    (RATE, floor.CLAIM, published.CLAIM),
    measure,
    judge,
    draw,
    tables,
)
