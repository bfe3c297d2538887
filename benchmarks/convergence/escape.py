"""Claim (g): whether noise carries stochastic descent out of local minima that hold batch descent."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.convergence import escape_figures, escape_networks, escape_wells
from benchmarks.convergence.escape_networks import SHALLOW
from benchmarks.convergence.parts import Part, Picture, Scale
from dlcore.evidence.claims import Check, Claim, Evidence, SubClaim, Verdict, above, within
from dlcore.evidence.intervals import Interval, undetermined
from dlcore.evidence.shares import share_difference
from dlcore.evidence.slopes import slopes_interval

SAME_SLOPE = (0.8, 1.25)
MORE_OFTEN = 0.25  # difference of shares: one run in four
ZERO_GRADIENT = 1e-8  # norm at a minimum in float64
SHARE = "by {}"
STABLE = 1.0  # fraction of the full batch's stability limit

CLAIM = Claim(
    "g",
    "Stochastic descent escapes shallow local minima more easily than batch descent.",
    (
        SubClaim(
            "dwell times as in theory",
            "Noise carries single samples out of a well as heat does a particle, at the temperature rate x noise "
            "variance / 2 (Kramers' law): ln(dwell time) grows with 1 / rate, with the slope 2 x barrier / noise "
            "variance.",
            "slope of ln(dwell time) against 1 / rate, measured / theory",
            within(*SAME_SLOPE),
            "{} of theory's slope",
        ),
        SubClaim(
            "wells, at stable rates",
            "At rates at which full batch is stable in the shallow one of two wells, more single-sample runs end in "
            "the deep one.",
            "difference in the share of runs that leave, single samples - full batch, after equally many examples, "
            "each at its best stable rate",
            above(MORE_OFTEN),
            SHARE,
        ),
        SubClaim(
            "networks, at stable rates",
            "The same for a network that starts at a shallow bad minimum: more single-sample runs end near the best.",
            "difference in the share of runs that leave, single samples - full batch, after equally many examples, "
            "each at its best stable rate",
            above(MORE_OFTEN),
            SHARE,
        ),
        # The source does not restrict the rate, and says that noise is the reason. Beyond its stability limit full
        # batch leaves too, where the minimum behind is flat enough to hold it. That can come out either way, so it is
        # a sub-claim and not a check.
        SubClaim(
            "both, at any rate",
            "At any rate, those too at which full batch is unstable in the shallow minimum, more single-sample runs "
            "end in the better minimum: noise is what escapes.",
            "difference in the share of runs that leave, single samples - full batch, after equally many examples, "
            "each at its best rate",
            above(MORE_OFTEN),
            SHARE,
        ),
    ),
)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Dwell times in wells, and shares of runs that leave wells and minima of networks."""
    return {
        "dwell": escape_wells.dwell_times(scale),
        "wells": escape_wells.shares(scale),
        "networks": escape_networks.shares(scale),
    }


class Best(NamedTuple):
    """The rate that most tuning runs leave at, and what the judged ones do there.

    fraction: the rate, of the full batch's stability limit; NaN where there is none. successes, trials: judged runs.
    reason: why there is no result, or nothing.
    """

    fraction: float
    successes: int = 0
    trials: int = 0
    reason: str = ""

    @property
    def share(self) -> float:
        """Of the judged runs; NaN where there are none."""
        return self.successes / self.trials if self.trials else np.nan


def best(counts: xr.DataArray, judged: xr.DataArray, runs: int, limit: float = np.inf) -> Best:
    """The middle one of the rates below the limit at which equally many tuning runs leave.

    Args:
      counts: dims (fraction, seed): how many of the seed's runs left.
      judged: dim seed; the other seeds are for tuning.
    """
    allowed = counts.isel(fraction=np.flatnonzero(counts.fraction.values < limit)).transpose("fraction", "seed")
    tuning, rest = (allowed.values[:, judged.values == which] for which in (False, True))
    if not tuning.size or not rest.size:
        return Best(np.nan, reason="no runs")
    if not np.isfinite(allowed.values.astype(float)).all():
        return Best(np.nan, reason="some runs are missing")
    left = tuning.sum(axis=1)
    ties = np.flatnonzero(left == left.max())
    chosen = int(ties[(len(ties) - 1) // 2])
    fraction = float(allowed.fraction[chosen])
    if len(ties) < len(left) and chosen in (0, len(left) - 1):
        return Best(fraction, reason="the best rate is at an edge of its grid")
    return Best(fraction, round(float(rest[chosen].sum())), rest.shape[1] * runs)


def pair(shares: xr.Dataset, landscape: str, limit: float) -> tuple[Best, Best]:
    """Single samples and full batch on a landscape, each at its best rate below the limit."""
    counts = shares.better.sel(landscape=landscape)
    single, full = (
        best(counts.sel(batch_size=size), shares.judged, shares.attrs["runs"], limit) for size in ("1", "full")
    )
    return single, full


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """The verdict on claim (g)."""
    evidence: dict[str, list[Evidence]] = {}
    if "dwell" in measured:
        evidence["dwell times as in theory"] = [
            Evidence(name, relative_slope(one)) for name, one in _wells(measured["dwell"])
        ]
    places = {name: _judged(measured[name]) for name in ("wells", "networks") if name in measured}
    for name, landscapes in places.items():
        evidence[f"{name}, at stable rates"] = [
            _difference(measured[name], landscape, STABLE) for landscape in landscapes
        ]
    if places:
        evidence["both, at any rate"] = [
            _difference(measured[name], landscape, np.inf)
            for name, landscapes in places.items()
            for landscape in landscapes
        ]
    return [Verdict(CLAIM, evidence, _checks(measured["networks"]) if "networks" in measured else ())]


def relative_slope(dwell: xr.Dataset) -> Interval:
    """Slope of ln(dwell time) against 1 / rate over Kramers' value, one of each seed; of one pair of wells."""
    times = dwell_times(dwell).transpose("seed", "temperature").values
    with np.errstate(divide="ignore", invalid="ignore"):
        return slopes_interval(barriers(dwell), np.log(times))


def barriers(dwell: xr.Dataset) -> np.ndarray:
    """Height of the barrier over the temperature, [temperature]."""
    return (2 * dwell.barrier / (dwell.noise**2 * dwell.rate)).values


def dwell_times(dwell: xr.Dataset) -> xr.DataArray:
    """Mean time, steps x rate, in the shallow well; infinite where none escaped.

    Time at risk over the number of escapes, the maximum-likelihood estimate for exponential times that are censored at
    the end of the run.
    """
    return dwell.at_risk / dwell.escapes.where(dwell.escapes != 0, 0.0) * dwell.rate


def _wells(dwell: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    return [(str(name), dwell.sel(wells=name)) for name in dwell.wells.values]


def _judged(shares: xr.Dataset) -> list[str]:
    """Landscapes whose minimum is shallow: wells by construction, networks by their barrier."""
    shallow = (_climb(shares) < SHALLOW).values if "barrier" in shares else np.ones(shares.sizes["landscape"], bool)
    return [str(name) for name in shares.landscape.values[shallow]]


def _climb(networks: xr.Dataset) -> xr.DataArray:
    """Climb out of the bad minimum, over the way down to the good one."""
    return networks.barrier / (networks.bad_loss - networks.good_loss)


def _difference(shares: xr.Dataset, landscape: str, limit: float) -> Evidence:
    name = f"network, {landscape}" if "barrier" in shares else landscape
    single, full = pair(shares, landscape, limit)
    if reason := single.reason or full.reason:
        return Evidence(name, undetermined(reason, single.trials))
    interval = share_difference(single.successes, single.trials, full.successes, full.trials)
    note = (
        f"single samples: {single.share:.0%} at {single.fraction:.2g} of full batch's stability limit; full batch: "
        f"{full.share:.0%}{f' at {full.fraction:.2g} of it' if full.successes else ''}"
    )
    return Evidence(name, interval, note)


def _checks(networks: xr.Dataset) -> list[Check]:
    smallest = networks.eigenvalues.min("parameter")
    above_best = (networks.bad_loss / networks.good_loss).values
    climb, names = _climb(networks).values, networks.landscape.values
    checks = [
        Check(
            "The bad minima of the network are minima, and bad: no gradient, a positive definite Hessian.",
            bool((networks.gradient < ZERO_GRADIENT).all() & (smallest > 0).all() & (above_best > 1).all()),
            f"gradient below {float(networks.gradient.max()):.0e}, smallest eigenvalue {float(smallest.min()):.2g}; "
            f"loss {', '.join(f'{ratio:.2f}' for ratio in above_best)} times the best one",
        )
    ]
    for name, height in zip(names[climb >= SHALLOW], climb[climb >= SHALLOW], strict=True):
        single, _ = pair(networks, name, np.inf)
        checks.append(
            Check(
                f"A bad minimum that is not shallow ({name}: out of it leads a climb of {height:.0%} of the way "
                "down) holds most single-sample runs too.",
                single.share < 0.5,
                single.reason or f"{single.share:.0%} of {single.trials} runs leave at the best rate",
            )
        )
    return checks


def tables(measured: Mapping[str, xr.Dataset]) -> dict[str, pd.DataFrame]:
    """Slopes against Kramers' law; shares at the best rates."""
    found = {}
    if "dwell" in measured:
        found["Kramers' law: slope of ln(dwell time) against 1 / rate; temperatures are rate x noise variance / 2"] = (
            pd.DataFrame([_slope_row(one) for _, one in _wells(measured["dwell"])])
        )
    rows = [
        _share_row(measured[name], str(landscape))
        for name in ("wells", "networks")
        if name in measured
        for landscape in measured[name].landscape.values
    ]
    if rows:
        found[
            "Share of runs that leave a minimum, at the best rate (in units of full batch's stability limit there)"
        ] = pd.DataFrame(rows)
    return found


def _slope_row(dwell: xr.Dataset) -> dict[str, str]:
    ratio = relative_slope(dwell)
    theory = float(2 * dwell.barrier / dwell.noise**2)
    temperatures = (dwell.rate * dwell.noise**2 / 2).values
    return {
        "barrier": f"{float(dwell.barrier):g}",
        "noise": f"{float(dwell.noise):g}",
        "temperatures": f"{temperatures.min():.2g} to {temperatures.max():.2g}",
        "escapes of a seed": f"{float(dwell.escapes.mean('seed').min()):.0f} to "
        f"{float(dwell.escapes.mean('seed').max()):.0f}",
        "slope": f"{theory * ratio.estimate:.4g}",
        "theory": f"{theory:.4g}",
        "measured / theory": str(ratio),
    }


def _share_row(shares: xr.Dataset, landscape: str) -> dict[str, str]:
    row = {"minimum": f"network, {landscape}" if "barrier" in shares else landscape}
    for limit, title in ((STABLE, "stable"), (np.inf, "any")):
        for name, found in zip(("single samples", "full batch"), pair(shares, landscape, limit), strict=True):
            at = f" at {found.fraction:.2g}" if found.successes else ""
            row[f"{name}, {title} rate"] = found.reason or f"{found.share:.0%}{at}"
    return row


def draw(measured: Mapping[str, xr.Dataset]) -> Sequence[Picture]:
    """Dwell times with theory, and shares against the rate."""
    pictures = []
    if "dwell" in measured:
        lines = [(name, one.rate.values, dwell_times(one), barriers(one)) for name, one in _wells(measured["dwell"])]
        pictures.append(escape_figures.dwell_times(lines))
    if "wells" in measured or "networks" in measured:
        pictures.append(escape_figures.shares([measured[name] for name in ("wells", "networks") if name in measured]))
    return pictures


PART = Part("escape", "Escape from shallow minima: dwell times and shares", (CLAIM,), measure, judge, draw, tables)
