"""`python -m benchmarks NAME`: the command line of the benchmarks."""

import pathlib

from rich.console import Console

import dlcore as dl
from dlcore.engine.command_line import run_subcommands
from dlcore.engine.folders import check_output


def convergence(*, quick: bool = False, output: pathlib.Path = pathlib.Path("results/convergence")) -> None:
    """Compare batch, mini-batch and stochastic gradient descent: the main job.

    Args:
      quick: two problems, two batch sizes, 4 seeds, half the epochs and six claims: to see it work.
      output: folder for the Zarr store, table.csv, figures and report.html.
    """
    check_output(output)
    dl.setup()
    from benchmarks.convergence import job, report
    from benchmarks.convergence.measure import QUICK, Scale

    console = Console()
    results = job.measure(QUICK if quick else Scale(), console)
    job.store(results, output)
    report.show(results, console)
    console.print(f"Written to {output}: report.html, table.csv, history.zarr and the figures.", soft_wrap=True)


def throughput(parts: tuple[str, ...] = (), /, *, repeats: int = 5, output: pathlib.Path | None = None) -> None:
    """Measure speed, compile time, memory and import time.

    Args:
      parts: which to measure; all by default.
      repeats: timings to take the median of, after a warm-up.
      output: JSON file to write.
    """
    dl.setup(cache=False)
    from benchmarks import throughput, timing

    timing.measure(throughput.PARTS, parts, repeats, output)


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


def main() -> None:
    """Entry point."""
    commands = {"convergence": convergence, "throughput": throughput, "layers": layers}
    run_subcommands(commands, "python -m benchmarks")


if __name__ == "__main__":
    main()
