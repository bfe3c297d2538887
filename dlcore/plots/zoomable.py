"""A page that shows a large map: moved and zoomed like one of streets, in one file, without a network."""

import base64
import io
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
import numpy as np

from dlcore.core.errors import DataError, described

TILE = 256  # pixels along each side
MOST_SHADES = 256  # an indexed PNG has no more
TEMPLATE = pathlib.Path(__file__).parent / "zoomable.html.jinja"


class LogAxis(NamedTuple):
    """A direction of a map. label: of it, with its unit. low, high: what the first and the last cell stand for."""

    label: str
    low: float
    high: float


def zoomable_map(
    shades: np.ndarray,
    palette: np.ndarray,
    meanings: Sequence[str],
    legend: Sequence[tuple[int, str]],
    *,
    title: str,
    x: LogAxis,
    y: LogAxis,
) -> str:
    """The page, as HTML.

    Args:
      shades: the map, as positions in the palette, [height, width]; row 0 is the lowest.
      palette: red, green and blue of each shade, [n, 3], 0 to 255, n <= 256, all different.
      meanings: what each shade says, [n]; shown for the cell under the pointer.
      legend: shades and what they stand for.
      title: of the page.
      x, y: what columns and rows stand for, at equal ratios.

    Raises:
      DataError: shades that are not in the palette, colors that are there twice.
    """
    shades, palette = np.asarray(shades), np.asarray(palette)
    _check(shades, palette, meanings)
    levels = _pyramid(np.flipud(shades).astype(np.uint8), palette.astype(np.uint8))
    content = {
        "height": shades.shape[0],
        "width": shades.shape[1],
        "tile": TILE,
        "levels": levels,
        "palette": palette.tolist(),
        "meanings": list(meanings),
        "x": x._asdict(),
        "y": y._asdict(),
    }
    named = [("#{:02x}{:02x}{:02x}".format(*palette[shade]), text) for shade, text in legend]
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text("utf-8"))
    return template.render(title=title, content=content, legend=named, cells=f"{shades.shape[0]} x {shades.shape[1]}")


def _check(shades: np.ndarray, palette: np.ndarray, meanings: Sequence[str]) -> None:
    count = len(palette)
    if palette.shape != (count, 3) or not 0 < count <= MOST_SHADES or len(np.unique(palette, axis=0)) < count:
        raise DataError(
            f"zoomable_map: palette is {described(palette)}; expects [n, 3], n from 1 to {MOST_SHADES}, all colors "
            "different: what a cell means is read from its color."
        )
    if len(meanings) != count:
        raise DataError(f"zoomable_map: {len(meanings)} meanings for {count} colors; expects as many of both.")
    if (
        shades.ndim != 2
        or not shades.size
        or shades.dtype.kind not in "iu"
        or shades.min() < 0
        or shades.max() >= count
    ):
        raise DataError(f"zoomable_map: shades is {described(shades)}; expects integers [height, width] below {count}.")


def _pyramid(shades: np.ndarray, palette: np.ndarray) -> list[list[list[str]]]:
    """Tiles of all levels, base64 of PNG: each level has every second cell of the one before; the last is one tile.

    Cells are left out, not averaged: a shade in between would mean what no cell means.
    """
    levels = []
    while True:
        rows, columns = (range(0, length, TILE) for length in shades.shape)
        levels.append([[_png(shades[i : i + TILE, j : j + TILE], palette) for j in columns] for i in rows])
        if len(rows) == len(columns) == 1:
            return levels
        shades = shades[::2, ::2]


def _png(shades: np.ndarray, palette: np.ndarray) -> str:
    from PIL import Image  # matplotlib needs it too

    image: Any = Image.fromarray(np.ascontiguousarray(shades), "L")
    image.putpalette(palette.tobytes())
    file = io.BytesIO()
    image.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()
