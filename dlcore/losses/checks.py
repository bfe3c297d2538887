"""What outputs and targets may be: shared by losses, metrics and tasks, so that siblings cannot disagree.

Shapes and dtypes are checked always, values where they are known, not traced.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import Constraint, RefusedError, array, number
from dlcore.core.errors import DataError, described


def real(text: str, ndim: int | None = None) -> Constraint:
    """Numbers that become floats: differences of unsigned integers would wrap around."""
    numbers = array(ndim=ndim, text=text)

    def accept(value):
        found = numbers.accept(value)
        floating = jnp.issubdtype(found.dtype, jnp.floating)
        dtype = jax.dtypes.canonicalize_dtype(found.dtype) if floating else jnp.result_type(float)
        with np.errstate(over="ignore"):  # beyond the range it is inf, as JAX has it
            return jnp.asarray(found, dtype)

    return Constraint(text, accept, error=DataError)


def record(example: str, **shapes: str) -> Constraint:
    """A named tuple of arrays. shapes: one letter a dimension, the same size everywhere, or a digit for a fixed one.

    A field whose shape ends with "?" may be None.
    """
    fields_text = ", ".join(f"{name} [{', '.join(axes)}]".replace(", ?]", "] or None") for name, axes in shapes.items())
    text = f"a named tuple of {fields_text}, e.g. {example}"

    def accept(value):
        if not isinstance(value, tuple) or getattr(value, "_fields", None) != tuple(shapes):
            raise RefusedError
        sizes: dict[str, int] = {}
        fields = {}
        for name, axes in shapes.items():
            fields[name] = field = getattr(value, name)
            if field is None and axes.endswith("?"):
                continue
            axes = axes.rstrip("?")
            fields[name] = field = real(name, len(axes)).accept(field)
            for axis, size in zip(axes, field.shape, strict=True):
                if size < 1 or sizes.setdefault(axis, int(axis) if axis.isdigit() else size) != size:
                    raise RefusedError(f"Its {name} do not fit.")
        return type(value)(**fields)

    return Constraint(text, accept, error=DataError)


OUTPUTS = real("numbers [B, ...]")
LOGITS = real("logits [..., num_classes]")
LABELS = array("iu", text="integer labels [...]; labels.argmax(-1) makes them of one-hot rows")
FLAGS = array("biuf", text="flags [B, ...], 0 and 1")
WEIGHT = number(0)


def check_same_shape(name: str, outputs: Any, targets: Any) -> None:
    """Raise `DataError` unless both have the same shape, [B, ...]; JAX would broadcast [B, 1] and [B] to [B, B]."""
    if np.shape(outputs) != np.shape(targets):
        raise DataError(
            f"{name}: outputs are {described(outputs)}, targets {described(targets)}; expects the same shape. Reshape "
            "one of them, e.g. outputs[:, 0]."
        )
    if not np.ndim(outputs) or not np.size(outputs):
        raise DataError(f"{name}: outputs are {described(outputs)}; expects [B, ...], at least one example.")


def check_labels(name: str, logits: Any, labels: Any, where: Any = None) -> None:
    """Raise `DataError` unless logits are [..., num_classes] and labels integers [...] in [0, num_classes).

    Args:
      where: Booleans [...]; labels at which it is False may have any value.
    """
    if np.ndim(logits) < 1 or np.shape(logits)[:-1] != np.shape(labels) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{name}: outputs are {described(logits)}, labels {described(labels)}; expects logits [..., num_classes] "
            "and integers [...]. Use labels.argmax(-1) on one-hot rows."
        )
    if not np.size(logits):
        raise DataError(f"{name}: outputs are {described(logits)}; expects at least one example and one class.")
    check_range(name, labels, np.shape(logits)[-1], where)


def check_range(name: str, labels: Any, num_classes: int, where: Any = None) -> None:
    """Raise `DataError` unless the labels lie in [0, num_classes), where `where` is true."""
    if isinstance(labels, Tracer) or isinstance(where, Tracer):
        return
    wrong = (np.asarray(labels) < 0) | (np.asarray(labels) >= num_classes)
    wrong &= True if where is None else np.asarray(where, bool)
    _refuse(name, labels, wrong, f"integers in [0, {num_classes}), the number of classes")


def check_flags(name: str, outputs: Any, flags: Any) -> None:
    """Raise `DataError` unless the flags have the shape of the outputs and are all 0 or 1."""
    check_same_shape(name, outputs, flags)
    if not isinstance(flags, Tracer):
        _refuse(name, flags, (np.asarray(flags) != 0) & (np.asarray(flags) != 1), "0 and 1 only")


def check_shares(name: str, outputs: Any, shares: Any) -> None:
    """Raise `DataError` unless the shares (probabilities, pixels) have the shape of the outputs and lie in [0, 1]."""
    check_same_shape(name, outputs, shares)
    if not isinstance(shares, Tracer):
        values = np.asarray(shares).astype(np.float64)
        _refuse(name, shares, ~((values >= 0) & (values <= 1)), "numbers in [0, 1]", "Divide 8-bit pixels by 255.")


def check_boxes(name: str, boxes: Any, where: Any = True) -> None:
    """Raise `DataError` unless boxes are [..., 4], top, left, bottom, right, with corners in that order."""
    if np.ndim(boxes) < 1 or np.shape(boxes)[-1] != 4:
        raise DataError(f"{name}: boxes are {list(np.shape(boxes))}; expects [..., 4]: top, left, bottom, right.")
    if isinstance(boxes, Tracer) or isinstance(where, Tracer):
        return
    wrong = ~(np.asarray(boxes)[..., :2] <= np.asarray(boxes)[..., 2:]).all(axis=-1) & np.asarray(where)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"{name}: the box at {list(index)} is {np.asarray(boxes)[index].tolist()}; expects top <= bottom and left "
            "<= right. Swap the corners."
        )


def check_objects(name: str, targets: Any, num_classes: int) -> None:
    """Raise `DataError` unless targets are [B, max_objects, 6], with classes in range and corners in order."""
    if np.ndim(targets) != 3 or np.shape(targets)[2] != 6:
        raise DataError(
            f"{name}: targets are {list(np.shape(targets))}; expects [B, max_objects, 6]: whether there is one, its "
            "class, top, left, bottom, right."
        )
    there = targets[..., 0] > 0
    check_range(name, targets[..., 1], num_classes, there)
    check_boxes(name, targets[..., 2:], there)


def _refuse(
    name: str,
    labels: Any,
    wrong: np.ndarray,
    expected: str,
    fix: str = "Relabel them, or change the width of the output.",
) -> None:
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        others = f", and {wrong.sum() - 1} more such values" if wrong.sum() > 1 else ""
        raise DataError(
            f"{name}: labels hold {np.asarray(labels)[index]} at {list(index)}{others}; expects {expected}. {fix}"
        )
