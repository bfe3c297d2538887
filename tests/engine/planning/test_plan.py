"""Plans: counts and bytes next to what a sweep then gives, words, what does not fit. No test depends on a time."""

import dataclasses
import io
import pathlib
import re
import types

import jax
import numpy as np
import optax
import pytest
import small
import xarray as xr
from rich.console import Console

import dlcore as dl
from dlcore.engine import executables
from dlcore.engine.planning import capacity, planned
from dlcore.engine.planning import plan as plans
from dlcore.engine.planning.dry_run import planning, print_plans
from dlcore.engine.planning.timed_block import whole_block
from dlcore.engine.program import Block

WIDTH = 4
AXES = {"seed": np.arange(3), "learning_rate": np.array([0.1, 0.2, 0.3]), "num_epochs": [2, 3]}


def halving(start, num_records=5):
    """A training that compiles in a moment."""
    return dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": x / 2, "small": x < 1}), num_records)


@pytest.fixture(scope="module")
def plan():
    """Two programs of nine cells, timed."""
    return dl.plan(small.fit, **AXES, lane_width=WIDTH, final_params=True)


@pytest.fixture(scope="module")
def results():
    """What the same sweep gives."""
    return dl.sweep(small.fit, **AXES, lane_width=WIDTH, final_params=True)


def test_counts(plan):
    """Catches cells, blocks or records that are counted otherwise than they are run."""
    assert (plan.cells, plan.missing, plan.devices, plan.platform) == (18, 18, 2, "cpu")
    shorter, longer = plan.programs
    assert (shorter.cells, shorter.lanes, shorter.blocks, shorter.records) == (9, WIDTH, 3, 3)
    assert (longer.records, longer.name) == (4, "num_epochs=3")
    assert longer.flops > shorter.flops
    assert plan.flops == 9 * (shorter.flops + longer.flops)


def test_bytes_in_memory_are_those_of_the_results(plan, results):
    """Catches a dtype, the record at step 0, the room for shorter runs or a final parameter that is left out."""
    kept = [name for name in results.data_vars if name.startswith(("params", "state"))]
    assert plan.states == sum(results[name].nbytes for name in kept) > 0
    made = ("diverged_at",)  # out of the records
    assert plan.records == sum(results[name].nbytes for name in results.data_vars if name not in (*kept, *made))


def test_memory_of_a_block(plan):
    """Catches constants that count for each block or lane, and states that are left out."""
    memory = plan.programs[0].memory
    data = sum(array.nbytes for split in small.CLASSIFICATION.data.splits for array in _arrays(split))
    assert data <= memory.constants < 2 * data + 1000
    weights = 4 * (4 * 5 + 5 + 5 * 3 + 3)
    assert memory.arguments >= WIDTH * (2 * weights + 4)  # with the momentum; the step; seed and rate
    assert memory.total == sum(memory)
    assert plan.device_memory == max(program.memory.total for program in plan.programs)
    assert plan.host_memory is None or plan.host_memory > 2 * plan.device_memory


def _arrays(split):
    part = getattr(small.CLASSIFICATION.data, split)
    return part.inputs, part.targets


def test_bytes_in_a_store(plan):
    """Catches states of runs that a store keeps in any case, and headers of small parts."""
    of_records = 9 * (3 + 4) * (3 * 4 + 2 * 4 + 1)  # batch_loss, two losses, two accuracies, finite
    assert of_records < plan.records_on_disk < of_records + 6 * 10_000
    weights = 4 * (4 * 5 + 5 + 5 * 3 + 3)
    assert 18 * (2 * weights + 4) < plan.states_on_disk < 18 * (2 * weights + 4) + 6 * 10_000


def test_seconds(plan):
    """Catches seconds that are unknown after a measurement, or of which a part is larger than the whole."""
    assert 0 < plan.compiling_seconds < plan.seconds == plan.missing_seconds
    assert all(0 < program.block_seconds < plan.seconds for program in plan.programs)
    assert plan.programs[0].compiling
    assert not plan.programs[1].compiling  # the length of runs is no part of a program


def test_a_sweep_after_its_plan_compiles_nothing(plan, monkeypatch):
    """Catches programs that are planned otherwise than they are run."""
    monkeypatch.setattr(executables, "compiled", lambda *_: pytest.fail("compiled again"))
    dl.sweep(small.fit, **AXES, lane_width=WIDTH, final_params=True)


def test_without_measuring():
    """Catches a block that is run although nobody asked, and seconds that are made up."""

    def advance(x):
        jax.debug.callback(lambda: pytest.fail("it ran"))
        return x / 2, {"x": x}

    study = dl.study(lambda start: dl.Training(lambda: start * 1.0, advance, 3), start=np.array([1.0, 2.0]))
    plan = dl.plan(study, measure=False)
    assert (plan.seconds, plan.missing_seconds, plan.programs[0].block_seconds) == (None, None, None)
    assert plan.cells == 2
    assert "unknown how long" in repr(plan)


def test_words(plan):
    """Catches a plan that prints its fields raw, or other things in a notebook."""
    text = repr(plan)
    assert text.startswith("Plan of fit: 18 cells, 2 programs, ")
    assert "on 2 cpu devices" in text
    assert "num_epochs=2: 9 cells in 3 blocks of 4 lanes, 3 records, " in text
    assert "missing from the store" not in text
    assert "does not fit" not in text
    page = plan._repr_html_()
    assert "<td" in page
    assert "num_epochs=3" in page
    many = dataclasses.replace(plan, programs=plan.programs * 6)
    assert "and 4 programs more" in repr(many)


def size(folder):
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_what_is_missing_from_a_store(tmp_path):
    """Catches a store whose cells are planned again, that a plan writes to, or whose size it does not know."""
    rates, path = np.array([0.1, 0.2]), tmp_path / "runs"
    dl.sweep(small.fit, seed=np.arange(2), learning_rate=rates, lane_width=WIDTH, store=path)
    before = sorted(path.rglob("*"))
    there = dl.plan(small.fit, seed=np.arange(2), learning_rate=rates, lane_width=WIDTH, store=path)
    assert there.missing == 0
    assert there.missing_seconds < there.seconds
    assert 2 / 3 < there.records_on_disk / size(path / "parts") < 1.5
    assert 2 / 3 < there.states_on_disk / size(path / "states") < 1.5
    more = dl.plan(small.fit, seed=np.arange(5), learning_rate=rates, lane_width=WIDTH, store=path)
    assert (more.missing, more.cells) == (6, 10)
    assert "missing from the store: 6 cells" in repr(more)
    assert sorted(path.rglob("*")) == before
    nowhere = dl.plan(small.fit, seed=np.arange(2), measure=False, store=tmp_path / "nowhere")
    assert nowhere.missing == 2
    assert not (tmp_path / "nowhere").exists()


def test_a_block_that_goes_on_is_a_part_of_one():
    """Catches a longer run that is planned from its start."""
    part = types.SimpleNamespace(program=types.SimpleNamespace(num_records=8))
    blocks = [Block(0, np.arange(4), 4), Block(0, np.arange(2)), Block(1, np.arange(3), 6)]
    assert plans._lacking(blocks, 0, part) == (2, 0.75)
    assert plans._lacking(blocks, 1, part) == (1, 0.25)
    assert plans._lacking(blocks, 2, part) == (0, 0.0)
    assert plans._cells(blocks, 3) == [6, 3, 0]


def test_runs_that_may_end_early_are_an_upper_bound():
    """Catches a promise that early stopping breaks."""
    plan = dl.plan(
        lambda seed: dl.training(
            jax.random.key(seed),
            small.CLASSIFICATION,
            optax.sgd(0.1),
            batch_size=6,
            num_epochs=3,
            stop=dl.early_stopping("test_loss", patience=1),
        ),
        seed=np.arange(2),
    )
    assert plan.programs[0].may_end
    assert "at most" in repr(plan)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("free_host_bytes", "does not fit: blocks and results: .* needed, 1 B free"),
        ("free_device_bytes", "does not fit: the blocks of a device: .* Give a smaller lane_width"),
        ("free_disk_bytes", "does not fit: the store .*runs: .* choose another disk"),
    ],
)
def test_what_does_not_fit_is_said_and_not_run(function, said, monkeypatch, tmp_path):
    """Catches a plan that dies of what it should warn of."""
    monkeypatch.setattr(capacity, function, lambda *_: 1)
    plan = dl.plan(halving, start=np.arange(3.0), store=tmp_path / "runs")
    assert plan.seconds is None
    text = " ".join(repr(plan).split())
    assert re.search(said, text), text


def test_the_machine_is_asked():
    """Catches numbers in kilobytes, and files that are read for what they do not say."""
    assert capacity.free_disk_bytes(pathlib.Path("not/there/yet")) > 1e6
    assert capacity.free_device_bytes(jax.devices()[0]) is None
    if capacity.STATUS.exists():
        assert 5e7 < capacity.resident_bytes() <= capacity.peak_bytes()
        assert capacity.free_host_bytes() > 1e7


def test_errors_are_those_of_a_sweep():
    """Catches a plan of what cannot be run."""
    with pytest.raises(dl.ArgumentError, match="not a parameter of the function; did you mean 'start'"):
        dl.plan(halving, stat=np.arange(3.0))
    with pytest.raises(dl.ArgumentError, match="plan: a study and start are given; expects one or the other"):
        dl.plan(dl.study(halving, start=np.arange(3.0)), start=np.arange(3.0))
    with pytest.raises(dl.ArgumentError, match=r"along is 'epoch'; .* has the times step"):
        dl.plan(halving, start=np.arange(3.0), along="epoch")
    with pytest.raises(dl.ArgumentError, match="inside jit, vmap or grad"):
        jax.jit(lambda x: dl.plan(halving, start=np.arange(3.0)) and x)(1.0)
    with pytest.raises(dl.ArgumentError, match="axis 'x' has the name of something else in the results"):
        dl.plan(lambda x: halving(x), x=np.arange(3.0))


def test_how_long_a_block_takes():
    """Catches the slow first records in the speed of the others, and blocks that ended and are made longer."""
    marks = [(0, 1.0, False), (1, 6.0, False), (9, 8.0, False), (29, 12.0, False)]
    assert whole_block(marks, 129) == pytest.approx(12.0 + 100 * 6.0 / 28)
    assert whole_block(marks[:2], 3) == pytest.approx(1.0 + 3 * 5.0)
    assert whole_block([*marks, (40, 13.0, True)], 129) == 13.0


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "unknown how long"), (0.1234, "0.12 s"), (59.6, "60 s"), (61, "1 min 1 s"), (3599.9, "60 min 0 s")],
)
def test_durations(value, words):
    """Catches 60 seconds in a minute that has them already."""
    assert planned.duration(value) == words


@pytest.mark.parametrize(("value", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1.5e9, "1.5 GB")])
def test_sizes(value, words):
    """Catches powers that are off by one at the edges."""
    assert planned.scaled(value) == words


def test_planned_in_place_of_run():
    """Catches results of another shape than a sweep's, and a sweep that runs or that is planned for ever after."""
    found = []
    with planning(found.append, measure=False):
        nothing = dl.sweep(small.fit, **AXES, lane_width=WIDTH, final_params=True)
    assert [plan.cells for plan in found] == [18]
    real = dl.sweep(small.fit, **AXES, lane_width=WIDTH, final_params=True)
    assert isinstance(nothing, xr.Dataset)
    assert nothing.sizes == real.sizes
    assert set(nothing.variables) == set(real.variables)
    assert bool(nothing.train_loss.isnull().all())
    assert bool(real.train_loss.notnull().any())


def test_plans_of_a_job():
    """Catches a job of which one study is planned and the rest forgotten, and an error that ends the others."""

    def tuned():
        first = dl.sweep(halving, start=np.arange(3.0))
        best = first.start[int(np.argmin(first.x.isel(step=-1).fillna(np.inf).values))]
        dl.sweep(halving, start=np.array([float(best), 2.0]))
        raise ValueError("no rate is best")

    console = Console(width=300, file=io.StringIO())
    plans = print_plans({"Tuned": tuned, "Other": lambda: dl.sweep(halving, start=np.arange(5.0))}, console, brief=True)
    lines = console.file.getvalue().splitlines()
    assert [plan.cells for plan in plans] == [3, 2, 5], lines
    assert lines[0] == "Tuned"
    assert lines[1].startswith("Plan of halving: 3 cells, 1 program, ")
    assert lines[3] == "What comes next depends on results: ValueError: no rate is best"
    assert lines[-2].startswith("In all 3 studies, 10 cells, 3 programs, ")
    assert "first guesses" in lines[-1]


def test_the_command_lines(monkeypatch, capsys):
    """Catches an option that runs what it should plan."""
    from benchmarks.convergence import job
    from benchmarks.convergence.parts import QUICK, Part
    from experiments import __main__ as commands

    def measure(_):
        return {"halving": dl.sweep(halving, start=np.arange(3.0))}

    experiment = commands.load("learning_rate")._replace(measure=measure)
    monkeypatch.setattr(commands, "load", lambda name: experiment)
    monkeypatch.setattr(dl, "setup", lambda: None)
    commands.run("learning_rate", plan=True)
    assert "in a store" in capsys.readouterr().out
    monkeypatch.setattr(job, "PARTS", (Part("name", "Title", (), measure, list),))
    job.show_plan(QUICK, Console())
    printed = capsys.readouterr().out
    assert printed.startswith("Title")
    assert "In all 1 study, 3 cells" in printed
