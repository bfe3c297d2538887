"""Two CPU devices for every test, no compiled programs kept on disk, and no silent rank promotion."""

import hypothesis
import jax
import pytest

import dlcore
from dlcore.engine import devices

dlcore.setup(num_devices=2, cache=False)
jax.config.update("jax_numpy_rank_promotion", "raise")

hypothesis.settings.register_profile(
    "fast",
    max_examples=25,
    deadline=None,  # the first example compiles
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("fast")


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Programs of one file are of no use to the next, and take gigabytes."""
    yield
    jax.clear_caches()
    devices.forget_programs()


def pytest_generate_tests(metafunc):
    """Run the tests of a `ModelContract` for each of its cases."""
    if "case" in metafunc.fixturenames and hasattr(metafunc.cls, "CASES"):
        cases = [
            pytest.param(case, id=name, marks=[pytest.mark.heavy] * case.heavy)
            for name, case in metafunc.cls.CASES.items()
        ]
        metafunc.parametrize("case", cases)
