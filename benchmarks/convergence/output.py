"""The results as files: measurements and verdicts first, then what is drawn of them."""

import json
import pathlib

import xarray as xr

import dlcore as dl
from benchmarks.convergence import report, verdicts
from benchmarks.convergence.design import plan
from benchmarks.convergence.parts import Scale
from benchmarks.convergence.results import Results
from benchmarks.timing import machine
from dlcore.engine.folders import replacing
from dlcore.evidence.plans import verdict_json
from dlcore.evidence.tables import condition_table

HISTORY, VERDICT = "history.zarr", "verdict.json"
NUMBERS = f"{HISTORY}, {VERDICT} and table.csv"


def store(results: Results, folder: pathlib.Path) -> None:
    """Write measurements, verdicts, figures and `report.html`; the old folder goes when all is there.

    A figure that fails is an error once the numbers are in their place.
    """
    failed: BaseException | None = None
    with replacing(folder) as new:
        dl.save(_tree(results), new / HISTORY)
        document = verdict_json(results.plan, results.verdicts, theory=results.theory, provenance=_origin(results))
        (new / VERDICT).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
        condition_table([*results.verdicts, *results.theory]).to_csv(new / "table.csv", index=False)
        (new / "table.md").write_text(verdicts.readme_table(results), encoding="utf-8")
        try:
            report.write(results, new)
        except BaseException as error:  # Ctrl-C too: hours of measurements outlive their pictures
            failed = error
    if failed is not None:
        failed.add_note(f"The measurements are in {folder}: {NUMBERS}.")
        raise failed


def read(folder: pathlib.Path, scale: Scale) -> dict[str, dict[str, xr.Dataset]] | None:
    """What `store` has written, by part and name; None if it is not there, or of another plan than that scale's."""
    try:
        origin = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if origin.get("plan_digest") != plan(scale).digest:
        return None
    tree = dl.load(folder / HISTORY)
    assert isinstance(tree, xr.DataTree), "of a group for each part"
    parts = {part: tree[part].children for part in tree.children}
    return {part: {name: group.to_dataset().load() for name, group in groups.items()} for part, groups in parts.items()}


def _tree(results: Results) -> xr.DataTree:
    groups = {f"{part}/{name}": data for part, measured in results.parts.items() for name, data in measured.items()}
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = _origin(results)
    return tree


def _origin(results: Results) -> dict[str, str | int | float]:
    """Where the numbers come from: machine, versions, seeds, plan."""
    scale = results.scale
    return {
        **machine(),
        "plan_digest": results.plan.digest,
        "block": scale.block,
        "quick": int(scale.quick),
        "first_seed": int(scale.seeds[0]),
        "num_seeds": scale.num_seeds,
        "first_tuning_seed": int(scale.tuning_seeds[0]),
        "num_tuning_seeds": scale.num_tuning_seeds,
        "seconds": round(results.seconds, 1),
    }
