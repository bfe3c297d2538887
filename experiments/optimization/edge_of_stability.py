"""What does the learning rate do to the curvature of the loss that a network comes to?

Setting: 256 digits, squared error; networks with one hidden layer of 64 tanh or ReLU units; full-batch gradient
descent, 2000 steps, at four fixed rates from 0.125 to 1; 5 seeds.
Command: `python -m experiments run edge_of_stability`; about 15 s on 2 CPU cores.
Seen: from rates of 0.5 on the sharpness ends within 6 % of 2 / rate, while the loss goes on falling.
"""

import jax
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore import evidence as ev
from dlcore.evidence import Claim, Evidence, Outcome, SubClaim, Verdict, above, within
from dlcore.evidence.experiments import Measured
from dlcore.plots.style import COLORS, MARKERS

ACTIVATIONS, RATES = ("tanh", "relu"), np.array([0.125, 0.5, 0.7, 1.0])
NUM_RECORDS, LATE = 20, 14  # records, and where the last third begins
SHARPER = 1.2  # the smallest factor that counts

SHARPNESS = "mean sharpness over the last third of the steps"
EDGE = (
    SubClaim("sharpens", "It sharpens.", f"{SHARPNESS}, over the first one", above(SHARPER), "{} times"),
    SubClaim("settles", "It settles at 2 / rate.", f"{SHARPNESS}, over 2 / rate", within(0.9, 1.15), "{} of it"),
)
RULE = (SubClaim("rises", "The loss rises from then on.", "last loss over the loss then", above(1.0), "{} of it"),)
CLAIMS = (
    Claim("edge", "Full-batch descent makes a network sharper until its curvature is 2 / rate, and stays there.", EDGE),
    Claim("rule", "Where its curvature is above 2 / rate a network diverges, as a quadratic does.", RULE),
)


def measure(scale: ev.Scale) -> dict[str, xr.Dataset]:
    """Sharpness, over 2 / rate, and train loss of a network on 256 digits, dims (activation, ..., step)."""
    rows = dl.data.first(dl.data.digits(), 256, seed=0).train
    data = dl.data.from_arrays(rows.inputs - 0.3, 3.0 * np.eye(10)[rows.targets])  # inputs about 0 on average
    num_steps, num_seeds = scale.of({"quick": (80, 4), "default": (2000, 5)})

    def fit(activation, learning_rate, seed):
        """What curvature does full-batch descent come to?"""
        task = dl.tasks.regression(dl.models.mlp([64, 64, 10], activation), data)
        return dl.training(
            jax.random.key(seed),
            task,
            optax.sgd(learning_rate),
            batch_size="full",
            num_steps=num_steps,
            record_every=num_steps // NUM_RECORDS,
            observe={"sharpness": dl.probes.sharpness},
        )

    axes = {"activation": list(ACTIVATIONS), "learning_rate": RATES, "seed": scale.seeds(num_seeds)}
    runs = dl.sweep(fit, **axes, store=scale.store("edge"))
    sharpness = dl.probes.eigenvalues(runs.sharpness).isel(eigenvalue=0, drop=True) * RATES[:, None, None] / 2
    loss, over = runs.train_loss, sharpness > 1
    then = loss.isel(step=over.argmax("step"), drop=True).where(over.any("step"))
    found = {"sharpness": sharpness, "train_loss": loss, "first": sharpness[..., 0], "growth": loss[..., -1] / then}
    found["late"] = sharpness[..., LATE:].mean("step", skipna=False)
    return {"edge": xr.Dataset({name: values.reset_coords(drop=True) for name, values in found.items()})}


def judge(measured: Measured) -> list[Verdict]:
    """The verdicts on both claims."""
    data = measured["edge"]

    def conditions(values, activations, rates):
        runs = {f"{a}, rate {r:g}": values.sel(activation=a, learning_rate=r) for a in activations for r in rates}
        return [Evidence(name, ev.geometric_mean_interval(each.values)) for name, each in runs.items()]

    edge = {
        "sharpens": conditions(data.late / data["first"], ACTIVATIONS, RATES[:2]),
        "settles": conditions(data.late, ACTIVATIONS, RATES),
    }
    rule = {"rises": conditions(data.growth, ACTIVATIONS[:1], RATES[1:])}
    return [Verdict(CLAIMS[0], edge), Verdict(CLAIMS[1], rule)]


def draw(measured: Measured) -> list[ev.Picture]:
    """Sharpness against steps, a panel for each activation, and the loss."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    *panels, last = figure.subplots(1, 3)
    data = measured["edge"].mean("seed")
    for ax, activation in zip(panels, ACTIVATIONS, strict=True):
        for i, rate in enumerate(RATES):
            path = data.sharpness.sel(activation=activation, learning_rate=rate)
            ax.plot(path.step, path, color=COLORS[i], marker=MARKERS[i], markevery=4, label=f"rate {rate:g}")
        ax.axhline(1, color="gray", linestyle=":")
        ax.set(title=activation, xlabel="step", ylabel="sharpness / (2 / rate)", ylim=(0, 1.6))
        ax.legend(fontsize=8, frameon=False, ncols=2, loc="upper right")
    for i, rate in enumerate(RATES):
        path = data.train_loss.sel(activation=ACTIVATIONS[0], learning_rate=rate)
        last.plot(path.step, path, color=COLORS[i], marker=MARKERS[i], markevery=4)
    last.set(title=ACTIVATIONS[0], xlabel="step", ylabel="train loss", yscale="log")
    return [ev.Picture("edge_of_stability", CAPTION, figure)]


CAPTION = (
    "Full-batch descent of a network with one hidden layer on 256 digits, mean squared error, means over seeds. Left "
    "and middle: largest eigenvalue of the Hessian over 2 / rate; the dotted line is where a quadratic would begin to "
    "diverge. Right: train loss of the first network, at the rates of the left panel."
)
ANSWERS = {
    "edge": {
        Outcome.CONDITIONAL: "With all examples in each step a network gets sharper until its curvature is about "
        "2 / rate, and goes on learning there. If the rate is so low that it does not come that far in the steps that "
        "it has, it stays flatter: the rate chooses the curvature."
    },
    "rule": {
        Outcome.REFUTED: "The rule for quadratics does not hold for networks: with a curvature just above 2 / rate the "
        "loss still falls in the long run."
    },
}
QUESTION = "What does the learning rate do to the curvature that a network comes to?"
DESIGN = {"activations": ACTIVATIONS, "rates": RATES, "steps": 2000, "examples": 256, "layers": [64, 64, 10]}
HISTORY = (
    *ev.piloted("2026-11-26"),
    ev.Revision(
        2,
        "2026-11-27",
        "The design names all layers, inputs first; it read as two hidden ones.",
    ),
)
EXPERIMENT = ev.Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
