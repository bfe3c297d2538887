"""Figures of samples: what the rows of a data set look like, each with its target."""

from typing import TYPE_CHECKING

import numpy as np

from dlcore.core import description
from dlcore.core.arguments import NONE, arguments, instance, integer, one_of, text
from dlcore.core.dataset import Dataset, Split, one_array
from dlcore.core.errors import ArgumentError, suggest
from dlcore.engine.dtypes import on_host

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("image", "text", "points", "strokes", "series", "table")
MAX_POINTS = 2000
MAX_COLUMNS_SHOWN = 40
MAX_CLASSES_IN_LEGEND = 10
TITLE_LENGTH = 18


@arguments(data=instance(Dataset), split=text, num_rows=integer(1, 10_000), kind=one_of(*KINDS) | NONE)
def samples(data: Dataset, split: str = "train", num_rows: int = 12, kind: str | None = None) -> "Figure":
    """Draw rows spread evenly over a split, each with its target; `Dataset.plot` is the same.

    Args:
      data: the data set.
      split: "train", or another that it has.
      num_rows: how many rows.
      kind: "image", "text", "points" (1 or 2 features), "strokes" [N, points, 2], "series" [N, time, channels] or
        "table"; by default what the arrays look like.

    Raises:
      ArgumentError: a split there is not, a kind that does not fit the arrays.

    Example:
      >>> figure = dl.plots.samples(dl.data.from_arrays(np.eye(2), np.array([0, 1])), "train", num_rows=2)
      >>> figure.axes[0].get_xlabel()
      'input 0'
    """
    if split not in data.splits:
        raise ArgumentError(f"samples: split is {split!r}; {suggest(split, data.splits)}")
    for part in ("inputs", "targets"):
        one_array(data, part, "samples")
    kind = kind or _kind(data)
    if not _fits(data, kind):
        raise ArgumentError(
            f"inputs are {description.array(data.train.inputs)}; they cannot be drawn as {kind}. "
            f"Leave kind out for {_kind(data)!r}, or reshape them."
        )
    drawn = {"points": _points, "text": _text, "table": _table}.get(kind)
    figure = drawn(data, split, num_rows) if drawn else _grid(data, split, num_rows, kind)
    figure.suptitle(_clipped(f"{data.name}, {split}", 70), fontsize=11)
    return figure


def _spread(data: Dataset, split: str, num_rows: int) -> "Split":
    """Rows spread evenly over the split: rows of files often come class by class."""
    inputs, targets = getattr(data, split)[:2]
    rows = np.linspace(0, len(inputs) - 1, min(num_rows, len(inputs))).round().astype(int)
    return Split(_drawable(inputs[rows]), _drawable(targets[rows]))


def _drawable(values: np.ndarray) -> np.ndarray:
    """In a dtype that NumPy and matplotlib calculate with; bfloat16 is none."""
    return values.astype(on_host(values.dtype), copy=False)


def _kind(data: Dataset) -> str:
    inputs = data.train.inputs
    if data.input_vocabulary is not None:
        return "text"
    if (
        data.image_shape
        or (inputs.ndim == 3 and min(inputs.shape[1:]) > 3)
        or (inputs.ndim == 4 and inputs.shape[3] in (1, 3))
    ):
        return "image"
    if inputs.ndim == 2 and inputs.shape[1] <= 2:
        return "points"
    if inputs.ndim == 3:
        return "strokes" if inputs.shape[2] == 2 and inputs.shape[1] < 20 else "series"
    return "table"


def _fits(data: Dataset, kind: str) -> bool:
    inputs = data.train.inputs
    return {
        "image": bool(data.image_shape) or inputs.ndim == 3 or (inputs.ndim == 4 and inputs.shape[3] in (1, 3)),
        "text": data.input_vocabulary is not None and inputs.ndim == 2,
        "points": inputs.ndim == 2 and inputs.shape[1] <= 2,
        "strokes": inputs.ndim == 3 and inputs.shape[2] == 2,
        "series": inputs.ndim in (2, 3),
        "table": True,
    }[kind]


def _grid(data: Dataset, split: str, num_rows: int, kind: str) -> "Figure":
    inputs, targets = _spread(data, split, num_rows)[:2]
    draw = {"image": _draw_image, "strokes": _draw_strokes, "series": _draw_series}[kind]
    columns = min(6, len(inputs))
    lines = -(-len(inputs) // columns)
    figure, axes = _subplots(lines, columns, (1.6 * columns, 1.9 * lines + 0.5))
    low, high = float(inputs.min()), float(inputs.max())
    for axis, row, target in zip(axes.flat, inputs, targets, strict=False):
        draw(axis, row, data, low, high)
        if kind == "image" and target.ndim == 2 and target.shape[1] == 6:
            _draw_boxes(axis, target)
            continue
        axis.set_title(_clipped(_target(data, target), TITLE_LENGTH), fontsize=9)
    for axis in axes.flat[len(inputs) :]:
        axis.set_axis_off()
    return figure


def _draw_image(axis: "Axes", row: np.ndarray, data: Dataset, low: float, high: float) -> None:
    image = row.reshape(data.image_shape) if data.image_shape else row
    if image.ndim == 3 and image.dtype.kind == "f":
        image = np.clip((image - low) / max(high - low, 1e-9), 0, 1)
    axis.imshow(image, cmap="gray", vmin=low, vmax=high)
    axis.set_axis_off()


def _draw_boxes(axis: "Axes", target: np.ndarray) -> None:
    """Rows (present, label, top, left, bottom, right), as `scattered_digits` makes them."""
    from matplotlib.patches import Rectangle

    for _, label, top, left, bottom, right in target[target[:, 0] > 0]:
        axis.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor="C1"))
        axis.text(left, top - 0.5, f"{label:.0f}", color="C1", fontsize=7, va="top")


def _draw_strokes(axis: "Axes", row: np.ndarray, data: Dataset, low: float, high: float) -> None:
    axis.plot(row[:, 0], row[:, 1], marker=".")
    axis.plot(row[0, 0], row[0, 1], marker="o")  # where the pen starts
    margin = 0.05 * (high - low)
    axis.set(
        xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal", xticks=[], yticks=[]
    )


def _draw_series(axis: "Axes", row: np.ndarray, data: Dataset, low: float, high: float) -> None:
    axis.plot(row)
    axis.set(xticks=[], yticks=[])


def _points(data: Dataset, split: str, num_rows: int) -> "Figure":
    """All points (not the first few), by class; for one feature, the target against it."""
    inputs, targets = map(_drawable, getattr(data, split).select(slice(MAX_POINTS))[:2])
    figure, axes = _subplots(1, 1, (5, 4))
    axis = axes.flat[0]
    classes = np.unique(targets) if description.is_labels(data) else []
    if inputs.shape[1] == 1:
        axis.scatter(inputs[:, 0], targets.reshape(len(targets), -1)[:, 0], s=8)
        axis.set(xlabel="input", ylabel="target")
    elif 0 < len(classes) <= MAX_CLASSES_IN_LEGEND:
        for label in classes:
            axis.scatter(*inputs[targets == label].T, s=8, label=description.label(data, int(label)))
        figure.legend(loc="outside right upper", fontsize=9)
        axis.set(xlabel="input 0", ylabel="input 1")
    else:
        drawn = axis.scatter(*inputs.T, s=8, c=targets.reshape(len(targets), -1)[:, 0])
        figure.colorbar(drawn, ax=axis, label="target")
        axis.set(xlabel="input 0", ylabel="input 1")
    return figure


def _text(data: Dataset, split: str, num_rows: int) -> "Figure":
    inputs, targets = _spread(data, split, num_rows)[:2]
    assert data.input_vocabulary is not None
    lines = []
    for row, target in zip(inputs, targets, strict=True):
        lines.append(_clipped(_visible(data.input_vocabulary.decode(row)), 96))
        lines.append("    -> " + _clipped(_visible(_target(data, target)), 90))
    figure, axes = _subplots(1, 1, (9, 0.22 * len(lines) + 0.6))
    axes.flat[0].set_axis_off()
    # A dollar sign would start a formula.
    written = "\n".join(lines).replace("$", r"\$")
    axes.flat[0].text(0, 1, written, family="monospace", fontsize=8, va="top", transform=axes.flat[0].transAxes)
    return figure


def _table(data: Dataset, split: str, num_rows: int) -> "Figure":
    """A row of cells for each row of the data, colored by value; each column scaled to its range in these rows."""
    inputs, targets = _spread(data, split, num_rows)[:2]
    cells = inputs.reshape(len(inputs), -1)[:, :MAX_COLUMNS_SHOWN].astype(float)
    low, span = cells.min(axis=0), np.ptp(cells, axis=0)
    figure, axes = _subplots(1, 1, (min(9.0, 3 + 0.25 * cells.shape[1]), 0.25 * len(cells) + 1.2))
    axis = axes.flat[0]
    axis.imshow((cells - low) / np.where(span > 0, span, 1), aspect="auto", cmap="viridis")
    labels = [_clipped(_target(data, target), TITLE_LENGTH) for target in targets]
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.set_xlabel("input column" + f" (first {MAX_COLUMNS_SHOWN})" * (inputs[0].size > MAX_COLUMNS_SHOWN))
    axis.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _target(data: Dataset, target: np.ndarray) -> str:
    if target.ndim == 1 and data.target_vocabulary is not None:
        return data.target_vocabulary.decode(target)
    if target.ndim == 0:
        return description.label(data, int(target)) if target.dtype.kind in "iu" else f"{float(target):.3g}"
    return np.array2string(target, precision=2) if target.size <= 3 else ""


def _clipped(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _visible(text: str) -> str:
    return text.replace("\n", "\u21b5")


def _subplots(lines: int, columns: int, size: tuple[float, float]):
    from dlcore.plots.figures import ShownFigure  # imports matplotlib

    figure = ShownFigure(figsize=size, layout="constrained")
    return figure, figure.subplots(lines, columns, squeeze=False)
