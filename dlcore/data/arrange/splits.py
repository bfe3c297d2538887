"""Splits: train, validation and test rows, by class or by group; folds; fewer rows for a learning curve."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from dlcore.core.arguments import ANYTHING, NONE, arguments, boolean, integer, mapping, text
from dlcore.core.dataset import NAMES, SPLITS, Dataset, Split, checked_split
from dlcore.core.errors import DataError
from dlcore.core.values import taken
from dlcore.data.arrange.held_out import checked_groups, classes_of, held_rows
from dlcore.data.parameters import DATASET, DESCRIBED, GROUPS, SEED, SPLITTING, check_fractions, check_in_memory
from dlcore.data.read.streamed import Source, Streamed

GIVEN = ANYTHING  # whatever becomes an array: `Dataset` says what is wrong with it, by row


@arguments(
    inputs=GIVEN, targets=GIVEN, weights=GIVEN, groups=GROUPS, name=text, source=text, target_names=NAMES,
    described=DESCRIBED, **SPLITTING,
)  # fmt: skip
def from_arrays(
    inputs: Any,
    targets: Any,
    *,
    weights: Any = None,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = False,
    groups: Any = None,
    name: str = "unnamed",
    source: str = "arrays given by the caller",
    target_names: tuple[str, ...] = (),
    **described: Any,
) -> Dataset:
    """Split arrays at random into a `Dataset`.

    Args:
      inputs, targets: [N, ...] each; anything NumPy can read. Several inputs or targets: a dictionary or tuple of
        arrays with N rows each. No targets: None.
      weights: [N], 0 or more, what each row counts in the loss; None where all count the same.
      validation, test: fraction of the rows for these splits; 0 for none. The rest is the train split. With groups,
        the fraction of the groups.
      seed: of the split; part of what the data set is, so it does not change with the seeds of runs.
      stratify: keep the classes' proportions in every split (integer targets [N]). Of a rare class train has a row at
        least; which split has none is in the data set's repr.
      groups: [N], numbers or strings; rows of one group (a patient, a writer) stay in one split.
      described: further fields of `Dataset`.

    Raises:
      ArgumentError: fractions that leave nothing to train on.
      DataError: as `Dataset`; also fractions that leave a split empty, or no row of a class to train on.

    Example:
      >>> data = dl.data.from_arrays(np.arange(10.0)[:, None], np.arange(10) % 2, test=0.2, stratify=True)
      >>> len(data.train.inputs), len(data.test.inputs)
      (8, 2)
    """
    return from_parts(
        {"train": (inputs, targets, weights)},
        validation=validation,
        test=test,
        seed=seed,
        stratify=stratify,
        groups=groups,
        name=name,
        source=source,
        target_names=target_names,
        **described,
    )


@arguments(parts=mapping(GIVEN, keys=SPLITS), groups=GROUPS, described=DESCRIBED, **SPLITTING)
def from_parts(
    parts: Mapping[str, Any],
    *,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = False,
    groups: Any = None,
    **described: Any,
) -> Dataset:
    """A `Dataset` of splits that are given, the others held out from the train split.

    Args:
      parts: "train", and "validation" and "test" where the source has them, to (inputs, targets), or (inputs, targets,
        weights).
      validation, test, seed, stratify, groups, described: as in `from_arrays`.

    Raises: as `from_arrays`; also a fraction for a split that is given.

    Example:
      >>> rows = np.arange(8.0)[:, None], np.arange(8) % 2
      >>> dl.data.from_parts({"train": rows, "test": rows}, validation=0.25).splits
      ('train', 'validation', 'test')
    """
    name = described.get("name", "unnamed")
    fractions = {"validation": validation, "test": test}
    _check_fractions(fractions, parts, name)
    holds_out = any(fraction > 0 for fraction in fractions.values())
    train = checked_split(parts["train"], name, described.get("input_names", ()), copy=not holds_out)
    held = held_rows(train.num_rows, train.targets, fractions, stratify, groups, seed, name)
    splits = {**parts, "train": train}
    if holds_out:
        splits |= {split: _rows(train, rows) for split, rows in held.items()}
    dataset = Dataset(**splits, **described)
    _check_classes(dataset, dataset, _advice(holds_out, groups is not None, stratify))
    return dataset


@arguments(dataset=DATASET, num_folds=integer(2), seed=SEED, stratify=boolean, groups=GROUPS)
def folds(
    dataset: Dataset, num_folds: int = 5, *, seed: int = 0, stratify: bool = False, groups: Any = None
) -> list[Dataset]:
    """Cross-validation: `num_folds` data sets, each with another part of the rows as its validation split.

    The rows are those of train and validation; test stays as it is.

    Args:
      stratify: keep the classes' proportions in each fold.
      groups: [rows of train, then of validation]; rows of one group stay in one fold.

    Raises:
      DataError: more folds than rows, groups or rows of a class; streamed inputs, groups that are not one for each row,
        stratification of targets that are no classes, weights in only one of train and validation.

    Example:
      >>> [len(fold.validation.inputs) for fold in dl.data.folds(dl.data.iris(), 4)]
      [30, 30, 30, 30]
    """
    from sklearn import model_selection

    check_in_memory("folds", dataset)
    pool = [getattr(dataset, split) for split in ("train", "validation") if getattr(dataset, split) is not None]
    if len({split.weights is None for split in pool}) > 1:
        raise DataError(f"folds: of {dataset.name} only one of train and validation has weights; expects both or none.")
    whole = jax.tree.map(lambda *parts: np.concatenate(parts), *pool)
    if groups is not None:
        groups = checked_groups(groups, whole.num_rows, False, dataset.name)
    classes = classes_of(whole.targets, dataset.name) if stratify else None
    _check_folds(dataset.name, num_folds, whole.num_rows, classes, groups)
    kind = ("Stratified" if stratify else "") + ("Group" if groups is not None else "") + "KFold"
    # GroupKFold learnt to shuffle in scikit-learn 1.6; before, its folds do not depend on the seed.
    options = {} if kind == "GroupKFold" else {"shuffle": True, "random_state": seed}
    splitter = getattr(model_selection, kind)(num_folds, **options)
    parts = list(splitter.split(np.arange(whole.num_rows), classes, groups))
    return [
        dataclasses.replace(
            dataset,
            train=whole.select(rest),
            validation=whole.select(rows),
            name=f"{dataset.name} fold {number}",
        )
        for number, (rest, rows) in enumerate(parts)
    ]


def _check_folds(name: str, num_folds: int, num_rows: int, classes: Any, groups: Any) -> None:
    """Raise `DataError` unless each fold can have a row, of each class and of a group of its own."""
    counts = [(num_rows, "it has {} row{}", "Give it more rows.")]
    if groups is not None:
        counts.append((len(np.unique(groups)), "it has {} group{}", "Pass other groups, or None."))
    if classes is not None:
        fewest = int(np.unique(classes, return_counts=True)[1].min())
        counts.append((fewest, "a class has {} row{}", "Pass stratify=False, or drop that class."))
    most, text, fix = min(counts, key=lambda each: each[0])
    if num_folds > most:
        found = text.format(most, "" if most == 1 else "s")
        raise DataError(
            f"{name} cannot be split into {num_folds} folds: {found}; expects one or more for each fold. "
            f"{fix if most < 2 else f'Use fewer folds, at most {most}.'}"
        )


@arguments(dataset=DATASET, num_rows=integer(), seed=SEED | NONE, stratify=boolean)
def first(dataset: Dataset, num_rows: int, *, seed: int | None = None, stratify: bool = False) -> Dataset:
    """The data set with only the first rows of its train split, for learning curves.

    Args:
      num_rows: to keep.
      seed: shuffle the rows before; the same order for every `num_rows`, so that smaller sets lie in larger ones.
      stratify: keep the classes' proportions, for few rows too (integer targets [N]); smaller sets still lie in larger.

    Raises:
      DataError: more rows than there are, or rows that leave out a class.

    Example:
      >>> [len(dl.data.first(dl.data.iris(), rows, seed=0).train.inputs) for rows in (15, 30, 60)]
      [15, 30, 60]
    """
    total = dataset.train.num_rows
    if num_rows > total:
        raise DataError(f"num_rows is {num_rows}; expects 1 to {total}, the rows of {dataset.name}.train.")
    order = np.arange(total) if seed is None else np.random.default_rng(seed).permutation(total)
    if stratify:
        order = order[_evenly(classes_of(dataset.train.targets, dataset.name)[order])]
    rows = order[:num_rows]
    smaller = dataclasses.replace(
        dataset,
        train=_rows(dataset.train, rows),
        name=f"{dataset.name} first {num_rows}",
    )
    shuffled = "" if seed is not None else ", shuffle them first with seed=0"
    _check_classes(smaller, dataset, "Take more rows" + shuffled + (" or pass stratify=True." if not stratify else "."))
    return smaller


def _evenly(labels: np.ndarray) -> np.ndarray:
    """An order of the rows in which each class goes by at its own pace, all from the first row to the last."""
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = np.argsort(classes, kind="stable")
    ranks = np.empty(len(labels))
    ranks[by_class] = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    return np.argsort(ranks, kind="stable")


def _rows(split: Split, rows: np.ndarray) -> Split:
    return jax.tree.map(lambda values: taken(values, rows), split)


def streamed(
    rows: Source,
    targets: np.ndarray,
    parts: dict[str, np.ndarray],
    *,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = False,
    **described: Any,
) -> Dataset:
    """Split the rows' numbers like rows in memory, then stream those of train and read the others.

    Args:
      rows: inputs by number. targets: of all of them, [N]. parts: the numbers of the rows of each split there is.
    """
    fractions = {"validation": validation, "test": test}
    name = described.get("name", "unnamed")
    _check_fractions(fractions, parts, name)
    train = parts["train"]
    held = held_rows(len(train), targets[train], fractions, stratify, None, seed, name)
    chosen = parts | {split: train[numbers] for split, numbers in held.items()}
    everything = Streamed(rows)
    splits = {
        split: Split(Streamed(rows, numbers) if split == "train" else everything[numbers], targets[numbers])
        for split, numbers in chosen.items()
    }
    dataset = Dataset(**splits, **described)
    _check_classes(dataset, dataset, _advice(len(held) > 1, False, stratify))
    return dataset


def _check_fractions(fractions: dict[str, float], parts: Mapping[str, Any], name: str) -> None:
    check_fractions(name, **fractions)
    for split, fraction in fractions.items():
        if fraction > 0 and split in parts:
            raise DataError(
                f"{name} comes with a {split} split, and {split} is {fraction}; leave {split}=0 to use its own."
            )
    if "train" not in parts:
        raise DataError(f"{name} has no train split, only {', '.join(parts) or 'nothing'}; expects train rows.")


def _advice(held_out: bool, by_group: bool, stratify: bool) -> str:
    """What helps where train has no row of a class."""
    if held_out and by_group:
        return "The groups that have it are held out: pass another seed=, or drop these rows."
    if held_out and not stratify:
        return "Pass stratify=True, which keeps rows of each class in train, or drop these rows."
    return "It comes in other splits only, and cannot be learned: drop these rows, or move some to train."


def _check_classes(dataset: Dataset, whole: Dataset, fix: str) -> None:
    """Every named class that occurs in `whole` has rows to train on; the repr names those that other splits lack."""
    targets = [getattr(whole, split).targets for split in whole.splits]
    if targets[0] is None or isinstance(targets[0], dict | tuple):
        return
    if not dataset.target_names or targets[0].ndim != 1 or targets[0].dtype.kind not in "iu":
        return
    missing = np.setdiff1d(np.concatenate(targets), dataset.train.targets)
    if len(missing):
        names = ", ".join(repr(dataset.target_names[i]) for i in missing if 0 <= i < len(dataset.target_names))
        raise DataError(f"{dataset.name}.train has no row of class {names or missing.tolist()}. {fix}")
