"""`python -m experiments list | run NAME | all`: the command line of the experiments."""

import importlib
import pathlib
import pkgutil

import xarray as xr
from rich.console import Console
from rich.table import Table

import dlcore as dl
import experiments
from dlcore.core.arguments import one_of
from dlcore.engine.command_line import run_subcommands
from dlcore.engine.folders import check_output
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


def run(name: str, /, *, output: pathlib.Path = pathlib.Path("results")) -> None:
    """Measure, judge and plot one experiment; results go to OUTPUT/NAME."""
    experiment = load(name)
    folder = output / name
    for store in ("results.zarr", "interrupted.zarr"):
        check_output(folder / store)
    dl.setup()
    results = measured(experiment, folder)
    dl.save(results, folder / "results.zarr")
    table = Table("claim", "verdict", "evidence", title=experiment.question, title_justify="left", show_lines=True)
    for verdict in experiment.judge(results):
        table.add_row(verdict.claim.statement, str(verdict.outcome), verdict.summary)
    experiment.plot(results).savefig(folder / "figure.png", dpi=110)
    Console().print(table)


def measured(experiment: Experiment, folder: pathlib.Path) -> xr.Dataset:
    """What the experiment measures; after Ctrl-C the cells that were finished are in FOLDER/interrupted.zarr."""
    try:
        return experiment.measure()
    except KeyboardInterrupt as error:
        kept = getattr(error, "results", None)
        if isinstance(kept, xr.Dataset):
            dl.save(kept, folder / "interrupted.zarr")
            error.add_note(f"the finished cells are in {folder / 'interrupted.zarr'}.")
        raise


def all_(*, output: pathlib.Path = pathlib.Path("results")) -> None:
    """Run every experiment."""
    for name in names():
        check_output(output / name / "results.zarr")
    for name in names():
        run(name, output=output)


def main() -> None:
    """Entry point."""
    run_subcommands({"list": list_, "run": run, "all": all_}, "python -m experiments")


if __name__ == "__main__":
    main()
