"""`python -m benchmarks.peers.worker LIBRARY SIDE FOLDER`: does the work in FOLDER, a turn for each line it reads.

It warms up and answers a line, then answers a line of JSON to each line that it reads; at the end of its input it ends.
With `--once` it does the work once, from the start of the process on, and ends.
"""

import importlib
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from benchmarks.peers.work import CannotError, Finished, read


def main(library: str, side: str, folder: str, *options: str) -> None:
    """Work until there is nothing more to read."""
    answers = _own_output()
    try:
        work, data = read(pathlib.Path(folder))
        run = importlib.import_module(f"benchmarks.peers.{library}").SIDES[side](work, data)
        if options != ("--once",):
            run()
    except CannotError as reason:
        _say(answers, {"cannot": str(reason)})
        return
    if options == ("--once",):
        _say(answers, _turn(run))
        return
    _say(answers, {"ready": True})
    for _ in sys.stdin:
        _say(answers, _turn(run))


def _own_output() -> TextIO:
    """The process' standard output; what libraries print goes to standard error."""
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return own


def _turn(run: Callable[[], Finished]) -> dict[str, Any]:
    began, cpu_began = time.perf_counter(), time.process_time()
    finished = run()
    seconds = {"": time.perf_counter() - began, "cpu": time.process_time() - cpu_began}
    return {**finished._asdict(), "seconds": seconds | finished.seconds}


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
