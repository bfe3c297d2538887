"""Do gates keep gradients over time?

Setting: nothing is trained. LSTMs of 32 units with random weights, random inputs and a forget bias of 0, 1 or 5, beside
tanh units; the gradient is followed back over 100 steps, in double precision, in 64 networks.
Command: `python -m experiments run gates`; about 3 s on 2 CPU cores.
Seen: of an LSTM whose gates are half open a step back keeps 0.63 of the gradient, of tanh units 0.61; with a forget
bias of 1 0.82, with 5 1.03.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import lax
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Experiment, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.evidence.claims import above, below, within
from dlcore.plots.style import BLACK, COLORS, MARKERS

UNITS, STEPS, FROM_LAG = 32, 100, 20
BIASES = (0.0, 1.0, 5.0)  # of the forget gate: none; of Jozefowicz et al. 2015; nearly open
KEPT = -0.1  # a step: a factor of 20 000 in 100 steps
EXACT, CLOSE = 1e-12, 0.1  # rounding in double precision; what is left to other paths
SEEDS = {"quick": 8, "default": 64}

STEP = f"change of the log gradient norm by a step back in time, lags {FROM_LAG} to {STEPS}"
OFF = "largest relative distance from the product of the forget gates"
CLAIMS = (
    Claim("gates", "The gates of an LSTM keep gradients from vanishing over time.", (
        SubClaim("kept", "The gradient hardly changes.", STEP, within(KEPT, -KEPT), "{} a step"),
        SubClaim("less", "It shrinks much less than in a cell without gates.", f"{STEP}, less that of tanh units",
                 above(-KEPT), "by {}"),
    )),
    Claim("path", "Along the cell a gradient is multiplied by the forget gates, and by nothing else.", (
        SubClaim("no feedback", "So it is where no gate sees the state.", OFF, below(EXACT), "off by {}"),
        SubClaim("feedback", "So it nearly is where gates see the state.", OFF, below(CLOSE), "off by {}"),
    )),
)  # fmt: skip


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Log norms of gradients by lag, dims (cell, seed, lag), and their distance from the product of forget gates."""
    seeds = scale.seeds(scale.of(SEEDS))
    with jax.enable_x64(True):
        of_gates = jax.jit(jax.vmap(jax.vmap(gated, (0, None, None)), (None, 0, None)))
        norms, far = map(np.asarray, of_gates(seeds, jnp.array(BIASES), 1.0))
        _, alone = map(np.asarray, of_gates(seeds, jnp.array(BIASES), 0.0))
        plain = np.asarray(jax.jit(jax.vmap(ungated))(seeds))
    variables = {
        "log_norm": (("bias", "seed", "lag"), norms),
        "tanh": (("seed", "lag"), plain),
        "kept": (("bias", "seed"), slopes(norms)),
        "less": (("bias", "seed"), slopes(norms) - slopes(plain)),
        "feedback": (("bias", "seed"), far),
        "no feedback": (("bias", "seed"), alone),
    }
    return {"time": xr.Dataset(variables, {"bias": list(BIASES), "seed": seeds})}


def gated(seed: jax.Array, bias: jax.Array, feedback: float) -> tuple[jax.Array, jax.Array]:
    """Log norm of the gradient of the last cell by the cell of each earlier step [lag]; distance from the product."""
    keys = jax.random.split(jax.random.key(seed), 4)
    into, around = (scaled(key, 4 * UNITS) for key in keys[:2])
    drive, direction = jax.random.normal(keys[2], (STEPS, UNITS)), jax.random.normal(keys[3], (UNITS,))

    def last(nudges):
        def step(state, at):
            cell, hidden = state
            write, forget, new, read = jnp.split(at[0] @ into + feedback * hidden @ around, 4)
            forget = jax.nn.sigmoid(forget + bias)
            cell = forget * cell + jax.nn.sigmoid(write) * jnp.tanh(new)
            return (cell + at[1], jax.nn.sigmoid(read) * jnp.tanh(cell + at[1])), forget

        (cell, _), forgets = lax.scan(step, (jnp.zeros(UNITS), jnp.zeros(UNITS)), (drive, nudges))
        return cell @ direction, forgets

    gradients, forgets = jax.grad(last, has_aux=True)(jnp.zeros((STEPS, UNITS)))
    later = jnp.cumprod(jnp.concatenate([forgets[1:], jnp.ones((1, UNITS))])[::-1], axis=0)[::-1]
    product, norms = direction[None] * later, jnp.linalg.norm(gradients, axis=1)
    return jnp.log(norms)[::-1], (jnp.linalg.norm(gradients - product, axis=1) / norms).max()


def ungated(seed: jax.Array) -> jax.Array:
    """The same of tanh units, [lag]."""
    keys = jax.random.split(jax.random.key(seed), 4)
    params = dl.textbook.Elman(scaled(keys[0], UNITS), scaled(keys[1], UNITS), jnp.zeros(UNITS))
    drive = jax.random.normal(keys[2], (1, STEPS, UNITS))
    last = jnp.zeros((1, STEPS, UNITS)).at[0, -1].set(jax.random.normal(keys[3], (UNITS,)))
    errors = dl.textbook.through_time(params, drive, last).errors[0]
    return jnp.log(jnp.linalg.norm(errors, axis=-1))[::-1]


def scaled(key: jax.Array, size: int) -> jax.Array:
    """Weights [units, size] that keep the size of signals."""
    return jax.random.normal(key, (UNITS, size)) / UNITS**0.5


def slopes(log_norms: np.ndarray) -> np.ndarray:
    """Change by a step, from one lag to the longest: [..., lag] -> [...]."""
    return (log_norms[..., -1] - log_norms[..., FROM_LAG]) / (log_norms.shape[-1] - 1 - FROM_LAG)


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """Each forget bias is a condition."""
    found = {
        part.name: [
            Evidence(
                f"forget bias {bias:g}", dl.evidence.mean_interval(measured["time"][part.name].sel(bias=bias).values)
            )
            for bias in BIASES
        ]
        for claim in CLAIMS
        for part in claim.parts
    }
    return [Verdict(claim, {part.name: found[part.name] for part in claim.parts}) for claim in CLAIMS]


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Gradient by lag, means over networks."""
    ax = (figure := Figure(figsize=(7, 4.2), layout="constrained")).subplots()
    data = measured["time"]
    lines = {f"LSTM, forget bias {bias:g}": data.log_norm.sel(bias=bias) for bias in BIASES} | {"tanh units": data.tanh}
    for (name, norms), color, marker in zip(lines.items(), (*COLORS[1:4], BLACK), MARKERS, strict=False):
        ax.plot(norms.mean("seed") / np.log(10), color=color, marker=marker, markevery=20, label=name)
    ax.set(xlabel="steps back in time", ylabel="log10 of the gradient norm")
    ax.legend(frameon=False)
    caption = f"Gradient of the last state by that of each step before, means over networks of {UNITS} units."
    return [Picture("gates", caption, figure)]


ANSWERS = {
    "gates": {
        Outcome.CONDITIONAL: "Half open gates let a gradient vanish nearly as fast as tanh units do. Start the "
        "forget gate open, by a large bias, and it is kept for a hundred steps; it even grows a little."
    },
    "path": {
        Outcome.CONDITIONAL: "Only if no gate sees the state. Else most of a gradient that comes from far back has "
        "gone through the gates."
    },
}
DESIGN = {"number of seeds": SEEDS, "units, steps, from lag": (UNITS, STEPS, FROM_LAG), "forget biases": BIASES}
HISTORY = dl.evidence.piloted("2026-11-26", "A gradient that grows is not kept; what gates add is judged by its size.")
EXPERIMENT = Experiment("Do gates keep gradients over time?", CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
