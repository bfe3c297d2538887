"""Where intervals, regions and ticks lie on the axis of a figure, in percent of its width."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dlcore.evidence.claims import Region
from dlcore.evidence.intervals import Interval, digits

DECADES = 1.7  # from here on what is positive is drawn on a logarithmic axis: a factor of 50
PADDING = 0.06  # of the axis on either side, where nothing is measured
LARGEST = 1e300  # beyond it an end is not drawn: differences would overflow
TICKS = 5
BEYOND = 5.0  # percent from the end of the axis, less than PADDING leaves: marker of a number that lies beyond it
CHARACTER, GAP = 2.2, 2.0  # percent of the narrowest figure, 300 pixels, that a character of a tick and a gap take
MARGIN = 0.9  # percent that a tick stays away from the ends of the axis: four characters fit where an edge may lie


class Axis(NamedTuple):
    """From `low` to `high`, in powers of ten where it is logarithmic."""

    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """Percent of the width; below 0 or above 100 where it lies outside."""
        if self.logarithmic:
            value = math.log10(value) if value > 0 else -math.inf
        return -math.inf if value == -math.inf else 100 * (value - self.low) / (self.high - self.low)

    def clipped(self, value: float) -> float:
        """The same, at the end of the axis where it lies outside."""
        return min(100.0, max(0.0, self.place(value)))


class Tick(NamedTuple):
    """A number below an axis. anchor: which side of the text is at its place."""

    place: float
    text: str
    anchor: str


class Mark(NamedTuple):
    """A condition as it is drawn, places in percent of the width.

    begin, end: of the line. center: of the marker, which is the bound where only that is known; None where nothing is.
    left, right: it goes on beyond the axis, which an arrow shows. shape: of the marker.
    """

    begin: float
    end: float
    center: float | None
    left: bool
    right: bool
    shape: str


class Plot(NamedTuple):
    """All conditions of a sub-claim on one axis. region: from, to; edges: of it; limits: from where it is refuted."""

    axis: Axis
    region: tuple[float, float]
    edges: tuple[float, ...]
    limits: tuple[float, ...]
    marks: tuple[Mark | None, ...]
    ticks: tuple[Tick, ...]


def number(value: Any) -> float:
    """What JSON holds of a number: null is NaN, infinity is text."""
    return math.nan if value is None else float(value)


def interval(condition: Mapping[str, Any]) -> Interval:
    """Of a condition in a file of verdicts."""
    estimate, low, high = (number(condition[name]) for name in ("estimate", "low", "high"))
    kind, reason = condition["bound"], condition["reason"]
    return Interval(estimate, low, high, condition["count"], condition["level"], kind, reason)


def region(found: Mapping[str, Any]) -> Region:
    """Of a sub-claim in a file of verdicts."""
    return Region(*(number(found[name]) for name in ("low", "high", "margin")))


def plot(holds: Region, intervals: Sequence[Interval], outcomes: Sequence[str]) -> Plot:
    """Where all of it lies."""
    edges = [edge for edge in (holds.low, holds.high) if math.isfinite(edge)]
    limits = [edge for edge in (holds.low / holds.margin, holds.high * holds.margin) if math.isfinite(edge)]
    limits = limits if holds.margin != 1 else []
    axis = axis_of(edges + limits, intervals)
    marks = [mark(axis, *each) for each in zip(intervals, outcomes, strict=True)]
    places = axis.clipped(holds.low), axis.clipped(holds.high)
    drawn = tuple(map(axis.place, edges)), tuple(map(axis.place, limits))
    return Plot(axis, places, *drawn, tuple(marks), ticks(axis, edges))


def axis_of(edges: Sequence[float], intervals: Sequence[Interval]) -> Axis:
    """With room for all ends that are finite, and that a logarithm has if it is logarithmic."""
    known = [each for each in intervals if each.bound != "none"]
    centers = _finite([*edges, *(_center(each) for each in known)])
    ends = _finite([*centers, *(end for each in known for end in _ends(each))])
    positive = [value for value in centers if value > 0]
    logarithmic = bool(positive) and min(centers) >= 0 and math.log10(max(positive) / min(positive)) >= DECADES
    if logarithmic:
        ends = [math.log10(value) for value in ends if value > 0]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # all the same
        half = 0.5 if logarithmic else max(abs(low), abs(high)) / 2 or 0.5
        low, high = low - half, high + half
    room = PADDING * (high - low)
    return Axis(low - room, high + room, logarithmic)


def mark(axis: Axis, found: Interval, outcome: str) -> Mark | None:
    """How a condition is drawn; None where nothing is known of it."""
    if found.bound == "none":
        return None
    low, high = _ends(found)
    begin, end = axis.place(low), axis.place(high)
    shape = outcome if outcome in ("supported", "refuted") else "inconclusive"
    center = None if math.isnan(_center(found)) else min(100 - BEYOND, max(BEYOND, axis.place(_center(found))))
    first, last = axis.clipped(low), axis.clipped(high)
    if center is not None:  # of a number beyond the axis: the marker stands beside the arrow
        first, last = min(first, center), max(last, center)
    return Mark(first, last, center, begin < 0, end > 100, shape)


def ticks(axis: Axis, edges: Sequence[float]) -> tuple[Tick, ...]:
    """The edges of the region and round numbers, none of which touches another, and none an end of the axis.

    Near an end the text of an edge stands beside its place; a round number is left out.
    """
    found: list[tuple[float, float, Tick]] = []
    for value in [*edges, *round_numbers(axis)]:
        place, text = axis.place(value), digits(value).replace("e-0", "e-").replace("-", "\N{MINUS SIGN}")
        if not 0 <= place <= 100:
            continue
        wide = CHARACTER * len(text)
        room = wide / 2 + MARGIN
        anchor = "start" if place < room else "end" if place > 100 - room else "middle"
        if anchor != "middle" and value not in edges:
            continue
        begin = place - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        if all(begin > right + GAP or begin + wide < left - GAP for left, right, _ in found):
            found.append((begin, begin + wide, Tick(place, text, anchor)))
    return tuple(tick for _, _, tick in sorted(found, key=lambda each: each[0]))


def round_numbers(axis: Axis) -> list[float]:
    """Some that lie on the axis."""
    if not axis.logarithmic:
        from matplotlib.ticker import MaxNLocator

        return [float(value) for value in MaxNLocator(TICKS).tick_values(axis.low, axis.high)]
    first, last = math.ceil(axis.low), math.floor(axis.high)
    step = max(1, math.ceil((last - first + 1) / TICKS))
    return [float(f"1e{power}") for power in np.arange(first, last + 1, step)]


def _center(found: Interval) -> float:
    return {"at least": found.low, "at most": found.high}.get(found.bound, found.estimate)


def _ends(found: Interval) -> tuple[float, float]:
    """Of what the truth may be: what an end says nothing of is infinite."""
    low = -math.inf if found.bound == "at most" or math.isnan(found.low) else found.low
    high = math.inf if found.bound == "at least" or math.isnan(found.high) else found.high
    return low, high


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if abs(value) <= LARGEST]
