"""Scripts in processes of their own, for what only a fresh process shows: device counts, signals, memory."""

import os
import pathlib
import sys
import textwrap

import compiles

TESTS = pathlib.Path(__file__).parent


def script_of(script: str, *arguments: str) -> dict:
    """Arguments of `subprocess` for a script that finds the tests' modules; what `dl.setup` sets is not inherited.

    Its programs are compiled as those of the test are.
    """
    own = ("XLA_FLAGS", "PJRT_NPROC", "PYTHONWARNINGS")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment["XLA_FLAGS"] = compiles.flags()
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
    # A process started in the background ignores Ctrl-C, and so would what it starts.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    return {"args": [sys.executable, "-c", listening + textwrap.dedent(script), *arguments], "env": environment}
