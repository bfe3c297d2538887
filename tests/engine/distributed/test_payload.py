"""A study packed and unpacked: arrays by content, nothing unpickled that was not sent, words for what does not."""

import functools
import pathlib
import sys
import threading

import cloudpickle
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
import small
from flax import linen

import dlcore as dl
from dlcore.engine.distributed import payload as payloads
from dlcore.engine.distributed.payload import CODE, Payload, forget_code, packed, unpacked
from dlcore.engine.dtypes import digest
from dlcore.engine.preparation import Options

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # as the functions of a script or a notebook are
OPTIONS = Options()


def study(fn, seed=(0, 1)):
    return dl.study(fn, seed=list(seed))


def through(fn, folder):
    """The function as a worker gets it."""
    payload = packed(study(fn), OPTIONS, folder)
    payloads.forget_payloads()
    return unpacked(payload, folder)[0].fn


def files(folder) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


class Holder:
    """An object of the user's, with an array in it."""

    def __init__(self, values):
        self.values = values


def test_every_array_is_stored_once_wherever_it_is(tmp_path):
    """Catches a data set that travels with every block: in a closure, a default, a partial, an object, a data set."""
    values = np.random.default_rng(0).normal(size=(300, 5))
    holder, data = Holder(values), small.labeled_points(300)

    def fit(start, seed, table=values, again=values.copy()):  # noqa: B008
        return values, holder.values, table, again, start["x"][0], data.train.inputs, data.test.targets, values.dtype

    partial = functools.partial(fit, {"x": [values]})
    payload = packed(study(partial), OPTIONS, tmp_path)
    assert len(files(tmp_path / "constants")) == 3  # the values; inputs and targets of train, the others are short
    assert files(tmp_path / CODE)[0].stat().st_size < 10_000
    got, expected = unpacked(payload, tmp_path)[0].fn(0), partial(0)
    for one, other in zip(got[:-1], expected[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert got[0] is got[1] is got[2] is got[4]
    assert got[3] is got[0]  # equal: the same memory
    with pytest.raises(ValueError, match="read-only"):
        got[0][0] = 1.0


@pytest.mark.parametrize(
    "values",
    [
        jnp.arange(500.0),
        jnp.full((500,), 1.5),  # weakly typed
        jnp.full((500,), 2),
        jnp.asarray(np.arange(900), jnp.bfloat16),
        jnp.asarray(3.0),
        jnp.full((), 2.5),
        jnp.zeros((700,), bool),
        jnp.asarray(np.arange(2000) % 8, jnp.int4),
    ],
    ids=lambda values: f"{values.aval.str_short()} {'weak' if values.weak_type else ''}",
)
def test_jax_arrays_come_back_as_they_were(values, tmp_path):
    """Catches a float that promotes otherwise, so another program."""
    got = through(lambda seed: values, tmp_path)(0)
    assert isinstance(got, jax.Array)
    assert (got.dtype, got.shape, got.weak_type) == (values.dtype, values.shape, values.weak_type)
    assert np.asarray(got).tobytes() == np.asarray(values).tobytes()


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_typed_keys_come_back_as_keys(implementation, tmp_path):
    keys = jax.random.split(jax.random.key(3, impl=implementation), 300)
    one = jax.random.key(4, impl=implementation)
    got, single = through(lambda seed: (keys, one), tmp_path)(0)
    assert got.dtype == keys.dtype
    assert single.shape == ()
    np.testing.assert_array_equal(jax.random.key_data(got), jax.random.key_data(keys))
    np.testing.assert_array_equal(jax.random.bits(single), jax.random.bits(one))


@pytest.mark.parametrize(
    "values",
    [
        np.arange(1000, dtype=">f8"),
        np.asfortranarray(np.arange(600.0).reshape(20, 30)),
        np.arange(2000)[::2],
        np.array([["a", "bc"]] * 600),
        np.array([{"x": 1}, None] * 600, dtype=object),
        np.zeros(300, dtype=[("a", "f4"), ("b", "i8")]),
        np.arange(600).astype("datetime64[s]"),
        (np.arange(3000) % 16).astype(ml_dtypes.float8_e4m3fn),
        np.broadcast_to(np.float32(2), (50, 50)),
        np.zeros((0, 5)),
    ],
    ids=lambda values: f"{values.dtype} {values.shape}",
)
def test_numpy_arrays_of_any_kind(values, tmp_path):
    """Catches a dtype that the store does not know, and an order of bytes that is lost."""
    got = through(lambda seed: values, tmp_path)(0)
    assert got.dtype == values.dtype
    np.testing.assert_array_equal(got, values)


def test_arrays_are_told_apart():
    """Catches a name that leaves out the shape or the dtype."""
    zeros = [np.zeros(4, np.float32), np.zeros((2, 2), np.float32), np.zeros(4, np.int32), np.zeros(4, ">f4")]
    zeros += [np.zeros(8, np.float16), np.zeros(8, ml_dtypes.bfloat16), np.array([1.0, 0, 0, 0], np.float32)]
    assert len({digest(array) for array in zeros}) == len(zeros)
    assert digest(np.asfortranarray(np.arange(6).reshape(2, 3))) == digest(np.arange(6).reshape(2, 3))


def test_what_studies_are_made_of(tmp_path):
    """Catches a model, a task or an optimizer that holds what does not pickle."""
    points = small.labeled_points()
    layers = dl.tasks.classification(dl.from_linen(linen.Dense(3), points.train.inputs), points)
    normalized = dl.tasks.classification(dl.from_nnx(small.NormalizedNNX), points)
    step = jax.jit(lambda x: 2 * x)

    @functools.lru_cache
    def optimizer():
        return optax.chain(optax.clip(1.0), optax.adam(optax.cosine_decay_schedule(1.0, 10)))

    def fit(seed):
        tasks = (layers, normalized, small.REGRESSION)
        options = {"batch_size": 6, "num_epochs": 1}
        return [dl.training(jax.random.key(seed), task, optimizer(), **options) for task in tasks], step(2.0)

    got, doubled = through(fit, tmp_path)(0)
    assert doubled == 4
    for training, expected in zip(got, fit(0)[0], strict=True):
        assert jax.eval_shape(training.init) == jax.eval_shape(expected.init)


def test_cached_functions_of_a_script(tmp_path):
    """Catches a name that only the script has: cloudpickle sends a cached function by name."""
    space = {"__name__": "__main__"}
    exec("import functools\n@functools.cache\ndef double(x): return 2 * x\ndef fit(seed): return double(seed)", space)
    assert through(space["fit"], tmp_path)(4) == 8


def test_streamed_inputs_go_by_path(tmp_path):
    """Catches files that are read into the pickle, or into the store."""
    rows = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", inputs=rows, targets=np.arange(2000, dtype=np.int32))
    data = dl.data.stream_npz([tmp_path / "rows.npz"])
    store = tmp_path / "store"
    got = through(lambda seed: data, store)(0)
    assert sum(path.stat().st_size for path in files(store)) < rows.nbytes / 2
    np.testing.assert_array_equal(got.train.inputs[5:9], rows[5:9])


def test_code_lies_in_the_store_as_long_as_it_is_of_use(tmp_path):
    """Catches a vocabulary of a million words that travels with every block, and calls that remove one another's."""
    words = [f"word {number}" for number in range(20_000)]
    first, second = (packed(study(lambda seed: words), OPTIONS, tmp_path) for _ in range(2))
    assert len(cloudpickle.dumps(first)) < 1000
    forget_code(first, tmp_path)
    forget_code(first, tmp_path)
    assert unpacked(second, tmp_path)[0].fn(0) == words
    forget_code(second, tmp_path)
    assert not files(tmp_path / CODE)


def test_the_same_payload_is_unpacked_once(tmp_path):
    """Catches a program that is compiled again for every block, since its function is another object."""
    payload = packed(study(lambda seed: 1), OPTIONS, tmp_path)
    first, options = unpacked(payload, tmp_path)
    assert unpacked(payload, tmp_path)[0] is first
    assert options == OPTIONS
    payloads.forget_payloads()
    assert unpacked(payload, tmp_path)[0] is not first


def test_the_study_is_the_same(tmp_path):
    """Catches axes that lose their order, and results of the study that travel with it."""
    given = dl.study(lambda seed, rate, width: 1, rate=np.array([0.1, 0.2]), seed=np.arange(3), width=[8, 16])
    payload = packed(given, OPTIONS, tmp_path)
    assert len(given.programs) == 2
    assert packed(given, OPTIONS, tmp_path).sha256 == payload.sha256  # without what `programs` keeps
    got = unpacked(payload, tmp_path)[0]
    assert repr(got) == repr(given)
    for (static, rows), (other, others) in zip(got.programs, given.programs, strict=True):
        assert static == other
        np.testing.assert_array_equal(rows, others)


def test_nothing_is_unpickled_that_was_not_sent(tmp_path):
    """Catches a digest that is looked at after the pickle has run."""
    ran = []
    (tmp_path / CODE).mkdir()
    (tmp_path / CODE / "evil").write_bytes(cloudpickle.dumps(ran.append))
    with pytest.raises(dl.DataError, match="SHA-256 differs"):
        unpacked(Payload("0" * 64, "evil", payloads._versions()), tmp_path)
    assert not ran
    values = np.arange(1000.0)
    payload = packed(study(lambda seed: values), OPTIONS, tmp_path)
    (file,) = files(tmp_path / "constants")
    payloads.parts.commit(tmp_path / "other.npz", {"value": values + 1}, {"facts": []})
    (tmp_path / "other.npz").rename(file)
    with pytest.raises(dl.DataError, match="is not what its name says"):
        unpacked(payload, tmp_path)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(dl.DataError, match=file.name):
        unpacked(payload, tmp_path)


def test_a_worker_that_does_not_see_the_store(tmp_path):
    payload = packed(study(lambda seed: seed), OPTIONS, tmp_path / "here")
    with pytest.raises(dl.DataError, match="expects a disk that all workers share"):
        unpacked(payload, tmp_path / "there")


def test_other_versions_are_refused(tmp_path):
    """Catches bytecode of another Python, which crashes, and other bits."""
    payload = packed(study(lambda seed: 1), OPTIONS, tmp_path)
    other = payload._replace(versions={**payload.versions, "Python": "3.9"})
    with pytest.raises(dl.ArgumentError, match=r"has Python 3\.1.*comes from Python 3\.9"):
        unpacked(other, tmp_path)


def test_a_module_that_the_worker_lacks(tmp_path, monkeypatch):
    """Catches a raw ModuleNotFoundError; the advice works."""
    (tmp_path / "own_models.py").write_text("def width():\n    return 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    import own_models

    width = own_models.width
    payload = packed(study(lambda seed: width()), OPTIONS, tmp_path)
    cloudpickle.register_pickle_by_value(own_models)
    by_value = packed(study(lambda seed: width()), OPTIONS, tmp_path)
    cloudpickle.unregister_pickle_by_value(own_models)
    monkeypatch.undo()
    del sys.modules["own_models"]
    with pytest.raises(dl.ArgumentError, match=r"No module named 'own_models'.*register_pickle_by_value\(own_models\)"):
        unpacked(payload, tmp_path)
    assert unpacked(by_value, tmp_path)[0].fn(0) == 3


def _closure():
    lock = threading.Lock()
    return lambda seed: lock


def _nested():
    def outer(seed):
        def inner():
            return GENERATOR

        return inner

    return outer


GENERATOR = (number for number in range(3))


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (
            _closure(),
            r"the variable 'lock' of lambda, a lock, cannot be pickled \(cannot pickle '_thread.lock' object\)",
        ),
        (_nested(), "the global variable 'GENERATOR' of outer, a generator,"),
        (lambda seed, lock=threading.Lock(): 1, "the default of 'lock' of lambda, a lock,"),  # noqa: B008
        (functools.partial(lambda a, seed: 1, {"x": [1, GENERATOR]}), "item 1 of the entry 'x' of argument 0 of"),
        (jax.jit(_closure()), "the variable 'lock' of"),
    ],
    ids=["closure", "global", "default", "partial", "jit"],
)
def test_what_does_not_pickle_is_named(fn, words, tmp_path):
    """Catches `cannot pickle '_thread.lock' object` without a word where it is."""
    with pytest.raises(dl.ArgumentError, match=words):
        packed(study(fn), OPTIONS, tmp_path)


def test_an_array_that_was_donated(tmp_path):
    values = jnp.arange(500.0)
    values.delete()
    with pytest.raises(dl.ArgumentError, match=r"the variable .values. of lambda.*deleted"):
        packed(study(lambda seed: values), OPTIONS, tmp_path)
