"""`python -m experiments list | run NAME | all | reproduce DIR | agreement DIR ... | map | atlas`: the command line."""

import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table

import dlcore as dl
from dlcore.core.arguments import integer
from dlcore.engine.command_line import run_subcommands
from dlcore.engine.durable.continuing import continuing
from dlcore.engine.folders import check_output
from dlcore.engine.planning.dry_run import print_plans
from dlcore.engine.setup import exact_products
from dlcore.evidence import blocks
from dlcore.evidence.claims import Verdict
from dlcore.evidence.experiments import MOST_BLOCKS, Scale
from dlcore.evidence.pages import check_page, update_page
from dlcore.evidence.tables import signed
from experiments import page, reproduction
from experiments.atlas import write_atlas
from experiments.catalog import load, names
from experiments.execution import VERDICT, Ran, answer, write
from experiments.execution import run as measured
from experiments.tiles import draw_map

OUTPUT = pathlib.Path("results/experiments")
Name = Literal["quick", "default", "full"]
BLOCK = integer(0, MOST_BLOCKS)


def list_() -> None:
    """Print the experiments and their questions."""
    table = Table("name", "question", box=None)
    for name in names():
        table.add_row(name, load(name).question)
    Console().print(table)


def run(
    name: str,
    /,
    *,
    scale: Name = "default",
    seed_block: int = 1,
    output: pathlib.Path = OUTPUT,
    store: pathlib.Path | None = None,
    fresh: bool = False,
    plan: bool = False,
) -> None:
    """Measure, judge and plot one experiment; results, figures and verdict.json go to OUTPUT/NAME.

    Runs are kept in STORE/NAME as soon as they are finished: the same command goes on after whatever ended it.

    Args:
      scale: "quick" to see it work, "default" for the verdicts, "full" for more than they need.
      seed_block: which seeds are judged; no two blocks share any.
      output: folder for the results of all experiments.
      store: folder for the runs of all experiments; OUTPUT-studies by default.
      fresh: remove the runs that earlier calls have kept, and compute all anew.
      plan: print what its studies will take, as far as it is known before they are run, and end.
    """
    how = _scale(name, scale, seed_block, output, store)
    if plan:
        _prepare()
        print_plans({load(name).question: lambda: load(name).measure(how)}, Console())
        return
    check_output(output / name)
    _prepare()
    ran = _run(name, how, fresh=fresh, say=True)
    _show(ran, write(ran, output / name), Console())


def all_(
    *,
    scale: Name = "default",
    seed_block: int = 1,
    output: pathlib.Path = OUTPUT,
    store: pathlib.Path | None = None,
    fresh: bool = False,
    readme: pathlib.Path | None = None,
) -> None:
    """Run every experiment, with a line for each; ends with code 1 if one could not run, after the others.

    Args:
      scale: "quick" to see them work, "default" for the verdicts, "full" for more than they need.
      seed_block: which seeds are judged; no two blocks share any.
      output: folder for the results of all experiments.
      store: folder for the runs of all experiments; OUTPUT-studies by default.
      fresh: remove the runs that earlier calls have kept, and compute all anew.
      readme: a Markdown file whose table of verdicts is written anew, between <!-- verdicts --> and <!-- /verdicts -->.
    """
    BLOCK.check("seed_block", seed_block)
    if readme is not None:
        check_page(readme)
    for name in names():
        check_output(output / name)
    _prepare()
    console = Console()
    failed = []
    for name in names():
        try:
            how = _scale(name, scale, seed_block, output, store)
            write(_run(name, how, fresh=fresh, say=False), output / name)
            text = page.line(page.documents(output, [name])[name])
        except Exception as error:  # the others are run whatever is wrong with one
            failed.append(name)
            text = f"could not run: {type(error).__name__}: {error}"
        console.print(f"{name}: {text}", soft_wrap=True, highlight=False, markup=False)
    if failed:
        print(f"error: {len(failed)} of {len(names())} experiments could not run: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)
    if readme is not None:
        update_page(readme, page.table(page.documents(output, names())))


def reproduce(folder: pathlib.Path, /) -> None:
    """Run once more what a folder of results comes from, with nothing kept, and compare.

    Ends with code 1 if a number differs. What is measured in seconds is left out, so a verdict on seconds may flip.

    Args:
      folder: OUTPUT/NAME of an earlier run.
    """
    _prepare()
    ran, document, differing = reproduction.again(folder)
    console = Console()
    for text in differing:
        console.print(f"differs: {text}", highlight=False, markup=False)
    outcomes = {claim["name"]: claim["outcome"] for claim in document["claims"]}
    flipped = [each.claim.name for each in ran.verdicts() if str(each.outcome) != outcomes.get(each.claim.name)]
    flips = f", verdicts differ: {', '.join(flipped)}" if flipped else ", all verdicts agree"
    numbers = "not all numbers are the same" if differing else "all numbers but seconds are the same to the bit"
    console.print(f"{ran.name}: {numbers}{flips}.", highlight=False)
    if differing:
        sys.exit(1)


def agreement(folders: tuple[pathlib.Path, ...], /) -> None:
    """Compare the verdicts of all experiments on several blocks of seeds; ends with code 1 if any differs.

    Args:
      folders: the output of `all` for each block, two or more.
    """
    if len(folders) < 2:
        raise dl.ArgumentError(f"agreement: got {len(folders)} folders; expects the output of `all` for two blocks.")
    shown = [
        blocks.show([folder / name / VERDICT for folder in folders], Console(), title=load(name).question)
        for name in names()
    ]
    if not all(shown):
        sys.exit(1)


def _scale(name: str, scale: Name, block: int, output: pathlib.Path, store: pathlib.Path | None) -> Scale:
    BLOCK.check("seed_block", block)
    folder = pathlib.Path(os.path.abspath(output))
    kept = store or folder.with_name(f"{folder.name}-studies")
    return Scale(scale, block, len(load(name).history), kept / name)


def _prepare() -> None:
    dl.setup()
    exact_products()


def _run(name: str, scale: Scale, *, fresh: bool, say: bool) -> Ran:
    assert scale.studies is not None
    with continuing(scale.studies, fresh=fresh, say=print if say else lambda text: None):
        return measured(name, scale)


def _show(ran: Ran, verdicts: Sequence[Verdict], console: Console) -> None:
    table = Table(
        "statement", "verdict", "evidence", title=ran.experiment.question, title_justify="left", show_lines=True
    )
    for verdict in verdicts:
        table.add_row(verdict.claim.statement, signed(verdict.outcome), verdict.summary)
    console.print(table)
    for verdict in verdicts:
        console.print(f"{verdict.claim.name}: {answer(ran.experiment, verdict)}", highlight=False)
    for name, data in ran.measured.items():
        if "runs_per_second" in data.attrs:
            console.print(f"{name}: {data.attrs['runs_per_second']:,.0f} runs a second", highlight=False)


def main() -> None:
    """Entry point."""
    commands = {"list": list_, "run": run, "all": all_, "reproduce": reproduce, "agreement": agreement}
    commands |= {"map": draw_map, "atlas": write_atlas}
    run_subcommands(commands, "python -m experiments")


if __name__ == "__main__":
    main()
