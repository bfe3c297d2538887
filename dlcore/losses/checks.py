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
    """Numbers as the floats that losses are computed in: differences of unsigned integers would wrap around.

    Half-precision floats become float32, integers and Booleans JAX's default float, NumPy's float64 the same unless
    JAX computes in it. Refused are integers that such a float does not hold, and what is finite and would become
    infinite. What is known stays known while others are traced, so that it can be checked.
    """
    numbers = precise(text, ndim)
    return Constraint(text, lambda value: rounded(numbers.accept(value)), error=DataError)


def precise(text: str, ndim: int | None = None) -> Constraint:
    """The same numbers before they become such floats: of differences, NumPy's are made in float64 first."""
    numbers = array(ndim=ndim, text=text)

    def accept(value):
        found = numbers.accept(value)
        if not isinstance(found, Tracer):
            _refuse_what_floats_lose(found)
        return found

    return Constraint(text, accept, error=DataError)


def shift_invariant(text: str, ndim: int | None = None) -> Constraint:
    """As `real`, for losses that a number added to a row leaves as they are: NumPy's largest is moved to 0."""
    numbers = precise(text, ndim)

    def accept(value):
        found = numbers.accept(value)
        if isinstance(found, jax.Array) or not found.ndim or not found.size:
            return rounded(found)
        largest = found.astype(np.float64).max(axis=-1, keepdims=True)
        return rounded(found - np.where(np.isfinite(largest), largest, 0), _computed_in(found.dtype))

    return Constraint(text, accept, error=DataError)


def difference(a: Any, b: Any) -> jax.Array:
    """`a - b` of two `precise` arrays of one shape, as the floats that losses are computed in."""
    if isinstance(a, jax.Array) or isinstance(b, jax.Array):
        return rounded(a) - rounded(b)
    dtype = jnp.promote_types(_computed_in(a.dtype), _computed_in(b.dtype))
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, as JAX has it
        return rounded(a.astype(np.float64) - b.astype(np.float64), dtype)


def rounded(found: Any, dtype: Any = None) -> jax.Array:
    """As the float that losses are computed in; what is known stays known in a trace."""
    with np.errstate(over="ignore"), jax.ensure_compile_time_eval():
        return jnp.asarray(found, dtype or _computed_in(found.dtype))


def _computed_in(dtype: Any) -> Any:
    """The float that losses of values of this dtype are computed in: float32, or float64 where JAX has it."""
    if not jnp.issubdtype(dtype, jnp.floating):
        return jnp.result_type(float)
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    return dtype if dtype.itemsize > 4 else np.dtype(np.float32)


def _refuse_what_floats_lose(found: Any) -> None:
    target = jnp.finfo(_computed_in(found.dtype))
    if np.dtype(found.dtype).itemsize < 4 or found.dtype == target.dtype or not found.size:
        return
    values = np.asarray(found)
    if values.dtype.kind in "iu":
        limit = 2 ** (target.nmant + 1)
        wrong, text = (values > limit) | (values < -limit), f"whole numbers up to {limit}, which {target.dtype} holds"
    else:
        wrong = np.isfinite(values) & (np.abs(values) > float(target.max))
        text = f"numbers that fit {target.dtype}"
    if wrong.any():
        index = [int(i) for i in np.argwhere(wrong)[0]]
        raise RefusedError(f"It holds {values[tuple(index)]} at {index}; expects {text}. Shift or rescale them.")


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
PRECISE = precise("numbers [B, ...]")
LOGITS = shift_invariant("logits [..., num_classes]")
LABELS = array("iu", text="integer labels [...]; labels.argmax(-1) makes them of one-hot rows")
FLAGS = array("biuf", text="flags [B, ...], 0 and 1")
WEIGHT = number(0)


def check_same_shape(name: str, outputs: Any, targets: Any) -> None:
    """Raise `DataError` unless both have the same shape, [B, ...]; JAX would broadcast [B, 1] and [B] to [B, B]."""
    if np.shape(outputs) != np.shape(targets):
        raise DataError(
            f"{name}: outputs are {described(outputs)}, targets {described(targets)}; expects the same shape"
            f"{_column_of(outputs, targets) or f', {list(np.shape(outputs))}'}."
        )
    if not np.ndim(outputs) or not np.size(outputs):
        raise DataError(f"{name}: outputs are {described(outputs)}; expects [B, ...], at least one example.")


def _column_of(outputs: Any, targets: Any) -> str:
    """The advice to take the column where one is [N, 1] and the other [N]; else nothing."""
    for name, wide, other in (("outputs", outputs, targets), ("targets", targets, outputs)):
        if np.shape(wide) == (*np.shape(other), 1):
            return f". Use {name}{_first_of(wide)}"
    return ""


def _first_of(column: Any) -> str:
    return "[:, 0]" if np.ndim(column) == 2 else "[..., 0]"


def _fix_of_labels(logits: Any, labels: Any) -> str:
    """The advice for labels that do not fit the logits, where there is one that does."""
    rows = np.shape(logits)[:-1]
    if np.ndim(logits) and np.shape(labels) == (*rows, 1):
        return f" Use labels{_first_of(labels)}."
    if np.ndim(logits) and np.shape(labels) == np.shape(logits):
        return " Use labels.argmax(-1) on one-hot rows."
    if np.ndim(logits) == 2 and np.shape(logits)[1] == 1:
        return " Use outputs[:, 0] for flags."
    return " Use labels.astype(int)." if np.shape(labels) == rows and np.ndim(logits) else ""


def check_labels(name: str, logits: Any, labels: Any, where: Any = None) -> None:
    """Raise `DataError` unless logits are [..., num_classes] and labels integers [...] in [0, num_classes).

    Args:
      where: Booleans [...]; labels at which it is False may have any value.
    """
    if np.ndim(logits) < 1 or np.shape(logits)[:-1] != np.shape(labels) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{name}: outputs are {described(logits)}, labels {described(labels)}; expects logits [..., num_classes] "
            f"and integers [...].{_fix_of_labels(logits, labels)}"
        )
    if not np.size(logits):
        raise DataError(f"{name}: outputs are {described(logits)}; expects at least one example and one class.")
    check_range(name, labels, np.shape(logits)[-1], where)


def check_range(name: str, labels: Any, num_classes: int, where: Any = None) -> None:
    """Raise `DataError` unless the labels lie in [0, num_classes), where `where` is true."""
    if isinstance(labels, Tracer) or isinstance(where, Tracer):
        return
    values = np.asarray(labels)
    wrong = ~((values >= 0) & (values < num_classes))
    if values.dtype.kind not in "iu":
        wrong |= values != np.floor(values)
    wrong &= True if where is None else np.asarray(where, bool)
    _refuse(name, labels, wrong, f"integers in [0, {num_classes}), the number of classes")


def check_flags(name: str, outputs: Any, flags: Any) -> None:
    """Raise `DataError` unless the flags have the shape of the outputs and are all 0 or 1."""
    check_same_shape(name, outputs, flags)
    if not isinstance(flags, Tracer):
        wrong = (np.asarray(flags) != 0) & (np.asarray(flags) != 1)
        _refuse(name, flags, wrong, "0 and 1 only", "Use (labels > 0).astype(int) on -1 and 1.")


def check_mask(name: str, mask: Any) -> None:
    """Raise `DataError` unless a mask, where it is known, holds 0 and 1 only."""
    if not isinstance(mask, Tracer) and np.asarray(mask).dtype.kind != "b":
        wrong = (np.asarray(mask) != 0) & (np.asarray(mask) != 1)
        _refuse(name, mask, wrong, "0 and 1 only", "Use mask > 0.", what="the mask holds")


def check_shares(name: str, outputs: Any, shares: Any) -> None:
    """Raise `DataError` unless the shares (probabilities, pixels) have the shape of the outputs and lie in [0, 1]."""
    check_same_shape(name, outputs, shares)
    if not isinstance(shares, Tracer):
        values = np.asarray(shares).astype(np.float64)
        wrong = ~((values >= 0) & (values <= 1))
        _refuse(name, shares, wrong, "numbers in [0, 1]", "Divide 8-bit pixels by 255.", what="targets hold")


def check_distributions(name: str, logits: Any, shares: Any) -> None:
    """Raise `DataError` unless the shares are probabilities [..., num_classes] that sum to 1, within 0.01."""
    check_shares(name, logits, shares)
    if not isinstance(shares, Tracer):
        totals = np.asarray(shares).astype(np.float64).sum(axis=-1)
        fix = "Divide them by their sum."
        _refuse(name, totals, ~(np.abs(totals - 1) <= 0.01), "probabilities that sum to 1", fix, what="targets sum to")


def check_boxes(name: str, boxes: Any, where: Any = True) -> None:
    """Raise `DataError` unless boxes are [..., 4], top, left, bottom, right, with corners in that order."""
    if np.ndim(boxes) < 1 or np.shape(boxes)[-1] != 4:
        raise DataError(f"{name}: boxes are {list(np.shape(boxes))}; expects [..., 4]: top, left, bottom, right.")
    if isinstance(boxes, Tracer) or isinstance(where, Tracer):
        return
    values, there = np.asarray(boxes), np.asarray(where, bool)
    _refuse(
        name,
        values,
        ~np.isfinite(values) & there[..., None],
        "finite coordinates",
        "Leave such boxes out.",
        what="boxes hold",
    )
    wrong = ~(values[..., :2] <= values[..., 2:]).all(axis=-1) & there
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
    check_flags(f"{name}: whether there is an object", targets[..., 0], targets[..., 0])
    there = targets[..., 0] > 0
    check_range(name, targets[..., 1], num_classes, there)
    check_boxes(name, targets[..., 2:], there)


def _refuse(
    name: str,
    labels: Any,
    wrong: np.ndarray,
    expected: str,
    fix: str = "Relabel them, or change the width of the output.",
    what: str = "labels hold",
) -> None:
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        others = f", and {wrong.sum() - 1} more such values" if wrong.sum() > 1 else ""
        raise DataError(
            f"{name}: {what} {np.asarray(labels)[index]} at {list(index)}{others}; expects {expected}. {fix}"
        )
