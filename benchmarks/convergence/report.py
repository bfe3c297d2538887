"""The results in the terminal and as a self-contained HTML page."""

import base64
import itertools
import json
import pathlib
from typing import TYPE_CHECKING

import jinja2
import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.convergence import figures
from benchmarks.convergence.problems import PROBLEMS
from dlcore.engine.provenance import provenance
from dlcore.evidence.intervals import slope_interval

if TYPE_CHECKING:
    from benchmarks.convergence.job import Results

PUBLISHED = {  # Schneider et al., DeepOBS, ICLR 2019, baselines of quadratic_deep with SGD
    "initial_test_loss": 353.446764,
    "test_loss_after_1_epoch": {0.015849: 105.445},
    "test_loss_after_100_epochs": {0.001: 95.8527, 0.015849: 87.5182},
    "growth_per_step": {0.03981: 1.2414},
}


def cost_tables(results: "Results") -> dict[str, pd.DataFrame]:
    """Title of a problem to its costs, formatted: a row for each batch size, schedule and target."""
    tables = {}
    for name in results.tunings:
        rows = results.table[results.table.problem == name]
        tables[PROBLEMS[name]().title] = pd.DataFrame(
            {
                "batch": rows.batch_size,
                "rate": rows.schedule.map({"constant": "const", "decaying": "1/t"}),
                "gap": rows.target_gap.map("{:g}".format),
                "best rate": [
                    "-" if np.isnan(rate) else f"{rate:.3g}{'' if inside else ' (edge)'}"
                    for rate, inside in zip(rows.learning_rate, rows.interior, strict=True)
                ],
                **{
                    cost: [_cost(value, limit) for value, limit in zip(rows[cost], rows[f"limit_{cost}"], strict=True)]
                    for cost in ("steps", "epochs", "examples")
                },
                "ms": [
                    _cost(1e3 * steps * each, 1e3 * limit * each)
                    for steps, limit, each in zip(rows.steps, rows.limit_steps, rows.seconds_per_step, strict=True)
                ],
                "cens.": [f"{censored}/{runs}" for censored, runs in zip(rows.censored, rows.runs, strict=True)],
            }
        )
    return tables


def published_table(results: "Results") -> pd.DataFrame:
    """DeepOBS' published numbers next to the measured ones."""
    loss = results.studies["published"].test_loss
    rows = [("test loss at the start", PUBLISHED["initial_test_loss"], loss.isel(step=0, learning_rate=0))]
    for position, epochs in ((1, "1_epoch"), (100, "100_epochs")):
        for rate, value in PUBLISHED[f"test_loss_after_{epochs}"].items():
            measured = loss.sel(learning_rate=rate, method="nearest").isel(step=position)
            rows.append((f"test loss after {epochs.replace('_', ' ')}, rate {rate:g}", value, measured))
    for rate, value in PUBLISHED["growth_per_step"].items():
        late = loss.sel(learning_rate=rate, method="nearest").sel(step=slice(280, 336))  # before float32 overflows
        growth = (late.isel(step=-1) / late.isel(step=0)) ** (1 / float(late.step[-1] - late.step[0]))
        rows.append((f"late growth per step, rate {rate:g} (limit 0.03764)", value, growth))
    return pd.DataFrame(
        [
            {
                "quantity": quantity,
                "published": f"{value:.6g}",
                "measured": f"{float(measured.mean()):.6g}",
                "sd over partitions": f"{float(measured.std()):.2g}",
            }
            for quantity, value, measured in rows
        ]
    )


def rate_table(results: "Results") -> pd.DataFrame:
    """Linear rate of full-batch descent on least squares, measured and from the Hessian's eigenvalues."""
    study = results.studies["linear_rate"]
    return pd.DataFrame(
        {
            "rate / stability limit": [f"{rate:g}" for rate in study.learning_rate.values],
            "measured factor per step": [f"{value:.6f}" for value in study.measured.values],
            "theory": [f"{value:.6f}" for value in study.theory.values],
        }
    )


def floor_table(results: "Results") -> pd.DataFrame:
    """Exponent of the noise floor in the learning rate, and what decay leaves of the floor."""
    study = results.studies["noise_floor"].floor
    rows = []
    for sampling, size in itertools.product(study.sampling.values, study.batch_size.values):
        floor = np.log(study.sel(batch_size=size, sampling=sampling).transpose("decay", "learning_rate", "seed"))
        constant, decaying = floor.values
        slope = slope_interval(np.repeat(np.log(study.learning_rate.values), floor.sizes["seed"]), constant.ravel())
        rows.append(
            {
                "sampling": sampling.replace("_", " "),
                "batch": size,
                "exponent of the rate": str(slope),
                "floor, decaying / constant": f"{np.exp((decaying - constant).mean()):.3f}",
            }
        )
    return pd.DataFrame(rows)


def verdict_table(results: "Results") -> pd.DataFrame:
    """A row for each claim."""
    return pd.DataFrame(
        [
            {"": v.claim.name, "claim": v.claim.statement, "verdict": str(v.outcome), "evidence": v.summary}
            for v in results.verdicts
        ]
    )


def show(results: "Results", console: Console) -> None:
    """Print all tables; the verdicts last."""
    for title, table in cost_tables(results).items():
        _print(console, f"{title}: cost to a gap, median of {results.scale.num_seeds} seeds", table)
    _print(console, "DeepOBS noisy quadratic: published and measured", published_table(results))
    _print(console, "Least squares, full batch: linear rate", rate_table(results))
    _print(console, "Least squares: noise floor of constant-rate SGD", floor_table(results))
    _print(console, "The eight textbook differences", verdict_table(results), lines=True)


def write(results: "Results", folder: pathlib.Path) -> None:
    """Write the figures as PNG and SVG, and `report.html` with all of them inside."""
    pictures = []
    for name, (figure, caption) in figures.all_figures(results.tunings, results.studies).items():
        picture = folder / f"{name}.png"
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, saved twice
        figure.savefig(picture, dpi=110)
        figure.savefig(picture.with_suffix(".svg"))
        pictures.append((name, caption, base64.b64encode(picture.read_bytes()).decode()))
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((pathlib.Path(__file__).parent / "report.html.jinja").read_text())
    page = template.render(
        results=results,
        verdicts=results.verdicts,
        pictures=pictures,
        tables=cost_tables(results),
        other={
            "DeepOBS noisy quadratic: published and measured": published_table(results),
            "Least squares, full batch: linear rate": rate_table(results),
            "Least squares: noise floor of constant-rate SGD": floor_table(results),
        },
        provenance=json.dumps(provenance(), indent=1),
    )
    (folder / "report.html").write_text(page)


def _cost(value: float, limit: float) -> str:
    """A median cost; where half the runs are censored, that it is more than what they had spent."""
    if not np.isfinite(value):
        return f">{_cost(limit, limit)}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _print(console: Console, title: str, frame: pd.DataFrame, *, lines: bool = False) -> None:
    table = Table(title=title, title_justify="left", show_lines=lines, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in frame.columns:
        left = lines or column in ("rate", "quantity", "sampling")
        table.add_column(str(column), justify="left" if left else "right")
    for row in frame.itertuples(index=False):
        table.add_row(*map(str, row))
    console.print(table)
