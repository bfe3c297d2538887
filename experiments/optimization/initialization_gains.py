"""Which sizes of weights keep signals and gradients through many layers?

Setting: nothing is trained. A random signal goes forward, and a random gradient back, through 10 layers of 256 units
with normal weights; bisection finds the gain that keeps each, for 6 activation functions, in 64 networks.
Command: `python -m experiments run initialization_gains`; about 10 s on 2 CPU cores.
Seen: the gains of Glorot and He keep both to 1 % for linear units, ReLU and leaky ReLU. Tanh's of 5/3 is 5 % too large
for signals and 25 % for gradients, sigmoid's of 1 is 1.9 and 9 times too small, SELU's of 3/4 by a quarter and more.
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
from dlcore.plots.style import BLACK, COLORS, MARKERS

# Glorot and Bengio 2010, He et al. 2015, as PyTorch's calculate_gain has them.
GAINS = {"identity": 1.0, "relu": 2**0.5, "leaky_relu": 1.4071951, "tanh": 5 / 3, "sigmoid": 1.0, "selu": 0.75}
UNITS, LAYERS, HALVINGS, LOG_GAINS = 256, 10, 12, (-1.0, 2.5)
SAME = 0.02  # relative; 1.02^10 is a fifth more after ten layers
SEEDS = {"quick": 24, "default": 64}

GAIN = f"gain that keeps them through {LAYERS} layers / published gain"
READS = "{} of the published gain"
CLAIMS = (
    Claim(
        "gains",
        "Weights of the published gain keep the size of signals and of gradients.",
        (
            SubClaim("signals", "Signals, forward.", GAIN, dl.evidence.within(1 - SAME, 1 + SAME), READS),
            SubClaim("gradients", "Gradients, backward.", GAIN, dl.evidence.within(1 - SAME, 1 + SAME), READS),
        ),
    ),
    Claim(
        "both",
        "One gain keeps signals and gradients alike.",
        (
            SubClaim(
                "same gain",
                "The gain that keeps the gradients is the one that keeps the signals.",
                "gain that keeps gradients / gain that keeps signals",
                dl.evidence.within(1 - SAME, 1 + SAME),
            ),
        ),
    ),
)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Gains that keep signals and gradients: ratio to the published ones, and alike, their ratio to each other."""
    seeds = scale.seeds(scale.of(SEEDS))
    kept = np.asarray(jax.jit(lambda keys: lax.map(kept_gains, keys))(jax.vmap(jax.random.key)(seeds)))
    coordinates = {"seed": seeds, "kept": ["signals", "gradients"], "activation": list(GAINS)}
    ratio = xr.DataArray(kept / np.array(list(GAINS.values())), coordinates)
    alike = ratio.sel(kept="gradients", drop=True) / ratio.sel(kept="signals", drop=True)
    return {"gains": xr.Dataset({"ratio": ratio, "alike": alike})}


def kept_gains(key: jax.Array) -> jax.Array:
    """The gain at which signals and gradients leave the layers as large as they enter, by bisection; [2, activation].

    Signals enter with variance 1, gradients with that of independent normal numbers.
    """
    keys = jax.random.split(key, 3)
    kernels = jax.random.normal(keys[0], (LAYERS, UNITS, UNITS)) / UNITS**0.5
    signal, error = (jax.random.normal(key, (UNITS,)) for key in keys[1:])
    signal, error = (values / jnp.sqrt((values**2).mean()) for values in (signal, error))

    def of_one(activation):
        functions = [dl.activations.by_name(name) for name in GAINS]

        def forward(z, kernel):
            a, slope = jax.jvp(lambda z: lax.switch(activation, functions, z), (z,), (jnp.ones_like(z),))
            return a @ kernel, slope

        def size(gain, which):
            last, slopes = lax.scan(forward, signal, gain * kernels)
            first, _ = lax.scan(
                lambda d, layer: (layer[0] @ d * layer[1], None), error, (gain * kernels, slopes), reverse=True
            )
            return (last**2).mean() if which == "signals" else (first**2).mean()

        def root(which):
            def halve(_, bounds):
                low, high = bounds
                middle = (low + high) / 2
                grows = size(jnp.exp(middle), which) > 1
                return jnp.where(grows, low, middle), jnp.where(grows, middle, high)

            return jnp.exp(lax.fori_loop(0, HALVINGS, halve, LOG_GAINS)[0])

        return jnp.stack([root("signals"), root("gradients")])

    return jax.vmap(of_one, out_axes=1)(jnp.arange(len(GAINS)))


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """Each activation is a condition."""
    data = measured["gains"]
    gains = {which: _conditions(data.ratio.sel(kept=which)) for which in ("signals", "gradients")}
    found = (gains, {"same gain": _conditions(data.alike)})
    return [Verdict(claim, evidence) for claim, evidence in zip(CLAIMS, found, strict=True)]


def _conditions(ratio: xr.DataArray) -> list[Evidence]:
    return [Evidence(name, dl.evidence.geometric_mean_interval(ratio.sel(activation=name).values)) for name in GAINS]


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Gains next to those published."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    ratio = measured["gains"].ratio.transpose("seed", "kept", "activation")
    for which, color, marker, shift in zip(("signals", "gradients"), COLORS[4:], MARKERS, (-0.1, 0.1), strict=False):
        values, places = ratio.sel(kept=which).values, np.arange(len(GAINS)) + shift
        ax.vlines(places, values.min(axis=0), values.max(axis=0), color=color)
        ax.plot(places, values.mean(axis=0), marker, color=color, label=f"keeps {which}")
    ax.axhline(1, color=BLACK, linewidth=0.7)
    ax.set(yscale="log", ylabel="gain / published gain", yticks=[1, 2, 5, 10], yticklabels=["1", "2", "5", "10"])
    ax.set_xticks(range(len(GAINS)), [name.replace("_", " ") for name in GAINS])
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    caption = (
        f"The gain that keeps signals, or gradients, through {LAYERS} layers of {UNITS} units, over the published one: "
        "means over networks, lines from the smallest to the largest."
    )
    return [Picture("initialization_gains", caption, figure)]


ANSWERS = {
    "gains": {
        Outcome.CONDITIONAL: "Glorot's gain for linear units and He's for ReLU keep both. With those for tanh, sigmoid "
        "and SELU, which are conventions, the size is another one after ten layers."
    },
    "both": {
        Outcome.CONDITIONAL: "Only for units that are linear on either side of zero. Where they are curved, a gain "
        "that keeps the signals lets the gradients grow or vanish."
    },
}
DESIGN = {"number of seeds": SEEDS, "units, layers, halvings": (UNITS, LAYERS, HALVINGS), "gains": GAINS}
HISTORY = dl.evidence.piloted("2026-11-26")
QUESTION = "Which sizes of weights keep signals and gradients through many layers?"
EXPERIMENT = Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
