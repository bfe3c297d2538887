"""The code in docs/optimizers.md runs as it stands; its schedules take traced numbers, those it replaces do not."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dlcore as dl

pytestmark = pytest.mark.job

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "optimizers.md").read_text()
START, *SECTIONS = PAGE.split("\n## ")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
STEPS = jnp.arange(0, 40, 3)


def run(section):
    """The names that the code of a section defines, after that of the start."""
    names = {}
    for code in BLOCK.findall(START) + BLOCK.findall(section):
        exec(compile(code, "docs/optimizers.md", "exec"), names)
    return names


def of(title):
    """The section of that title."""
    return next(section for section in SECTIONS if section.startswith(title))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0].replace(" ", "_"))
def test_code_blocks_run(section):
    """Catches an example that no longer works, or is for known numbers only."""
    names = run(section)
    if "runs" in names:
        assert bool(names["runs"].finite.all())


def compiled(make, number):
    """Rates at some steps, of a schedule made of a traced number and of a known one."""
    traced = jax.jit(lambda number: jax.vmap(lambda step: make(number)(step) * jnp.float32(1))(STEPS))(number)
    return traced, [float(make(float(number))(step)) for step in STEPS]


def test_schedules_take_a_traced_rate():
    """Catches a schedule of the list that looks at its rate."""
    schedules = run(of("Schedules"))["SCHEDULES"]
    for make in schedules:
        traced, known = compiled(make, jnp.float32(0.25))
        np.testing.assert_allclose(traced, known, rtol=1e-4, atol=1e-7)
    missing = set(vars(optax.schedules)) - {name for each in schedules for name in re.findall(r"\w+", _source(each))}
    assert {name for name in missing if name.endswith(("_schedule", "_decay")) and name[0] != "_"} == {
        "warmup_cosine_decay_schedule",
        "sgdr_schedule",
    }


def _source(make):
    """Names of attributes that a lambda reads."""
    return " ".join(make.__code__.co_names)


CYCLE = {"init_value": 0.0, "warmup_steps": 3, "decay_steps": 15}
# name: (optax's own of a number, that number); none of them takes a traced one.
THEIRS = {
    "warmup_cosine_decay_schedule": (lambda rate: optax.warmup_cosine_decay_schedule(0.0, rate, 5, 30), 0.25),
    "sgdr_schedule": (lambda rate: optax.sgdr_schedule([CYCLE | {"peak_value": rate}] * 2), 0.25),
    "exponential_decay": (lambda factor: optax.exponential_decay(0.1, 10, decay_rate=factor), 0.5),
    "cosine_decay_schedule": (lambda steps: optax.cosine_decay_schedule(0.1, steps), 30.0),
    "linear_schedule": (lambda steps: optax.linear_schedule(0.1, 0.0, steps), 30.0),
    "piecewise_constant_schedule": (lambda factor: optax.piecewise_constant_schedule(0.1, {10: factor}), 0.5),
}


@pytest.mark.parametrize("name", THEIRS)
def test_what_is_written_instead_of_a_schedule(name):
    """Catches a formula that differs from optax's, and an optax that takes the traced number after all."""
    theirs, number = THEIRS[name]
    instead = run(of("Schedules"))["INSTEAD"]
    assert set(instead) == set(THEIRS)
    with pytest.raises(jax.errors.TracerBoolConversionError):
        jax.eval_shape(lambda number: theirs(number)(STEPS[0]), jnp.float32(number))
    expected = [float(theirs(number)(step)) for step in STEPS]
    for position, make in enumerate(instead[name]):
        traced, _ = compiled(make, jnp.float32(number))
        if name == "exponential_decay" and position == 1:  # in steps, which meet the curve at each drop
            np.testing.assert_allclose(traced[STEPS % 10 == 0], np.array(expected)[STEPS % 10 == 0], rtol=1e-5)
        else:
            np.testing.assert_allclose(traced, expected, rtol=1e-4, atol=1e-7)


def test_parameters_to_evaluate_are_a_function_of_the_state():
    """Catches a form that `evaluate_params` does not take, and one that is the trained parameters."""
    names = run(of("Averages"))
    for make, evaluated in names["EVALUATED"].values():
        training = dl.training(
            names["key"], names["task"], make(0.1), batch_size=20, num_steps=7, record_every=7, evaluate=()
        )
        state, _ = jax.jit(training.advance)(training.init())
        params = evaluated(state)
        assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, state.params)
        assert float(optax.tree.norm(optax.tree.sub(params, state.params))) > 0


def test_optimizers_that_want_more_are_given_it():
    """Catches one that lacks what it asks for; tests/optimizers/test_every_optimizer.py runs their like."""
    names = run(of("Optimizers that want more"))
    for make in names["WANT_MORE"]:

        def advanced(rate, make=make):
            training = dl.training(names["key"], names["task"], make(rate), batch_size=20, num_steps=1, record_every=1)
            return training.advance(training.init())

        state, _ = jax.eval_shape(advanced, jnp.float32(0.1))
        assert state.step.shape == ()
