"""Walkers in one-dimensional double wells whose barriers, curvatures and noise are known exactly."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import lax
from scipy import stats

import dlcore as dl
from benchmarks.convergence.parts import LANE_WIDTH, Scale

NUM_EXAMPLES = 256
STEPS_PER_RECORD, NUM_RECORDS = 256, 50
BUDGET = STEPS_PER_RECORD * NUM_RECORDS  # examples of a run, 50 epochs, whatever its batch size

# Barrier over temperature: Kramers' law is asymptotic in it, and beyond 5.5 too few walkers leave in time.
BARRIERS_IN_TEMPERATURES = np.array([3.5, 4.0, 4.5, 5.0, 5.5])
NUM_WALKERS, NUM_RUNS = 192, 4  # of a seed: to a mean dwell time; to a share
START = 0.9  # runs start anywhere up to this distance from the shallow minimum; the top is at 1

# Of the full batch's stability limit, 2 / curvature of the shallow minimum; a factor of sqrt(2) apart.
FRACTIONS = 0.8 * 2.0 ** (np.arange(-10, 5) / 2)
BATCH_SIZES = ("1", "8", "full")


class Wells(NamedTuple):
    """Two wells, made of half periods of a cosine, and parabolas outside of the minima; the top is at 0.

    barrier: height of the top above the shallow minimum, which is at -1. depth: of the deep one below the top. width:
    where it is. noise: standard deviation of one example's gradient around the full gradient.
    """

    barrier: float
    depth: float
    width: float
    noise: float

    @property
    def curvature(self) -> float:
        """Second derivative at the shallow minimum."""
        return np.pi**2 * self.barrier / 2

    @property
    def deep_curvature(self) -> float:
        """Second derivative at the deep minimum."""
        return np.pi**2 * self.depth / (2 * self.width**2)


# Dwell times; barrier / noise is what tells them apart, up to units.
KRAMERS = {
    f"barrier {wells.barrier:g}, noise {wells.noise:g}": wells
    for wells in (
        Wells(0.1, 0.3, 2.0, 1.0),
        Wells(0.15, 0.3, 2.0, 1.0),
        Wells(0.2, 0.4, 1.0, 1.0),
        Wells(0.2, 0.4, 2.0, 1.5),
    )
}
# Shallow: the barrier is no more than half of the noise times the distance to the top.
SHALLOW = {
    "low barrier, deep well flat": Wells(0.15, 0.6, 2.5, 1.0),
    "medium barrier, deep well flat": Wells(0.3, 0.9, 2.5, 1.0),
    "medium barrier, deep well sharp": Wells(0.3, 0.9, 1.0, 1.0),
    "high barrier, deep well flat": Wells(0.5, 1.25, 2.5, 1.0),
}


def example_noise() -> np.ndarray:
    """Slope that each example adds, [NUM_EXAMPLES]: normal quantiles, mean 0 and variance 1."""
    values = stats.norm.ppf((np.arange(NUM_EXAMPLES) + 0.5) / NUM_EXAMPLES)
    values = (values - values[::-1]) / 2  # odd to the last bit, so that they sum to zero
    return values / values.std()


def slope(x: jax.Array, barrier: jax.Array, depth: jax.Array, width: jax.Array) -> jax.Array:
    """Derivative of the loss without noise at x [k]."""
    left = x < 0
    angle = jnp.pi * jnp.where(left, x, x / width)
    height = jnp.where(left, barrier, depth / width) * jnp.pi / 2
    outside = jnp.sign(angle) * (jnp.abs(angle) - jnp.pi)
    return height * jnp.where(jnp.abs(angle) < jnp.pi, -jnp.sin(angle), outside)


def walk(
    seed, rate, barrier, depth, width, noise, spread, stochastic, *, batch_size: int = 1, num_walkers: int = NUM_WALKERS
) -> dl.Training:
    """Independent walkers that start around the shallow minimum.

    Args:
      spread: they start within this distance from it, uniformly.
      stochastic: 1 draws examples with replacement, 0 takes the mean of all of them for each gradient.

    Returns:
      a training that records `escapes` (walkers that went half way from the top to the deep minimum: they do not come
      back), `at_risk` (steps before that, of all walkers), `deep` (walkers that end in the deep well).
    """
    key = jax.random.key(seed)
    values = jnp.asarray(example_noise(), jnp.float32)
    num_steps = jnp.where(stochastic > 0, BUDGET // batch_size, BUDGET // NUM_EXAMPLES)

    def init():
        start = jax.random.uniform(jax.random.fold_in(key, 0), (num_walkers,), minval=-1.0, maxval=1.0)
        none = jnp.zeros(num_walkers, jnp.int32)
        return jnp.int32(0), -1 + spread * start, none > 0, none

    def step(carry, rows):
        count, x, gone, at_risk = carry
        drawn = noise * jnp.where(stochastic > 0, values[rows].mean(0), values.mean())
        runs = count < num_steps
        x = jnp.where(runs, x - rate * (slope(x, barrier, depth, width) + drawn), x)
        gone |= x > width / 2
        return (count + 1, x, gone, at_risk + (runs & ~gone)), None

    def advance(state):
        shape = (STEPS_PER_RECORD // batch_size, batch_size, num_walkers)
        rows = jax.random.bits(jax.random.fold_in(jax.random.fold_in(key, 1), state[0]), shape, jnp.uint8)
        state, _ = lax.scan(step, state, rows)
        count, x, gone, at_risk = state
        ended = count >= num_steps
        deep = jnp.sum(ended & (x > 0) & (x < 2 * width))
        record = {"escapes": gone.sum(), "at_risk": at_risk.sum(), "deep": deep, "ended": ended}
        return state, record

    return dl.Training(init, advance, num_records=NUM_RECORDS)


def dwell_times(scale: Scale) -> xr.Dataset:
    """Escapes and steps at risk until each walker's escape, or the end of its run.

    Returns:
      escapes, at_risk: dims (wells, temperature, seed); barrier, noise: of wells; rate: dims (wells, temperature), the
      temperature being rate * noise**2 / 2.
    """
    chosen = dict(list(KRAMERS.items())[:: 3 if scale.quick else 1])
    rates = {name: 2 * w.barrier / (BARRIERS_IN_TEMPERATURES * w.noise**2) for name, w in chosen.items()}
    cells = [(w, rate) for name, w in chosen.items() for rate in rates[name]]
    points = {
        **_columns([w for w, _ in cells]),
        "rate": np.array([rate for _, rate in cells]),
        # Uniform with the variance of the thermal equilibrium in the well.
        "spread": np.array([np.sqrt(1.5 * rate * w.noise**2 / w.curvature) for w, rate in cells]),
        "stochastic": np.ones(len(cells), np.int32),
    }
    kept = {"store": scale.store("escape", "dwell_times"), "final_state": False}
    study = dl.study(walk, dl.points("cell", **points), seed=scale.seeds)
    history = dl.sweep(study, lane_width=LANE_WIDTH, progress=False, **kept)
    shape = (len(chosen), len(BARRIERS_IN_TEMPERATURES), -1)
    dims = ("wells", "temperature", "seed")
    return xr.Dataset(
        {
            **{name: (dims, history[name].max("step").values.reshape(shape)) for name in ("escapes", "at_risk")},
            "rate": (dims[:2], np.stack(list(rates.values()))),
            "barrier": ("wells", [w.barrier for w in chosen.values()]),
            "noise": ("wells", [w.noise for w in chosen.values()]),
        },
        coords={"wells": list(chosen), "temperature": 1 / BARRIERS_IN_TEMPERATURES, "seed": scale.seeds},
    )


def shares(scale: Scale) -> xr.Dataset:
    """Runs that are in the deep well after equally many examples.

    Returns:
      better: how many of `attrs["runs"]` independent runs, dims (landscape, batch_size, fraction, seed); judged:
      whether a seed is judged, the others are for tuning. fraction: of the full batch's stability limit.
    """
    chosen = dict(list(SHALLOW.items())[:: 2 if scale.quick else 1])
    seeds = np.concatenate([scale.tuning_seeds[:8], scale.seeds])
    cells = [(w, fraction) for w in chosen.values() for fraction in FRACTIONS]
    points = {
        **_columns([w for w, _ in cells]),
        "rate": np.array([fraction * 2 / w.curvature for w, fraction in cells]),
        "spread": np.full(len(cells), START),
    }

    def ended_deep(size: str) -> np.ndarray:
        fit = functools.partial(walk, batch_size=8 if size == "8" else 1, num_walkers=NUM_RUNS)
        stochastic = np.full(len(cells), size != "full", np.int32)
        kept = {"store": scale.store("escape", "wells", size), "final_state": False}
        study = dl.study(fit, dl.points("cell", **points, stochastic=stochastic), seed=seeds)
        history = dl.sweep(study, lane_width=LANE_WIDTH, progress=False, **kept)
        return history.deep.max("step").values.reshape(len(chosen), len(FRACTIONS), len(seeds))

    sizes = [size for size in BATCH_SIZES if size != "8" or not scale.quick]
    counts = np.stack([ended_deep(size) for size in sizes], axis=1)
    return xr.Dataset(
        {
            "better": (("landscape", "batch_size", "fraction", "seed"), counts),
            "judged": ("seed", np.isin(seeds, scale.seeds)),
        },
        coords={"landscape": list(chosen), "batch_size": sizes, "fraction": FRACTIONS, "seed": seeds},
        attrs={"runs": NUM_RUNS},
    )


def _columns(wells: list[Wells]) -> dict[str, np.ndarray]:
    return {name: np.array([getattr(w, name) for w in wells]) for name in Wells._fields}
