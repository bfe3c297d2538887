"""A computation of ONNX with its right outputs, and the arrangement of arrays in ONNX and in dlcore."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

NODE_TOLERANCE = 1e-4  # outputs of the package's cases are float32, some written down with four digits


class NotExpressibleError(Exception):
    """What dlcore has no option for; the text says what."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One node.

    inputs, outputs: arrays, None for an optional one that is not there. attributes: those that are given. tolerance: of
    float32 outputs, relative to the largest number of the output or 1.
    """

    name: str
    operator: str
    attributes: dict[str, Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    tolerance: float = 2e-5

    def get(self, attribute: str, default: Any = None) -> Any:
        """The attribute, or its default."""
        return self.attributes.get(attribute, default)

    def input(self, place: int) -> Any:
        """The input at that place; None if it is not given."""
        return self.inputs[place] if place < len(self.inputs) else None

    def refuse(self, **expected: Any) -> None:
        """Raise `NotExpressibleError` where an attribute is given with another value than the expected."""
        for attribute, value in expected.items():
            if attribute in self.attributes and self.attributes[attribute] != value:
                raise NotExpressibleError(f"{attribute} other than {value}")


# What computes a case with dlcore: outputs in ONNX's arrangement, None for those that dlcore does not give.
Operator = Callable[[Case], Sequence[Any]]


def channels_last(x: Any) -> np.ndarray:
    """[B, C, *sizes] to [B, *sizes, C]."""
    return np.moveaxis(np.asarray(x), 1, -1)


def channels_first(x: Any) -> np.ndarray:
    """[B, *sizes, C] to [B, C, *sizes]."""
    return np.moveaxis(np.asarray(x), -1, 1)
