"""Programs: what they are made of, and what is refused before they are compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl
from dlcore.engine.devices import Constants
from dlcore.engine.executables import accepted
from dlcore.engine.program import LANE_BUDGET, MAX_BYTES_OF_RECORDS, default_lane_width
from dlcore.engine.traced import trace


def traced(state_size: int, record_size: int = 1):
    """A training of that many numbers of state and of record."""
    training = dl.Training(lambda: jnp.zeros(state_size), lambda x: (x, {"x": jnp.zeros(record_size)}), 1)
    return trace(lambda cell: training, {}, Constants())


def test_default_lane_width_is_bounded():
    """Catches lanes without a bound, or none at all, for states and records of any size."""
    widths = [default_lane_width(traced(10**k), "cpu") for k in range(8)]
    assert widths[0] == LANE_BUDGET["cpu"][1] > 1
    assert widths[-1] == 1
    assert widths == sorted(widths, reverse=True)
    assert all(width & (width - 1) == 0 for width in widths)
    assert default_lane_width(traced(1, MAX_BYTES_OF_RECORDS), "cpu") == 1


def test_options_that_jaxlib_has_not_are_left_out():
    """Catches a program that no longer compiles since a later version has dropped an option that only saves time."""
    known = {"xla_backend_optimization_level": 1}
    assert accepted({"xla_option_of_yesterday": True, **known}) == known


@pytest.mark.parametrize(
    ("init", "advance", "text"),
    [
        (lambda: 0.0, lambda s: s, r"advance gave .*; expects the pair \(state, record\)"),
        (lambda: 0.0, lambda s: (s, s), r"advance gave the record .*; expects a dictionary from names to arrays"),
        (lambda: 0.0, lambda s: (s, {1: s}), "expects a dictionary from names to arrays"),
        (lambda: 0.0, lambda s: (s, {"name": "adam"}), "advance records 'name', which is 'adam'; expects an array, a"),
        (lambda: 0.0, lambda s: (s, {"w": {"name": "adam"}}), "records 'w.name', which is 'adam'; expects an array"),
        (lambda: 0.0, lambda s: (s, {"w": np.array("a")}), "records 'w', which is array.'a'.*; expects numbers"),
        (
            lambda: 0.0,
            lambda s: (s, {"w": 2**40}),
            "records 'w', which is 1099511627776; expects a number that fits int32",
        ),
        (lambda: 0.0, lambda s: (s, {"a.b": s, "a": {"b": jnp.ones(2)}}), "advance records 'a.b' twice"),
        (lambda: 0.0, lambda s: (s, {"finite": s}), r"the record 'finite' is float32\[\]; expects one Boolean"),
        (lambda: None, lambda s: (s, {"s": 0}), "init gave None; expects a state"),
        (lambda: 0.0, lambda s: (s, {"s": {}}), "advance records 's', which is {}; expects"),
        (lambda: {"w": 1.0, "name": "adam"}, lambda s: (s, {"s": 0}), r"state\['name'\] is 'adam'; expects arrays"),
        (lambda key: 0.0, lambda s: (s, {"s": s}), "init is .*; expects a function that takes no argument"),
        (lambda: 0.0, lambda s, i: (s, {"s": s}), "advance is .*; expects a function that takes the state, its one"),
        (0.0, lambda s: (s, {"s": s}), "init is 0.0; expects a function"),
        (lambda: 0.0, lambda s: ((s, s), {"s": s}), "advance gave a state of another structure"),
        (
            lambda: {"w": jnp.zeros(2)},
            lambda s: ({"w": jnp.zeros(3)}, {"w": s["w"]}),
            r"state\['w'\] from float32\[2\] into float32\[3\]; a state keeps its shapes and dtypes",
        ),
    ],
)
def test_trainings_that_do_not_fit_together(init, advance, text):
    """Catches errors from deep inside JAX, after minutes of compiling."""
    with pytest.raises(dl.ArgumentError, match=text):
        dl.run(dl.Training(init, advance, 3))


def test_records_before_and_after_the_first_step():
    """Catches a table laid out by the record at step 0 alone, or by the later ones alone."""

    def training(measure):
        return dl.Training(lambda: jnp.float32(1), lambda s: (s / 2, {"s": s, "count": jnp.int32(3)}), 2, measure)

    results = dl.run(training(lambda s: {"s": s}))
    np.testing.assert_array_equal(results.s, [1, 1, 0.5])
    np.testing.assert_array_equal(results["count"], [np.nan, 3, 3])
    with pytest.raises(dl.ArgumentError, match="the record at step 0 has other, those after it have count, s"):
        dl.run(training(lambda s: {"s": s, "other": s}))
    with pytest.raises(dl.ArgumentError, match=r"'s' has shape \(2,\) in the record at step 0, \(\) in those after"):
        dl.run(training(lambda s: {"s": jnp.stack([s, s])}))


def test_final_parameters_are_checked_before_anything_runs(monkeypatch):
    """Catches shapes that differ between cells, found when all the work is done."""
    monkeypatch.setattr(jax.stages.Lowered, "compile", None)

    def bare(start):
        return dl.Training(lambda: jnp.ones(range(1, start + 1)), lambda s: (s, {"sum": s.sum()}), 2)

    with pytest.raises(dl.ArgumentError, match=r"start=2 has params \[1, 2\], start=1 has params \[1\]; one array"):
        dl.sweep(bare, start=[1, 2], final_params=True)


def test_numbers_of_several_kinds_share_an_array():
    """Catches a dtype taken from the first cell: the other's values would be cut to it."""

    def count(kind):
        dtype = {"int": jnp.int32, "half": jnp.float16, "float": jnp.float32, "brain": jnp.bfloat16}[kind]
        return dl.Training(lambda: jnp.float32(0.25), lambda s: (s + 1, {"s": s.astype(dtype)}), 2)

    for kinds in (["int", "float"], ["float", "int"], ["half", "float"], ["brain"]):
        results = dl.sweep(count, kind=kinds)
        assert results.s.dtype == (np.float64 if "int" in kinds else np.float32)  # holds all of int32 and float32
        expected = [[0, 1] if kind == "int" else [0.25, 1.25] for kind in kinds]
        np.testing.assert_array_equal(results.s, expected)


def test_records_without_variables_are_counted():
    """Catches a number of records taken from the length of an array: cells would never be finished."""

    def advance(state):
        return state._replace(step=state.step + 1), {}

    start = dl.State(jnp.int32(0), {"w": jnp.ones(2)}, {}, ())
    results = dl.run(dl.Training(lambda: start, advance, 100), final_params=True)
    assert "finished" not in results.coords
    np.testing.assert_array_equal(results["params.w"], [1, 1])
