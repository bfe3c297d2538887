"""What arguments may be: constraints as data, declared once on the function that takes them.

    @arguments(num_layers=integer(1, 1000), dropout=number(0, 1, open_high=True), name=text | NONE)
    def build(num_layers, dropout=0.0, name=None): ...

The message (got, expected, fix) follows from the constraint. Concrete NumPy and JAX scalars count as the Python numbers
they hold; traced ones pass where a number may be traced, since they have no value yet.
"""

import contextlib
import contextvars
import functools
import inspect
import math
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.errors import ArgumentError, DataError, DlcoreError, described, shown, suggest

P = ParamSpec("P")
R = TypeVar("R")

MOST = 2**31 - 1  # sizes and rows are 32-bit integers in compiled programs


class RefusedError(Exception):
    """A value does not meet a constraint; the text is advice, or empty."""


class Constraint:
    """What a parameter may be.

    expected: completes "expects ...". accept: returns the value to use, or raises `RefusedError` with advice.
    error: what a refusal is raised as. has_domain: whether it accepts traced numbers of which it would refuse some.
    """

    def __init__(
        self,
        expected: str,
        accept: Callable[[Any], Any],
        *,
        error: type[DlcoreError] = ArgumentError,
        has_domain: bool = False,
    ) -> None:
        self.expected, self.accept, self.error, self.has_domain = expected, accept, error, has_domain

    def __or__(self, other: "Constraint") -> "Constraint":
        """Either of the two; the first that accepts decides what the value becomes."""

        def accept(value):
            advice = []
            for constraint in (self, other):
                try:
                    return constraint.accept(value)
                except RefusedError as refusal:
                    advice.append(str(refusal))
            raise RefusedError(next(filter(None, advice), ""))

        has_domain = self.has_domain or other.has_domain
        return Constraint(f"{self.expected}, or {other.expected}", accept, error=self.error, has_domain=has_domain)

    def __repr__(self) -> str:
        return f"Constraint({self.expected})"

    def refuses(self, value: Any) -> bool:
        """Whether the value does not meet the constraint."""
        try:
            self.accept(value)
        except RefusedError:
            return True
        return False

    def check(self, name: str, value: Any) -> Any:
        """The value to use for the parameter `name`; raises `error` with got, expected, fix.

        A traced number is noted, if somebody is `noting`: it can be checked once its values are known.
        """
        try:
            accepted = self.accept(value)
            if self.has_domain and isinstance(accepted, Tracer) and (notes := _notes.get()) is not None:
                notes.append(Note(name, self, accepted))
            return accepted
        except RefusedError as refusal:
            is_array = isinstance(value, np.ndarray | jax.Array) and (value.ndim or self.error is DataError)
            got = described(value) if is_array else shown(value)
            advice = f" {refusal}" if str(refusal) else ""
            raise self.error(f"{name} is {got}; expects {self.expected}.{advice}") from None


class Note(NamedTuple):
    """A traced number that was given as the parameter `name`, and what such a number may be."""

    name: str
    constraint: Constraint
    value: Tracer


_notes: contextvars.ContextVar[list[Note] | None] = contextvars.ContextVar("notes", default=None)


@contextlib.contextmanager
def noting() -> Iterator[list[Note]]:
    """The traced numbers that constraints meet inside the block."""
    notes: list[Note] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


def arguments(**constraints: Constraint) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare what each parameter may be; the function sees values that meet it.

    A `*args` parameter is checked as a tuple, a `**kwargs` parameter as a dictionary.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        unknown = set(constraints) - set(signature.parameters)
        assert not unknown, f"{function.__name__} has no parameters {unknown}"

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:  # a parameter too many, or one that is missing
                alien = next((name for name in kwargs if name not in signature.parameters), None)
                hint = f"its parameters are {', '.join(signature.parameters)}" if alien is None else None
                hint = hint or suggest(alien, signature.parameters)
                raise TypeError(f"{function.__name__}: {error}; {hint}") from None
            for name, value in bound.arguments.items():
                if name in constraints:
                    bound.arguments[name] = constraints[name].check(f"{function.__name__}: {name}", value)
            return function(*bound.args, **bound.kwargs)

        checked.__dict__["constraints"] = types.MappingProxyType(constraints)
        return checked

    return decorate


def integer(low: int = 1, high: int = MOST, *, meaning: str = "") -> Constraint:
    """An integer in [low, high], known when the program is traced; a Boolean is none."""
    bounds = {(1, MOST): "a positive integer", (0, MOST): "an integer, 0 or more", (-MOST, MOST): "an integer"}
    default = f"an integer, {low} or more" if high == MOST else f"an integer from {low} to {high}"
    expected = bounds.get((low, high), default) + (f" ({meaning})" if meaning else "")

    def accept(value):
        if isinstance(value, Tracer):
            raise RefusedError("A traced value cannot set the shape of a program: pass it as a list, a static axis.")
        number = concrete(value)
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise RefusedError
        return number

    return Constraint(expected, accept)


def number(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
    finite: bool = True,
) -> Constraint:
    """A real number between the bounds, or a traced scalar; a Boolean is none."""
    bounds = [
        *([f"above {low:g}" if open_low else f"{low:g} or more"] if low > -math.inf else []),
        *([f"below {high:g}" if open_high else f"at most {high:g}"] if high < MOST else []),
    ]
    expected = ", ".join(["a finite number" if finite else "a number", *bounds])

    def accept(value):
        if isinstance(value, Tracer):
            if value.ndim or jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended) or value.dtype.kind not in "iuf":
                raise RefusedError
            return value
        known = concrete(value)
        if isinstance(known, bool) or not isinstance(known, int | float):
            raise RefusedError
        try:
            real = float(known)
        except OverflowError:
            raise RefusedError from None
        above = real > low if open_low else real >= low
        below = real < high if open_high else real <= high
        if math.isnan(real) or (finite and math.isinf(real)) or not (above and below):
            raise RefusedError
        return real if abs(real) > MOST else known  # JAX takes no larger integers

    return Constraint(expected, accept, has_domain=True)


def one_of(*names: str) -> Constraint:
    """One of these strings."""

    def accept(value):
        if not isinstance(value, str) or value not in names:
            near = _near(value, names)
            raise RefusedError(near if near.startswith("Did") else "")  # all names are in `expected` already
        return value

    listed = ", ".join(map(repr, names))
    return Constraint(f"one of {listed}" if len(names) > 1 else listed, accept)


def one(only: Any) -> Constraint:
    """Only that object: None, False."""
    return Constraint(repr(only), when(lambda value: value is only))


def named(kind: str, known: Mapping[str, Any]) -> Constraint:
    """The name of a `kind`, or a function to be used as one."""

    def accept(value):
        if callable(value) or (isinstance(value, str) and value in known):
            return value
        raise RefusedError(_near(value, known))

    return Constraint(f"the name of {_article(kind)}, or a function", accept)


def instance(*kinds: type | str, example: str = "") -> Constraint:
    """An object of one of these classes. example: how to make one.

    A class of a library that need not be loaded is named, "xarray.Dataset": nothing is of it before it is.
    """

    def accept(value):
        if not isinstance(value, tuple(_loaded(kind) if isinstance(kind, str) else kind for kind in kinds)):
            raise RefusedError
        return value

    names = " or ".join(_article(kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__) for kind in kinds)
    return Constraint(names + (f", e.g. {example}" if example else ""), accept)


def _loaded(name: str) -> Any:
    """The class of that name, or what nothing is an instance of where its library is not loaded."""
    library, _, kind = name.rpartition(".")
    return getattr(sys.modules.get(library), kind, ())


def sequence(of: Constraint, least: int = 0, most: int = MOST, *, text: str = "") -> Constraint:
    """A list, a tuple or a 1-d array of what meets `of`; it becomes a tuple. text: what they are, in the plural."""
    count = f"{least} or more " if least and most == MOST else f"{least} " if least == most else ""
    expected = f"a sequence of {count}{text or f'values, each {of.expected}'}"

    def accept(value):
        listed = isinstance(value, list | tuple) or (isinstance(value, np.ndarray | jax.Array) and value.ndim == 1)
        if not listed or isinstance(value, Tracer) or not least <= len(value) <= most:
            raise RefusedError
        return tuple(map(accept_each, value))

    def accept_each(each):
        try:
            return of.accept(each)
        except RefusedError as refusal:
            raise RefusedError(str(refusal) or f"It holds {shown(each)}.") from None

    return Constraint(expected, accept)


def mapping(of: Constraint, *, keys: Iterable[str] | None = None) -> Constraint:
    """A dictionary from strings to what meets `of`; `keys`: those it may have."""
    allowed = None if keys is None else tuple(keys)
    among = "" if allowed is None else f", among {', '.join(allowed)}"
    expected = f"a dictionary from names{among} to values, each {of.expected}"

    def accept(value):
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise RefusedError
        for key in value:
            if allowed is not None and key not in allowed:
                raise RefusedError(f"There is no {key!r}; {suggest(key, allowed)}")
        return {key: of.accept(each) for key, each in value.items()}

    return Constraint(expected, accept)


def array(
    kinds: str = "biuf", *, ndim: int | Sequence[int] | None = None, text: str = "an array of numbers"
) -> Constraint:
    """Numbers: a NumPy or JAX array, a traced one, or nested lists.

    Args:
      kinds: of dtype, as in `numpy.dtype.kind`; bfloat16 and its like count as "f".
      ndim: dimensions it may have.
      text: shape and meaning, for the message: "logits [B, num_classes]".

    What is no JAX array becomes a NumPy array in this machine's byte order.
    """
    dims = None if ndim is None else {ndim} if isinstance(ndim, int) else set(ndim)

    def accept(value):
        found = as_array(value)
        if _kind(found.dtype) not in kinds or (dims is not None and found.ndim not in dims):
            raise RefusedError
        return found

    return Constraint(text, accept, error=DataError)


def as_array(value: Any) -> Any:
    """A JAX array as it is, anything else as a NumPy array of numbers in native byte order; or `RefusedError`."""
    if isinstance(value, jax.Array):
        if jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended):
            raise RefusedError("Random keys are no numbers.")
        return value
    if _hides_values(value):
        raise RefusedError("Some values are masked: fill or drop them first.")
    try:
        found = np.asarray(value)
    except Exception as error:  # whatever an object's own __array__ raises
        raise RefusedError(f"It does not become an array: {error}") from None
    if found.dtype.byteorder not in "=|":
        found = found.astype(found.dtype.newbyteorder("="))
    if found.dtype.kind == "f" and found.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            found = found.astype(np.float64)  # long doubles: JAX has none
    return found


def _hides_values(value: Any) -> bool:
    """Whether values are masked, also in a list of masked arrays, of which NumPy would take what the masks hide."""
    if isinstance(value, list | tuple):
        return any(map(_hides_values, value))
    return isinstance(value, np.ma.MaskedArray) and bool(np.ma.is_masked(value))


def concrete(value: Any) -> Any:
    """A NumPy or JAX scalar as the Python number it holds; anything else as it is."""
    if isinstance(value, Tracer) or not isinstance(value, np.generic | np.ndarray | jax.Array) or value.ndim:
        return value
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended) or _kind(value.dtype) not in "biuf":
        return value
    return np.asarray(value).astype(np.float64).item() if _kind(value.dtype) == "f" else np.asarray(value).item()


def result_of(name: str, given: Callable[..., Any], *args: Any, abstract: bool = False) -> Any:
    """What a function that was given as the argument `name` makes of these; where it takes none such, our words.

    abstract: only shapes and dtypes, as by `jax.eval_shape`.
    """
    try:
        return jax.eval_shape(given, *args) if abstract else given(*args)
    except DlcoreError:
        raise
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArgumentError(
            f"{name} is {shown(given)}; called as the documentation says, it fails: {reason}"
        ) from error


def _accept_tree(value: Any) -> Any:
    for leaf in jax.tree.leaves(value):
        if not isinstance(leaf, np.ndarray | np.generic | jax.Array | int | float | jax.ShapeDtypeStruct):
            raise RefusedError(f"It holds {shown(leaf)}.")
    return value


def _accept_key(value: Any) -> Any:
    typed = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    if not typed or value.shape != ():
        raise RefusedError("Use jax.random.key(seed).")
    return value


def _accept_path(value: Any) -> Any:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value) or "\0" in str(os.fspath(value)):
        raise RefusedError
    return value


def when(test: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """What a `Constraint` accepts: values of which the test is true, as they are."""

    def accept(value):
        if not test(value):
            raise RefusedError
        return value

    return accept


def _near(value: Any, known: Iterable[str]) -> str:
    hint = suggest(value, known)
    return hint[0].upper() + hint[1:]


def _article(noun: str) -> str:
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def _kind(dtype: Any) -> str:
    """The kind of a dtype; the small floats that ml_dtypes adds count as floats."""
    return "f" if jnp.issubdtype(dtype, jnp.floating) else np.dtype(dtype).kind


NONE = one(None)
ANYTHING = Constraint("anything", lambda value: value)
boolean = Constraint("True or False", lambda value: bool(when(lambda v: isinstance(v, bool | np.bool_))(value)))
text = Constraint("a string", when(lambda value: isinstance(value, str)))
function = Constraint("a function", when(callable))
key = Constraint("one typed key", _accept_key)
path = Constraint("a path, a string or os.PathLike", _accept_path)
tree = Constraint("a tree of arrays: arrays in dictionaries, lists and tuples", _accept_tree, error=DataError)
