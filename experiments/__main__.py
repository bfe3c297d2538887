"""`python -m experiments list | run NAME | all`: the command line of the experiments."""

import importlib
import pathlib
import pkgutil

from rich.console import Console
from rich.table import Table

import dlcore as dl
import experiments
from dlcore.core.arguments import one_of
from dlcore.engine.command_line import run_subcommands
from dlcore.engine.durable.continuing import continuing
from dlcore.engine.folders import check_output
from dlcore.engine.planning.dry_run import print_plans
from dlcore.evidence.claims import Experiment


def names() -> list[str]:
    """Modules of the package that define an experiment."""
    return sorted(module.name for module in pkgutil.iter_modules(experiments.__path__) if module.name != "__main__")


def load(name: str) -> Experiment:
    """The experiment of that name."""
    one_of(*names()).check("experiment", name)
    return importlib.import_module(f"experiments.{name}").EXPERIMENT


def list_() -> None:
    """Print the experiments and their questions."""
    table = Table("name", "question", box=None)
    for name in names():
        table.add_row(name, load(name).question)
    Console().print(table)


def run(
    name: str, /, *, output: pathlib.Path = pathlib.Path("results"), fresh: bool = False, plan: bool = False
) -> None:
    """Measure, judge and plot one experiment; results go to OUTPUT/NAME.

    Runs are kept in OUTPUT/NAME/study as soon as they are finished: the same command goes on after whatever ended it.

    Args:
      output: folder for the results of all experiments.
      fresh: remove the runs that earlier calls have kept, and compute all anew.
      plan: print what its studies will take, as far as it is known before they are run, and end.
    """
    experiment = load(name)
    folder = output / name
    if plan:
        dl.setup()
        print_plans({experiment.question: lambda: experiment.measure(store=folder / "study")}, Console())
        return
    check_output(folder / "results.zarr")
    dl.setup()
    with continuing(folder / "study", fresh=fresh):
        results = experiment.measure(store=folder / "study")
    dl.save(results, folder / "results.zarr")
    table = Table("claim", "verdict", "evidence", title=experiment.question, title_justify="left", show_lines=True)
    for verdict in experiment.judge(results):
        table.add_row(verdict.claim.statement, str(verdict.outcome), verdict.summary)
    experiment.plot(results).savefig(folder / "figure.png", dpi=110)
    Console().print(table)


def all_(*, output: pathlib.Path = pathlib.Path("results"), fresh: bool = False) -> None:
    """Run every experiment, as `run` does."""
    for name in names():
        check_output(output / name / "results.zarr")
    for name in names():
        run(name, output=output, fresh=fresh)


def main() -> None:
    """Entry point."""
    run_subcommands({"list": list_, "run": run, "all": all_}, "python -m experiments")


if __name__ == "__main__":
    main()
