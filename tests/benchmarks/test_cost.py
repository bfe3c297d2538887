"""Claims (b) and (h): judged by numbers made up to come out either way, and the rules behind them."""

import numpy as np
import pytest
import xarray as xr

from benchmarks.convergence import comparison, cost, seconds
from benchmarks.convergence.parts import Scale
from benchmarks.convergence.problems import PROBLEMS
from dlcore.evidence import Outcome

S, R, C, Q = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.CONDITIONAL, Outcome.INCONCLUSIVE
RNG = np.random.default_rng(0)
NUM_EXAMPLES, LIMIT = 100, 1e6


def problem(full=10_000.0, single=1_000.0, step=100.0, *, interpolates=False, interior=True, num_seeds=16, lost=0):
    """A measurement of one problem with one target; lost: how many single-sample runs never arrive."""
    examples = np.full((2, num_seeds), np.nan)
    examples[0] = single * np.exp(0.1 * RNG.normal(size=num_seeds))
    examples[0, :lost] = np.nan
    examples[1, :1] = full  # deterministic
    seconds = np.array([1e-6, 1e-6 * step]) * np.exp(0.05 * RNG.normal(size=(20, 2)))
    dims = ("rule", "batch_size", "target", "seed")
    data = {
        "examples": (dims, np.tile(examples[None, :, None], (3, 1, 1, 1))),
        "deterministic": ("batch_size", [False, True]),
        "interior": (("batch_size", "target"), [[interior], [True]]),
        "learning_rate": (("batch_size", "target"), [[0.1], [0.1]]),
        "horizon": (("batch_size", "target"), [[0.0], [500.0]]),
        "limit": ("batch_size", [LIMIT, LIMIT]),
        "seconds": (("block", "side"), seconds),
    }
    coords = {"rule": list(comparison.RULES), "batch_size": ["1", "full"], "target": [0.01], "side": ["1", "full"]}
    attrs = {"title": f"drawn {interpolates}", "num_examples": NUM_EXAMPLES, "interpolates": interpolates}
    return xr.Dataset(data, coords, attrs)


def both(**settings):
    """A problem with noise, and one without."""
    return {"a": problem(**settings), "b": problem(interpolates=True, **settings)}


def outcomes(measured):
    """Of (b) and of (h)."""
    return tuple(verdict.outcome for verdict in cost.judge(measured))


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (both(), (S, S)),
        (both(full=1_000.0, step=0.3), (R, R)),
        (both(step=3.0), (C, C)),  # fewer examples, but not less time
        (both(full=1_000.0, step=1_000.0), (C, C)),
        (both(full=2_000.0), (Q, Q)),
        (both(lost=1), (S, S)),
        (both(lost=16), (C, R)),
        (both(lost=10), (Q, Q)),
        (both(single=np.inf), (Q, Q)),
        (both(full=np.nan), (Q, Q)),
        (both(step=np.nan), (Q, Q)),
        (both(interior=False), (Q, Q)),
        (both(num_seeds=1), (Q, Q)),
        ({"a": problem(), "b": problem(full=1_000.0, interpolates=True)}, (C, C)),
        ({}, (Q, Q)),
    ],
)
def test_they_are_judged_by_their_numbers(measured, expected):
    """Catches an outcome that cannot come out, and a judge that fails."""
    assert outcomes(measured) == expected


def test_seconds_within_a_factor_of_two_are_reported_only():
    """Catches a verdict on seconds that another machine would turn."""
    speed = cost.judge(both(step=100.0 * 1.5 / 10))[1]  # ten times the examples, each 0.15 times the seconds
    assert speed.outcomes["in seconds"] is Q
    assert speed.evidence["in seconds"][0].interval.estimate == pytest.approx(1.5, rel=0.1)


def test_ratios_are_of_independent_runs():
    """Catches a deterministic run counted once for each seed of the other side, or not at all."""
    ratio = cost.ratio_of_examples(problem(), 0)
    assert ratio.count == 16
    assert ratio.estimate == pytest.approx(10, rel=0.1)
    seconds = cost.ratio_of_seconds(problem(), 0)
    assert seconds.estimate == pytest.approx(10 * 100 / NUM_EXAMPLES, rel=0.1)
    assert seconds.high / seconds.low > ratio.high / ratio.low, "the errors of both add"


def test_tables():
    """Catches a table that fails where nothing arrived."""
    for measured in (both(), both(lost=16), both(full=np.nan)):
        tables = cost.tables(measured)
        assert all(len(table) for table in tables.values())
    assert "> 1,000,000" in tables[next(iter(tables))]["examples"].to_list()


def test_tuning_prefers_settings_that_are_reliable():
    """Catches a rate next to others at which runs blow up."""
    costs = np.array([9.0, 5.0, 3.0, 2.0, np.inf, 1.0, np.inf])
    np.testing.assert_array_equal(comparison._reliable(costs), [9, 5, np.inf, np.inf, np.inf, np.inf, np.inf])


def test_full_batch_of_a_problem_is_tuned_to_its_cliff():
    """Catches a rate that is not the best: on a quadratic it is known, a little below 2 / (largest curvature)."""
    problem = PROBLEMS["interpolation"]()
    assert problem.hessian_eigenvalues is not None
    data = comparison.compared(problem, ["full"], Scale(num_seeds=4, quick=True, block=95))
    assert bool(data.interior.all())
    assert bool(data.deterministic.all())
    eigenvalues = problem.hessian_eigenvalues
    best = 2 / (eigenvalues[0] + eigenvalues[-1])
    assert 2 ** (-3 / 8) < float(data.learning_rate.isel(target=-1).squeeze()) / best < 2 ** (1 / 4)
    arrived = data.examples.sel(rule="judged").isel(seed=0).squeeze().values
    assert (np.diff(arrived) > 0).all()
    assert (arrived % data.attrs["num_examples"] == 0).all()


def test_seconds_of_a_step_are_those_of_the_batch():
    """Catches sides that are exchanged."""
    times = seconds.steps(["logistic_regression"], blocks=2)["logistic_regression"]
    assert dict(times.sizes) == {"block": 2, "side": 3}
    assert (times.sel(side="full") > 5 * times.sel(side="1")).all()
