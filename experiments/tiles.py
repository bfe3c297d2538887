"""The trainability map alone, as large as one likes, in tiles: `python -m experiments map --size 4096`."""

import os
import pathlib
import time

import numpy as np
import xarray as xr

import dlcore as dl
from dlcore.core.arguments import integer
from dlcore.engine.durable.continuing import continuing, num_parts
from dlcore.engine.folders import check_output, replacing
from dlcore.engine.setup import exact_products
from dlcore.evidence.experiments import MOST_BLOCKS, Scale
from dlcore.plots import fates
from dlcore.plots.files import save_figure
from experiments.execution import DPI
from experiments.optimization.trainability_map import DECADES, HISTORY, LOWEST, QUESTION, STEPS, run_of

LANES = 256  # runs side by side, and in one file of a store
SIZES = integer(8, 16_384, meaning="runs along each side of the map")
BLOCK = integer(0, MOST_BLOCKS)


def draw_map(
    *,
    size: int = 512,
    tile: int = 512,
    seed_block: int = 1,
    output: pathlib.Path = pathlib.Path("results/map"),
    store: pathlib.Path | None = None,
    fresh: bool = False,
) -> None:
    """Run one network at SIZE x SIZE pairs of learning rates, and draw what becomes of it.

    OUTPUT gets a figure, a page to zoom into, and the numbers. Runs are kept as soon as they are finished: the same
    command goes on after whatever ended it.

    Args:
      size: runs along each side of the map; 512 takes a minute on 2 CPU cores, 4096 most of an hour.
      tile: runs along each side of a tile, which is kept as one study.
      seed_block: which network; that of `run trainability_map` with the same block.
      output: folder for the map.
      store: folder for the runs; OUTPUT-studies by default.
      fresh: remove the runs that earlier calls have kept, and compute all anew.
    """
    SIZES.check("size", size)
    SIZES.check("tile", tile)
    BLOCK.check("seed_block", seed_block)
    check_output(output)
    dl.setup()
    exact_products()
    folder = pathlib.Path(os.path.abspath(output))
    kept = (store or folder.with_name(f"{folder.name}-studies")) / f"{size}-{tile}-{seed_block}"
    began = time.perf_counter()
    with continuing(kept, fresh=fresh):
        there = num_parts(kept)
        found = run_tiles(Scale(block=seed_block, revision=len(HISTORY)).first_seed, size, tile, kept)
        computed = min(size**2, (num_parts(kept) - there) * LANES)
    seconds = time.perf_counter() - began
    if computed:
        speed = computed / seconds
        print(f"{computed:,} runs of {STEPS['default']} steps in {seconds:,.0f} s: {speed:,.0f} runs a second.")
    with replacing(folder) as new:
        dl.save(found, new / "results.zarr")
        (new / "map.html").write_text(fates.map_page(found, QUESTION), encoding="utf-8")
        save_figure(fates.map_figure(found), new / "map.png", dpi=DPI)


def run_tiles(seed: int, size: int, tile: int, folder: pathlib.Path) -> xr.Dataset:
    """All tiles, one study each: trained and steps, dims (first_rate, second_rate)."""
    fit = run_of(seed, STEPS["default"])
    rates = 10 ** np.linspace(LOWEST, LOWEST + DECADES, size)
    cuts = [slice(begin, begin + tile) for begin in range(0, size, tile)]
    options = {"lane_width": LANES, "final_state": False}
    rows: list[xr.Dataset] = []
    for i, first in enumerate(cuts):
        row = [
            dl.sweep(
                fit, first_rate=rates[first], second_rate=rates[second], store=folder / f"tile-{i}-{j}", **options
            ).isel(step=0, drop=True)
            for j, second in enumerate(cuts)
        ]
        rows.append(xr.concat(row, "second_rate", combine_attrs="override"))
    return xr.concat(rows, "first_rate", combine_attrs="override")
