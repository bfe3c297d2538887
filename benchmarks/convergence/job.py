"""The main job end to end: measure, judge, print, store."""

import pathlib
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from rich.console import Console

import dlcore as dl
from benchmarks.convergence import claims, report
from benchmarks.convergence.measure import Scale, Tuning, batch_sizes, timed, tuned
from benchmarks.convergence.problems import PROBLEMS, BatchSize
from benchmarks.convergence.studies import STUDIES
from dlcore.engine.folders import replacing
from dlcore.engine.provenance import provenance
from dlcore.evidence import convergence
from dlcore.evidence.claims import Verdict


class Results(NamedTuple):
    """Everything measured, by problem and batch size where that makes sense.

    table: a row for each problem, batch size, schedule and target. scale: what was run.
    """

    tunings: Mapping[str, Mapping[BatchSize, Tuning]]
    times: Mapping[str, Mapping[BatchSize, float]]
    studies: Mapping[str, xr.Dataset]
    verdicts: list[Verdict]
    table: pd.DataFrame
    scale: Scale
    seconds: float


def measure(scale: Scale, console: Console) -> Results:
    """Run all measurements; prints a line for each part."""
    began = time.perf_counter()

    def note(part: str) -> None:
        console.print(f"[dim]{time.perf_counter() - began:6.1f} s[/dim]  {part}")

    tunings: dict[str, dict[BatchSize, Tuning]] = {}
    for name in scale.problems:
        problem = PROBLEMS[name]()
        note(f"{problem.title}: learning rates")
        tunings[name] = {size: tuned(problem, size, scale) for size in batch_sizes(problem, scale)}
    note("single runs: seconds per step")
    pairs: list[tuple[str, BatchSize]] = [(name, size) for name in tunings for size in tunings[name]]
    seconds = convergence.seconds_per_step([timed(PROBLEMS[name](), size) for name, size in pairs])
    times: dict[str, dict[BatchSize, float]] = {name: {} for name in tunings}
    for (name, size), value in zip(pairs, seconds, strict=True):
        times[name][size] = float(value)
    studies = {}
    for name, study in STUDIES.items():
        if name in scale.without:
            continue
        note(f"study: {name.replace('_', ' ')}")
        studies[name] = study(scale)
    note("done")
    verdicts = claims.judge(tunings, times, studies)
    return Results(tunings, times, studies, verdicts, _table(tunings, times), scale, time.perf_counter() - began)


def _table(
    tunings: Mapping[str, Mapping[BatchSize, Tuning]], times: Mapping[str, Mapping[BatchSize, float]]
) -> pd.DataFrame:
    """Medians over seeds (infinite where half the runs are censored) and the number of censored runs."""
    rows = []
    for name, per_size in tunings.items():
        for size, tuning in per_size.items():
            for schedule, position in (("constant", 0), ("decaying", 1)):
                for target in tuning.best.target.values:
                    best = tuning.best.isel(decay=position).sel(target=target)
                    median = {
                        cost: float(best[cost].fillna(np.inf).median()) for cost in ("steps", "epochs", "examples")
                    }
                    rows.append(
                        {
                            "problem": name,
                            "batch_size": size,
                            "schedule": schedule,
                            "target_gap": float(target),
                            "learning_rate": float(best.learning_rate),
                            "interior": bool(best.interior),
                            **median,
                            "seconds": median["steps"] * times[name][size],
                            "seconds_per_step": times[name][size],
                            "runs": best.sizes["seed"],
                            "censored": int(best.steps.isnull().sum()),
                            **{f"limit_{cost}": float(best[f"limit_{cost}"]) for cost in median},
                        }
                    )
    return pd.DataFrame(rows)


def store(results: Results, folder: pathlib.Path) -> None:
    """Write `history.zarr`, `table.csv`, figures and `report.html`; the old folder goes when all is there.

    A figure that fails is an error once the numbers are in their place.
    """
    groups = {f"studies/{name}": study for name, study in results.studies.items()}
    for name, per_size in results.tunings.items():
        for size, tuning in per_size.items():
            groups[f"{name}/batch_{size}/history"] = tuning.history
            groups[f"{name}/batch_{size}/best"] = tuning.best
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {**provenance(), "num_seeds": results.scale.num_seeds, "epochs": results.scale.epochs}
    failed: BaseException | None = None
    with replacing(folder) as new:
        dl.save(tree, new / "history.zarr")
        results.table.to_csv(new / "table.csv", index=False)
        try:
            report.write(results, new)
        except BaseException as error:  # Ctrl-C too: hours of measurements outlive their pictures
            failed = error
    if failed is not None:
        failed.add_note(f"The measurements are in {folder}: history.zarr and table.csv.")
        raise failed
