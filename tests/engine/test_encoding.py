"""Names, labels and attributes of any plain kind come back as they were, or are refused before anything is written."""

import datetime
import pathlib

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import dlcore as dl
from dlcore.engine.encoding import check_saveable

LABELS = [
    *(None, 1, "a", (1, ("b", None)), True, b"x", 1.5, -0.0, np.inf, 1j, [1, 2], "two\0words", 2**70),
    *(datetime.datetime(2020, 1, 2, 3), datetime.date(2020, 1, 2), datetime.timedelta(days=1), np.datetime64("2020")),
]


def objects(*values):
    """[n] objects, none taken apart."""
    array = np.empty(len(values), object)
    for position, value in enumerate(values):
        array[position] = value
    return array


STACKED = xr.Dataset({"loss": (("seed", "rate"), [[1.0, 2.0], [3.0, 4.0]])}, {"seed": [0, 1], "rate": ["a", "b"]})
RESULTS = {
    "names": xr.Dataset(
        {"a/b": ("x/y", [1.0, 2.0]), "grad norm%": ("x/y", [1, 2]), ".": 1, "c": 2, "zarr.json": 3, "loß": 4},
        {"x/y": [3, 4], "of two words": ("x/y", ["u", "v"])},
    ),
    "labels": xr.Dataset({"loss": ("x", np.arange(float(len(LABELS))))}, {"x": objects(*LABELS)}),
    "booleans": xr.Dataset({"loss": ("x", [1.0, 2.0])}, {"x": [True, False]}),
    "bytes": xr.Dataset({"word": ("x", np.array([b"a", b"bcd"]))}),
    "times": xr.Dataset(
        {"at": ("x", np.array(["2020-01-01", "NaT"], "datetime64[ns]")), "took": ("x", np.array([1, 2], "m8[s]"))},
        {"x": np.array(["2020-01-01T00:00:00.000000001", "2021-01-01"], "datetime64[ns]")},
    ),
    "stacked": STACKED.stack(run=("seed", "rate")),
    "a MultiIndex": xr.Dataset(
        {"loss": ("s", np.arange(4.0))},
        xr.Coordinates.from_pandas_multiindex(pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["m", "n"]), "s"),
    ),
    "empty": xr.Dataset(
        {"loss": ("x", np.zeros(0)), "object": ("x", np.zeros(0, object)), "u": ("x", np.zeros(0, "U3"))}
    ),
    "nothing": xr.Dataset(),
    "fill values": xr.Dataset(
        {
            **{kind: ("x", np.zeros(3, kind)) for kind in ("float32", "int64", "bool", "complex64", "U1")},
            "nan": ("x", [np.nan] * 3),
            "negative zero": ("x", [-0.0] * 3),
        }
    ),
    "attributes that xarray would interpret": xr.Dataset(
        {"loss": ("x", [1.0, 2.0], {"units": "days since 2000-01-01", "scale_factor": 2, "_FillValue": 1})},
        attrs={"coordinates": "loss", "dlcore": "x", "dtype": "bool"},
    ),
    "attributes of any kind": xr.Dataset(
        {"loss": ((), 1.0, {"t": (1, 2), "d": {"a": [1, {"b": None}]}, "array": np.arange(3), "s": "\ud800"})},
        attrs={"n": None, "l": [1, [2]], "e": [], "b": b"x", "i": 2**70},
    ),
}


@pytest.mark.parametrize("case", RESULTS)
def test_results_come_back_identical(tmp_path, case):
    """Catches a label, name, dtype or attribute that Zarr or xarray turns into another; twice, as users go on."""
    results = RESULTS[case]
    for _ in range(2):
        dl.save(results, tmp_path / "r")
        back = dl.load(tmp_path / "r")
        xr.testing.assert_identical(back, RESULTS[case])
        assert {k: v.dtype for k, v in back.variables.items()} == {
            k: v.dtype for k, v in RESULTS[case].variables.items()
        }
        for name in results.dims:
            labels = [[type(each) for each in r.indexes[name]] for r in (back, RESULTS[case]) if name in r.indexes]
            assert labels[:1] == labels[1:]
        results = back


def test_small_floats_come_back(tmp_path):
    """Catches bfloat16 parameters stored as float32."""
    values = np.asarray(jnp.array([1, 0.1, jnp.nan], jnp.bfloat16))
    dl.save(xr.Dataset({"kernel": ("x", values)}), tmp_path / "r")
    back = dl.load(tmp_path / "r").kernel.values
    assert back.dtype == values.dtype
    assert back.tobytes() == values.tobytes()


def test_scalars_and_paths_in_attributes_become_plain(tmp_path):
    """Catches NumPy scalars that JSON cannot hold."""
    attrs = {
        "f": np.float32(0.5),
        "b": np.bool_(True),
        "p": pathlib.Path("a"),
        "nan": np.float64("nan"),
        "j": jnp.int32(3),
    }
    dl.save(xr.Dataset(attrs=attrs), tmp_path / "r")
    back = dl.load(tmp_path / "r").attrs
    assert (back["f"], back["b"], back["p"], back["j"]) == (0.5, True, "a", 3)
    assert np.isnan(back["nan"])


def test_groups_with_any_name_come_back(tmp_path):
    """Catches names of groups that are escaped once and never back."""
    tree = xr.DataTree.from_dict(
        {"/": xr.Dataset(coords={"x": [1, 2]}), "/a%2F b/c": xr.Dataset({"l": ("x", [1.0, 2])})}
    )
    dl.save(tree, tmp_path / "r")
    xr.testing.assert_identical(dl.load(tmp_path / "r"), tree)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (xr.Dataset({"a": ("x", objects(jnp.tanh, 1))}), "'a' holds .*a function or class.*Use its name, 'tanh'"),
        (xr.Dataset({"a": ("x", objects(object()))}), "'a' holds <object.*cannot be saved; expects numbers"),
        (xr.Dataset({"a": ("x", np.ones(2, np.longdouble))}), r"'a' has dtype float128.*Convert it first"),
        (xr.Dataset({"a": ("x", pd.Categorical(["u"]))}), "'a' has dtype category"),
        (xr.Dataset({"a": ("x", np.zeros(2, "i4,f4"))}), "'a' has dtype .*f0"),
        (xr.Dataset({1: ("x", [1])}), "named 1; expects a string"),
        (xr.Dataset({"a": (("x", 3), [[1]])}), "named 3; expects a string"),
        (xr.Dataset({"l" * 300: 1}), "takes 300 bytes on disk; expects at most 200"),
        (xr.Dataset(attrs={"f": print}), "attribute 'f' of the results is <built-in function print>"),
        (xr.Dataset({"a": ((), 1, {"o": object()})}), "attribute 'o' of 'a' is <object"),
        (xr.Dataset(attrs={1: 2}), "attribute of the results is named 1"),
    ],
)
def test_what_has_no_form_is_refused_before_anything_is_written(tmp_path, results, message):
    """Catches an error of Zarr halfway, or a value turned into text."""
    with pytest.raises(dl.ArgumentError, match=message):
        dl.save(results, tmp_path / "new" / "r")
    assert not list(tmp_path.iterdir())


def test_a_sweep_can_ask_before_it_runs():
    """Catches labels refused only after hours."""
    check_saveable(["loss", "a/b"], {"activation": objects("relu", None, 1)})
    with pytest.raises(dl.ArgumentError, match="named 3"):
        check_saveable([3])
    with pytest.raises(dl.ArgumentError, match="'activation' holds <built-in function len>"):
        check_saveable([], {"activation": objects(len)})
