"""Every optimizer of optax trains in a study; the names come from optax, so that a new version shows new ones."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import dlcore as dl

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # optax keeps what it will drop

KEY = jax.random.key(0)
RATES = jnp.array([0.05, 0.1])
ADVERSARY = optax.chain(contrib.normalize(), optax.sgd(0.05))


def of_dimensions(params):
    """Labels for `optax.partition`: one optimizer for kernels, another for biases."""
    return jax.tree.map(lambda leaf: "kernel" if leaf.ndim > 1 else "bias", params)


def none_of(params):
    """A mask of nothing."""
    return jax.tree.map(lambda leaf: False, params)


def always(step):
    """A condition, as `optax.conditionally_transform` takes it."""
    return step >= 0


# What takes more than a learning rate, or another name for it.
NEEDS_MORE = {
    "MultiSteps": lambda rate: optax.MultiSteps(optax.polyak_sgd(rate), every_k_schedule=2),
    "apply_if_finite": lambda rate: optax.apply_if_finite(optax.sgd(rate), 3),
    "chain": lambda rate: optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(rate)),
    "cocob": lambda rate: contrib.cocob(alpha=100 * rate),
    "conditionally_mask": lambda rate: optax.conditionally_mask(optax.sgd(rate), always),
    "conditionally_transform": lambda rate: optax.conditionally_transform(optax.sgd(rate), always),
    "dadapt_adamw": lambda rate: contrib.dadapt_adamw(10 * rate, estim_lr0=0.01),
    "dog": lambda rate: contrib.dog(10 * rate, init_step=("learning_rate", 0.01)),
    "dowg": lambda rate: contrib.dowg(10 * rate),
    "flatten": lambda rate: optax.flatten(optax.sgd(rate)),
    "freeze": lambda rate: optax.chain(optax.sgd(rate), optax.freeze(False)),
    "inject_hyperparams": lambda rate: optax.inject_hyperparams(optax.sgd)(learning_rate=rate),
    "inject_stateful_hyperparams": lambda rate: optax.inject_stateful_hyperparams(optax.sgd)(learning_rate=rate),
    "lbfgs": lambda rate: optax.lbfgs(rate, linesearch=optax.scale_by_backtracking_linesearch(5)),
    "masked": lambda rate: optax.chain(optax.masked(optax.trace(0.9), none_of), optax.sgd(rate)),
    "mechanize": lambda rate: contrib.mechanize(optax.sgd(rate), s_init=0.1),
    "multi_transform": lambda rate: optax.multi_transform(
        {"kernel": optax.sgd(rate), "bias": optax.sgd(0.1 * rate)}, of_dimensions
    ),
    "named_chain": lambda rate: optax.named_chain(("clip", optax.clip(1.0)), ("descent", optax.sgd(rate))),
    "noisy_sgd": lambda rate: optax.noisy_sgd(rate, key=KEY),
    "optimistic_adam": lambda rate: optax.optimistic_adam(rate, optimism=rate),
    "partition": lambda rate: optax.partition({"kernel": optax.sgd(rate), "bias": optax.adam(rate)}, of_dimensions),
    "polyak_sgd": lambda rate: optax.polyak_sgd(max_learning_rate=rate),
    "prodigy": lambda rate: contrib.prodigy(10 * rate, estim_lr0=0.01),
    "reduce_on_plateau": lambda rate: optax.chain(optax.sgd(rate), contrib.reduce_on_plateau(patience=2)),
    "sam": lambda rate: contrib.sam(optax.sgd(rate), ADVERSARY, opaque_mode=True),
    "schedule_free": lambda rate: contrib.schedule_free(optax.sgd(rate), rate),
    "selective_transform": lambda rate: optax.selective_transform(optax.sgd(rate), freeze_mask=False),
    "split_real_and_imaginary": lambda rate: contrib.split_real_and_imaginary(optax.sgd(rate)),
}
MORE_CASES = {
    "lbfgs that chooses its step": lambda rate: optax.lbfgs(memory_size=4),
    "sam that shows its adversary": lambda rate: contrib.sam(optax.sgd(rate), ADVERSARY, sync_period=2),
    "dl.optimizers.lookahead": lambda rate: dl.optimizers.lookahead(optax.sgd(rate), sync_period=3, slow_step_size=0.5),
}

# Parts of optimizers, all in one chain; `scale_by_*` are parts as well, of the optimizers that are named after them.
PARTS = {
    "identity": optax.identity,
    "zero_nans": optax.zero_nans,
    "adaptive_grad_clip": lambda: optax.adaptive_grad_clip(1.0),
    "clip": lambda: optax.clip(1.0),
    "clip_by_block_rms": lambda: optax.clip_by_block_rms(1.0),
    "clip_by_global_norm": lambda: optax.clip_by_global_norm(1.0),
    "snapshot": lambda: optax.snapshot("norm", optax.tree.norm),
    "centralize": optax.centralize,
    "add_decayed_weights": lambda: optax.add_decayed_weights(1e-4),
    "add_noise": lambda: optax.add_noise(1e-3, 0.5, key=KEY),
    "trace": lambda: optax.trace(0.5),
    "ema": lambda: optax.ema(0.5),
    "stateless": lambda: optax.stateless(lambda updates, params: updates),
    "stateless_with_tree_map": lambda: optax.stateless_with_tree_map(lambda update, param: update),
    "apply_every": lambda: optax.apply_every(1),
    "normalize_by_update_norm": optax.normalize_by_update_norm,
    "normalize": contrib.normalize,
    "scale": lambda: optax.scale(0.5),
}
# Transformations that do not descend, and functions about transformations.
NO_OPTIMIZERS = {
    "set_to_zero",
    "keep_params_nonnegative",
    "hutchinson_estimator_diag_hessian",
    "measure_with_ema",
    "with_extra_args_support",
    "schedule_free_eval_params",
    "matrix_inverse_pth_root",
    "update_infinity_moment",
    "update_moment",
    "update_moment_per_elem_norm",
}
REFUSED = {
    "lookahead": lambda rate: optax.lookahead(optax.sgd(rate), 3, 0.5),
    "dpsgd": lambda rate: contrib.dpsgd(rate, 1.0, 0.1, seed=0),
    "differentially_private_aggregate": lambda rate: optax.chain(
        contrib.differentially_private_aggregate(1.0, 0.1, key=KEY), optax.sgd(rate)
    ),
    "monitor": lambda rate: optax.chain(optax.monitor({"norm": optax.tree.norm}), optax.sgd(rate)),
}


def functions():
    """Name to the public function, in optax and optax.contrib; classes are states, but for one."""
    found = {"MultiSteps": optax.MultiSteps}
    for module in (optax, contrib):
        found |= {name: each for name, each in vars(module).items() if inspect.isfunction(each) and name[0] != "_"}
    return found


def takes_a_rate(function):
    """Whether it is an optimizer by its arguments."""
    return "learning_rate" in inspect.signature(function).parameters


def is_no_optimizer(name, function):
    """The rule: losses, schedules, projections; parts named as such; what says that it returns something else."""
    if function.__module__.startswith(("optax.losses", "optax.schedules", "optax.projections", "optax.tree")):
        return True
    returned = inspect.signature(function).return_annotation
    told = returned is not inspect.Signature.empty
    transforms = inspect.isclass(returned) and issubclass(returned, optax.GradientTransformation)
    return name.startswith("scale_by_") or (told and not transforms and not takes_a_rate(function))


OPTIMIZERS = {
    name: function
    for name, function in functions().items()
    if not is_no_optimizer(name, function) and takes_a_rate(function) and name not in REFUSED
}
CASES = OPTIMIZERS | NEEDS_MORE | MORE_CASES
CASES["a chain of parts"] = lambda rate: optax.chain(*(make() for make in PARTS.values()), optax.sgd(rate))

X = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
START = {"kernel": jnp.array([[0.5, -0.4], [0.3, 0.6]]), "bias": jnp.array([0.3, -0.5])}
# An initialization by numbers compiles in no time.
MODEL = dl.Model(
    lambda key: (START, {}), lambda p, s, x, *, key=None, train=False: (x @ p["kernel"] + p["bias"][None], s)
)
TASK = dl.tasks.supervised(
    MODEL, dl.data.Dataset((X, X @ np.float32([[1, 0.5], [-1, 2]]))), lambda output, y: jnp.sum((output - y) ** 2, 1)
)


def fit(make, num_steps=20):
    """A function of the rate, for `dl.sweep`."""

    def training(rate):
        return dl.training(KEY, TASK, make(rate), batch_size="full", num_steps=num_steps, record_every=1, evaluate=())

    return training


def test_every_name_of_optax_is_accounted_for():
    """Catches an optimizer that a new optax brings and that none of the tests below runs."""
    listed = set(CASES) | set(PARTS) | NO_OPTIMIZERS | set(REFUSED)
    unknown = [name for name, each in functions().items() if name not in listed and not is_no_optimizer(name, each)]
    assert not unknown
    assert len(OPTIMIZERS) > 40, "the rule finds optimizers"
    gone = [name for name in (NEEDS_MORE | PARTS | REFUSED).keys() | NO_OPTIMIZERS if name not in functions()]
    assert not gone


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - NEEDS_MORE.keys()))
def test_it_takes_a_traced_rate(name):
    """Catches an optimizer that lacks what it asks for, branches on a traced rate, or changes the type of its state."""

    def two_steps(rate):
        training = fit(OPTIMIZERS[name], 2)(rate)
        return training.advance(training.advance(training.init())[0])

    state, record = jax.eval_shape(two_steps, jax.ShapeDtypeStruct((), jnp.float32))
    assert jax.tree.structure(state.params) == jax.tree.structure(START)
    assert record["batch_loss"].shape == ()


# Of those that take a rate and nothing else, two; `make verify` trains all.
TRAINED = {name for name in CASES if name not in OPTIMIZERS or name in NEEDS_MORE} | {"adam", "sgd"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.heavy] * (name not in TRAINED)) for name in sorted(CASES)]
)
def test_it_descends_in_a_study(name):
    """Catches an optimizer that a study does not train: updates of the wrong sign, a state that is not carried on."""
    runs = dl.sweep(fit(CASES[name]), rate=RATES, lane_width=2, progress=False)
    losses = runs.batch_loss.values[:, 1:]  # each before its step; there is none at step 0
    assert np.isfinite(losses).all()
    assert (losses[:, -1] < losses[:, 0] - 1e-4).all(), losses


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_work_is_refused(name):
    """Catches updates of examples broadcast to those of parameters, and an error in optax's words."""
    with pytest.raises(
        dl.ArgumentError, match=r"(?s)optimizer contains optax\..*; a training .*(optax|dl\.optimizers)\."
    ):
        dl.run(fit(REFUSED[name], 1)(0.1))


def changed(**functions):
    """Stochastic gradient descent with another `init` or `update`."""
    return lambda rate: optax.sgd(rate)._replace(**functions)


def too_small(params):
    """An `init` that refuses what it gets."""
    raise AssertionError("too small")


BROKEN = {
    "another structure": (
        changed(update=lambda g, s, p=None: ([1.0], s)),
        "another structure; expects that of before. .*types",
    ),
    "another shape": (
        changed(update=lambda g, s, p=None: (jax.tree.map(jnp.sum, g), s)),
        r"gives updates.* as float32\[\]; expects float32\[2",
    ),
    "complex updates": (
        changed(update=lambda g, s, p=None: (jax.tree.map(lambda leaf: leaf * 1j, g), s)),
        r"gives updates.* as complex64\[2.*; expects float32\[2",
    ),
    "another state": (
        changed(init=lambda p: jnp.zeros(2), update=lambda g, s, p=None: (g, s.astype(jnp.int32))),
        r"gives its state as int32\[2\]; expects float32\[2\]",
    ),
    "no pair": (changed(update=lambda g, s, p=None: g), "expects the pair"),
    "an argument missing": (
        changed(update=lambda g, s, p=None, *, curvature: (g, s)),
        "fails in .*called as .*: .*missing 1 required keyword-only argument: 'curvature'",
    ),
    "an assertion": (changed(init=too_small), r"fails in too_small, called as init\(params\): too small"),
    "a wrong mask": (
        lambda rate: optax.chain(optax.sgd(rate), optax.freeze({"missing": True})),
        r"fails in optax\.masked, called as init.* which are .*'kernel'.*; give a tree with these",
    ),
    "sam inside a chain": (
        lambda rate: optax.chain(optax.clip(1.0), contrib.sam(optax.sgd(rate), ADVERSARY, opaque_mode=True)),
        r"fails in optax\.chain, .*unexpected keyword argument 'value'\. Let sam be the outermost",
    ),
    "a function": (lambda rate: optax.sgd, r"expects an optax.GradientTransformation.*Call it first"),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_optimizer_is_told_in_words(name):
    """Catches a failure of an optimizer that comes out as another exception, or not before it compiles."""
    make, text = BROKEN[name]
    with pytest.raises(dl.ArgumentError, match=f"(?s){text}"):
        dl.run(fit(make, 1)(0.1))


def test_errors_about_traced_values_pass():
    """Catches a tracer error worded as a failure of the optimizer, and our own errors worded twice."""

    def branching(gradient, state, params=None):
        return (gradient if jax.tree.leaves(gradient)[0].sum() > 0 else params), state

    def own(params):
        raise dl.DataError("of our own")

    training = fit(changed(update=branching), 1)(0.1)
    with pytest.raises(jax.errors.TracerBoolConversionError):
        training.advance(training.init())
    with pytest.raises(dl.DataError, match=r"^of our own"):
        fit(changed(init=own), 1)(0.1).init()


def noisy(params, state, batch, *, key=None, train=False):
    """A forward pass that depends on its noise."""
    outputs, state = TASK.forward(params, state, batch)
    return outputs * (1 + jax.random.normal(key, outputs.shape)) if train else outputs, state


def test_more_is_of_the_same_batch_and_noise():
    """Catches a loss, or a function for it, of other parameters, another batch or other noise than the gradient's."""
    task = TASK._replace(forward=noisy)

    def init(params):
        return {"value": jnp.zeros(()), "of the function": jnp.zeros(()), "difference": jnp.zeros(())}

    def update(gradient, state, params=None, *, value, grad, value_fn, obj_fn, grad_fn):
        others = optax.tree.sub(grad_fn(params), gradient)
        return optax.tree.zeros_like(params), {
            "value": value,
            "of the function": value_fn(params) + obj_fn(params) - value,
            "difference": optax.tree.norm(others) + optax.tree.norm(optax.tree.sub(grad, gradient)),
        }

    training = dl.training(
        KEY, task, optax.GradientTransformationExtraArgs(init, update), batch_size=3, num_steps=1, record_every=1
    )
    state, record = jax.jit(lambda: training.advance(training.init()))()
    np.testing.assert_allclose(state.opt_state["value"], record["batch_loss"], rtol=1e-6)
    np.testing.assert_allclose(state.opt_state["of the function"], record["batch_loss"], rtol=1e-5)
    np.testing.assert_allclose(state.opt_state["difference"], 0, atol=1e-6)
