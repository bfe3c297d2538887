"""Two CPU devices for every test, programs compiled as `compiles` says, and no silent rank promotion."""

import gc
import signal

import compiles
import costs
import hypothesis
import jax
import pytest

import dlcore
from dlcore.engine import devices

# A process in the background ignores Ctrl-C, which some tests send to themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)

dlcore.setup(num_devices=2, cache=False)
compiles.begin()
compiles.optimize(False)  # what modules compute while they are imported

jax.config.update("jax_numpy_rank_promotion", "raise")

for name, max_examples in (("fast", 25), ("thorough", 100)):
    hypothesis.settings.register_profile(
        name,
        max_examples=max_examples,
        deadline=None,  # the first example compiles
        derandomize=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
hypothesis.settings.load_profile("fast")

MOST_PROGRAMS = 1500  # kept in memory, about a gigabyte


@pytest.fixture(autouse=True, scope="module")
def _programs(request):
    """Programs of one file are of use to the next where they are compiled alike, but they take memory."""
    optimized = compiles.as_users_do(request.path, request.config.getoption("as_users"))
    compiles.stay_on_disk(request.path, request.config.rootpath / ".pytest_cache" / "programs")
    many = len(jax.devices()[0].client.live_executables()) > MOST_PROGRAMS
    if compiles.optimize(optimized) or many or optimized:
        jax.clear_caches()
        devices.forget_programs()


def pytest_addoption(parser):
    """What `make fast` and `make verify` add."""
    parser.addoption("--as-users", action="store_true", help="compile all programs of core and engine as users do")
    parser.addoption("--fast", action="store_true", help="leave out tests that take longer than costs.SLOW seconds")


def pytest_collection_modifyitems(config, items):
    """Those that compile alike one after another, longest files first, so that no worker is idle at the end."""
    known = costs.read()

    def place(item):
        optimized, file = compiles.as_users_do(item.path, config.getoption("as_users")), item.nodeid.partition("::")[0]
        return (not optimized, -known["files"].get(file, 1e3))

    items.sort(key=place)
    if config.getoption("fast"):
        slow = [item for item in items if item.nodeid.partition("[")[0] in known["slow"]]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item.nodeid.partition("[")[0] not in known["slow"]]


def pytest_collection_finish():
    """Look for garbage seldom, and not among modules and tests: tracing makes many objects that refer to each other."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def pytest_generate_tests(metafunc):
    """Run the tests of a `ModelContract` for each of its cases; in `make test` those of `ONCE` for the first one."""
    if "case" in metafunc.fixturenames and hasattr(metafunc.cls, "CASES"):
        first, once = next(iter(metafunc.cls.CASES)), metafunc.function.__name__ in metafunc.cls.ONCE
        cases = [
            pytest.param(case, id=name, marks=[pytest.mark.heavy] * (case.heavy or (once and name != first)))
            for name, case in metafunc.cls.CASES.items()
        ]
        metafunc.parametrize("case", cases)
