"""Claim (c): what the number of training examples costs batch and stochastic descent."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from benchmarks.convergence import drawn, seconds
from benchmarks.convergence.descents import arrived, descend, typical
from benchmarks.convergence.parts import CLOSE, COLORS, LINES, MARKERS, MUCH, Part, Picture, Scale
from benchmarks.convergence.problems import BatchSize, Problem
from dlcore.core.order import Sampling
from dlcore.evidence import (
    Claim,
    Evidence,
    Interval,
    SubClaim,
    Verdict,
    above,
    below,
    exact,
    exact_slope,
    paired_ratio,
    product,
    slopes_interval,
    tune,
    undetermined,
)

SIZES, QUICK_SIZES = (500, 4_000, 32_000, 128_000), (500, 8_000)
SPECTRUM = np.geomspace(1.0, 1 / 200, 20)  # variances of the inputs of least squares
LOGISTIC_SPECTRUM = np.geomspace(1.0, 1 / 30, 20)  # the curvature at its optimum spreads further
NOISE = 0.2  # standard deviation, next to targets of 1
STRENGTH = 1e-3  # of the logistic regression's L2 penalty
TARGET = 0.03  # share of the initial gap
WINDOW = 4_000  # examples over which the mean gap stays at the target from arrival on
FULL_STEPS, SINGLE_EXAMPLES, RECORD_EVERY = 240, 20_000, 250
RATES = 2.0 ** np.arange(-6, 2)  # in units of a first guess; the grid grows by itself
FULL_RATES = 2.0 ** (np.arange(-5, 3) / 4)  # theory knows the best one within a few steps of this grid
METHODS: dict[str, tuple[BatchSize, Sampling]] = {
    "full batch": ("full", "reshuffle"),
    "with replacement": (1, "with_replacement"),
    "reshuffled": (1, "reshuffle"),
}
GROWS, STAYS = 0.75, 0.25  # exponents: 1 is a cost in proportion to the examples, 0 one that does not depend on them
PARTS = dict(
    zip(METHODS, ("full batch's cost grows", "with replacement it does not", "reshuffled it does not"), strict=True)
)
EXPONENT = f"b in: examples to {TARGET:.0%} of the initial gap = a x (size of the training set)^b"
READS = "exponent {}"

CLAIM = Claim(
    "c",
    "Batch descent does not suit huge training sets; stochastic descent does.",
    (
        SubClaim(
            PARTS["full batch"],
            "Full batch looks at the more examples the larger the training set is, nearly in proportion.",
            EXPONENT,
            above(GROWS),
            READS,
        ),
        SubClaim(
            PARTS["with replacement"],
            "Single samples that are drawn with replacement look at hardly more.",
            EXPONENT,
            below(STAYS),
            READS,
        ),
        SubClaim(
            PARTS["reshuffled"],
            "Reshuffled single samples look at hardly more, either.",
            EXPONENT,
            below(STAYS),
            READS,
        ),
        SubClaim(
            "full batch takes longer",
            "With the largest training set full batch takes much longer than single samples.",
            f"seconds to {TARGET:.0%} of the initial gap, full batch / single samples with replacement",
            above(MUCH, margin=CLOSE),
            "{} times",
        ),
    ),
)

Measured = Mapping[str, xr.Dataset]


def problems(scale: Scale) -> dict[str, list[Problem]]:
    """Name to one problem of each size; every block of seeds draws other examples."""
    sizes = QUICK_SIZES if scale.quick else SIZES

    def settings(size: int) -> dict:
        epochs = {"full": FULL_STEPS, 1: SINGLE_EXAMPLES / size}
        return {"targets": (TARGET,), "epochs": epochs, "record_every": RECORD_EVERY}

    def random() -> np.random.Generator:
        return np.random.default_rng(scale.first_seed)

    found = {"least_squares": [drawn.least_squares(random(), n, SPECTRUM, NOISE, **settings(n)) for n in sizes]}
    if not scale.quick:
        found["logistic_regression"] = [
            drawn.drawn_logistic(random(), n, LOGISTIC_SPECTRUM, strength=STRENGTH, **settings(n))
            for n in sizes[:-1]  # its gap takes all examples at each record
        ]
    return found


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Problem to its costs; see `costs_of`."""
    return {name: costs_of(by_size, scale) for name, by_size in problems(scale).items()}


def costs_of(by_size: Sequence[Problem], scale: Scale) -> xr.Dataset:
    """What each method costs with each number of examples.

    Returns:
      examples: to the target, dims (descent, num_examples, seed), NaN where censored; of full batch, which is
      deterministic, only the first seed has any. learning_rate, interior, limit (examples of a run): dims (descent,
      num_examples).
    """
    sizes = xr.Variable("num_examples", [problem.task.data.train.num_rows for problem in by_size])
    found = xr.concat(
        [xr.concat([_cost_of(problem, method, scale) for problem in by_size], sizes) for method in METHODS],
        xr.Variable("descent", list(METHODS)),
    )
    return found.assign_attrs(title=by_size[-1].title)


def clock(measured: Measured, scale: Scale) -> dict[str, xr.Dataset]:
    """With the seconds of a step with the most examples, dims (block, side)."""
    largest = {name: by_size[-1] for name, by_size in problems(scale).items()}
    sides: dict[str, tuple[BatchSize, Sampling]] = dict(METHODS)
    if not scale.quick:
        sides["in order"] = (1, "in_order")
    trainings = [seconds.timed(largest[name], *side) for name in measured for side in sides.values()]
    times = np.split(seconds.seconds_per_step(trainings, blocks=scale.num_blocks), len(measured), axis=1)
    return {
        name: data.assign(seconds=seconds.labeled(of_one, list(sides)))
        for (name, data), of_one in zip(measured.items(), times, strict=True)
    }


def _cost_of(problem: Problem, method: str, scale: Scale) -> xr.Dataset:
    """Costs of one method on the judged seeds, at the rate that the tuning seeds chose."""
    batch_size, sampling = METHODS[method]
    is_full = batch_size == "full"
    num_examples = problem.task.data.train.num_rows

    def arrivals(rates, seeds, name):
        gap = descend(
            problem,
            batch_size,
            learning_rate=np.asarray(rates, float),
            seed=seeds,
            decay=np.zeros(1),
            sampling=sampling,
            store=scale.store("train_set", problem.name, method.replace(" ", "_"), num_examples, name),
        ).isel(decay=0, drop=True)
        limit = float(gap.examples[-1]) - WINDOW  # later arrivals are not confirmed
        return arrived(gap, TARGET, WINDOW).to_dataset(name="examples").assign(limit=limit)

    grid = problem.learning_rates[batch_size] * (FULL_RATES if is_full else RATES)
    seeds = scale.tuning_seeds[:1] if is_full else scale.tuning_seeds[:8]
    tuned = tune(
        lambda rates: arrivals(rates, seeds, "tuning").drop_vars("limit"),
        grid,
        lambda history: typical(history.examples),
        refine=1 if is_full else 4,
    )
    rate = tuned.best.fillna(grid[len(grid) // 2])
    judged = arrivals([float(rate)], scale.seeds[:1] if is_full else scale.seeds, "judged")
    judged = judged.isel(learning_rate=0, drop=True).reindex(seed=scale.seeds)
    return judged.assign(learning_rate=float(rate), interior=bool(tuned.interior) and bool(tuned.best.notnull()))


def exponent(data: xr.Dataset, method: str) -> Interval:
    """Of the examples to the target in the number of examples."""
    side = data.sel(descent=method)
    if not bool(side.interior.all()):
        return undetermined("a best learning rate lies at the edge of its grid")
    if not side.examples.size:
        return undetermined("no runs")
    sizes, examples = np.log(side.num_examples.values), np.log(side.examples.transpose("seed", "num_examples").values)
    return exact_slope(sizes, examples[0]) if method == "full batch" else slopes_interval(sizes, examples)


def ratio_of_seconds(data: xr.Dataset, position: int = -1) -> Interval:
    """Full batch over single samples with replacement, to the target; the errors of examples and steps together."""
    sides = data.isel(num_examples=position)
    full, single = (sides.sel(descent=method) for method in ("full batch", "with replacement"))
    if not (bool(full.interior) and bool(single.interior)):
        return undetermined("a best learning rate lies at the edge of its grid")
    cost = float(full.examples[0]) if full.examples.size else np.nan
    if not np.isfinite(cost):
        return undetermined("full batch never arrives")
    examples = paired_ratio(
        np.full(single.examples.shape, cost),
        single.examples.values,
        limit_a=float(full.limit),
        limit_b=float(single.limit),
    )
    per_step = seconds.ratio_of_seconds(data, "full batch", "with replacement")
    return product(examples, product(per_step, exact(1 / float(sides.num_examples))))


def judge(measured: Measured) -> list[Verdict]:
    """The verdict on (c)."""
    found: dict[str, list[Evidence]] = {part.name: [] for part in CLAIM.parts}
    for data in measured.values():
        title, most = data.attrs["title"], int(data.num_examples[-1])
        for method in METHODS:
            condition = f"{title}, {len(data.num_examples)} sizes to {most:,}"
            found[PARTS[method]].append(Evidence(condition, exponent(data, method)))
        found["full batch takes longer"].append(Evidence(f"{title}, {most:,} examples", ratio_of_seconds(data)))
    return [Verdict(CLAIM, found)]


def tables(measured: Measured) -> dict[str, pd.DataFrame]:
    """Costs by the number of examples, and seconds of a step with the most."""
    return {
        f"{data.attrs['title']}: examples to {TARGET:.0%} of the initial gap, medians over seeds, by size of the "
        "training set; seconds of a step with the largest": _table(data)
        for data in measured.values()
    }


def _table(data: xr.Dataset) -> pd.DataFrame:
    micros = 1e6 * data.seconds.median("block")
    rows = []
    for method in METHODS:
        side = data.sel(descent=method)
        drawing = seconds.share_of_drawing(data.seconds, method, "in order")
        row = {"method": method}
        for n in data.num_examples.values:
            values = side.examples.sel(num_examples=n).values
            row[f"examples, of {n:,}"] = f"{np.median(values[:1] if method == 'full batch' else values):,.0f}"
        row["µs of a step"] = f"{float(micros.sel(side=method)):.3g}"
        row["of which draws the order"] = "" if method == "full batch" else seconds.in_percent(drawing)
        rows.append(row)
    return pd.DataFrame(rows)


LOOKS = {
    "full batch": {"color": COLORS["full"], "marker": MARKERS["full"], "linestyle": LINES["constant"]},
    "with replacement": {"color": COLORS[1], "marker": MARKERS[1], "linestyle": LINES["constant"]},
    "reshuffled": {"color": COLORS[1], "marker": "v", "linestyle": LINES["decaying"]},
}


def draw(measured: Measured) -> list[Picture]:
    """Examples to the target against the number of examples, and seconds."""
    if not measured:
        return []
    figure = Figure(figsize=(5 * len(measured), 7), layout="constrained")
    axes = figure.subplots(2, len(measured), squeeze=False, sharex=True)
    for (ax, below_it), data in zip(axes.T, measured.values(), strict=True):
        for method, look in LOOKS.items():
            name = "full batch" if method == "full batch" else f"single samples, {method}"
            slope = f"{name}: slope {exponent(data, method).estimate:.2f}"
            _band(ax, data, data.examples.sel(descent=method), look, slope)
            if method != "reshuffled":
                _band(below_it, data, _seconds(data, method), look, name)
        ax.set(title=data.attrs["title"], ylabel=f"examples to {TARGET:.0%} of the gap")
        below_it.set(xlabel="examples in the training set", ylabel=f"seconds to {TARGET:.0%} of the gap")
        for each in (ax, below_it):
            each.set(xscale="log", yscale="log")
            each.margins(y=0.2)  # room for the legend
            each.legend(fontsize=8, frameon=False)
    caption = (
        f"Claim (c). Above: examples that are looked at until {TARGET:.0%} of the initial gap is left, against the "
        "size of the training set, each method at its own best constant rate. Lines: geometric mean over "
        f"{max(data.sizes['seed'] for data in measured.values())} seeds; bands: from the smallest to the largest "
        "run; full batch is deterministic. Slopes: the judged exponents. Below: seconds of the same runs, an "
        "example taking as long as it does with the largest set."
    )
    return [Picture("train_set", caption, figure, ("c",))]


def _seconds(data: xr.Dataset, method: str) -> xr.DataArray:
    """To the target, dims (num_examples, seed); an example costs what it does with the most of them."""
    per_step = float(data.seconds.sel(side=method).median())
    size = float(data.num_examples[-1]) if method == "full batch" else 1.0
    return data.examples.sel(descent=method) * per_step / size


def _band(ax, data: xr.Dataset, costs: xr.DataArray, look: dict, name: str) -> None:
    values = np.ma.masked_invalid(costs.transpose("num_examples", "seed").values)  # full batch has a single run
    middle = np.exp(np.ma.log(values).mean(axis=1)).filled(np.nan)
    ax.plot(data.num_examples, middle, label=name, **look)
    ax.fill_between(
        data.num_examples, costs.min("seed"), costs.max("seed"), color=look["color"], alpha=0.15, linewidth=0
    )


PART = Part(
    "train_set", "Training sets: costs against the number of examples", (CLAIM,), measure, judge, draw, tables, clock
)
