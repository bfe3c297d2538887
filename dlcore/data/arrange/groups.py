"""`grouped`: rows that each hold several examples of one class, so that every batch has pairs of it."""

import dataclasses

import numpy as np

from dlcore.core.arguments import arguments, integer
from dlcore.core.dataset import Dataset, Split, one_array, refuse_weights
from dlcore.core.errors import DataError
from dlcore.data.parameters import DATASET, SEED, check_in_memory


@arguments(dataset=DATASET, group_size=integer(meaning="examples of one class"), seed=SEED)
def grouped(dataset: Dataset, group_size: int, *, seed: int = 0) -> Dataset:
    """The data set with rows of `group_size` examples of one class: inputs [N, group_size, ...], targets the same.

    A batch of P rows then holds P x group_size examples, which `dl.tasks.embedding` takes apart again. Examples of a
    class that do not fill a group are left out, in each split.

    Args:
      dataset: integer targets [N], no weights; arrays in memory.
      seed: of the choice which examples of a class go together.

    Raises:
      DataError: targets that are no integers [N], a class with fewer examples than a group.

    Example:
      >>> dl.data.grouped(dl.data.iris(), 4).train.inputs.shape  # 30 groups of 4 flowers of one species
      (30, 4, 4)
    """
    check_in_memory("grouped", dataset)
    one_array(dataset, "targets", "grouped")
    refuse_weights(dataset, "grouped")
    splits = {name: _grouped(getattr(dataset, name), group_size, seed, name) for name in dataset.splits}
    return dataclasses.replace(dataset, **splits)


def _grouped(split: Split, group_size: int, seed: int, name: str) -> Split:
    labels = split.targets
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"grouped: targets of the {name} split are {labels.dtype}{list(labels.shape)}; expects integer labels [N]."
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    groups = []
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        if len(rows) < group_size:
            raise DataError(
                f"grouped: class {label} has {len(rows)} examples in the {name} split; expects at least group_size="
                f"{group_size}. Use smaller groups, or drop that class."
            )
        groups.append(rows[: len(rows) // group_size * group_size].reshape(-1, group_size))
    rows = np.concatenate(groups)
    return split.select(rows)
