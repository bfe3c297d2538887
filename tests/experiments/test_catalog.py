"""What holds of every file of an experiment; what holds of every experiment that runs is in experiment_contract.py."""

import pathlib

import pytest

from dlcore.evidence import Scale
from experiments.catalog import load, names, names_of

ROOT = pathlib.Path(__file__).parents[2]
MOST_LINES = 145  # below the docstring
MAIN_JOB = "batch_stochastic"  # reads the main job, whose judges are tested in tests/benchmarks


@pytest.mark.parametrize("name", names())
def test_it_says_what_it_does_in_one_file(name):
    """Catches files that grow, that need each other, with a wrong command, with words for claims that are not there."""
    text = next((ROOT / "experiments").glob(f"*/{name}.py")).read_text()
    _, words, code = text.split('"""', 2)
    assert code.count("\n") <= MOST_LINES
    assert f"python -m experiments run {name}" in words
    assert "from experiments" not in text
    assert "import experiments" not in text
    experiment = load(name)
    claims = [claim.name for claim in experiment.claims]
    assert len(set(claims)) == len(claims)
    assert set(experiment.answers) == set(claims)
    assert len(experiment.plan(Scale()).digest) == 64
    assert [revision.number for revision in experiment.history] == list(range(1, len(experiment.history) + 1))


def test_the_catalog():
    """Catches a question that is in no part, or in two, or that no test measures."""
    files = sorted(file.stem for file in (ROOT / "experiments").glob("*/*.py") if file.stem != "__init__")
    assert sorted(names()) == files
    assert names_of("optimization") == sorted(names_of("optimization"))
    for name in set(names()) - {MAIN_JOB}:
        text = (ROOT / "tests" / "experiments" / f"test_{name}.py").read_text()
        assert f'(ExperimentContract):\n    name = "{name}"' in text, name
