"""What is left of a signal after thirty layers of ReLU?

Setting: nothing is trained. A random signal goes through 30 layers of 128 ReLU units with LeCun's or He's normal
weights; its mean square after each layer, in 256 networks of each.
Command: `python -m experiments run relu_variance`; about 5 s on 2 CPU cores.
Seen: with LeCun's weights the mean square halves in each layer, with He's it is kept; but only on average: from
network to network its log has the variance 5 x layers / units.
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
from dlcore.plots.style import BLACK, COLORS

UNITS, DEPTH = 128, 30
GAINS = {"LeCun": 1.0, "He": 2**0.5}
PER_LAYER = 0.05  # of the log of the mean square: a factor of 4.5 in 30 layers
SEEDS = {"quick": 256, "default": 256}

HALF = float(np.log(0.5))
CHANGE = f"change of the log of the mean square by a layer of {UNITS} units"
CLAIMS = (
    Claim(
        "variance",
        "ReLU with LeCun's weights loses half its variance in each layer, with He's it keeps it.",
        (
            SubClaim("LeCun", "Half.", CHANGE, dl.evidence.within(HALF - PER_LAYER, HALF + PER_LAYER), "{} a layer"),
            SubClaim("He", "All.", CHANGE, dl.evidence.within(-PER_LAYER, PER_LAYER), "{} a layer"),
        ),
    ),
    # A layer multiplies the mean square by the mean over n units of 2 max(0, z)^2 / E z^2: mean 1, variance 5 / n.
    # Hanin and Rolnick, How to start training: the effect of initialization and architecture, NeurIPS 2018.
    Claim(
        "spread",
        "In a single network of finite width the variance wanders, the more the deeper and narrower it is.",
        (
            SubClaim(
                "variance",
                "Its log has the variance 5 x layers / units.",
                f"squared deviation after {DEPTH} layers of the log of the mean square / theory, mean over networks",
                dl.evidence.within(2 / 3, 3 / 2),
            ),
        ),
    ),
)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Log of the mean square after each layer, of networks with the weights of each; networks of their own."""
    seeds, found = scale.seeds(scale.of(SEEDS)), {}
    for i, (name, gain) in enumerate(GAINS.items()):
        logs = jax.jit(lambda keys, gain=gain: lax.map(lambda key: by_layer(gain, key), keys, batch_size=8))
        keys = jax.vmap(lambda seed, i=i: jax.random.fold_in(jax.random.key(seed), i))(seeds)
        found[name] = xr.Dataset({"log_square": (("seed", "layer"), np.asarray(logs(keys)))}, {"seed": seeds})
    return found


def by_layer(gain: float, key: jax.Array) -> jax.Array:
    """Log of the mean square of the pre-activations after each layer, [DEPTH + 1]; at first it is 0."""

    def layer(z, key):
        z = jax.nn.relu(z) @ jax.random.normal(key, (UNITS, UNITS)) * gain / UNITS**0.5
        return z, jnp.log((z**2).mean())

    first, *keys = jax.random.split(key, DEPTH + 1)
    z = jax.random.normal(first, (UNITS,))
    return jnp.append(0.0, lax.scan(layer, z / jnp.sqrt((z**2).mean()), jnp.stack(keys))[1])


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """Slopes of the logs, and their spread in the last layer."""
    changes, spreads = {}, []
    for name in GAINS:
        logs = measured[name].log_square.transpose("seed", "layer").values
        changes[name] = [Evidence(f"{DEPTH} layers", dl.evidence.slopes_interval(np.arange(logs.shape[1]), logs))]
        spreads.append(Evidence(f"{name}'s weights", dl.evidence.mean_interval(squared_deviations(logs[:, -1]))))
    return [Verdict(CLAIMS[0], changes), Verdict(CLAIMS[1], {"variance": spreads})]


def squared_deviations(logs: np.ndarray) -> np.ndarray:
    """From the mean over networks [n], in units of theory; their mean is the variance."""
    return (logs - logs.mean()) ** 2 * len(logs) / max(1, len(logs) - 1) / (5 * DEPTH / UNITS)


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Mean square by layer."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for name, color, line in zip(GAINS, (COLORS[1], COLORS[3]), ("-", "--"), strict=True):
        for i, curve in enumerate(measured[name].log_square.transpose("seed", "layer").values[:48] / np.log(10)):
            ax.plot(curve, line, color=color, linewidth=0.7, alpha=0.6, label="" if i else f"{name}'s weights")
    ax.plot([0, DEPTH], [0, DEPTH * HALF / np.log(10)], color=BLACK, linestyle=":", label="half in each layer")
    ax.set(xlabel="layer of ReLU units", ylabel="log10 of the mean square")
    ax.legend(fontsize=8, frameon=False)
    caption = f"Mean square of the pre-activations by layer, in networks of {UNITS} units a layer, a line each."
    return [Picture("relu_variance", caption, figure)]


ANSWERS = {
    "variance": {Outcome.SUPPORTED: "Yes: after ten layers LeCun's weights leave a thousandth, He's most of it."},
    "spread": {Outcome.SUPPORTED: "Yes: He's weights keep the signal on average; a deep, narrow network is far off."},
}
DESIGN = {"number of seeds": SEEDS, "units, layers": (UNITS, DEPTH), "gains": GAINS}
HISTORY = dl.evidence.piloted("2026-11-26")
QUESTION = "What is left of a signal after thirty layers of ReLU?"
EXPERIMENT = Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
