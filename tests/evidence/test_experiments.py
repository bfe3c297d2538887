"""Scales: whose seeds are whose, and what a plan is of."""

import itertools
import pathlib

import numpy as np
import pytest

import dlcore as dl
from dlcore.evidence import Experiment, Revision, Scale
from dlcore.evidence.experiments import MOST_BLOCKS, SCALES

HISTORY = (Revision(1, "2026-11-26", "First plan."),)


def experiment(**design):
    return Experiment("Is it so?", (), design, lambda scale: {}, lambda measured: [], lambda measured: [], {}, HISTORY)


def test_seeds_of_blocks_revisions_and_tuning_are_apart():
    """Catches runs that are judged twice, or at settings that they chose themselves."""
    scales = [Scale(block=block, revision=revision) for block in (0, 1, MOST_BLOCKS) for revision in (1, 2)]
    drawn = [seeds for scale in scales for seeds in (scale.seeds(4000), scale.tuning_seeds(4000))]
    for one, other in itertools.combinations(drawn, 2):
        assert not np.isin(one, other).any()
    assert Scale().seeds(3).tolist() == Scale().seeds(5)[:3].tolist()


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_chooses(name):
    """Catches a full scale that does less than the default one, and runs of two scales in one store."""
    scale = Scale(name, studies=pathlib.Path("kept"))
    assert scale.of({"quick": 1, "default": 2}) == {"quick": 1, "default": 2, "full": 2}[name]
    assert scale.of({"default": 2}) == 2
    assert scale.store("rates", 3) == pathlib.Path(f"kept/revision-1-block-1-{name}/rates/3")
    assert Scale(name).store("rates") is None


def test_a_plan_names_its_design_scale_and_seeds():
    """Catches a design that can change unseen, also by hiding behind a name that comparisons leave out."""
    digests = {experiment(size=size).plan(Scale(block=block)).digest for size in (1, 2) for block in (1, 2)}
    assert len(digests) == 4
    assert experiment(size=1).plan(Scale("quick")).digest not in digests
    with pytest.raises(dl.ArgumentError, match=r"entries \['seeds'\], which the plan adds"):
        experiment(seeds=3).plan(Scale())
