"""Make the golden values anew and compare them with the committed ones: `make oracle`.

Needs torch, torchmetrics and pycocotools, which nothing else does: `pip install torch torchmetrics pycocotools`. The
committed values are of torch 2.13.0, torchmetrics 1.9.0, pycocotools 2.0.11 and scikit-learn 1.9.1.

Each module of this folder has a function `golden() -> {name: array}`; its values go to `tests/golden/<module>.npz`.
A name "case/part" holds an input, a weight, an output or a gradient of a case; the tests feed the same inputs and
weights to dlcore.
"""

import importlib
import pathlib
import pkgutil
import sys

import numpy as np

ROUNDING = (
    1e-2  # a gradient this small is compared as if it were larger: that of a bias before a batch norm is only rounding
)
FOLDER = pathlib.Path(__file__).parents[1] / "golden"


def largest_difference(new: dict[str, np.ndarray], path: pathlib.Path) -> float:
    """Largest difference to the committed values, relative to the largest value of each array; inf if names differ."""
    if not path.exists():
        return np.inf
    with np.load(path) as old:
        if set(old) != set(new) or any(old[name].shape != new[name].shape for name in new):
            return np.inf
        pairs = {name: (old[name].astype(float), new[name].astype(float)) for name in new if new[name].size}
    return max(_difference(*pair, ROUNDING if name.endswith("gradient") else 0) for name, pair in pairs.items())


def _difference(old: np.ndarray, new: np.ndarray, least_scale: float) -> float:
    finite = np.isfinite(old) & np.isfinite(new)
    if not np.array_equal(old[~finite], new[~finite], equal_nan=True):
        return np.inf
    scale = np.max(np.abs(new), where=finite, initial=max(least_scale, 1e-30))
    return float(np.max(np.abs(old[finite] - new[finite]), initial=0) / scale)


def main() -> None:
    """Write all golden values; exit with 1 where they differ from those committed."""
    failed = False
    for module in pkgutil.iter_modules([str(pathlib.Path(__file__).parent)]):
        if module.name.startswith("_"):
            continue
        made = importlib.import_module(f"tests.oracle.{module.name}").golden()
        values = {name: np.asarray(value) for name, value in made.items()}
        path = FOLDER / f"{module.name}.npz"
        difference = largest_difference(values, path)
        failed |= difference > 1e-5
        np.savez_compressed(path, **values)
        print(f"{module.name:20} {len(values):4} arrays, largest relative difference to the committed {difference:.1e}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
