"""The experiments that are run by name, and the page of the benchmarks."""

import json
import pathlib

import pytest

import dlcore as dl
from dlcore.evidence import Outcome

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"


def test_experiments_measure_judge_and_plot(tmp_path):
    """Catches an experiment whose parts do not fit together; at a smaller size than its own."""
    from experiments.__main__ import load, names

    assert names() == ["learning_rate"]
    experiment = load("learning_rate")
    results = experiment.measure(num_seeds=6, num_epochs=6)
    verdicts = experiment.judge(results)
    assert [verdict.claim for verdict in verdicts] == list(experiment.claims)
    experiment.plot(results).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000
    with pytest.raises(dl.ArgumentError, match="Did you mean 'learning_rate'"):
        load("learnin_rate")
    assert verdicts[1].outcome is Outcome.SUPPORTED, "32 times the best rate must fail"


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        ("cpu-2-cores.json", ("network_study", "single_sample_descent", "compile_time", "memory", "shuffles")),
        ("layers-cpu-2-cores.json", ("convolution", "recurrent", "generation")),
        (
            "plan.json",
            (
                *("networks", "programs", "convolution", "recurrence"),
                *("single_samples", "long_epochs", "large_results"),
            ),
        ),
        (
            "h100.json",
            ("network_study", "lane_widths", "study_of_one", "compile_time", "shuffles", "single_sample_descent"),
        ),
    ],
)
def test_numbers_of_the_benchmark_page_come_from_the_committed_json(file, parts):
    """Catches a page that was not updated with the measurement."""
    page = (FOLDER / "README.md").read_text()
    results = json.loads((FOLDER / "results" / file).read_text())
    for part in parts:
        for key, value in results[part].items():
            assert f"{value:.3g}" in page, (part, key, value)
