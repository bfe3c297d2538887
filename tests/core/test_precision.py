"""Numbers that float32 cannot tell apart do not enter a data set; names of columns stay with them."""

import numpy as np
import pytest

import dlcore as dl

LABELS = np.arange(8) % 2
ROWS = np.arange(8)[:, None]


def data(inputs, targets=LABELS, **fields):
    return dl.data.from_arrays(inputs, targets, **fields)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (1_700_000_000 + 30 * ROWS, "column 0 holds 1700000000 and 1700000030, which are one number in float32"),
        (1.7e9 + 30 * ROWS, "column 0 holds 1700000000 and 1700000030"),
        (ROWS + 2**24, "column 0 holds 16777216 and 16777217"),
        (
            np.hstack([ROWS, 1e9 + ROWS / 10]),
            r"column 1 \('b'\) holds 1000000000 to 1000000000.7, where float32 has steps",
        ),
        (1e6 + np.random.default_rng(0).random((8, 3, 1)) / 100, "where float32 has steps of 0.0625"),
    ],
)
def test_what_would_become_one_number_is_refused(inputs, message):
    names = {"input_names": ("a", "b")} if inputs.shape[-1] == 2 else {}
    with pytest.raises(dl.DataError, match=message + ".*x - x.min"):
        data(inputs, **names)
    assert data(inputs - inputs.min(0)).train.num_rows == 8  # the advice works
    assert data(inputs.astype(np.float32)).train.num_rows == 8
    with pytest.raises(dl.DataError, match=r"targets:? "):
        data(ROWS, inputs[..., -1])


def test_values_far_from_the_others_become_one():
    """Catches a check of the range alone."""
    with pytest.raises(dl.DataError, match=r"1000000001\.33.* to 1000000002\.33.*, where float32 has steps of 64"):
        data(np.where(ROWS < 4, ROWS, 1e9 + ROWS / 3))


@pytest.mark.parametrize(
    "inputs",
    [
        np.random.default_rng(0).normal(size=(5000, 2)),
        273.15 + np.random.default_rng(0).normal(size=(5000, 2)),
        np.random.default_rng(0).integers(0, 256, (50, 4)) / 255,
        0.1 + 1e-17 * ROWS,  # what is left of a constant in float64
        ROWS * 2**25,
        ROWS * 1e30,
        np.full((8, 1), 1.7e9 + 1),
    ],
)
def test_rounding_is_no_error(inputs):
    """Catches a check that random numbers fail, of which some meet by chance."""
    assert data(inputs, np.arange(len(inputs)) % 2).train.inputs.shape == inputs.shape


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (np.array(["2020"] * 8, "M8[s]"), r"\(x - x.min\(\)\) / np.timedelta64"),
        (np.full(8, 1j), r"np.stack\(\[x.real, x.imag\], axis=-1\)"),
        (np.array(["1"] * 8), r"x.astype\(float\)"),
        (np.full(8, 1, object), r"x.astype\(float\)"),
        (np.array([(1, 2.0)] * 8, [("a", int), ("b", float)]), "structured_to_unstructured"),
        ([np.ma.array([1.0, 2.0], mask=[False, True])] * 8, "Some values are masked"),
    ],
)
def test_other_arrays_are_refused_with_what_makes_numbers_of_them(values, advice):
    with pytest.raises(dl.DataError, match=advice):
        data(values)


def test_names_of_inputs_stay_with_the_columns():
    """Catches a function that makes a data set of another one and drops the names."""
    named = data(np.random.default_rng(0).random((8, 2)), input_names=["length", "width"])
    assert "input columns: length, width" in repr(named)
    made = [
        dl.data.standardize(named),
        dl.data.first(named, 4),
        dl.data.folds(named, 2)[0],
        dl.data.grouped(named, 2),
        dl.data.from_arrays(named.train.inputs, LABELS, test=0.25, input_names=named.input_names),
    ]
    assert {each.input_names for each in made} == {("length", "width")}
    assert dl.data.iris().input_names[0] == "sepal length (cm)"
    with pytest.raises(dl.DataError, match=r"row 2, position \(1,\) \('width'\)"):
        data(np.where((ROWS == 2) & [False, True], np.nan, 1.0), input_names=named.input_names)


@pytest.mark.parametrize(
    ("inputs", "names", "message"),
    [
        (np.ones((8, 2)), ["a"], r"has 1 input_names and inputs float32\[N, 2\]"),
        (np.ones(8), ["a"], r"has 1 input_names and inputs float32\[N\]"),
        ({"x": np.ones((8, 1))}, ["a"], "has 1 input_names and inputs {x"),
        (np.ones((8, 2)), ["a", "a"], "input_names hold 'a' twice"),
    ],
)
def test_names_that_do_not_fit(inputs, names, message):
    with pytest.raises(dl.DataError, match=message):
        data(inputs, input_names=names)


@pytest.mark.parametrize("count", [300, 3000, 100_000])
def test_ordinary_floats_of_any_number_and_order(count):
    """Catches a rule that depends on how many rows there are, or in which order."""
    drawn = np.random.default_rng(0).normal(size=(count, 1))
    for column in (np.round(139.75 + 0.03 * drawn, 6), np.round(5412345 + 1000 * drawn, 3), 9.81 + 0.001 * drawn):
        assert data(column, np.zeros(count)).train.num_rows == count
    with pytest.raises(dl.DataError, match="where float32 has steps of 1;"):
        data(1e7 + drawn / 2, np.zeros(count))


@pytest.mark.parametrize("gap", [30, 1 / 8])
def test_clocks_are_refused_in_any_order(gap):
    """Catches a clock of a long time, whose steps are small against all of it."""
    rng = np.random.default_rng(0)
    for clock in (np.arange(20_000.0), rng.choice(20_000, 15_000, replace=False)):
        rows = 1.7e9 + 0.5 + gap * clock[:, None]
        for ordered in (rows, np.sort(rows, 0), rng.permutation(np.repeat(rows, 3, 0))):
            with pytest.raises(dl.DataError, match=r"are one number in float32|has steps of 128"):
                data(ordered, np.zeros(len(ordered)))


def test_small_splits_are_measured_with_the_rows_of_train():
    """Catches a validation split of a day that is refused beside a year."""
    days = 18000 + np.arange(2400)[:, None] / 24
    last = days[-2:] + np.array([[0.01], [0.02]])
    with pytest.raises(dl.DataError, match="float32 has steps"):
        data(last, np.arange(2.0))
    whole = dl.data.from_parts({"train": (days, np.arange(2400.0)), "validation": (last, np.arange(2.0))})
    assert whole.validation is not None
