"""`python -m tests.fuzz --calls 10000`: public functions with arguments that are partly nonsense.

A call may succeed or raise one of the library's errors; any other exception, or no answer within the time, is a fault.
"""

import collections
import contextlib
import functools
import io
import os
import pathlib
import signal
import sys
import tempfile
import traceback
import warnings

import jax
import numpy as np
import tyro

import dlcore as dl

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import examples

SECONDS = 30  # a call that takes longer hangs


class TooSlow(BaseException):
    """Raised in a call that does not end."""


def main(calls: int = 1000, seed: int = 0, only: str = "", verbose: bool = False) -> None:
    """Call public functions with one to three arguments replaced by nonsense; exit 1 if one fails in other words.

    Args:
      calls: how many, evenly over the functions.
      seed: of the choice of arguments.
      only: functions whose path below `dl` begins with this.
      verbose: print the traceback of each fault.
    """
    dl.setup(num_devices=1, cache=False)
    functions = {path: f for path, f in examples.public_functions().items() if path.startswith(only)}
    made, nonsense = examples.examples(), list(examples.junk())
    random = np.random.default_rng(seed)
    outcomes: collections.Counter[str] = collections.Counter()
    faults: collections.Counter[str] = collections.Counter()
    signal.signal(signal.SIGALRM, _too_slow)
    folder = tempfile.mkdtemp()
    os.chdir(folder)  # nothing that is written may land in the checkout
    os.environ |= {"DLCORE_CACHE": folder, "DLCORE_DATA": folder}
    os.environ |= {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https", "all")}  # and no network
    for number in range(calls):
        path = sorted(functions)[number % len(functions)]
        given = made[path]() if path in made else {}
        changed = random.choice(sorted(given), size=min(len(given), 1 + number % 3), replace=False) if given else []
        for name in changed:
            given[name] = nonsense[random.integers(len(nonsense))]
        what = f"{path}({', '.join(f'{name}={given[name]!r:.60}' for name in changed)})"
        outcome = _outcome(functools.partial(examples.call, functions[path], given), verbose)
        outcomes[outcome if outcome in ("value", "refused") else "fault"] += 1
        if outcome not in ("value", "refused"):
            faults[f"{path}: {outcome}"] += 1
            print(f"{what}: {outcome}", flush=True)
        if number % 200 == 199:
            jax.clear_caches()
    print(f"{calls} calls: " + ", ".join(f"{count} {name}" for name, count in outcomes.items()))
    sys.exit(1 if faults else 0)


def _outcome(call, verbose: bool) -> str:
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            call()
    except dl.DlcoreError:
        return "refused"
    except TooSlow:
        return f"no answer in {SECONDS} s"
    except Exception as error:
        if verbose:
            traceback.print_exc()
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]
    finally:
        signal.alarm(0)
    return "value"


def _too_slow(signum, frame):
    raise TooSlow


if __name__ == "__main__":
    tyro.cli(main)
