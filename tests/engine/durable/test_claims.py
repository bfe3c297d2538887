"""Each name is one process's, until it gives it back, dies or is not seen alive: real files, processes and signals."""

import contextlib
import errno
import json
import os
import random
import signal
import threading
import time
import types

import pytest
from processes import ended, forked, wait_until

from dlcore.core.errors import ArgumentError
from dlcore.engine.durable import claims
from dlcore.engine.durable.claims import Claims
from dlcore.engine.durable.parts import remove_leftovers

FOREIGN = {"host": "elsewhere", "machine": "elsewhere", "process": 1, "started": "1"}


@pytest.fixture
def clock(monkeypatch):
    """The clock that claims are judged by; `clock.now` is set by hand."""
    clock = types.SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(claims, "time", clock)
    return clock


def claim(folder, name="x", beat=0, content=None, **changed):
    """A claim of another machine."""
    fields = {"beat": f"{beat:012}", "token": "t", **FOREIGN, "content": content or {}} | changed
    (folder / f"{name}.json").write_text(json.dumps(fields))


def of_this_machine(folder, process, **changed):
    """A claim of a process of this machine."""
    with Claims(folder) as own:
        own.take("own", {})
        fields = json.loads((folder / "own.json").read_text())
    claim(folder, **(fields | {"beat": 0, "process": process, "started": claims._started(process)} | changed))


def names(folder):
    """Names of all that is in a folder."""
    return sorted(os.listdir(folder))


# One process


def test_taken_once_and_given_back(tmp_path):
    """Catches two owners, and an owner that keeps what it gave back."""
    with Claims(tmp_path) as one, Claims(tmp_path) as two:
        assert one.take("x", {"cells": 3})
        assert one.take("x", {})
        assert not two.take("x", {})
        assert (one.holds("x"), two.holds("x")) == (True, False)
        assert (one.others(), two.others()) == ({}, {"x": {"cells": 3}})
        assert two.take("y", {})
        two.release("x")
        two.release("nothing")
        assert one.holds("x")
        one.release("x")
        assert not one.holds("x")
        assert two.take("x", {})
        assert one.others() == {"x": {}, "y": {}}
    assert names(tmp_path) == []


def test_an_error_gives_all_back(tmp_path):
    """Catches claims that outlive a study that failed, and a heart that beats on."""
    with contextlib.suppress(ZeroDivisionError), Claims(tmp_path) as one:
        one.take("x", {})
        one.take("y", {})
        raise ZeroDivisionError
    assert names(tmp_path) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "dlcore-claims"]
    with pytest.raises(ArgumentError, match="closed; open others"):
        one.take("x", {})


def test_what_may_not_be_claimed(tmp_path):
    """Catches names that lead out of the folder or that no listing shows, and content that is no JSON."""
    with Claims(tmp_path) as one:
        for name in ("", "..", ".x", "a/b", "a\0", "a\n", 3):
            with pytest.raises(ArgumentError, match="expects letters, digits"):
                one.take(name, {})
        with pytest.raises(ArgumentError, match="holds what JSON cannot"):
            one.take("x", {"a": object()})
        with pytest.raises(ArgumentError, match=r"expects at most .* less into it"):
            one.take("x", {"a": "b" * 100_000})
        assert one.take("f32_lr=1e-3+b.0", {})
    for seconds in ({"beat": 0.0}, {"beat": 20.0}, {"stale_after": float("nan")}, {"stale_after": float("inf")}):
        with pytest.raises(ArgumentError, match="expects 0 < 2"):
            Claims(tmp_path, **seconds)


def test_the_heart_beats_only_while_something_is_claimed(tmp_path):
    """Catches a beat that others cannot see, and one that goes on for nothing."""
    with Claims(tmp_path, beat=0.01, stale_after=1) as one:
        assert one._beating is None
        one.take("x", {"cells": 3})
        first = (tmp_path / "x.json").read_bytes()
        wait_until(lambda: (tmp_path / "x.json").read_bytes() != first)
        assert json.loads((tmp_path / "x.json").read_bytes())["content"] == {"cells": 3}
        one.release("x")
        writes = []
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "pwrite", lambda *_: writes.append(1))
            time.sleep(0.05)
        assert not writes
        one.take("y", {})
        first = (tmp_path / "y.json").read_bytes()
        wait_until(lambda: (tmp_path / "y.json").read_bytes() != first)


def test_a_disk_that_is_away_for_a_while(tmp_path, monkeypatch):
    """Catches a heart that stops at the first beat that cannot be written."""
    with Claims(tmp_path, beat=0.01, stale_after=1) as one:
        tried = []

        def fails(*_):
            tried.append(1)
            raise OSError(errno.EIO, "no")

        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", fails)
            one.take("x", {})
            wait_until(lambda: len(tried) > 1)
        first = (tmp_path / "x.json").read_bytes()
        wait_until(lambda: (tmp_path / "x.json").read_bytes() != first)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_takes_no_claim(tmp_path, monkeypatch, number):
    """Catches raw errors, and a claim left half written."""
    refused = "write" if number == errno.ENOSPC else "open"

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    with Claims(tmp_path) as one:
        with monkeypatch.context() as patched:
            patched.setattr(os, refused, refuse)
            with pytest.raises(ArgumentError, match=rf"cannot write '.*x.json': {os.strerror(number)}"):
                one.take("x", {})
        assert names(tmp_path) == []
        assert one.take("x", {})


def test_a_folder_that_vanishes(tmp_path):
    """Catches an end of a study that fails for want of something to release."""
    with Claims(tmp_path / "claims") as one:
        with pytest.raises(ArgumentError, match=r"No such file or directory.*make the folder '.*claims'"):
            one.take("x", {})
        assert one.others() == {}
        (tmp_path / "claims").mkdir()
        one.take("x", {})
        (tmp_path / "claims" / "x.json").unlink()
        (tmp_path / "claims").rmdir()
        assert not one.holds("x")
        one.release("x")
        assert one.others() == {}


def test_given_back_where_nothing_may_be_written_any_more(tmp_path, monkeypatch):
    """Catches an end of a study that fails since its claim cannot be removed."""

    def refuse(*_):
        raise OSError(errno.EROFS, "no")

    with monkeypatch.context() as patched, Claims(tmp_path) as one:
        one.take("x", {})
        patched.setattr(os, "rename", refuse)
        one.release("x")
        assert not one.holds("x")
    with Claims(tmp_path, stale_after=0.2, beat=0.1) as two:
        assert not two.take("x", {})
        time.sleep(0.2)
        assert two.take("x", {})


# Who is alive


def test_alive_as_long_as_it_beats(tmp_path, clock):
    """Catches a rule that counts from the first sight, not from the last beat."""
    with Claims(tmp_path) as one:
        for beat in range(5):
            claim(tmp_path, beat=beat, content={"cells": 2})
            assert not one.take("x", {})
            assert one.others() == {"x": {"cells": 2}}
            clock.now += 29
            assert not one.take("x", {})
        clock.now += 1
        assert one.others() == {}
        assert one.take("x", {})
        assert one.holds("x")
    assert names(tmp_path) == []


def test_one_look_is_no_observation(tmp_path, clock):
    """Catches an owner that is robbed by whoever comes late."""
    claim(tmp_path)
    os.utime(tmp_path / "x.json", (0, 0))
    with Claims(tmp_path) as one:
        clock.now += 1e6
        assert not one.take("x", {})


@pytest.mark.parametrize("year", [1970, 2100])
def test_clocks_that_jump(tmp_path, clock, year):
    """Catches seconds that are counted between the clocks of two machines, or on one that can be set."""
    with Claims(tmp_path) as one:
        claim(tmp_path)
        os.utime(tmp_path / "x.json", ((year - 1970) * 31_556_952,) * 2)
        for clock.time in (lambda: 2e9, lambda: 0.0, lambda: 4e9):
            assert not one.take("x", {})
        clock.now += 30
        clock.time = lambda: -4e9
        assert one.take("x", {})


def test_another_owner_is_another_claim(tmp_path, clock):
    """Catches seconds of the last owner that are held against the next."""
    with Claims(tmp_path) as one:
        claim(tmp_path)
        assert not one.take("x", {})
        clock.now += 29
        claim(tmp_path, token="u")
        assert not one.take("x", {})
        clock.now += 29
        (tmp_path / "x.json").unlink()
        assert one.others() == {}
        claim(tmp_path, token="u")
        clock.now += 29
        assert not one.take("x", {})


def no_claim(path, kind):
    """What is no claim, but stands where one would."""
    content = {
        "empty": b"",
        "text": b"years of work",
        "list": b"[1]",
        "deep": b"[" * 50_000,
        "other": b'{"content": 3}',
    }
    make = {"folder": path.mkdir, "fifo": lambda: os.mkfifo(path), "link": lambda: path.symlink_to("nowhere")}
    make.get(kind, lambda: path.write_bytes(content[kind]))()


@pytest.mark.parametrize("kind", ["empty", "text", "list", "deep", "other", "folder", "fifo", "link"])
def test_what_is_no_claim_is_one_without_a_beat(tmp_path, clock, kind):
    """Catches a file that blocks a name for ever, and a reader that waits for a pipe."""
    no_claim(tmp_path / "x.json", kind)
    with Claims(tmp_path) as one:
        assert not one.take("x", {})
        assert one.others() == {"x": {}}
        clock.now += 30
        assert one.others() == {}
        assert one.take("x", {})
        assert one.holds("x")


def test_files_of_others_are_no_claims(tmp_path, clock):
    """Catches listings that stumble over what somebody put there."""
    for name in ("README", "a b.json", ".hidden.json"):
        (tmp_path / name).touch()
    with Claims(tmp_path) as one:
        assert one.others() == {}


def test_the_dead_of_this_machine_are_known_at_once(tmp_path, clock):
    """Catches a wait for those who cannot come back: no such process, or another that got its number."""
    with forked(lambda: None) as process:
        ended(process)
    for of in ({"process": process}, {"process": os.getpid(), "started": "1"}, {"process": 2**70}):
        of_this_machine(tmp_path, **of)
        with Claims(tmp_path) as one:
            assert one.others() == {}
            assert one.take("x", {})


def test_numbers_of_processes_mean_nothing_elsewhere(tmp_path, clock):
    """Catches a claim of another machine, boot or container that is judged by a process of this one."""
    of_this_machine(tmp_path, 2**22 + 1, machine="vm another-boot pid:[1]")
    with Claims(tmp_path) as one:
        assert not one.take("x", {})
    of_this_machine(tmp_path, os.getpid())
    with Claims(tmp_path) as one:
        assert not one.take("x", {})
        clock.now += 30
        assert one.take("x", {})  # it is there, but has no beat


# Two at the same moment


def test_robbed_of_what_was_just_taken_over(tmp_path, clock):
    """Catches a takeover that removes the claim of whoever was faster: it gets it back, and it beats on."""
    claim(tmp_path)
    with Claims(tmp_path) as slow, Claims(tmp_path, beat=0.01, stale_after=1) as fast:
        for each in (slow, fast):
            assert not each.take("x", {})
        clock.now += 30
        rename, done = os.rename, []

        def late(*paths):
            if not done:
                done.append(1)
                assert fast.take("x", {})
            rename(*paths)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "rename", late)
            assert not slow.take("x", {})
        assert fast.holds("x")
        first = (tmp_path / "x.json").read_bytes()
        wait_until(lambda: (tmp_path / "x.json").read_bytes() != first)
        assert names(tmp_path) == ["x.json"]


@pytest.mark.parametrize("links", [True, False])
def test_a_beat_in_the_moment_of_the_takeover(tmp_path, clock, monkeypatch, links):
    """Catches an owner that is robbed although it has just shown that it is alive."""
    claim(tmp_path)
    with Claims(tmp_path) as one:
        assert not one.take("x", {})
        clock.now += 30
        rename = os.rename

        def late(*paths):
            claim(tmp_path, beat=1)
            monkeypatch.setattr(os, "rename", rename)
            rename(*paths)

        def no_links(*_):
            raise OSError(errno.EPERM, "no")

        monkeypatch.setattr(os, "rename", late)
        if not links:
            monkeypatch.setattr(os, "link", no_links)
        assert not one.take("x", {})
        assert one.others() == {"x": {}}
    assert names(tmp_path) == ["x.json"]


def test_robbed_in_the_moment_of_giving_back(tmp_path, monkeypatch):
    """Catches an owner that makes sure of its claim, and then removes its heir's."""
    rename = os.rename

    def late(*paths):
        claim(tmp_path, token="of the heir")
        rename(*paths)

    with Claims(tmp_path) as one:
        one.take("x", {})
        monkeypatch.setattr(os, "rename", late)
        one.release("x")
    assert json.loads((tmp_path / "x.json").read_text())["token"] == "of the heir"


def take_all(folder, order, who):
    """Take as many of 200 names as there are left, 20 at a time: neither is through before the other has begun."""
    taken = []
    with Claims(folder / "claims") as own:
        for begin in range(0, 200, 20):
            (folder / f"at-{begin}-{who}").touch()
            wait_until(lambda begin=begin: len(list(folder.glob(f"at-{begin}-*"))) == 2)
            taken += [name for name in order[begin : begin + 20] if own.take(name, {"who": who})]
        (folder / f"took-{who}").write_text(json.dumps(taken))
        wait_until(lambda: len(list(folder.glob("took-*"))) == 2)


@pytest.mark.parametrize("before", ["free", "stale"])
def test_two_processes_share_two_hundred_names(tmp_path, before):
    """Catches a name that both get, or nobody; also where all of them are to be taken over from the dead."""
    (tmp_path / "claims").mkdir()
    every = [f"block-{number}" for number in range(200)]
    if before == "stale":
        with forked(lambda: None) as process:
            ended(process)
        of_this_machine(tmp_path / "claims", process)
        (left,) = (tmp_path / "claims").iterdir()
        for name in every:
            (tmp_path / "claims" / f"{name}.json").write_bytes(left.read_bytes())
        left.unlink()
    orders = [random.Random(who).sample(every, 200) if before == "free" else every for who in range(2)]
    with (
        forked(lambda: take_all(tmp_path, orders[0], 0)) as one,
        forked(lambda: take_all(tmp_path, orders[1], 1)) as two,
    ):
        assert [ended(one), ended(two)] == [0, 0]
    taken = [json.loads((tmp_path / f"took-{who}").read_text()) for who in range(2)]
    assert all(taken) or before == "stale"  # other orders: neither can be too late for all of its first 20
    assert sorted(taken[0] + taken[1]) == sorted(every)
    assert names(tmp_path / "claims") == []


# Killed and stopped


def hold(folder, **seconds):
    """Take a name, and keep it until somebody else has it."""
    with Claims(folder, **seconds) as own:
        assert own.take("x", {})
        wait_until(lambda: not own.holds("x"))
        before = (folder / "x.json").read_bytes()
        time.sleep(0.1)
        own.release("x")
        assert (folder / "x.json").read_bytes() == before
        assert not own.take("x", {})
        assert own.others() == {"x": {"who": "the heir"}}


def test_killed(tmp_path):
    """Catches a claim that outlives its owner, also while nobody has asked how the owner died."""
    with forked(lambda: hold(tmp_path)) as process, Claims(tmp_path) as one:
        wait_until(lambda: one.others() == {"x": {}})
        assert not one.take("x", {})
        os.kill(process, signal.SIGKILL)
        wait_until(lambda: one.take("x", {}), seconds=10)
        assert one.holds("x")


def test_stopped_robbed_and_awake_again(tmp_path):
    """Catches an owner that slept too long, and then removes or rewrites the claim of its heir."""
    with (
        forked(lambda: hold(tmp_path, beat=0.02, stale_after=20)) as process,
        Claims(tmp_path, beat=0.2, stale_after=0.4) as one,
    ):
        began = time.monotonic()
        wait_until(lambda: one.others() == {"x": {}})
        os.kill(process, signal.SIGSTOP)
        one._beat = 100.0  # so that whatever changes in its claim is not its own
        wait_until(lambda: one.take("x", {"who": "the heir"}))
        assert time.monotonic() - began >= 0.4
        text = (tmp_path / "x.json").read_bytes()
        os.kill(process, signal.SIGCONT)
        assert ended(process) == 0
        assert one.holds("x")
        assert (tmp_path / "x.json").read_bytes() == text
    assert names(tmp_path) == []


def test_killed_in_the_middle_of_a_takeover(tmp_path, monkeypatch):
    """Catches a name that is lost with the one who was just taking it over, and what it leaves."""
    of_this_machine(tmp_path, 2**22 + 1)
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: os.kill(os.getpid(), signal.SIGKILL) if path else unlink(path))
    with forked(lambda: Claims(tmp_path).take("x", {})) as process:
        assert ended(process) == -signal.SIGKILL
    monkeypatch.setattr(os, "unlink", unlink)
    assert len(names(tmp_path)) == 1
    with Claims(tmp_path) as one:
        assert one.others() == {}
        assert one.take("x", {})
    remove_leftovers(tmp_path)
    assert names(tmp_path) == []
