"""An experiment end to end: measured, judged, drawn, written down."""

import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import xarray as xr

import dlcore as dl
from dlcore.engine.folders import replacing
from dlcore.engine.provenance import machine
from dlcore.evidence.claims import Verdict
from dlcore.evidence.experiments import Experiment, Measured, Picture, Scale
from dlcore.evidence.plans import verdict_json
from dlcore.evidence.tables import condition_table
from dlcore.plots.files import save_figure
from experiments.catalog import load

DPI = 130
RESULTS, VERDICT = "results.zarr", "verdict.json"  # of a folder that `write` has written


class Ran(NamedTuple):
    """An experiment that was run. seconds: that measuring took."""

    name: str
    experiment: Experiment
    scale: Scale
    measured: Measured
    seconds: float

    def verdicts(self) -> Sequence[Verdict]:
        """What was measured says."""
        return self.experiment.judge(self.measured)

    def origin(self) -> dict[str, Any]:
        """Where the numbers come from."""
        how = {"experiment": self.name, "scale": self.scale.name, "block": self.scale.block}
        return {**machine(), **how, "revision": self.scale.revision, "seconds": round(self.seconds, 1)}

    def document(self, verdicts: Sequence[Verdict]) -> dict[str, Any]:
        """Plan, verdicts and provenance as JSON holds them, and in words what each verdict means."""
        answers = {each.claim.name: answer(self.experiment, each) for each in verdicts}
        found = verdict_json(self.experiment.plan(self.scale), verdicts, provenance=self.origin())
        return found | {"answers": answers}


def answer(experiment: Experiment, verdict: Verdict) -> str:
    """What a student should remember of a verdict."""
    return experiment.answers.get(verdict.claim.name, {}).get(verdict.outcome, verdict.summary)


def run(name: str, scale: Scale) -> Ran:
    """Measure; runs that the scale's folder has kept are read."""
    began = time.perf_counter()
    measured = load(name).measure(scale)
    return Ran(name, load(name), scale, measured, time.perf_counter() - began)


def write(ran: Ran, folder: pathlib.Path) -> Sequence[Verdict]:
    """Write what was measured, then judge and draw it; the old folder goes when all is there.

    Returns:
      the verdicts. A judge or a figure that fails is an error once the measurements are in their place.
    """
    failed, verdicts = None, []
    with replacing(folder) as new:
        dl.save(_tree(ran), new / RESULTS)
        try:
            verdicts = ran.verdicts()
            text = json.dumps(ran.document(verdicts), indent=1, allow_nan=False)
            (new / VERDICT).write_text(text + "\n", encoding="utf-8")
            condition_table(verdicts).to_csv(new / "table.csv", index=False)
            _draw(ran.experiment.draw(ran.measured), new)
            for page, make in ran.experiment.pages.items():
                (new / page).write_text(make(ran.measured), encoding="utf-8")
        except BaseException as error:  # Ctrl-C too: what was measured outlives what is made of it
            failed = error
    if failed is not None:
        failed.add_note(f"The measurements are in {folder}.")
        raise failed
    return verdicts


def _draw(pictures: Sequence[Picture], folder: pathlib.Path) -> None:
    for picture in pictures:
        save_figure(picture.figure, folder / f"{picture.name}.png", dpi=DPI)
    captions = {picture.name: picture.caption for picture in pictures}
    (folder / "captions.json").write_text(json.dumps(captions, indent=1) + "\n", encoding="utf-8")


def _tree(ran: Ran) -> xr.DataTree:
    tree = xr.DataTree.from_dict(dict(ran.measured))
    tree.attrs = ran.origin()
    return tree
