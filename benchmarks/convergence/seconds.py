"""What an optimizer step costs in seconds on this machine, and how much of that draws the order of the examples."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
import optax
import pandas as pd
import xarray as xr

import dlcore as dl
from benchmarks.convergence.problems import PROBLEMS, BatchSize, Problem
from dlcore.core.order import Sampling
from dlcore.core.training import Training
from dlcore.evidence import Interval, geometric_mean_interval, undetermined
from dlcore.evidence.timing import seconds_per_step

EXAMPLES = 8192  # of a record, in whole epochs: so many that what is not a step hardly counts
DRAWN, IN_ORDER = "1", "1 in order"
# Name of a side to how it takes its examples. The last one draws nothing: what the other takes longer draws the order.
SIDES: dict[str, tuple[BatchSize, Sampling]] = {
    "full": ("full", "reshuffle"),
    DRAWN: (1, "reshuffle"),
    IN_ORDER: (1, "in_order"),
}


def timed(problem: Problem, batch_size: BatchSize, sampling: Sampling = "reshuffle") -> Training:
    """A run to time the steps of: no evaluation, long intervals of whole epochs."""
    num_examples = problem.task.data.train.num_rows
    size = num_examples if batch_size == "full" else batch_size
    steps = max(1, EXAMPLES // num_examples) * (num_examples // size)
    return dl.training(
        jax.random.key(0),
        problem.task,
        optax.sgd(problem.learning_rates[batch_size] / 10),
        batch_size=batch_size,
        num_steps=steps,
        record_every=steps,
        evaluate=(),
        sampling=sampling,
    )


def labeled(times: np.ndarray, sides: Sequence[str]) -> xr.DataArray:
    """Seconds of a step [blocks, k] as dims (block, side)."""
    return xr.DataArray(times, dims=("block", "side"), coords={"side": list(sides)}, name="seconds")


def steps(names: Sequence[str], *, blocks: int, drawing: bool = True) -> dict[str, xr.DataArray]:
    """Problem to the seconds of a step of each of `SIDES`, dims (block, side).

    Args:
      drawing: whether to measure the side that draws no order, too.
    """
    sides = [side for side in SIDES if drawing or side != IN_ORDER]
    pairs = [(name, side) for name in names for side in sides]
    times = seconds_per_step([timed(PROBLEMS[name](), *SIDES[side]) for name, side in pairs], blocks=blocks)
    by_problem = times.reshape(blocks, len(names), len(sides))
    return {name: labeled(by_problem[:, i], sides) for i, name in enumerate(names)}


def ratio_of_seconds(data: xr.Dataset, a: str, b: str) -> Interval:
    """Seconds of a step of side `a` over those of side `b`: the geometric mean over blocks, each an observation."""
    if "seconds" not in data:
        return undetermined("the seconds were not measured")
    times = data.seconds
    if missing := [side for side in (a, b) if side not in times.side.values]:
        return undetermined(f"the seconds of {' and '.join(missing)} were not measured")
    return geometric_mean_interval((times.sel(side=a) / times.sel(side=b)).values)


def share_of_drawing(times: xr.DataArray, drawn: str = DRAWN, in_order: str = IN_ORDER) -> float:
    """Of the seconds of a step, the share that draws the order of the examples; NaN where it was not measured."""
    if not {drawn, in_order} <= set(times.side.values):
        return float("nan")
    return float(max(0.0, 1 - (times.sel(side=in_order) / times.sel(side=drawn)).median("block")))


def in_percent(share: float) -> str:
    """A share in words, where there is one."""
    return f"{share:.0%}" if np.isfinite(share) else "not measured"


def table(measured: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """A row for each problem: seconds of a step, and what of it draws the order; `seconds` of each dataset."""
    rows = []
    for name, data in measured.items():
        micros = 1e6 * data.seconds.median("block")
        rows.append(
            {
                "problem": data.attrs.get("title", name),
                "full batch, µs": f"{float(micros.sel(side='full')):.3g}",
                "single sample, µs": f"{float(micros.sel(side=DRAWN)):.3g}",
                "full batch / single sample": str(ratio_of_seconds(data, "full", DRAWN)),
                "draws the order, of a single sample's step": in_percent(share_of_drawing(data.seconds)),
            }
        )
    return pd.DataFrame(rows)
