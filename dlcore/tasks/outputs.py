"""What a model's output looks like next to the targets of a task."""

from typing import Any

import jax

from dlcore.core import description
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError, described, noted, shown
from dlcore.core.model import Model, called


def two_rows(data: Dataset) -> Any:
    """Shapes and dtypes of the inputs of two rows, as the model gets them."""
    return jax.tree.map(lambda values: jax.ShapeDtypeStruct((2, *values.shape[1:]), values.dtype), data.train.inputs)


def output_of(model: Model, data: Dataset, inputs: Any = None) -> jax.ShapeDtypeStruct:
    """Shape and dtype of the model's output for two rows of the data, or of `inputs`; nothing is computed."""
    inputs = two_rows(data) if inputs is None else inputs

    def forward(x):
        with noted(lambda: "dlcore called the model as init(key)."):
            initial = model.init(jax.random.key(0))
        if not isinstance(initial, tuple) or len(initial) != 2:
            raise DataError(f"the model's init gave {shown(initial)}; expects the pair (params, state).")
        with noted(lambda: called(x, "key=None, train=False")):
            result = model.apply(*initial, x, key=None, train=False)
        if not isinstance(result, tuple) or len(result) != 2:
            raise DataError(f"the model's apply gave {shown(described(result))}; expects the pair (output, state).")
        return result[0]

    try:
        output = jax.eval_shape(forward, inputs)
    except (TypeError, AttributeError, LookupError) as error:
        if not isinstance(inputs, dict | tuple):
            raise
        raise DataError(
            f"the model fails on the inputs of {data.name}, {description.arrays(inputs)}: {error}; expects a model "
            "whose apply takes a batch of them in that form. Take them apart in an apply of your own."
        ) from error
    if not isinstance(output, jax.ShapeDtypeStruct) or output.shape[:1] != (2,):
        raise DataError(f"the model's output for 2 rows is {output}; expects one array [B, ...].")
    return output


def squeezed(model: Model) -> Model:
    """The model with output [B] in place of [B, 1]; [B, 1] against targets [B] would broadcast to [B, B]."""

    def apply(params, state, x, *, key=None, train=False):
        output, state = model.apply(params, state, x, key=key, train=train)
        return output[:, 0], state

    return model._replace(apply=apply)
