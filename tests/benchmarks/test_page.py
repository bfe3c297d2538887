"""The page of the benchmarks."""

import pathlib

import pytest

from benchmarks import measurements
from benchmarks.peers.parts import GOALS

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        (
            "cpu-2-cores.json",
            (
                *("network_study", "single_sample_descent", "compile_time", "shuffles"),
                *("study_of_one", "import_time", "lane_widths", "evaluation_in_pieces"),
            ),
        ),
        ("scale-cpu-2-cores.json", ("gigabyte",)),
        ("layers-cpu-2-cores.json", ("convolution", "recurrent", "generation")),
        (
            "plan.json",
            (
                *("networks", "programs", "convolution", "recurrence"),
                *("single_samples", "long_epochs", "large_results"),
            ),
        ),
        (
            "probes.json",
            (
                *("layer_norms", "update_ratios", "unit_symmetry", "activations", "sharpness"),
                *("hessian_trace", "gradient_noise", "two_batch_noise", "tangent_kernel"),
            ),
        ),
        ("h200.json", ("lanes", "command_buffers", "unrolled_steps", "precision", "same_bits")),
        (
            "h100.json",
            ("network_study", "lane_widths", "study_of_one", "compile_time", "shuffles", "single_sample_descent"),
        ),
    ],
)
def test_numbers_of_the_benchmark_page_come_from_the_committed_json(file, parts):
    """Catches a page that was not updated with the measurement."""
    page = (FOLDER / "README.md").read_text()
    results = measurements.read(FOLDER / "results" / file).parts
    for part in parts:
        for key, (value, _) in results[part].items():
            assert f"{value:.3g}" in page, (part, key, value)


def test_what_the_peers_should_reach_is_on_the_page():
    """Catches a comparison whose number, met or missed, is left out."""
    page = (FOLDER / "README.md").read_text()
    results = measurements.read(FOLDER / "results" / "peers-cpu-2-cores.json").parts
    for part, numbers in results.items():
        for name in GOALS[part]:
            assert f"{numbers[name].median:.3g}" in page, (part, name)
