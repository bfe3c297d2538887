"""One run over several devices: equal to the run on one within rounding, and in parallel in fact."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
from jax.sharding import AxisType, Mesh

import dlcore as dl

MESH = jax.make_mesh((2,), ("data",))
DATA = small.labeled_points()
STREAMED = dl.data.Dataset(dl.data.Split(dl.data.Streamed(DATA.train.inputs), DATA.train.targets), test=DATA.test)


def fit(mesh=None, data=DATA, optimizer=None, **options):
    task = dl.tasks.classification(small.MODEL, data)
    given = {"batch_size": 6, "num_epochs": 2, "mesh": mesh} | options
    return dl.training(jax.random.key(0), task, optimizer or optax.adam(0.05), **given)


def average(state):
    """Parameters to be evaluated in place of the last."""
    return jax.tree.map(lambda leaf: 0.9 * leaf, state.params)


WEIGHTED = dl.data.Dataset((*DATA.train, np.arange(24.0)), test=DATA.test)
OPTIONS = {
    "full": {"data": WEIGHTED, "batch_size": "full"},
    # The last batch of an epoch has 3 examples, the test split 7: the devices' shares differ.
    "keep": {"data": small.labeled_points(23, 7), "batch_size": 10, "last_batch": "keep"},
    "streamed": {"data": STREAMED},
    "watched": {
        "keep_best": "test_loss",
        "stop": dl.early_stopping("test_loss", patience=1, min_change=1.0),
        "observe": {"gradient": lambda seen: seen.gradient},
        "evaluate_params": average,
    },
    "line_search": {
        "optimizer": optax.lbfgs(),
        "sampling": "with_replacement",
        "num_epochs": None,
        "num_steps": 5,
        "record_every": 2,
    },
}


def assert_alike(results, expected):
    """Within rounding, and equal where no rounding is."""
    assert set(results.data_vars) == set(expected.data_vars)
    for name in expected.data_vars:
        assert_close(results[name], expected[name], name)


def assert_close(values, expected, name=""):
    """Within rounding."""
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", OPTIONS)
def test_equals_the_run_on_one_device(name):
    """Catches a loss of a part of the batch, padding that counts, rows that another device got, keys of its own."""
    kept = {"final_params": True, "final_state": True}
    meshed = dl.run(fit(MESH, **OPTIONS[name]), **kept)
    assert_alike(meshed, dl.run(fit(**OPTIONS[name]), **kept))
    assert meshed.attrs["mesh"] == "data 2"


def test_evaluation_in_pieces(monkeypatch):
    """Catches rows that are evaluated twice or not at all where a split goes through the model in pieces."""
    from dlcore.core import evaluation

    expected = dl.run(fit())
    monkeypatch.setattr(evaluation, "BYTES_AT_ONCE", 256)
    monkeypatch.setattr(evaluation, "BYTES_OF_PIECE", 256)
    assert_alike(dl.run(fit(MESH)), expected)


def test_going_on_from_a_state():
    """Catches a state of one device that the program of a mesh does not take, and the other way round."""
    first = dl.run(fit(MESH), final_state=True)
    state = dl.final_state(first, fit(MESH))
    whole = dl.run(fit(num_epochs=4))
    for mesh in (MESH, None):
        assert_close(dl.run(fit(mesh), start=state).train_loss, whole.train_loss.isel(step=slice(3, None)))
    stopping = {"stop": dl.early_stopping("test_loss", patience=9)}
    state = dl.final_state(dl.run(fit(MESH, **stopping), final_state=True), fit(MESH, **stopping))
    assert dl.run(fit(MESH, **stopping), start=state).sizes["step"] == 2


def test_by_hand():
    """Catches functions of a training that only a program can call."""
    meshed, expected = fit(MESH), dl.run(fit())
    state = meshed.init()
    assert_close(meshed.measure(state)["train_loss"], expected.train_loss[0])
    state, record = meshed.advance(state)
    assert_close(record["test_loss"], expected.test_loss[1])
    assert "on 2 devices" in str(meshed)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 5}, r"batch_size is 5, the mesh has 2 devices; .* Use batch_size=4 or batch_size=6\."),
        ({"batch_size": 1}, r"batch_size is 1, .* Use batch_size=2\."),
        (
            {"data": STREAMED, "batch_size": 14, "num_epochs": 1, "last_batch": "keep", "mesh": 4},
            r"batch_size is 14, the mesh has 4 devices",
        ),
        ({"mesh": jax.devices()}, r"mesh is \[.*; expects a jax.sharding.Mesh of one axis, e.g. jax.make_mesh"),
        ({"mesh": (1, 2)}, r"Its axes are a, b; only the batch is split: jax.make_mesh\(\(2,\), \('data',\)\)"),
    ],
)
def test_what_is_refused(options, words):
    mesh = options.get("mesh", MESH)
    if isinstance(mesh, tuple):
        mesh = jax.make_mesh(mesh, ("a", "b"))
    elif mesh == 4:
        mesh = Mesh(np.asarray(2 * jax.devices()[:2]), ("data",))
    with pytest.raises(dl.ArgumentError, match=words):
        fit(**{**options, "mesh": mesh})


def test_the_last_batch_of_a_stream():
    """Catches a share that no device can fetch; what the message advises works."""
    data = dl.data.Dataset(dl.data.Split(dl.data.Streamed(DATA.train.inputs[:23]), DATA.train.targets[:23]))
    options = {"data": data, "batch_size": 10, "last_batch": "keep"}
    with pytest.raises(dl.ArgumentError, match=r'has 3 streamed examples, .* Use last_batch="drop"'):
        fit(MESH, **options)
    assert_alike(dl.run(fit(MESH, **options | {"last_batch": "drop"})), dl.run(fit(**options | {"last_batch": "drop"})))


def test_a_sweep_has_no_mesh():
    """Catches cells that each wait for all devices."""

    def cell(seed, mesh):
        return fit(mesh)

    with pytest.raises(
        dl.ArgumentError, match=r"mesh=Mesh.* has a mesh of 2 devices; expects none in a sweep, .*dl.run"
    ):
        dl.sweep(cell, seed=np.arange(2), mesh=[None, MESH])


def test_under_a_mesh_of_jax():
    """Catches an error of JAX's own about types; what the message advises works."""
    with jax.set_mesh(MESH), pytest.raises(dl.ArgumentError, match=r"after jax.set_mesh; .* Leave jax.set_mesh out"):
        dl.run(fit(MESH))


def test_hand_written():
    """Catches a mesh that is dropped where a training is no minimization, and axes that a program cannot take."""
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("data",))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))

    def advance(total):
        rows = jax.lax.with_sharding_constraint(jnp.arange(8.0), split)
        return total + jnp.sum(rows), {"total": total}

    training = dl.Training(lambda: 0.0, advance, 3, mesh=mesh)
    np.testing.assert_array_equal(dl.run(training).total, [0, 28, 56])
    explicit = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,))
    with pytest.raises(dl.ArgumentError, match=r"axes are all AxisType.Auto.* jax.sharding.Mesh\(mesh.devices"):
        dl.run(training._replace(mesh=explicit))
    with pytest.raises(dl.ArgumentError, match=r"mesh is 2; expects a jax\.sharding\.Mesh whose"):
        dl.run(training._replace(mesh=2))
