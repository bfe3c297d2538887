"""Bad input meets the library's own errors, before anything compiles: what was got, what is expected, how to fix it."""

import contextlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import dlcore as dl
from dlcore import optimizers
from dlcore.engine import preparation

X, Y = small.labeled_points().train
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def nothing_compiles(monkeypatch):
    """Fail where a program is compiled: each error has to come before."""

    def compiled(*_):
        raise AssertionError("a program was compiled before the input was checked")

    monkeypatch.setattr(jax.stages.Lowered, "compile", compiled)


def changed(array, row, value):
    """A copy with one row replaced."""
    array = array.copy()
    array[row] = value
    return array


def classify(inputs=X, targets=Y, model=small.MODEL, **splits):
    """A classification task."""
    return dl.tasks.classification(model, dl.data.Dataset((inputs, targets), **splits))


# (what, call, error, text): the text says what was got and what is expected or to be done.
DATA = [
    (
        "label_too_large",
        lambda: classify(targets=changed(Y, 7, 3)),
        r"train split: labels hold 3 at \[7\].* integers in \[0, 3\)",
    ),
    (
        "label_negative",
        lambda: classify(targets=changed(Y, 5, -1)),
        r"train split: labels hold -1 at \[5\].* integers in \[0, 3\)",
    ),
    (
        "label_in_test",
        lambda: classify(test=(X, changed(Y, 2, 9))),
        r"test split: labels hold 9 at \[2\].*expects integers in \[0, 3\)",
    ),
    (
        "binary_label",
        lambda: classify(model=dl.models.linear(4), targets=Y % 2 + 1),
        r"labels hold 2 at .* integers in \[0, 2\)",
    ),
    (
        "labels_float",
        lambda: classify(targets=Y.astype(np.float32)),
        r"float32\[24\]; .*integer labels \[N\]. Use y.astype",
    ),
    ("labels_one_hot", lambda: classify(targets=np.eye(3, dtype=int)[Y]), r"int32\[24, 3\].*y.argmax\(1\) on one-hot"),
    ("nan", lambda: dl.data.from_arrays(changed(X, 3, np.nan), Y), "hold nan at row 3.*finite numbers.*Drop, impute"),
    ("inf", lambda: dl.data.from_arrays(changed(X, 4, -np.inf), Y), "hold -inf at row 4.*finite numbers.*Drop, impute"),
    ("nan_target", lambda: dl.data.Dataset((X, changed(X, 6, np.nan)[:, 0])), "targets hold nan at row 6"),
    ("nan_in_test", lambda: dl.data.Dataset((X, Y), test=(changed(X, 1, np.nan), Y)), "test: inputs hold nan at row 1"),
    (
        "too_large_for_float32",
        lambda: dl.data.from_arrays(changed(X.astype(float), 0, 1e300), Y),
        "1e.300.* fit float32",
    ),
    ("too_large_for_int32", lambda: dl.data.from_arrays(X, Y.astype(np.int64) + 2**40), "fit int32"),
    (
        "integer_inputs",
        lambda: classify(inputs=(10 * X).astype(int)),
        r"int32\[.*, 4\]; .*expects floats.*astype\('float32'\)",
    ),
    (
        "integer_targets",
        lambda: dl.tasks.regression(small.MODEL, dl.data.Dataset((X, Y))),
        "int32; regression expects floats",
    ),
    ("lengths", lambda: dl.data.from_arrays(X, Y[:-1]), "24 inputs and 23 targets; expects one target for each"),
    ("empty", lambda: dl.data.from_arrays(X[:0], Y[:0]), "at least one row"),
    ("empty_test", lambda: dl.data.Dataset((X, Y), test=(X[:0], Y[:0])), "test.*at least one row"),
    (
        "empty_fraction",
        lambda: dl.data.from_arrays(X, Y, test=0.01),
        "test would have 0 of 24 rows.*Change its fraction",
    ),
    ("all_held_out", lambda: dl.data.from_arrays(X, Y, test=0.99), "test would have 24 of 24 rows"),
    ("strings", lambda: dl.data.from_arrays(X, np.array(["a"] * 24)), "expects numbers. Number the strings"),
    ("objects", lambda: dl.data.from_arrays(np.array([None] * 24), Y), "expects numbers. If its objects are numbers"),
    (
        "keys",
        lambda: dl.data.from_arrays(jax.random.split(KEY, 24), Y),
        "inputs are not .* array of numbers. Random keys are no numbers",
    ),
    ("complex", lambda: dl.data.from_arrays(X * 1j, Y), "complex64; expects numbers"),
    ("ragged", lambda: dl.data.from_arrays([[1.0], [1.0, 2.0]], [0, 1]), "not a rectangular array.*Pad the rows"),
    ("scalar", lambda: dl.data.from_arrays(1.0, 1), "at least one row"),
    ("not_a_pair", lambda: dl.data.Dataset(X), "is a ndarray; expects a pair"),
    ("no_train", lambda: dl.data.Dataset(None), "has no train split"),
    ("other_width", lambda: dl.data.Dataset((X, Y), test=(X[:, :2], Y)), "all splits need the same shape of a row"),
    ("other_dtype", lambda: dl.data.Dataset((X, Y), test=(X, Y * 0.5)), "same shape of a row and the same dtype"),
    ("stratified_floats", lambda: dl.data.from_arrays(X, X[:, 0], test=0.25, stratify=True), "cannot be stratified"),
    (
        "output_width",
        lambda: dl.tasks.regression(small.MODEL, dl.data.Dataset((X, X))),
        r"\[B, 3\], the targets are \[24, 4\]",
    ),
    (
        "output_rank",
        lambda: classify(model=dl.Model(lambda k: ({}, {}), lambda p, s, x, **_: (x[:, 0], s))),
        r"\[B, num_cla",
    ),
    (
        "output_tuple",
        lambda: classify(model=dl.Model(lambda k: ({}, {}), lambda p, s, x, **_: ((x, x), s))),
        "one array",
    ),
    (
        "output_mean",
        lambda: classify(model=dl.Model(lambda k: ({}, {}), lambda p, s, x, **_: (x.mean(), s))),
        "one array",
    ),
    (
        "model_inputs",
        lambda: classify(model=dl.models.mlp([5, 3])),
        r"float32\[2, 4\]; the first layer expects floats \[B, 5\]",
    ),
]


@pytest.mark.parametrize(("call", "text"), [case[1:] for case in DATA], ids=[case[0] for case in DATA])
def test_bad_data(call, text):
    """Catches labels that JAX would clamp, NaN that would spread, and errors of NumPy or JAX instead of a reason."""
    with pytest.raises(dl.DataError, match=text):
        call()


def describe(**settings):
    """A training of the small network."""
    settings = {"key": KEY, "task": small.CLASSIFICATION, "optimizer": optax.sgd(0.1), "batch_size": 6, **settings}
    if not {"num_epochs", "num_steps"} & set(settings):
        settings["num_epochs"] = 2
    return dl.training(settings.pop("key"), settings.pop("task"), settings.pop("optimizer"), **settings)


TRAINING = [
    ({"batch_size": 0}, "batch_size is 0; expects a positive integer"),
    ({"batch_size": -3}, "batch_size is -3; expects a positive integer"),
    ({"batch_size": 25}, 'batch_size is 25, the train split has 24 examples; .*batch_size="full"'),
    ({"batch_size": 6.0}, "batch_size is 6.0; expects a positive integer"),
    ({"batch_size": True}, "batch_size is True; expects a positive integer"),
    ({"batch_size": "all"}, "batch_size is 'all'; expects a positive integer .*or 'full'"),
    ({"batch_size": None}, "batch_size is None; expects a positive integer"),
    ({"batch_size": [6]}, "batch_size is .6.; expects a positive integer"),
    ({"batch_size": np.array([6, 3])}, "batch_size is .*; expects a positive integer"),
    ({"num_epochs": 0}, "num_epochs is 0; expects a positive integer"),
    ({"num_epochs": -1}, "num_epochs is -1; expects a positive integer"),
    ({"num_epochs": 1.5}, "num_epochs is 1.5; expects a positive integer"),
    ({"num_steps": 0}, "num_steps is 0; expects a positive integer"),
    ({"num_epochs": np.array([1, 2])}, "num_epochs is .*; expects a positive integer"),
    ({"num_epochs": 1, "num_steps": 4}, "num_epochs is 1 and num_steps is 4; expects exactly one"),
    ({"num_epochs": None, "num_steps": None}, "expects exactly one of them, the length of the run"),
    ({"num_steps": 10, "last_batch": "keep", "batch_size": 7}, "10 steps and is recorded every 4; .*multiples of 4"),
    ({"last_batch": "pad"}, "last_batch is 'pad'; expects one of 'drop', 'keep'"),
    ({"record_every": 0}, "record_every is 0; expects a positive integer"),
    ({"record_every": "step"}, "record_every is 'step'; expects a positive integer .*or 'epoch'"),
    ({"record_every": np.array([1, 2])}, "record_every is .*; expects a positive integer"),
    ({"sampling": "reshufle"}, "sampling is 'reshufle'; expects one of .*Did you mean 'reshuffle'"),
    ({"sampling": ["reshuffle"]}, "sampling is .'reshuffle'."),
    ({"sampling": np.array(["in_order", "reshuffle"])}, "sampling is "),
    ({"evaluate": "test"}, r"evaluate is 'test'; expects a sequence of splits, e.g. \('test',\)"),
    ({"evaluate": ("train", "valid")}, "names 'valid', points has the splits train, test"),
    ({"evaluate": ("validation",)}, "names 'validation', points has the splits train, test"),
    ({"evaluate": 3}, "evaluate is 3; expects a sequence of splits"),
    ({"evaluate": True}, "evaluate is True; expects a sequence of splits"),
    ({"key": 0}, r"key is 0; expects one typed key. Use jax.random.key\(seed\)"),
    ({"key": np.zeros(2, np.uint32)}, r"key is uint32\[2\]; expects one typed key"),
    ({"key": jnp.zeros(2, np.uint32)}, r"key is uint32\[2\]; expects one typed key"),
    ({"key": jax.random.split(KEY)}, r"key is key.*\[2\]; expects one typed key"),
    ({"optimizer": 0.1}, "optimizer is 0.1; expects an optax.GradientTransformation"),
    ({"optimizer": optax.sgd}, "optimizer is .*; expects an optax.GradientTransformation"),
    ({"optimizer": "adam"}, "optimizer is 'adam'; expects an optax.GradientTransformation"),
    ({"task": small.MODEL}, "(?s)task is .*; expects a Task"),
    ({"task": small.labeled_points()}, "(?s)task is .*; expects a Task"),
    ({"task": None}, "task is None; expects a Task"),
]


@pytest.mark.parametrize(
    ("arguments", "text"), TRAINING, ids=[f"{next(iter(a))}_{i}" for i, (a, _) in enumerate(TRAINING)]
)
def test_bad_training(arguments, text):
    """Catches a step count rounded silently, a batch of nothing, and errors of NumPy or JAX instead of a reason."""
    with pytest.raises(dl.ArgumentError, match=text):
        describe(**arguments)


def fit(seed, learning_rate=0.1, batch_size=6, num_epochs=2):
    """A function of trainings with one parameter that needs an axis."""
    optimizer = optax.sgd(learning_rate)
    return dl.training(
        jax.random.key(seed), small.CLASSIFICATION, optimizer, batch_size=batch_size, num_epochs=num_epochs
    )


SEEDS = np.arange(2)
AXES = [
    ({"learning_rate": np.ones((4, 2))}, r"'learning_rate' has shape \(4, 2\); an axis is 1-d. Pass the flattened"),
    ({"learning_rate": jnp.ones((4, 2))}, r"'learning_rate' has shape \(4, 2\); an axis is 1-d"),
    ({"learning_rate": np.array(0.1)}, r"'learning_rate' has shape \(\); an axis is 1-d"),
    ({"learning_rate": np.array([])}, "'learning_rate' is empty; expects at least one"),
    ({"learning_rate": []}, "'learning_rate' is empty; expects at least one"),
    ({"seed": range(0)}, "'seed' is empty; expects at least one"),
    ({"learning_rate": "0.1"}, r"'learning_rate' is '0.1'; expects an array .*learning_rate=\['0.1'\]"),
    ({"learning_rate": 0.1}, r"'learning_rate' is 0.1; expects an array .*learning_rate=\[0.1\]"),
    ({"learning_rate": {0.1}}, "'learning_rate' is {0.1}; expects an array"),
    ({"learning_rate": None}, "'learning_rate' is None; expects an array"),
    ({"learning_rate": np.array(["a", "b"])}, r"dtype <U1; a traced axis holds numbers.*learning_rate=\[...\]"),
    ({"learning_rate": np.array([0.1, None])}, "dtype object; a traced axis holds numbers"),
    ({"learning_rate": np.array([1j])}, "dtype complex128; a traced axis holds numbers"),
    ({"seed": jax.random.split(KEY)}, "of keys, pass the integer seeds"),
    (
        {"learning_rat": np.array([0.1])},
        "'learning_rat' is not a parameter of the function; did you mean 'learning_rate'",
    ),
    (
        {"learning_rate": np.array([0.1, -0.1])},
        "'learning_rate' holds -0.1 at position 1; expects finite numbers, 0 or more",
    ),
    ({"learning_rate": np.array([0.1, np.nan])}, "'learning_rate' holds nan at position 1; expects finite"),
    ({"learning_rate": np.array([np.inf])}, "'learning_rate' holds inf at position 0; expects finite"),
    ({"learning_rate": [0.1, -0.1]}, "'learning_rate' holds -0.1 at position 1; expects finite"),
    ({"learning_rate": [math.nan]}, "'learning_rate' holds nan at position 0; expects finite"),
    ({"learning_rate": ["fast", -0.1]}, "'learning_rate' holds -0.1 at position 1; expects finite"),
    ({"learning_rate": np.array([1e300])}, "'learning_rate' holds 1e.300 at position 0"),
    ({"seed": np.array([-1])}, "'seed' holds -1 at position 0; expects integers that fit 32 bits, 0 or more"),
    ({"seed": np.array([2**40])}, "'seed' holds 1099511627776.* at position 0"),
    ({"seed": np.array([0.5])}, "'seed'"),
    ({"batch_size": np.array([3, 6])}, "batch_size is .*pass it as a list, a static axis"),
    ({"batch_size": [6, 0]}, "batch_size is 0; expects a positive integer"),
    ({"batch_size": [6, 3]}, r"record at different values of 'step': batch_size=6 at .*along='epoch'"),
    ({"batch_size": [6, 3], "along": "epochs"}, "along is 'epochs'.*step, epoch, examples"),
    ({"along": "loss"}, "along is 'loss'.*step, epoch, examples"),
    ({"along": None}, "along is None"),
    ({"along": "seed"}, "along is 'seed'"),
    ({"lane_width": 0}, "lane_width is 0; expects an integer from 1 to 4096"),
    ({"lane_width": 2.0}, "lane_width is 2.0; expects an integer from 1 to 4096"),
    ({"lane_width": True}, "lane_width is True; expects an integer from 1 to 4096"),
    ({"lane_width": "4"}, "lane_width is '4'; expects an integer from 1 to 4096"),
]


@pytest.mark.parametrize(("arguments", "text"), AXES, ids=[f"{next(iter(a))}_{i}" for i, (a, _) in enumerate(AXES)])
def test_bad_axes(arguments, text):
    """Catches values cast, broadcast or dropped silently, and cells of different length cut to the shortest."""
    with pytest.raises(dl.ArgumentError, match=text):
        dl.sweep(fit, **{"seed": SEEDS, **arguments})


def test_a_traced_value_that_sets_a_shape():
    """Catches a tracer error for an axis given as an array where a list belongs; a concrete scalar is a number."""

    def fit(batch_size):
        return describe(batch_size=batch_size)

    with pytest.raises(dl.ArgumentError, match=r"batch_size is .*a positive integer.*pass it as a list, a static axis"):
        dl.sweep(fit, batch_size=np.array([6, 3]))
    assert describe(batch_size=jnp.array(6)).coordinates["step"].tolist() == [0, 4, 8]


def test_a_parameter_without_axis_or_default():
    """Catches a bare TypeError of the call."""
    with pytest.raises(
        dl.ArgumentError, match=r"seed have neither an axis nor a default. Add seed=\.\.\. to the study"
    ):
        dl.sweep(fit, learning_rate=np.array([0.1]))


@pytest.mark.parametrize("value", [None, 3.0, (1, 2), fit(0).init])
def test_a_function_that_gives_no_training(value):
    """Catches an AttributeError deep inside."""
    with pytest.raises(dl.ArgumentError, match=rf"gave a {type(value).__name__}; expects a Training, from dl.training"):
        dl.sweep(lambda seed: value, seed=SEEDS)
    with pytest.raises(dl.ArgumentError, match=r"training is .*; expects a Training, e.g. dl.training"):
        dl.run(value)


@pytest.mark.parametrize("fn", [None, 3, "fit"])
def test_a_study_of_something_else(fn):
    """Catches an error of `inspect`, and a training where the function belongs."""
    with pytest.raises(dl.ArgumentError, match="expects a function that returns dl"):
        dl.sweep(fn, seed=SEEDS)


def test_a_training_given_to_sweep():
    """Catches an attempt to call a described run."""
    with pytest.raises(dl.ArgumentError, match="expects a function that returns dl"):
        dl.sweep(fit(0), seed=SEEDS)


@pytest.mark.parametrize("num_devices", [0, -1, 2.0, True, "2"])
def test_bad_number_of_devices(num_devices):
    """Catches a request silently replaced by the default."""
    with pytest.raises(dl.ArgumentError, match=r"num_devices is .*; expects a positive integer"):
        dl.setup(num_devices=num_devices, cache=False)


def test_setup_after_the_start():
    """Catches a request that comes too late and has no effect."""
    assert jax.device_count() == 2
    with pytest.raises(dl.ArgumentError, match=r"already started with 2 CPU device.*Call dl.setup.. before"):
        dl.setup(num_devices=3, cache=False)
    dl.setup(num_devices=2, cache=False)


OPTIMIZERS = [
    (lambda: optimizers.by_name("adm", 0.1), "name is 'adm'; expects one of .* Did you mean 'adam'"),
    (lambda: optimizers.by_name(["adam"], 0.1), "name is .*; expects one of"),
    (lambda: optimizers.by_name("sgd", -0.1), "learning_rate is -0.1; expects a finite number, 0 or more"),
    (lambda: optimizers.by_name("sgd", math.nan), "learning_rate is nan; expects a finite number"),
    (lambda: optimizers.by_name("sgd", math.inf), "learning_rate is inf; expects a finite number"),
    (lambda: optimizers.by_name("sgd", "0.1"), "learning_rate is '0.1'; expects a finite number"),
    (lambda: optimizers.by_name("sgd", None), "learning_rate is None; expects a finite number"),
    (lambda: optimizers.by_name("sgd", np.ones(2)), "learning_rate is .*; expects a finite number"),
    (lambda: optimizers.by_name("sgd", KEY), "(?s)learning_rate is .*; expects a finite number"),
    (lambda: optimizers.by_name("sgd", 1j), "learning_rate is 1j; expects a finite number"),
    (lambda: optimizers.by_name("sgd", np.complex64(1)), "learning_rate is .*; expects a finite number"),
    (lambda: optimizers.by_name("sgd", 0.1, clip="norm"), "clip is 'norm'; expects one of"),
    (lambda: optimizers.by_name("sgd", 0.1, clip=["value"]), "clip is .*; expects one of"),
    (
        lambda: optimizers.by_name("sgd", 0.1, clip="value", clip_at=0.0),
        "clip_at is 0.0; expects a finite number, above 0",
    ),
    (lambda: optimizers.by_name("sgd", 0.1, clip="value", clip_at=-1), "clip_at is -1; expects a finite number"),
    (lambda: optimizers.inverse_time(-1.0, 10), "learning_rate is -1.0; expects"),
    (lambda: optimizers.inverse_time(0.1, 0), "decay_steps is 0; expects a number, above 0"),
    (lambda: optimizers.inverse_time(0.1, math.nan), "decay_steps is nan; expects"),
    (lambda: optimizers.step_decay(0.1, every=0), "every is 0; expects a finite number, 1 or more"),
    (lambda: optimizers.step_decay(0.1, every=3, factor=-1), "factor is -1; expects a finite number, above 0"),
    (lambda: optimizers.warm_up(optax.constant_schedule(0.1), num_steps=0), "num_steps is 0; expects a finite number"),
    (lambda: optimizers.warm_up(0.1, num_steps=5), "schedule is 0.1; expects"),
]


@pytest.mark.parametrize(("call", "text"), OPTIMIZERS, ids=[str(i) for i in range(len(OPTIMIZERS))])
def test_bad_optimizers(call, text):
    """Catches steps uphill, and a NaN that looks like divergence."""
    with pytest.raises(dl.ArgumentError, match=text):
        call()


# What nobody would pass on purpose, of many types.
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 30),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.sampled_from(
        [np.int8(3), np.float16(0.1), np.bool_(True), np.nan, np.array(3), np.array("a"), jnp.float32(0.1), len, object]
    ),
)
dtypes = st.sampled_from(["f4", "f8", "f2", "i4", "u1", "i8", "?", "c8", "U2", "O", "M8[s]", "S1"])
shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
arrays = st.builds(lambda shape, dtype: np.ones(shape, "i8").astype(dtype), shapes, dtypes)
anything = st.one_of(
    scalars,
    arrays,
    st.lists(scalars, max_size=3),
    st.lists(scalars, max_size=2).map(tuple),
    st.dictionaries(st.text(max_size=2), scalars, max_size=2),
    st.sampled_from([range(3), range(0), {1, 2}, iter([1]), slice(3), ..., Exception, KEY]),
)


@contextlib.contextmanager
def own_errors_only():
    """Let pass the errors of the library, and programs about to be compiled: what got there was accepted."""
    with contextlib.suppress(dl.DlcoreError, Accepted):
        yield


class Accepted(BaseException):
    """A program would be compiled now."""


@pytest.fixture
def accepted(monkeypatch):
    """Stop where a program would be built."""

    def built(*_, **__):
        raise Accepted

    monkeypatch.setattr(preparation, "build", built)


RANDOM = settings(max_examples=50, phases=[Phase.generate])  # found is enough; shrinking would trace for minutes
RANDOM_STUDIES = settings(RANDOM, max_examples=30, suppress_health_check=list(HealthCheck))


@given(
    name=st.sampled_from(["batch_size", "num_epochs", "num_steps", "record_every", "evaluate", "sampling"]),
    value=anything,
)
@RANDOM
def test_any_training_argument(name, value):
    """Catches any exception but the library's own for one random argument."""
    with own_errors_only():
        assert isinstance(describe(**{name: value}), dl.Training)


@given(name=st.sampled_from(["key", "task", "optimizer"]), value=anything)
@RANDOM
def test_any_main_argument(name, value):
    """Catches any exception but the library's own, and nonsense accepted: none of these values is one."""
    if name == "key" and value is KEY:
        return
    with pytest.raises(dl.ArgumentError):
        describe(**{name: value})


@given(inputs=anything, targets=anything)
@RANDOM
def test_any_arrays(inputs, targets):
    """Catches any exception but the library's own, and a data set with less than it promises."""
    with own_errors_only():
        data = dl.data.from_arrays(inputs, targets)
        assert len(data.train.inputs) == len(data.train.targets) > 0
        assert np.isfinite(data.train.inputs).all()


@given(part=st.sampled_from(["train", "validation", "test"]), value=anything)
@RANDOM
def test_any_split(part, value):
    """Catches any exception but the library's own; only None is a split that is not there."""
    if value is None and part != "train":
        return
    with pytest.raises(dl.DataError):
        dl.data.Dataset(**{"train": (X, Y), part: value})


@given(name=st.sampled_from(["validation", "test", "seed", "stratify"]), value=anything)
@RANDOM
def test_any_way_to_split(name, value):
    """Catches any exception but the library's own from the arguments of a split."""
    with own_errors_only():
        data = dl.data.from_arrays(X, Y, **{"test": 0.25, name: value})
        assert sum(len(getattr(data, split).inputs) for split in data.splits) == len(X)


def checked_fit(learning_rate=0.1, batch_size=6, num_epochs=2, label=None):
    """A function of trainings that hands all it gets to the library, except a label."""
    optimizer = optimizers.by_name("sgd", learning_rate)
    return dl.training(KEY, small.CLASSIFICATION, optimizer, batch_size=batch_size, num_epochs=num_epochs)


@given(axis=anything, name=st.sampled_from(["label", "learning_rate", "batch_size", "num_epochs", "unknown"]))
@RANDOM_STUDIES
def test_any_axis(accepted, axis, name):
    """Catches any exception but the library's own from the values of an axis."""
    with own_errors_only():
        dl.sweep(checked_fit, **{name: axis})


@given(name=st.sampled_from(["along", "lane_width"]), value=anything)
@RANDOM_STUDIES
def test_any_setting_of_a_study(accepted, name, value):
    """Catches any exception but the library's own from the settings of a study."""
    with own_errors_only():
        dl.sweep(fit, seed=SEEDS, **{name: value})


@given(learning_rate=anything, name=st.sampled_from([*optimizers.OPTIMIZERS, "", None]))
@RANDOM
def test_any_learning_rate(learning_rate, name):
    """Catches any exception but the library's own, and a rate that is not a finite number of at least 0."""
    with own_errors_only():
        optimizers.by_name(name, learning_rate)
        if not callable(learning_rate):
            assert math.isfinite(float(learning_rate))
            assert float(learning_rate) >= 0


@given(name=anything, clip=anything, clip_at=anything)
@RANDOM
def test_any_optimizer_name(name, clip, clip_at):
    """Catches any exception but the library's own from names and bounds."""
    with own_errors_only():
        optimizers.by_name("sgd", 0.1, clip=clip, clip_at=clip_at)
    with own_errors_only():
        optimizers.by_name("sgd", 0.1, clip="value", clip_at=clip_at)
        assert float(clip_at) > 0
    with own_errors_only():
        optimizers.by_name(name, 0.1)


@given(value=anything)
@RANDOM
def test_any_schedule(value):
    """Catches any exception but the library's own, and a schedule that yields no number."""
    makers = [
        lambda: optimizers.inverse_time(value, 10),
        lambda: optimizers.inverse_time(0.1, value),
        lambda: optimizers.step_decay(0.1, every=value),
        lambda: optimizers.step_decay(0.1, every=10, factor=value),
        lambda: optimizers.warm_up(optax.constant_schedule(0.1), num_steps=value),
    ]
    for make in makers:
        with own_errors_only():
            rate = make()(3)
            assert jnp.shape(rate) == ()
            assert not math.isnan(float(rate))


@given(widths=anything, activation=anything)
@RANDOM
def test_any_network(widths, activation):
    """Catches any exception but the library's own from the description of a network."""
    with own_errors_only():
        assert isinstance(dl.models.mlp(widths), dl.Model)
    with own_errors_only():
        assert isinstance(dl.models.mlp([4, 3], activation), dl.Model)
    with own_errors_only():
        assert isinstance(dl.models.mlp([4, 3], initializer=activation), dl.Model)
