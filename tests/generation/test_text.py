"""Writing on with a recurrent model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl

MODEL = dl.models.recurrent(4, 8, 7, num_tokens=7, output="all", num_layers=2, cell="gru")
PARAMS, STATE = jax.jit(MODEL.init)(jax.random.key(0))
PARAMS = jax.tree.map(lambda leaf: 3 * leaf, PARAMS)  # far from uniform
PROMPT = np.array([[1, 2, 3], [6, 5, 4]], np.int32)


def logits_after(ids):
    """Of the token that follows, [B, 7]."""
    return MODEL.apply(PARAMS, STATE, ids)[0][:, -1]


def test_greedy_takes_the_likeliest_each_time():
    """Catches a prompt read short or twice, and a token that is not fed back."""
    ids = PROMPT
    for _ in range(4):
        following = np.asarray(jnp.argmax(logits_after(ids), axis=-1), np.int32)
        ids = np.concatenate([ids, following[:, None]], axis=1)
    written = dl.generation.generate_greedily(MODEL, PARAMS, STATE, PROMPT, 4)
    np.testing.assert_array_equal(written, ids[:, 3:])
    key = jax.random.key(0)
    np.testing.assert_array_equal(dl.generation.generate(MODEL, PARAMS, STATE, key, PROMPT, 4, top_k=1), written)
    cold = dl.generation.generate(MODEL, PARAMS, STATE, key, PROMPT, 4, temperature=1e-4)
    np.testing.assert_array_equal(cold, written)


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (2.0, 3)])
def test_draws_follow_the_distribution(temperature, top_k):
    """Catches a temperature that multiplies, and a top_k that keeps the wrong tokens or does not renormalize."""
    prompts = np.repeat(PROMPT[:1], 4000, axis=0)
    drawn = dl.generation.generate(
        MODEL, PARAMS, STATE, jax.random.key(1), prompts, 2, temperature=temperature, top_k=top_k
    )
    logits = np.asarray(logits_after(PROMPT[:1]))[0]
    kept = logits >= (np.sort(logits)[-top_k] if top_k else -np.inf)
    expected = np.where(kept, np.exp(logits / temperature), 0)
    share = np.bincount(np.asarray(drawn)[:, 0], minlength=7) / len(prompts)
    np.testing.assert_allclose(share, expected / expected.sum(), atol=0.03)
    assert not np.array_equal(drawn[:, 0], drawn[:, 1])


def test_of_equal_tokens_exactly_k_are_drawn():
    """Catches a threshold, which all equal logits pass; and several logits that are inf over a tiny temperature."""
    even = jax.tree.map(jnp.zeros_like, PARAMS)
    prompts = np.ones((200, 3), np.int32)
    drawn = dl.generation.generate(MODEL, even, STATE, jax.random.key(1), prompts, 2, top_k=3)
    assert np.unique(drawn).tolist() == [0, 1, 2]
    greedily = dl.generation.generate_greedily(MODEL, PARAMS, STATE, PROMPT, 3)
    write = jax.jit(lambda t: dl.generation.generate(MODEL, PARAMS, STATE, jax.random.key(0), PROMPT, 3, temperature=t))
    for temperature in (1e-38, 0.0):
        np.testing.assert_array_equal(write(temperature), greedily)


def test_prompts_of_few_bits():
    """Catches ids that are written in the dtype of the prompt: 8 bits do not hold 300 tokens."""
    model = dl.models.recurrent(2, 2, 300, num_tokens=300, output="all", cell="simple")
    params, state = model.init(jax.random.key(0))
    params["head"]["bias"] = params["head"]["bias"].at[299].set(50.0)
    swapped = jax.tree.map(lambda leaf: np.asarray(leaf).astype(">f8"), params)
    written = dl.generation.generate_greedily(model, swapped, state, np.array([[1, 2]], np.uint8), 2)
    assert written.tolist() == [[299, 299]]
    assert written.dtype == jnp.int32
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, params)
    with pytest.raises(dl.DataError, match=r"NaN or inf.*a run that has diverged"):
        dl.generation.generate_greedily(model, broken, state, np.array([[1, 2]], np.uint8), 2)


def test_compiles_once():
    """Catches a program that is traced anew by each call or for each temperature."""
    from dlcore.generation.text import _written

    dl.generation.generate(MODEL, PARAMS, STATE, jax.random.key(0), PROMPT, 3)
    size = _written._cache_size()
    dl.generation.generate(MODEL, PARAMS, STATE, jax.random.key(1), PROMPT, 3, temperature=0.5)
    assert _written._cache_size() == size


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"temperature": 0.0},
            dl.ArgumentError,
            r"temperature is 0.0; expects a finite number, above 0.*generate_greedily",
        ),
        ({"temperature": -1.0}, dl.ArgumentError, "temperature is -1.0; expects"),
        ({"top_k": 0}, dl.ArgumentError, "top_k is 0; expects a positive integer"),
        ({"top_k": 8}, dl.ArgumentError, "top_k is 8, the model knows 7 tokens"),
        ({"num_steps": 0}, dl.ArgumentError, "num_steps is 0; expects an integer from 1 to 100000"),
        ({"prompt": PROMPT[0]}, dl.DataError, r"prompt is int32\[3\]; expects integer ids \[B, T\]"),
        ({"prompt": PROMPT[:, :0]}, dl.DataError, r"prompt is int32\[2, 0\]"),
        ({"prompt": PROMPT.astype(np.float32)}, dl.DataError, r"prompt is float32\[2, 3\]"),
        ({"prompt": PROMPT + 1}, dl.DataError, r"inputs hold 7 at row 1, step 0; expects ids in \[0, 7\)"),
        ({"params": jax.tree.map(lambda leaf: leaf.astype(int), PARAMS)}, dl.DataError, "params holds .*int32"),
        (
            {"model": dl.models.recurrent(4, 8, 7, num_tokens=7, bidirectional=True)},
            dl.ArgumentError,
            "the model has the parts none; expects 'initial' and 'step'",
        ),
    ],
)
def test_bad_arguments(options, error, message):
    """Catches a division by zero, and a prompt or a model that cannot be continued."""
    arguments = {"model": MODEL, "params": PARAMS, "prompt": PROMPT, "num_steps": 2} | options
    with pytest.raises(error, match=message):
        dl.generation.generate(state=STATE, key=jax.random.key(0), **arguments)
