"""What tests cost: `make costs` measures CPU seconds, their own and those of their processes, and writes `costs.json`.

`conftest.py` reads the file: files run longest first, so that no core is idle at the end, and `make fast` leaves out
the tests that are slow. What is not in the file counts as quick, and runs first.
"""

import collections
import json
import pathlib
import resource
import time

import pytest

FILE = pathlib.Path(__file__).with_name("costs.json")
SLOW = 0.2  # seconds of one test; make fast has none that takes longer


def read() -> dict:
    """`files`: seconds by file; `slow`: the tests that take longer than `SLOW`, without their parameters."""
    return json.loads(FILE.read_text()) if FILE.exists() else {"files": {}, "slow": []}


_seconds = collections.Counter()
_tests = collections.Counter()


def _spent() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Add up what each test takes, fixtures too."""
    before = _spent()
    try:
        return (yield)
    finally:
        name = item.nodeid.partition("[")[0]
        taken = _spent() - before
        _seconds[name.partition("::")[0]] += taken
        _tests[name] = max(_tests[name], taken)


def pytest_sessionfinish(session):
    """Write anew what was measured; keep what was not."""
    known = read()
    files = known["files"] | {name: round(seconds, 1) for name, seconds in _seconds.items()}
    slow = {name for name in known["slow"] if name not in _tests} | {n for n, taken in _tests.items() if taken > SLOW}
    root = session.config.rootpath
    files = {name: files[name] for name in sorted(files, key=files.get, reverse=True) if (root / name).exists()}
    FILE.write_text(json.dumps({"files": files, "slow": sorted(slow)}, indent=1) + "\n")
    packages = collections.Counter()
    for name, seconds in _seconds.items():
        packages["/".join(name.split("/")[:2])] += seconds
    for package, seconds in packages.most_common():
        print(f"{seconds:8.1f} CPU seconds  {package}")
