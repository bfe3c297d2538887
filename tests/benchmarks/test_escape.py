"""Claim (g): what the judge says of made-up measurements, and the simulations against theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import dlcore as dl
from benchmarks.convergence import escape, escape_networks, escape_wells
from benchmarks.convergence.escape_wells import FRACTIONS, Wells
from benchmarks.convergence.parts import Scale
from dlcore.evidence.claims import Outcome

NUM_SEEDS, RUNS = 24, 4
SIZES = ["1", "full"]


def dwell(slopes, *, seeds=16):
    """Dwell times whose slopes are these multiples of Kramers', with some noise."""
    barriers = np.array([3.5, 4.0, 4.5, 5.0, 5.5])
    rates = 2 / barriers
    noise = 0.1 * np.random.default_rng(0).normal(size=(len(slopes), len(barriers), seeds))
    times = np.exp(np.outer(slopes, barriers)[..., None] + noise)
    dims = ("wells", "temperature", "seed")
    return xr.Dataset(
        {
            "escapes": (dims, np.full(times.shape, 50)),
            "at_risk": (dims, 50 * times / rates[:, None]),
            "rate": (dims[:2], np.tile(rates, (len(slopes), 1))),
            "barrier": ("wells", np.ones(len(slopes))),
            "noise": ("wells", np.ones(len(slopes))),
        },
        coords={"wells": [f"wells {i}" for i in range(len(slopes))]},
    )


def shares(single, full, **more):
    """The same number of runs of each seed leaves: shares [fraction] of landscapes, [k, fraction] each."""
    fractions = np.array([0.1, 0.2, 0.4, 0.6, 0.8, 1.6, 3.2])
    counts = np.stack([single, full], axis=1)[..., None] * RUNS * np.ones(NUM_SEEDS)
    return xr.Dataset(
        {
            "better": (("landscape", "batch_size", "fraction", "seed"), counts),
            "judged": ("seed", np.arange(NUM_SEEDS) >= 8),
            **more,
        },
        coords={
            "landscape": [f"landscape {i}" for i in range(len(counts))],
            "batch_size": SIZES,
            "fraction": fractions,
            "seed": np.arange(NUM_SEEDS),
        },
        attrs={"runs": RUNS},
    )


STAYS = np.zeros(7)
LEAVES = np.array([0.0, 0.5, 1.0, 0.5, 0.0, 0.0, 0.0])
LEAVES_BEYOND = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0])


def networks(single, full, barrier):
    """Shares with the minima they belong to."""
    k = len(single)
    return shares(
        single,
        full,
        barrier=("landscape", barrier),
        bad_loss=("landscape", np.full(k, 2.0)),
        good_loss=("landscape", np.full(k, 1.0)),
        gradient=("landscape", np.zeros(k)),
        eigenvalues=(("landscape", "parameter"), np.ones((k, 4))),
    )


def outcomes(**measured):
    """Sub-claim to its outcome."""
    (verdict,) = escape.judge(measured)
    return verdict.outcomes


@pytest.mark.parametrize(
    ("slopes", "outcome"),
    [
        ([1.0, 1.05], Outcome.SUPPORTED),
        ([0.5, 0.6], Outcome.REFUTED),
        ([1.6, 1.5], Outcome.REFUTED),
        ([1.0, 0.5], Outcome.CONDITIONAL),
        ([1.25, 0.8], Outcome.INCONCLUSIVE),
    ],
)
def test_slopes_are_judged_against_kramers_law(slopes, outcome):
    """Catches a slope that is not divided by theory, and one that is judged from one side only."""
    assert outcomes(dwell=dwell(slopes))["dwell times as in theory"] == outcome


def test_walkers_that_never_escape_leave_the_slope_undetermined():
    """Catches a dwell time of zero or of NaN that is fitted as if it were one, and copies of one seed."""
    none = dwell([1.0])
    none["escapes"][0, 4, 3] = 0
    missing = dwell([1.0])
    missing["at_risk"][0, 0, 0] = np.nan
    for measured in (none, missing, dwell([1.0], seeds=1), dwell([1.0]).isel(seed=[])):
        (verdict,) = escape.judge({"dwell": measured})
        (evidence,) = verdict.evidence["dwell times as in theory"]
        assert evidence.interval.bound == "none"
        assert evidence.interval.reason
        assert verdict.outcomes["dwell times as in theory"] == Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("single", "full", "wells", "any_rate"),
    [
        ([LEAVES], [STAYS], Outcome.SUPPORTED, Outcome.SUPPORTED),
        ([LEAVES], [LEAVES_BEYOND], Outcome.SUPPORTED, Outcome.REFUTED),
        ([STAYS], [STAYS], Outcome.REFUTED, Outcome.REFUTED),
        ([STAYS], [LEAVES], Outcome.REFUTED, Outcome.REFUTED),
        ([LEAVES, LEAVES], [STAYS, LEAVES_BEYOND], Outcome.SUPPORTED, Outcome.CONDITIONAL),
        ([0.25 * LEAVES], [STAYS], Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE),
    ],
)
def test_shares_are_judged_below_the_limit_and_at_any_rate(single, full, wells, any_rate):
    """Catches rates beyond the limit that count as stable, or are left out where all are allowed."""
    found = outcomes(wells=shares(single, full))
    assert found["wells, at stable rates"] == wells
    assert found["both, at any rate"] == any_rate


def test_minima_that_are_not_shallow_are_looked_at_and_not_judged():
    """Catches a deep minimum that is judged, and one that is dropped without a word."""
    measured = networks([LEAVES, STAYS], [STAYS, STAYS], [0.01, 0.5])
    (verdict,) = escape.judge({"networks": measured})
    assert [one.condition for one in verdict.evidence["networks, at stable rates"]] == ["network, landscape 0"]
    assert [check.holds for check in verdict.checks] == [True, True]
    measured["eigenvalues"][0, 0] = -1.0
    (verdict,) = escape.judge({"networks": measured})
    assert not verdict.checks[0].holds


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (shares([LEAVES], [STAYS]).isel(seed=slice(8, None)), "no runs"),
        (shares([LEAVES * np.nan], [STAYS]), "some runs are missing"),
        (shares([LEAVES[::-1]], [STAYS]).isel(fraction=slice(4, None)), "the best rate is at an edge of its grid"),
    ],
)
def test_shares_that_cannot_be_compared_are_undetermined_with_a_reason(counts, reason):
    """Catches a best rate at the edge, runs that are missing counted as runs that stay, an empty set that raises."""
    (verdict,) = escape.judge({"wells": counts})
    (evidence,) = verdict.evidence["both, at any rate"]
    assert evidence.interval.reason == reason
    assert verdict.outcomes["both, at any rate"] == Outcome.INCONCLUSIVE


def test_nothing_measured_is_inconclusive():
    """Catches a judge that asks for what is not there."""
    (verdict,) = escape.judge({})
    assert verdict.outcome == Outcome.INCONCLUSIVE
    assert escape.tables({}) == {}
    assert list(escape.draw({})) == []


def test_the_best_rate_is_chosen_by_tuning_seeds_only():
    """Catches judged runs that choose their own rate."""
    measured = shares([LEAVES], [STAYS])
    measured["better"][0, 0, 1, 8:] = RUNS  # judged runs like another rate
    single, _ = escape.pair(measured, "landscape 0", np.inf)
    assert (single.fraction, single.share, single.trials) == (0.4, 1.0, 16 * RUNS)


def test_wells_have_the_barrier_depth_and_curvature_they_say():
    """Catches a slope whose scale is wrong on one side of the top."""
    wells = Wells(0.3, 0.9, 2.5, 1.0)

    def slope(x):
        return escape_wells.slope(jnp.asarray(x, jnp.float32), wells.barrier, wells.depth, wells.width)

    for low, high, drop in ((-1.0, 0.0, wells.barrier), (0.0, wells.width, -wells.depth)):
        x = np.linspace(low, high, 2001)
        assert np.trapezoid(np.asarray(slope(x)), x) == pytest.approx(drop, rel=1e-4)
    for place, curvature in ((-1.0, wells.curvature), (wells.width, wells.deep_curvature)):
        behind, ahead = slope([place - 1e-2, place + 1e-2])
        assert (ahead - behind) / 2e-2 == pytest.approx(curvature, rel=1e-3)


def test_noise_leaves_the_full_gradient_as_it_is():
    """Catches examples whose mean is off the loss, and a noise of another size."""
    values = escape_wells.example_noise()
    assert values.sum() == pytest.approx(0, abs=1e-12)
    assert values.std() == pytest.approx(1)


@pytest.fixture(scope="module")
def walkers():
    """A grid of few cells, with stochastic and full-batch walkers, in a low well."""
    wells = Wells(0.15, 0.6, 2.5, 1.0)
    points = dl.points(
        "cell",
        rate=np.array([0.15, 0.15, 1.5 * 2 / wells.curvature, 2 * wells.barrier / 4.0]),
        stochastic=np.array([1, 0, 0, 1]),
        spread=np.array([0.9, 0.9, 0.9, 0.2]),
    )

    def fit(rate, stochastic, spread, seed):
        return escape_wells.walk(
            seed, rate, wells.barrier, wells.depth, wells.width, wells.noise, spread, stochastic, num_walkers=64
        )

    return wells, dl.sweep(fit, points, seed=np.arange(4), lane_width=16)


def test_dwell_times_are_those_of_kramers(walkers):
    """Catches noise of another size, a step of another size, and censored walkers that are left out."""
    wells, history = walkers
    found = history.isel(cell=3).max("step")
    time = float((found.at_risk.sum() / found.escapes.sum()) * 2 * wells.barrier / 4.0)
    # With different curvatures on the two sides of the top, what counts is the mean of their square roots' inverses.
    behind, ahead = wells.curvature, wells.depth * np.pi**2 / (2 * wells.width**2)
    theory = np.pi * (1 / np.sqrt(behind) + 1 / np.sqrt(ahead)) / np.sqrt(wells.curvature) * np.exp(4.0)
    assert time == pytest.approx(theory, rel=0.3)


def test_full_batch_stays_below_its_limit_and_leaves_beyond(walkers):
    """Catches a full batch that gets noise, or more steps than examples allow."""
    _, history = walkers
    deep = history.deep.max("step").sum("seed").values
    assert deep[1] == 0
    assert deep[0] > 200
    assert deep[2] > 100
    assert (history.at_risk.isel(cell=1).max("step") == 64 * 50).all()


def test_bad_minima_of_networks_are_minima():
    """Catches a gradient that is not that of the loss, and starts that fall into another minimum."""
    for problem in escape_networks.PROBLEMS.values():
        bad, good = (escape_networks.minimum(start, problem.targets) for start in (problem.bad, problem.good))
        assert bad.gradient < 1e-10
        assert bad.eigenvalues[0] > 1e-3
        assert bad.loss > 1.5 * good.loss
        point, step = good.parameters + 0.1, 1e-6 * np.eye(4)
        ahead, behind = (escape_networks.loss_and_gradient(point + way, problem.targets)[0] for way in (step, -step))
        gradient = escape_networks.loss_and_gradient(point, problem.targets)[1]
        np.testing.assert_allclose(gradient, (ahead - behind) / 2e-6, atol=1e-7)


def test_networks_train_on_the_loss_whose_minima_are_known():
    """Catches another penalty, other targets, or parameters in another order."""
    found = escape_networks.landscapes(["steps", "outlier"])
    run = escape_networks._fit(found, "full", 1, 0.1, 0)
    state = run.init()
    layers = state.params["layers"]
    given = np.array(
        [float(leaf.squeeze()) for layer in (0, 1) for leaf in (layers[layer]["kernel"], layers[layer]["bias"])]
    )
    assert run.measure is not None
    loss = escape_networks.loss_and_gradient(given, escape_networks.PROBLEMS["outlier"].targets)[0]
    assert float(jax.device_get(run.measure(state)["train_loss"])) == pytest.approx(float(loss), rel=1e-5)


def test_seeds_of_blocks_are_apart():
    """Catches runs of the networks that are the same in two blocks."""
    keys = [np.r_[Scale(block=b).seeds, Scale(block=b).tuning_seeds] * escape_networks.FIRST_KEYS for b in (1, 2)]
    runs = [np.add.outer(one, np.arange(RUNS)).ravel() for one in keys]
    assert len(np.unique(np.concatenate(runs))) == sum(map(len, runs))
    assert max(map(np.max, runs)) < 2**31
    assert FRACTIONS[-1] > 2
