"""The same work in several libraries: workers, turns, agreement."""

import json
import re
import sys

import jax
import numpy as np
import pytest

import dlcore as dl
from benchmarks.peers import ours, parts, processes, raw_jax, turns, works
from benchmarks.peers.processes import PeerError, Turn, Worker
from benchmarks.peers.turns import Peer, check_agreement, take_turns
from benchmarks.peers.work import CannotError, Finished, read, write

TINY = works.NETWORKS._replace(seeds=(0, 1), rates=(0.03, 0.1), few=((0, 0.1),), num_epochs=2, margin=0.1)
PEERS = {name: parts.NETWORKS[name] for name in ("dlcore", "raw_jax_sorting", "sklearn")}
ANSWER = {"accuracies": [[0.1, 0.9]], "num_steps": 1, "seconds": {"": 1.0}}

# A worker that answers at once, and writes down in which order it was asked.
FAKE = """
import json, os, sys
name, log, once = sys.argv[1:4]
def answer():
    with open(log, "a") as file:
        file.write(name + " " + os.environ.get("XDG_CACHE_HOME", "-") + "\\n")
    print(json.dumps({"accuracies": [[0.1, 0.9]], "num_steps": 1, "seconds": {"": 1.0}}), flush=True)
if once == "--once":
    answer()
else:
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        answer()
"""


@pytest.mark.job
def test_all_libraries_that_are_there_do_the_same_work(monkeypatch):
    """Catches a library that trains something else, and one missing library that costs all the others."""
    monkeypatch.setitem(turns.MODULES, "keras_jax", "a_library_that_nobody_has")
    found = parts.networks(1, TINY, {**PEERS, "keras": Peer("keras_jax", "one")})
    assert found["keras"] == "not installed: pip install -e '.[peers]'"
    for name in PEERS:
        assert found[f"{name}_accuracy"] > 0.6
        assert found[f"{name}_ms"].shape == (1,)
    assert found["sklearn_over_dlcore"] == found["sklearn_ms"] / found["dlcore_ms"]
    assert found["dlcore_over_raw_jax_sorting"] == found["dlcore_ms"] / found["raw_jax_sorting_ms"]
    assert "dlcore_over_dlcore" not in found


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("part", "work", "ours"),
    [
        (parts.networks, TINY, {"dlcore": parts.NETWORKS["dlcore"]}),
        (parts.recurrent, works.SEQUENCES._replace(seeds=(0, 1)), parts.OURS),
    ],
)
def test_the_peers_do_the_same_work(part, work, ours):
    """Catches a network or a loop that one library writes differently; of those that are not installed, nothing."""
    found = part(1, work, ours | {name: parts.ONE_BY_ONE[name] for name in ("nnx", "pytorch", "keras")})
    assert found["nnx_ms"] > 0


def script(code):
    return Worker("keras", [sys.executable, "-c", code])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit('no such module')", r"keras: the worker ended with exit code 1 .*It wrote: no such module"),
        ("print('Epoch 1/30')", r"keras: the worker answered 'Epoch 1/30.*no line of JSON. It wrote: nothing"),
        ("print([1])", r"answered '\[1\].*no line of JSON"),
        ("import os; os.abort()", r"ended with exit code -6 before it answered"),
    ],
)
def test_a_worker_that_fails_is_named_with_what_it_wrote(code, message):
    """Catches a benchmark that waits for ever, or ends in a JSONDecodeError that names nobody."""
    worker = script(code)
    with pytest.raises(PeerError, match=re.compile(message, re.DOTALL)):
        worker.wait_until_ready()
    worker.close()


def test_a_worker_that_dies_between_turns_is_named():
    """Catches a BrokenPipeError, and an answer of something else taken for a result."""
    worker = script("print('{\"ready\": true}', flush=True); input(); print('{\"odd\": 1}', flush=True)")
    worker.wait_until_ready()
    with pytest.raises(PeerError, match=r"answered \{\"odd\": 1\}, which is no result"):
        worker.turn()
    worker._process.wait()
    with pytest.raises(PeerError, match="keras: the worker ended"):
        worker.turn()
    worker.close()


def test_a_worker_says_what_it_cannot_do():
    """Catches "torch.compile fails" as an error of the whole command."""
    worker = script('print(\'{"cannot": "no compiler"}\')')
    with pytest.raises(CannotError, match="no compiler"):
        worker.wait_until_ready()
    worker.close()


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Workers answer at once, and write their name into this file."""
    file = tmp_path / "log"

    def fake(library, side, folder, *options):
        return [sys.executable, "-S", "-c", FAKE, side, str(file), *(options or ("",))]

    monkeypatch.setattr(turns, "command", fake)
    monkeypatch.setattr(processes, "command", fake)
    return file


def test_workers_take_turns_forward_and_backward(log, tmp_path):
    """Catches an order that favors the side that comes first."""
    found = take_turns({"x": Peer("raw_jax", "a"), "y": Peer("raw_jax", "b")}, tmp_path, 3)
    assert [line[0] for line in log.read_text().splitlines()] == list("abbaab")
    assert found.taken["x"] == [Turn(**ANSWER)] * 3
    assert found.missing == {}


def test_fresh_processes_share_a_cache_only_where_they_should(log):
    """Catches "nothing compiled before" measured with programs on disk, and the other way round."""
    peers = {"dlcore": Peer("ours", "cold"), "dlcore_cached": Peer("ours", "warm"), "keras": Peer("raw_jax", "other")}
    found = parts.process_start(2, TINY, peers)
    folders = {}
    for line in log.read_text().splitlines():
        side, folder = line.split()
        folders.setdefault(side, []).append(folder)
    assert {side: len(set(each)) for side, each in folders.items()} == {"cold": 3, "warm": 1, "other": 3}
    assert found["dlcore_s"].shape == (2,)
    assert found["keras_over_dlcore"] == pytest.approx(found["keras_s"] / found["dlcore_s"])
    assert found["keras_over_dlcore_cached"] == pytest.approx(found["keras_s"] / found["dlcore_cached_s"])


def test_libraries_that_reach_another_accuracy_are_an_error():
    """Catches times of programs that do not train, and means over other learning rates than the reference has."""
    every = Turn([(0.1, 0.9), (0.1, 0.92), (1.0, 0.3)], 1, {})
    good, bad = Turn([(0.1, 0.89)], 1, {}), Turn([(0.1, 0.7)], 1, {})
    means = check_agreement(TINY._replace(margin=0.03), {"dlcore": [every], "keras": [good]}, "dlcore")
    assert means["keras"] == 0.89
    with pytest.raises(PeerError, match=r"keras reaches an accuracy of 0.700, dlcore 0.910 at the same learning rates"):
        check_agreement(TINY._replace(margin=0.03), {"dlcore": [every], "keras": [bad]}, "dlcore")
    nan = Turn([(0.1, float("nan"))], 1, {})
    with pytest.raises(PeerError, match="nan"):
        check_agreement(TINY, {"dlcore": [every], "keras": [nan]}, "dlcore")


def test_work_is_read_as_it_was_written(tmp_path):
    """Catches lists for tuples, of which the runs of a study are made."""
    data = works.data_of(TINY)
    assert len(data.inputs) % TINY.batch_size == 0
    write(tmp_path, TINY, data)
    work, again = read(tmp_path)
    assert work == TINY
    assert all(np.array_equal(a, b) for a, b in zip(data, again, strict=True))
    json.dumps(Finished([(0.1, 0.9)], 3)._asdict())


def test_goals_are_of_numbers_that_are_measured():
    """Catches a goal whose number was renamed, which would never be judged."""
    sides = {
        "networks": parts.NETWORKS,
        "single_sample_descent": parts.SAMPLES | parts.SAMPLES_IN_LANES,
        "convolution": parts.IMAGES,
        "recurrent": parts.SEQUENCES,
        "process_start": parts.STARTS,
    }
    assert parts.GOALS.keys() == parts.PARTS.keys()
    for part, peers in sides.items():
        for goal in parts.GOALS[part]:
            assert set(goal.split("_over_")) <= peers.keys()
    for peer in (peer for peers in sides.values() for peer in peers.values()):
        assert peer.library in turns.MODULES


@pytest.fixture
def _set_up(monkeypatch):
    """The devices are those of the test session; a program in raw JAX is not written for its strict promotion."""
    monkeypatch.setattr(dl, "setup", lambda **options: None)
    monkeypatch.setattr(raw_jax, "setup", lambda: None)
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.heavy
@pytest.mark.usefixtures("_set_up")
def test_calls_of_a_small_study_are_timed_apart_from_its_program():
    """Catches an overhead whose program is of another study, and accuracies that no longer fit the rates."""
    work = TINY._replace(rates=(0.1,), num_epochs=1)
    data = works.data_of(work)
    for library in (ours, raw_jax):
        found = library.repeated_calls(work, data)()
        assert found.seconds.keys() >= {"same", "program"}
        assert [rate for rate, _ in found.accuracies] == [0.1, 0.1]
        assert found.num_steps == len(data.inputs) // work.batch_size


@pytest.mark.heavy
@pytest.mark.usefixtures("_set_up")
@pytest.mark.parametrize("work", [works.SAMPLES_IN_LANES, works.IMAGES, works.SEQUENCES])
def test_studies_of_other_networks_agree(work):
    """Catches a network that one library builds differently."""
    work = work._replace(seeds=(0, 1), num_epochs=4)
    data = works.data_of(work)
    sides = {"dlcore": ours, "raw_jax": raw_jax}
    finished = {name: [Turn(**library.study(work, data)()._asdict())] for name, library in sides.items()}
    check_agreement(work, finished, "dlcore")


@pytest.mark.heavy
@pytest.mark.usefixtures("_set_up")
def test_a_run_of_a_small_study_costs_what_is_said():
    """Catches studies of another size than their name says."""
    found = ours.small_studies(TINY._replace(num_epochs=1), works.data_of(TINY))()
    assert found.seconds.keys() == {f"{k}_{what}" for k in works.STUDIES for what in ("call", "cpu", "program")}
