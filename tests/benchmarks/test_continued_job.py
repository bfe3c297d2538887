"""The main job, ended at any moment and called again: its files are those of a job that nothing ended."""

import json
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from benchmarks.__main__ import studies_of
from benchmarks.convergence import orders
from benchmarks.convergence.parts import QUICK, Scale
from benchmarks.convergence.problems import PROBLEMS
from dlcore.engine.durable.continuing import num_parts
from dlcore.engine.durable.folder import Store

ROOT = pathlib.Path(__file__).parents[2]
BLOCK = 98  # of seeds; those that are judged in earnest are 1 to 5
SCALE = QUICK._replace(block=BLOCK)


class Ended(BaseException):
    """As if the process had been killed."""


def test_a_part_goes_on(tmp_path, monkeypatch):
    """Catches finished runs that are computed again, and a repetition that is read in place of being computed."""
    problem = PROBLEMS["interpolation"]()
    plain = orders.measured(problem, SCALE)
    scale = SCALE._replace(studies=tmp_path)
    add, written = Store.add_part, []

    def add_and_end(store, name, arrays, header):
        if len(written) >= 2:
            raise Ended
        add(store, name, arrays, header)
        written.append(name)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "add_part", add_and_end)
        with pytest.raises(Ended):
            orders.measured(problem, scale)
        finished = num_parts(tmp_path)
        assert 2 <= finished < 4
        patched.setattr(Store, "add_part", lambda *args: (add(*args), written.append(args[1])))
        assert orders.measured(problem, scale).identical(plain)
    assert len(written) == len(set(written)) == num_parts(tmp_path) == 4
    studies = {path.name for path in (tmp_path / scale.name / "orders" / problem.name).iterdir()}
    assert studies == {"single", "again", "full"}


def test_where_studies_are_kept():
    """Catches blocks, scales and outputs whose runs are mixed, and a report that replaces its own runs."""
    scales = [Scale(), QUICK, Scale(block=2), QUICK._replace(block=2)]
    stores = {scale._replace(studies=pathlib.Path("s")).store("cost", "a", 1) for scale in scales}
    assert len(stores) == len(scales)
    assert Scale().store("cost") is None
    assert studies_of(pathlib.Path("results/convergence")) == pathlib.Path.cwd() / "results" / "convergence-studies"


JOB = """
import os, signal, sys
import benchmarks.__main__ as command
from benchmarks.convergence import design, job, orders
from dlcore.engine.durable.folder import Store

design.PARTS = job.PARTS = (orders.PART,)
output, kill_after, block = sys.argv[1], int(sys.argv[2]), sys.argv[3]
add, written = Store.add_part, []

def add_and_die(store, name, arrays, header):
    add(store, name, arrays, header)
    written.append(name)
    if len(written) == kill_after:
        os.kill(os.getpid(), 9)

Store.add_part = add_and_die
sys.argv = ["benchmarks", "convergence", "--quick", "--seed-block", block, "--output", output]
command.main()
"""


def files_of(folder: pathlib.Path) -> dict[str, object]:
    """The files of a report, without the moment it was written at and the seconds it took."""
    document = json.loads((folder / "verdict.json").read_text())
    del document["provenance"]["seconds"]
    page = re.sub(r"<dt>measured</dt><dd>.*? s</dd>", "", (folder / "report.html").read_text())
    found: dict[str, object] = {"verdict.json": document, "report.html": page}
    for path in folder.rglob("*"):
        if path.suffix in (".csv", ".md", ".png") or "/c/" in str(path):  # arrays
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@pytest.mark.heavy  # three processes that import JAX
def test_killed_and_called_again(tmp_path):
    """Catches a report of a continued job that differs from one of a job that nothing ended."""

    def run(name, kill_after):
        arguments = [str(tmp_path / name), str(kill_after), str(BLOCK)]
        command = [sys.executable, "-c", JOB, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    plain = run("plain", 0)
    assert plain.returncode == 0, plain.stderr
    assert run("killed", 3).returncode == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    continued = run("killed", 0)
    assert continued.returncode == 0, continued.stderr
    assert re.search(
        r"not computed again: 3 blocks of runs.*\n[^C]*\nComputed, .*: 5 blocks", continued.stdout, re.DOTALL
    )
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "plain")
