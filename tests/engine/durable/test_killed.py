"""A study, and a run, that are killed again and again and go on: nothing is lost, nothing is computed twice."""

import collections
import hashlib
import itertools
import pathlib
import random
import time
from typing import NamedTuple

import mortals
import pytest

import dlcore as dl
from dlcore.engine.durable import parts


class Kill(NamedTuple):
    """A moment: the so-many-th event of a name, or a share of the time that an undisturbed life takes."""

    event: str = ""
    number: int = 1
    share: float = 0.0


# In an order in which one store can have many of them: it is made, its programs are kept, its cells are computed.
MAKING = [Kill("mark: folder made"), Kill("parts: folder made"), *(Kill(f"mark: {step}") for step in mortals.STEPS)]
BEGINNING = [Kill("tracing", 2), Kill("lowering"), *(Kill(f"studies: {step}") for step in mortals.STEPS)]
BEGINNING += [Kill("compiling", 2)]
BEGINNING += [Kill(f"{folder}: {step}") for folder in ("constants", "programs") for step in mortals.STEPS[1:4]]
COMMITS = [Kill(f"{folder}: {step}") for step in mortals.STEPS for folder in ("states", "parts")]
COMMITS += [Kill(f"claims: {step}") for step in mortals.CLAIM] + [Kill("computing", 2)]
END = [Kill("claims: temporary gone"), Kill("assembling", 1), Kill("assembling", 2)]


class History:
    """What happens to one store: every life is followed by a look at what is there."""

    def __init__(self, nursery: mortals.Nursery, call: str, path: pathlib.Path, seconds: float = 10.0):
        self._nursery, self._call, self.path = nursery, call, path
        self._parts: dict[str, str] = {}
        self._finished = 0
        self.seconds = seconds  # of the longest life; the next may be longer or shorter, on a machine that others use

    def live(self, kill: Kill | None = None) -> mortals.Life:
        """A life; nothing of what was there is lost or changed by it."""
        at = (kill.event, kill.number) if kill and kill.event else None
        began = time.monotonic()
        life = self._nursery.life(
            self._call, self.path, at=at, after=kill.share * self.seconds if kill and not at else None
        )
        if not self._parts and not life.killed:
            self.seconds = time.monotonic() - began
        assert life.killed or life.digest, life.error
        now = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in parts.listing(self.path / "parts")}
        assert self._parts.items() <= now.items()
        self._parts = now
        self._look()
        return life

    def _look(self) -> None:
        """What can be read at any moment: not less than before."""
        if not (self.path / "store.json").is_file():
            with pytest.raises(dl.ArgumentError, match=r"no results|not dlcore|there is no"):
                dl.load(self.path)
            return
        if not parts.listing(self.path / "studies"):
            with pytest.raises(dl.ArgumentError, match="nothing was asked for yet"):
                dl.load(self.path)
            return
        loaded = dl.load(self.path)
        # A study that grew has more to finish, so records count, not cells.
        finished = int(loaded.loss.notnull().sum()) if "loss" in loaded else 0
        assert finished >= self._finished
        self._finished = finished

    def check_end(self, digest: str) -> None:
        """All is there once, and nothing else, after a call that ended well and one more."""
        for _ in range(2):
            life = self.live()
            assert life.digest == digest
        assert "computing" not in life.events  # the second
        assert mortals.digest(dl.load(self.path).drop_vars("finished")) == digest
        records = collections.defaultdict(list)
        for file in parts.listing(self.path / "parts"):
            header = parts.read(file).header
            for cell in header["cells"]:
                first = 0 if header["measured"] and header["begin"] == 0 else header["begin"] + 1
                records[header["program"], cell] += range(first, header["end"] + 1)
        length = dl.load(self.path).sizes["step"]
        assert [sorted(each) for each in records.values()] == [[*range(length)]] * len(records)
        files = [file for file in self.path.rglob("*") if file.is_file()]
        assert not [file.name for file in files if file.name.startswith(".") or file.suffix not in (".json", ".npz")]
        assert not [file.name for file in files if ".conflict-" in file.name]
        assert not list((self.path / "claims").iterdir())
        states = {file.stem for file in parts.listing(self.path / "states")}
        assert states <= {file.stem for file in parts.listing(self.path / "parts")}


def suffer(call: str, kills: list[Kill], folder: pathlib.Path) -> tuple[collections.Counter, int]:
    """Kill the processes of a call at these moments, on one store until it is finished, then on another.

    Returns:
      how often they were killed where: the last event before; how many stores there were.
    """
    where, stores = collections.Counter(), itertools.count()
    with mortals.Nursery() as nursery:
        undisturbed = nursery.life(call)
        history = History(nursery, call, folder / f"{next(stores)}")
        for kill in kills:
            for tries in range(5):
                life = history.live(kill._replace(share=kill.share * 0.7**tries))
                if life.killed:
                    where[moment_of(life, kill)] += 1
                    break
                history.check_end(undisturbed.digest)
                history = History(nursery, call, folder / f"{next(stores)}", history.seconds)
            else:
                raise AssertionError(f"{kill} never happens: {life.events}")
        history.check_end(undisturbed.digest)
    return where, next(stores)


def moment_of(life: mortals.Life, kill: Kill) -> str:
    """The last event before a kill; beats of claims come at any time."""
    told = [event for event in life.events if event in (kill.event, *{*life.events} - {"claims: synced"})]
    return told[-1] if told else "starting"


def phases(where: collections.Counter) -> set[str]:
    return {event.split(":")[0] for event in where}


@pytest.mark.heavy
def test_killed_at_any_moment(tmp_path, capsys):
    """Catches records that are lost, computed twice or changed by a kill, and what is left behind by the dead."""
    draw = random.Random(0)
    shares = [Kill(share=draw.uniform(0.05, 1.0)) for _ in range(12)]
    commits = COMMITS + shares
    draw.shuffle(commits)
    kills = MAKING + BEGINNING + commits + END
    assert len(kills) >= 30
    where, stores = suffer("study", kills, tmp_path)
    with capsys.disabled():
        print(f"\n{sum(where.values())} kills of {stores} stores:", dict(where))
    aimed = {kill.event for kill in kills if kill.event}
    assert aimed <= set(where)
    assert phases(where) >= {"tracing", "lowering", "compiling", "computing", "assembling", "mark", "studies"}
    assert stores < len(kills) / 3


@pytest.mark.heavy
def test_a_run_killed_between_its_parts(tmp_path, capsys):
    """Catches a long run that starts anew, or of which records are there twice."""
    draw = random.Random(1)
    kills = [
        Kill("states: linked", 2),
        Kill("parts: linked", 2),
        Kill("parts: on disk", 1),
        Kill("states: half written"),
    ]
    kills += [Kill("parts: half written", 2), Kill("parts: synced"), Kill("computing", 3), Kill("assembling")]
    kills += [Kill(share=draw.uniform(0.1, 1.0)) for _ in range(4)]
    where, stores = suffer("one", kills, tmp_path)
    with capsys.disabled():
        print(f"\n{sum(where.values())} kills of {stores} stores:", dict(where))
    assert {kill.event for kill in kills if kill.event} <= set(where)


@pytest.mark.job
def test_killed_thrice(tmp_path):
    """Catches, in a moment, what the others catch: a part half written, one without its state, a claim of the dead."""
    kills = [Kill("states: linked"), Kill("parts: half written"), Kill("parts: on disk", 2)]
    where, stores = suffer("one", kills, tmp_path)
    assert where == {kill.event: 1 for kill in kills}
    assert stores == 1
