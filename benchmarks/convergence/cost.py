"""Claims (b) and (h): what batch and stochastic descent cost, in examples and in seconds."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.convergence import comparison, curves, seconds
from benchmarks.convergence.comparison import DECAYED_TO, RULES, WINDOW
from benchmarks.convergence.parts import CLOSE, MUCH, Part, Scale
from dlcore.evidence import (
    Claim,
    Evidence,
    Interval,
    SubClaim,
    Verdict,
    above,
    exact,
    paired_ratio,
    product,
    undetermined,
)

TIMES = "{} times"

EXPENSE = Claim(
    "b",
    "Batch descent is slow and computationally expensive.",
    (
        SubClaim(
            "seconds of a step",
            "A step of full batch takes much longer than one of single samples.",
            "seconds of a step, full batch / single samples",
            above(MUCH, margin=CLOSE),
            TIMES,
        ),
        SubClaim(
            "examples to the finest target",
            "Until it arrives at the finest target, full batch looks at many more examples than single samples do.",
            "examples to the finest target, full batch / single samples",
            above(MUCH),
            TIMES,
        ),
        SubClaim(
            "seconds to the finest target",
            "Full batch takes much longer to the finest target.",
            "seconds to the finest target, full batch / single samples",
            above(MUCH, margin=CLOSE),
            TIMES,
        ),
    ),
)
SPEED = Claim(
    "h",
    "Stochastic descent converges much faster.",
    (
        SubClaim(
            "in examples, interpolating",
            "Where some parameters fit every example, full batch needs many more examples than single samples do.",
            "examples to a target, full batch / single samples",
            above(MUCH),
            TIMES,
        ),
        SubClaim(
            "in examples, noisy",
            "Where no parameters do, and single gradients stay noisy at the optimum, it needs many more examples, too.",
            "examples to a target, full batch / single samples",
            above(MUCH),
            TIMES,
        ),
        SubClaim(
            "in seconds",
            "Full batch takes much longer in seconds, on the machine that the report names.",
            "seconds to a target, full batch / single samples",
            above(MUCH, margin=CLOSE),
            TIMES,
        ),
    ),
)

Measured = Mapping[str, xr.Dataset]


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """The comparison of each problem."""
    return comparison.measure(scale)


def clock(measured: Measured, scale: Scale) -> dict[str, xr.Dataset]:
    """The comparison with the seconds of its steps, dims (block, side)."""
    times = seconds.steps(list(measured), blocks=scale.num_blocks, drawing=not scale.quick)
    return {name: data.assign(seconds=times[name]) for name, data in measured.items()}


def costs(data: xr.Dataset, batch_size: str, position: int, rule: str = "judged") -> tuple[np.ndarray, str]:
    """Examples to a target, [seeds] or [1] of a deterministic run, and why they do not count, if so."""
    side = data.sel(batch_size=batch_size, rule=rule).isel(target=position)
    values = side.examples.values[:1] if bool(side.deterministic) else side.examples.values
    reason = "" if bool(side.interior) else f"the best learning rate of {batch_size} lies at the edge of its grid"
    return values, reason


def ratio_of_examples(data: xr.Dataset, position: int, rule: str = "judged") -> Interval:
    """Full batch over single samples; a deterministic run is one number next to independent ones."""
    (full, why), (single, why_not) = (costs(data, size, position, rule) for size in ("full", "1"))
    if why or why_not:
        return undetermined(why or why_not)
    if not np.isfinite(full).any() and len(full) == 1:
        return undetermined("full batch never arrives")
    limits = {name: float(data.limit.sel(batch_size=size)) for name, size in (("limit_a", "full"), ("limit_b", "1"))}
    return paired_ratio(np.broadcast_to(full, single.shape), single, **limits)


def per_example(data: xr.Dataset) -> Interval:
    """Seconds of an example in a full batch over those of a single one."""
    num_examples = int(data.attrs["num_examples"])
    return product(seconds.ratio_of_seconds(data, "full", "1"), exact(1 / num_examples))


def ratio_of_seconds(data: xr.Dataset, position: int) -> Interval:
    """Full batch over single samples, to a target; the errors of examples and of seconds together."""
    return product(ratio_of_examples(data, position), per_example(data))


def judge(measured: Measured) -> list[Verdict]:
    """Verdicts on (b) and (h)."""
    return [_expense(measured), _speed(measured)]


def _expense(measured: Measured) -> Verdict:
    found: dict[str, list[Evidence]] = {part.name: [] for part in EXPENSE.parts}
    for data in measured.values():
        title, gap = data.attrs["title"], float(data.target[-1])
        step = seconds.ratio_of_seconds(data, "full", "1")
        found["seconds of a step"].append(Evidence(title, step))
        found["examples to the finest target"].append(Evidence(f"{title}, gap {gap:g}", ratio_of_examples(data, -1)))
        found["seconds to the finest target"].append(Evidence(f"{title}, gap {gap:g}", ratio_of_seconds(data, -1)))
    return Verdict(EXPENSE, found)


def _speed(measured: Measured) -> Verdict:
    found: dict[str, list[Evidence]] = {part.name: [] for part in SPEED.parts}
    for data, position, condition in conditions(measured):
        kind = "in examples, interpolating" if data.attrs["interpolates"] else "in examples, noisy"
        found[kind].append(Evidence(condition, ratio_of_examples(data, position), note=_censored(data, position)))
        found["in seconds"].append(Evidence(condition, ratio_of_seconds(data, position)))
    return Verdict(SPEED, found)


def conditions(measured: Measured) -> Iterator[tuple[xr.Dataset, int, str]]:
    """Problem, position of a target, and their names."""
    for data in measured.values():
        for position, gap in enumerate(data.target.values):
            yield data, position, f"{data.attrs['title']}, gap {gap:g}"


def _censored(data: xr.Dataset, position: int) -> str:
    counts = []
    for size in ("full", "1"):
        values, _ = costs(data, size, position)
        if missing := int(np.isnan(values).sum()):
            counts.append(f"{missing} of {len(values)} runs of {curves.name_of(size)} never arrive")
    return "; ".join(counts)


def tables(measured: Measured) -> dict[str, pd.DataFrame]:
    """Costs by batch size, and what another rule of arrival would have given."""
    found = {
        f"{data.attrs['title']}: cost to a target, each batch size at its own best learning rate and schedule; medians "
        f"over seeds (1/t: the rate falls to 1/{1 + DECAYED_TO} of its start over so many examples)": cost_table(data)
        for data in measured.values()
    }
    rows = []
    for data, position, condition in conditions(measured):
        ratios = {rule: str(ratio_of_examples(data, position, rule)) for rule in RULES}
        rows.append({"problem and target": condition, **ratios})
    rules = f"judged: {RULES['judged']:g} epochs at the target; first passage: none; twice as long: {2 * WINDOW:g}"
    found[f"Examples to a target, full batch / single samples, by rule of arrival ({rules})"] = pd.DataFrame(rows)
    found["Seconds of a step, and the share of them that draws the order; medians over blocks of time"] = seconds.table(
        measured
    )
    return found


def cost_table(data: xr.Dataset) -> pd.DataFrame:
    """A row for each target and batch size."""
    rows = []
    for position, gap in enumerate(data.target.values):
        for size in data.batch_size.values:
            setting = data.sel(batch_size=size).isel(target=position)
            values, reason = costs(data, size, position)
            horizon = float(setting.horizon)
            size_in_examples = data.attrs["num_examples"] if size == "full" else int(size)
            median = float(np.nanmedian(np.where(np.isnan(values), np.inf, values)))
            examples = f"{median:,.0f}" if np.isfinite(median) else f"> {float(setting.limit):,.0f}"
            rows.append(
                {
                    "target (gap)": f"{gap:g}",
                    "batch size": size,
                    "learning rate": f"{float(setting.learning_rate):.3g}" + (" (edge)" if reason else ""),
                    "schedule": f"1/t over {horizon:,.0f} examples" if horizon else "constant",
                    "examples": examples,
                    "epochs": f"{median / data.attrs['num_examples']:.3g}" if np.isfinite(median) else "-",
                    "steps": f"{median / size_in_examples:,.0f}" if np.isfinite(median) else "-",
                    "runs that never arrive": f"{int(np.isnan(values).sum())} of {len(values)}",
                }
            )
    return pd.DataFrame(rows)


def draw(measured: Measured) -> Sequence:
    """The comparison's figures."""
    return curves.draw(measured)


PART = Part("cost", "Costs to a target, by batch size", (EXPENSE, SPEED), measure, judge, draw, tables, clock)
