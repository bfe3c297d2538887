"""Floating-point operations of a traced function, with its loops counted out.

XLA's own `cost_analysis` counts the body of a loop once, and a training step is one.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.interpreters import partial_eval

# One operation for each element of the result.
ELEMENTWISE = """
    abs acos acosh add add_any asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil cos cosh digamma div erf
    erf_inv erfc exp exp2 expm1 floor igamma igammac lgamma log log1p logistic max min mul neg nextafter pow rem round
    rsqrt sign sin sinh sqrt square sub tan tanh
""".split()  # noqa: SIM905
# One for each element of what is reduced or accumulated.
REDUCTIONS = """
    argmax argmin cumlogsumexp cummax cummin cumprod cumsum reduce reduce_max reduce_min reduce_prod reduce_sum
""".split()  # noqa: SIM905
# One for each element that is added or multiplied in.
SCATTERS = ("scatter-add", "scatter_add", "scatter-mul", "scatter_mul", "scatter_sub")


# Of `nn/window_products.py`: which of (left, right, result) are the outputs [B, *counts, O] and the kernel.
CONVOLUTIONS = {"convolved": (2, 1), "convolved_to_inputs": (0, 1), "convolved_to_kernel": (1, 2)}
PRODUCTS = ("dot_general", "conv_general_dilated", *CONVOLUTIONS)


class Flops(NamedTuple):
    """Operations of a function. exact: False where a loop ends on a condition; its body is counted once."""

    count: float
    exact: bool = True

    def __add__(self, other: Any) -> "Flops":
        return Flops(self.count + other.count, self.exact and other.exact)

    def __rmul__(self, times: Any) -> "Flops":
        return Flops(times * self.count, self.exact)


def flops_of(function: Callable[..., Any], *arguments: Any) -> Flops:
    """Additions, multiplications, ... of floats in a call of a function; products of matrices m n k count 2 m n k.

    Functions of one number (exp, tanh) count once, comparisons, selections and copies not at all. Of the branches of a
    condition the largest is counted, of factorizations the leading term.

    Args:
      function: of arrays. arguments: shapes and dtypes, or arrays.

    Reference: for factorizations, Anderson et al., LAPACK Working Note 41, 1994.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    needed, _ = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    return _of_jaxpr(needed)


def flops_of_product(equation: Any) -> Any:
    """Multiplications and additions of a matrix product or a convolution, None for others; sizes may be symbolic."""
    name, params = equation.primitive.name, equation.params
    if name not in PRODUCTS:
        return None
    left, right, result = shapes = [value.aval.shape for value in (*equation.invars[:2], equation.outvars[0])]
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return 2 * _product(result) * _product(left[axis] for axis in contracted)
    if name in CONVOLUTIONS:
        outputs, kernel = (shapes[place] for place in CONVOLUTIONS[name])
        return 2 * _product(outputs) * _product(kernel[:-1])
    return 2 * _product(result) * (_product(right) // right[params["dimension_numbers"].rhs_spec[0]])


def _product(sizes: Iterable[Any]) -> Any:
    return functools.reduce(operator.mul, sizes, 1)  # math.prod refuses symbolic sizes


def _of_jaxpr(jaxpr: Jaxpr) -> Flops:
    return sum(map(_of_equation, jaxpr.eqns), Flops(0.0))


def _of_equation(equation: Any) -> Flops:
    name, params = equation.primitive.name, equation.params
    if name == "scan":
        return params["length"] * _of_jaxpr(params["jaxpr"].jaxpr)
    if name == "while":
        return Flops(_of_jaxpr(params["body_jaxpr"].jaxpr).count, exact=False)
    if name == "cond":
        branches = [_of_jaxpr(branch.jaxpr) for branch in params["branches"]]
        return Flops(max(branch.count for branch in branches), all(branch.exact for branch in branches))
    if (count := _own(name, params, equation)) is not None:
        return Flops(count)
    return sum(map(_of_jaxpr, _inside(params)), Flops(0.0))


def _inside(params: Any) -> Iterator[Jaxpr]:
    """The traces that an equation calls once: of `jit`, `checkpoint`, `custom_jvp` and the like."""
    for value in params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, ClosedJaxpr):
                yield each.jaxpr
            elif isinstance(each, Jaxpr):
                yield each


def _own(name: str, params: Any, equation: Any) -> float | None:
    """Operations of an equation that has no loop in it; None if it is unknown here, or calls another trace."""
    shapes = [getattr(value.aval, "shape", ()) for value in equation.invars]
    result = equation.outvars[0].aval if equation.outvars else None
    if not any(name in known for known in (_COUNTS, ELEMENTWISE, REDUCTIONS, SCATTERS, PRODUCTS)):
        return None
    if result is None or not _is_real(result, equation.invars):
        return 0.0
    if name in PRODUCTS:
        return flops_of_product(equation)
    if name in ELEMENTWISE:
        return math.prod(result.shape)
    if name in REDUCTIONS:
        return math.prod(shapes[0])
    if name in SCATTERS:
        return math.prod(shapes[2])
    return _COUNTS[name](shapes, result.shape, params)


def _is_real(result: Any, arguments: Sequence[Any]) -> bool:
    """Whether an equation computes with floats: nobody counts integers."""
    known = [value.aval for value in arguments if not isinstance(value, Literal)]
    return any(jnp.issubdtype(aval.dtype, jnp.inexact) for aval in (*known, result) if hasattr(aval, "dtype"))


def _power(shapes: Any, result: Any, params: Any) -> float:
    power = abs(int(params["y"]))
    return math.prod(result) * max(1, power.bit_length() + power.bit_count() - 2)


def _window(shapes: Any, result: Any, params: Any) -> float:
    return math.prod(result) * math.prod(params["window_dimensions"])


def _spread(shapes: Any, result: Any, params: Any) -> float:
    """The gradient of a maximum over windows: what it compares and adds."""
    return math.prod(shapes[0]) * (math.prod(params["window_dimensions"]) + 1)


def _fourier(shapes: Any, result: Any, params: Any) -> float:
    size = math.prod(params["fft_lengths"])
    return 5 * math.prod(result) * math.log2(max(size, 2))


def _factorization(factor: float) -> Callable[[Any, Any, Any], float]:
    """Of matrices [..., m, n]: factor m n min(m, n)."""
    return lambda shapes, result, params: factor * math.prod(shapes[0]) * min(shapes[0][-2:])


_COUNTS: dict[str, Callable[[Any, Any, Any], float]] = {
    "integer_pow": _power,
    "reduce_window": _window,
    "reduce_window_sum": _window,
    "reduce_window_max": _window,
    "reduce_window_min": _window,
    "select_and_scatter_add": _spread,
    "fft": _fourier,
    "triangular_solve": lambda shapes, result, params: math.prod(result) * shapes[0][-1],
    "cholesky": _factorization(1 / 3),
    "lu": _factorization(2 / 3),
    "geqrf": _factorization(4 / 3),
    "qr": _factorization(4 / 3),
    "householder_product": _factorization(4 / 3),
    "eigh": _factorization(9.0),
    "svd": _factorization(8.0),
}
