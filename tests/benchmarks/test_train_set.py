"""Claim (c) on made costs: what supports it, what refutes it, and what says nothing."""

import numpy as np
import pytest
import xarray as xr

from benchmarks.convergence import train_set
from dlcore.evidence import Outcome

SIZES = np.array([500, 4_000, 32_000])


def made(full: float = 1.0, replaced: float = 0.0, reshuffled: float = 0.0, faster: float = 0.01) -> xr.Dataset:
    """Costs that grow with these exponents, from 5 000 examples; faster: seconds of a full step over n single ones."""
    random = np.random.default_rng(0)
    powers = np.array([full, replaced, reshuffled])[:, None, None]
    examples = 5_000 * (SIZES[:, None] / SIZES[0]) ** powers * np.exp(0.05 * random.normal(size=(3, 3, 8)))
    examples[0] = np.where(np.arange(8) == 0, 5_000 * (SIZES / SIZES[0])[:, None] ** full, np.nan)
    sides = np.array([faster * SIZES[-1], 1.0, 1.0, 0.8]) * np.exp(0.01 * random.normal(size=(10, 4)))
    each = (("descent", "num_examples"), np.full((3, 3), 0.1))
    return xr.Dataset(
        {
            "examples": (("descent", "num_examples", "seed"), examples),
            "learning_rate": each,
            "interior": (each[0], np.ones((3, 3), bool)),
            "limit": (each[0], np.full((3, 3), 1e9)),
            "seconds": (("block", "side"), sides),
        },
        coords={
            "descent": list(train_set.METHODS),
            "num_examples": SIZES,
            "seed": np.arange(8),
            "side": [*train_set.METHODS, "in order"],
        },
        attrs={"title": "made"},
    )


def verdict(*data: xr.Dataset):
    (found,) = train_set.judge({str(i): each for i, each in enumerate(data)})
    return found


def test_supported():
    """Catches exponents of steps in place of examples, and a ratio upside down."""
    assert verdict(made(faster=0.5)).outcome is Outcome.SUPPORTED


def test_refuted():
    """Catches a claim that nothing can contradict."""
    found = verdict(made(full=0.5, replaced=0.5, reshuffled=0.5, faster=0.01))
    assert set(found.outcomes.values()) == {Outcome.REFUTED}
    assert found.outcome is Outcome.REFUTED


def test_conditional():
    """Catches a problem that is left out where it disagrees."""
    found = verdict(made(faster=0.5), made(reshuffled=0.6, faster=0.5))
    assert found.outcomes[train_set.PARTS["reshuffled"]] is Outcome.CONDITIONAL
    assert found.outcome is Outcome.CONDITIONAL


@pytest.mark.parametrize("seconds", [1 / 64, 1 / 40])
def test_close_seconds(seconds):
    """Catches a verdict on seconds that another machine would overturn: here the ratio is between 1/2 and 2."""
    assert verdict(made(faster=seconds)).outcomes["full batch takes longer"] is Outcome.INCONCLUSIVE


def test_edge_of_the_grid():
    """Catches a comparison with a method that was not tuned."""
    data = made(faster=0.5)
    data.interior.loc[{"descent": "full batch", "num_examples": 32_000}] = False
    outcomes = verdict(data).outcomes
    assert outcomes[train_set.PARTS["full batch"]] is outcomes["full batch takes longer"] is Outcome.INCONCLUSIVE
    assert outcomes[train_set.PARTS["with replacement"]] is Outcome.SUPPORTED


@pytest.mark.parametrize("seeds", [slice(0, 1), slice(0, 0), slice(0, 2)])
def test_few_seeds(seeds):
    """Catches a judge that raises, and a verdict on stochastic descent from a single run."""
    data = made(faster=0.5).isel(seed=seeds)
    assert verdict(data).outcomes[train_set.PARTS["with replacement"]] in (Outcome.INCONCLUSIVE, Outcome.SUPPORTED)
    if data.sizes["seed"] < 2:
        assert verdict(data).outcomes[train_set.PARTS["with replacement"]] is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_censored(value):
    """Catches a judge that raises where runs never arrive, or that leaves them out."""
    data = made(faster=0.5)
    data.examples[:, -1, ::2] = value
    outcomes = verdict(data).outcomes
    assert outcomes[train_set.PARTS["with replacement"]] is Outcome.INCONCLUSIVE
    assert outcomes[train_set.PARTS["full batch"]] is Outcome.INCONCLUSIVE
    assert len(train_set.tables({"made": data})) == 1


def test_empty():
    """Catches a judge or a figure that needs a measurement."""
    assert verdict().outcome is Outcome.INCONCLUSIVE
    assert list(train_set.draw({})) == []


def test_drawn():
    """Catches a figure that does not fit what is measured."""
    (picture,) = train_set.draw({"made": made()})
    assert picture.name == "train_set"
