"""The trainings in docs/trainings.md and its guide run as they stand, and do what the pages say."""

import doctest
import pathlib
import re

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

pytestmark = pytest.mark.job

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGE, GUIDE = ((DOCS / name).read_text() for name in ("trainings.md", "guides/hand-written-trainings.md"))
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(title, page=GUIDE):
    """The names that a section of the page defines, after the imports of its first block."""
    sections = page.split("\n## ")
    (section,) = [section for section in sections if section.startswith(title)]
    names = {}
    for code in (BLOCK.findall(page)[0], *BLOCK.findall(section)):
        exec(compile(code, "docs", "exec"), names)
    return names


def test_adversarial_network():
    """Catches networks that do not train: drawn points cover the data, and the discriminator is at a loss."""
    runs = run("A generative adversarial network")["runs"]
    assert runs.distance.sizes == {"seed": 4, "learning_rate": 2, "step": 11}
    distance = runs.distance.mean(["seed", "learning_rate"])
    assert distance[-1] < 0.5 * distance[0]
    assert np.abs(runs.discriminator_loss.isel(step=-1).mean() - np.log(4)) < 0.1
    assert runs.generator_loss.dtype == np.float32


def test_bandit():
    """Catches an agent that does not explore, or does not learn from it; published: about 80 % and a third."""
    runs = run("A multi-armed bandit")["runs"]
    best = runs.best_arm.isel(step=-1).mean("seed")
    assert 0.7 < best.sel(epsilon=0.1, method="nearest") < 0.9
    assert 0.2 < best.sel(epsilon=0.0) < 0.5
    np.testing.assert_array_equal(runs.pulls.sum("pulls_0").isel(seed=0, epsilon=0), runs.step)
    assert runs.reward.attrs["description"] == "mean since the previous record"


def test_newton():
    """Catches a product that is not the Hessian's: the optimum is scikit-learn's, from every start."""
    names = run("Newton's method")
    inputs, labels = names["cancer"].train
    for penalty in names["runs"].penalty.values:
        ours = names["runs"].sel(penalty=penalty).isel(step=-1)
        assert ours.gradient_norm.max() < 1e-5
        exact = LogisticRegression(C=1 / (len(inputs) * penalty), tol=1e-10, max_iter=1_000).fit(inputs, labels)
        theirs = np.append(exact.coef_[0], exact.intercept_)
        np.testing.assert_allclose(ours.weights, np.tile(theirs, (3, 1)), atol=5e-3)


def test_several_devices():
    """Catches another run than that on one device, or one that learns nothing."""
    names = run("One run on several devices", PAGE)
    np.testing.assert_allclose(names["together"].train_loss, names["alone"].train_loss, atol=1e-3)
    assert names["together"].attrs["mesh"] == "data 2"
    assert names["together"].test_accuracy[-1] > 0.9


@pytest.mark.parametrize("position", [0, 1])
def test_messages(position):
    """Catches a check that is gone, or says something else than the page."""
    text = re.findall(r"^```pycon\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[position]
    test = doctest.DocTestParser().get_doctest(text, run("What is checked", PAGE), "docs/trainings.md", None, 0)
    assert test.examples
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    assert not report, "".join(report)
