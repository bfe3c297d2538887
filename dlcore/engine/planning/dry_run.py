"""`planning`: what a program with studies in it would run, planned in place of run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlcore.engine.axes import Study
from dlcore.engine.later import xr
from dlcore.engine.planning.plan import plan_of
from dlcore.engine.planning.planned import Plan, count, duration, scaled
from dlcore.engine.preparation import Options
from dlcore.engine.sweep import doing_instead
from dlcore.engine.traced import Traced

if TYPE_CHECKING:
    from rich.console import Console


@contextlib.contextmanager
def planning(found: Callable[[Plan], None], *, measure: bool = True) -> Iterator[None]:
    """Within it `dl.sweep` plans its study, tells `found`, and returns the results of runs of which nothing is known.

    They have the right dimensions and coordinates, and NaN for every record. So what comes after goes on with rates
    that nothing has tuned, and lengths that nothing has cut short.
    """
    one_at_a_time = threading.Lock()  # blocks are timed with nothing beside them

    def instead(study: Study, options: Options, width: Callable[[Traced], int], store: Any) -> xr.Dataset:
        with one_at_a_time:
            plan, given = plan_of(study, options, width, store, measure=measure, room=True)
            found(plan)
            results = given.table.dataset(given.traced[0].training.attrs, given.attrs, whole=True)
            return results.drop_vars("finished")

    with doing_instead(instead):
        yield


CAVEAT = (
    "Nothing was run to its end: rates and lengths that follow from earlier results are the first guesses, grids do "
    "not grow, and what is no study (seconds of single steps, figures) is not in it."
)


def print_plans(jobs: Mapping[str, Callable[[], Any]], console: Console, *, brief: bool = False) -> list[Plan]:
    """Plan every study of some jobs, by title, and print it; then their sum, and what is not known.

    Args:
      brief: print one line for a study.
    """
    plans: list[Plan] = []

    def found(plan: Plan) -> None:
        plans.append(plan)
        problems = "".join(f"\n  does not fit: {problem}" for problem in plan.problems)
        there = f"; {count(plan.cells - plan.missing, 'cell')} there" if plan.missing < plan.cells else ""
        text = plan.head + there + problems if brief else repr(plan)
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    for title, job in jobs.items():
        console.print(title, style="bold")
        with planning(found):
            try:
                job()
            except Exception as error:  # whatever a job makes of results that are all missing
                reason = f"{type(error).__name__}: {error}"
                console.print(f"What comes next depends on results: {reason}", markup=False, soft_wrap=True)
    console.print(f"{in_all(plans)}\n{CAVEAT}", highlight=False, markup=False, soft_wrap=True)
    return plans


def in_all(plans: Sequence[Plan]) -> str:
    """The sum of plans in words."""
    seconds = [plan.seconds for plan in plans if plan.seconds is not None]
    compiling = [plan.compiling_seconds for plan in plans if plan.compiling_seconds is not None]
    there = sum(plan.cells - plan.missing for plan in plans)
    lacking = [plan.missing_seconds for plan in plans if plan.missing_seconds is not None]
    left = f" {count(there, 'cell')} there already; the rest takes {duration(sum(lacking))}." if there else ""
    known = f"{duration(sum(seconds))}, {duration(sum(compiling))} of it to compile"
    return (
        f"In all {len(plans)} {'study' if len(plans) == 1 else 'studies'}, "
        f"{count(sum(plan.cells for plan in plans), 'cell')}, "
        f"{count(sum(len(plan.programs) for plan in plans), 'program')}, "
        f"{scaled(sum(plan.flops for plan in plans), 'FLOP')}; one study after the other: "
        f"{known if len(seconds) == len(plans) else duration(None)}.{left}"
    )
