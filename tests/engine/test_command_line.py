"""Command lines in processes of their own: what ends them, and what is kept."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
import xarray as xr
from scripts import script_of

import dlcore as dl
from experiments.__main__ import run

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = r"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
import xarray as xr
import dlcore as dl
from rich.console import Console
from rich.table import Table
from dlcore.engine.command_line import run_subcommands

def work(path: str, lines: int = 1):
    table = Table("a \u2265 b", title="\u03b1")
    table.add_row("\u221a")
    for _ in range(lines):
        print("\u2713 measured", flush=True)
    Console().print(table)
    dl.save(xr.Dataset({"a": 1}), path)
    print("\u2713 written")

def refuse():
    raise dl.ArgumentError("got \u03b1; expects b.")

def interrupt():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt as error:
        error.add_note("the finished cells are in X.")
        raise

def break_():
    raise ZeroDivisionError

run_subcommands({"work": work, "refuse": refuse, "interrupt": interrupt, "break": break_}, "program")
"""


def start(*words, shell="", **environment):
    """The program as a process; `shell`: what follows it in a shell's line."""
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    if shell:
        command = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", *command]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=os.environ | {"PYTHONPATH": str(ROOT), "COVERAGE_PROCESS_START": ""} | environment,
    )


@pytest.mark.parametrize(
    ("shell", "environment"),
    [
        ("| head -1", {"PYTHONIOENCODING": "ascii"}),
        pytest.param("", {"PYTHONIOENCODING": "ascii"}, marks=pytest.mark.job),
        pytest.param("", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, marks=pytest.mark.job),
        pytest.param("| head -1", {}, marks=pytest.mark.job),
        pytest.param("| true", {}, marks=pytest.mark.job),
        pytest.param(">&-", {}, marks=pytest.mark.job),
        ("> /dev/full", {}),
    ],
)
@pytest.mark.job
def test_results_are_written_whatever_reads_the_output(tmp_path, shell, environment):
    """Catches hours of measurement lost to `| head -1`, to a console that has no check mark, to a full log."""
    process = start("work", "--path", tmp_path / "r", "--lines", 1000, shell=shell, **environment)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert int(dl.load(tmp_path / "r").a) == 1


@pytest.mark.job
def test_exit_codes_and_messages():
    """Catches tracebacks for users' mistakes, and faults of ours that look like theirs."""
    started = {name: start(name, PYTHONIOENCODING="ascii") for name in ("refuse", "nonsense", "break")}
    ended = {name: (process.communicate(timeout=60)[1], process.returncode) for name, process in started.items()}
    assert ended["refuse"] == ("error: got \\u03b1; expects b.\n", 2)
    assert ended["nonsense"][1] == 2
    assert ended["break"][1] == 1
    assert "ZeroDivisionError" in ended["break"][0]


def test_an_interruption_says_what_was_kept():
    """Catches Ctrl-C that ends in a traceback, or leaves the user to search."""
    process = start("interrupt")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted; the finished cells are in X.\n"


EXPERIMENT = """
import _thread, functools, sys, time
import jax.numpy as jnp, numpy as np, xarray as xr
import dlcore as dl, experiments.__main__ as command, experiments.execution as execution

class Rows:
    fingerprint = "ones"

    def __len__(self):
        return 8

    def __getitem__(self, row):
        if mode == "fails" and row == 5:
            raise KeyError("no such row")
        if mode == "waits" and row == 5:
            _thread.interrupt_main()
            time.sleep(60)
        return np.ones(2, np.float32)

def measure(scale):
    rows = dl.data.Streamed(Rows())
    fit = lambda first: dl.Training(
        lambda: 0.0, lambda x: (x + 1, {"x": jnp.sum(rows.fetch(first[None])) + (mode == "other")}), num_records=1
    )
    return {"sums": dl.sweep(fit, first=np.arange(8), lane_width=1, store=scale.store("sums"), progress=False)}

output, mode, *flags = sys.argv[1:]
revisions = (dl.evidence.Revision(1, "2026-11-26", "First plan."),)
experiment = dl.evidence.Experiment("?", (), {}, measure, lambda _: [], lambda _: [], {}, revisions)
command.load = execution.load = lambda name: experiment
dl.setup = functools.partial(dl.setup, cache=False)
sys.argv = ["experiments", "run", "sums", "--output", output, *flags]
command.main()
"""


def kept(folder):
    """The store of its runs."""
    return folder / "out-studies" / "sums" / "revision-1-block-1-default" / "sums"


def run_experiment(folder, *words):
    """Its command line in a process; words: how it behaves, and flags."""
    script = script_of(EXPERIMENT, str(folder / "out"), *words)
    return subprocess.run(**script, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.job
def test_an_experiment_with_a_failing_run(tmp_path):
    """Catches an exit code of 0, results that look complete, and other runs that are lost."""
    failed = run_experiment(tmp_path, "fails")
    assert failed.returncode == 3
    assert re.search(r"error: 1 of 8 cells failed:\n  first=5: .*no such row", failed.stderr)
    assert not (tmp_path / "out" / "sums").exists()
    assert dl.load(kept(tmp_path)).finished.values.tolist() == [True] * 5 + [False] + [True] * 2


@pytest.mark.heavy  # five processes that import JAX
def test_an_experiment_goes_on(tmp_path):
    """Catches finished runs thrown away by Ctrl-C, results of two programs mixed, advice that does not work."""
    folder, studies = tmp_path / "out" / "sums", tmp_path / "out-studies" / "sums"
    assert run_experiment(tmp_path, "fails").returncode == 3
    interrupted = run_experiment(tmp_path, "waits")
    assert interrupted.returncode == 130
    assert f"Read from {studies}, not computed again: 7 blocks of runs." in interrupted.stdout
    assert interrupted.stderr == (
        f"interrupted; the finished runs are in {studies}; the same command goes on from there.\n"
    )
    done = run_experiment(tmp_path, "works")
    assert done.returncode == 0, done.stderr
    assert f"kept in {studies}: 1 block of runs." in done.stdout
    assert dl.load(folder / "results.zarr")["sums"].x.values.tolist() == [[2.0]] * 8
    other = run_experiment(tmp_path, "other")
    assert other.returncode == 2
    assert "come from something else" in other.stderr
    assert "store=" not in other.stderr
    anew = run_experiment(tmp_path, "other", "--fresh")
    assert anew.returncode == 0, anew.stderr
    assert f"kept in {studies}: 8 blocks of runs." in anew.stdout
    assert dl.load(folder / "results.zarr")["sums"].x.values.tolist() == [[3.0]] * 8


def foreign(path):
    """A folder of somebody else."""
    path.mkdir(parents=True)
    (path / "thesis.txt").write_text("years of work")


@pytest.mark.parametrize(
    ("program", "command", "path"),
    [
        ("experiments", ["run", "learning_rate"], "learning_rate"),
        pytest.param("experiments", ["all"], "learning_rate", marks=pytest.mark.job),
        ("benchmarks", ["convergence", "--quick"], "."),
        pytest.param("benchmarks", ["throughput"], ".", marks=pytest.mark.job),
    ],
)
@pytest.mark.job
def test_the_output_is_checked_before_anything_is_measured(tmp_path, program, command, path):
    """Catches `--output` that is refused, or overwritten, after minutes."""
    foreign(tmp_path / "out" / path)
    process = subprocess.run(
        [sys.executable, "-m", program, *command, "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert process.returncode == 2
    assert process.stderr.startswith("error: ")
    assert "choose another path" in process.stderr
    assert "measured" not in process.stdout
    assert (tmp_path / "out" / path / "thesis.txt").exists()


def test_an_experiment_is_saved_before_it_is_judged(tmp_path, monkeypatch):
    """Catches measurements lost to an error in a verdict or a figure."""

    def judge(results):
        raise ZeroDivisionError

    revisions = (dl.evidence.Revision(1, "2026-11-26", "First plan."),)
    data = {"losses": xr.Dataset({"loss": 1.0})}
    experiment = dl.evidence.Experiment("?", (), {}, lambda scale: data, judge, lambda _: [], {}, revisions)
    monkeypatch.setattr("experiments.__main__.load", lambda name: experiment)
    monkeypatch.setattr("experiments.execution.load", lambda name: experiment)
    monkeypatch.setattr(dl, "setup", lambda: None)
    with pytest.raises(ZeroDivisionError):
        run("name", output=tmp_path / "out")
    assert float(dl.load(tmp_path / "out" / "name" / "results.zarr")["losses"].loss) == 1
