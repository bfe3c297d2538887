"""`python -m benchmarks NAME`: the command line of the benchmarks."""

import pathlib
import sys

import tyro
from rich.console import Console

import dlcore as dl


def convergence(*, quick: bool = False, output: pathlib.Path = pathlib.Path("results/convergence")) -> None:
    """Compare batch, mini-batch and stochastic gradient descent: the main job.

    Args:
      quick: two problems, two batch sizes, 4 seeds, half the epochs and six claims: to see it work.
      output: folder for the Zarr store, table.csv, figures and report.html.
    """
    dl.setup()
    from benchmarks.convergence import job, report
    from benchmarks.convergence.measure import QUICK, Scale

    console = Console()
    results = job.measure(QUICK if quick else Scale(), console)
    report.show(results, console)
    job.store(results, output)
    console.print(f"Written to {output}: report.html, table.csv, history.zarr and the figures.", soft_wrap=True)


def throughput(parts: tuple[str, ...] = (), /, *, repeats: int = 5, output: pathlib.Path | None = None) -> None:
    """Measure speed, compile time, memory and import time.

    Args:
      parts: which to measure; all by default.
      repeats: timings to take the median of, after a warm-up.
      output: JSON file to write.
    """
    dl.setup(cache=False)
    from benchmarks import throughput

    unknown = set(parts) - set(throughput.PARTS)
    if unknown:
        raise dl.ArgumentError(f"no part {unknown.pop()!r}; there are {', '.join(throughput.PARTS)}.")
    throughput.run(parts, repeats, output)


def main() -> None:
    """Entry point; Ctrl-C ends with exit code 130, and what was written before stays as it was."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            {"convergence": convergence, "throughput": throughput}, prog="python -m benchmarks"
        )
    except dl.DlcoreError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; nothing of this run was written.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
