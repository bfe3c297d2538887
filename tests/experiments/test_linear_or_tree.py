"""The judge of lines and trees, on measurements that were made up."""

import jax.numpy as jnp
import numpy as np
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import linear_or_tree

RANDOM = np.random.default_rng(0)


def _measured(*, net=0.9, halfway=None, tree=0.8, line=0.9, best=0.8, seeds=16):
    problems = [*linear_or_tree.PLANE, "wine"]
    values = {
        "net": net,
        "halfway": net if halfway is None else halfway,
        "tree": tree,
        "best_line": line,
        "best_tree": best,
    }
    noisy = {key: value + RANDOM.normal(0, 1e-3, (len(problems), seeds)) for key, value in values.items()}
    return {"shares": xr.Dataset({k: (("problem", "seed"), v) for k, v in noisy.items()}, {"problem": problems})}


def _outcomes(**changes):
    return [verdict.outcome for verdict in linear_or_tree.judge(_measured(**changes))]


def test_the_judge():
    """Catches sides that are exchanged, and networks that are judged while they still change."""
    assert _outcomes(tree=0.98, best=0.99, net=1.0, line=1.01) == [Outcome.SUPPORTED] * 2
    assert _outcomes() == [Outcome.SUPPORTED, Outcome.REFUTED]
    assert _outcomes(net=0.7, line=0.7) == [Outcome.REFUTED, Outcome.REFUTED]
    assert _outcomes(best=0.99)[1] == Outcome.CONDITIONAL
    assert _outcomes(line=0.7)[0] == Outcome.CONDITIONAL
    assert _outcomes(halfway=0.8)[0] == Outcome.INCONCLUSIVE
    assert _outcomes(net=np.nan, tree=np.nan, line=np.nan, best=np.nan) == [Outcome.INCONCLUSIVE] * 2
    assert _outcomes(seeds=1) == [Outcome.INCONCLUSIVE] * 2


def test_the_four_corners():
    """Catches corners that do not come equally often: only then a line is right on 0.75 and what is trained on 0.5."""
    points, classes, new, _ = linear_or_tree.sample("XOR, 4 corners", 0)
    assert [len(np.unique(part, axis=0)) for part in (points, new)] == [4, 4]
    assert {tuple(point): int((points == point).all(1).sum()) for point in points} == {
        (x, y): linear_or_tree.EXAMPLES // 4 for x in (-1, 1) for y in (-1, 1)
    }
    assert classes.mean() == 0.5


def test_new_examples_are_not_those_of_training():
    points, _, new, _ = linear_or_tree.sample("diagonal", 0)
    assert not set(points[:, 0]) & set(new[:, 0])
    old, classes, new, new_classes = linear_or_tree.sample("wine", 0)
    assert len(old) == len(classes) == 124
    assert len(new) == len(new_classes) == 54
    np.testing.assert_allclose(old.mean(0), 0, atol=1e-9)


def test_a_guess_counts_one_half():
    logits = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.001, 0.0], [0.0, 0.001]])
    assert float(linear_or_tree.share_right(logits, jnp.array([0, 0, 0, 0]))) == 0.5
    assert float(linear_or_tree.share_right(logits, jnp.array([0, 1, 1, 1]))) == 0.75


class TestContract(ExperimentContract):
    name = "linear_or_tree"
