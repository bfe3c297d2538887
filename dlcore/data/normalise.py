"""Normalisation: shift and scale by statistics of the train split."""

import dataclasses

import numpy as np

from dlcore.data.dataset import Dataset, Split


def standardize(dataset: Dataset, *, targets: bool = False) -> Dataset:
    """Shift and scale each input column to mean 0, standard deviation 1 on the train split; constant columns to 0.

    Args:
      targets: do the same to the targets (regression).
    """

    def parts(split: Split) -> Split:
        scaled = [_scaled(split.inputs, dataset.train.inputs)]
        scaled.append(_scaled(split.targets, dataset.train.targets) if targets else split.targets)
        return Split(*scaled)

    what = "inputs and targets" if targets else "inputs"
    return dataclasses.replace(
        dataset,
        **{split: parts(getattr(dataset, split)) for split in dataset.splits},
        normalisation=f"{what} standardised per column on train",
    )


def _scaled(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    mean, deviation = reference.mean(0, dtype=np.float64), reference.std(0, dtype=np.float64)
    dtype = reference.dtype if reference.dtype.kind == "f" else np.dtype(np.float32)
    return ((values - mean) / np.where(deviation > 0, deviation, 1)).astype(dtype)
