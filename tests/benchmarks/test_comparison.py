"""Measurements next to earlier ones."""

import json
import math
import pathlib

import numpy as np
import pytest

import dlcore as dl
from benchmarks import comparison, measurements, timing
from benchmarks.measurements import Goal, Measured, Measurements

MACHINE = {"cpu": "a", "cores": 2, "platform": "cpu", "device_kind": "cpu", "num_devices": 2, "jax_version": "0.10.2"}
STEADY = (1.0, 1.01, 0.99, 1.0, 1.02)
RESULTS = pathlib.Path(__file__).parents[2] / "benchmarks" / "results"


def file(name, factor, repeats=STEADY, machine=MACHINE):
    """Measurements of one number."""
    values = tuple(factor * value for value in repeats)
    return Measurements(machine, {"part": {name: Measured(float(np.median(values or (factor,))), values)}})


def only_row(before, now):
    (row,) = comparison.compare(before, now).rows
    return row


@pytest.mark.parametrize(
    ("name", "factor", "verdict"),
    [
        ("dlcore_ms", 1.3, "slower"),
        ("dlcore_ms", 0.7, "faster"),
        ("dlcore_ms", 1.1, "no difference that shows"),
        ("pytorch_over_dlcore", 1.2, "faster"),
        ("pytorch_over_dlcore", 0.8, "slower"),
        ("pytorch_over_dlcore", 1.07, "no difference that shows"),
        ("dlcore_over_raw_jax", 1.2, "slower"),
        ("gradients", 0.8, "faster"),
        ("seconds_ratio", 1.2, "larger"),
        ("mb_100_cells", 1.05, "larger"),
        ("mb_100_cells", 1.01, "no difference that shows"),
    ],
)
def test_steady_numbers_differ_beyond_the_noise_between_processes(name, factor, verdict):
    """Catches a direction that is the wrong way round, and one noise for all kinds of numbers."""
    row = only_row(file(name, 1.0), file(name, factor))
    assert row.verdict == verdict
    assert row.ratio == pytest.approx(factor)
    assert row.low < row.ratio < row.high


def test_noise_within_the_processes_widens_the_interval():
    """Catches repeats that are kept and not looked at."""
    noisy = (0.5, 0.8, 1.0, 1.6, 2.2)
    assert only_row(file("a_s", 1.0, noisy), file("a_s", 1.5, noisy)).verdict == "no difference that shows"
    assert only_row(file("a_s", 1.0), file("a_s", 1.5)).verdict == "slower"
    steady, wide = (comparison.half_width(Measured(1.0, r), Measured(1.0, r), "seconds") for r in (STEADY, noisy))
    assert math.log(1.15) <= steady < math.log(1.16)
    assert wide > math.log(2)


def test_seconds_of_another_machine_are_not_compared():
    """Catches a "faster" that is a faster machine."""
    other = MACHINE | {"cpu": "b", "jax_version": "0.11.0"}
    notes, rows = comparison.compare(file("a_s", 1.0), file("a_s", 0.5, machine=other))
    assert rows[0].verdict == "not compared: another machine"
    assert "another machine, so seconds are not compared: cpu 'a' before, 'b' now" in notes[0]
    assert notes[1] == "other versions or settings: jax_version '0.10.2' before, '0.11.0' now"
    row = only_row(file("pytorch_over_dlcore", 1.0), file("pytorch_over_dlcore", 0.5, machine=other))
    assert row.verdict == "slower"


def test_numbers_that_one_file_lacks_are_named():
    """Catches numbers that vanish, and a KeyError."""
    before, now = file("a_s", 1.0), file("b_s", 1.0)
    now.parts["new"] = {"c_s": Measured(1.0)}
    notes, rows = comparison.compare(before, now)
    assert rows == []
    assert notes == [
        "part: not in the earlier file: b_s",
        "part: not measured now: a_s",
        "new: not in the earlier file",
    ]
    assert comparison.compare(now, before).notes == [
        "part: not in the earlier file: a_s",
        "part: not measured now: b_s",
    ]


def test_an_overhead_that_is_not_positive_has_no_ratio():
    """Catches the logarithm of a negative difference."""
    row = only_row(file("overhead_s", -1.0), file("overhead_s", 1.0))
    assert row.verdict == "not compared: not positive in each repeat"


def test_a_file_without_repeats_is_compared_with_the_stated_noise(tmp_path):
    """Catches committed files that can no longer be compared with."""
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"machine": MACHINE, "part": {"a_over_b": 1.0}}))
    old = measurements.read(path)
    assert old.parts["part"]["a_over_b"] == Measured(1.0, ())
    assert only_row(old, file("a_over_b", 1.14)).verdict == "no difference that shows"
    assert only_row(old, file("a_over_b", 1.2)).verdict == "larger"


@pytest.mark.parametrize("name", sorted(path.name for path in RESULTS.glob("*.json")))
def test_the_committed_files_can_be_compared_with(name):
    """Catches a format that the files of the page are not in, and their own numbers that differ from themselves."""
    before = measurements.read(RESULTS / name)
    notes, rows = comparison.compare(before, before)
    assert notes == []
    assert rows
    assert {row.verdict for row in rows} == {"no difference that shows"}


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"a": 1}', '{"machine": {}, "a": 1}', '{"machine": {}, "a": {"b": {"median": 1}}}']
)
def test_a_damaged_file_is_refused_before_anything_is_measured(tmp_path, content):
    """Catches a quarter of an hour of measuring that ends in a KeyError."""
    path = tmp_path / "old.json"
    path.write_text(content)

    def part(repeats):
        raise AssertionError

    with pytest.raises(
        dl.ArgumentError, match=r"is damaged, or no file of measurements .*Name a file that --output wr"
    ):
        timing.measure({"part": part}, (), 1, None, path)
    with pytest.raises(dl.ArgumentError, match=r"cannot read .*No such file or directory"):
        timing.measure({"part": part}, (), 1, None, tmp_path / "none.json")


def test_what_is_measured_is_written_with_its_repeats_and_compared(tmp_path, capsys):
    """Catches medians without their repeats, a goal judged by the wrong sign, and texts taken for numbers."""

    def part(repeats):
        """Sides of something."""
        sides = timing.take_turns({"one": lambda: sum(range(1000)), "two": lambda: sum(range(1000))}, repeats)
        found = {"ours_s": sides["one"], "theirs_over_ours": np.array([2.0, 4.0, 3.0]), "other": "not installed"}
        return {**found, "once": 5.0}

    output, goals = tmp_path / "out.json", {"part": {"theirs_over_ours": Goal(">=", 3), "once": Goal("<=", 4)}}
    timing.measure({"part": part}, (), 3, output, None, goals)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "part: Sides of something."
    assert shown[2].split() == ["theirs_over_ours", "3", "[2,", "4]", ">=", "3:", "yes"]
    assert shown[3].split() == ["other", "not", "installed"]
    assert shown[4].split() == ["once", "5", "<=", "4:", "no"]
    document = json.loads(output.read_text())["part"]
    assert document["theirs_over_ours"] == {"median": 3.0, "repeats": [2.0, 4.0, 3.0]}
    assert document["other"] == "not installed"
    assert len(document["ours_s"]["repeats"]) == 3

    timing.measure({"part": part}, (), 3, None, output, goals)
    shown = capsys.readouterr().out
    assert "theirs_over_ours                          3          3   1.000 [" in shown
    assert "of 3 numbers differ; by chance about one of twenty would." in shown


def test_sides_take_turns_forward_and_backward():
    """Catches an order that favors the side that comes first."""
    order = []
    times = timing.take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert "".join(order) == "ba" + "ab" + "ba"
    assert times["a"].shape == (2,)


def test_what_is_no_ratio_is_the_same_or_not_compared():
    """Catches a yes that became a no, as 1 and 0, and passes for a number that has no ratio."""
    zero, one = measurements.Measured(0.0), measurements.Measured(1.0)
    verdicts = [
        comparison._row("same_bits", "another_process", *pair, False).verdict for pair in ((zero, zero), (one, zero))
    ]
    assert verdicts == ["no difference that shows", "not compared: not positive in each repeat"]
