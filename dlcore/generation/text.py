"""Writing on: tokens from a recurrent model, each from those before it, in one compiled call."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dlcore.core import arguments as constraints
from dlcore.core.arguments import NONE, Constraint, arguments, instance, integer, number, tree
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.core.model import Apply, Model, ModelState, Params
from dlcore.generation.checks import check_model
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
    step, carry = _start("generate", model, params, state, prompt)
    chance = (key, jnp.asarray(temperature, float))
    return _written(step, num_steps, top_k, params, state, carry, jnp.asarray(prompt), *chance)


@arguments(model=instance(Model), params=tree, state=tree, prompt=IDS, num_steps=NUM_STEPS)
def generate_greedily(model: Model, params: Params, state: ModelState, prompt: Any, num_steps: int) -> jax.Array:
    """Take the likeliest token each time; otherwise as `generate`, without chance.

    Not the likeliest text: that would need a search over sequences.

    Example:
      >>> model = dl.models.recurrent(2, 2, 5, num_tokens=5, output="all")
      >>> dl.generation.generate_greedily(model, *model.init(jax.random.key(0)), [[1, 2]], 3).shape
      (1, 3)
    """
    step, carry = _start("generate_greedily", model, params, state, prompt)
    return _written(step, num_steps, None, params, state, carry, jnp.asarray(prompt), None, None)


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
) -> jax.Array:
    def advance(carry, ids):
        return step(params, state, (carry, ids))[0]

    def write(carry_and_ids, t):
        carry, logits = advance(*carry_and_ids)
        if key is None or temperature is None:
            ids = jnp.argmax(logits, axis=-1)
        else:
            ids = jax.random.categorical(jax.random.fold_in(key, t), _likeliest(logits, top_k) / temperature)
        ids = ids.astype(prompt.dtype)
        return (carry, ids), ids

    carry, _ = lax.scan(lambda carry, ids: (advance(carry, ids)[0], None), carry, prompt[:, :-1].T)
    _, written = lax.scan(write, (carry, prompt[:, -1]), jnp.arange(num_steps))
    return written.T


def _likeliest(logits: jax.Array, top_k: int | None) -> jax.Array:
    """The k largest logits of each row; the others are -inf."""
    if top_k is None:
        return logits
    if top_k > logits.shape[-1]:
        raise ArgumentError(
            f"generate: top_k is {top_k}, the model knows {logits.shape[-1]} tokens; expects at most as many."
        )
    least = lax.top_k(logits, top_k)[0][:, -1:]
    return jnp.where(logits < jnp.broadcast_to(least, logits.shape), -jnp.inf, logits)


def _start(name: str, model: Model, params: Params, state: ModelState, prompt: Any) -> tuple[Apply, Any]:
    """The model's step and its first carry; the arguments are checked here, where they have values."""
    as_of = "dl.models.recurrent, unless bidirectional,"
    check_model(name, model, params, state, parts=("initial", "step"), as_of=as_of)
    if 0 in prompt.shape:
        raise DataError(
            f"{name}: prompt is {described(prompt)}; expects integer ids [B, P], one row for each text. "
            "Encode with data.input_vocabulary.encode(text)[None]."
        )
    return model.parts["step"].apply, model.parts["initial"].apply(params, state, prompt)[0]
