"""The main job end to end: measure, judge, draw."""

import contextlib
import functools
import time
from collections.abc import Mapping

from rich.console import Console

from benchmarks.convergence.design import PARTS, plan
from benchmarks.convergence.parts import Measured, Part, Scale, side_by_side
from benchmarks.convergence.results import Results
from dlcore.engine.durable.continuing import continuing
from dlcore.engine.planning.dry_run import print_plans
from dlcore.engine.setup import exact_products

CLAIMS = "abcdefgh"  # the textbook's; what the other verdicts are about follows from theory
NUM_THREADS = 2


def measure(scale: Scale, console: Console, *, fresh: bool = False) -> Results:
    """Measure all parts, with a line for each, and judge them; the plan stands before the first measurement.

    Parts are measured side by side; their seconds last, one after the other, with nothing beside them. Where the scale
    names a folder for its studies, runs that are there are read; seconds are measured in every call.

    Args:
      fresh: remove what is in that folder first.
    """
    began = time.perf_counter()
    exact_products()
    planned = plan(scale)
    console.print(f"Plan {planned.digest[:12]}, seeds from {scale.first_seed} on (block {scale.block}).")

    def note(text: str) -> None:
        console.print(f"[dim]{time.perf_counter() - began:6.1f} s[/dim]  {text}", highlight=False)

    def measured(part: Part) -> Measured:
        found = part.measure(scale)
        note(part.title)
        return found

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    kept = continuing(folder, fresh=fresh, say=say) if (folder := scale.store()) else contextlib.nullcontext()
    with kept:
        found = side_by_side([functools.partial(measured, part) for part in PARTS], NUM_THREADS)
        parts = {part.name: part.clock(data, scale) for part, data in zip(PARTS, found, strict=True)}
        note("Seconds of the steps")
    return judge(parts, scale, time.perf_counter() - began)


def show_plan(scale: Scale, console: Console) -> None:
    """Print what the studies of all parts will take, with rates that nothing has tuned."""
    exact_products()
    jobs = {part.title: functools.partial(part.measure, scale) for part in PARTS}
    print_plans(jobs, console, brief=True)


def judge(parts: Mapping[str, Measured], scale: Scale, seconds: float = 0.0) -> Results:
    """Verdicts, figures and tables of what was measured."""
    verdicts = [verdict for part in PARTS for verdict in part.judge(parts[part.name])]
    textbook = sorted((v for v in verdicts if v.claim.name in CLAIMS), key=lambda verdict: verdict.claim.name)
    theory = [verdict for verdict in verdicts if verdict.claim.name not in CLAIMS]
    pictures = [picture for part in PARTS for picture in part.draw(parts[part.name])]
    tables = {title: table for part in PARTS for title, table in part.tables(parts[part.name]).items()}
    return Results(plan(scale), parts, textbook, theory, pictures, tables, scale, seconds)
