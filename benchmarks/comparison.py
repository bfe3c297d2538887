"""Measurements next to earlier ones: which numbers have changed by more than the noise.

The ratio of two medians has an interval of 95 %, from two kinds of noise. That within a process is seen in the repeats:
Welch's t interval of their logarithms. That between processes, and between quarters of an hour, is not seen in one
file; how far two medians of the same code lie apart in 95 % of cases is taken from measurements that were repeated
(benchmarks/README.md): seconds 15 %; ratios of sides that took turns 10 %; bytes 2 %. The two add as independent
errors do.
Files from before repeats were kept have medians only: 15 % for each number.

Of machines that differ, seconds are not compared. One number of twenty seems to differ by chance.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from benchmarks.measurements import Measured, Measurements
from dlcore.evidence.intervals import quantile

LEVEL = 0.95
Kind = Literal["seconds", "ratio", "size"]
DRIFT: dict[Kind, float] = {"seconds": 1.15, "ratio": 1.10, "size": 1.02}
DRIFT_OF_MEDIANS = 1.15  # where a file has no repeats

MACHINE = ("cpu", "cores", "platform", "device_kind", "num_devices")
NOT_OF_THE_CODE = ("source_revision", "dlcore_version")

OURS = "dlcore|program|sweep|stored|dlcore_one|dlcore_8|dlcore_lanes|call_of_\\d+|cpu_of_\\d+|program_of_\\d+"
THEIRS = "sklearn|pytorch|torch_func|torch_compile|torch_func_8|keras|keras_reused|nnx"
LARGER_IS_SLOWER = re.compile(f"^({OURS})_over_|^gradients$")
LARGER_IS_FASTER = re.compile(f"^({THEIRS})_over_")

SAME = "no difference that shows"


class Row(NamedTuple):
    """A number of both files; the ratio is now / before, with its interval, or NaN where there is none.

    verdict: "slower", "faster", "larger", "smaller", "no difference that shows", or why it is not compared.
    """

    part: str
    name: str
    before: float
    now: float
    ratio: float
    low: float
    high: float
    verdict: str


class Comparison(NamedTuple):
    """notes: what differs besides the numbers: the machine, versions, names that one file lacks."""

    notes: list[str]
    rows: list[Row]


def kind_of(name: str) -> Kind:
    """What a number is, by its name: ratios and sizes have words of their own, all others are times, in some unit."""
    if "_over_" in name or name.endswith(("ratio", "gradients")) or name == "gradients":
        return "ratio"
    if re.search(r"(^|_)(mb|GB|megabytes|files|accuracy)(_|$)", name):
        return "size"
    return "seconds"


def compare(before: Measurements, now: Measurements) -> Comparison:
    """All numbers that both have, of the parts that were measured now."""
    other = _differences(before.machine, now.machine, MACHINE)
    software = [name for name in before.machine | now.machine if name not in MACHINE and name not in NOT_OF_THE_CODE]
    notes = [f"another machine, so seconds are not compared: {', '.join(other)}"] if other else []
    if differ := _differences(before.machine, now.machine, software):
        notes.append(f"other versions or settings: {', '.join(differ)}")
    rows = []
    for part, numbers in now.parts.items():
        old = before.parts.get(part, {})
        notes += _lacking(part, old, numbers)
        rows += [_row(part, name, old[name], numbers[name], bool(other)) for name in numbers if name in old]
    return Comparison(notes, rows)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], names: Any) -> list[str]:
    pairs = ((name, before.get(name, "unknown"), now.get(name, "unknown")) for name in names)
    return [f"{name} {old!r} before, {new!r} now" for name, old, new in pairs if old != new]


def _lacking(part: str, before: Mapping[str, Measured], now: Mapping[str, Measured]) -> list[str]:
    if not before:
        return [f"{part}: not in the earlier file"]
    sides = {"not in the earlier file": now.keys() - before.keys(), "not measured now": before.keys() - now.keys()}
    return [f"{part}: {what}: {', '.join(sorted(names))}" for what, names in sides.items() if names]


def _row(part: str, name: str, before: Measured, now: Measured, other_machine: bool) -> Row:
    kind = kind_of(name)
    reason = "not compared: another machine" if other_machine and kind == "seconds" else ""
    if not all(0 < value < math.inf for each in (before, now) for value in (each.median, *each.repeats)):
        same = "no difference that shows" if before == now else "not compared: not positive in each repeat"
        reason = reason or same
    if reason:
        return Row(part, name, before.median, now.median, math.nan, math.nan, math.nan, reason)
    ratio = now.median / before.median
    half = half_width(before, now, kind)
    low, high = ratio * math.exp(-half), ratio * math.exp(half)
    return Row(part, name, before.median, now.median, ratio, low, high, _verdict(name, kind, low, high))


def half_width(before: Measured, now: Measured, kind: Kind) -> float:
    """Of the interval of log(now / before): noise within the processes, and between them."""
    repeated = [each.repeats for each in (before, now) if len(each.repeats) > 1]
    between = math.log(DRIFT[kind] if len(repeated) == 2 or kind == "size" else DRIFT_OF_MEDIANS)
    errors = [float(np.var(np.log(repeats), ddof=1)) / len(repeats) for repeats in repeated]
    if not (total := sum(errors)):
        return between
    terms = (error**2 / (len(repeats) - 1) for error, repeats in zip(errors, repeated, strict=True))
    within = quantile((1 + LEVEL) / 2, total**2 / sum(terms)) * math.sqrt(total)
    return math.hypot(within, between)


def _verdict(name: str, kind: Kind, low: float, high: float) -> str:
    if low <= 1 <= high:
        return SAME
    if kind == "seconds" or LARGER_IS_SLOWER.match(name):
        return "slower" if low > 1 else "faster"
    if LARGER_IS_FASTER.match(name):
        return "faster" if low > 1 else "slower"
    return "larger" if low > 1 else "smaller"


def show(before: Measurements, now: Measurements) -> None:
    """Print the comparison."""
    notes, rows = compare(before, now)
    print("compared with the earlier file (before, now, now / before with its interval of 95 %):")
    for note in notes:
        print(f"  {note}")
    part = ""
    for row in rows:
        if row.part != part:
            part = row.part
            print(f"  {part.replace('_', ' ')}")
        interval = "" if math.isnan(row.ratio) else f"{row.ratio:7.3f} [{row.low:.3f}, {row.high:.3f}]"
        print(f"    {row.name:32} {row.before:10.4g} {row.now:10.4g} {interval:26} {row.verdict}")
    changed = sum(not math.isnan(row.ratio) and row.verdict != SAME for row in rows)
    compared = sum(not math.isnan(row.ratio) for row in rows)
    print(f"  {changed} of {compared} numbers differ; by chance about one of twenty would.")
