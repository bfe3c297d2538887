"""Which rows are held out from the train split: at random, by class or by group."""

from typing import Any

import numpy as np

from dlcore.core import description
from dlcore.core.errors import DataError
from dlcore.data.arrange.drawn import split_at_random, split_by_class


def held_rows(
    total: int, targets: Any, fractions: dict[str, float], stratify: bool, groups: Any, seed: int, name: str
) -> dict[str, np.ndarray]:
    """Rows of train, in order, and of each split that is held out from it."""
    if groups is not None:
        groups = checked_groups(groups, total, stratify, name)
    labels = classes_of(targets, name) if stratify else None
    held, rest = {}, np.arange(total)
    wanted = [split for split, fraction in fractions.items() if fraction > 0]
    for position, split in enumerate(wanted, 1):
        count = round(fractions[split] * (total if groups is None else len(np.unique(groups))))
        where = f"{name}.{split}"
        _check_count(rest, count, groups, where)
        if labels is None:
            rest, held[split] = _at_random(rest, count, groups, seed)
        else:
            rest, held[split] = _stratified(rest, labels[rest], count, seed, where, later=len(wanted) - position)
    return {"train": rest, **held}


def _check_count(rows: np.ndarray, count: int, groups: Any, name: str) -> None:
    units, what = (len(rows), "rows") if groups is None else (len(np.unique(groups[rows])), "groups")
    if not 0 < count < units:
        raise DataError(
            f"{name} would have {count} of {units} {what}; each split needs at least one. Change its fraction."
        )


def _at_random(rows: np.ndarray, count: int, groups: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split `rows` into (rest, held out)."""
    if groups is None:
        rest, held = split_at_random(len(rows), count, seed)
        return rows[rest], rows[held]
    from sklearn.model_selection import GroupShuffleSplit  # 0.5 s to import

    rest, held = next(GroupShuffleSplit(1, test_size=count, random_state=seed).split(rows, groups=groups[rows]))
    return rows[rest], rows[held]


def _stratified(
    rows: np.ndarray, labels: np.ndarray, count: int, seed: int, name: str, *, later: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split `rows` into (rest, held out): each class is in the rest, and held out as well if its rows are enough.

    Args:
      later: number of splits that are to be held out from the rest.
    """
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if count > len(rows) - len(sizes):
        raise DataError(_too_many(name, count, len(rows), len(sizes)))
    several = np.flatnonzero(sizes[classes] > 1)
    if count < (sizes > 1).sum():  # fewer rows than classes
        order = np.random.default_rng(seed).permutation(len(rows))
        kept = order[np.unique(classes[order], return_index=True)[1]]  # one of each class
        chosen = np.setdiff1d(order, kept)
        held = np.random.default_rng(seed).permutation(chosen)[:count]
        return np.delete(rows, held), rows[held]
    rest, held = split_by_class(classes[several], count, seed)
    rest, held = _with_every_class(several[rest], several[held], classes, sizes, later)
    return rows[np.concatenate([rest, np.flatnonzero(sizes[classes] == 1)])], rows[held]


def _with_every_class(
    rest: np.ndarray, held: np.ndarray, classes: np.ndarray, sizes: np.ndarray, later: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a class that rounding left out of one part, exchanged for rows of the class that has most there."""
    for chosen in np.flatnonzero(sizes > 1):
        for part, other, needed in ((rest, held, 1), (held, rest, 2 + later)):
            own = np.flatnonzero(classes[other] == chosen)
            if (classes[part] == chosen).any() or len(own) < needed:
                continue
            most = np.flatnonzero(classes[part] == np.bincount(classes[part]).argmax())
            part[most[-1]], other[own[-1]] = other[own[-1]], part[most[-1]]
    return rest, held


def _too_many(name: str, count: int, total: int, num_classes: int) -> str:
    if num_classes == total:
        fix = "Each row is a class of its own: add rows of them, or, if the targets are numbers, pass stratify=False."
    else:
        fix = f"Use smaller fractions: {total - num_classes} rows can be held out. Or drop rare classes."
    return (
        f"{name} would have {count} of {total} rows, and the rest fewer than the {num_classes} classes that it needs "
        f"a row of each. {fix}"
    )


def classes_of(targets: Any, name: str) -> Any:
    """What to stratify by: labels [N], or a `DataError`."""
    if targets is None or isinstance(targets, dict | tuple):
        raise DataError(
            f"stratify=True, the targets of {name} are {description.arrays(targets)}; expects one array of labels [N]. "
            "Pass stratify=False."
        )
    targets = np.asarray(targets)
    if targets.ndim != 1 or (targets.dtype.kind not in "biu" and not (targets == np.rint(targets)).all()):
        raise DataError(
            f"{name} cannot be stratified: its targets are {description.arrays(targets)}; expects one label a row, "
            "integers [N]. Pass stratify=False."
        )
    return targets


def checked_groups(groups: np.ndarray, num_rows: int, stratify: bool, name: str) -> np.ndarray:
    """The groups [N], or a `DataError` where they do not fit the rows, or `stratify` asks for what they cannot have."""
    if groups.shape != (num_rows,):
        raise DataError(f"groups are {list(groups.shape)}; expects one for each of the {num_rows} rows of {name}.")
    if stratify:
        raise DataError(
            "stratify=True with groups: a random split cannot keep both. Pass one, or use folds(...), which can."
        )
    return groups
