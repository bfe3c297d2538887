"""What does an activation function do to the signals of a network?

Setting: nothing is trained. Random normal inputs, 32 rows, through one or two hidden layers of 256 units with random
weights; bend, slope and mean of the outputs of each of 8 activation functions, in 48 networks.
Command: `python -m experiments run activation_signals`; about 5 s on 2 CPU cores.
Seen: sigmoid keeps 0.37 of its mean slope where pre-activations have grown to 4, tanh 0.20, ReLU all, ELU 0.62.
The mean of the outputs is 0.01 of their root mean square for tanh, 0.20 for ELU, 0.56 for ReLU, 0.92 for sigmoid.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Experiment, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.evidence.claims import Region, above, below
from dlcore.plots.style import COLORS

NAMES = ("identity", "sigmoid", "tanh", "softsign", "relu", "leaky_relu", "elu", "maxout")
UNITS, ROWS = 256, 32
REST, GROWN = 0.1, 4.0  # standard deviations of pre-activations near zero, and once the weights have grown
SEEDS = {"quick": 16, "default": 48}

BEND = "distance of f((x + y) / 2) from the mean of f(x) and f(y) / distance of f(x) and f(y)"
SLOPE = f"mean slope where pre-activations are normal of deviation {GROWN:g} / where it is {REST:g}"
MEAN = "size of the mean of all outputs / their root mean square"


def claim(name: str, statement: str, quantity: str, *parts: tuple[str, str, Region]) -> Claim:
    """Of parts that are about the same quantity: name, statement, where it must lie."""
    return Claim(name, statement, tuple(SubClaim(part, text, quantity, region) for part, text, region in parts))


CLAIMS = (
    claim(
        "affine",
        "Without activation functions a deep network is only a linear model.",
        BEND,
        ("without", "It has no bend.", below(1e-4)),
        ("with", "With them it has.", above(0.01)),
    ),
    claim(
        "saturation",
        "Sigmoid, tanh and softsign saturate; ReLU and its relatives do not.",
        SLOPE,
        ("saturate", "They lose half of their slope.", below(0.5)),
        ("do not", "They keep half of it.", above(0.5)),
    ),
    claim(
        "centered",
        "Outputs of tanh, softsign and ELU are centered near zero, others are not.",
        MEAN,
        ("centered", "Their mean is small.", below(0.25)),
        ("not", "The mean of the others is not.", above(0.25)),
    ),
)
SIDES = {  # without maxout's slope, which is 1 everywhere
    "bend": {"without": NAMES[:1], "with": NAMES[1:]},
    "slope": {"saturate": NAMES[1:4], "do not": NAMES[4:7]},
    "mean": {"centered": ("tanh", "softsign", "elu"), "not": ("sigmoid", "relu", "maxout")},
}


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Bend, slope and mean of each activation function, dims (seed, function)."""
    seeds = scale.seeds(scale.of(SEEDS))
    signals = jax.jit(jax.vmap(jax.vmap(signals_of, (0, None)), (None, 0)))(jnp.arange(len(NAMES)), seeds)
    found = {}
    for key, values in zip(SIDES, signals, strict=True):
        names = [name for side in SIDES[key].values() for name in side]
        chosen = np.asarray(values)[:, [NAMES.index(name) for name in names]]
        found[key] = xr.Dataset({"value": (("seed", "function"), chosen)}, {"function": names})
    return found


def signals_of(number: jax.Array, seed: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Bend of a network of two hidden layers; slope after growth and mean of the outputs of one layer."""
    activation = dl.activations.Chosen(number, NAMES)
    keys = jax.random.split(jax.random.key(seed), 6)
    inputs = jax.random.normal(keys[0], (2, ROWS, UNITS))
    kernels = [jax.random.normal(key, (UNITS, 2 * UNITS)) * (2 / UNITS) ** 0.5 for key in keys[1:3]]
    last = jax.random.normal(keys[3], (UNITS, 1)) / UNITS**0.5

    def network(x):
        return activation(activation(x @ kernels[0]) @ kernels[1]) @ last

    def slope(deviation, key):
        z = deviation * jax.random.normal(key, (ROWS, 2 * UNITS))
        return jax.grad(lambda z: activation(z).sum())(z).sum() / (ROWS * UNITS)

    x, y = inputs
    bend = jnp.linalg.norm(network((x + y) / 2) - (network(x) + network(y)) / 2)
    outputs = activation(jax.random.normal(keys[4], (ROWS, 2 * UNITS)))
    mean = jnp.abs(outputs.mean()) / jnp.sqrt((outputs**2).mean())
    return bend / jnp.linalg.norm(network(x) - network(y)), slope(GROWN, keys[4]) / slope(REST, keys[5]), mean


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """Each activation function is a condition."""

    def means(key, names):
        return [
            Evidence(name, dl.evidence.mean_interval(measured[key].value.sel(function=name).values)) for name in names
        ]

    found = [{part: means(key, names) for part, names in sides.items()} for key, sides in SIDES.items()]
    return [Verdict(claim, evidence) for claim, evidence in zip(CLAIMS, found, strict=True)]


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Slope and mean of each function."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for key, label, look in (("slope", "slope left when it has grown", "o"), ("mean", "mean / root mean square", "^")):
        names = [name.replace("_", " ") for name in measured[key].function.values]
        ax.plot(measured[key].value.mean("seed"), names, look, color=COLORS[4 + (look == "^")], label=label)
    ax.set(xlabel="share", xlim=(-0.05, 1.05), ylim=(-0.5, 8.5))
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    caption = (
        f"Mean slope where pre-activations have a deviation of {GROWN:g}, over that at {REST:g}; size of the mean of "
        "outputs over their root mean square, where pre-activations have a deviation of 1. Means over networks."
    )
    return [Picture("activation_signals", caption, figure)]


ANSWERS = {
    "affine": {
        Outcome.SUPPORTED: "Yes: layers without activation functions make one affine map, however many there are."
    },
    "saturation": {Outcome.SUPPORTED: "Yes: large weights cost sigmoid, tanh and softsign most of their slope."},
    "centered": {Outcome.SUPPORTED: "Yes; ELU's mean is near zero, not at it."},
}
DESIGN = {"number of seeds": SEEDS, "units, rows": (UNITS, ROWS), "deviations": (REST, GROWN)}
HISTORY = dl.evidence.piloted("2026-11-26")
QUESTION = "What does an activation function do to the signals of a network?"
EXPERIMENT = Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
