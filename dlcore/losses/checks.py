"""Checks of outputs against targets, shared by losses and metrics; of values where they are known, not traced."""

from typing import Any

import numpy as np
from jax.core import Tracer

from dlcore.core.errors import DataError, described


def check_same_shape(name: str, outputs: Any, targets: Any) -> None:
    """Raise `DataError` unless both have the same shape; JAX would broadcast [B, 1] and [B] to [B, B]."""
    if np.shape(outputs) != np.shape(targets):
        raise DataError(
            f"{name}: outputs are {described(outputs)}, targets {described(targets)}; expects the same shape. Reshape "
            "one of them, e.g. outputs[:, 0]."
        )


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
    num_classes = np.shape(logits)[-1]
    if isinstance(labels, Tracer) or isinstance(where, Tracer):
        return
    wrong = (np.asarray(labels) < 0) | (np.asarray(labels) >= num_classes)
    wrong &= True if where is None else np.asarray(where, bool)
    _refuse(name, labels, wrong, f"integers in [0, {num_classes}), the number of logits")


def check_flags(name: str, outputs: Any, flags: Any) -> None:
    """Raise `DataError` unless the flags have the shape of the outputs and are all 0 or 1."""
    check_same_shape(name, outputs, flags)
    if not isinstance(flags, Tracer):
        _refuse(name, flags, (np.asarray(flags) != 0) & (np.asarray(flags) != 1), "0 and 1 only")


def _refuse(name: str, labels: Any, wrong: np.ndarray, expected: str) -> None:
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"{name}: labels hold {np.asarray(labels)[index]} at {list(index)}, and {int(wrong.sum()) - 1} more such "
            f"values; expects {expected}. Relabel them, or change the width of the output."
        )
