"""`dl.models.summary` and what it is made of: layers, shapes, parameters, operations."""

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dlcore as dl


class Network(nnx.Module):
    """A convolution used twice, a scan over a linear layer, a parameter outside of layers."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 3, (3, 3), rngs=rngs)
        self.cell = nnx.Linear(3, 3, use_bias=False, rngs=rngs)
        self.scale = nnx.Param(jnp.ones(3))

    def __call__(self, x):
        rows = self.conv(self.conv(x)).mean(1) * self.scale[...][None, None]
        cell = self.cell

        def step(carry, row):
            carry = jnp.tanh(cell(carry + row))
            return carry, carry

        return jax.lax.scan(step, jnp.zeros((x.shape[0], 3)), rows.swapaxes(0, 1))[0]


def test_counts_parameters_and_operations_of_each_layer():
    """Catches a layer called twice that counts once, and a scan whose body counts once."""
    conv, cell, rest = dl.models.layer_table(dl.from_nnx(Network), np.zeros((2, 8, 8, 3), np.float32))
    assert (conv.path, conv.kind, conv.num_params, conv.flops) == ("conv", "Conv", 84, 2 * 2 * (2 * 8 * 8 * 3) * 27)
    assert (cell.path, cell.kind, cell.num_params, cell.flops) == ("cell", "Linear", 9, 8 * 2 * (2 * 3) * 3)
    assert (rest.path, rest.num_params, rest.flops) == ("", 3, 0)
    assert (conv.output.shape, rest.inputs.shape, rest.output.shape) == ((2, 8, 8, 3), (2, 8, 8, 3), (2, 3))


def test_operations_are_those_xla_counts():
    """Catches a factor of two: a multiplication and an addition are two operations."""
    model = dl.models.mlp([64, 128, 10], "identity")
    x = jnp.zeros((32, 64))
    params, state = model.init(jax.random.key(0))
    kernels = [params["layers"][i]["kernel"] for i in range(2)]
    counted = jax.jit(lambda x, a, b: x @ a @ b).lower(x, *kernels).compile().cost_analysis()
    assert sum(layer.flops for layer in dl.models.layer_table(model, x)) == counted["flops"]
    assert dl.models.num_params(model) == sum(leaf.size for leaf in jax.tree.leaves(params))
    assert state == {}


def test_shapes_known_in_part():
    """Catches a model or a report that needs the batch size."""
    rows = dl.models.layer_table(dl.models.mlp([64, 128, 10]), dl.models.symbolic("batch, 64"))
    assert {str(row.output.shape[0]) for row in rows} == {"batch"}
    assert str(rows[0].flops) == "16384*batch"
    first, second = dl.models.symbolic("b, 4", "b, time", dtype=int)
    assert first.shape[0] == second.shape[0]
    assert first.dtype == jnp.int32


def test_error_names_the_layer_whose_shapes_do_not_fit():
    """Catches an error from deep inside of Flax that does not say where."""

    class Mistaken(nnx.Module):
        def __init__(self, rngs):
            self.blocks = nnx.List([nnx.Linear(4, 3, rngs=rngs), nnx.Linear(5, 3, rngs=rngs)])

        def __call__(self, x):
            return self.blocks[1](self.blocks[0](x))

    model = dl.from_nnx(Mistaken)
    expected = r"layer blocks\.1 \(Linear\): inputs are float32\[b, 3\]; expects 5 features last\. dot_general"
    with pytest.raises(dl.DataError, match=expected):
        dl.models.summary(model, dl.models.symbolic("b, 4"))
    with pytest.raises(dl.DataError, match=r"layer blocks\.1 \(Linear\): inputs are float32\[2, 3\]"):
        model.apply(*model.init(jax.random.key(0)), jnp.zeros((2, 4)))
    assert nnx.Linear(4, 3, rngs=nnx.Rngs(0))(jnp.zeros((1, 4))).shape == (1, 3), "the classes are as they were"


@pytest.mark.parametrize("shape", ["b,,4", 3, "b; 4", "b, -"])
def test_shapes_that_are_none(shape):
    """Catches an error in the words of JAX's parser."""
    with pytest.raises(dl.ArgumentError, match="expects sizes and names with commas between"):
        dl.models.symbolic(shape)


def test_prints_a_table(capsys):
    """Catches rows or totals left out, and columns out of line."""
    dl.models.summary(dl.models.mlp([64, 128, 10]), dl.models.symbolic("batch, 64"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "kind", "inputs", "output", "parameters", "FLOPs"]
    assert lines[-1].split() == [
        "the",
        "model",
        "float32[batch,",
        "64]",
        "float32[batch,",
        "10]",
        "9",
        "610",
        "18944*batch",
    ]
    assert len({len(line) for line in lines}) == 1
    dl.models.summary(dl.from_nnx(Network), np.zeros((2, 8, 8, 3), np.float32))
    assert "outside of layers" in capsys.readouterr().out


def test_models_of_other_origin_have_one_row():
    """Catches a summary that works for NNX alone."""
    model = dl.from_linen(flax.linen.Dense(3), jnp.ones((2, 4)))
    (whole,) = dl.models.layer_table(dl.data.prepared(model, dl.data.flatten), jnp.ones((5, 2, 2)))
    assert (whole.num_params, whole.flops, whole.output.shape) == (15, 2 * 5 * 4 * 3, (5, 3))


def symbolic_cases():
    """A model of each family and inputs whose sizes are names."""
    models, named = dl.models, dl.models.symbolic
    return {
        "mlp": (models.mlp([4, 8, 3], "maxout", normalization="batch", skip=True), named("b, 4")),
        "radial_basis": (models.radial_basis(jnp.ones((5, 4)), jnp.ones(5), 2), named("b, 4")),
        "convolutional": (models.convolutional((8, 8, 3), [4], 3), named("b, 8, 8, 3")),
        "resnet": (models.resnet((8, 8), 3, depth=8, width=4), named("b, 8, 8")),
        "recurrent": (models.recurrent(3, 4, 9, num_tokens=9, output="all"), named("b, time", dtype=int)),
        "bidirectional": (models.recurrent(3, 4, 2, cell="gru", bidirectional=True), named("b, time, 3")),
        "sequence_to_sequence": (
            models.sequence_to_sequence(9, 9, num_units=4, embedding_size=3),
            named("b, source", "b, time", dtype=int),
        ),
        "mixture_density": (models.mixture_density(3, num_units=4), named("b, time, 2")),
        "mixture_of_experts": (
            models.mixture_of_experts([models.mlp([4, 3]), models.mlp([4, 5, 3])], models.linear(4, 2)),
            named("b, 4"),
        ),
        "autoencoder": (models.convolutional_autoencoder((8, 8), [4], 4), named("b, 8, 8")),
        "embedding": (models.embedding(models.mlp([4, 8]), 8), named("b, 4")),
        "grid_detector": (models.grid_detector((15, 15), 3), named("b, 15, 15")),
    }


@pytest.mark.parametrize(("model", "x"), symbolic_cases().values(), ids=symbolic_cases())
def test_every_family_takes_symbolic_sizes(model, x):
    """Catches `len(x)`, parameters that no layer owns up to, and operations that do not grow with the batch."""
    rows = dl.models.layer_table(model, x)
    assert all(str(leaf.shape[0]) == "b" for leaf in jax.tree.leaves(rows[-1].output))
    assert sum(row.num_params for row in rows) == dl.models.num_params(model)
    assert "b" in str(sum(row.flops for row in rows))
    with_params = {row.path.split(".")[0] for row in rows if row.num_params}
    assert with_params - {""}, "some layer has parameters"


def test_layers_of_models_made_of_models_have_their_paths():
    """Catches two experts whose layers get one name."""
    rows = dl.models.layer_table(*symbolic_cases()["mixture_of_experts"])
    paths = [row.path for row in rows if row.num_params]
    assert paths == ["gate.layers.0", "experts.0.layers.0", "experts.1.layers.0", "experts.1.layers.1"]
