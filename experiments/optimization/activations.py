"""Which activation function trains best?

Setting: 400 digits; networks with one or three hidden layers of 32 units; SGD with momentum 0.9 on batches of 32, 300
steps. Each function has its own learning rate, chosen on 8 seeds and judged on 20 others.
Command: `python -m experiments run activations`; about half a minute on 2 CPU cores.
Seen on 400 images of digits, in steps of momentum on batches of 32, three blocks of seeds: sigmoid takes as many as
ReLU with one hidden layer (1.0 to 1.2 times) and over 3 times as many with three; tanh fewer, 0.6 to 0.7 times. A
sigmoid that is not centered takes 2.2 and 4.6 times as many as one that is. ReLU takes 1.3 to 1.7 times as many as
ELU, 1.2 to 1.6 times as many as maxout, and as many as leaky ReLU (1.0 to 1.1).
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
from dlcore.plots.style import BLACK, COLORS

# Activation function, gain of its weights, first guess of its learning rate.
FUNCTIONS = {
    "sigmoid": ("sigmoid", 1.0, 0.5),
    "sigmoid x 4": (lambda z: 4 * dl.activations.sigmoid(z), 1.0, 0.03),
    "sigmoid x 4, centered": (lambda z: 4 * dl.activations.sigmoid(z) - 2, 1.0, 0.06),
    "tanh": ("tanh", 5 / 3, 0.06),
    "softsign": ("softsign", 2.0, 0.12),
    "ReLU": ("relu", 2**0.5, 0.05),
    "leaky ReLU": ("leaky_relu", 1.4071951, 0.05),
    "ELU": ("elu", 1.25, 0.06),
    "maxout": ("maxout", 1.0, 0.03),
    "softmax": ("softmax", 1.0, 2.0),
}
CHOICE, GAINS, GUESSES = zip(*FUNCTIONS.values(), strict=True)
VARIANTS, DEPTHS = ("leaky ReLU", "ELU", "maxout"), {"1 hidden layer": 1, "3 hidden layers": 3}
TARGET, NUM_IMAGES, WIDTH = 0.2, 400, 32
RATES = 2.0 ** np.arange(-2, 3)  # in units of the first guess; the grid grows by itself
FASTER, FAST = 2.0, 1.1  # times the steps: much, noticed
NUM_STEPS, TUNED, JUDGED = {"quick": 150, "default": 300}, {"quick": 1, "default": 8}, {"quick": 6, "default": 20}

STEPS = f"steps to a train loss of {TARGET:g}"
MUCH, NOTED = dl.evidence.above(FASTER), dl.evidence.above(FAST)
RELU = (
    SubClaim("than sigmoid", "Sigmoid takes longer.", f"{STEPS}, sigmoid / ReLU", MUCH, "{} times"),
    SubClaim("than tanh", "Tanh takes longer.", f"{STEPS}, tanh / ReLU", MUCH, "{} times"),
)
CENTERED = (
    SubClaim("than sigmoid", "Sigmoid takes longer.", f"{STEPS}, sigmoid / tanh", NOTED, "{} times"),
    SubClaim("centering", "Sigmoid that is not centered does.", f"{STEPS}, not / centered", NOTED, "{} times"),
)
BETWEEN = SubClaim("than tanh", "Softmax takes longer.", f"{STEPS}, softmax / tanh", MUCH, "{} times")
FASTER_THAN = SubClaim("than ReLU", "ReLU takes longer.", f"{STEPS}, ReLU / the other", MUCH, "{} times")
CLAIMS = (
    Claim("relu", "Networks of ReLU train much faster than those of sigmoid or tanh units.", RELU),
    Claim("centered", "Tanh trains faster than sigmoid, because its outputs are centered at zero.", CENTERED),
    Claim("softmax", "Softmax is for the output: between layers it trains slowly.", (BETWEEN,)),
    Claim("variants", "Leaky ReLU, ELU and maxout train much faster than ReLU.", (FASTER_THAN,)),
)
PAIRS = {
    "relu": [("sigmoid", "ReLU"), ("tanh", "ReLU")],
    "centered": [("sigmoid", "tanh"), ("sigmoid x 4", "sigmoid x 4, centered")],
    "softmax": [("softmax", "tanh")],
}


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Of each depth, each activation function at its own rate; see `compared`."""
    return {name: compared(depth, scale) for name, depth in DEPTHS.items() if depth == 1 or scale.name != "quick"}


def compared(depth: int, scale: Scale) -> xr.Dataset:
    """Steps of each activation function, dims (seed), NaN where too many; learning_rate, interior: dims (variant)."""
    data, num_steps = dl.data.first(dl.data.digits(), NUM_IMAGES), scale.of(NUM_STEPS)
    gains, guesses = jnp.array(GAINS), jnp.array(GUESSES)

    def fit(variant, learning_rate, seed):
        """How fast the digits are learned with each activation function."""
        weights = dl.initializers.scaled("lecun_normal", gains[variant])
        activation = dl.activations.Chosen(variant, CHOICE)
        model = dl.models.mlp([64, *[WIDTH] * depth, 10], activation, initializer=weights)
        options = {"batch_size": 32, "num_steps": num_steps, "record_every": 5, "evaluate": ("train",)}
        optimizer = optax.sgd(learning_rate * guesses[variant], momentum=0.9)
        return dl.training(jax.random.key(seed), dl.tasks.classification(model, data), optimizer, **options)

    def steps(history):
        return dl.evidence.steps_to_target(history, "train_loss", TARGET)

    def score(history):
        return steps(history).fillna(num_steps * (1 + history.train_loss.isel(step=-1)))

    numbers, store = np.arange(len(CHOICE)), scale.store(f"{depth}-layers")
    seeds = {"seeds": scale.seeds(scale.of(JUDGED)), "tuning_seeds": scale.tuning_seeds(scale.of(TUNED))}
    runs = dl.evidence.at_own_rates(fit, numbers, RATES, score, store=store, lane_width=48, max_rounds=2, **seeds)
    kept = {"learning_rate": runs.learning_rate, "interior": runs.interior}
    taken = dict(zip(FUNCTIONS, steps(runs).transpose("variant", "seed"), strict=True))
    return xr.Dataset(kept | taken, attrs={"limit": num_steps}).assign_coords(variant=list(FUNCTIONS))


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """Both depths are conditions; but of softmax, which three layers of do not train at any rate."""

    def of_pair(*pair: str) -> list[Evidence]:
        depths = list(measured)[: 1 if "softmax" in pair else None]
        return [Evidence(name, ratio(measured[name], *pair)) for name in depths]

    pairs = {claim: zip(claim.parts, PAIRS[claim.name], strict=True) for claim in CLAIMS[:3]}
    named = {claim.name: {part.name: of_pair(*pair) for part, pair in each} for claim, each in pairs.items()}
    others = [(f"{other}, {name}", ratio(data, "ReLU", other)) for name, data in measured.items() for other in VARIANTS]
    named["variants"] = {"than ReLU": [Evidence(condition, interval) for condition, interval in others]}
    return [Verdict(claim, named[claim.name]) for claim in CLAIMS]


def ratio(data: xr.Dataset, a: str, b: str) -> Interval:
    """Of the steps of two activation functions; runs that never arrive are censored."""
    if not bool(data.interior.sel(variant=[a, b]).all()):
        return dl.evidence.undetermined("a best learning rate lies at the edge of its grid")
    limit = float(data.attrs["limit"])
    return dl.evidence.paired_ratio(data[a].values, data[b].values, limit_a=limit, limit_b=limit)


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Steps to the target of each."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    for ax, (name, data) in zip(figure.subplots(1, len(measured), squeeze=False)[0], measured.items(), strict=True):
        steps, places = np.stack([data[name].values for name in FUNCTIONS], axis=-1), np.arange(len(FUNCTIONS))
        late = np.where(np.isnan(steps), data.attrs["limit"], steps)
        ax.plot(steps.T, places, "o", color=COLORS[2], alpha=0.4)
        ax.plot(np.where(np.isnan(steps), late, np.nan).T, places, ">", color=COLORS[5])
        ax.plot(np.median(late, axis=0), places, "|", color=BLACK, markersize=14)
        ax.set_yticks(places, list(FUNCTIONS))
        ax.set(title=name, xlabel=STEPS, xlim=(0, None))
    caption = f"{STEPS} on the digits, each function at its own rate: circles: runs, bars: medians, triangles: never."
    return [Picture("activations", caption.capitalize(), figure)]


ANSWERS = {
    "relu": {Outcome.CONDITIONAL: "Much faster than sigmoid, once there are several hidden layers. Tanh takes fewer "
             "steps than ReLU, if each has a learning rate and a size of weights of its own."},
    "centered": {Outcome.SUPPORTED: "Yes, and a sigmoid that is shifted to be centered at zero gains as well."},
    "softmax": {Outcome.SUPPORTED: "Yes: its outputs share a sum of one, so each unit of a wide layer says little."},
    "variants": {Outcome.REFUTED: "With a learning rate of its own each, hardly: less than twice as fast."},
}  # fmt: skip
DESIGN = {"gains": GAINS, "first guesses": GUESSES, "relative rates": RATES, "number of steps": NUM_STEPS}
DESIGN |= {"tuned on": TUNED, "judged on": JUDGED, "images, width": (NUM_IMAGES, WIDTH), "depths": DEPTHS}
HISTORY = dl.evidence.piloted("2026-11-26", "A claim on softmax; rates are tuned on 8 seeds in place of 2.")
QUESTION = "Which activation function trains best?"
EXPERIMENT = Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
