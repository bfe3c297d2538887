"""What calls asked of a store: cells, times and variables, without the functions. Results are laid out by it."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dlcore.core.errors import ArgumentError
from dlcore.core.labeled import Field
from dlcore.engine.axes import Study, Values
from dlcore.engine.encoding import from_json, to_json
from dlcore.engine.labels import labels as labels_of
from dlcore.engine.labels import name_of
from dlcore.engine.records import Variable, Variables
from dlcore.engine.timeline import Clock


class OtherStudyError(ArgumentError):
    """A store holds something else than what is asked for.

    Attributes:
      what: that it is, without advice.
    """

    def __init__(self, what: str, advice: str):
        super().__init__(f"{what}. {advice}")
        self.what = what


class Asked(NamedTuple):
    """What is asked of the cells with one combination of static values.

    static: its labels. program: name of the identity; "" where nobody asked. variables, clock: of its results.
    """

    static: Mapping[str, Any]
    program: str
    variables: Variables
    clock: Clock


class Outline(NamedTuple):
    """What one call asked for, or several together.

    question: in words. dims: as in `Study`, with labels for static values. asked: for each program of the study, in
    order. attrs: of the results. descriptions: variable to its description. is_plain: whether the static values are
    what their labels say: numbers, texts, None.
    """

    question: str
    along: str
    dims: Mapping[str, tuple[Values, ...]]
    asked: Sequence[Asked]
    attrs: Mapping[str, Any]
    descriptions: Mapping[str, str]
    is_plain: bool = False

    @property
    def study(self) -> Study:
        """The cells; it cannot be executed."""
        return Study(_unknown, self.dims)


def outline_of(
    study: Study,
    programs: Sequence[str],
    variables: Sequence[Variables],
    clocks: Sequence[Clock],
    *,
    along: str,
    attrs: Mapping[str, Any],
    descriptions: Mapping[str, str],
) -> Outline:
    """The outline of a call; programs: their identities."""
    dims = {
        dim: tuple(Values.known(values.name, values.labels, values.traced) for values in along_it)
        for dim, along_it in study.dims.items()
    }
    of_labels = Study(_unknown, dims).programs  # labels tell apart what values do, so these are in the same order
    if len(of_labels) != len(study.programs):
        raise ArgumentError(
            "two different static values have one label, by which a store tells them apart; expects different ones. "
            "Give the values as a dictionary: {'label': value, ...}."
        )
    parts = zip(of_labels, programs, variables, clocks, strict=True)
    asked = [Asked(static, program, own, clock) for (static, _), program, own, clock in parts]
    function = inspect.unwrap(study.fn.func if isinstance(study.fn, functools.partial) else study.fn)
    question = (function.__doc__ or "").strip().split("\n")[0] or name_of(function)
    static = [values for along_it in study.dims.values() for values in along_it if values.traced is None]
    is_plain = all(
        isinstance(value, bool | int | float | str | None) and type(label) is type(value) and label == value
        for values in static
        for value, label in zip(values.static, values.labels.tolist(), strict=True)
    )
    return Outline(question, along, dims, asked, attrs, descriptions, is_plain)


def cell_keys(study: Study) -> list[str]:
    """The traced values of each cell as text that tells all bits, [num_cells]."""
    columns = [[f"{name}={value.tobytes().hex()}" for value in values] for name, values in sorted(study.traced.items())]
    return [" ".join(parts) for parts in zip(*columns, strict=True)] if columns else [""] * study.num_cells


def written(outline: Outline) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """An outline as arrays and JSON."""
    arrays: dict[str, np.ndarray] = {}

    def kept(name: str, values: np.ndarray) -> str:
        arrays[name] = values
        return name

    dims = []
    for number, (dim, along) in enumerate(outline.dims.items()):
        described = []
        for values in along:
            name = f"{number}/{values.name}"
            one: dict[str, Any] = {"name": values.name}
            if values.traced is None:
                one["labels"] = [to_json(label) for label in values.labels.tolist()]
            else:
                one |= {"given": kept(f"given/{name}", values.labels), "traced": kept(f"traced/{name}", values.traced)}
            described.append(one)
        dims.append([dim, described])
    asked = [
        {
            "static": [[name, to_json(label)] for name, label in each.static.items()],
            "program": each.program,
            "measured": each.clock.measured,
            "times": {time: kept(f"times/{n}/{time}", values) for time, values in each.clock.times.items()},
            "records": _variables_to_json(each.variables.records),
            "final": _variables_to_json(each.variables.final),
        }
        for n, each in enumerate(outline.asked)
    ]
    facts = {"along": outline.along, "dims": dims, "asked": asked, "descriptions": dict(outline.descriptions)}
    more = {"question": outline.question, "attrs": to_json(dict(outline.attrs)), "is_plain": outline.is_plain}
    return arrays, {**facts, **more, "facts": [*facts]}


def restored(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> Outline:
    """The outline that was `written`."""
    dims = {}
    for dim, described in header["dims"]:
        along = []
        for one in described:
            if "labels" in one:
                along.append(Values.known(one["name"], labels_of([from_json(each) for each in one["labels"]]), None))
            else:
                along.append(Values.known(one["name"], arrays[one["given"]], arrays[one["traced"]]))
        dims[dim] = tuple(along)
    asked = [
        Asked(
            {name: from_json(label) for name, label in each["static"]},
            each["program"],
            Variables(_variables_from_json(each["records"]), _variables_from_json(each["final"])),
            Clock({time: arrays[name] for time, name in each["times"].items()}, each["measured"]),
        )
        for each in header["asked"]
    ]
    attrs = from_json(header["attrs"])
    return Outline(header["question"], header["along"], dims, asked, attrs, header["descriptions"], header["is_plain"])


def check_alike(there: Outline, now: Outline, where: str, advice: str) -> None:
    """Raise `OtherStudyError` unless both have the same dimensions, each of the same parameters, traced or static."""

    def shape(outline):
        return {
            dim: [f"{values.name} ({'static' if values.traced is None else values.traced.dtype})" for values in along]
            for dim, along in outline.dims.items()
        }

    old, new = shape(there), shape(now)
    if list(old.items()) != list(new.items()):
        was, is_ = (
            "; ".join(f"{dim}: {', '.join(names)}" for dim, names in each.items()) or "no axes" for each in (old, new)
        )
        raise OtherStudyError(f"the store {where!r} holds a study over ({was}), this one is over ({is_})", advice)


def merged(outlines: Sequence[Outline], programs: set[str]) -> Outline:
    """All that several calls asked of one store, oldest first: the values of each dimension together.

    Args:
      programs: that something was computed by; what others asked for gives way to later calls.
    """
    last = outlines[-1]
    dims = {dim: _merged_values([outline.dims[dim] for outline in outlines]) for dim in last.dims}
    found: dict[str, Asked] = {}
    for outline in outlines:
        for each in outline.asked:
            key = static_key(each.static)
            known = found.get(key, each)
            if known.program not in programs:
                known = each
            longest = max(each, known, key=lambda one: one.clock.num_records)
            variables = Variables(longest.variables.records, {**known.variables.final, **each.variables.final})
            found[key] = longest._replace(variables=variables)
    nobody = Variables({}, {})
    longest = max(found.values(), key=lambda each: each.clock.num_records)
    asked = [
        found.get(static_key(static)) or Asked(static, "", nobody, longest.clock)
        for static, _ in Study(_unknown, dims).programs
    ]
    return last._replace(dims=dims, asked=asked)


def static_key(static: Mapping[str, Any]) -> str:
    """Labels of static values as text that tells them apart."""
    return repr([(name, to_json(label)) for name, label in sorted(static.items())])


def _merged_values(several: Sequence[tuple[Values, ...]]) -> tuple[Values, ...]:
    """The values along one dimension of all calls, each once, in the order they were first asked for."""
    seen: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for along in several:
        for i in range(len(along[0])):
            key = tuple(
                repr(to_json(values.labels.tolist()[i])) if values.traced is None else values.traced[i].tobytes()
                for values in along
            )
            seen.setdefault(key, tuple((values.labels[i], _at(values.traced, i)) for values in along))
    columns = list(zip(*seen.values(), strict=True))
    return tuple(
        Values.known(
            values.name,
            labels_of([label for label, _ in column])
            if values.traced is None
            else np.asarray([label for label, _ in column]),
            None if values.traced is None else np.asarray([traced for _, traced in column], values.traced.dtype),
        )
        for values, column in zip(several[-1], columns, strict=True)
    )


def _at(values: np.ndarray | None, i: int) -> Any:
    return None if values is None else values[i]


def _unknown(**_: Any) -> Any:
    raise ArgumentError("a study read from a store has no function; pass the function itself: dl.sweep(fit, ...).")


def _variables_to_json(variables: Mapping[str, Variable]) -> dict[str, Any]:
    return {
        name: [
            list(each.shape),
            each.dtype.str,
            to_json(tuple(each.field.dims)),
            to_json(each.field.labels),
            each.whole,
        ]
        for name, each in variables.items()
    }


def _variables_from_json(described: Mapping[str, Any]) -> dict[str, Variable]:
    return {
        name: Variable(tuple(shape), np.dtype(dtype), Field(from_json(dims), from_json(labels)), whole)
        for name, (shape, dtype, dims, labels, whole) in described.items()
    }
