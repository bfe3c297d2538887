"""Whether a call belongs to a store: what has other causes is never mixed with what is there."""

import functools
import pathlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from dlcore.engine.durable.cells import FAILED
from dlcore.engine.durable.folder import Store
from dlcore.engine.durable.identity import Identity, difference, environment_words, identity_of
from dlcore.engine.durable.outline import Asked, OtherStudyError, Outline, check_alike, static_key
from dlcore.engine.durable.writing import Stored
from dlcore.engine.places import Place
from dlcore.engine.preparation import Prepared, training_of
from dlcore.engine.program import build
from dlcore.engine.threads import DaemonThreads
from dlcore.engine.traced import trace

Texts = Mapping[str, str]


class MismatchError(OtherStudyError):
    """A program is not the one that a store's results come from."""


def check(
    store: Store,
    asked: Outline,
    stored: Sequence[Stored],
    claimed: Collection[str] = (),
    traced: Callable[[Mapping[str, Any], Identity], tuple[Identity, Texts] | None] | None = None,
) -> None:
    """Raise unless what is asked for belongs to what is there, as of the store's last `refresh`.

    Programs with the static values of earlier calls have to be those of then. Where a call has new ones only, the
    function is traced once more with values of an earlier call.

    Args:
      claimed: programs that others are computing just now.
      traced: the function's program at known static values, to be compared with an identity; None if it has none.
    """
    advice = f"Nothing was changed. For a new study, give another folder: store={other_path(store)!r}."
    computed = (store.programs() | set(claimed)) & store.names_of_programs()
    known: dict[str, list[Asked]] = {}
    plain: list[Asked] = []  # whose static values are their labels
    for outline in store.outlines():
        check_alike(outline, asked, store.given, advice)
        there = [each for each in outline.asked if each.program in computed]
        plain += there if outline.is_plain else []
        for each in there:
            known.setdefault(static_key(each.static), []).append(each)
    own = [(each, one) for each, one in zip(asked.asked, stored, strict=True) if one.name != FAILED]
    met = [(each, one, known[static_key(each.static)]) for each, one in own if static_key(each.static) in known]
    for each, one, there in met:
        if each.program not in [other.program for other in there]:
            old, texts, _ = store.program(there[-1].program)
            raise _mismatch(store, each.static, difference(old, one.identity, texts, one.texts), advice)
    if known and not met:
        _check_strangers(store, known, plain, own[0][1], traced, advice)


def _check_strangers(
    store: Store,
    known: Mapping[str, Sequence[Asked]],
    plain: Sequence[Asked],
    own: Stored,
    traced: Callable[[Mapping[str, Any], Identity], tuple[Identity, Texts] | None] | None,
    advice: str,
) -> None:
    """The same for a call of which no program was asked for before."""
    there = (plain or next(iter(known.values())))[-1]
    old, texts, _ = store.program(there.program)
    if differs := environment_words(old.environment, own.identity.environment):
        raise _mismatch(store, there.static, "; ".join(differs), advice)
    again = traced(there.static, old) if traced is not None and plain else None
    if again is not None and again[0].name != old.name:
        raise _mismatch(store, there.static, difference(old, again[0], texts, again[1]), advice)


def _mismatch(store: Store, static: Mapping[str, Any], differs: str, advice: str) -> MismatchError:
    which = ", ".join(f"{name}={label}" for name, label in static.items())
    at = f" at {which}" if which else ""
    return MismatchError(f"the results in the store {store.given!r} come from something else{at}: {differs}", advice)


def traced_again(
    prepared: Prepared, place: Place, compilers: DaemonThreads, static: Mapping[str, Any], like: Identity
) -> tuple[Identity, Texts] | None:
    """The identity and texts of the function's program at these static values; None where it has none.

    Args:
      like: has the lane width.
    """
    study, constants = prepared.study, prepared.constants
    width, make = like.lanes or None, functools.partial(training_of, study, static)
    try:
        traced = trace(make, study.abstract_cell(), constants)
    except Exception:  # the function does not take these values any more, which says nothing of the others
        return None
    program = build(traced, lane_width=width, place=place, threads=compilers, constants=constants)
    identity = identity_of(program, traced, width, constants, place)
    if like.length and identity.length:  # runs of another length are compared when their own cells are asked for
        identity = identity._replace(length=like.length)
    return identity, {name: function.text for name, function in program.functions.items()}


def other_path(store: Store) -> str:
    """A path near that of the store where nothing is."""
    number = 2
    while pathlib.Path(f"{store.path}-{number}").exists():
        number += 1
    return f"{store.given.rstrip('/')}-{number}"
