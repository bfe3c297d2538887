"""Claim (f): what it costs not to shuffle examples that are stored by their targets."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from benchmarks.convergence.descents import descend, last_epoch, typical
from benchmarks.convergence.parts import Part, Picture, Scale
from benchmarks.convergence.problems import PROBLEMS, BatchSize, Problem
from dlcore.core.dataset import Split
from dlcore.core.order import Sampling
from dlcore.evidence import (
    Check,
    Claim,
    Evidence,
    Interval,
    SubClaim,
    Verdict,
    above,
    below,
    paired_ratio,
    tune,
    undetermined,
)

NEEDS = 2.0  # times the gap: the smallest difference that is called a need
EPOCHS = 5
GRID = 2.0 ** np.arange(-3, 2)
STORED_NETWORK = 2.0**-4  # where the search begins for a network that sees one class after the other
WORDS = {"in_order": "stored order", "shuffle_once": "shuffled once", "reshuffle": "reshuffled"}
SAMPLING_MARKERS = {"in_order": "s", "shuffle_once": "^", "reshuffle": "o"}
SAMPLINGS: tuple[Sampling, ...] = ("in_order", "shuffle_once", "reshuffle")
NAMES = ("least_squares", "logistic_regression", "network")
QUICK_NAMES = ("logistic_regression",)
ROUNDING = 1e-4  # relative difference of sums in another order, in float32, over some steps

CLAIM = Claim(
    "f",
    "Stochastic descent needs the examples shuffled, batch descent does not.",
    (
        SubClaim(
            "stored order harms convex problems",
            "On convex problems, single samples of examples in their stored order, by target, end far worse than "
            "reshuffled ones.",
            f"gap in the last of {EPOCHS} epochs, stored order / reshuffled, each at its best learning rate",
            above(NEEDS),
            "{} times",
        ),
        SubClaim(
            "stored order harms a network",
            "With a network, single samples of examples in their stored order end far worse than reshuffled ones.",
            f"gap in the last of {EPOCHS} epochs, stored order / reshuffled, each at its best learning rate",
            above(NEEDS),
            "{} times",
        ),
        SubClaim(
            "shuffling once is enough",
            "Shuffling once, before the run, is as good as reshuffling in each epoch, or nearly so.",
            f"gap in the last of {EPOCHS} epochs, shuffled once / reshuffled, each at its best learning rate",
            below(NEEDS),
            "{} times",
        ),
    ),
)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """By problem: gap [sampling, seed], learning_rate and interior [sampling]; full_gap [order] of full batch."""
    return {name: measured(PROBLEMS[name](), scale) for name in (QUICK_NAMES if scale.quick else NAMES)}


def measured(problem: Problem, scale: Scale) -> xr.Dataset:
    """Examples stored by their target; full batch over them, and over the same in another order."""
    rows = np.argsort(problem.task.data.train.targets, kind="stable")
    stored = _stored(problem, rows)
    found = xr.concat(
        [single(stored, sampling, scale) for sampling in SAMPLINGS], xr.Variable("sampling", list(SAMPLINGS))
    )
    orders = {"stored": rows, "shuffled": np.random.default_rng(0).permutation(rows)}
    full = [full_batch(_stored(problem, rows), name, scale) for name, rows in orders.items()]
    return found.assign(full_gap=("order", full)).assign_attrs(title=problem.title, convex=problem.name != "network")


def single(problem: Problem, sampling: Sampling, scale: Scale) -> xr.Dataset:
    """Single samples at the best rate of this way to draw them."""
    tuning_seeds = scale.tuning_seeds[: 2 if problem.name == "network" else 4]
    settings = {"epochs": EPOCHS, "sampling": sampling, "decay": np.zeros(1)}
    tuning, judged = (scale.store("shuffling", problem.name, sampling, name) for name in ("tuning", "judged"))

    def run_rates(rates):
        rates = np.asarray(rates)
        gap = descend(problem, 1, learning_rate=rates, seed=tuning_seeds, store=tuning, **settings)
        return last_epoch(problem, gap.isel(decay=0)).to_dataset(name="gap")

    def score(history):
        return typical(history.gap.where(history.gap > 0))

    first = STORED_NETWORK if problem.name == "network" and sampling == "in_order" else 1.0
    found = tune(run_rates, first * problem.learning_rates[1] * GRID, score, refine=4)
    rate = float(found.best) if np.isfinite(found.best) else problem.learning_rates[1]
    gap = descend(problem, 1, learning_rate=np.array([rate]), seed=scale.seeds, store=judged, **settings)
    gap = last_epoch(problem, gap.isel(decay=0, learning_rate=0, drop=True))
    return xr.Dataset({"gap": gap, "learning_rate": rate, "interior": bool(found.interior)})


def full_batch(problem: Problem, order: str, scale: Scale) -> float:
    """The gap after some epochs of full batch, at half of a good learning rate; order: name of the stored one."""
    size: BatchSize = "full"
    rates = np.array([problem.learning_rates[size] / 2])
    store = scale.store("shuffling", problem.name, "full", order)
    axes = {"learning_rate": rates, "decay": np.zeros(1), "seed": scale.seeds[:1]}
    gap = descend(problem, size, epochs=20, store=store, **axes)
    return float(gap.isel(step=-1).squeeze())


def _stored(problem: Problem, rows: np.ndarray) -> Problem:
    """The problem with its train examples stored in another order."""
    train = problem.task.data.train
    data = dataclasses.replace(problem.task.data, train=Split(train.inputs[rows], train.targets[rows]))
    return problem._replace(task=problem.task._replace(data=data))


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """The verdict on (f)."""
    found: dict[str, list[Evidence]] = {part.name: [] for part in CLAIM.parts}
    checks = []
    for data in measured.values():
        title = data.attrs["title"]
        kind = "stored order harms convex problems" if data.attrs["convex"] else "stored order harms a network"
        found[kind].append(Evidence(title, ratio(data, "in_order")))
        found["shuffling once is enough"].append(Evidence(title, ratio(data, "shuffle_once")))
        stored, shuffled = data.full_gap.values
        off = abs(stored / shuffled - 1)
        checks.append(
            Check(
                f"Full batch does not need shuffling: {title}",
                bool(off < ROUNDING),
                f"relative difference of the gaps, stored order and shuffled: {off:.1e}",
            )
        )
    return [Verdict(CLAIM, found, checks)]


def ratio(data: xr.Dataset, sampling: str) -> Interval:
    """Gap of this way to draw over the gap when reshuffling."""
    a, b = (data.sel(sampling=name) for name in (sampling, "reshuffle"))
    if not (bool(a.interior) and bool(b.interior)):
        return undetermined("the best learning rate lies at the edge of its grid")
    return paired_ratio(a.gap.values, b.gap.values, limit_a=np.inf, limit_b=np.inf)


def tables(measured: Mapping[str, xr.Dataset]) -> dict[str, pd.DataFrame]:
    """What is left of the gap."""
    rows = [
        {
            "problem": data.attrs["title"],
            "examples": WORDS[str(sampling)],
            "learning rate": f"{float(data.learning_rate.sel(sampling=sampling)):.3g}",
            "gap (median over seeds)": f"{float(data.gap.sel(sampling=sampling).median()):.3g}",
        }
        for data in measured.values()
        for sampling in data.sampling.values
    ]
    title = f"Single samples of examples stored by target: share of the initial gap left in the last of {EPOCHS} epochs"
    return {title: pd.DataFrame(rows)}


def draw(measured: Mapping[str, xr.Dataset]) -> Sequence[Picture]:
    """The gap that is left, by how the examples are drawn."""
    if not measured:
        return []
    figure = Figure(figsize=(9, 4), layout="constrained")
    ax = figure.subplots()
    for row, data in enumerate(measured.values()):
        middle = float(np.exp(np.log(data.gap.sel(sampling="reshuffle")).mean()))
        for column, (sampling, marker) in enumerate(SAMPLING_MARKERS.items()):
            values = data.gap.sel(sampling=sampling).values / middle
            place = row + 0.25 * (column - 1)
            shade = str(0.1 + 0.25 * column)
            text = WORDS[sampling] if row == 0 else None
            ax.plot(np.full(len(values), place), values, marker, color=shade, markersize=5, alpha=0.7, label=text)
    ax.axhline(NEEDS, color="0.5", linewidth=0.9, linestyle="--")
    titles = [data.attrs["title"].replace(", ", "\n") for data in measured.values()]
    ax.set_xticks(range(len(measured)), titles)
    ax.set(yscale="log", ylabel="gap / mean gap when reshuffled", xlim=(-0.5, len(measured) - 0.5))
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return [Picture("shuffling", _caption(measured), figure, ("f",))]


def _caption(measured: Mapping[str, xr.Dataset]) -> str:
    seeds = max((data.sizes["seed"] for data in measured.values()), default=0)
    return (
        f"Claim (f). Single samples of examples that are stored by their target: gap in the last of {EPOCHS} epochs, "
        "over the geometric mean of the reshuffled runs, at the best learning rate of each way. A mark for each of "
        f"{seeds} seeds (from a fixed start all runs in stored order are the same, and their marks are one). Dashed: "
        f"{NEEDS:g} times, which the claim asks for."
    )


PART = Part("shuffling", "Shuffling: examples stored by their target", (CLAIM,), measure, judge, draw, tables)
