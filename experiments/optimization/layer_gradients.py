"""Do early layers learn slower than later ones?

Setting: nothing is trained. Sigmoid networks with 2, 3 or 4 hidden layers of 30 units and random weights; the gradient
of their loss on 300 digits, by layer, in 32 networks of each depth.
Command: `python -m experiments run layer_gradients`; about 5 s on 2 CPU cores.
Seen: in front of every layer of 30 sigmoid units the gradient is five times smaller, as in Nielsen's networks.
"""

import itertools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Experiment, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.plots.style import COLORS, MARKERS

# Norms of the mean of dL/dz in the hidden layers before training, one network each: Nielsen, Neural networks and deep
# learning, ch. 5, fig/norms_during_training_{2,3,4}_layers.json; 30 sigmoid units a layer, 1000 images of MNIST.
SPEEDS = {2: (0.06574, 0.30922), 3: (0.01184, 0.05997, 0.28314), 4: (0.002975, 0.017077, 0.069539, 0.285139)}
RATIOS = [after / before for speeds in SPEEDS.values() for before, after in itertools.pairwise(speeds)]
SLOWER = 2.0  # several times
SEEDS = {"quick": 8, "default": 32}
NUM_IMAGES, DEPTHS = {"quick": 100, "default": 300}, {"quick": (2,), "default": (2, 3, 4)}

RATIO = "ratio of the gradient norms of neighboring hidden layers, mean over the layers"
CLAIMS = (
    Claim(
        "layers",
        "In networks of sigmoid units early layers learn several times slower than later ones.",
        (
            SubClaim("slower", "The gradient is smaller in an earlier layer.", RATIO, dl.evidence.above(SLOWER), ""),
            SubClaim(
                "as published",
                "By as much as in Nielsen's book.",
                RATIO,
                dl.evidence.within(min(RATIOS), max(RATIOS)),
                "{} times",
            ),
        ),
    ),
)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Gradient norms of the hidden layers before training, of networks of each depth."""
    rows = dl.data.first(dl.data.digits(), scale.of(NUM_IMAGES)).train
    seeds, found = scale.seeds(scale.of(SEEDS)), {}
    for depth in scale.of(DEPTHS):
        norms = jax.jit(jax.vmap(lambda seed, depth=depth: speeds_of(seed, depth, rows)))(seeds)
        found[f"{depth} hidden layers"] = xr.Dataset({"norm": (("seed", "layer"), np.asarray(norms))}, {"seed": seeds})
    return found


def speeds_of(seed: jax.Array, depth: int, rows) -> jax.Array:
    """Norms [depth] of the mean of dL/dz in the hidden layers: weights of variance 1 / fan-in, biases of variance 1."""
    model = dl.models.mlp([64, *[30] * depth, 10], "sigmoid")
    layers = model.init(jax.random.key(seed))[0]["layers"]
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), depth + 1)
    biases = [jax.random.normal(key, layers[i]["bias"].shape) for i, key in enumerate(keys)]

    def loss(biases):
        params = {"layers": {i: {"kernel": layers[i]["kernel"], "bias": bias} for i, bias in enumerate(biases)}}
        logits, _ = model.apply(params, {}, rows.inputs.reshape(-1, 64))
        return (jax.nn.softplus(logits) - jax.nn.one_hot(rows.targets, 10) * logits).sum(axis=1).mean()

    return jnp.stack([jnp.linalg.norm(gradient) for gradient in jax.grad(loss)(biases)[:-1]])


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """One network a seed; its layers count once."""
    found = [
        Evidence(name, dl.evidence.geometric_mean_interval(mean_ratio(data.norm.transpose("seed", "layer").values)))
        for name, data in measured.items()
    ]
    return [Verdict(CLAIMS[0], {part.name: found for part in CLAIMS[0].parts})]


def mean_ratio(norm: np.ndarray) -> np.ndarray:
    """Of the norms of neighboring layers, geometric mean over the layers: [n, layers] to [n]."""
    return (norm[:, -1] / norm[:, 0]) ** (1 / (norm.shape[1] - 1))


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Gradient norms by layer next to those published."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for (depth, published), color, marker in zip(SPEEDS.items(), COLORS[3:], MARKERS, strict=False):
        if (name := f"{depth} hidden layers") in measured:
            norm, layers = measured[name].norm.transpose("seed", "layer").values, np.arange(depth) + 1
            ax.fill_between(layers, norm.min(axis=0), norm.max(axis=0), color=color, alpha=0.2, linewidth=0)
            ax.plot(layers, np.median(norm, axis=0), marker + "-", color=color, label=name)
            ax.plot(layers, published, "x", color=color, markersize=10, markeredgewidth=2)
    ax.plot([], [], "kx", label="published")
    ax.set(yscale="log", xlabel="hidden layer", ylabel="norm of the mean of dL/dz", xticks=range(1, 5))
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    caption = (
        "Gradient norms of the hidden layers of sigmoid networks on the digits before training. Lines: medians, bands: "
        "from the smallest to the largest network, crosses: Nielsen's single networks on MNIST."
    )
    return [Picture("layer_gradients", caption, figure)]


ANSWERS = {
    "layers": {
        Outcome.SUPPORTED: "In front of every sigmoid layer the gradient is about five times smaller, so with four of "
        "them the first one learns over a hundred times slower than the last one."
    },
}
DESIGN = {"number of seeds": SEEDS, "images": NUM_IMAGES, "hidden layers": DEPTHS}
HISTORY = dl.evidence.piloted("2026-11-26")
QUESTION = "Do early layers learn slower than later ones?"
EXPERIMENT = Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
