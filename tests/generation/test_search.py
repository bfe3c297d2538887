"""Greedy and beam search against brute force; samples of strokes against their density."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl
from dlcore.nn.mixture import Mixture, draw, sharpened

NUM_TOKENS, END = 4, 3  # padding, two words and the end
ROWS = 3


def bigrams(seed: int, num_rows: int = ROWS) -> jax.Array:
    """Logits of the next token given the two before it, of each row: [B, K, K, K]."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=(num_rows, *[NUM_TOKENS] * 3)), jnp.float32)


def bigram_step(carry, token):
    """A language model with memory: its carry is (its table, the token before)."""
    table, before = carry
    return (table, token), table[jnp.arange(len(token)), before, token]


def start(table: jax.Array):
    """The carry at the start."""
    return table, jnp.zeros(len(table), jnp.int32)


def greedy(table: jax.Array, max_length: int):
    """Compiled as one: op by op it takes seconds."""
    search = functools.partial(dl.generation.greedy_search, bigram_step, start_id=1, end_id=END, max_length=max_length)
    return jax.jit(search)(start(table))


def beam_search(table: jax.Array, **options):
    """The same, for a beam."""
    search = functools.partial(dl.generation.beam_search, bigram_step, start_id=1, end_id=END, **options)
    return jax.jit(search)(start(table))


def brute_force(table: np.ndarray, max_length: int, length_penalty: float) -> list[tuple[float, tuple[int, ...]]]:
    """Every sequence that ends by the end token, or has max_length tokens, with its score; the best first."""
    words = [token for token in range(NUM_TOKENS) if token != END]
    sequences = [(*some, END) for length in range(max_length) for some in itertools.product(words, repeat=length)]
    sequences += itertools.product(words, repeat=max_length)

    def score(sequence):
        before, last, total = 0, 1, 0.0
        for token in sequence:
            logits = table[before, last].astype(np.float64)
            total += logits[token] - np.log(np.exp(logits).sum())
            before, last = last, token
        return total / ((5 + len(sequence)) / 6) ** length_penalty

    return sorted(((score(sequence), sequence) for sequence in sequences), reverse=True)


@pytest.mark.parametrize("max_length", [1, 2, 3])
@pytest.mark.parametrize("length_penalty", [0.0, 0.9])
def test_full_beam_is_brute_force(max_length, length_penalty):
    """Catches a lost hypothesis, an end that goes on, a wrong penalty, a carry that follows another parent."""
    table = bigrams(0)
    expected = [brute_force(np.asarray(row), max_length, length_penalty) for row in table]
    width = len(expected[0])
    found = beam_search(table, max_length=max_length, beam_width=width, length_penalty=length_penalty)
    assert found.ids.shape == (ROWS, width, max_length)
    for row, sequences in enumerate(expected):
        np.testing.assert_allclose(found.scores[row], [score for score, _ in sequences], rtol=1e-5)
        padded = [(*sequence, *[0] * (max_length - len(sequence))) for _, sequence in sequences]
        np.testing.assert_array_equal(found.ids[row], padded)


def test_beam_of_one_is_greedy():
    """Catches a beam that is seeded twice, and a greedy search that goes on after the end."""
    table = bigrams(1, num_rows=12)
    ids, scores = greedy(table, max_length=6)
    one = beam_search(table, beam_width=1, max_length=6)
    np.testing.assert_array_equal(one.ids[:, 0], ids)
    np.testing.assert_allclose(one.scores[:, 0], scores, rtol=1e-6)
    ended = np.asarray(ids) == END
    assert 0 < ended.any(axis=1).sum() < 12, "some end early, some never"
    assert not np.asarray(ids)[np.cumsum(ended, axis=1) - ended > 0].any()


def test_wider_beam_finds_what_greedy_misses():
    """Catches a beam that keeps the extensions of its best hypothesis only."""
    table = jnp.full((1, *[NUM_TOKENS] * 3), -20.0)
    table = table.at[0, 0, 1, jnp.array([1, 2])].set(jnp.log(jnp.array([0.6, 0.4])))  # the better first token ...
    table = table.at[0, 1, 1].set(0.0)  # ... has four even continuations,
    table = table.at[0, 1, 2, END].set(0.0)  # the worse one a certain end.
    assert greedy(table, max_length=2)[0].tolist() == [[1, 0]]
    found = beam_search(table, beam_width=2, max_length=2)
    assert found.ids.tolist() == [[[2, END], [1, 0]]]
    np.testing.assert_allclose(np.exp(found.scores), [[0.4, 0.15]], rtol=1e-4)


def test_ties_go_to_the_lower_token():
    """Catches an order of equal scores that depends on the program."""
    even = jnp.zeros((1, *[NUM_TOKENS] * 3))
    assert greedy(even, max_length=2)[0].tolist() == [[0, 0]]
    found = beam_search(even, beam_width=4, max_length=2)
    assert found.ids.tolist() == [[[END, 0], [0, 0], [0, 1], [0, 2]]]


def test_hypotheses_there_are_not():
    """Catches copies of a hypothesis, and ids that follow a probability of 0."""
    only = jnp.full((1, *[NUM_TOKENS] * 3), -jnp.inf).at[..., END].set(0.0)
    found = beam_search(only, max_length=3, beam_width=2, length_penalty=0.5)
    assert found.ids.tolist() == [[[END, 0, 0], [0, 0, 0]]]
    np.testing.assert_array_equal(found.scores, [[0.0, -np.inf]])


@pytest.mark.parametrize("logits", [[0, np.nan, 1, 2], [0, np.inf, 1, 2], [-np.inf] * 4])
def test_logits_that_make_no_probabilities(logits):
    """Catches tokens that are made of NaN: the order of NaN depends on the platform."""

    def step(carry, token):
        return carry, jnp.broadcast_to(jnp.asarray(logits, jnp.float32), (len(token), 4))

    for search in (dl.generation.greedy_search, functools.partial(dl.generation.beam_search, beam_width=2)):
        with pytest.raises(dl.DataError, match="NaN or inf, or all -inf"):
            search(step, jnp.zeros((1, 0)), 1, END, max_length=2)


def test_logits_in_halves_are_added_up_in_single_precision():
    """Catches scores of three digits."""
    logits = jnp.array([0.1, 1.0, 2.0, 0.3])
    step = lambda carry, token: (carry, jnp.broadcast_to(logits.astype(jnp.float16), (len(token), 4)))  # noqa: E731
    _, score = dl.generation.greedy_search(step, jnp.zeros((1, 0)), 1, END, max_length=9)
    exact = jax.nn.log_softmax(logits.astype(jnp.float16).astype(jnp.float32))[2]
    np.testing.assert_allclose(score, [9 * exact], rtol=1e-5)


def test_compiled_with_a_traced_penalty():
    """Catches a Python branch on a value, and a penalty that a study cannot map over."""
    table = bigrams(2)

    def best(penalty):
        return beam_search(table, max_length=4, beam_width=4, length_penalty=penalty).scores

    both = jax.jit(jax.vmap(best))(jnp.array([0.0, 2.0]))
    assert both.shape == (2, ROWS, 4)
    np.testing.assert_allclose(both[0], best(0.0), rtol=1e-5)
    assert (np.asarray(both[1, :, 0]) > np.asarray(both[0, :, 0])).any()
    assert (np.diff(both, axis=-1) <= 0).all()


def table_of(token):
    """Logits of no model."""
    return jnp.zeros((len(token), NUM_TOKENS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 0}, "max_length is 0; expects an integer from 1 to 10000"),
        ({"beam_width": 0}, "beam_width is 0; expects an integer from 1 to 10000"),
        ({"max_length": 1, "beam_width": 5}, "4 tokens make only 4 sequences of at most 1. Use beam_width=4 or less"),
        ({"length_penalty": -1.0}, "length_penalty is -1.0; expects a finite number, 0 or more"),
        ({"start_id": 4}, r"start_id is 4; expects an id in \[0, 4\)"),
        ({"end_id": 7.0}, "end_id is 7.0; expects an integer, 0 or more"),
        ({"end_id": 0}, "end_id is 0; expects another than 0, that of padding"),
        ({"carry": {}}, r"carry holds nothing; expects arrays \[B, ...\], the same B for all"),
        ({"carry": jnp.zeros((0, 2))}, "the same B for all, 1 or more"),
        ({"carry": np.full((1, 1), 2**40)}, "carry: arrays are .* beyond int32: convert them to floats"),
        ({"step": lambda carry, token: token}, r"step gives int32\[6\]; expects the pair"),
        (
            {"step": lambda carry, token: (carry[0], table_of(token))},
            "step gives a carry of .*; expects the same arrays",
        ),
        ({"step": lambda carry: carry}, "step is .* it fails: .*takes 1 positional argument"),
        ({"step": lambda carry, token: (carry, token)}, r"step gives logits int32\[6\]; expects floats \[B, K\]"),
    ],
)
def test_search_says_what_is_wrong(options, message):
    """Catches a search that runs on nonsense."""
    arguments = {"step": bigram_step, "carry": start(bigrams(0)), "start_id": 1, "end_id": END}
    with pytest.raises(dl.DlcoreError, match=message):
        dl.generation.beam_search(**arguments | {"max_length": 3, "beam_width": 2} | options)


def mixture(**changed) -> Mixture:
    """Two components with a pen, one step of 20 000 rows."""
    values = {
        "logits": [0.0, 1.0],
        "means": [[1.0, -1.0], [0.0, 2.0]],
        "log_deviations": [[-1.0, 0.5], [0.0, -0.5]],
        "correlations": [0.5, -1.0],
        "pen": -0.5,
        **changed,
    }
    return Mixture(**{name: jnp.tile(jnp.asarray(v)[None], (20_000, *[1] * np.ndim(v))) for name, v in values.items()})


def test_draws_have_the_moments_of_the_mixture():
    """Catches a wrong component, a correlation of the wrong sign, a pen turned around."""
    points = np.asarray(jax.jit(draw)(jax.random.key(0), mixture()))
    weights = np.exp([0.0, 1.0]) / np.exp([0.0, 1.0]).sum()
    means, deviations = np.array([[1.0, -1.0], [0.0, 2.0]]), np.exp([[-1.0, 0.5], [0.0, -0.5]])
    covariances = [
        np.outer(d, d) * np.array([[1, r], [r, 1]]) for d, r in zip(deviations, np.tanh([0.5, -1.0]), strict=True)
    ]
    mean = weights @ means
    second = sum(w * (c + np.outer(m - mean, m - mean)) for w, c, m in zip(weights, covariances, means, strict=True))
    np.testing.assert_allclose(points[:, :2].mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(points[:, :2].T), second, atol=0.06)
    assert set(points[:, 2]) == {0.0, 1.0}
    np.testing.assert_allclose(points[:, 2].mean(), 1 / (1 + np.exp(0.5)), atol=0.02)


def test_cold_draws_are_the_most_probable():
    """Catches a temperature that works the wrong way."""
    cold = np.asarray(jax.jit(draw)(jax.random.key(0), sharpened(mixture(), 1e-6)))
    np.testing.assert_allclose(cold, np.tile([[0.0, 2.0, 0.0]], (len(cold), 1)), atol=0.01)
