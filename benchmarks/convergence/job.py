"""The main job end to end: measure, judge, draw."""

import functools
import time
from collections.abc import Mapping

from rich.console import Console

from benchmarks.convergence.design import PARTS, plan
from benchmarks.convergence.parts import Measured, Part, Scale, side_by_side
from benchmarks.convergence.results import Results

CLAIMS = "abcdefgh"  # the textbook's; what the other verdicts are about follows from theory
NUM_THREADS = 2


def measure(scale: Scale, console: Console) -> Results:
    """Measure all parts, with a line for each, and judge them; the plan stands before the first measurement.

    Parts are measured side by side; their seconds last, one after the other, with nothing beside them.
    """
    began = time.perf_counter()
    planned = plan(scale)
    console.print(f"Plan {planned.digest[:12]}, seeds from {scale.first_seed} on (block {scale.block}).")

    def note(text: str) -> None:
        console.print(f"[dim]{time.perf_counter() - began:6.1f} s[/dim]  {text}", highlight=False)

    def measured(part: Part) -> Measured:
        found = part.measure(scale)
        note(part.title)
        return found

    found = side_by_side([functools.partial(measured, part) for part in PARTS], NUM_THREADS)
    parts = {part.name: part.clock(data, scale) for part, data in zip(PARTS, found, strict=True)}
    note("Seconds of the steps")
    return judge(parts, scale, time.perf_counter() - began)


def judge(parts: Mapping[str, Measured], scale: Scale, seconds: float = 0.0) -> Results:
    """Verdicts, figures and tables of what was measured."""
    verdicts = [verdict for part in PARTS for verdict in part.judge(parts[part.name])]
    textbook = sorted((v for v in verdicts if v.claim.name in CLAIMS), key=lambda verdict: verdict.claim.name)
    theory = [verdict for verdict in verdicts if verdict.claim.name not in CLAIMS]
    pictures = [picture for part in PARTS for picture in part.draw(parts[part.name])]
    tables = {title: table for part in PARTS for title, table in part.tables(parts[part.name]).items()}
    return Results(plan(scale), parts, textbook, theory, pictures, tables, scale, seconds)
