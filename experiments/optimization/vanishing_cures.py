"""What helps against vanishing gradients?

Setting: 400 digits; eight kinds of networks with ten hidden layers of 32 units; SGD with momentum 0.9 on batches of 32,
150 steps, at rates of 1/256, 1/64 and 1/16, of which the best counts; 14 networks of each.
Command: `python -m experiments run vanishing_cures`; about 20 s on 2 CPU cores.
Seen: in front of ten sigmoid layers 2e-6 of the gradient is left, and no network trains. With batch norm, skip
connections, tanh or ReLU 0.18 and more, and all train; orthogonal weights and clipping do not help sigmoid units.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Experiment, Interval, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.plots.style import COLORS, MARKERS

# Activation function, gain of the weights, whether orthogonal, batch normalized, with skip connections, clipped at.
NETWORKS = {
    "sigmoid": (0, 1.0, 0, 0, 0, np.inf),
    "sigmoid, clipping": (0, 1.0, 0, 0, 0, 1.0),
    "sigmoid, orthogonal weights": (0, 1.0, 1, 0, 0, np.inf),
    "sigmoid, batch norm": (0, 1.0, 0, 1, 0, np.inf),
    "sigmoid, skip connections": (0, 1.0, 0, 0, 1, np.inf),
    "tanh, Glorot's weights": (1, 1.0, 0, 0, 0, np.inf),
    "tanh, orthogonal weights": (1, 1.0, 1, 0, 0, np.inf),
    "ReLU, He's weights": (2, 2**0.5, 0, 0, 0, np.inf),
}
RATES = np.array([1 / 256, 1 / 64, 1 / 16])
LAYERS, WIDTH, NUM_IMAGES, TARGET = 10, 32, 400, 1.5  # target: of the train loss, 2.3 at first
KEPT, MOST = 0.1, 0.5  # of the gradient; of the networks
SEEDS, STEPS = {"quick": 12, "default": 14}, {"quick": 60, "default": 150}

RATIO = f"gradient norm before training, first / last of {LAYERS} hidden layers"
SHARE = f"share of networks that reach a train loss of {TARGET:g} at one of the learning rates"
above, below = dl.evidence.above, dl.evidence.below
KEEPS = SubClaim("gradient", "The first layer's gradient is not much smaller.", RATIO, above(KEPT))
TRAINS = SubClaim("trains", "Most networks train.", SHARE, above(MOST), "share {}")
VANISHES = SubClaim("gradient", "The first layer's gradient is much smaller.", RATIO, below(KEPT))
FAILS = SubClaim("fails", "Most networks do not train.", SHARE, below(MOST), "share {}")
CLAIMS = (
    Claim("disease", "In deep sigmoid networks the gradient vanishes, and they do not train.", (VANISHES, FAILS)),
    Claim("gradient", "Other units or weights, batch norm and skip connections keep the gradient.", (KEEPS,)),
    Claim("training", "Networks with these cures, or with clipped gradients, can be trained.", (TRAINS,)),
)


def network(number) -> dl.Model:
    """[B, 64] -> [B, 10]: hidden layers that are alike, between two linear ones."""
    activation, gain, orthogonal, normalized, skips, _ = jnp.array(list(NETWORKS.values()))[number]
    function = dl.activations.Chosen(activation.astype(int), ["sigmoid", "tanh", "relu"])
    draws = dl.initializers.orthogonal(), dl.initializers.by_name("lecun_normal")

    def init(key):
        first, last, *keys = jax.random.split(key, LAYERS + 2)
        either = jax.vmap(lambda key: jnp.stack([draw(key, (WIDTH, WIDTH), jnp.float32) for draw in draws]))
        kernels = gain * jnp.where(orthogonal > 0, *jnp.unstack(either(jnp.stack(keys)), axis=1))
        ends = {"first": draws[1](first, (64, WIDTH), jnp.float32), "last": draws[1](last, (WIDTH, 10), jnp.float32)}
        return {**ends, "hidden": kernels, "biases": jnp.zeros((LAYERS, 1, WIDTH))}, {}

    def apply(params, state, x, *, key=None, train=False):
        def layer(a, weights):
            z = a @ weights[0] + weights[1]
            scaled = (z - z.mean(axis=0, keepdims=True)) / jnp.sqrt(z.var(axis=0, keepdims=True) + 1e-5)
            return function(jnp.where(normalized > 0, scaled, z)) + skips * a, None

        a, _ = jax.lax.scan(layer, x.reshape(-1, 64) @ params["first"], (params["hidden"], params["biases"]))
        return a @ params["last"], state

    return dl.Model(init, apply)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Of each network: ratio of the gradients, dims (network, seed), and loss, dims (network, seed, rate)."""
    data, seeds = dl.data.first(dl.data.digits(), NUM_IMAGES), scale.seeds(scale.of(SEEDS))
    num_steps, numbers, clips = scale.of(STEPS), np.arange(len(NETWORKS)), jnp.array(list(NETWORKS.values()))[:, -1]

    def fit(number, learning_rate, seed):
        """Which deep networks can be trained."""
        optimizer = optax.chain(optax.clip_by_global_norm(clips[number]), optax.sgd(learning_rate, momentum=0.9))
        options = {"batch_size": 32, "num_steps": num_steps, "record_every": num_steps, "evaluate": ("train",)}
        return dl.training(jax.random.key(seed), dl.tasks.classification(network(number), data), optimizer, **options)

    def ratio(number, seed):
        model, (images, labels) = network(number), (data.train.inputs[:64], data.train.targets[:64])

        def loss(params):
            return dl.losses.softmax_cross_entropy(model.apply(params, {}, images)[0], labels).mean()

        gradient = jax.grad(loss)(model.init(jax.random.key(seed))[0])["hidden"]
        return jnp.linalg.norm(gradient[0]) / jnp.linalg.norm(gradient[-1])

    where, axes = scale.store("networks"), {"number": numbers, "seed": seeds, "learning_rate": RATES}
    history = dl.sweep(fit, store=where, progress=False, lane_width=48, **axes)
    loss = history.train_loss.isel(step=-1, drop=True).transpose("number", "learning_rate", "seed").drop_vars("number")
    ratios = np.asarray(jax.jit(jax.vmap(jax.vmap(ratio, (None, 0)), (0, None)))(numbers, seeds))
    variables = {"loss": loss, "ratio": (("number", "seed"), ratios)}
    return {"networks": xr.Dataset(variables).rename(number="network").assign_coords(network=list(NETWORKS))}


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """Each network is a condition."""
    data, (first, *others) = measured["networks"], NETWORKS
    kept = {name: dl.evidence.geometric_mean_interval(data.ratio.sel(network=name).values) for name in NETWORKS}
    trained = {name: share(data.loss.sel(network=name)) for name in NETWORKS}
    disease = {"gradient": [Evidence(first, kept[first])], "fails": [Evidence(first, trained[first])]}
    gradient = [Evidence(name, kept[name]) for name in others if "clipping" not in name]  # which changes no ratio
    training = [Evidence(name, trained[name]) for name in others]
    found = (disease, {"gradient": gradient}, {"trains": training})
    return [Verdict(claim, evidence) for claim, evidence in zip(CLAIMS, found, strict=True)]


def share(loss: xr.DataArray) -> Interval:
    """Of the networks [learning_rate, seed] that get below the target at one of the rates."""
    return dl.evidence.share_below(loss.min("learning_rate", skipna=False).values, TARGET)


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Loss after training against the gradient ratio before it."""
    ax = (figure := Figure(figsize=(8, 3.8), layout="constrained")).subplots()
    for i, name in enumerate(NETWORKS):
        data = measured["networks"].sel(network=name)
        look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i // 2], "linestyle": "", "alpha": 0.5}
        ax.plot(data.ratio, data.loss.min("learning_rate"), **look, label=name)
    ax.set(xscale="log", yscale="log", xlabel="gradient ratio before training", ylabel="train loss at the end")
    figure.legend(fontsize=8, frameon=False, loc="outside right center")
    caption = f"Networks of {LAYERS} hidden layers on the digits. Ratio: gradient of the first over the last of these."
    return [Picture("vanishing_cures", caption, figure)]


ANSWERS = {
    "disease": {Outcome.SUPPORTED: "Yes: next to no gradient reaches the first of ten layers."},
    "gradient": {Outcome.CONDITIONAL: "Yes, but for orthogonal weights where units are sigmoid."},
    "training": {Outcome.CONDITIONAL: "Those that keep the gradient can. Sigmoid units with clipping cannot."},
}
DESIGN = {"networks": NETWORKS, "learning rates": RATES, "number of seeds": SEEDS, "number of steps": STEPS}
HISTORY = dl.evidence.piloted("2026-11-26")
QUESTION = "What helps against vanishing gradients?"
EXPERIMENT = Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
