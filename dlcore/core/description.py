"""What a data set prints about itself."""

import textwrap
from typing import Any

import numpy as np
from jax.core import Tracer

MAX_CLASSES_SHOWN = 10


def dataset(data: Any) -> str:
    """Source, sizes, shapes, dtypes, class balance and normalization, a few lines."""
    sizes = ", ".join(f"{split} {getattr(data, split).num_rows}" for split in data.splits)
    shapes = f"inputs {arrays(data.train.inputs)}, "
    shapes += "no targets" if data.train.targets is None else f"targets {arrays(data.train.targets)}"
    if weighted := [split for split in data.splits if getattr(data, split).weights is not None]:
        shapes += f", weights of {' and '.join(weighted)}"
    lines = [f"Dataset {data.name}: {sizes}; {shapes}; from {data.source}"]
    if balance := class_balance(data):
        lines += textwrap.wrap(balance, 110, initial_indent="  ", subsequent_indent="    ")
    for part in ("input", "target"):
        if vocabulary := getattr(data, f"{part}_vocabulary"):
            lines.append(f"  {part} vocabulary: {vocabulary!r}")
    return "\n".join([*lines, f"  normalization: {data.normalization}"])


def class_balance(data: Any) -> str:
    """Rows of each class in the train split, for named classes; else the range of the targets; "" if unknown."""
    targets = data.train.targets
    if targets is None or isinstance(targets, Tracer | dict | tuple) or not targets.size:
        return ""
    if not is_labels(data):
        return f"targets from {float(targets.min()):.4g} to {float(targets.max()):.4g} (train)"
    classes, counts = np.unique(targets, return_counts=True)
    if data.target_names and classes[-1] < len(data.target_names):  # those without rows as well
        classes, counts = range(len(data.target_names)), np.bincount(targets, minlength=len(data.target_names))
    total = f"{len(counts)} classes (rows in train): "
    if len(counts) > MAX_CLASSES_SHOWN:
        least, most = int(counts.argmin()), int(counts.argmax())
        rare, common = label(data, int(classes[least])), label(data, int(classes[most]))
        if counts[least] == counts[most]:
            return total + f"{counts[least]} each"
        return total + f"from {counts[least]} ({rare}) to {counts[most]} ({common})"
    return total + ", ".join(
        f"{label(data, int(number))} {count}" for number, count in zip(classes, counts, strict=True)
    )


def is_labels(data: Any) -> bool:
    """Whether the targets are one class label [N] each."""
    targets = data.train.targets
    if targets is None or isinstance(targets, dict | tuple):
        return False
    return targets.ndim == 1 and targets.dtype.kind in "iu" and bool(targets.min() >= 0)


def label(data: Any, target: int) -> str:
    """Name of a class, or its number."""
    return data.target_names[target] if 0 <= target < len(data.target_names) else f"class {target}"


def array(values: Any) -> str:
    """`float32[N, 64]`, for a batch of rows."""
    return f"{values.dtype}[N{''.join(f', {size}' for size in values.shape[1:])}]"


def arrays(values: Any) -> str:
    """The same for several arrays, by name or in order: `{age: float32[N], image: uint8[N, 8, 8]}`."""
    if values is None:
        return "None"
    if isinstance(values, dict):
        return "{" + ", ".join(f"{name}: {arrays(each)}" for name, each in sorted(values.items())) + "}"
    if isinstance(values, tuple):
        return f"({', '.join(map(arrays, values))})"
    return array(values)
