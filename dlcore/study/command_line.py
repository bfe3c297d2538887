"""How the command lines of the project end: what is a user's mistake has a message and no traceback."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import tyro

from dlcore.core.errors import DlcoreError


def run_subcommands(commands: Mapping[str, Callable[..., Any]], program: str) -> None:
    """Run the subcommand named in `sys.argv`; its options are the function's parameters.

    Exit codes: 2 for a wrong argument or wrong data, 130 after Ctrl-C.
    """
    try:
        tyro.extras.subcommand_cli_from_dict(dict(commands), prog=program)
    except DlcoreError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; what was not finished was not written.", file=sys.stderr)
        sys.exit(130)
