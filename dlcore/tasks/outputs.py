"""What a model's output looks like next to the targets of a task."""

import jax

from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.core.model import Model


def output_of(model: Model, data: Dataset) -> jax.ShapeDtypeStruct:
    """Shape and dtype of the model's output for two rows of the data; nothing is computed."""

    def forward(x):
        return model.apply(*model.init(jax.random.key(0)), x)[0]

    inputs = data.train.inputs
    output = jax.eval_shape(forward, jax.ShapeDtypeStruct((2, *inputs.shape[1:]), inputs.dtype))
    if not isinstance(output, jax.ShapeDtypeStruct) or output.shape[:1] != (2,):
        raise DataError(f"the model's output for 2 rows is {output}; expects one array [B, ...].")
    return output


def squeezed(model: Model) -> Model:
    """The model with output [B] in place of [B, 1]; [B, 1] against targets [B] would broadcast to [B, B]."""

    def apply(params, state, x, *, key=None, train=False):
        output, state = model.apply(params, state, x, key=key, train=train)
        return output[:, 0], state

    return model._replace(apply=apply)
