"""Sequence-to-sequence models and mixture densities: the contract, PyTorch's values, padding, learning, bad input."""

import functools

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from data_support import needs_shared_data
from model_contract import Case, ModelContract

import dlcore as dl
from dlcore.data.prepare.vocabulary import END, START
from dlcore.nn.attention import AdditiveAttention, DotAttention, attended
from dlcore.nn.masked import Masked
from dlcore.nn.mixture import Mixture

GOLDEN = golden_values.load("sequences")
NUM_TOKENS = 8


def reversals(num_rows: int = 32) -> dl.data.Dataset:
    """Two to five tokens, to be written the other way round."""
    rng = np.random.default_rng(0)
    rows = [rng.integers(4, NUM_TOKENS, size=rng.integers(2, 6)).tolist() for _ in range(num_rows)]
    targets = dl.data.framed(dl.data.pad([row[::-1] for row in rows], length=5))
    return dl.data.Dataset((dl.data.pad(rows, length=5), targets), name="reversals")


def arcs(num_rows: int = 32, pen: bool = False) -> dl.data.Dataset:
    """Six points of a circle's way, with a little noise; the pen is up at every other point."""
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2, (num_rows, 1)) + np.arange(6) * rng.uniform(0.3, 0.9, (num_rows, 1))
    points = np.stack([np.cos(angles), np.sin(angles)], axis=-1) + rng.normal(size=(num_rows, 6, 2)) * 0.01
    ups = np.broadcast_to((np.arange(6) % 2)[None, :, None], (num_rows, 6, 1))
    inputs = np.concatenate([points, ups], axis=-1) if pen else points
    return dl.data.Dataset((inputs.astype(np.float32), np.zeros(num_rows, np.int32)), name="arcs")


def translator(**options) -> dl.Model:
    """A tiny encoder-decoder for `reversals`."""
    return dl.models.sequence_to_sequence(
        NUM_TOKENS, NUM_TOKENS, **{"num_units": 16, "embedding_size": 8, "attention": None} | options
    )


def teacher_forced(split: dl.data.Split) -> tuple:
    """(source, decoder inputs) of a split."""
    return split.inputs, split.targets[:, :-1]


class TestSequenceToSequence(ModelContract):
    """Encoder-decoders."""

    CASES = {
        "sequence_to_sequence": Case(
            lambda: dl.tasks.translation(translator(attention="additive"), reversals()),
            learning_rate=0.03,
            remaining=0.1,
            inputs=teacher_forced,
        ),
    }


class TestMixtureDensity(ModelContract):
    """Mixture-density recurrent networks."""

    CASES = {
        "mixture_density": Case(
            lambda: dl.tasks.strokes(
                dl.models.mixture_density(2, num_units=16, pen=True, min_deviation=0.1), arcs(pen=True)
            ),
            learning_rate=0.02,
            remaining=0.5,
            lowest=-3.0,
            inputs=lambda split: jnp.diff(split.inputs, axis=1),
        ),
    }


# Golden values


def linear(values: dict, layer: str, prefix: str) -> dict:
    """PyTorch's Linear as Flax has it."""
    names = {"kernel": f"{prefix}{layer}.weight", "bias": f"{prefix}{layer}.bias"}
    return {part: values[name].T for part, name in names.items() if name in values}


def attention_params(values: dict, prefix: str) -> dict:
    """Parameters, or with the prefix "d_" gradients, of additive attention."""
    return {part: linear(values, part, prefix) for part in ("query", "key", "score")}


@pytest.mark.parametrize("kind", ["additive", "dot"])
def test_attention_is_pytorchs(kind):
    """Catches a score of other terms, a mask on the wrong axis, a scaled dot product."""
    values = GOLDEN[f"attention/{kind}"]
    num_features = values["queries"].shape[-1]

    def build(rngs):
        return DotAttention() if kind == "dot" else AdditiveAttention(num_features, num_features, 6, rngs=rngs)

    def apply(params, queries, memory):
        def call(module, queries, memory):
            mask = jnp.asarray(values["mask"])
            weights = module(queries, module.keys(memory), mask)
            return attended(weights, memory, mask), weights

        return called(build, params, call, queries, memory)

    params = {} if kind == "dot" else attention_params(values, "")
    arguments = (params, values["queries"], values["values"])
    output, pullback, weights = jax.vjp(apply, *arguments, has_aux=True)
    golden_values.assert_matches((output, weights), (values["output"], values["weights"]))
    gradients = pullback(jnp.asarray(values["cotangent"]))
    expected = ({} if kind == "dot" else attention_params(values, "d_"), values["d_queries"], values["d_values"])
    golden_values.assert_matches(gradients, expected)


def called(build, params, call, *arguments):
    """`call(module, *arguments)` of a Flax layer with these parameters."""
    from flax import nnx

    graphdef, template = nnx.split(build(nnx.Rngs(0)))
    filled = jax.tree.unflatten(jax.tree.structure(template), jax.tree.leaves(params))
    return call(nnx.merge(graphdef, filled), *arguments)


def gru(values: dict, prefix: str, layer: str, ending: str) -> dict:
    """PyTorch's GRU, one layer of it; of its second bias only the part of the candidate is not a mere summand."""
    weight, recurrent, bias, second = (
        values[f"{prefix}{layer}.{part}{ending}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    both = np.concatenate([bias, second[2 * len(second) // 3 :]])
    return {"input_kernel": weight.T, "recurrent_kernel": recurrent.T, "bias": both}


def translator_params(values: dict, prefix: str, *, additive: bool) -> dict:
    """Parameters or gradients of the encoder-decoder."""
    stacks = {
        "encoder": [gru(values, prefix, f"encoder.{i}", "_l0") for i in range(2)],
        "decoder": [gru(values, prefix, f"decoder.{i}", "") for i in range(2)],
    }
    attention = {part: linear(values, f"attention.{part}", prefix) for part in ("query", "key", "score")}
    return {
        **{side: {"layers": dict(enumerate(layers))} for side, layers in stacks.items()},
        **{f"{side}_embedding": {"embedding": values[f"{prefix}{side}_embedding.weight"]} for side in TWO_SIDES},
        "output": linear(values, "output", prefix),
        **({"attention": attention} if additive else {}),
    }


TWO_SIDES = ("source", "target")


@pytest.mark.parametrize("attention", ["additive", None])
def test_encoder_decoder_is_pytorchs(attention):
    """Catches a first state of another step, padding that is read, a context of the wrong state, a layer left out."""
    values = GOLDEN["translate/additive" if attention else "translate/plain"]
    model = dl.models.sequence_to_sequence(
        7, 7, num_units=4, embedding_size=6, num_layers=2, attention=attention, cell="gru"
    )
    params = translator_params(values, "", additive=attention is not None)
    inputs = values["source"].astype(np.int32), values["tokens"].astype(np.int32)
    output, pullback = jax.vjp(jax.jit(lambda params: model.apply(params, {}, inputs)[0]), params)
    golden_values.assert_matches(output, values["output"])
    gradients = pullback(jnp.asarray(values["cotangent"]))[0]
    golden_values.assert_matches(gradients, translator_params(values, "d_", additive=attention is not None))


def test_mixture_density_is_pytorchs():
    """Catches a correlation or a deviation of the wrong form, weights not normalized, a pen that counts twice."""
    values = GOLDEN["mixture"]
    targets, mask = values["targets"], values["mask"]
    mixture = Mixture(*(values[name] for name in Mixture._fields))
    loss, pullback = jax.vjp(jax.jit(lambda m: dl.losses.mixture_density(m, targets, mask)), mixture)
    golden_values.assert_matches(loss, values["output"])
    expected = Mixture(*(values[f"d_{name}"] for name in Mixture._fields))
    golden_values.assert_matches(pullback(jnp.asarray(values["cotangent"]))[0], expected)


# Laws


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "additive", "cell": "lstm", "bidirectional": True, "dropout": 0.5},
        {"attention": "dot", "num_layers": 2},
        {"cell": "simple"},
    ],
    ids=lambda options: options.get("attention", "plain"),
)
def test_parts_and_padding(options):
    """Catches padding that changes a result, and a step that is not the one of the whole."""
    model = translator(**options)
    params, state = model.init(jax.random.key(0))
    source, tokens = (values[:4] for values in teacher_forced(reversals().train))
    apply = jax.jit(lambda inputs: model.apply(params, state, inputs)[0])
    logits = apply((source, tokens))
    longer = apply((np.pad(source, ((0, 0), (0, 3))), np.pad(tokens, ((0, 0), (0, 2)))))
    real = np.asarray(tokens != 0)
    np.testing.assert_allclose(np.asarray(longer)[:, : tokens.shape[1]][real], np.asarray(logits)[real], atol=1e-6)

    @jax.jit
    def stepwise(source, tokens):
        (memory, carry), _ = model.parts["encode"].apply(params, state, source)

        def step(carry, token):
            return model.parts["step"].apply(params, state, (memory, carry, token))[0]

        return jax.lax.scan(step, carry, tokens.T)[1].swapaxes(0, 1)

    np.testing.assert_allclose(np.asarray(stepwise(source, tokens))[real], np.asarray(logits)[real], atol=1e-5)
    if "attention" in options:
        weights = np.asarray(jax.jit(model.parts["attend"].apply)(params, state, (source, tokens))[0])
        assert weights.shape == (*tokens.shape, source.shape[1])
        np.testing.assert_allclose(weights[real].sum(axis=-1), 1, rtol=1e-5)
        assert (weights[np.broadcast_to((source == 0)[:, None], weights.shape)] == 0).all()


def test_traced_dropout():
    """Catches a rate that a study cannot map over, and dropout outside of training."""
    inputs = teacher_forced(reversals().train)
    params, state = translator(dropout=0.5).init(jax.random.key(0))

    @functools.partial(jax.jit, static_argnums=1)
    def logits(rates, train):
        def apply(rate):
            return translator(dropout=rate).apply(params, state, inputs, key=jax.random.key(0), train=train)[0]

        return jax.vmap(apply)(rates)

    none, half = logits(jnp.array([0.0, 0.5]), True)
    calm, still = logits(jnp.array([0.0, 0.5]), False)
    assert np.array_equal(calm, still)
    np.testing.assert_allclose(none, calm, atol=1e-6)
    assert np.abs(half - none).max() > 0.1


def test_masked_losses_of_empty_rows_and_hidden_nan():
    """Catches 0 / 0 in a row without steps, and NaN that reaches the gradient through a mask."""
    mask = jnp.array([[True, True, False], [False, False, False]])
    logits = jnp.where(mask[..., None], jnp.arange(24.0).reshape(2, 3, 4) % 5, jnp.nan)
    labels = jnp.array([[1, 3, -7], [99, 0, 0]])

    @jax.jit
    @jax.value_and_grad
    def total(logits, mask):
        return dl.losses.masked_cross_entropy(logits, labels, mask).sum()

    loss, gradient = total(logits, mask)
    log_probability = np.asarray(jax.nn.log_softmax(logits[0, :2]))
    np.testing.assert_allclose(loss, -(log_probability[0, 1] + log_probability[1, 3]) / 2, rtol=1e-6)
    assert np.isfinite(gradient).all()
    assert not np.asarray(gradient)[~np.asarray(mask)].any()

    steps = jnp.where(mask[..., None], 0.5, jnp.nan)
    mixture = Mixture(steps, jnp.stack([steps, steps], axis=-1), jnp.stack([steps, steps], axis=-1), steps, None)
    targets = jnp.where(mask[..., None], jnp.ones((2, 3, 2)), jnp.nan)
    loss, pullback = jax.vjp(jax.jit(lambda m: dl.losses.mixture_density(m, targets, mask)), mixture)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(pullback(jnp.ones(2))))
    assert loss[1] == 0


def test_mixture_density_far_out():
    """Catches overflow where a deviation is tiny, a correlation is one, or the point far away."""
    extremes, zero = np.array([-80.0, -12.0, 0.0, 12.0, 80.0]), np.zeros(5)
    logits, deviations, correlations = np.float32(
        [np.concatenate([extremes, zero, zero]), np.tile(extremes / 4, 3), np.concatenate([zero, zero, extremes])]
    )
    mixture = Mixture(
        logits=np.stack([logits, -logits], axis=-1)[:, None],
        means=np.zeros((15, 1, 2, 2), np.float32),
        log_deviations=np.broadcast_to(deviations[:, None, None, None], (15, 1, 2, 2)),
        correlations=np.broadcast_to(correlations[:, None, None], (15, 1, 2)),
        pen=None,
    )
    loss, pullback = jax.vjp(jax.jit(lambda m: dl.losses.mixture_density(m, np.full((15, 1, 2), 3.0))), mixture)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((loss, pullback(jnp.ones(15)))))


def test_metrics_of_tokens():
    """Catches a padding step that counts, and an exact match that needs one."""
    labels, mask = jnp.array([[1, 2, 0], [2, 0, 0]]), jnp.array([[True, True, False], [True, False, False]])
    logits = jax.nn.one_hot(jnp.array([[1, 1, 0], [2, 1, 1]]), 3)
    np.testing.assert_allclose(dl.metrics.masked_accuracy(logits, labels, mask), 2 / 3, rtol=1e-6)
    np.testing.assert_allclose(dl.metrics.exact_match(logits, labels, mask), 1 / 2)


def test_framed():
    """Catches an end mark after the padding, or in its place in a full row only."""
    assert dl.data.framed(np.array([[5, 6], [7, 0]])).tolist() == [[START, 5, 6, END], [START, 7, END, 0]]


# Learning


@pytest.mark.heavy
def test_learns_dates_it_has_not_seen():
    """Catches labels moved by one, a decoder that sees its answer, a search that does not use what was learnt."""
    made = dl.data.dates(jax.random.key(0), 400, formats=("{day2}/{month2}/{year}",))
    data = dl.data.from_split(dl.data.Split(made.inputs, dl.data.framed(made.targets)), test=0.25)
    num_tokens = len(dl.data.date_vocabulary())
    model = dl.models.sequence_to_sequence(num_tokens, num_tokens, num_units=32, embedding_size=16, attention="dot")
    task = dl.tasks.translation(model, data)
    training = dl.training(
        jax.random.key(0), task, optax.adam(0.02), batch_size=50, num_steps=200, record_every=200, evaluate=("test",)
    )
    history = dl.run(training, final_params=True)
    params, state = dl.final_params(history, model)
    assert history.test_exact_match.isel(step=-1) > 0.9
    source, expected = data.test.inputs, data.test.targets[:, 1:]
    found = dl.generation.translate(model, params, state, source, max_length=11, beam_width=3)
    assert found.ids.shape == (100, 3, 11)
    assert np.mean((np.asarray(found.ids[:, 0]) == expected).all(axis=1)) > 0.9
    assert (np.diff(found.scores, axis=1) <= 0).all()


@pytest.mark.heavy
def test_density_of_pen_digits_beats_one_gaussian():
    """Catches a density that does not learn, or that learns from the point it is to predict."""
    data = dl.data.from_pen_strokes(needs_shared_data() / "pendigits" / "pendigits.tra", test=0.2)
    model = dl.models.mixture_density(5, num_units=32, min_deviation=0.01)
    training = dl.training(
        jax.random.key(0),
        dl.tasks.strokes(model, data),
        optax.adam(0.01),
        batch_size=100,
        num_epochs=4,
        evaluate=("test",),
        record_every=59,
    )
    history = dl.run(training)
    train, test = (np.diff(split.inputs, axis=1).reshape(-1, 2) for split in (data.train, data.test))
    distance = test - train.mean(axis=0)
    covariance = np.cov(train.T)
    squared = np.einsum("ni,ij,nj->n", distance, np.linalg.inv(covariance), distance)
    gaussian = np.mean(squared) / 2 + np.log(2 * np.pi) + np.log(np.linalg.det(covariance)) / 2
    loss = history.test_loss.values
    assert loss[-1] < gaussian - 1
    assert loss[-1] > -3, "nats a point: less would be more certain than the digits are"


def test_strokes_drawn_from_a_density():
    """Catches a step that is not the one of the whole, points in the wrong order, a key that is not used."""
    model = dl.models.mixture_density(2, num_units=8, num_layers=2, pen=True)
    params, state = model.init(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.arange(leaf.size, dtype=float).reshape(leaf.shape) % 1, params)
    offsets = jnp.diff(jnp.asarray(arcs(pen=True).train.inputs), axis=1)
    whole, _ = model.apply(params, state, Masked(offsets, jnp.ones(offsets.shape[:2], bool)))
    (carry, first), _ = model.parts["start"].apply(params, state, offsets)
    assert first.shape == (32, 3)
    for t in range(2):
        (carry, mixture), _ = model.parts["step"].apply(params, state, (carry, offsets[:, t]))
        golden_values.assert_matches(mixture, jax.tree.map(lambda leaf, t=t: leaf[:, t], whole))

    options = {"num_strokes": 5, "num_points": 4}
    drawn, again = (dl.generation.sample_strokes(model, params, state, jax.random.key(0), **options) for _ in range(2))
    other = dl.generation.sample_strokes(model, params, state, jax.random.key(1), **options)
    assert drawn.shape == (5, 4, 3)
    assert not np.asarray(drawn[:, 0]).any()
    np.testing.assert_array_equal(drawn, again)
    assert not np.array_equal(drawn[:, 1:], other[:, 1:])
    assert np.isin(drawn[..., 2], (0, 1)).all()
    cold = [
        dl.generation.sample_strokes(model, params, state, jax.random.key(seed), temperature=1e-14, **options)
        for seed in range(2)
    ]
    np.testing.assert_allclose(cold[0], cold[1], atol=1e-3)


def test_strokes_of_different_lengths():
    """Catches points beyond the end of a stroke that change its loss."""
    points = arcs(2).train.inputs
    there = np.arange(6)[None] < np.array([[6], [4]])
    model = dl.models.mixture_density(2, num_units=8)
    params, state = model.init(jax.random.key(0))

    def loss(points, there):
        task = dl.tasks.strokes(model, dl.data.Dataset((points, there)))
        return jax.jit(task.objective)(params, state, task.data.train)[0]

    short, long = (loss(np.where(there[..., None], points, np.float32(filler)), there) for filler in (0, 50))
    assert short == long
    alone = [loss(row[None, : mask.sum()], np.zeros(1)) for row, mask in zip(points, there, strict=True)]
    np.testing.assert_allclose(short, np.mean(alone), rtol=1e-5)


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "additve"}, "attention is 'additve'; expects one of .* Did you mean 'additive'"),
        ({"cell": "gur"}, "cell is 'gur'; expects one of .* Did you mean 'gru'"),
        ({"num_units": 0}, "num_units is 0; expects an integer from 1 to 100000"),
        ({"num_layers": 1.5}, "num_layers is 1.5; expects an integer from 1 to 1000"),
        ({"num_units": 5, "bidirectional": True}, "num_units is 5; a bidirectional encoder expects an even number"),
        ({"dropout": 1.5}, "dropout is 1.5; expects a finite number, 0 or more, below 1"),
    ],
)
def test_translator_that_cannot_be(options, message):
    """Catches a model that fails later, or does something else than was asked for."""
    with pytest.raises(dl.ArgumentError, match=message):
        translator(**options)


IDS = np.full((2, 3), 4, np.int32)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (IDS, r"inputs are int32\[2, 3\]; expects the pair \(source ids \[B, S\], decoder inputs \[B, T\]\)"),
        ((IDS, IDS[:1]), r"int32\[2, 3\], the decoder inputs int32\[1, 3\]; expects as many rows of both"),
        ((IDS.astype(np.float32), IDS), r"the source ids are float32\[2, 3\]; expects integer ids \[B, T\]"),
        ((IDS, IDS[..., None]), r"the decoder inputs are int32\[2, 3, 1\]; expects integer ids"),
        ((IDS[:, :0], IDS), r"the source ids are int32\[2, 0\]; expects integer ids .* at least one row and one step"),
        (
            (IDS, IDS[:, :0]),
            r"the decoder inputs are int32\[2, 0\]; expects integer ids .* at least one row and one step",
        ),
        ((IDS + 4, IDS), r"the source ids hold 8 at row 0, step 0; expects ids in \[0, 8\)"),
        ((IDS, IDS - 5), r"the decoder inputs hold -1 at row 0, step 0"),
        ((IDS * np.array([[1], [0]], np.int32), IDS), "source ids: the mask hides all steps of row 1"),
    ],
)
def test_translator_says_what_is_wrong_with_its_inputs(inputs, message):
    """Catches NaN for an id out of range, and a row of padding that is translated all the same."""
    model = translator()
    with pytest.raises(dl.DataError, match=message):
        jax.eval_shape(lambda: model.apply(*model.init(jax.random.key(0)), inputs))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.float32([[2, 4, 3], [2, 3, 0]]), r"targets of the train split are float32\[2, 3\]; translation expects"),
        (np.int32([2, 3]), r"targets of the train split are int32\[2\]; translation expects"),
        (np.int32([[2], [2]]), r"int32\[2, 1\]; expects <start>, <end> and tokens"),
        (np.int32([[2, 4, 3], [4, 3, 0]]), r"row 1: not between <start> \(2\) and <end> \(3\)"),
        (np.int32([[2, 4, 3], [2, 4, 4]]), "row 1: not between"),
        (np.int32([[2, 3, 4], [2, 4, 3]]), r"row 0: not between .* Frame them with dl.data.framed"),
    ],
)
def test_translation_says_what_is_wrong_with_its_targets(targets, message):
    """Catches targets without marks, of which the model would never learn to begin or to end."""
    data = dl.data.Dataset((IDS, targets))
    with pytest.raises(dl.DataError, match=message):
        dl.tasks.translation(translator(), data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 0}, "max_length is 0"),
        ({"beam_width": 0}, "beam_width is 0"),
        ({"length_penalty": -1}, "length_penalty is -1"),
        ({"model": dl.models.mlp([3, 2])}, "translate: the model has the parts none; expects 'encode' and 'step'"),
        ({"source": IDS.astype(float)}, r"translate: source is float64\[2, 3\]; expects integer ids"),
        ({"source": IDS + 9}, "translate: the source ids hold 13 at row 0"),
        ({"source": IDS * 0}, "translate: source ids: the mask hides all steps of row 0"),
    ],
)
def test_translate_says_what_is_wrong(options, message):
    """Catches what would only be seen in the results."""
    model = translator()
    params, state = model.init(jax.random.key(0))
    arguments = {"model": model, "source": IDS, "max_length": 3} | options
    model, source = arguments.pop("model"), arguments.pop("source")
    with pytest.raises(dl.DlcoreError, match=message):
        dl.generation.translate(model, params, state, source, **arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dl.models.mixture_density(0), "num_mixtures is 0; expects an integer from 1 to 10000"),
        (lambda: dl.models.mixture_density(2, cell="lsmt"), "cell is 'lsmt'; expects one of .* Did you mean 'lstm'"),
        (lambda: dl.models.mixture_density(2, min_deviation=-1), "min_deviation is -1; expects a finite number"),
        (lambda: applied(np.zeros((2, 3, 3), np.float32)), r"float32\[2, 3, 3\]; expects float offsets \[B, T, 2\]"),
        (lambda: applied(np.zeros((2, 0, 2), np.float32)), r"float32\[2, 0, 2\]; expects float offsets"),
        (lambda: applied(np.zeros((2, 3, 2), np.int32)), r"int32\[2, 3, 2\]; expects float offsets"),
        (lambda: applied(Masked(np.zeros((1, 3, 2), np.float32), np.zeros((1, 3), bool))), "hides all steps of row 0"),
        (lambda: drawn(temperature=0.0), "temperature is 0.0; expects a finite number, above 0"),
        (lambda: drawn(num_points=0), "num_points is 0; expects an integer from 1 to 100000"),
        (lambda: task_of(np.zeros((2, 3), np.float32)), r"float32\[2, 3\]; strokes expects float coordinates"),
        (lambda: task_of(np.zeros((2, 1, 2), np.float32)), r"float32\[2, 1, 2\]; expects two points or more"),
        (lambda: task_of(np.full((2, 3, 3), 0.5, np.float32)), "the pen, the third column, expects 1"),
        (
            lambda: task_of(np.zeros((2, 3, 2), np.float32), np.ones((2, 4), bool)),
            r"bool\[2, 4\]; as a mask, strokes expects bool \[2, 3\]",
        ),
    ],
)
def test_strokes_say_what_is_wrong(call, message):
    """Catches densities of nothing, and offsets that are none."""
    with pytest.raises(dl.DlcoreError, match=message):
        call()


def applied(inputs):
    """A density of these inputs; nothing is computed."""
    model = dl.models.mixture_density(2, num_units=4)
    return jax.eval_shape(lambda: model.apply(*model.init(jax.random.key(0)), inputs))


def drawn(**options):
    """Strokes of a new model."""
    model = dl.models.mixture_density(2, num_units=4)
    return dl.generation.sample_strokes(
        model, *model.init(jax.random.key(0)), jax.random.key(1), **{"num_strokes": 2, "num_points": 3} | options
    )


def task_of(points, targets=None):
    """The task of these points."""
    data = dl.data.Dataset((points, np.zeros(len(points)) if targets is None else targets))
    return dl.tasks.strokes(dl.models.mixture_density(2), data)
