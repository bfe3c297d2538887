"""Windows of a long sequence in the order in which a stateful network reads them."""

import dataclasses

import numpy as np

from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import DataError, check_positive_integer


def continued(data: Dataset, batch_size: int) -> Dataset:
    """The train split in an order such that each row of a batch continues the same row of the batch before.

    The text is cut into `batch_size` stretches, which are read side by side. Train on it with this `batch_size`,
    `sampling="in_order"` and `dl.models.recurrent(..., stateful=batch_size)`. An epoch starts with the carry of the end
    of the stretches.

    Args:
      data: consecutive windows, inputs and targets [N, T], as `dl.data.next_token` makes them with its default stride.

    Raises:
      DataError: fewer windows than rows; windows that do not continue each other.
    """
    check_positive_integer("batch_size", batch_size, "rows that are read side by side")
    inputs, targets = (np.asarray(values) for values in data.train)
    if len(inputs) < batch_size:
        raise DataError(f"the train split has {len(inputs)} windows; expects at least batch_size={batch_size}.")
    follows = targets.ndim == inputs.ndim == 2 and np.array_equal(inputs[1:, 0], targets[:-1, -1])
    if not follows:
        raise DataError(
            "the windows do not continue each other; expects the first input of each to be the last target of the one "
            'before. Make them with dl.data.next_token, stride=None and predict="sequence".'
        )
    num_batches = len(inputs) // batch_size
    rows = np.arange(batch_size * num_batches).reshape(batch_size, num_batches).T.reshape(-1)
    return dataclasses.replace(data, train=Split(inputs[rows], targets[rows]))
