"""A study is a value: its cells, labels and programs; and what results hold where cells differ."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
import xarray as xr

import dlcore as dl


def halving(start, divisor=2.0):
    return dl.Training(lambda: start * 1.0, lambda x: (x / divisor, {"x": x / divisor}), 2)


def classifier(model, **options):
    task = dl.tasks.classification(model, small.labeled_points())
    return dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=6, num_epochs=1, **options)


def test_a_study_says_what_it_is():
    """Catches a count of cells or programs that is not that of the sweep."""
    study = dl.study(halving, dl.points(start=np.arange(4.0)), divisor=[2.0, 4.0])
    assert repr(study).splitlines() == [
        "Study of halving: 8 cells, 2 programs",
        "  start (dim point): 4 traced: 0, 1, 2, 3",
        "  divisor: 2 static: 2, 4",
    ]
    assert "<table" in study._repr_html_()
    assert dl.sweep(study).x.dims == ("point", "divisor", "step")


def test_options_do_not_steal_axes():
    """Catches a parameter called like an option of `sweep`, or like a parameter of `study` itself."""

    def fit(progress, along, fn, points):
        return halving(along * 1.0 + fn)

    results = dl.sweep(dl.study(fit, progress=[1], along=np.arange(2), fn=np.arange(3), points=[0]))
    assert dict(results.x.sizes) == {"progress": 1, "along": 2, "fn": 3, "points": 1, "step": 2}
    with pytest.raises(dl.ArgumentError, match=r"sweep: a study and start are given; expects one or the other"):
        dl.sweep(dl.study(halving, start=np.arange(2.0)), start=np.arange(2.0))


def test_points_are_not_a_product():
    """Catches all combinations, and values paired with others than their own; the bits are those of the product."""
    starts, divisors = np.array([1.0, 3.0, 8.0]), np.array([2.0, 4.0, 5.0])
    results = dl.sweep(halving, dl.points(start=starts, divisor=divisors))
    product = dl.sweep(halving, start=starts, divisor=divisors)
    np.testing.assert_array_equal(results.x, [product.x[i, i] for i in range(3)])
    np.testing.assert_array_equal(results.start, starts)
    assert results.divisor.dims == ("point",)
    assert results.x.isel(point=1, step=0) == 0.75


def test_points_of_static_values_compile_each_value_once():
    """Catches a program for each point, and cells handed to another's program."""
    values = {"start": np.array([1.0, 3.0, 8.0, 2.0]), "divisor": [2.0, 4.0, 2.0, 4.0]}
    study = dl.study(halving, dl.points("trial", **values))
    assert [members.tolist() for _, members in study.programs] == [[0, 2], [1, 3]]
    results = dl.sweep(study)
    np.testing.assert_array_equal(results.x.isel(step=0), values["start"] / np.array(values["divisor"]))
    assert results.x.dims == ("trial", "step")
    params = dl.sweep(study, final_params=True)
    assert dl.final_params(params, halving(1.0), start=8.0)[0] == 2.0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: dl.points(start=np.ones(2), divisor=np.ones(3)), "start 2, divisor 3; expects as many of each"),
        (lambda: dl.points(), "the numbers of values are nothing"),
        (lambda: dl.study(halving, dl.points(start=np.ones(2)), start=np.ones(2)), "'start' is given twice"),
        (
            lambda: dl.study(halving, dl.points(start=np.ones(2)), dl.points(divisor=np.ones(2))),
            "two points have the dimension 'point'; expects one name each",
        ),
        (lambda: dl.study(halving, dl.points("divisor", start=np.ones(2)), divisor=[1.0]), "has the name of points"),
        (lambda: dl.study(halving, 3), "points is .*; expects a sequence"),
        (lambda: dl.study(halving, start={}), "'start' is .*; expects a dictionary from labels to values"),
    ],
)
def test_studies_that_are_none(make, text):
    """Catches values cut to the shortest, and one that silently wins over another."""
    with pytest.raises(dl.ArgumentError, match=text):
        make()


def test_labels_are_the_users_values():
    """Catches text in place of numbers and None, float32 in place of float64, and mixed labels sorted or cast."""
    rates = np.array([0.1, 0.2])
    runs = dl.sweep(lambda value, rate: halving(rate), value=[16, None, "full", np.float32(0.5)], rate=rates)
    assert runs.value.values.tolist() == [16, None, "full", 0.5]
    for value in (16, None, "full", 0.5):
        assert runs.x.sel(value=value, rate=0.1).sizes == {"step": 2}
    mine = xr.DataArray(rates, dims="rate", coords={"rate": rates})
    assert (runs.x * mine).sizes["rate"] == 2
    assert runs.rate.dtype == np.float64


def test_labels_survive_the_disk(tmp_path):
    """Catches labels that turn into text, or None into NaN, when results are saved."""
    runs = dl.sweep(lambda value: halving(1.0), value=[16, None, "full"])
    dl.save(runs, tmp_path / "runs.zarr")
    assert dl.load(tmp_path / "runs.zarr").value.values.tolist() == [16, None, "full"]


def test_objects_have_readable_labels():
    """Catches labels that are addresses, and different functions under one name."""
    leaky = functools.partial(jax.nn.leaky_relu, negative_slope=0.2)
    values = [jax.nn.relu, "relu", lambda x: x, lambda x: 2 * x, leaky, (64, 32)]
    runs = dl.sweep(lambda value: halving(1.0), value=values)
    expected = ["relu 1", "relu", "lambda 1", "lambda 2", "leaky_relu(negative_slope=0.2)", "(64, 32)"]
    assert runs.value.values.tolist() == expected
    runs = dl.sweep(lambda value: halving(1.0), value={"slow": optax.sgd(0.1), 3: optax.adam(0.1)})
    assert runs.value.values.tolist() == ["slow", 3]
    data = [small.labeled_points(), small.noisy_line(), small.noisy_line(20)]
    assert dl.sweep(lambda value: halving(1.0), value=data).value.values.tolist() == ["points", "line 1", "line 2"]


def test_duplicates_and_unsorted_labels_can_be_selected():
    """Catches an index that wants sorted or unique labels."""
    runs = dl.sweep(halving, start=np.array([3.0, 1.0, 2.0]))
    assert runs.x.sel(start=2.0, step=1) == 1.0
    twice = dl.sweep(halving, start=[1.0, 3.0, 1.0])
    assert twice.x.sel(start=1.0).sizes["start"] == 2
    np.testing.assert_array_equal(twice.x[0], twice.x[2])


def test_what_a_cell_lacks_is_missing():
    """Catches variables of some cells filled with whatever memory held, and arrays cut to the shortest."""

    def fit(splits, depth):
        norms = {"norm": lambda seen: dl.probes.layer_norms(seen.state.params)}
        return classifier(dl.models.mlp([4, *depth, 3]), evaluate=splits, observe=norms)

    runs = dl.sweep(fit, splits=[("train", "test"), ("train",)], depth={"one": (5,), "two": (5, 6)}, final_params=True)
    assert runs.test_loss.isnull().all(["step", "depth"]).values.tolist() == [False, True]
    assert runs.train_loss.notnull().all()
    assert runs.norm.layer.values.tolist() == ["layers.0", "layers.1", "layers.2"]
    assert runs.norm.sel(layer="layers.2").isnull().all(["step", "splits"]).values.tolist() == [True, False]
    assert runs["params.layers.1.kernel"].shape == (2, 2, 5, 6)
    for depth, widths in {"one": (5,), "two": (5, 6)}.items():
        model = dl.models.mlp([4, *widths, 3])
        params, _ = dl.final_params(runs.isel(splits=0), model, depth=depth)
        kernels = [layer["kernel"] for layer in (params["layers"][i] for i in range(len(widths) + 1))]
        assert all(np.isfinite(kernel).all() for kernel in kernels)
    with pytest.raises(dl.ArgumentError, match=r"'params.layers.1.bias' is shorter than \(6,\) in this run"):
        dl.final_params(runs.isel(splits=0), dl.models.mlp([4, 5, 6, 3]), depth="one")


def test_final_params_of_any_training():
    """Catches a state that has to be called as ours is."""

    def fit(start):
        return dl.Training(lambda: {"w": start * jnp.ones(2)}, lambda s: ({"w": s["w"] + 1}, {"w": s["w"][0]}), 3)

    runs = dl.sweep(fit, start=np.array([1.0, 2.0]), final_params=True)
    params, state = dl.final_params(runs, fit(1.0), start=2.0)
    np.testing.assert_array_equal(params["w"], [5, 5])
    assert state == {}


def test_axes_may_be_called_like_what_final_params_takes():
    """Catches an axis `model` that no cell can be chosen by: it would be the model."""
    axes = {"model": np.array([8.0, 16.0]), "training": np.array([1.0, 2.0])}
    runs = dl.sweep(lambda model, training: halving(model * training), **axes, final_params=True, final_state=True)
    assert dl.final_params(runs, halving(1.0), model=16.0, training=2.0) == (8.0, {})
    assert dl.final_state(runs, halving(1.0), model=16.0, training=2.0) == 8.0


def test_different_models_are_different_values():
    """Catches one program for all models of the same shapes: they are told apart by identity."""
    models = [dl.models.mlp([4, 5, 3], "relu"), dl.models.mlp([4, 5, 3], "tanh")]
    study = dl.study(lambda model, which: classifier(model), model=models, which=[(models[0], 1), (models[1], 1)])
    assert len(study.programs) == 4
    runs = dl.sweep(classifier, model=models)
    assert (runs.train_loss[0] != runs.train_loss[1]).all()
    assert runs.model.values.tolist() == ["Model 1", "Model 2"]


def test_a_point_is_chosen_by_all_its_coordinates():
    """Catches the first of several runs that have a label, and True taken for 1."""
    points = dl.points(start=np.array([1.0, 1.0, 2.0]), divisor=np.array([3.0, 4.0, 5.0]))
    runs = dl.sweep(halving, points, final_params=True)
    assert dl.final_params(runs, halving(1.0), start=1.0, divisor=4.0)[0] == 1 / 16
    with pytest.raises(dl.ArgumentError, match=r"2 runs have start=1.0; expects one"):
        dl.final_params(runs, halving(1.0), start=1.0)
    runs = dl.sweep(lambda flag: halving(1.0 + (flag is True)), flag=[True, 1], final_params=True)
    assert [dl.final_params(runs, halving(1.0), flag=flag)[0].item() for flag in (True, 1)] == [0.5, 0.25]


def test_a_dimension_of_points_is_nobody_elses():
    """Catches a coordinate that lies on the wrong dimension."""
    with pytest.raises(dl.ArgumentError, match="'start' is a dimension of points and another's parameter"):
        dl.study(halving, dl.points("start", divisor=np.ones(2)), dl.points("other", start=np.ones(2)))


@pytest.mark.parametrize("neighbor", [5.0, 39.0])
def test_a_run_that_has_ended_stays_as_it_is(neighbor):
    """Catches a state that goes on after the end, for as long as its neighbors do."""

    def fit(end):
        return dl.Training(lambda: 0.0, lambda x: (x + 1, {"x": x + 1, "ended": x + 1 >= end}), 40)

    runs = dl.sweep(fit, end=np.array([3.0, neighbor]), final_params=True, final_state=True)
    assert dl.final_params(runs, fit(1.0), end=3.0)[0] == 3
    assert dl.final_state(runs, fit(1.0), end=3.0) == 3
    np.testing.assert_array_equal(runs.ended_at, [3, neighbor])
    np.testing.assert_array_equal(runs.x.count("step"), [3, neighbor])


def test_missing_booleans_can_be_counted():
    """Catches sums of half-precision numbers: they stop at 2048, and means overflow."""
    runs = dl.sweep(lambda n, seed: small.fit(seed, num_epochs=n), n=[1, 2], seed=np.arange(3))
    assert runs.finite.dtype == np.float64


def test_labels_that_numpy_would_take_apart():
    """Catches a study that is lost at its end."""

    def fit(static):
        record = {
            "x": dl.labeled(jnp.ones(2), ("row", [(0,), (1, 2)])),
            "y": dl.labeled(jnp.ones(2), ("col", [None, 1])),
        }
        return dl.Training(lambda: 1.0, lambda x: (x, record), 1)

    runs = dl.sweep(fit, static=[1, 2])
    assert runs.row.values.tolist() == ["(0,)", "(1, 2)"]
    assert runs.col.values.tolist() == [None, 1]
    with pytest.raises(dl.DataError, match=r"labels .* are not all different"):
        dl.labeled(jnp.ones(2), ("row", ["x", "x"]))
    with pytest.raises(dl.ArgumentError, match="labels known before the run"):
        jax.eval_shape(lambda x: dl.labeled(x, ("row", jnp.arange(2.0) + x)).values, jnp.ones(2))


def test_a_state_may_end_with_nan():
    """Catches a buffer that is not full yet, taken for the array of a smaller model."""

    def training():
        return dl.Training(lambda: jnp.full(5, jnp.nan).at[0].set(1.0), lambda x: (x, {"x": x[0]}), 1)

    runs = dl.run(training(), final_state=True, final_params=True)
    np.testing.assert_array_equal(dl.final_state(runs, training()), [1] + [np.nan] * 4)
    np.testing.assert_array_equal(dl.final_params(runs, training())[0], [1] + [np.nan] * 4)


def test_ends_off_the_grid():
    """Catches lengths that are refused because none of them is on the grid of the records."""
    options = {"batch_size": 6, "record_every": 5}

    def fit(n):
        return dl.training(jax.random.key(0), small.CLASSIFICATION, optax.sgd(0.1), num_steps=n, **options)

    runs = dl.sweep(fit, n=[6, 7, 12])
    assert runs.step.values.tolist() == [0, 5, 6, 7, 10, 12]
    assert runs.train_loss.count("step").values.tolist() == [3, 3, 4]


def test_a_study_of_a_compiled_function():
    """Catches a function wrapped by `jax.jit`, which could not return a training."""
    np.testing.assert_array_equal(dl.sweep(jax.jit(halving), start=np.ones(2)).x, dl.sweep(halving, start=np.ones(2)).x)
