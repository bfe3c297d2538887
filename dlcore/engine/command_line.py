"""How the command lines of the project end: nothing measured is lost to what reads or shows the output."""

import io
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import tyro

from dlcore.core.errors import DlcoreError, FailedCellsError
from dlcore.engine.threads import end_if_busy


class Lenient:
    """A stream that text goes to as far as it can be shown: a reader that has gone or a full disk stops no measurement.

    What the stream's encoding lacks is escaped.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write, or drop what nobody reads any more."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, or drop what nobody reads any more."""
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def run_subcommands(commands: Mapping[str, Callable[..., Any]], program: str) -> None:
    """Run the subcommand named in `sys.argv`; its options are the function's parameters.

    Exit codes: 0; 2 for a wrong argument or wrong data; 3 if cells of a study failed, the others being kept; 130 after
    Ctrl-C, with the notes of the `KeyboardInterrupt`, which say what was kept; 1 for a fault of ours.
    """
    for name in ("stdout", "stderr"):
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            setattr(sys, name, Lenient(stream))
    try:
        tyro.extras.subcommand_cli_from_dict(dict(commands), prog=program)
    except DlcoreError as error:
        print(f"error: {error}", file=sys.stderr)
        _exit(3 if isinstance(error, FailedCellsError) else 2)
    except KeyboardInterrupt as error:
        notes = getattr(error, "__notes__", ["what was not finished was not written."])
        print(f"interrupted; {' '.join(notes)}", file=sys.stderr)
        _exit(130)


def _exit(code: int) -> None:
    """End the process, without waiting for what its threads compute."""
    end_if_busy(code)
    sys.exit(code)
