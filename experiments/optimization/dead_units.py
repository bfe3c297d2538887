"""Do units die in training?

Setting: 400 digits; networks with two hidden layers of 32 units; SGD on batches of 32, 200 steps, at two fixed learning
rates: 0.25, a good one, and 0.8, a large one. 16 networks of each of four activation functions.
Command: `python -m experiments run dead_units`; about 10 s on 2 CPU cores.
Seen: at a good learning rate no network of 16 loses a fifth of its units. At three times that rate all networks of ReLU
do, and those of ELU, whose slope vanishes too; leaky ReLU loses none.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Check, Claim, Evidence, Experiment, Interval, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.plots.style import BLACK, COLORS, MARKERS

GAINS = {"relu": 2**0.5, "leaky_relu": 1.4071951, "elu": 1.25, "maxout": 1.0}
RATES = {"a good rate": 0.25, "a large rate": 0.8}
LIVING = [("elu", "a good rate"), ("elu", "a large rate")]
STEEP = [("leaky_relu", "a good rate"), ("maxout", "a good rate")]  # slopes of 0.1 and more, which add up to 1
CONDITIONS = [f"{name} at {rate}" for name in GAINS for rate in RATES]
FLAT = 0.01  # a unit is dead if its slope is smaller for all training examples
MANY, MOST = 0.2, 0.5  # share of the hidden units; of the networks
WIDTHS, NUM_IMAGES = (64, 32, 32, 10), 400
SEEDS, STEPS = {"quick": 12, "default": 16}, {"quick": 100, "default": 200}

SHARE = (
    f"share of networks, of those that stay finite, with {MANY:.0%} of the units below a slope of {FLAT:g} everywhere"
)
LEAST = 4  # networks that stay finite
CLAIMS = (
    Claim(
        "die",
        "ReLU units die in training.",
        (SubClaim("ReLU", "Most networks lose many.", SHARE, dl.evidence.above(MOST), "share {}"),),
    ),
    Claim(
        "live",
        "Units of leaky ReLU, ELU and maxout do not die.",
        (SubClaim("others", "Most networks do not lose many.", SHARE, dl.evidence.below(MOST), "share {}"),),
    ),
)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Share of dead units after training, dims (condition, seed); NaN where diverged."""
    data, gains = dl.data.first(dl.data.digits(), NUM_IMAGES), jnp.array(list(GAINS.values()))
    images = data.train.inputs.reshape(-1, WIDTHS[0])

    def fit(number, learning_rate, seed):
        """Whether units die."""
        activation = dl.activations.Chosen(number, list(GAINS))
        weights = dl.initializers.scaled("lecun_normal", gains[number])
        task = dl.tasks.classification(dl.models.mlp(WIDTHS, activation, initializer=weights), data)
        options = {"batch_size": 32, "num_steps": scale.of(STEPS), "record_every": scale.of(STEPS), "evaluate": ()}
        observe = {"dead": lambda seen: dead_share(seen.state.params, images, activation)}
        return dl.training(jax.random.key(seed), task, optax.sgd(learning_rate), observe=observe, **options)

    axes = {"number": np.arange(len(GAINS)), "learning_rate": np.array(list(RATES.values()))}
    seeds, store = scale.seeds(scale.of(SEEDS)), scale.store("networks")
    runs = dl.sweep(fit, seed=seeds, store=store, progress=False, lane_width=64, **axes).isel(step=-1, drop=True)
    dead = runs.dead.where(runs.finite)
    pairs = [(i, j) for i in range(len(GAINS)) for j in range(len(RATES))]
    shares = np.stack([dead.isel(number=i, learning_rate=j).values for i, j in pairs])
    return {"units": xr.Dataset({"dead": (("condition", "seed"), shares)}, {"condition": CONDITIONS})}


def dead_share(params, images: jax.Array, activation) -> jax.Array:
    """Share of the hidden units of an MLP whose slope is flat for all images; of a unit of pieces, their sum."""
    dead, values = [], images
    for i in range(len(params["layers"]) - 1):
        z = values @ params["layers"][i]["kernel"] + params["layers"][i]["bias"][None]
        slopes = jax.grad(lambda z: activation(z).sum())(z).reshape(len(z), activation.num_pieces, -1).sum(axis=1)
        dead.append(jnp.abs(slopes).max(axis=0) < FLAT)
        values = activation(z)
    return jnp.concatenate(dead).mean()


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """Networks are counted, as the units of one are not independent."""

    def evidence(pairs):
        conditions = [f"{name} at {rate}" for name, rate in pairs]
        return [
            Evidence(condition, share(measured["units"].dead.sel(condition=condition).values))
            for condition in conditions
        ]

    dead = measured["units"].dead.sel(condition=[f"{name} at {rate}" for name, rate in STEEP]).max().item()
    check = Check("Slopes of leaky ReLU and maxout are never flat.", dead == 0, f"at most {dead:.2g} of the units dead")
    die = Verdict(CLAIMS[0], {"ReLU": evidence([("relu", rate) for rate in RATES])})
    return [die, Verdict(CLAIMS[1], {"others": evidence(LIVING)}, [check])]


def share(dead: np.ndarray) -> Interval:
    """Of networks [n] with many dead units, among those that have not diverged."""
    known = dead[np.isfinite(dead)]
    if len(known) < LEAST:
        return dl.evidence.undetermined(f"{len(known)} of {len(dead)} networks stay finite", len(known))
    return dl.evidence.share_interval(int((known > MANY).sum()), len(known))


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Share of dead units in each network."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    ax = figure.subplots()
    names = [f"{name} at {rate}" for name, rate in [*(("relu", rate) for rate in RATES), *LIVING, *STEEP]]
    for place, name in enumerate(names):
        dead = measured["units"].dead.sel(condition=name).values
        color, marker = COLORS[4 + ("large" in name)], MARKERS["large" in name]
        ax.plot(dead, np.full(len(dead), place), marker, color=color, alpha=0.4)
    ax.axvline(MANY, color=BLACK, linewidth=0.7, linestyle=":")
    ax.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    ax.set(xlabel="share of dead hidden units after training", xlim=(-0.03, 1.03))
    caption = f"Networks of two hidden layers on the digits, a mark each; dotted: {MANY:.0%} of the units."
    return [Picture("dead_units", caption, figure)]


ANSWERS = {
    "die": {
        Outcome.CONDITIONAL: "Hardly at a learning rate that suits them; many do where it is too large to learn well."
    },
    "live": {
        Outcome.CONDITIONAL: "Leaky ReLU's and maxout's cannot: they are never flat. ELU's do at large rates: far "
        "below zero its slope vanishes too."
    },
}
DESIGN = {"widths, images": (WIDTHS, NUM_IMAGES), "rates": RATES, "number of steps": STEPS, "number of seeds": SEEDS}
HISTORY = dl.evidence.piloted("2026-11-26", "What cannot die by definition is a check.")
EXPERIMENT = Experiment("Do units die in training?", CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
