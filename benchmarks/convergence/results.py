"""What the main job found, as reports and files are made of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import xarray as xr

from benchmarks.convergence.parts import Picture, Scale
from dlcore.evidence.claims import Verdict
from dlcore.evidence.plans import Plan


class Results(NamedTuple):
    """Everything measured, and what it says.

    parts: name of a part to its measurements by name. verdicts: one of each claim. theory: verdicts of what follows
    from theory. tables: title to table. seconds: how long measuring took.
    """

    plan: Plan
    parts: Mapping[str, Mapping[str, xr.Dataset]]
    verdicts: Sequence[Verdict]
    theory: Sequence[Verdict]
    pictures: Sequence[Picture]
    tables: Mapping[str, pd.DataFrame]
    scale: Scale
    seconds: float
