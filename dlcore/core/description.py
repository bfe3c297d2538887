"""What models, data sets, tasks and trainings print about themselves; nothing is computed, and nothing raises."""

import functools
import html
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

MAX_CLASSES_SHOWN = 10
MAX_ARRAYS_SHOWN = 4
MAX_NAMES_SHOWN = 12
WIDTH = 110


class Description(NamedTuple):
    """A thing in words. head: one line that makes sense alone. rows: (label, text); a text may stand by itself."""

    title: str
    head: str
    rows: Sequence[tuple[str, str]]

    def text(self) -> str:
        """For a terminal: the head, then a line for each row."""
        lines = [f"{self.title}: {self.head}"]
        for label, text in self.rows:
            row = f"{label}: {text}" if label else text
            lines += textwrap.wrap(row, WIDTH, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)

    def html(self) -> str:
        """For a notebook: the head and what stands by itself, above a table of the other rows."""
        style = "text-align: left; vertical-align: top; padding: 0 1em 0 0"
        alone = "".join(f"<br>{html.escape(text)}" for label, text in self.rows if not label)
        rows = "".join(
            f"<tr><td style='{style}; white-space: nowrap'>{html.escape(label)}</td>"
            f"<td style='{style}'>{html.escape(text)}</td></tr>"
            for label, text in self.rows
            if label
        )
        title, head = html.escape(self.title), html.escape(self.head)
        return f"<div><b>{title}</b>: {head}{alone}<table style='margin: 0'>{rows}</table></div>"


def model(value: Any) -> Description:
    """How many parameters, the first arrays, the state if there is one, the parts."""
    try:
        params, state = _initial(value)
    except Exception as error:
        return Description("Model", f"its init fails, {_reason(error)}", _parts(value))
    rows = [(name, _arrays(tree)) for name, tree in (("params", params), ("state", state)) if jax.tree.leaves(tree)]
    return Description("Model", _size(params), [*rows, *_parts(value)])


def task(value: Any) -> Description:
    """The model, the data and what is reported of them."""
    params = functools.cache(lambda: _initial(value.model)[0])
    return Description(
        "Task",
        _attempt(lambda: f"a model of {_size(params())} on {value.data.name}"),
        [
            ("params", _attempt(lambda: _arrays(params()))),
            ("data", _attempt(lambda: f"{value.data.name}, {_rows_and_shapes(value.data)}")),
            ("reports", _attempt(lambda: _names(_reported(value)))),
        ],
    )


def training(value: Any) -> Description:
    """Its length, where on the axes of time it records, and what."""
    return Description(
        "Training",
        _attempt(lambda: _length(value)) + _attempt(lambda: _steps(value), "") + _devices(value),
        [("recorded at", _attempt(lambda: _times(value))), ("records", _attempt(lambda: _recorded(value)))],
    )


def dataset(data: Any) -> Description:
    """Source, sizes, shapes, dtypes, class balance, names of input columns and normalization."""
    rows = [("", line) for line in (class_balance(data), absent_classes(data)) if line]
    if data.input_names:
        rows.append(("input columns", _first(data.input_names, MAX_NAMES_SHOWN)))
    for part in ("input", "target"):
        if vocabulary := getattr(data, f"{part}_vocabulary"):
            rows.append((f"{part} vocabulary", repr(vocabulary)))
    head = f"{_rows_and_shapes(data)}; from {data.source}"
    return Description(f"Dataset {data.name}", head, [*rows, ("normalization", data.normalization)])


def _rows_and_shapes(data: Any) -> str:
    sizes = ", ".join(f"{split} {getattr(data, split).num_rows}" for split in data.splits)
    targets = "no targets" if data.train.targets is None else f"targets {arrays(data.train.targets)}"
    weighted = [split for split in data.splits if getattr(data, split).weights is not None]
    weights = f", weights of {' and '.join(weighted)}" if weighted else ""
    return f"{sizes}; inputs {arrays(data.train.inputs)}, {targets}{weights}"


def _attempt(words: Callable[[], str], otherwise: str | None = None) -> str:
    """The words, or why there are none: whatever a hand-written function raises, printing it does not."""
    try:
        return words()
    except Exception as error:
        return f"unknown, {_reason(error)}" if otherwise is None else otherwise


def _reason(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "")
    return textwrap.shorten(f"{type(error).__name__}: {first}", 2 * WIDTH, placeholder=" ...")


def _key() -> Any:
    """Shape and dtype of a key; a key itself would start JAX, before `dl.setup` perhaps."""
    return jax.eval_shape(jax.random.key, 0)


def _initial(value: Any) -> tuple[Any, Any]:
    """Shapes and dtypes of a model's (params, state)."""
    initial = jax.eval_shape(value.init, _key())
    if not isinstance(initial, tuple) or len(initial) != 2:
        raise TypeError(f"it gives a {type(initial).__name__}, not the pair (params, state)")
    return initial


def _size(params: Any) -> str:
    leaves = jax.tree.leaves(params)
    count = sum(leaf.size for leaf in leaves)
    dtypes = ", ".join(sorted({str(leaf.dtype) for leaf in leaves}))
    return f"{_number(count)} parameter{'s' * (count != 1)}" + f" ({dtypes})" * bool(leaves)


def _arrays(tree: Any) -> str:
    """Path and shape of the first arrays of a tree."""
    named = [
        f"{jax.tree_util.keystr(path, simple=True, separator='.')} {list(leaf.shape)}".strip()
        for path, leaf in jax.tree.leaves_with_path(tree)
    ]
    return _first(named, MAX_ARRAYS_SHOWN)


def _names(shapes: Any) -> str:
    """Names of records, with the shapes of those that are no single numbers."""
    named = [f"{name} {list(leaf.shape)}" if getattr(leaf, "shape", ()) else str(name) for name, leaf in shapes.items()]
    return _first(named, MAX_NAMES_SHOWN)


def _first(words: Sequence[str], most: int) -> str:
    more = f", and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _parts(value: Any) -> list[tuple[str, str]]:
    names = _attempt(lambda: ", ".join(value.parts or ()))
    return [("parts", names)] if names else []


def _reported(value: Any) -> dict[str, Any]:
    """Shapes of the loss and the metrics of a task."""
    train = jax.tree.map(
        lambda values: jax.ShapeDtypeStruct(values.shape, values.dtype), value.data.train, is_leaf=_is_array
    )

    def objective(key, batch):
        params, state = value.model.init(key)
        loss, (metrics, _) = value.objective(params, state, batch)
        return {"loss": loss, **metrics}

    reported = jax.eval_shape(objective, _key(), train)
    return {"loss": reported.pop("loss"), **reported}


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype")


def _recorded(value: Any) -> str:
    """What a training records, from `measure`, which steps nowhere, and from what it says of itself."""
    described = dict.fromkeys(value.attrs)
    if value.measure is None:  # `advance` may take long to trace
        return _names(described) if described else "what its function advance returns"
    return _names(described | jax.eval_shape(lambda: value.measure(value.init())))


def _length(value: Any) -> str:
    records = "1 record" if value.num_records == 1 else f"{_number(value.num_records)} records"
    return records + " and the one at step 0" * (value.measure is not None)


def _steps(value: Any) -> str:
    return f", {_number(np.asarray(value.coordinates['step'])[-1])} steps"


def _devices(value: Any) -> str:
    return "" if value.mesh is None else f", on {value.mesh.size} devices"


def _times(value: Any) -> str:
    """First and last value of each coordinate."""
    kept = slice(0 if value.measure is not None else 1, None)
    times = dict(value.coordinates) or {"step": np.arange(value.num_records + 1)}
    return ", ".join(
        f"{name} {_number(values[0])} to {_number(values[-1])}"
        for name, values in ((name, np.asarray(values)[kept]) for name, values in times.items())
    )


def _number(value: Any) -> str:
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace(",", " ")
    return f"{value:.6g}" if isinstance(value, float | np.floating) else repr(value)


def class_balance(data: Any) -> str:
    """Rows of each class in the train split, for named classes; else the range of the targets; "" if unknown."""
    targets = data.train.targets
    if targets is None or isinstance(targets, Tracer | dict | tuple) or not targets.size:
        return ""
    if not is_labels(data):
        return f"targets from {float(targets.min()):.4g} to {float(targets.max()):.4g} (train)"
    classes, counts = np.unique(targets, return_counts=True)
    if data.target_names and classes[-1] < len(data.target_names):  # those without rows as well
        classes, counts = range(len(data.target_names)), np.bincount(targets, minlength=len(data.target_names))
    total = f"{len(counts)} classes (rows in train): "
    if len(counts) > MAX_CLASSES_SHOWN:
        least, most = int(counts.argmin()), int(counts.argmax())
        rare, common = label(data, int(classes[least])), label(data, int(classes[most]))
        if counts[least] == counts[most]:
            return total + f"{counts[least]} each"
        return total + f"from {counts[least]} ({rare}) to {counts[most]} ({common})"
    return total + ", ".join(
        f"{label(data, int(number))} {count}" for number, count in zip(classes, counts, strict=True)
    )


def absent_classes(data: Any) -> str:
    """Which named classes that train has are in no row of another split: nothing is measured of them there."""
    if not data.target_names or isinstance(data.train.targets, Tracer) or not is_labels(data):
        return ""
    gaps = []
    for split in data.splits[1:]:
        targets = getattr(data, split).targets
        if not isinstance(targets, Tracer) and (missing := np.setdiff1d(data.train.targets, targets)).size:
            names = _first([label(data, int(number)) for number in missing], MAX_CLASSES_SHOWN)
            gaps.append(f"{split} has no row of {names}")
    return "; ".join(gaps)


def is_labels(data: Any) -> bool:
    """Whether the targets are one class label [N] each."""
    targets = data.train.targets
    if targets is None or isinstance(targets, dict | tuple):
        return False
    return targets.ndim == 1 and targets.dtype.kind in "iu" and bool(targets.min() >= 0)


def label(data: Any, target: int) -> str:
    """Name of a class, or its number."""
    return data.target_names[target] if 0 <= target < len(data.target_names) else f"class {target}"


def array(values: Any) -> str:
    """`float32[N, 64]`, for a batch of rows."""
    return f"{values.dtype}[N{''.join(f', {size}' for size in values.shape[1:])}]"


def arrays(values: Any) -> str:
    """The same for several arrays, by name or in order: `{age: float32[N], image: uint8[N, 8, 8]}`."""
    if values is None:
        return "None"
    if isinstance(values, dict):
        return "{" + ", ".join(f"{name}: {arrays(each)}" for name, each in sorted(values.items())) + "}"
    if isinstance(values, tuple):
        return f"({', '.join(map(arrays, values))})"
    return array(values)
