"""Rows drawn at random, of all or of each class: those that scikit-learn's `train_test_split` draws by the same seed.

Written out, since importing scikit-learn takes 0.5 s, and a seed must mean the same rows in all of its versions.
"""

import numpy as np


def split_at_random(total: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the rest, and `count` held out."""
    order = np.random.RandomState(seed).permutation(total)
    return order[count:], order[:count]


def split_by_class(classes: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the rest, and `count` held out, each with the classes' proportions up to rounding.

    Args:
      classes: of the rows, integers [N]; two rows or more of each.
    """
    random = np.random.RandomState(seed)
    _, numbers, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    in_rest = _shares(sizes, len(classes) - count, random)
    in_held = _shares(sizes - in_rest, count, random)
    rows_of = np.split(np.argsort(numbers, kind="stable"), np.cumsum(sizes)[:-1])
    rest, held = [], []
    for rows, size, kept, drawn in zip(rows_of, sizes, in_rest, in_held, strict=True):
        shuffled = rows[random.permutation(size)]
        rest.append(shuffled[:kept])
        held.append(shuffled[kept : kept + drawn])
    return random.permutation(np.concatenate(rest)), random.permutation(np.concatenate(held))


def _shares(sizes: np.ndarray, count: int, random: np.random.RandomState) -> np.ndarray:
    """How many of `count` rows each class gets: in proportion, what rounding leaves to the largest remainders."""
    exact = sizes / sizes.sum() * count
    shares = np.floor(exact)
    remainders, left = exact - shares, int(count - shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if left <= 0:
            break
        alike = np.flatnonzero(remainders == remainder)
        chosen = random.choice(alike, size=min(len(alike), left), replace=False)
        shares[chosen] += 1
        left -= len(chosen)
    return shares.astype(int)
