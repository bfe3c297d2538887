"""Pen strokes in the format of UCI's pen digits."""

from typing import Any

from dlcore.core.arguments import arguments, path
from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import DataError
from dlcore.data.parameters import BYTES, DESCRIBED, SPLITTING
from dlcore.data.read.csv import from_csv
from dlcore.data.read.files import MAX_TABLE, PathLike


@arguments(path=path, max_bytes=BYTES, described=DESCRIBED, **SPLITTING)
def from_pen_strokes(
    path: PathLike,
    *,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = True,
    max_bytes: int = MAX_TABLE,
    **described: Any,
) -> Dataset:
    """Pen-written symbols in the format of UCI's pen digits: a line x, y, x, y, ..., label for each, no header.

    Args:
      validation, test, seed, stratify: as in `from_arrays`. max_bytes: as in `from_csv`.

    Returns:
      inputs float32 [N, points, 2] in [-1, 1], the order of the pen's way; the coordinates' common largest value,
      100 for pen digits, becomes 1. Class targets.

    Raises:
      DataError: as `from_csv`; also an odd number of coordinates.
    Reference: Alimoglu and Alpaydin, Methods of combining multiple classifiers based on different representations
      for pen-based handwritten digit recognition, 1996.

    Example:
      >>> np.savetxt("pen.txt", [[0, 100, 50, 0, 7], [100, 0, 0, 50, 1]], delimiter=",", fmt="%d")
      >>> dl.data.from_pen_strokes("pen.txt").train.inputs[0].tolist()
      [[-1.0, 1.0], [0.0, -1.0]]
    """
    options: dict[str, Any] = {
        "header": False,
        "target_kind": "class",
        "validation": validation,
        "test": test,
        "seed": seed,
        "stratify": stratify,
        "max_bytes": max_bytes,
    }
    table = from_csv(path, -1, **options)
    num_values = table.train.inputs.shape[1]
    if num_values % 2:
        raise DataError(f"{path} has {num_values} numbers before the label; expects pairs x, y.")
    splits = {split: getattr(table, split) for split in table.splits}
    lowest = min(split.inputs.min() for split in splits.values())
    span = max(split.inputs.max() for split in splits.values()) - lowest
    if not span > 0:
        raise DataError(f"{path}: all coordinates are {lowest}; expects points of a pen's way.")

    def strokes(split: Split) -> Split:
        return Split((split.inputs.reshape(-1, num_values // 2, 2) - lowest) / span * 2 - 1, split.targets)

    fields: dict[str, Any] = {
        "name": table.name,
        "source": f"pen strokes {path}",
        "target_names": table.target_names,
        "normalization": f"coordinates {lowest:g} to {lowest + span:g} scaled to [-1, 1]",
    }
    return Dataset(**{name: strokes(split) for name, split in splits.items()}, **fields | described)
