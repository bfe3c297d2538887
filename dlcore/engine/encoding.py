"""Results in a form that Zarr holds exactly, and back: names, labels of any kind, stacked dimensions, attributes.

What Zarr holds as it is stays readable by any tool. The rest is JSON in the attribute `dlcore` of its variable
or group.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

import jax.numpy as jnp
import ml_dtypes
import numpy as np

from dlcore.core.arguments import concrete
from dlcore.core.errors import ArgumentError, shown
from dlcore.engine.later import pd, xr

NOTE = "dlcore"
INTERPRETED = {  # attributes that xarray gives a meaning of its own when it reads
    *(NOTE, "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "dtype", "_ARRAY_DIMENSIONS"),
    *("coordinates", "grid_mapping", "bounds", "cell_measures", "formula_terms", "ancillary_variables", "climatology"),
}
LONGEST_NAME = 200  # bytes of a file's name, with room for what is appended

# Tag to: the type, how a value becomes JSON, and how it comes back.
TAGS: dict[str, tuple[type | tuple[type, ...], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "bytes": (bytes, lambda v: base64.b64encode(v).decode(), base64.b64decode),
    "float": (float, repr, float),  # those that are not finite
    "complex": (complex, lambda v: [repr(v.real), repr(v.imag)], lambda v: complex(float(v[0]), float(v[1]))),
    "tuple": (tuple, lambda v: [to_json(each) for each in v], lambda v: tuple(from_json(each) for each in v)),
    "list": (list, lambda v: [to_json(each) for each in v], lambda v: [from_json(each) for each in v]),
    "dict": (
        dict,
        lambda v: [[to_json(key), to_json(each)] for key, each in v.items()],
        lambda v: {from_json(key): from_json(each) for key, each in v},
    ),
    "datetime": (datetime.datetime, lambda v: v.isoformat(), datetime.datetime.fromisoformat),
    "date": (datetime.date, lambda v: v.isoformat(), datetime.date.fromisoformat),
    "timedelta": (
        datetime.timedelta,
        lambda v: [v.days, v.seconds, v.microseconds],
        lambda v: datetime.timedelta(*v),
    ),
    "time64": (
        (np.datetime64, np.timedelta64),
        lambda v: [v.dtype.str, int(v.astype("i8"))],
        lambda v: np.int64(v[1]).view(v[0]),
    ),
    "array": (
        np.ndarray,
        lambda v: [_plain_dtype(v), list(v.shape), [to_json(each) for each in v.ravel().tolist()]],
        lambda v: np.array([from_json(each) for each in v[2]], v[0]).reshape(v[1]),
    ),
}


def check_saveable(names: Iterable[Any], labels: Mapping[Any, Any] | None = None) -> None:
    """Raise `ArgumentError` unless results with these names and labels can be saved.

    Args:
      names: of variables and dimensions.
      labels: dimension to its labels, as they will be coordinate values.
    """
    for name in (*names, *(labels or {})):
        stored_name(name)
    for name, values in (labels or {}).items():
        if _form(str(name), values.dtype) == "words":
            _words(str(name), np.asarray(values), values.dtype)


def encoded(results: xr.Dataset | xr.DataTree) -> xr.DataTree:
    """What `decoded` turns back into `results`; raises `ArgumentError` for what cannot be stored."""
    if isinstance(results, xr.Dataset):
        return xr.DataTree(_encoded_dataset(results))
    groups = {}
    for node in results.subtree:
        path = "/".join(stored_name(part) for part in node.path.split("/") if part)
        groups[f"/{path}"] = _encoded_dataset(node.to_dataset(inherit=False))
    return xr.DataTree.from_dict(groups)


def decoded(tree: xr.DataTree) -> xr.Dataset | xr.DataTree:
    """The results that were `encoded`; those with groups are a tree."""
    groups = {
        "/".join(unquote(part) for part in node.path.split("/")): _decoded_dataset(node.to_dataset(inherit=False))
        for node in tree.subtree
    }
    return xr.DataTree.from_dict(groups) if tree.children else groups["/"]


def stored_name(name: Any) -> str:
    """The name of a variable, dimension or group as the name of a file."""
    if not isinstance(name, str) or not name:
        raise ArgumentError(f"a variable or dimension is named {shown(name)}; expects a string. Rename it to save it.")
    try:
        stored = quote(name, safe="")
    except UnicodeEncodeError:
        raise ArgumentError(f"the name {name!r} is no valid Unicode; rename it to save it.") from None
    if stored[0] in "._" or stored in ("zarr.json", "dlcore.json", "c"):
        stored = f"%{ord(stored[0]):02X}{stored[1:]}"
    if len(stored) > LONGEST_NAME:
        raise ArgumentError(
            f"the name {shown(name)} takes {len(stored)} bytes on disk; expects at most {LONGEST_NAME}. Rename it."
        )
    return stored


def _encoded_dataset(dataset: xr.Dataset) -> xr.Dataset:
    stacked = {
        dim: [str(level) for level in dataset.indexes[dim].names]
        for dim in dataset.dims
        if dim in dataset.indexes and isinstance(dataset.indexes[dim], pd.MultiIndex)
    }
    dataset = dataset.reset_index(list(stacked))
    names = {name: stored_name(name) for name in (*dataset.dims, *dataset.variables)}
    parts: dict[bool, dict[str, xr.Variable]] = {True: {}, False: {}}
    for name, variable in dataset.variables.items():
        stored = _encoded_variable(str(name), variable)
        stored.dims = tuple(names[dim] for dim in variable.dims)
        parts[name in dataset.coords][names[name]] = stored
    note = {"stacked": stacked} if stacked else {}
    return xr.Dataset(parts[False], parts[True], _encoded_attrs("the results", dataset.attrs, note))


def _decoded_dataset(dataset: xr.Dataset) -> xr.Dataset:
    attrs, note = _decoded_attrs(dataset.attrs)
    parts: dict[bool, dict[str, xr.Variable]] = {True: {}, False: {}}
    for name, variable in dataset.variables.items():
        restored = _decoded_variable(variable)
        restored.dims = tuple(unquote(str(dim)) for dim in variable.dims)
        parts[name in dataset.coords][unquote(str(name))] = restored
    back = xr.Dataset(parts[False], parts[True], attrs)
    for dim, levels in note.get("stacked", {}).items():
        back = back.set_index({dim: levels})
    return back


def _encoded_variable(name: str, variable: xr.Variable) -> xr.Variable:
    from zarr.codecs import Crc32cCodec, ZstdCodec  # Zarr takes 0.1 s to import

    dtype, note = variable.dtype, {}
    form = _form(name, dtype)
    if form == "plain":
        data: Any = variable.copy(deep=False)  # not read: it may be on disk
    elif form == "small":
        data = variable.astype(np.float32 if jnp.issubdtype(dtype, jnp.floating) else np.int8)
        note = {"dtype": dtype.name}
    elif form == "time":
        values = np.asarray(variable.values)
        data, note = xr.Variable(variable.dims, values.view("i8")), {"dtype": values.dtype.str}
    else:
        words, note = _words(name, np.asarray(variable.values), dtype)
        data = xr.Variable(variable.dims, words)
    data.attrs = _encoded_attrs(repr(name), variable.attrs, note)
    data.encoding = {"_FillValue": None, "compressors": (ZstdCodec(level=0), Crc32cCodec())}
    return data


def _form(name: str, dtype: Any) -> str:
    """How values of a dtype are kept: as they are ("plain"), as numbers ("small", "time"), as strings ("words")."""
    kind = dtype.kind if isinstance(dtype, np.dtype) else "extension"
    if kind in "biufc" and dtype.itemsize <= (16 if kind == "c" else 8) and not _is_small(dtype):
        return "plain"
    if _is_small(dtype):
        return "small"
    if kind in "Mm":
        return "time"
    if kind in "OSUT":
        return "words"
    raise ArgumentError(
        f"{name!r} has dtype {dtype}, which cannot be saved; expects numbers, strings, times or labels. "
        f"Convert it first, e.g. results[{name!r}].astype(float)."
    )


def _words(name: str, values: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, dict[str, Any]]:
    """Labels as strings, and what they were."""
    note, kind = {}, dtype.kind
    words = [str(each) if isinstance(each, np.str_) else each for each in values.ravel().tolist()]
    if kind == "S" or not all(isinstance(word, str) and _is_unicode(word) for word in words):
        words = [json.dumps(_label(name, word)) for word in words]
        note = {"json": dtype.str if kind in "SU" else "O"}
    elif kind in "OU":
        note = {"dtype": dtype.str}  # else these come back as what xarray takes for strings at the moment
    filled = np.empty(values.shape, object)
    filled.ravel()[:] = words
    return filled, note


def _decoded_variable(variable: xr.Variable) -> xr.Variable:
    attrs, note = _decoded_attrs(variable.attrs)
    restored = variable.copy(deep=False)
    if "json" in note:
        values = variable.values
        filled = np.empty(values.shape, object)
        for position, word in enumerate(values.ravel().tolist()):
            filled.ravel()[position : position + 1] = _boxed(from_json(json.loads(word)))
        found = filled.astype(note["json"])
        # As an index, or xarray turns None beside strings into NaN.
        as_index = found.dtype == object and found.ndim == 1
        restored = xr.Variable(variable.dims, pd.Index(found, dtype=object, tupleize_cols=False) if as_index else found)
    elif "dtype" in note:
        restored = xr.Variable(variable.dims, _as_dtype(variable.values, note["dtype"]))
    restored.attrs, restored.encoding = attrs, {}
    return restored


def _as_dtype(values: np.ndarray, name: str) -> np.ndarray:
    """Values as they were before they became numbers or strings that Zarr has."""
    if hasattr(ml_dtypes, name):
        return values.astype(getattr(ml_dtypes, name))
    dtype = np.dtype(name)
    return values.view(dtype) if dtype.kind in "Mm" else values.astype(dtype)


def _boxed(value: Any) -> np.ndarray:
    """[1]: a label that NumPy would take apart, as one object."""
    box = np.empty(1, object)
    box[0] = value
    return box


def _label(name: str, value: Any) -> Any:
    if callable(value):
        raise ArgumentError(
            f"{name!r} holds {shown(value)}, a function or class, which cannot be saved; expects numbers, strings, "
            f"times or labels. Use its name, {getattr(value, '__name__', 'a string')!r}."
        )
    try:
        return to_json(value)
    except TypeError:
        raise ArgumentError(
            f"{name!r} holds {shown(value)}, which cannot be saved; expects numbers, strings, times, None, bytes, or "
            "tuples of them. Use its name, a string."
        ) from None


def _encoded_attrs(owner: str, attrs: Mapping[Any, Any], note: dict[str, Any]) -> dict[str, Any]:
    plain, tagged = {}, {}
    for key, value in attrs.items():
        value = concrete(value)
        if isinstance(value, pathlib.PurePath):
            value = str(value)
        if not isinstance(key, str):
            raise ArgumentError(f"an attribute of {owner} is named {shown(key)}; expects a string. Rename it to save.")
        if key not in INTERPRETED and _is_unicode(key) and _is_plain(value):
            plain[key] = value
            continue
        try:
            tagged[key] = to_json(value)
        except TypeError:
            raise ArgumentError(
                f"the attribute {key!r} of {owner} is {shown(value)}, which cannot be saved; expects numbers, strings, "
                "arrays, or lists and dictionaries of them. Remove or convert it."
            ) from None
    note = note | ({"attrs": tagged} if tagged else {})
    return plain | ({NOTE: json.dumps(note)} if note else {})


def _decoded_attrs(attrs: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    note = json.loads(attrs.get(NOTE, "{}"))
    tagged = {key: from_json(value) for key, value in note.get("attrs", {}).items()}
    return {key: value for key, value in attrs.items() if key != NOTE} | tagged, note


def to_json(value: Any) -> Any:
    """JSON that `from_json` turns back; raises `TypeError` for what has none."""
    if isinstance(value, np.generic) and value.dtype.kind in "biufcSU" and value.dtype.itemsize <= 16:
        value = value.item()
    if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value
    for tag, (kinds, write, _) in TAGS.items():
        if type(value) in (kinds if isinstance(kinds, tuple) else (kinds,)):
            return {tag: write(value)}
    raise TypeError


def from_json(value: Any) -> Any:
    """The value that `to_json` was given."""
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    return TAGS[tag][2](content)


def _plain_dtype(array: np.ndarray) -> str:
    if array.dtype.kind not in "biufcSU":
        raise TypeError
    return array.dtype.str


def _is_plain(value: Any) -> bool:
    """Whether an attribute comes back from Zarr's JSON as it is."""
    if type(value) is list:
        return all(_is_plain(each) and type(each) is not list for each in value)
    if type(value) is str:
        return _is_unicode(value)
    return type(value) in (bool, int) or (type(value) is float and math.isfinite(value))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_small(dtype: Any) -> bool:
    """bfloat16, float8, int4 and their like."""
    return isinstance(dtype, np.dtype) and hasattr(ml_dtypes, dtype.name) and dtype.type.__module__ == "ml_dtypes"
