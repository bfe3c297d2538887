"""One run over four virtual devices, and over two processes: equal to that on one device, and in parallel in fact."""

import json
import math
import socket
import subprocess

import numpy as np
import pytest
from scripts import script_of

IN_FOUR = """
    import json, re, sys, warnings
    import jax, numpy as np, optax, dlcore as dl
    warnings.simplefilter("ignore")
    dl.setup(num_devices=4, cache=False)
    import bits
    from dlcore.engine.devices import Constants
    from dlcore.engine.program import build
    from dlcore.engine.traced import trace
    from dlcore.engine.threads import DaemonThreads

    mesh = jax.make_mesh((4,), ("data",))

    def difference(name):
        # Without Adam: it makes whole steps of the rounding of a bias in front of a batch normalization.
        fit = bits.study(bits.batch_norm(), optax.sgd, 64) if name == "batch_norm" else bits.case(name)
        one, four = dl.run(fit(0, 0.01)), dl.run(fit(0, 0.01, mesh))
        losses = [each for each in one.data_vars if each.endswith("loss")]
        return max(float(np.nanmax(np.abs(one[each] / four[each] - 1))) for each in losses)

    def advance(mesh):
        x = np.zeros((1024, 64), np.float32)
        task = dl.tasks.classification(dl.models.mlp([64, 96, 10]), dl.data.Dataset((x, np.zeros(1024, np.int32))))
        training = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=512, num_steps=4, mesh=mesh)
        threads, constants = DaemonThreads(1), Constants()
        traced = trace(lambda cell: training, {}, constants)
        place = training.mesh or jax.devices()[0]
        program = build(traced, lane_width=None, place=place, threads=threads, constants=constants)
        compiled = program.advance._result().on(place)
        text = compiled.as_text()
        sent = [re.split(r" = | all-", line)[1] for line in text.splitlines() if " all-" in line and "(" in line]
        return {
            "rows": sorted({int(rows) for rows in re.findall(r"f32\\[(\\d+),96\\]", text)} - {64}),
            "sent": [[shape.split(",") for shape in re.findall(r"\\w\\[([\\d,]+)\\]", each)] for each in sent],
            "temporary": compiled.memory_analysis().temp_size_in_bytes,
        }

    found = {name: difference(name) for name in sys.argv[1:]}
    print(json.dumps({"differences": found, "one": advance(None), "four": advance(mesh)}))
"""


def in_four(*cases):
    """What the script prints."""
    done = subprocess.run(**script_of(IN_FOUR, *cases), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.job
def test_four_devices():
    """Catches a batch normalization of each share, and devices that all compute the whole batch."""
    found = in_four("batch_norm")
    assert max(found["differences"].values()) < 1e-5
    one, four = found["one"], found["four"]
    assert 512 in one["rows"]
    assert 128 in four["rows"]
    assert not {512, 1024} & set(four["rows"])
    sent = {math.prod(map(int, shape)) for shapes in four["sent"] for shape in shapes}
    assert {64 * 96, 96 * 10} <= sent  # the gradient
    assert not {512 * 64, 1024 * 64} & sent  # neither a batch nor the data set
    assert not one["sent"]
    assert four["temporary"] < 0.4 * one["temporary"]


@pytest.mark.heavy
def test_every_family():
    """Catches a family of models, or an optimizer, that a mesh changes."""
    import bits

    odd = {"batch_norm_adam", "radial_basis"}  # see above; a batch of 6
    found = in_four(*(name for name in bits.CASES if name not in odd))
    assert max(found["differences"].values()) < 1e-4


START = """
    import json, os, sys, warnings
    warnings.simplefilter("ignore")
    process, port, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    import dlcore as dl
    dl.setup(num_devices=1 + process, cache=False)
    import jax, jax.numpy as jnp, numpy as np, optax
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, process)
    import small
    mesh = jax.make_mesh((3,), ("data",))

    def fit(mesh=mesh, learning_rate=0.1, shift=0, **options):
        train, test = small.labeled_points().train, small.labeled_points().test
        data = dl.data.Dataset((train.inputs + np.float32(shift), train.targets), test=test)
        task = dl.tasks.classification(small.MODEL, data)
        given = {"batch_size": 6, "num_steps": 80, "record_every": 1, "mesh": mesh} | options
        return dl.training(jax.random.key(0), task, optax.adam(learning_rate), **given)

    def words(**options):
        try:
            dl.run(fit(**options))
        except dl.ArgumentError as error:
            return str(error)
"""

RUNS = """
    from dlcore.engine import execution

    bars, progress_bar = [], execution.progress_bar
    execution.progress_bar = lambda number, shown: bars.append(shown) or progress_bar(number, shown=shown)
    shared = dl.run(fit(), final_state=True)
    longer = dl.run(fit(), start=dl.final_state(shared, fit()))  # more records than one call makes
    own = dl.run(fit(None, num_steps=160))
    print(json.dumps({
        "losses": shared.train_loss.values.tolist(), "longer": longer.train_loss.values.tolist(),
        "alone": own.train_loss.values.tolist(),
        "bar": bars[0], "programs": words(learning_rate=0.1 * (1 + process)), "data": words(shift=process),
    }))
"""


def two_processes(script, folder, *more):
    """Both as they run; 1 and 2 devices, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(**script_of(START + script, str(i), port, str(folder), *more), **pipes) for i in range(2)]


def outputs(processes):
    """What both print, on stdout and stderr."""
    try:
        printed = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, err) in zip(processes, printed, strict=True):
        assert process.returncode == 0, err
    return printed


def last_line(printed):
    """The JSON at the end of what a process printed; gloo prints too."""
    return json.loads(printed[0].splitlines()[-1])


@pytest.mark.job
def test_two_processes(tmp_path):
    """Catches processes that call different programs, results that one of them lacks, data that each has its own of."""
    printed = outputs(two_processes(RUNS, tmp_path))
    first, second = map(last_line, printed)
    assert first["losses"] + first["longer"] == second["losses"] + second["longer"]
    np.testing.assert_allclose(first["losses"] + first["longer"], first["alone"], rtol=1e-3)
    for each in (first, second):
        assert each["programs"].startswith("the processes of the mesh have different programs; expects the same call")
        assert each["data"].startswith("the processes of the mesh have different data; expects the same call")
    assert (first["bar"], second["bar"]) == (None, False)  # one where somebody watches, none


STORED = """
    from dlcore.engine.durable import session

    def killed(self, *arguments, work=session.Session.work):
        for i, rows in enumerate(work(self, *arguments)):
            yield rows
            if i == 3:
                self.commits.finish()
                os._exit(9)

    session.SECONDS_BETWEEN_PARTS = 0.0
    if sys.argv[4] == "killed":
        session.Session.work = killed
    begins = []
    segments = dl.engine.program.Program.segments
    dl.engine.program.Program.segments = lambda *a: begins.append(a[4] if len(a) > 4 else 0) or segments(*a)
    runs = dl.run(fit(), store=folder, final_params=True)
    again = dl.run(fit(), store=folder, final_params=True)
    own = dl.run(fit(), final_params=True)
    print(json.dumps([runs.identical(own), again.identical(own), begins[0], len(begins)]))
"""


@pytest.mark.job
def test_killed_and_continued(tmp_path):
    """Catches a run over two processes that starts anew, or that only the one that writes can take up."""
    for process in (processes := two_processes(STORED, tmp_path / "s", "killed")):
        process.communicate(timeout=240)
    assert [process.returncode for process in processes] == [9, 9]
    first, second = map(last_line, outputs(two_processes(STORED, tmp_path / "s", "continued")))
    assert first == second
    same, same_again, begin, calls = first
    assert same
    assert same_again
    assert begin > 0
    assert calls == 2  # the rest, and the run without a store
    assert list((tmp_path / "s" / "claims").iterdir()) == []
