"""Words for what cannot be pickled: which variable of a function, which part of an object."""

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MOST_DEPTH = 8  # of objects in objects that are looked through


def in_the_way(value: Any, name: str, fails: Callable[[Any], str | None]) -> tuple[str, str] | None:
    """The innermost object that cannot be pickled, in words, and why; None if all can be.

    Args:
      fails: why an object cannot be pickled, or None.
    """
    reason = fails(value)
    if reason is None:
        return None
    seen: set[int] = set()
    for _ in range(MOST_DEPTH):
        seen.add(id(value))
        inner = next(
            (
                (part, text, why)
                for part, text in _inside(value, name)
                if id(part) not in seen and (why := fails(part)) is not None
            ),
            None,
        )
        if inner is None:
            break
        value, name, reason = inner
    return f"{name}, a {type(value).__name__},", reason


def _inside(value: Any, name: str) -> Iterator[tuple[Any, str]]:
    """What an object holds, each with its name in words."""
    if isinstance(value, functools.partial):
        yield value.func, f"the function of {name}"
        yield from _named(value.keywords, "the argument", name)
        yield from ((part, f"argument {position} of {name}") for position, part in enumerate(value.args))
    elif isinstance(value, types.MethodType):
        yield value.__self__, f"the object of {name}"
        yield value.__func__, f"the function of {name}"
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value, name)
    elif isinstance(value, dict):
        yield from _named(value, "the entry", name)
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((part, f"item {position} of {name}") for position, part in enumerate(value))
    else:
        if (wrapped := getattr(value, "__wrapped__", None)) is not None:
            yield wrapped, f"the function of {name}"
        yield from _named(getattr(value, "__dict__", {}), "the attribute", name)


def _of_function(function: types.FunctionType, name: str) -> Iterator[tuple[Any, str]]:
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield cell.cell_contents, f"the variable {variable!r} of {name}"
        except ValueError:  # it has no value yet
            continue
    defaults = {
        parameter.name: parameter.default
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is not parameter.empty
    }
    yield from _named(defaults, "the default of", name)
    names = _global_names(function.__code__)
    used = {variable: part for variable, part in function.__globals__.items() if variable in names}
    yield from _named(used, "the global variable", name)


def _global_names(code: types.CodeType) -> set[str]:
    """Of the function, and of functions defined in it."""
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return set(code.co_names).union(*map(_global_names, inner))


def _named(parts: Mapping[Any, Any], what: str, name: str) -> Iterator[tuple[Any, str]]:
    return ((part, f"{what} {key!r} of {name}") for key, part in parts.items())
