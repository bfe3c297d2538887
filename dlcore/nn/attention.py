"""Attention over the steps of a sequence: additive and by dot product."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dlcore.nn.masked import shown_only


class AdditiveAttention(nnx.Module):
    """Scores v . tanh(W query + U value), a small network.

    Reference: Bahdanau et al., Neural machine translation by jointly learning to align and translate, ICLR 2015.

    Args:
      num_units: of the network's hidden layer.
    """

    def __init__(self, num_query_features: int, num_features: int, num_units: int, *, rngs: nnx.Rngs):
        self.query = nnx.Linear(num_query_features, num_units, use_bias=False, rngs=rngs)
        self.key = nnx.Linear(num_features, num_units, rngs=rngs)
        self.score = nnx.Linear(num_units, 1, use_bias=False, rngs=rngs)

    def keys(self, values: jax.Array) -> jax.Array:
        """What the queries are compared with, made once for all of them: [B, S, num_features] -> [B, S, num_units]."""
        return self.key(values)

    def __call__(self, queries: jax.Array, keys: jax.Array, mask: jax.Array) -> jax.Array:
        """Weights [B, T, S] of queries [B, T, num_query_features]; see `attention_weights`."""
        compared = self.query(queries)[:, :, None] + shown_only(keys, mask)[:, None]
        return attention_weights(self.score(jnp.tanh(compared))[..., 0], mask)


class DotAttention(nnx.Module):
    """Scores query . value, without parameters; both have as many features.

    Reference: Luong et al., Effective approaches to attention-based neural machine translation, EMNLP 2015.
    """

    def keys(self, values: jax.Array) -> jax.Array:
        """The values themselves."""
        return values

    def __call__(self, queries: jax.Array, keys: jax.Array, mask: jax.Array) -> jax.Array:
        """Weights [B, T, S] of queries [B, T, num_features]; see `attention_weights`."""
        return attention_weights(jnp.einsum("btf,bsf->bts", queries, shown_only(keys, mask)), mask)


def attention_weights(scores: jax.Array, mask: jax.Array) -> jax.Array:
    """Softmax of the scores [B, T, S] over the steps that are there, 0 at the others.

    Args:
      mask: bool [B, S]. Where it hides all steps of a row, all its weights are 0 and their gradient too.
    """
    mask = jnp.broadcast_to(mask[:, None], scores.shape)
    weights = jax.nn.softmax(jnp.where(mask, scores, jnp.finfo(scores.dtype).min))
    return jnp.where(mask, weights, 0)


def attended(weights: jax.Array, values: Any, mask: jax.Array) -> jax.Array:
    """The weighted sums of the values that are there: [B, T, S], [B, S, F], bool [B, S] -> [B, T, F]."""
    return jnp.einsum("bts,bsf->btf", weights, shown_only(values, mask))
