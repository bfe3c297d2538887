"""`python -m benchmarks NAME`: the command line of the benchmarks."""

import os
import pathlib

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


def throughput(parts: tuple[str, ...] = (), /, *, repeats: int = 5, output: pathlib.Path | None = None) -> None:
    """Measure speed, compile time, memory and import time.

    Args:
      parts: which to measure; all by default.
      repeats: timings to take the median of, after a warm-up.
      output: JSON file to write.
    """
    dl.setup(cache=False)
    from benchmarks import stores, throughput, timing

    timing.measure(throughput.PARTS | stores.PARTS, parts, repeats, output)


def layers(parts: tuple[str, ...] = (), /, *, repeats: int = 5, output: pathlib.Path | None = None) -> None:
    """Measure convolution, recurrent networks and generation of text, next to PyTorch where it is installed.

    Args:
      parts: which to measure; all by default.
      repeats: timings to take the median of, after a warm-up.
      output: JSON file to write.
    """
    dl.setup(cache=False)
    from benchmarks import layers, timing

    timing.measure(layers.PARTS, parts, repeats, output)


def plan(parts: tuple[str, ...] = (), /, *, repeats: int = 3, output: pathlib.Path | None = None) -> None:
    """Compare plans of studies with what the studies then take: seconds, memory, bytes of results.

    Args:
      parts: the studies; all by default.
      repeats: how often each is planned and run, to take the medians of.
      output: JSON file to write.
    """
    dl.setup(cache=False)
    from benchmarks import plan, timing

    timing.measure(plan.PARTS, parts, repeats, output)


def probes(parts: tuple[str, ...] = (), /, *, repeats: int = 9, output: pathlib.Path | None = None) -> None:
    """Measure what probes cost, in gradients of the split that they look at.

    Args:
      parts: the probes; all by default.
      repeats: timings to take the median of, after a warm-up.
      output: JSON file to write.
    """
    dl.setup(cache=False)
    from benchmarks import probes, timing

    timing.measure(probes.PARTS, parts, repeats, output)


def main() -> None:
    """Entry point."""
    commands = {
        "convergence": convergence,
        "agreement": agreement,
        "throughput": throughput,
        "layers": layers,
        "plan": plan,
        "probes": probes,
    }
    run_subcommands(commands, "python -m benchmarks")


if __name__ == "__main__":
    main()
