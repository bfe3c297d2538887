"""Splits: disjoint, complete, in proportion; and nothing is left empty."""
# pyright: reportOptionalMemberAccess=false

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

import dlcore as dl
from dlcore.data.arrange.drawn import split_at_random, split_by_class


def rows(data, split):
    return getattr(data, split).inputs[:, 0].astype(int).tolist()


def made(num_rows, num_classes=2, **options):
    labels = np.arange(num_rows) % num_classes
    return dl.data.from_arrays(
        np.arange(num_rows)[:, None], labels, target_names=tuple("abcdefgh"[:num_classes]), **options
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(20, 90),
    st.floats(0.1, 0.4),
    st.floats(0.1, 0.4),
    st.integers(0, 5),
    st.sampled_from(["", "stratify", "groups"]),
)
def test_every_row_is_in_one_split(num_rows, validation, test, seed, how):
    options = {"stratify": {"stratify": True}, "groups": {"groups": np.arange(num_rows) // 3}, "": {}}[how]
    fractions = {"validation": validation, "test": test}
    data = made(num_rows, **fractions, seed=seed, **options)
    parts = [rows(data, split) for split in data.splits]
    assert sorted(itertools.chain(*parts)) == list(range(num_rows))
    if how == "groups":
        groups = [{row // 3 for row in part} for part in parts]
        assert sum(map(len, groups)) == len(set.union(*groups)) == -(-num_rows // 3)
    else:
        assert [len(part) for part in parts[1:]] == [round(num_rows * fraction) for fraction in fractions.values()]
    if how == "stratify":
        assert all(abs(sum(row % 2 for row in part) - len(part) / 2) <= 1 for part in parts)
    again = made(num_rows, **fractions, seed=seed, **options)
    assert rows(again, "test") == rows(data, "test")


def test_another_seed_holds_out_other_rows():
    assert rows(made(60, test=0.5, seed=0), "test") != rows(made(60, test=0.5, seed=1), "test")


def test_groups_may_be_names():
    data = made(8, groups=list("aabbccdd"), test=0.25, validation=0.25)
    assert [len(rows(data, split)) for split in data.splits] == [4, 2, 2]


@pytest.mark.parametrize("options", [{}, {"stratify": True}, {"groups": True}, {"stratify": True, "groups": True}])
def test_folds_validate_every_row_once(options):
    data = made(41, validation=0.2, test=0.25)
    total = len(data.train.inputs) + len(data.validation.inputs)
    if "groups" in options:
        options = options | {"groups": np.asarray(rows(data, "train") + rows(data, "validation")) // 2}
    folds = dl.data.folds(data, 4, **options)
    assert sorted(itertools.chain(*(rows(fold, "validation") for fold in folds))) == sorted(
        rows(data, "train") + rows(data, "validation")
    )
    for fold in folds:
        assert len(fold.train.inputs) + len(fold.validation.inputs) == total
        assert not set(rows(fold, "train")) & set(rows(fold, "validation"))
        assert rows(fold, "test") == rows(data, "test")
        if "groups" in options:
            assert not {row // 2 for row in rows(fold, "train")} & {row // 2 for row in rows(fold, "validation")}


def test_first_rows_are_nested_and_leave_the_test_split_alone():
    data = made(50, test=0.2)
    assert rows(dl.data.first(data, 7), "train") == rows(data, "train")[:7]
    small, large = (rows(dl.data.first(data, n, seed=3), "train") for n in (5, 20))
    assert large[:5] == small != rows(data, "train")[:5]
    assert rows(dl.data.first(data, 7), "test") == rows(data, "test")


@pytest.mark.parametrize("seed", [None, 3])
def test_first_rows_of_each_class(seed):
    """Catches a class that few rows leave out, other shares than the whole has, sets that are not nested."""
    labels = np.repeat([0, 1, 2], [60, 30, 10])  # sorted by class, as in many files
    data = dl.data.from_arrays(np.arange(100.0)[:, None], labels)
    sets = [dl.data.first(data, n, seed=seed, stratify=True).train for n in (10, 50, 100)]
    assert [np.bincount(each.targets).tolist() for each in sets] == [[6, 3, 1], [30, 15, 5], [60, 30, 10]]
    for small, large in itertools.pairwise(sets):
        np.testing.assert_array_equal(small.inputs, large.inputs[: len(small.inputs)])
    assert (sets[0].inputs[0] == 0) == (seed is None)
    with pytest.raises(dl.DataError, match="expects one array of labels"):
        dl.data.first(dl.data.from_arrays(np.ones((4, 1)), None), 2, stratify=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: made(9, test=1.0), r"from_arrays: test is 1.0; expects a fraction, 0 or more, below 1"),
        (lambda: made(9, test=0.6, validation=0.6), r"validation \+ test is 1.2"),
        (lambda: made(9, test=0.01), "unnamed.test would have 0 of 9 rows; each split needs at least one"),
        (lambda: made(9, test=0.1, groups=[0] * 9), "unnamed.test would have 0 of 1 groups"),
        (lambda: made(9, test=0.1, groups=[0] * 8), r"groups are \[8\]; expects one for each of the 9 rows"),
        (lambda: made(9, test=0.3, groups=range(9), stratify=True), "stratify=True with groups: .* use folds"),
        (lambda: made(8, num_classes=8, test=0.5, stratify=True), "Each row is a class of its own.*stratify=False"),
        (lambda: made(8, num_classes=8, test=0.5), r"unnamed.train has no row of class '.'.*\. Pass stratify=True"),
        (lambda: made(9, num_classes=6, test=0.5, stratify=True), "smaller fractions: 3 rows can be held out"),
        (lambda: made(8, num_classes=8, test=0.2, groups=range(8)), "another seed=, or drop"),
        (
            lambda: dl.data.folds(made(9), 10),
            "cannot be split into 10 folds: it has 9 rows; .* Use fewer folds, at most 9",
        ),
        (lambda: dl.data.folds(made(9), 1), "folds: num_folds is 1; expects an integer, 2 or more"),
        (
            lambda: dl.data.folds(made(9), 5, stratify=True),
            "cannot be split into 5 folds: a class has 4 rows; .*fewer folds, at most 4",
        ),
        (lambda: dl.data.folds(made(8, num_classes=8), 2, stratify=True), "a class has 1 row; .* Pass stratify=False"),
        (
            lambda: dl.data.folds(dl.data.from_arrays(np.eye(6), np.arange(6) / 4), 2, stratify=True),
            r"its targets are float32\[N\]; expects one label a row, integers \[N\]. Pass stratify=False",
        ),
        (
            lambda: dl.data.folds(dl.data.from_arrays(np.eye(6), np.eye(6, dtype=int)), 2, stratify=True),
            "one label a row",
        ),
        (lambda: dl.data.first(made(9), 10), "num_rows is 10; expects 1 to 9, the rows of unnamed.train"),
        (
            lambda: dl.data.first(made(9), 1),
            "unnamed first 1.train has no row of class 'b'. Take more rows, shuffle .* stratify=True",
        ),
    ],
)
def test_bad_splits_say_what_is_wrong(make, message):
    with pytest.raises((dl.ArgumentError, dl.DataError), match=message):
        make()


@pytest.mark.parametrize(
    ("sizes", "fractions"),
    [
        ((40, 2), {"validation": 0.2, "test": 0.2}),  # two rows cannot be in three splits
        ((60, 39, 1), {"test": 0.2}),
        ((20, 163, 1457, 2198, 880, 175, 5), {"validation": 0.1, "test": 0.1}),
        ((5, 5, 5, 5), {"test": 0.15}),  # fewer rows than classes
        ((2, 2, 96), {"test": 0.9}),
    ],
)
def test_stratified_splits_train_on_every_class_and_have_rare_ones_where_they_can(sizes, fractions):
    names = tuple(f"size {size}" for size in sizes)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    data = dl.data.from_arrays(np.arange(len(labels)), labels, stratify=True, target_names=names, **fractions)
    assert set(data.train.targets) == set(labels)
    held = [split for split in data.splits if split != "train"]
    assert sorted(itertools.chain(*(getattr(data, split).inputs for split in data.splits))) == list(range(len(labels)))
    for split in held:
        pair = getattr(data, split)
        assert pair.num_rows == round(fractions[split] * len(labels))
        missing = set(labels) - set(pair.targets)
        assert all(sizes[each] <= len(held) for each in missing) or pair.num_rows < len(sizes)
        assert (f"{split} has no row of size" in repr(data)) == bool(missing)


def test_a_class_that_only_comes_with_the_test_split_is_refused():
    rows = np.zeros((4, 1))
    parts = {"train": (rows, [0, 0, 1, 1]), "test": (rows, [0, 1, 2, 2])}
    with pytest.raises(dl.DataError, match=r"train has no row of class 'c'. It comes in other splits only"):
        dl.data.from_parts(parts, target_names=("a", "b", "c"), stratify=True)
    parts["train"], parts["test"] = parts["test"], parts["train"]
    assert "test has no row of c" in repr(dl.data.from_parts(parts, target_names=("a", "b", "c")))


@pytest.mark.parametrize("dtype", [">f4", ">f8", np.longdouble, ">i2"])
def test_values_are_held_in_the_byte_order_of_the_machine(dtype):
    """Catches files' own byte order, which JAX refuses once training starts."""
    data = dl.data.from_arrays(np.arange(4).astype(dtype)[:, None], np.arange(4).astype(dtype))
    assert data.train.inputs.dtype.name in ("float32", "int16")
    assert data.train.inputs.dtype.isnative
    np.testing.assert_array_equal(data.train.targets, [0, 1, 2, 3])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(4, 300), st.integers(1, 6), st.floats(0.05, 0.95), st.integers(0, 10**6), st.integers(0, 5))
def test_rows_are_those_that_scikit_learn_draws(num_rows, num_classes, fraction, seed, rarity):
    """Catches a seed that means other rows than before the split was written out, and ties that are drawn otherwise."""
    count = min(max(1, round(fraction * num_rows)), num_rows - 1)
    ours = split_at_random(num_rows, count, seed)
    theirs = train_test_split(np.arange(num_rows), test_size=count, random_state=seed)
    assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))
    shares = np.arange(1.0, num_classes + 1) ** rarity
    labels = np.random.default_rng(seed).choice(num_classes, num_rows, p=shares / shares.sum())
    counts = np.unique(labels, return_counts=True)[1]
    if counts.min() > 1 and len(counts) <= count <= num_rows - len(counts):
        ours = split_by_class(labels, count, seed)
        theirs = train_test_split(np.arange(num_rows), test_size=count, random_state=seed, stratify=labels)
        assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))
