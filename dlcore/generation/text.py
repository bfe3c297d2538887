"""Writing on: tokens from a recurrent model, each from those before it, in one compiled call."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from dlcore.core import arguments as constraints
from dlcore.core.arguments import MOST, NONE, Constraint, arguments, instance, integer, number, tree
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.core.model import Apply, Model, ModelState, Params
from dlcore.generation.checks import check_known, check_model, is_distribution
from dlcore.nn.tokens import IDS

NUM_STEPS = integer(1, 100_000, meaning="tokens to write")
TEMPERATURE = Constraint(
    f"{number(0, 1e6, open_low=True).expected}; for the likeliest token each time use generate_greedily",
    number(0, 1e6, open_low=True).accept,
)


@arguments(
    model=instance(Model),
    params=tree,
    state=tree,
    key=constraints.key,
    prompt=IDS,
    num_steps=NUM_STEPS,
    temperature=TEMPERATURE,
    top_k=integer(meaning="tokens to draw from") | NONE,
)
def generate(
    model: Model,
    params: Params,
    state: ModelState,
    key: jax.Array,
    prompt: Any,
    num_steps: int,
    *,
    temperature: float | jax.Array = 1.0,
    top_k: int | None = None,
) -> jax.Array:
    """Draw tokens from the model's distribution, each given the prompt and the tokens before it.

    Compiled once for a model, a shape of prompt and a number of steps.

    Args:
      model: with the parts "initial" and "step" of `dl.models.recurrent`, on tokens.
      params, state: of the model.
      key: consumed.
      prompt: ids [B, P] without padding, P of 1 or more.
      num_steps: tokens to write.
      temperature: what the logits are divided by: near 0 the likeliest token is nearly sure (always, by
        `generate_greedily`), above 1 rare ones come up more often. May be traced.
      top_k: draw from the k likeliest tokens only.

    Returns:
      ids int32 [B, num_steps], without the prompt.

    Raises:
      ArgumentError: a temperature that is not above 0, a top_k or num_steps out of range, a model without steps.
      DataError: a prompt that is not ids [B, P] of the model's vocabulary, params or state of another model.

    Example:
      >>> model = dl.models.recurrent(2, 2, 5, num_tokens=5, output="all")
      >>> params, state = model.init(jax.random.key(0))
      >>> dl.generation.generate(model, params, state, jax.random.key(1), [[1, 2]], 3, temperature=0.5).shape
      (1, 3)
    """
    prompt = _checked_prompt("generate", prompt)
    step, params, state, carry = _start("generate", model, params, state, prompt)
    chance = (key, jnp.asarray(temperature, float))
    return _known("generate", *_written(step, num_steps, top_k, params, state, carry, prompt, *chance))


@arguments(model=instance(Model), params=tree, state=tree, prompt=IDS, num_steps=NUM_STEPS)
def generate_greedily(model: Model, params: Params, state: ModelState, prompt: Any, num_steps: int) -> jax.Array:
    """Take the likeliest token each time; otherwise as `generate`, without chance.

    Not the likeliest text: that would need a search over sequences.

    Raises:
      ArgumentError: a model without steps.
      DataError: a prompt that is not ids [B, P] of the model's vocabulary, params or state of another model or NaN.

    Example:
      >>> model = dl.models.recurrent(2, 2, 5, num_tokens=5, output="all")
      >>> dl.generation.generate_greedily(model, *model.init(jax.random.key(0)), [[1, 2]], 3).shape
      (1, 3)
    """
    prompt = _checked_prompt("generate_greedily", prompt)
    step, params, state, carry = _start("generate_greedily", model, params, state, prompt)
    written = _written(step, num_steps, None, params, state, carry, prompt, None, None)
    return _known("generate_greedily", *written)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _written(
    step: Apply,
    num_steps: int,
    top_k: int | None,
    params: Params,
    state: ModelState,
    carry: Any,
    prompt: jax.Array,
    key: jax.Array | None,
    temperature: jax.Array | None,
) -> tuple[jax.Array, jax.Array]:
    """The ids [B, num_steps], and whether all logits were numbers."""

    def advance(carry, ids):
        return step(params, state, (carry, ids))[0]

    def write(carry_and_ids, t):
        carry, logits = advance(*carry_and_ids)
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        if key is None or temperature is None:
            ids = jnp.argmax(logits, axis=-1)
        else:
            ids = jax.random.categorical(jax.random.fold_in(key, t), _cooled(_likeliest(logits, top_k), temperature))
        ids = ids.astype(prompt.dtype)
        return (carry, ids), (ids, is_distribution(logits))

    carry, _ = lax.scan(lambda carry, ids: (advance(carry, ids)[0], None), carry, prompt[:, :-1].T)
    _, (written, known) = lax.scan(write, (carry, prompt[:, -1]), jnp.arange(num_steps))
    return written.T, jnp.all(known)


def _likeliest(logits: jax.Array, top_k: int | None) -> jax.Array:
    """The k largest logits of each row, of equal ones the first; the others are -inf."""
    if top_k is None:
        return logits
    if top_k > logits.shape[-1]:
        raise ArgumentError(
            f"generate: top_k is {top_k}, the model knows {logits.shape[-1]} tokens; expects at most as many."
        )
    _, best = lax.top_k(logits, top_k)
    return jnp.where(jax.nn.one_hot(best, logits.shape[-1], dtype=bool).any(axis=1), logits, -jnp.inf)


def _cooled(logits: jax.Array, temperature: jax.Array) -> jax.Array:
    """Logits divided by the temperature, the largest moved to 0: several would be inf where it is small."""
    return (logits - logits.max(axis=-1, keepdims=True)) / jnp.maximum(temperature, jnp.finfo(temperature.dtype).tiny)


def _known(name: str, ids: jax.Array, known: jax.Array) -> jax.Array:
    check_known(name, known)
    return ids


def _checked_prompt(name: str, prompt: Any) -> jax.Array:
    """The prompt as int32, which holds what is written."""
    if 0 in prompt.shape:
        raise DataError(
            f"{name}: prompt is {described(prompt)}; expects integer ids [B, P], one row for each text. "
            "Encode with data.input_vocabulary.encode(text)[None]."
        )
    if not isinstance(prompt, Tracer) and np.max(prompt) > MOST:
        raise DataError(f"{name}: prompt holds {np.max(prompt)}; expects ids of the model's vocabulary.")
    return jnp.asarray(prompt, jnp.int32)


def _start(
    name: str, model: Model, params: Params, state: ModelState, prompt: Any
) -> tuple[Apply, Params, ModelState, Any]:
    """The model's step, params, state and first carry; the arguments are checked here, where they have values."""
    as_of = "dl.models.recurrent, unless bidirectional,"
    params, state = check_model(name, model, params, state, parts=("initial", "step"), as_of=as_of)
    return model.parts["step"].apply, params, state, model.parts["initial"].apply(params, state, prompt)[0]
