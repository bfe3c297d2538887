"""What an optimizer may be, and words for one that does not work."""

import contextlib
import inspect
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import jax
import optax

from dlcore.core.arguments import Constraint, RefusedError
from dlcore.core.errors import ArgumentError, DlcoreError, shown

# State of an optimizer that cannot work here, to what it is and what to write instead.
MOST_OF_A_TREE = 300  # characters shown
REFUSED = {
    optax.LookaheadState: (
        "contains optax.lookahead, which expects pairs of fast and slow parameters; a training has one set. Use "
        "dl.optimizers.lookahead, which keeps the slow ones in its state."
    ),
    optax.contrib.DifferentiallyPrivateAggregateState: (
        "contains optax.contrib.differentially_private_aggregate, as dpsgd does, which expects a gradient for each "
        "example; a training gives their mean. For clipping and noise without a guarantee of privacy: optax.chain("
        "optax.clip_by_global_norm(bound), optax.noisy_sgd(learning_rate, key=key))."
    ),
    optax.MonitorState: (
        "contains optax.monitor, whose state gets its entries in the first update; a training is a loop, whose state "
        "keeps its structure. Use optax.snapshot, one for each measure."
    ),
}


class Checked(optax.GradientTransformationExtraArgs):
    """An optimizer that takes whatever a step offers and uses what it knows, and that fails in our words."""


def checked(optimizer: Any) -> Checked:
    """The optimizer, with failures of `init` and `update` as `ArgumentError`; errors of JAX about traced values pass.

    A state keeps its structure, shapes and dtypes; updates are real numbers in the shapes of the parameters.
    """
    if isinstance(optimizer, Checked):
        return optimizer
    known = _extra_arguments(optimizer.update)

    def init(params):
        with _words(optimizer.init, "init(params)", params):
            state = optimizer.init(params)
        for leaf in jax.tree.leaves(state, is_leaf=lambda node: type(node) in REFUSED):
            if type(leaf) in REFUSED:
                raise ArgumentError(f"optimizer {REFUSED[type(leaf)]}")
        return state

    def update(updates, state, params=None, **extra_args):
        more = {name: value for name, value in extra_args.items() if known is None or name in known}
        with _words(optimizer.update, f"update(gradient, state, params, {', '.join(more) or 'no more'})", params):
            result = optimizer.update(updates, state, params, **more)
        if not isinstance(result, tuple) or len(result) != 2:
            raise ArgumentError(f"optimizer gives {shown(result)}; expects the pair (updates, state).")
        new_updates, new_state = result
        _check_same("its state", state, new_state)
        _check_same("updates", updates if params is None else params, new_updates, dtypes=False)
        return new_updates, new_state

    return Checked(init, update)


def _accept_optimizer(value: Any) -> Checked:
    if not (callable(getattr(value, "init", None)) and callable(getattr(value, "update", None))):
        raise RefusedError("Call it first: optax.sgd(learning_rate)." if callable(value) else "")
    return checked(value)


OPTIMIZER = Constraint("an optax.GradientTransformation, e.g. optax.sgd(learning_rate)", _accept_optimizer)


def _extra_arguments(update: Callable[..., Any]) -> set[str] | None:
    """Names that `update` takes besides gradient, state and parameters; None for any.

    Optax has optimizers that refuse what they do not know, `optax.contrib.sam` among them.
    """
    try:
        parameters = inspect.signature(update).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in list(parameters)[3:]}


@contextlib.contextmanager
def _words(function: Callable[..., Any], call: str, params: Any) -> Iterator[None]:
    """Whatever an optimizer raises, as `ArgumentError`; our own errors and those about traced values as they are."""
    try:
        yield
    except (DlcoreError, jax.errors.JAXTypeError, jax.errors.JAXIndexError):
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        name = _culprit(error) or getattr(function, "__qualname__", type(function).__name__).partition(".<locals>")[0]
        hint = (
            " Let sam be the outermost, with clipping in the optimizer inside it." if reason.startswith("sam.") else ""
        )
        if "pytree" in reason:
            tree = str(jax.tree.structure(params)).removeprefix("PyTreeDef(").removesuffix(")")
            tree = tree if len(tree) <= MOST_OF_A_TREE else f"{tree[:MOST_OF_A_TREE]}..."
            hint = f" A mask, or labels, do not fit the parameters, which are {tree}; give a tree with these keys."
        raise ArgumentError(
            f"optimizer fails in {name}, called as {call}: {reason.rstrip('.')}.{hint} dlcore's page on optimizers "
            "(docs/optimizers.md) says what an optimizer gets."
        ) from error


def _culprit(error: Exception) -> str | None:
    """The innermost transformation of optax that the error went through."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname
        if module.startswith("optax") and "<locals>" in name:
            return f"optax.{'contrib.' if '.contrib' in module else ''}{name.partition('.<locals>')[0]}"
    return None


def _check_same(what: str, before: Any, after: Any, *, dtypes: bool = True) -> None:
    """Refuse another structure, other shapes or dtypes; without `dtypes` only imaginary parts, which would be lost."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        difference = _difference(before, after)
        raise ArgumentError(f"optimizer gives {what} in another structure; expects that of before. {difference}")
    for (path, leaf), new_leaf in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True):
        old, new = jax.typeof(leaf), jax.typeof(new_leaf)
        loses = old.dtype != new.dtype if dtypes else new.dtype.kind == "c" != old.dtype.kind
        if old.shape != new.shape or loses:
            raise ArgumentError(f"optimizer gives {what}{jax.tree_util.keystr(path)} as {new}; expects {old}.")


def _difference(before: Any, after: Any) -> str:
    """The first difference of two structures, in the words of JAX, on one line."""
    try:
        jax.tree.map(lambda *leaves: None, before, after)
    except ValueError as error:
        return " ".join(str(error).split())[:300]
    return f"Got {shown(jax.tree.structure(after))}."
