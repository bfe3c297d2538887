"""Valid arguments for every public function, and values that most of them must refuse.

One module a package of dlcore: `EXAMPLES` maps the name of a public function to a function that makes its arguments, by
name; those of a `*args` parameter as a tuple, those of a `**kwargs` parameter as a dictionary, under its name.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import dlcore as dl

PACKAGES = (
    "data",
    "evidence",
    "generation",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "plots",
    "probes",
    "tasks",
    "textbook",
)
MODULES = {"": dl, "activations": dl.activations, "executors": dl.executors, "initializers": dl.initializers} | {
    name: getattr(dl, name) for name in PACKAGES
}


signature = functools.cache(inspect.signature)  # asked for half a million times


def public_functions() -> dict[str, Callable[..., Any]]:
    """Path below `dl`, such as "losses.focal", to the function; classes are left out."""
    found = {}
    for package, module in MODULES.items():
        for name in getattr(module, "__all__", None) or vars(module):
            function = getattr(module, name)
            own = getattr(function, "__module__", "").startswith("dlcore") and not name.startswith("_")
            if inspect.isfunction(inspect.unwrap(function)) and own:
                found[f"{package}.{name}".lstrip(".")] = function
    return found


def public_classes() -> dict[str, type]:
    """Path below `dl`, such as "metrics.Boxes", to the class; errors are among them."""
    return {
        f"{package}.{name}".lstrip("."): value
        for package, module in MODULES.items()
        for name in module.__all__
        if inspect.isclass(value := getattr(module, name))
    }


def examples() -> dict[str, Callable[[], dict[str, Any]]]:
    """Path below `dl` to what makes valid arguments."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        package = "" if info.name == "top" else f"{info.name}."
        module = importlib.import_module(f"examples.{info.name}")
        found |= {package + name: make for name, make in module.EXAMPLES.items()}
    return found


def call(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """The function called with arguments by name, those of `*args` and `**kwargs` unpacked."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    rest = dict(given)
    for name, parameter in signature(function).parameters.items():
        if name not in rest:
            continue
        value = passed(function, name, rest.pop(name))
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= value
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) and not named:
            positional.append(value)
        else:
            named[name] = value
    assert not rest, f"no such parameters: {sorted(rest)}"
    return function(*positional, **named)


def passed(function: Callable[..., Any], name: str, value: Any) -> Any:
    """The value as the function gets it: `*args` as a tuple, `**kwargs` as a dictionary of other names."""
    parameters = signature(function).parameters
    if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
        return value if isinstance(value, tuple) else (value,)
    if parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
        free = isinstance(value, dict) and all(isinstance(key, str) and key not in parameters for key in value)
        return value if free else {"surprise": value}
    return value


class Opaque:
    """Nothing that any function takes."""

    def __repr__(self) -> str:
        return "Opaque()"


class Hostile:
    """Looks like an array and is none."""

    shape, dtype, ndim = (2,), np.dtype(np.float32), 1

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array here")

    def __repr__(self) -> str:
        return "Hostile()"


def junk() -> Iterator[Any]:
    """Values that hardly any parameter accepts all of."""
    yield from (None, True, False, 0, 1, -1, 2, 10**6, 2**31, -(2**31), 2**70, 0.5, -0.5, 1.5, 1e300, -0.0, 1j)
    yield from (float("nan"), float("inf"), -float("inf"), np.float32("nan"), np.int8(-3), np.float64(0.5))
    yield from (
        "",
        "relu",
        "nonsense",
        "\0",
        "full",
        b"bytes",
        "a/b",
        "\ud800",
        [],
        (),
        {},
        set(),
        [None],
        [[1], [2, 3]],
    )
    yield from ([1, "a"], ["a", "b"], [0], [-1], [1.5, 2], [4, 8], (2, 3), {"a": 1}, {1: 2}, {"train": None}, object)
    yield from (
        Opaque(),
        Hostile(),
        len,
        print,
        lambda: None,
        lambda *args, **kwargs: None,
        lambda x: x,
        dl,
        Exception(),
    )
    yield from (
        np.zeros(0),
        np.zeros(3),
        np.ones((2, 3)),
        np.zeros((0, 3), int),
        np.arange(4),
        np.array(3),
        np.array("s"),
    )
    yield from (np.array([1, None], object), np.array(["a", "b"]), np.array([1j, 2]), np.full((2, 2), np.nan))
    yield from (np.ones(3, ">f4"), np.ones((2, 2), np.longdouble), np.array(["2020-01-01"], "datetime64[D]"))
    yield from (np.ma.masked_equal([1.0, 2.0], 2.0), np.ones((1, 1, 1, 1)), np.array([True, False]), np.float16([1, 2]))
    yield from (
        jnp.float32(0.5),
        jnp.int32(2),
        jnp.ones(3),
        jnp.ones((3, 4)),
        jnp.zeros((3, 4), int),
        jnp.ones(2, jnp.bfloat16),
    )
    yield from (jax.random.key(0), jax.random.split(jax.random.key(0)), jax.random.PRNGKey(0))
    yield jax.ShapeDtypeStruct((2, 3), jnp.float32)
