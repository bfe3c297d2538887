"""What is the learning rate, and what happens when it is too small or too large?

Command: `python -m experiments run learning_rate`; about 15 s on 2 CPU cores.
Seen: an eighth of the best rate costs 5.3 times the steps but only 0.014 of the test accuracy, so the third claim is
conditional; 32 times the best rate fails in every run.
"""

import pathlib

import jax
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import (
    Claim,
    Evidence,
    Experiment,
    Interval,
    SubClaim,
    Verdict,
    above,
    paired_difference,
    paired_ratio,
    share_interval,
    steps_to_target,
    undetermined,
)

SLOWER = 4.0  # an eighth of the best rate needs this many times the steps
FAILED_SHARE = 0.5  # of the runs, at 32 times the best rate
WORSE = 0.02  # test accuracy lost by the largest rate that still ends finite
SHIFTS = {"small": -3, "best": 0, "large": 5}  # factors of two from the best rate

CLAIMS = (
    Claim(
        "small",
        "A small learning rate makes training slow.",
        (
            SubClaim(
                "slow", "An eighth of the best rate is slow.", "steps to the target over the best's", above(SLOWER)
            ),
        ),
    ),
    Claim(
        "large",
        "A large one makes training fail.",
        (SubClaim("fails", "32 x the best rate fails.", "share of runs that miss the target", above(FAILED_SHARE)),),
    ),
    Claim(
        "best",
        "Rates far from the best one end worse.",
        (
            SubClaim("small", "An eighth of the best rate ends worse.", "test accuracy lost", above(WORSE)),
            SubClaim("large", "32 x the best rate ends worse.", "test accuracy lost", above(WORSE)),
        ),
    ),
)


def measure(
    num_seeds: int = 8, num_epochs: int = 20, target: float = 0.3, store: pathlib.Path | None = None
) -> xr.Dataset:
    """A 64-32-10 network on the digits, plain SGD, rates by factors of two.

    Args:
      store: a folder that keeps the runs.

    Returns:
      steps to the target train loss (NaN where never reached), final test_accuracy; dims (learning_rate, seed).
    """
    task = dl.tasks.classification(dl.models.mlp([64, 32, 10]), dl.data.digits())

    def fit(learning_rate, seed):
        """How a network learns at each rate."""
        return dl.training(
            jax.random.key(seed), task, optax.sgd(learning_rate), batch_size=32, num_epochs=num_epochs, record_every=13
        )

    axes = {"learning_rate": 2.0 ** np.arange(-8, 7), "seed": np.arange(num_seeds)}
    history = dl.sweep(fit, store=store, **axes)
    accuracy = history.test_accuracy.isel(step=-1, drop=True).where(history.finite.isel(step=-1, drop=True), 0.1)
    limit = float(history.step[-1])
    return xr.Dataset(
        {"steps": steps_to_target(history, "train_loss", target), "test_accuracy": accuracy}
    ).assign_attrs(**history.attrs, target=target, limit=limit)


def judge(results: xr.Dataset) -> list[Verdict]:
    """One verdict for each claim; the best rate is the one with the fewest median steps."""
    rates = results.learning_rate.values
    best = int(np.argmin(results.steps.fillna(np.inf).median("seed").values))
    inside = 3 <= best < len(rates) - 5
    runs = {name: results.isel(learning_rate=best + shift if inside else best) for name, shift in SHIFTS.items()}
    limit = results.attrs["limit"]

    def known(interval: Interval) -> Interval:
        return interval if inside else undetermined(f"the best rate {rates[best]:g} is too near the edge of the grid")

    missed = int(runs["large"].steps.isnull().sum())
    slower = paired_ratio(runs["small"].steps.values, runs["best"].steps.values, limit_a=limit, limit_b=limit)
    failed = share_interval(missed, results.sizes["seed"])
    lost = {
        name: paired_difference(runs["best"].test_accuracy.values, runs[name].test_accuracy.values)
        for name in ("small", "large")
    }
    found = (
        {"slow": slower},
        {"fails": failed},
        lost,
    )
    return [
        Verdict(claim, {name: [Evidence("digits", known(interval))] for name, interval in intervals.items()})
        for claim, intervals in zip(CLAIMS, found, strict=True)
    ]


def plot(results: xr.Dataset) -> Figure:
    """Steps to the target, and final test accuracy, against the learning rate."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    median = results.steps.fillna(np.inf).median("seed")
    left.plot(median.learning_rate, median.where(np.isfinite(median)), "o-", color="#0072B2")
    left.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate",
        ylabel=f"steps to a train loss of {results.attrs['target']:g}",
    )
    right.plot(results.learning_rate, results.test_accuracy.median("seed"), "o-", color="#D55E00")
    right.set(xscale="log", xlabel="learning rate", ylabel="test accuracy at the end")
    return figure


EXPERIMENT = Experiment("What is the learning rate?", CLAIMS, measure, judge, plot)
