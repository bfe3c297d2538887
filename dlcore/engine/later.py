"""xarray and pandas, imported when they are first used: a third of what `import dlcore` would take.

A study needs them for its results only, so `run_blocks` has them loaded while XLA compiles.
"""

import importlib
import types
from typing import TYPE_CHECKING, Any


class Later(types.ModuleType):
    """Stands for the module of its name, and imports it when something in it is asked for, from whichever thread."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
else:
    pd, xr = Later("pandas"), Later("xarray")

__all__ = ["load", "pd", "xr"]


def load() -> None:
    """Import what results are made of, now."""
    importlib.import_module(xr.__name__)
