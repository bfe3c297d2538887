"""Arguments of `dl.evidence`."""

import functools
import json
import pathlib
import tempfile

import jax
import numpy as np
import optax
import xarray as xr

import dlcore as dl


def _history() -> xr.Dataset:
    losses = np.array([[5.0, 3.0, 1.0, 0.5], [5.0, 0.9, 3.0, 0.8]])
    return xr.Dataset({"loss": (("seed", "step"), losses)}, {"seed": [0, 1], "step": [0, 10, 20, 30]})


def _run_rates(rates) -> xr.Dataset:
    return xr.Dataset({"loss": ("learning_rate", np.log(np.asarray(rates)) ** 2)}, {"learning_rate": rates})


@functools.cache
def _training() -> dl.Training:
    task = dl.tasks.regression(dl.models.linear(1, 1), dl.data.from_arrays(np.ones((4, 1)), np.ones((4, 1))))
    return dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=2, num_epochs=1, evaluate=())


PLAN = dl.evidence.Plan("Is it so?", (), {"sizes": [1, 8]}, ())


@functools.cache
def _files() -> list[pathlib.Path]:
    folder = pathlib.Path(tempfile.mkdtemp())
    files = [folder / "1.json", folder / "2.json"]
    for file in files:
        file.write_text(json.dumps(dl.evidence.verdict_json(PLAN, [])))
    return files


def _fit(variant, learning_rate, seed):
    task = dl.tasks.regression(dl.models.linear(1), dl.data.from_arrays(np.ones((4, 1)), np.ones((4, 1))))
    return dl.training(jax.random.key(seed), task, optax.sgd(learning_rate), batch_size="full", num_steps=2)


EXAMPLES = {
    "at_own_rates": lambda: {
        "fit": _fit,
        "variants": np.arange(2),
        "rates": np.array([0.125, 0.25, 0.5]),
        "score": lambda history: history.train_loss.isel(step=-1),
        "tuning_seeds": np.arange(2),
        "seeds": np.arange(2, 4),
        "max_rounds": 0,
        "store": pathlib.Path(tempfile.mkdtemp()) / "runs",
        "lane_width": 4,
    },
    "arrival": lambda: {
        "history": _history().assign_coords(examples=("step", [0, 10, 20, 30])),
        "metric": "loss",
        "target": 1.0,
        "window": 10.0,
        "along": "examples",
    },
    "above": lambda: {"low": 2.0, "margin": 1.5},
    "below": lambda: {"high": 2.0, "margin": 1.5},
    "border_cells": lambda: {"inside": np.eye(4, dtype=bool)},
    "box_counting_dimension": lambda: {"border": np.eye(64, dtype=bool), "min_boxes": 4, "tolerance": 0.1},
    "box_counts": lambda: {"border": np.eye(64, dtype=bool), "min_boxes": 4},
    "densest_window": lambda: {"border": np.eye(8, dtype=bool), "size": 2},
    "zoom_into_border": lambda: {
        "inside": lambda y, x: y[:, None] ** 2 + x**2 < 1,
        "corner": (-2.0, -2.0),
        "width": 4.0,
        "size": 9,
        "zooms": (1, 2),
    },
    "agreement": lambda: {"files": _files()},
    "conjunction": lambda: {"outcomes": [dl.evidence.Outcome.SUPPORTED]},
    "critical_batch_size": lambda: {
        "batch_sizes": np.array([1, 8, 64]),
        "steps": np.array([[3300.0, 500.0, 150.0], [3000.0, 480.0, 140.0]]),
        "num_examples": 64,
        "level": 0.9,
    },
    "exact": lambda: {"value": 2.5},
    "exact_slope": lambda: {"x": np.arange(3.0), "y": np.array([1.0, 3.0, 5.1]), "tolerance": 0.1},
    "fit_scaling": lambda: {
        "batch_sizes": np.array([1, 8, 64]),
        "steps": np.array([3300.0, 500.0, np.nan]),
        "num_examples": 64,
    },
    "geometric_mean_interval": lambda: {"values": np.array([1.0, 2.0, 4.0]), "level": 0.9},
    "gradient_cost": lambda: {
        "model": dl.models.linear(2),
        "inputs": np.ones((4, 2), np.float32),
        "blocks": 2,
        "seconds": 0.0,
    },
    "resampled_interval": lambda: {"values": np.array([1.0, 2.0, 4.0]), "test_share": 0.3, "level": 0.9},
    "piloted": lambda: {"date": "2026-11-26"},
    "mean_interval": lambda: {"values": np.array([1.0, 2.0, 4.0]), "level": 0.9},
    "paired_difference": lambda: {"a": np.array([3.0, 4.0, 6.0]), "b": np.array([1.0, 2.0, 3.0]), "level": 0.9},
    "paired_ratio": lambda: {
        "a": np.array([3.0, 4.0, np.nan]),
        "b": np.array([1.0, 2.0, 3.0]),
        "limit_a": 9.0,
        "limit_b": 9.0,
        "level": 0.9,
    },
    "product": lambda: {"a": dl.evidence.exact(2.0), "b": dl.evidence.mean_interval(np.array([1.0, 1.1, 1.3]))},
    "seconds_per_call": lambda: {"calls": [lambda: np.ones(2)], "blocks": 2, "seconds": 0.0},
    "seconds_per_step": lambda: {"trainings": [_training()], "blocks": 2, "seconds": 0.0},
    "share_below": lambda: {"values": np.array([0.1, 0.2, np.inf]), "limit": 0.5, "level": 0.9},
    "share_difference": lambda: {
        "successes_a": 3,
        "trials_a": 4,
        "successes_b": 1,
        "trials_b": 5,
        "level": 0.9,
    },
    "share_interval": lambda: {"successes": 3, "trials": 4, "level": 0.9},
    "slopes_interval": lambda: {
        "x": np.arange(3.0),
        "y": np.array([[1.0, 2.0, 3.0], [1.0, 2.2, 3.1]]),
        "tolerance": 0.1,
        "level": 0.9,
    },
    "steps_to_target": lambda: {
        "history": _history(),
        "metric": "loss",
        "target": 1.0,
        "along": "step",
        "consecutive": 2,
    },
    "tune": lambda: {
        "run_rates": _run_rates,
        "learning_rates": np.array([0.25, 0.5, 1.0]),
        "score": lambda history: history.loss,
        "max_rounds": 2,
        "refine": 4,
    },
    "undetermined": lambda: {"reason": "2 of 8 runs are not finite", "count": 8},
    "verdict_json": lambda: {"plan": PLAN, "verdicts": [], "theory": [], "provenance": {"block": 1}},
    "within": lambda: {"low": 0.8, "high": 1.25, "margin": 1.1},
}
