"""Sides of a comparison in processes of their own, which take turns: all are alive, one computes."""

import importlib.util
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.peers.processes import PeerError, Turn, Worker, closing, command
from benchmarks.peers.work import CannotError, Work

MODULES = {
    "ours": "dlcore",
    "raw_jax": "jax",
    "pytorch": "torch",
    "torch_func": "torch",
    "keras_jax": "keras",
    "flax_nnx": "flax",
    "scikit_learn": "sklearn",
}
NOT_INSTALLED = "not installed: pip install -e '.[peers]'"


class Peer(NamedTuple):
    """A file of this package, and one of its `SIDES`."""

    library: str
    side: str


class Turns(NamedTuple):
    """What each side that could do the work did in each round, and why the others could not."""

    taken: dict[str, list[Turn]]
    missing: dict[str, str]


def is_installed(peer: Peer) -> bool:
    """Whether its library is there."""
    return importlib.util.find_spec(MODULES[peer.library]) is not None


def take_turns(peers: Mapping[str, Peer], folder: pathlib.Path, repeats: int) -> Turns:
    """The work in a folder by each peer, so many times after a warm-up; every other round backward.

    Raises:
      PeerError: a worker failed.
    """
    missing = {name: NOT_INSTALLED for name, peer in peers.items() if not is_installed(peer)}
    with closing({}) as workers:
        for name, peer in peers.items():
            if name in missing:
                continue
            workers[name] = Worker(name, command(*peer, folder))
            try:
                workers[name].wait_until_ready()
            except CannotError as reason:
                missing[name] = str(reason)
        able = [name for name in workers if name not in missing]
        taken: dict[str, list[Turn]] = {name: [] for name in able}
        for number in range(repeats):
            for name in able[:: -1 if number % 2 else 1]:
                taken[name].append(workers[name].turn())
    return Turns(taken, missing)


def check_agreement(work: Work, taken: Mapping[str, Sequence[Turn]], reference: str) -> dict[str, float]:
    """Mean final accuracy of each side, if it is that of the reference at the same learning rates, within the margin.

    Raises:
      PeerError: a side reaches another accuracy: it does not do the same work.
    """
    at_rate: dict[float, list[float]] = {}
    for rate, accuracy in taken[reference][-1].accuracies:
        at_rate.setdefault(round(rate, 8), []).append(accuracy)
    means = {}
    for name, turns in taken.items():
        found = turns[-1].accuracies
        means[name] = statistics.fmean(accuracy for _, accuracy in found)
        expected = statistics.fmean(statistics.fmean(at_rate[round(rate, 8)]) for rate, _ in found)
        if not abs(means[name] - expected) <= work.margin:
            raise PeerError(
                f"{name} reaches an accuracy of {means[name]:.3f}, {reference} {expected:.3f} at the same learning "
                f"rates; they may differ by {work.margin}. It does not do the same work."
            )
    return means
