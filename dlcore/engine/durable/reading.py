"""What stores hold, while they are computed or afterwards, without the functions that they come from."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from dlcore.core.arguments import arguments
from dlcore.core.arguments import path as a_path
from dlcore.core.errors import ArgumentError, DataError, DlcoreError
from dlcore.engine.durable import parts
from dlcore.engine.durable.cells import Cells, Wanted
from dlcore.engine.durable.folder import Store, is_store
from dlcore.engine.durable.outline import Outline, merged
from dlcore.engine.later import pd, xr
from dlcore.engine.results import FINAL_STATE, Kept, Table, name_of_program
from dlcore.engine.timeline import Timeline

COLUMNS = ("finished", "planned", "failed", "seconds", "last written", "axes", "where", "question")  # narrow ones first


@arguments(folder=a_path)
def studies(folder: str | os.PathLike) -> pd.DataFrame:
    """The stores in a folder and the folders in it, also of studies that run: one row for each, by its path.

    Returns:
      columns: finished and planned (numbers of cells), failed (of those that are not finished), seconds (of computing,
      all devices together), last written (UTC), axes, where (host and device), question (of the function's docstring).

    Raises:
      ArgumentError: there is no such folder.

    Example:
      >>> def fit(start):
      ...     "How fast a number halves"
      ...     return dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": x / 2}), num_records=2)
      >>> runs = dl.sweep(fit, start=np.array([1.0, 8.0]), store="runs/halves")
      >>> dl.studies("runs")[["question", "finished", "planned"]]
                              question  finished  planned
      store
      halves  How fast a number halves         2        2
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise ArgumentError(f"there is no folder {os.fspath(folder)!r}; expects one that holds stores.")
    found = {}
    for path in stores_in(root):
        try:
            found[path.relative_to(root).as_posix()] = _row(path)
        except DlcoreError as error:
            found[path.relative_to(root).as_posix()] = {"question": f"cannot be read: {error}"}
    frame = pd.DataFrame.from_dict(found, orient="index", columns=list(COLUMNS)).sort_index()
    frame.index.name = "store"
    return frame.astype(dict.fromkeys(("finished", "planned", "failed"), "Int64"))


def results_of(path: str | os.PathLike) -> xr.Dataset:
    """What there is in a store: all that its calls asked for, the rest missing and not `finished`.

    Raises:
      DataError: a part is damaged.
    """
    store, outline, cells = opened(path)
    study = outline.study
    names = [name_of_program(each.static) for each in outline.asked]
    timeline = Timeline(study, [each.clock for each in outline.asked], names, outline.along)
    table = Table(study, [each.variables for each in outline.asked], timeline)
    for position, (_, rows) in enumerate(study.programs):
        for found in cells.read(position, [cells.look(position, row) for row in rows.tolist()]):
            table.put(found)
    return table.dataset(outline.descriptions, {**outline.attrs, "store": store.given}, always_finished=True)


def opened(path: str | os.PathLike) -> tuple[Store, Outline, Cells]:
    """A store, all that its calls asked for, and what there is of that."""
    store = Store(path, create=False)
    outlines = store.outlines()
    if not outlines:
        raise ArgumentError(f"the store {store.given!r} is empty: nothing was asked for yet. Load it later.")
    store.refresh(strict=True)
    outline = merged(outlines, store.programs())
    wanted = [Wanted(each.program, each.clock.num_records, None) for each in outline.asked]
    kept = {name.split(".")[0] for each in outline.asked for name in each.variables.final}
    return store, outline, Cells(store, outline.study, wanted, Kept("params" in kept, FINAL_STATE in kept))


def stores_in(root: pathlib.Path) -> list[pathlib.Path]:
    """The stores in a folder and the folders in it, or the folder itself."""
    found = []
    for parent, folders, _ in os.walk(root):
        if is_store(pathlib.Path(parent)):
            found.append(pathlib.Path(parent))
            folders.clear()
        links = [pathlib.Path(parent, name) for name in folders if os.path.islink(os.path.join(parent, name))]
        found += [link for link in links if is_store(link)]  # which `walk` does not follow
    return found


def _row(path: pathlib.Path) -> dict[str, Any]:
    store, outline, cells = opened(path)
    study = outline.study
    over = {
        row: cells.look(position, row).over
        for position, (_, rows) in enumerate(study.programs)
        for row in rows.tolist()
        if outline.asked[position].program
    }
    failed = {_failed_cell(file) for file in parts.listing(store.path / "failed")}
    if failed:
        failed &= set(study.cell_words(*(row for row, is_over in over.items() if not is_over)))
    last = max(store.written, default=None)
    return {
        "question": outline.question,
        "axes": ", ".join(f"{dim} {len(along[0])}" for dim, along in outline.dims.items()) or "one run",
        "finished": sum(over.values()),
        "planned": len(over),
        "failed": len(failed),
        "last written": last and pd.Timestamp(last.when, unit="s").round("s"),
        "where": last and f"{last.host}, {last.device}",
        "seconds": round(sum(each.seconds for each in store.written), 1),
    }


def _failed_cell(file: pathlib.Path) -> str | None:
    """Which cell failed; None if the file does not say."""
    try:
        return json.loads(parts.read_bytes(file))["labels"]
    except (DataError, ValueError, KeyError, TypeError):
        return None
