"""`python -m benchmarks NAME`: the command line of the benchmarks."""

import importlib
import os
import pathlib
from collections.abc import Callable

from rich.console import Console

import dlcore as dl
from dlcore.core.arguments import integer
from dlcore.engine.command_line import run_subcommands
from dlcore.engine.folders import check_output
from dlcore.evidence.pages import check_page, update_page

MOST_BLOCKS = 99  # blocks have 10 000 seeds each, revisions of the plan a million


def convergence(
    *,
    quick: bool = False,
    seed_block: int = 1,
    output: pathlib.Path = pathlib.Path("results/convergence"),
    fresh: bool = False,
    readme: pathlib.Path | None = None,
    plan: bool = False,
) -> None:
    """Compare batch, mini-batch and stochastic gradient descent: the main job.

    Runs are kept in OUTPUT-studies as soon as they are finished, so the same command goes on after whatever ended it.

    Args:
      quick: fewer problems, batch sizes and seeds: to see it work.
      seed_block: which seeds are judged; no two blocks share any.
      output: folder for the report, verdict.json, table.csv, figures and measurements.
      fresh: remove the runs that earlier calls have kept, and compute all anew.
      readme: a Markdown file whose table of verdicts is written anew, between <!-- verdicts --> and <!-- /verdicts -->.
      plan: print what the studies will take, as far as it is known before they are run, and end.
    """
    integer(0, MOST_BLOCKS).check("seed_block", seed_block)
    check_output(output)
    dl.setup()
    from benchmarks.convergence import job, report, verdicts
    from benchmarks.convergence import output as files
    from benchmarks.convergence.parts import QUICK, Scale

    if readme is not None:
        check_page(readme)
    console = Console()
    scale = (QUICK if quick else Scale())._replace(block=seed_block, studies=studies_of(output))
    if plan:
        job.show_plan(scale, console)
        return
    results = job.measure(scale, console, fresh=fresh)
    files.store(results, output)
    report.show(results, console)
    if readme is not None:
        update_page(readme, verdicts.readme_table(results))
    console.print(
        f"Written to {output}: report.html, verdict.json, table.csv, history.zarr and the figures.", soft_wrap=True
    )


def studies_of(output: pathlib.Path) -> pathlib.Path:
    """Where the runs behind an output are kept: beside it, since a report replaces the whole folder of the last one."""
    output = pathlib.Path(os.path.abspath(output))
    return output.with_name(f"{output.name}-studies")


def agreement(files: tuple[pathlib.Path, ...], /) -> None:
    """Compare the verdicts of the main job on several blocks of seeds.

    Args:
      files: the verdict.json of each, two or more.
    """
    from dlcore.evidence import blocks

    blocks.show(files, Console())


MEASURED = {  # what is measured, by default so often, by these modules
    "throughput": ("speed, compile time and import time", 5, ("throughput", "stores")),
    "layers": ("convolution, recurrent networks, generation of text; next to PyTorch if it is there", 5, ("layers",)),
    "plan": ("plans of studies and what the studies then take: seconds, memory, bytes of results", 3, ("plan",)),
    "probes": ("what probes cost, in gradients of the split that they look at", 9, ("probes",)),
    "accelerators": (
        "lanes, CUDA graphs, unrolled steps, precision, repeatability; also on a CPU",
        3,
        ("accelerators",),
    ),
    "scale": ("what grows with a study: seconds and memory by cells, copies of the data, 1 GB of data", 3, ("scale",)),
    "peers": (
        "the same work in PyTorch, Keras, NNX, scikit-learn and plain JAX, if they are there",
        5,
        ("peers.parts",),
    ),
}


def _measuring(what: str, default: int, modules: tuple[str, ...]) -> Callable[..., None]:
    """The command that measures the parts of some modules."""

    def command(
        parts: tuple[str, ...] = (),
        /,
        *,
        repeats: int = default,
        output: pathlib.Path | None = None,
        compare: pathlib.Path | None = None,
    ) -> None:
        from benchmarks import timing

        measured = [importlib.import_module(f"benchmarks.{name}") for name in modules]
        dl.setup(cache=False)  # after the imports: workers of `peers` start in the environment as it was
        known = {name: part for module in measured for name, part in module.PARTS.items()}
        goals = {name: goal for module in measured for name, goal in getattr(module, "GOALS", {}).items()}
        timing.measure(known, parts, repeats, output, compare, goals)

    command.__doc__ = f"""Measure {what}.

    Args:
      parts: which to measure; all by default.
      repeats: timings to take the median of, after a warm-up.
      output: JSON file to write.
      compare: JSON file of earlier measurements, to compare with.
    """
    return command


def compare(before: pathlib.Path, now: pathlib.Path, /) -> None:
    """Compare two files of measurements.

    Args:
      before: JSON file of earlier measurements.
      now: JSON file of later ones.
    """
    from benchmarks import comparison, measurements

    comparison.show(measurements.read(before), measurements.read(now))


def main() -> None:
    """Entry point."""
    commands = {"convergence": convergence, "agreement": agreement}
    commands |= {name: _measuring(*what) for name, what in MEASURED.items()}
    commands |= {"compare": compare}
    run_subcommands(commands, "python -m benchmarks")


if __name__ == "__main__":
    main()
