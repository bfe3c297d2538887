"""May weights and biases be zero, or all equal, when training starts?

Setting: wine (142 examples) and breast cancer (455); 16 hidden units of nine activation functions; full-batch descent,
400 steps, at rates of 0.3 and 1, of which the best counts; 12 seeds. Linear models, on diabetes too: at 0.2, with a
penalty.
Command: `python -m experiments run zero_weights`; about 30 s on 2 CPU cores.
Seen: from zero 7 of 9 activations stay at the entropy of the class shares; sigmoid and softplus, not 0 at 0, train as
one unit would. Equal units stay equal to the bit.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Check, Claim, Evidence, Experiment, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.evidence.claims import above, below, within
from dlcore.evidence.experiments import Measured
from dlcore.plots.style import COLORS, MARKERS

NAMES = ("relu", "leaky_relu", "tanh", "softsign", "elu", "gelu", "softmax", "sigmoid", "softplus")
TYPICAL = tuple(map(NAMES.index, ("relu", "tanh", "sigmoid")))
SETS = {"quick": ("wine",), "default": ("wine", "breast_cancer")}
RATES, STEPS = (0.3, 1.0), {"quick": 100, "default": 400}  # the best rate counts
LINEAR_RATE, PENALTY = 0.2, 0.2  # a linear model is at its only optimum in these steps, up to exp(-16)
CENTERS, SPREADS, BIASES = (0, 0.1, 0.1, 0, 0), (0, 0, 0.1, 1, 1), (0, 0, 0, 0, 1)  # by start
SAME = (SubClaim("same", "Random ones do no better.", "loss, zero over random biases", within(0.5, 2)),)
ZERO = (
    SubClaim("loss", "The loss is the entropy of the class shares.", "share of it that it gets rid of", below(0.01)),
    SubClaim("accuracy", "The largest class is all it knows.", "accuracy above its share", below(0.01)),
)
CONSTANT = (
    SubClaim("equal", "Units stay equal.", "largest distance of two, relative", below(1e-3)),
    SubClaim("noise", "A little noise parts them.", "the same distance", above(0.1)),
)
LINEAR = (SubClaim("optimum", "They end where others do.", "distance from random start's end, relative", below(1e-3)),)
CLAIMS = (
    Claim("biases", "Biases may start at zero.", SAME),
    Claim("zero", "A network whose weights and biases are all zero does not train.", ZERO),
    Claim("constant", "Equal weights keep all units equal: random ones break the symmetry.", CONSTANT),
    Claim("linear", "Linear and logistic models may start at zero.", LINEAR),
)


def network(widths: list[int], start, activation) -> dl.Model:
    """A perceptron: weights of a center plus a spread times LeCun's; start, activation: places in tuples above."""
    functions = [dl.activations.by_name(name) for name in NAMES]
    model = dl.models.mlp(widths, lambda z: jnp.stack([function(z) for function in functions])[activation])
    center, spread, bias = (jnp.array(values, float)[start] for values in (CENTERS, SPREADS, BIASES))

    return dl.models.restarted(
        model, lambda key, name, w: center + spread * w if name == "kernel" else bias * jax.random.normal(key, w.shape)
    )


def trained(data, hidden: list[int], cells: list[tuple], rates, penalty, scale: Scale) -> xr.Dataset:
    """Runs of cells (start, activation, seed), with params and gradients; dims (point, learning_rate, step, ...)."""
    classes = data.train.targets.dtype.kind == "i"
    widths = [data.train.inputs.shape[1], *hidden, len(data.target_names) if classes else 1]
    make = dl.tasks.classification if classes else dl.tasks.regression

    def fit(start, activation, seed, learning_rate):
        """Whether a network trains from weights that are zero or equal."""
        task = make(network(widths, start, activation), data, penalty=penalty)
        options = {"num_steps": scale.of(STEPS), "record_every": scale.of(STEPS) // 4, "evaluate": ("train",)}
        observe = {"params": lambda seen: seen.state.params, "gradient": lambda seen: seen.gradient}
        observe["apart"] = lambda seen: dl.probes.unit_symmetry(seen.state.params)["spread"]
        rule = optax.sgd(learning_rate)
        return dl.training(jax.random.key(seed), task, rule, batch_size="full", observe=observe, **options)

    starts, names, seeds = map(np.array, zip(*cells, strict=True))
    points, store = dl.points(start=starts, activation=names, seed=seeds), scale.store(data.name, len(hidden))
    runs = dl.sweep(fit, points, learning_rate=np.array(rates), store=store, progress=False)
    return runs.transpose("point", "learning_rate", "step", ...)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Of each start what it comes to at the best rate; of linear models how far apart the ends of two starts are."""
    seeds, sets = scale.seeds(scale.of({"quick": 3, "default": 12})), scale.of(SETS)
    cells = [(start, name, seeds[0]) for start in (0, 1) for name in range(len(NAMES))]
    cells += [(start, name, seed) for start in (2, 3, 4) for name in TYPICAL for seed in seeds]
    found, far = {}, xr.Dataset()
    for data in (getattr(dl.data, name)() for name in sets):
        shares = np.bincount(data.train.targets) / data.train.num_rows
        runs = trained(data, [16], cells, RATES, None, scale)
        entropy, last = -(shares @ np.log(shares)), runs.isel(step=-1)
        loss = last.train_loss.min("learning_rate").values / entropy
        apart = last.apart.isel(layer=0).max("learning_rate").values
        values = np.linalg.svd(runs["gradient.layers.0.kernel"].values[:, :, 1:].astype(float))[1]  # none at step 0
        rank = (values > 1e-5 * values[..., :1]).sum(axis=-1).max(axis=(1, 2)).astype(float)
        accuracy = last.train_accuracy.max("learning_rate").values - shares.max()
        zero, constant = np.split(np.arange(2 * len(NAMES)), 2)
        noise, random, biases = np.arange(2 * len(NAMES), len(cells)).reshape(3, len(TYPICAL), len(seeds))
        parts = {"loss": 1 - loss[zero], "accuracy": accuracy[zero], "rank": rank[zero], "equal": apart[constant]}
        parts |= {"constant": loss[constant], "noise": apart[noise], "random": loss[random], "biases": loss[biases]}
        dims = {1: ("activation",), 2: ("typical", "seed")}
        found[data.name] = xr.Dataset({part: (dims[values.ndim], values) for part, values in parts.items()})
    for data in (getattr(dl.data, name)() for name in (*sets, "diabetes")):
        cells = [(0, 0, seeds[0]), *((3, 0, seed) for seed in seeds)]
        runs = trained(data, [], cells, [LINEAR_RATE], dl.tasks.l2(PENALTY), scale)["params.layers.0.kernel"]
        ends = runs.isel(step=-1, learning_rate=0).values
        far[data.name] = "seed", np.linalg.norm(ends[1:] - ends[0], axis=(1, 2)) / np.linalg.norm(ends[0])
    return {**found, "linear": far}


def judge(measured: Measured) -> list[Verdict]:
    """The verdicts, in the order of the claims."""
    exact, mean, ratio = dl.evidence.exact, dl.evidence.mean_interval, dl.evidence.geometric_mean_interval
    found = {part.name: [] for claim in CLAIMS for part in claim.parts}
    for name, far in measured["linear"].items():
        found["optimum"].append(Evidence(str(name), mean(far.values)))
    for title, place in itertools.product([title for title in measured if title != "linear"], range(len(NAMES))):
        data = measured[title]
        intervals = {part: exact(data[part].values[place]) for part in ("loss", "accuracy", "equal")}
        if place in TYPICAL:
            noise, random, biases = (data[part].values[TYPICAL.index(place)] for part in ("noise", "random", "biases"))
            intervals |= {"same": ratio(random / biases), "noise": mean(noise)}
        for part, interval in intervals.items():
            found[part].append(Evidence(f"{NAMES[place]}, {title.replace('_', ' ')}", interval))
    rank = np.max([data["rank"].values for title, data in measured.items() if title != "linear"])
    checks = {"zero": [Check("The first layer's gradients have rank 0 or 1.", bool(rank <= 1), f"at most {rank:g}")]}
    return [Verdict(c, {part.name: found[part.name] for part in c.parts}, checks.get(c.name, ())) for c in CLAIMS]


def draw(measured: Measured) -> list[Picture]:
    """Losses by activation and start."""
    data, names = measured["wine"], ("zero", "constant", "random", "random, biases too")
    axes = (figure := Figure(figsize=(7, 4.5), layout="constrained")).subplots()
    losses = 1 - data.loss, data.constant, data.random, data.biases
    for start, loss, color, marker in zip(names, losses, COLORS, MARKERS, strict=False):
        places = np.repeat(TYPICAL, loss.sizes["seed"]) if loss.ndim > 1 else range(len(NAMES))
        axes.plot(places, np.ravel(loss), marker, color=color, mfc="none", label=start)
    axes.set(xticks=range(len(NAMES)), xticklabels=NAMES, yscale="log", ylabel="loss, over the class shares' entropy")
    axes.legend(fontsize=8, frameon=False, title="start")
    return [Picture("starts", "Loss after training on three kinds of wine, by activation and start, all runs.", figure)]


ANSWERS = {
    "biases": {Outcome.SUPPORTED: "Start biases at zero: random ones do no better."},
    "zero": {Outcome.CONDITIONAL: "True of units that are 0 at 0, and of softmax. Sigmoid and softplus do train."},
    "constant": {Outcome.SUPPORTED: "Equal units stay equal, to the bit. A little noise parts them."},
    "linear": {Outcome.SUPPORTED: "Linear and logistic models have one optimum, no hidden units: start them at zero."},
}
DESIGN = {"rates": RATES, "steps": STEPS, "penalty": PENALTY, "sets": SETS["default"], "networks": 12}
HISTORY = dl.evidence.piloted("2026-11-26", "After block 1: no part on the loss of equal units (5 of 6 held).")
EXPERIMENT = Experiment((__doc__ or "").splitlines()[0], CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
