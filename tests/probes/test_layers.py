"""Probes of layers against NumPy: update ratios, statistics of activations, symmetry of units."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
from flax import nnx
from observations import observed, recorded

import dlcore as dl

TASK = dl.tasks.classification(dl.models.mlp([4, 6, 5, 3], activation="tanh"), small.labeled_points())


def hidden(params, x, functions):
    """Activations of the hidden layers of an mlp, by NumPy in float64."""
    found = []
    for layer, function in zip(params["layers"].values(), functions, strict=False):
        x = function(x @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64))
        found.append(x)
    return found


def test_update_ratios_are_those_of_norms():
    """Catches a ratio of gradients, or of squares."""
    seen = observed(TASK, rate=0.2)
    ratios = recorded(dl.probes.update_ratios, seen)
    assert ratios.labels == (("layers.0", "layers.1", "layers.2"),)
    for i, value in enumerate(ratios.values):
        update, weights = (
            np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree["layers"][i])])
            for tree in (seen.gradient, seen.state.params)
        )
        np.testing.assert_allclose(value, 0.2 * np.linalg.norm(update) / np.linalg.norm(weights), rtol=1e-5)


def test_activations_against_numpy():
    """Catches a layer left out, the output counted as one, and statistics of another split."""
    seen = observed(TASK)
    for split in ("train", "test"):
        found = recorded(dl.probes.activations, seen, split)
        layers = hidden(seen.state.params, getattr(TASK.data, split).inputs, [np.tanh] * 2)
        assert found["mean"].labels == (("activations.0", "activations.1"),)
        np.testing.assert_allclose(found["mean"].values, [layer.mean() for layer in layers], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found["variance"].values, [layer.var() for layer in layers], rtol=1e-5)
        shares = [(np.abs(layer) >= 0.9).mean() for layer in layers]  # within 5 % of the width 2 of an end
        np.testing.assert_allclose(found["saturated"].values, shares, rtol=1e-6)
        assert found["dead"].values.tolist() == [0, 0]


def test_layers_stay_in_their_order():
    """Catches names in alphabetical order: layer 10 before layer 2."""
    seen = observed(dl.tasks.classification(dl.models.mlp([4] + [3] * 11 + [3]), small.labeled_points()))
    order = tuple(f"layers.{i}" for i in range(12))
    assert dl.probes.layer_norms(seen.gradient).labels == (order,)
    assert recorded(dl.probes.update_ratios, seen).labels == (order,)
    assert dl.probes.unit_symmetry(seen.state.params)["spread"].labels == (order,)
    assert recorded(dl.probes.activations, seen)["mean"].labels == (tuple(f"activations.{i}" for i in range(11)),)


def test_rows_are_spread_evenly():
    """Catches the first rows of a split that is sorted by class."""
    seen = observed(TASK)
    found = recorded(dl.probes.activations, seen, num_rows=8)
    layer = hidden(seen.state.params, TASK.data.train.inputs[::3], [np.tanh])[0]
    np.testing.assert_allclose(found["mean"].values[0], layer.mean(), rtol=1e-5, atol=1e-7)


def test_dead_units_pass_no_gradient():
    """Catches a unit that is called dead for one example; dead are those whose weights get no gradient."""
    model = dl.models.mlp([4, 6, 3], activation="relu")
    task = dl.tasks.classification(model, small.labeled_points())
    seen = observed(task)
    bias = seen.state.params["layers"][0]["bias"].at[jnp.array([1, 4])].set(-100.0)
    params = {"layers": {**seen.state.params["layers"], 0: seen.state.params["layers"][0] | {"bias": bias}}}
    seen = seen._replace(state=seen.state._replace(params=params))
    gradient = jax.grad(lambda p: task.objective(p, {}, task.data.train)[0])(params)
    silent = np.abs(gradient["layers"][0]["kernel"]).sum(0) == 0
    found = recorded(dl.probes.activations, seen)
    assert silent.sum() == 2
    assert found["dead"].values.tolist() == pytest.approx([2 / 6])
    share = (hidden(params, task.data.train.inputs, [lambda x: np.maximum(x, 0)])[0] == 0).mean()
    assert found["saturated"].values.tolist() == pytest.approx([share])


@pytest.mark.parametrize("name", sorted(dl.activations.ACTIVATIONS))
def test_ranges_are_where_slopes_vanish(name):
    """Catches a range of another function: far out the slope vanishes where, and only where, an end is near."""
    function = dl.activations.by_name(name)
    if name in ("softmax", "gelu", "silu"):  # over the last axis; of no known range
        return
    if name == "maxout":
        for given in (name, function, dl.activations.Maxout(3)):
            assert dl.probes.unit_statistics(jnp.full((2, 3), 1e30), given)["saturated"] == 0
        return
    for side in (-200.0, 200.0):
        value, slope = function(jnp.float32(side)), jax.grad(function)(jnp.float32(side))
        found = dl.probes.unit_statistics(value.reshape(1, 1), name)
        assert found["saturated"] == (slope < 1e-3), side
        found = dl.probes.unit_statistics(function(jnp.zeros((1, 1))) + 0.1, name)
        assert found["saturated"] == 0


def test_what_is_not_known_is_nan():
    """Catches a share of 0 where nothing is known, and a NaN that counts as alive."""
    found = dl.probes.unit_statistics(jnp.ones((2, 3)), "gelu")
    assert np.isnan([found["saturated"], found["dead"]]).all()
    assert found["mean"] == 1
    found = dl.probes.unit_statistics(jnp.array([[jnp.nan, 0.0]]), "relu")
    assert all(np.isnan(value) for value in found.values())


def test_one_end_and_images():
    """Catches a margin of an infinite width, and channels counted as examples."""
    found = dl.probes.unit_statistics(jnp.array([[-0.96, 3.0]]), "elu")
    assert found["saturated"] == 0.5
    assert found["dead"] == 0
    images = jnp.zeros((2, 3, 3, 4)).at[0, 0, 0, 0].set(1.0)
    assert dl.probes.unit_statistics(images, (0, np.inf))["dead"] == 0.75


class Bare(nnx.Module):
    """A network whose activation is no layer."""

    def __init__(self, rngs):
        self.hidden, self.out = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.tanh(self.hidden(x)))


class Looping(nnx.Module):
    """A network that calls its activation in a loop, and one that calls it twice."""

    def __init__(self, rngs, scanned):
        self.hidden, self.out = nnx.Linear(4, 4, rngs=rngs), nnx.Linear(4, 3, rngs=rngs)
        self.act, self.scanned = dl.activations.layer("tanh"), scanned

    def __call__(self, x):
        if self.scanned:
            x = jax.lax.scan(lambda x, _: (self.act(x), None), self.hidden(x), length=2)[0]
        else:
            x = self.act(self.act(self.hidden(x)))
        return self.out(x)


def test_models_whose_layers_cannot_be_seen():
    """Catches an empty record, and a tracer that leaks out of a loop; a layer that is called twice has two places."""
    data = small.labeled_points()
    with pytest.raises(dl.DataError, match="calls no activation layer before its output"):
        dl.probes.activations(observed(dl.tasks.classification(dl.from_nnx(Bare), data)))
    looping = dl.tasks.classification(dl.from_nnx(lambda rngs: Looping(rngs, True)), data)
    with pytest.raises(dl.DataError, match="act is called inside of a loop"):
        dl.probes.activations(observed(looping))
    twice = dl.tasks.classification(dl.from_nnx(lambda rngs: Looping(rngs, False)), data)
    assert dl.probes.activations(observed(twice))["mean"].labels == (("act", "act (2)"),)


def test_equal_units_are_one():
    """Catches a distance with rounding of its own, and a bias that is left out."""
    kernel = np.float32(np.random.default_rng(0).normal(size=(3, 5)))
    kernel[:, 2] = kernel[:, 0]
    found = dl.probes.unit_symmetry({"a": {"kernel": kernel, "bias": np.zeros(5)}, "b": {"kernel": np.ones((2, 4))}})
    units = kernel.T.astype(np.float64)
    apart = np.linalg.norm(units[:, None] - units[None], axis=-1)
    expected = apart.max() / np.sqrt((units**2).sum(1).mean())
    np.testing.assert_allclose(found["spread"].values, [expected, 0], rtol=1e-5)
    assert found["distinct"].values.tolist() == [4, 1]
    found = dl.probes.unit_symmetry({"b": {"kernel": np.ones((2, 4)), "bias": np.arange(4.0)}})
    assert found["distinct"].values.tolist() == [4]


def test_symmetry_of_any_scale():
    """Catches squares that overflow or vanish, and zero weights that are no number."""
    for scale in (1e-30, 1e30):
        found = dl.probes.unit_symmetry({"a": {"kernel": scale * np.eye(3)}})
        np.testing.assert_allclose(found["spread"].values, [np.sqrt(2)], rtol=1e-5)
    found = dl.probes.unit_symmetry({"a": {"kernel": np.zeros((3, 3))}, "b": {"kernel": np.array([[np.nan, 1.0]])}})
    np.testing.assert_array_equal(found["spread"].values, [0, np.nan])
    np.testing.assert_array_equal(found["distinct"].values, [1, np.nan])


def test_records_of_lanes():
    """Catches a probe that does not work side by side, and one that raises where a run has diverged."""
    observe = {
        "ratio": dl.probes.update_ratios,
        "units": dl.probes.activations,
        "symmetry": lambda seen: dl.probes.unit_symmetry(seen.state.params),
    }

    def fit(seed, rate):
        key = jax.random.key(seed)
        return dl.training(key, TASK, optax.sgd(rate), batch_size=6, num_epochs=2, observe=observe)

    runs = dl.sweep(fit, seed=np.arange(2), rate=np.array([0.1, 1e38]))
    assert runs["units.variance"].dims == ("seed", "rate", "step", "hidden_layer")
    last = runs.isel(step=-1)
    for name in ("ratio", "units.mean", "units.dead", "symmetry.spread", "symmetry.distinct"):
        assert np.isfinite(last[name].sel(rate=0.1)).all(), name
        assert last[name].sel(rate=1e38).isnull().all(), name
    alone = dl.run(fit(1, 0.1))
    np.testing.assert_allclose(alone["units.variance"], runs["units.variance"].sel(seed=1, rate=0.1), rtol=1e-5)
