"""Autoencoders keep the contract of models; encoder and decoder are parts; the tasks' terms are what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from model_contract import Case, ModelContract

import dlcore as dl


def curve(num_train: int = 32) -> dl.data.Dataset:
    """Inputs [N, 6] on a curve: one number describes each."""
    t = np.linspace(0, 1, num_train, dtype=np.float32)[:, None]
    inputs = np.concatenate([np.sin((i + 1) * t) for i in range(6)], axis=1) / 2 + 0.5
    return dl.data.Dataset(dl.data.Split(inputs, np.zeros(num_train, np.int32)), name="curve")


def squares(num_train: int = 32) -> dl.data.Dataset:
    """Gray images [N, 7, 6] of one bright square each."""
    inputs = np.zeros((num_train, 7, 6), np.float32)
    for i in range(num_train):
        top, left = i % 5, i // 5 % 4
        inputs[i, top : top + 3, left : left + 3] = 1
    return dl.data.Dataset(dl.data.Split(inputs, np.zeros(num_train, np.int32)), name="squares")


class TestAutoencoder(ModelContract):
    """Dense and convolutional, tied and variational."""

    CASES = {
        "autoencoder": Case(
            lambda: dl.tasks.reconstruction(dl.models.autoencoder([6, 16, 2], "tanh"), curve()),
            learning_rate=0.02,
            num_steps=150,
        ),
        "tied": Case(
            lambda: dl.tasks.reconstruction(dl.models.autoencoder([6, 16, 2], "tanh", tied=True), curve()),
            learning_rate=0.02,
            num_steps=150,
            heavy=True,
        ),
        "variational": Case(
            lambda: dl.tasks.variational(
                dl.models.autoencoder([6, 16, 2], "tanh", variational=True), curve(), beta=0.0
            ),
            learning_rate=0.02,
            num_steps=150,
            remaining=0.1,
        ),
        "convolutional_autoencoder": Case(
            lambda: dl.tasks.reconstruction(
                dl.models.convolutional_autoencoder((7, 6), [8, 16], 12, "silu"), squares()
            ),
            learning_rate=0.01,
            num_steps=200,
            remaining=0.1,
        ),
    }


X = curve().train.inputs
MODEL = dl.models.autoencoder([6, 4, 2], "tanh")


def test_output_is_decoder_after_encoder():
    """Catches parts that are not the model's own, a code of another width."""
    for model in (MODEL, dl.models.autoencoder([6, 4, 2], variational=True)):
        params, state = model.init(jax.random.key(0))
        code, _ = model.parts["encode"].apply(params, state, X)
        code = code[0] if isinstance(code, tuple) else code
        assert code.shape == (32, 2)
        np.testing.assert_array_equal(
            model.parts["decode"].apply(params, state, code)[0], model.apply(params, state, X)[0]
        )


def test_tied_decoder_is_the_transpose():
    """Catches a decoder with weights of its own, or kernels in the wrong order."""
    model = dl.models.autoencoder([6, 4, 2], "tanh", tied=True, output="sigmoid")
    params, state = model.init(jax.random.key(0))
    assert len([leaf for leaf in jax.tree.leaves(params) if leaf.ndim == 2]) == 2
    first, second = (layer["kernel"] for layer in params["encoder"]["layers"].values())
    code = jnp.tanh(X @ first) @ second
    expected = jax.nn.sigmoid(jnp.tanh(code @ second.T) @ first.T)
    np.testing.assert_allclose(model.apply(params, state, X)[0], expected, atol=1e-6)


def test_variational_draws_in_training_only():
    """Catches a draw in evaluation, one that ignores the key, a deviation that is not that of the code."""
    model = dl.models.autoencoder([6, 4, 2], variational=True)
    params, state = model.init(jax.random.key(0))
    with pytest.raises(dl.ArgumentError, match="pass key="):
        model.apply(params, state, X, train=True)
    mean = jnp.full((20_000, 1), 2.0)
    draws = dl.models.reparameterize(jax.random.key(0), mean, jnp.full((20_000, 1), np.log(9.0)))
    assert abs(float(draws.mean()) - 2) < 0.1
    assert abs(float(draws.std()) - 3) < 0.1
    task = dl.tasks.variational(model, curve(), beta=0.5)
    values = [task.objective(params, state, curve().train, key=jax.random.key(s), train=True)[0] for s in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


def test_evidence_bound():
    """Catches a wrong sign or factor in the divergence, a reconstruction that is not summed over pixels."""
    model = dl.models.autoencoder([6, 4, 2], variational=True)
    params, state = model.init(jax.random.key(0))
    loss, (terms, _) = dl.tasks.variational(model, curve(), beta=0.5).objective(params, state, curve().train)
    mean, log_variance = map(np.asarray, model.parts["encode"].apply(params, state, X)[0])
    variance = np.exp(log_variance)
    divergence = (-np.log(np.sqrt(variance)) + (variance + mean**2) / 2 - 0.5).sum(1).mean()
    output, _ = model.apply(params, state, X)
    error = ((np.asarray(output) - X) ** 2).sum(1).mean()
    np.testing.assert_allclose(terms["divergence"], divergence, rtol=1e-5)
    np.testing.assert_allclose(terms["reconstruction"], error, rtol=1e-5)
    np.testing.assert_allclose(loss, error + 0.5 * divergence, rtol=1e-5)


def test_sparsity_is_added_and_reported():
    """Catches a penalty of the wrong axis or strength, one that is reported and not minimized."""
    code = jnp.asarray([[0.2, -0.4], [0.6, 0.0]])
    np.testing.assert_allclose(dl.tasks.l1_activity(0.1)(code), 0.1 * 0.6, rtol=1e-6)
    activity, target = np.float64([0.4, 0.3]), 0.1
    expected = (target * np.log(target / activity) + 0.9 * np.log(0.9 / (1 - activity))).sum()
    np.testing.assert_allclose(dl.tasks.target_activity(0.1, 2.0)(jnp.asarray([activity])), 2 * expected, rtol=1e-5)
    params, state = MODEL.init(jax.random.key(0))
    plain, _ = dl.tasks.reconstruction(MODEL, curve()).objective(params, state, curve().train)
    task = dl.tasks.reconstruction(MODEL, curve(), sparsity=dl.tasks.l1_activity(0.1))
    loss, (terms, _) = task.objective(params, state, curve().train)
    np.testing.assert_allclose(terms["reconstruction"], plain, rtol=1e-6)
    np.testing.assert_allclose(loss, plain + terms["sparsity"], rtol=1e-6)
    assert terms["sparsity"] > 0


def test_denoising_learns_to_restore():
    """Catches corruption of the targets, corruption in evaluation, noise without a key."""
    task = dl.tasks.reconstruction(MODEL, curve(), corruption=dl.tasks.masking_noise(0.5))
    params, state = MODEL.init(jax.random.key(0))
    with pytest.raises(dl.ArgumentError, match="pass key="):
        task.objective(params, state, curve().train, train=True)
    clean, _ = dl.tasks.reconstruction(MODEL, curve()).objective(params, state, curve().train)
    assert task.objective(params, state, curve().train, key=jax.random.key(0))[0] == clean
    assert task.objective(params, state, curve().train, key=jax.random.key(0), train=True)[0] != clean
    masked = dl.tasks.masking_noise(0.3)(jax.random.key(0), jnp.ones((100, 100)))
    assert abs(float(masked.mean()) - 0.7) < 0.02
    noisy = dl.tasks.gaussian_noise(0.5)(jax.random.key(0), jnp.zeros((100, 100)))
    assert abs(float(noisy.std()) - 0.5) < 0.02


def test_rates_can_be_swept():
    """Catches a check or a branch in Python on a traced share, strength or beta."""
    model = dl.models.autoencoder([6, 4, 2], variational=True)

    def fit(share, beta):
        noisy = dl.tasks.reconstruction(
            MODEL,
            curve(),
            corruption=dl.tasks.masking_noise(share),
            sparsity=dl.tasks.target_activity(share, beta),
        )
        bound = dl.tasks.variational(model, curve(), beta=beta)
        task = dl.tasks.Task(
            model,
            curve(),
            lambda p, s, b, **k: (
                noisy.objective(*MODEL.init(jax.random.key(0)), b, **k)[0] + bound.objective(p, s, b, **k)[0],
                s,
            ),
            lambda params, loss, batch: (loss, {}),
        )
        return dl.training(jax.random.key(0), task, optax.sgd(0.01), batch_size="full", num_steps=1, evaluate=())

    runs = dl.sweep(fit, share=np.float32([0.1, 0.4]), beta=np.float32([0.1]))
    assert len(np.unique(runs.batch_loss.isel(step=-1))) == 2


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: dl.models.autoencoder([6]), r"widths is \[6\]; expects a sequence of 2 to 1000 positive integers"),
        (lambda: dl.models.autoencoder([6, 0]), r"widths is \[6, 0\]"),
        (
            lambda: dl.models.autoencoder([6, 4, 2], decoder_widths=[2, 5, 6], tied=True),
            r"tied weights need .* \[6, 4, 2\]; decoder_widths is \[2, 5, 6\]. Use tied=False",
        ),
        (lambda: dl.models.autoencoder([6, 2], tied=True, variational=True), "a mean and a variance"),
        (lambda: dl.models.autoencoder([6, 4, 2], decoder_widths=[2, 5]), "expects 2, the code's width, first and 6"),
        (lambda: dl.models.autoencoder([6, 2], "maxout"), "keeps the number of units"),
        (lambda: dl.models.autoencoder([6, 2], output="sigmod"), "Did you mean 'sigmoid'"),
        (lambda: dl.models.convolutional_autoencoder((8, 8), [4], 0), "code_size is 0"),
        (lambda: dl.models.convolutional_autoencoder((4, 4), [4, 4], 2), "block 1: kernel_size is 3.* 2 x 2"),
        (lambda: dl.models.convolutional_autoencoder((4,), [4], 2), r"image_shape is \(4,\)"),
        (lambda: dl.tasks.masking_noise(1.0), "masking_noise: share is 1.0; expects .* below 1"),
        (lambda: dl.tasks.masking_noise(-0.1), "masking_noise: share is -0.1"),
        (lambda: dl.tasks.gaussian_noise(-1.0), "gaussian_noise: deviation is -1.0"),
        (lambda: dl.tasks.l1_activity(-1.0), "l1_activity: strength is -1.0; expects a finite number, 0 or more"),
        (lambda: dl.tasks.target_activity(0.0, 1.0), "target_activity: target is 0.0"),
        (lambda: dl.tasks.target_activity(1.0, 1.0), "target_activity: target is 1.0"),
        (lambda: dl.tasks.variational(MODEL, curve()), r"variational expects \(mean, log variance\)"),
        (lambda: dl.tasks.variational(MODEL, curve(), beta=-1.0), "beta is -1.0"),
        (
            lambda: dl.tasks.reconstruction(dl.models.mlp([6, 6]), curve(), sparsity=dl.tasks.l1_activity(1.0)),
            r"has the parts \[\]; expects encode and decode",
        ),
        (
            lambda: dl.tasks.reconstruction(dl.models.mlp([6, 5]), curve()),
            r"output is \[5\] a row, the inputs are \[6\]",
        ),
        (lambda: MODEL.apply(*MODEL.init(jax.random.key(0)), jnp.ones((3, 5))), r"float32\[3, 5\].*\[B, 6\]"),
        (
            lambda: MODEL.parts["decode"].apply(*MODEL.init(jax.random.key(0)), jnp.ones((3, 5))),
            r"the code is float32\[3, 5\]; expects \[B, 2\]",
        ),
    ],
)
def test_bad_input(build, text):
    """Catches a bad argument that gets through, or an error that does not say what is wrong."""
    with pytest.raises(dl.DlcoreError, match=text):
        build()
