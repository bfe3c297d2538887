"""Laws of a study: a cell's bits depend on its own values only; labels, progress, interrupts, memory of programs."""

import contextlib
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
import xarray as xr
from scripts import script_of

import dlcore as dl
from dlcore.engine import provenance
from dlcore.engine.program import MAX_RECORDS_PER_CALL

WIDTH = 4  # lanes of a device: two devices take 8 cells at once
SEEDS, RATES = np.arange(3), np.array([0.05, 0.1, 0.3], np.float32)


def sweep(**axes):
    """A study of the small network."""
    return dl.sweep(small.fit, lane_width=WIDTH, **axes)


def same(a: xr.Dataset, b: xr.Dataset) -> bool:
    """Whether all variables have the same names, dims and bits."""
    return set(a.data_vars) == set(b.data_vars) and all(
        a[name].dims == b[name].dims and a[name].values.tobytes() == b[name].values.tobytes() for name in a.data_vars
    )


@pytest.fixture(scope="module")
def study():
    """Three seeds, three learning rates."""
    return sweep(seed=SEEDS, learning_rate=RATES)


def test_cells_differ(study):
    """Catches a study that evaluates one cell and repeats it: the laws below would hold trivially."""
    last = study.train_loss.isel(step=-1).values
    assert len(np.unique(last)) == last.size
    assert bool((study.train_loss.isel(step=-1) < study.train_loss.isel(step=0)).all())


@pytest.mark.parametrize(("seed", "rate"), [(0, 0), (1, 2), (2, 1)])
def test_a_cell_alone_equals_the_cell_in_a_study(study, seed, rate):
    """Catches keys drawn from the position in a batch, sums over lanes, widths chosen by the number of cells."""
    alone = sweep(seed=SEEDS[[seed]], learning_rate=RATES[[rate]])
    assert same(alone, study.isel(seed=[seed], learning_rate=[rate]))


def test_axis_order_only_transposes(study):
    """Catches dims in an order of the library's own, and cells laid out by one order but labeled by another."""
    turned = sweep(learning_rate=RATES, seed=SEEDS)
    assert study.train_loss.dims == ("seed", "learning_rate", "step")
    assert turned.train_loss.dims == ("learning_rate", "seed", "step")
    assert same(turned.transpose("seed", "learning_rate", "step"), study)


def test_more_cells_than_a_chunk_change_nothing(study):
    """Catches a last chunk of another shape, rows of a chunk stored in the wrong place, padding that shows."""
    larger = sweep(seed=np.arange(7), learning_rate=RATES)
    assert larger.sizes["seed"] * larger.sizes["learning_rate"] == 21  # 8, 8, and 5 padded
    assert same(larger.isel(seed=slice(3)), study)


@pytest.mark.parametrize("rate", [1e30, 3e38])
def test_a_diverged_neighbor_changes_nothing(study, rate):
    """Catches anything summed or compared across lanes."""
    rates = np.array([RATES[0], rate, RATES[1], RATES[2]], np.float32)
    mixed = sweep(seed=SEEDS, learning_rate=rates)
    assert not mixed.finite.isel(learning_rate=1, step=-1).any()
    assert same(mixed.isel(learning_rate=[0, 2, 3]), study)


def test_relabeled_seeds_permute_the_results(study):
    """Catches randomness taken from the position on the axis."""
    order = [2, 0, 1]
    permuted = sweep(seed=SEEDS[order], learning_rate=RATES)
    np.testing.assert_array_equal(permuted.seed, order)
    assert same(permuted, study.isel(seed=order))


def test_repeated_values_repeat_the_results(study):
    """Catches keys split along the axis."""
    twice = sweep(seed=np.array([1, 1]), learning_rate=RATES)
    assert same(twice.isel(seed=[0]), twice.isel(seed=[1]))
    assert same(twice.isel(seed=[0]), study.isel(seed=[1]))


def test_numbers_of_any_kind_make_the_same_axis(study):
    """Catches JAX arrays, ranges and float64 treated as other values than their float32."""
    again = sweep(seed=range(3), learning_rate=jnp.asarray(RATES))
    assert same(again, study)
    assert same(sweep(seed=SEEDS.astype(np.int64), learning_rate=RATES.astype(np.float64)), study)


def test_default_parameters_need_no_axis(study):
    """Catches defaults that are ignored: learning_rate=0.1 is one of the rates, but a constant of the program."""
    defaults = sweep(seed=SEEDS)
    np.testing.assert_allclose(defaults.train_loss, study.train_loss.isel(learning_rate=1), rtol=1e-5)


def test_a_run_is_close_to_its_cell(study):
    """Catches a single run that draws other numbers than its cell; they differ by rounding only."""
    alone, cell = dl.run(small.fit(1, RATES[1])), study.isel(seed=1, learning_rate=1)
    assert set(alone.data_vars) == set(cell.data_vars)
    for name in ("train_loss", "test_loss", "batch_loss"):
        np.testing.assert_allclose(alone[name], cell[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(alone.step, cell.step)


def test_coordinates_and_provenance(study):
    """Catches lost labels, a step 0 that is missing, and results that do not say what they depend on."""
    np.testing.assert_array_equal(study.seed, SEEDS)
    np.testing.assert_array_equal(study.learning_rate, RATES)
    np.testing.assert_array_equal(study.step, [0, 4, 8, 12])
    np.testing.assert_allclose(study.epoch, [0, 1, 2, 3])
    np.testing.assert_array_equal(study.examples, [0, 24, 48, 72])
    assert study.attrs["lane_width"] == str(WIDTH)
    assert study.attrs["jax_version"] == jax.__version__
    assert study.attrs["num_devices"] == 2
    assert study.attrs["platform"] == jax.devices()[0].platform
    for name in ("dlcore_version", "jaxlib_version", "device_kind", "matmul_precision", "xla_flags", "source_revision"):
        assert name in study.attrs
    for name in ("batch_loss", "train_loss", "finite", "diverged_at"):
        assert study[name].attrs["description"]


def test_the_first_record_is_before_any_step(study):
    """Catches a record at step 0 that already learned, or a batch loss made up for it."""
    at_start = study.isel(step=0)
    assert bool(np.isnan(at_start.batch_loss).all())
    assert bool((at_start.train_loss == at_start.train_loss.isel(learning_rate=0)).all())


def test_divergence_is_recorded():
    """Catches finite taken from the loss, and diverged_at as a position instead of a step."""
    results = sweep(seed=SEEDS[:1], learning_rate=np.array([0.1, 1e30], np.float32)).isel(seed=0)
    assert results.finite.isel(learning_rate=0).all()
    assert np.isnan(results.diverged_at[0])
    finite = results.finite.isel(learning_rate=1).values
    assert finite[0]
    assert float(results.diverged_at[1]) == results.step.values[np.argmin(finite)] > 0


def test_static_axes():
    """Catches strings and functions that are traced, labels lost, results of one value stored under another."""

    def fit(seed, activation, optimizer):
        task = dl.tasks.classification(dl.models.mlp([4, 5, 3], activation), small.CLASSIFICATION.data)
        return dl.training(jax.random.key(seed), task, optimizer(0.1), batch_size=6, num_epochs=1)

    names = ["tanh", jnp.sin]
    results = dl.sweep(fit, activation=names, seed=np.arange(2), optimizer=(optax.sgd,), lane_width=WIDTH)
    assert results.test_loss.dims == ("activation", "seed", "optimizer", "step")
    assert results.activation.values.tolist() == ["tanh", "sin"]
    assert results.optimizer.values.tolist() == ["sgd"]
    alone = dl.sweep(fit, activation=["tanh"], seed=np.arange(2), optimizer=[optax.sgd], lane_width=WIDTH)
    assert same(results.sel(activation=["tanh"]), alone)
    assert (
        results.train_loss.isel(activation=0, step=-1).values[0]
        != results.train_loss.isel(activation=1, step=-1).values[0]
    )


def fit_line(seed, batch_size, num_epochs=2):
    """Least squares: cheap to compile, for several batch sizes."""
    optimizer = optax.sgd(0.05)
    return dl.training(jax.random.key(seed), small.REGRESSION, optimizer, batch_size=batch_size, num_epochs=num_epochs)


def test_batch_sizes_share_epochs():
    """Catches records of several batch sizes aligned by position under a step that only one of them has."""
    results = dl.sweep(fit_line, along="epoch", seed=np.arange(2), batch_size=[6, "full"], lane_width=WIDTH)
    assert results.train_loss.dims == ("seed", "batch_size", "epoch")
    np.testing.assert_array_equal(results.epoch, [0, 1, 2])
    assert results.step.dims == ("batch_size", "epoch")
    np.testing.assert_array_equal(results.step, [[0, 4, 8], [0, 1, 2]])
    assert results.batch_size.values.tolist() == [6, "full"]
    assert results.examples.dims == ("epoch",)
    direct = dl.sweep(fit_line, seed=np.arange(2), batch_size=["full"], lane_width=WIDTH)
    np.testing.assert_array_equal(direct.train_loss.isel(batch_size=0), results.train_loss.isel(batch_size=1))


def test_lists_are_static_and_arrays_traced():
    """Catches a list turned into an array: its values could no longer set shapes."""
    seen = {}

    def fit(seed, a, b, c):
        seen.update(seed=seed, a=a, b=b, c=c)
        return fit_line(seed, batch_size=12)

    dl.sweep(fit, seed=np.arange(1), a=[3], b=(0.5,), c=np.array([2.0]), lane_width=WIDTH)
    assert type(seen["a"]) is int
    assert type(seen["b"]) is float
    for name in ("seed", "c"):
        assert isinstance(seen[name], jax.core.Tracer)
        assert seen[name].shape == ()


def test_a_study_without_traced_axes():
    """Catches a product over no axes taken to be empty."""
    results = dl.sweep(fit_line, seed=[0], batch_size=[12], lane_width=WIDTH)
    assert results.train_loss.dims == ("seed", "batch_size", "step")
    assert results.train_loss.shape == (1, 1, 3)
    assert np.isfinite(results.train_loss).all()


SHORT_STUDY = """
    import numpy as np, dlcore
    dlcore.setup(num_devices=2, cache=False)
    import small
    dlcore.sweep(small.fit, lane_width=4, seed=np.arange(16), num_epochs=[6_000])
"""


@pytest.mark.job
def test_progress_is_silent_where_nobody_watches():
    """Catches control codes in log files."""
    script = SHORT_STUDY.replace("6_000", "3")
    done = subprocess.run(**script_of(script), capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == ""
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals are Unix")
def test_progress_in_a_terminal():
    """Catches a bar that is never drawn, or that does not say how fast and how long."""
    import pty

    primary, secondary = pty.openpty()
    process = subprocess.Popen(**script_of(SHORT_STUDY), stdout=secondary, stderr=secondary, stdin=secondary)
    os.close(secondary)
    shown = ""
    with contextlib.suppress(OSError):  # Linux says so at the end
        while chunk := os.read(primary, 4096):
            shown += chunk.decode(errors="replace")
    os.close(primary)
    assert process.wait(timeout=60) == 0, shown
    assert "runs" in shown
    assert "/16" in shown
    assert "runs/s" in shown
    assert ":" in shown.split("runs/s")[-1].split("\n")[0] or "0:00" in shown


def test_progress_counts_whole_studies(monkeypatch):
    """Catches a bar that ends early or runs over when chunks are padded or records come in segments."""
    done = []

    @contextlib.contextmanager
    def bar(num_runs, **_):
        yield done.append
        assert sum(done) == pytest.approx(num_runs)

    monkeypatch.setattr(sys.modules["dlcore.engine.execution"], "progress_bar", bar)
    sweep(seed=np.arange(11))
    assert sum(done) == pytest.approx(11)
    assert len(done) > 2


def program_texts(num_examples: int) -> list[str]:
    """The programs of a study of that many examples of 100 numbers, as text."""
    inputs = np.random.default_rng(0).normal(size=(num_examples, 100)).astype(np.float32)
    task = dl.tasks.regression(dl.models.linear(100), dl.data.from_arrays(inputs, inputs[:, 0]))

    def fit(learning_rate):
        optimizer = optax.sgd(learning_rate)
        return dl.training(jax.random.key(0), task, optimizer, batch_size=50, num_steps=10, record_every=10)

    texts, compile_lowered = [], jax.stages.Lowered.compile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            jax.stages.Lowered,
            "compile",
            lambda self, *a, **k: texts.append(self.as_text()) or compile_lowered(self, *a, **k),
        )
        dl.sweep(fit, learning_rate=np.array([0.01]), lane_width=2)
    assert texts
    return sorted(texts, key=len)


def test_data_are_arguments_of_the_program():
    """Catches data baked into the program as constants: its text, and the time to compile, would grow with them."""
    for few, many in zip(program_texts(500), program_texts(5_000), strict=True):
        assert abs(len(many) - len(few)) < 0.02 * len(few) + 500
        assert len(many) < 200_000


def test_a_program_is_compiled_once(monkeypatch):
    """Catches a study compiled anew because the values on its axes changed."""
    sweep(seed=np.arange(2), learning_rate=RATES[:1])
    compiled = []
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_: compiled.append(1))
    sweep(seed=np.arange(5, 8), learning_rate=RATES * 2)
    assert not compiled


def test_any_training_can_be_swept():
    """Catches a study that relies on what `dl.training` makes: no record at step 0, a bare state, a vector record."""

    def countdown(start):
        return dl.Training(lambda: start * 1.0, lambda x: (x - 1, {"left": x, "pair": jnp.stack([x, -x])}), 3)

    results = dl.sweep(countdown, start=np.array([5, 9]), lane_width=WIDTH)
    assert results.left.dims == ("start", "step")
    np.testing.assert_array_equal(results.left, [[5, 4, 3], [9, 8, 7]])
    np.testing.assert_array_equal(results.step, [1, 2, 3])
    np.testing.assert_array_equal(results.pair[1], [[9, -9], [8, -8], [7, -7]])
    assert results.pair.dims[:2] == ("start", "step")


def test_many_records_arrive_in_order():
    """Catches segments stored out of order or cut short: more records than one call returns."""

    def count(start):
        return dl.Training(lambda: start * 1, lambda x: (x + 1, {"value": x}), MAX_RECORDS_PER_CALL * 2 + 7)

    results = dl.sweep(count, start=np.array([0, 100]), lane_width=WIDTH)
    expected = np.arange(MAX_RECORDS_PER_CALL * 2 + 7)
    np.testing.assert_array_equal(results.value, [expected, expected + 100])


def test_callbacks_are_not_mixed_up():
    """Catches programs kept by a text that does not say which Python function they call."""

    def study(factor):
        def scaled(x):
            return np.asarray(factor * x, np.float32)

        def advance(state):
            state = jax.pure_callback(scaled, jax.ShapeDtypeStruct((), np.float32), state, vmap_method="broadcast_all")
            return state, {"value": state}

        def fit(start):
            return dl.Training(lambda: start, advance, num_records=1)

        return dl.sweep(fit, start=np.array([1.0, 2.0], np.float32)).value.values[:, -1]

    np.testing.assert_array_equal(study(2), [2, 4])
    np.testing.assert_array_equal(study(3), [3, 6])


@pytest.mark.parametrize("value", [np.int32(70000), np.uint8(255), np.complex64(1 + 2j)])
def test_a_record_missing_at_step_0_keeps_its_value(value):
    training = dl.Training(
        lambda: jnp.asarray(value), lambda x: (x, {"x": x, "l": 1.0}), 2, measure=lambda x: {"l": 1.0}
    )
    x = dl.run(training).x
    assert np.isnan(x[0])
    assert list(x.values[1:]) == [value, value]


@pytest.mark.parametrize(
    ("first", "second"), [(jnp.float32(1.5), jnp.int32(2**24 + 1)), (jnp.int32(-1), jnp.uint32(2**32 - 1))]
)
def test_static_cells_of_different_dtypes_share_one_that_holds_both(first, second):
    def fit(cell):
        return dl.Training(lambda: 0.0, lambda state: (state, {"x": [first, second][cell]}), 1)

    x = dl.sweep(fit, cell=[0, 1]).x.values
    assert x[0, 0] == first.item()
    assert x[1, 0] == second.item()


def test_a_run_keeps_a_final_parameter_that_is_a_number():
    training = dl.Training(
        lambda: dl.State(jnp.zeros((), jnp.int32), {"w": 1.0}, {}, ()), lambda state: (state, {"x": 1.0}), 2
    )
    assert dl.run(training, final_params=True)["params.w"].item() == 1.0


def test_runs_that_record_nothing_finish():
    def fit(start):
        def advance(state):
            return state._replace(params=state.params + 1), {}

        return dl.Training(lambda: dl.State(0, start * jnp.ones(2), {}, ()), advance, 10)

    results = dl.sweep(fit, start=np.array([0.0, 1.0]), final_params=True)
    assert results["params"].values.tolist() == [[10, 10], [11, 11]]
    assert "finished" not in results.coords


def test_a_sweep_inside_enable_x64_computes_in_float64():
    shift = np.array([1 / 3])
    with jax.enable_x64(True):
        results = dl.sweep(
            lambda start: dl.Training(lambda: start * 1.0, lambda x: (x, {"x": x + shift[0]}), 1), start=shift
        )
    assert results.x.dtype == np.float64
    assert results.x.item() == 2 / 3


@pytest.mark.parametrize(
    ("axis", "record", "message"),
    [
        ("a", {"step": 1.0}, "the record 'step' has the name of something else"),
        ("a", {"diverged_at": 1.0}, "the record 'diverged_at' has the name of something else"),
        ("x_0", {"x": np.ones(2, np.float32)}, "axis 'x_0' has the name of something else"),
    ],
)
def test_names_that_results_cannot_hold_twice_are_refused_before_anything_runs(axis, record, message):
    def fit(**cell):
        return dl.Training(lambda: cell[axis] * 1.0, lambda x: (x, record), 1)

    with pytest.raises(dl.ArgumentError, match=message):
        dl.sweep(fit, **{axis: np.arange(3.0)})


def test_a_coordinate_that_does_not_fit_the_records_is_refused():
    training = dl.Training(lambda: 1.0, lambda x: (x, {"x": x}), 3, coordinates={"step": np.arange(3)})
    with pytest.raises(dl.ArgumentError, match=r"'step' has shape \(3,\), of 3 records; expects \(4,\)"):
        dl.run(training)


def test_an_axis_may_have_another_byte_order():
    results = dl.sweep(lambda a: dl.Training(lambda: a * 1.0, lambda x: (x, {"x": x}), 1), a=np.array([2.0], ">f4"))
    assert results.x.item() == 2.0


def test_provenance_of_a_checkout_that_is_not_installed(monkeypatch):
    """Catches a study that is lost at its end for want of a version number."""
    monkeypatch.setitem(provenance.DISTRIBUTIONS, "dlcore", "no-such-distribution")
    provenance._version.cache_clear()
    assert provenance.provenance()["dlcore_version"] == "not installed"
    provenance._version.cache_clear()
