"""Arguments of `dl.generation`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import dlcore as dl

KEY = jax.random.key(0)


@functools.cache
def _recurrent():
    model = dl.models.recurrent(2, 2, 5, num_tokens=5, output="all")
    return model, *model.init(KEY)


@functools.cache
def _translator():
    model = dl.models.sequence_to_sequence(8, 8, num_units=2, embedding_size=2)
    return model, *model.init(KEY)


@functools.cache
def _pen():
    model = dl.models.mixture_density(1, num_units=2)
    return model, *model.init(KEY)


def _step(carry, token):
    return carry + 1, jax.nn.one_hot(token + carry, 5)


def _of(made):
    return dict(zip(("model", "params", "state"), made, strict=True))


def _search():
    return {"step": _step, "carry": jnp.zeros(2, int), "start_id": 2, "end_id": 3, "max_length": 3}


EXAMPLES = {
    "beam_search": lambda: _search() | {"beam_width": 2, "length_penalty": 0.5},
    "generate": lambda: (
        _of(_recurrent()) | {"key": KEY, "prompt": np.array([[1, 2]]), "num_steps": 3, "temperature": 0.5, "top_k": 2}
    ),
    "generate_greedily": lambda: _of(_recurrent()) | {"prompt": np.array([[1, 2]]), "num_steps": 3},
    "greedy_search": _search,
    "repeat_rows": lambda: {"tree": {"carry": jnp.ones((2, 3))}, "times": 2},
    "sample_strokes": lambda: _of(_pen()) | {"key": KEY, "num_strokes": 2, "num_points": 3, "temperature": 0.5},
    "translate": lambda: (
        _of(_translator()) | {"source": np.array([[4, 5, 0]]), "max_length": 3, "beam_width": 2, "length_penalty": 0.5}
    ),
}
