"""What is an epoch: how many steps does it take, and does it say how much a network was trained?

Setting: 1200 digits; a 64-32-10 network; SGD on batches of 8 or 200 examples, 3 epochs or 450 steps. Learning rates:
the same for both (1/64, 1/32, 1/2), or the best of 9 for each, chosen on 8 seeds. 16 others are judged.
Command: `python -m experiments run epochs`; about 10 s on 2 CPU cores.
Seen: after as many epochs losses of two batch sizes differ 1.8 to 8 times, after as many steps at a low rate by 4 %.
"""

from typing import Any

import jax
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore import evidence as ev
from dlcore.evidence import Claim, Evidence, Outcome, SubClaim, Verdict, within
from dlcore.evidence.experiments import Measured
from dlcore.plots.style import COLORS, MARKERS

NUM_EXAMPLES, COUNTED_EPOCHS = 1200, 7
COUNTED = ((1, "drop"), (50, "drop"), (64, "drop"), (64, "keep"), (700, "drop"), (700, "keep"))  # batch size, the rest
SMALL, LARGE = 8, 200
NUM_EPOCHS = 3
NUM_STEPS = {SMALL: NUM_EPOCHS * NUM_EXAMPLES // SMALL, LARGE: NUM_EPOCHS * NUM_EXAMPLES // LARGE}  # 450 and 18
RATES, LOW_RATES = 2.0 ** np.arange(-6, 3), (1 / 64, 1 / 32)
STEP_RATES = (1 / 64, 1 / 32, 1 / 2)  # low ones, and one at which single batches matter
ALIKE = within(1 / 1.25, 1.25)  # factors of the loss that hardly matter

EQUAL = 1e-3  # one step in a thousand
LOSSES = f"train loss with batches of {LARGE}, over that with batches of {SMALL}"
COUNT = (SubClaim("as many", "Both sides are the same.", "i b / (d e)", within(1 - EQUAL, 1 + EQUAL)),)
EPOCHS = (SubClaim("same loss", "It leads to the same loss.", f"{LOSSES}, after {NUM_EPOCHS} epochs", ALIKE),)
STEPS = (SubClaim("same loss", "It leads to the same loss.", f"{LOSSES}, after as many steps", ALIKE),)
CLAIMS = (
    Claim("count", "Examples x epochs = iterations x batch size: d e = i b.", COUNT),
    Claim("epochs", "As many epochs are as much training, whatever the batch size.", EPOCHS),
    Claim("steps", "At one learning rate as many steps are as much training, whatever the batch size.", STEPS),
)


def measure(scale: ev.Scale) -> dict[str, xr.Dataset]:
    """Steps that runs take, over those that the rule gives; and losses of two batch sizes at all rates."""
    data = dl.data.first(dl.data.digits(), NUM_EXAMPLES, seed=0)
    task = dl.tasks.classification(dl.models.mlp([64, 32, 10]), data)

    def fit(batch_size, learning_rate, seed, **options: Any):
        """What do as many epochs, and as many steps, do with batches of each size?"""
        options = options or {"num_steps": NUM_EPOCHS * NUM_EXAMPLES // SMALL, "record_every": NUM_EXAMPLES // LARGE}
        optimizer = optax.sgd(learning_rate)
        return dl.training(jax.random.key(seed), task, optimizer, batch_size=batch_size, evaluate=("train",), **options)

    runs = [fit(size, 0.1, 0, num_epochs=COUNTED_EPOCHS, last_batch=rest) for size, rest in COUNTED]
    steps = np.array([run.coordinates["step"][-1] for run in runs], float)
    ratio = steps * [size for size, _ in COUNTED] / (NUM_EXAMPLES * COUNTED_EPOCHS)
    num_tuning, num_judged = scale.of({"quick": (2, 4), "default": (8, 16)})
    axes = {"batch_size": [SMALL, LARGE], "learning_rate": RATES}
    axes["seed"] = np.append(scale.tuning_seeds(num_tuning), scale.seeds(num_judged))
    loss = dl.sweep(fit, **axes, store=scale.store("digits")).train_loss
    epochs: Any = xr.concat(
        [loss.sel(batch_size=size, step=steps, drop=True) for size, steps in NUM_STEPS.items()], "side"
    )
    tuning = epochs[..., :num_tuning].to_dataset(name="loss")
    tuned = ev.tune(
        lambda rates: tuning.sel(learning_rate=rates),
        RATES,
        lambda runs: runs.loss.max("seed", skipna=False),
        max_rounds=0,
    )
    side = {"batch_size": "side"}
    loss, epochs = loss.rename(side)[..., num_tuning:, :], epochs[..., num_tuning:]
    own = epochs.sel(learning_rate=tuned.best.fillna(1.0)).where(tuned.interior & tuned.best.notnull())
    sides = [epochs.sel(learning_rate=rate) for rate in LOW_RATES] + [own]
    ratios = [(side[1] / side[0]).drop_vars("learning_rate", errors="ignore") for side in sides]
    steps = loss.isel(step=-1).sel(learning_rate=list(STEP_RATES))
    found = {"epochs": xr.concat(ratios, "rates"), "steps": steps[1] / steps[0], "path": loss.sel(learning_rate=1 / 32)}
    digits = xr.Dataset({name: values.reset_coords(drop=True) for name, values in found.items()})
    return {"count": xr.Dataset({"ratio": ("batches", ratio)}), "digits": digits}


def judge(measured: Measured) -> list[Verdict]:
    """The verdicts on all claims."""
    ratio, digits = measured["count"].ratio.values, measured["digits"]
    count = [
        Evidence(f"{NUM_EXAMPLES} examples, batches of {size}, rest: {rest}", ev.exact(value))
        for (size, rest), value in zip(COUNTED, ratio, strict=True)
    ]

    def conditions(titles, ratios):
        pairs = zip(titles, ratios, strict=True)
        return [Evidence(title, ev.geometric_mean_interval(each.values)) for title, each in pairs]

    epochs = conditions([f"both at rate {r:g}" for r in LOW_RATES] + ["each at its own best rate"], digits.epochs)
    steps = conditions(
        [f"both at rate {rate:g}" for rate in STEP_RATES], digits.steps.transpose("learning_rate", "seed")
    )
    evidence = ({"as many": count}, {"same loss": epochs}, {"same loss": steps})
    return [Verdict(claim, found) for claim, found in zip(CLAIMS, evidence, strict=True)]


def draw(measured: Measured) -> list[ev.Picture]:
    """Train loss against epochs and against steps, at a low rate."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    loss = measured["digits"].path.mean("seed")
    for side, size in enumerate(NUM_STEPS):
        look = {"color": COLORS[4 + side], "marker": MARKERS[side], "markevery": 12, "label": f"batches of {size}"}
        left.plot(loss.step * size / NUM_EXAMPLES, loss[side], **look)
        right.plot(loss.step, loss[side], **look)
    left.set(xlabel="epochs", ylabel="train loss")
    right.set(xlabel="steps")
    for ax in (left, right):
        ax.legend(fontsize=8, frameon=False)
    return [ev.Picture("epochs", CAPTION, figure)]


CAPTION = (
    f"Train loss of a network on {NUM_EXAMPLES} digits with batches of two sizes at a learning rate of 1/32, "
    "means over seeds: against epochs on the left, against steps on the right."
)
ANSWERS = {
    "count": {
        Outcome.CONDITIONAL: "d e = i b holds if the batch size divides the number of examples. Else an epoch leaves "
        "out the rest, and has fewer steps, or ends with a smaller batch, and has one more."
    },
    "epochs": {
        Outcome.REFUTED: "An epoch says how many examples were looked at, not how far training is: with small batches "
        "it has many steps, with large ones few."
    },
    "steps": {
        Outcome.CONDITIONAL: "At one low learning rate the number of steps is what counts. At a high one the noise of "
        "small batches matters too."
    },
}
QUESTION = "What is an epoch, and does it say how much a network was trained?"
DESIGN = {"examples": NUM_EXAMPLES, "batches": COUNTED, "steps": list(NUM_STEPS.values()), "rates": RATES}
HISTORY = ev.piloted("2026-11-26")
EXPERIMENT = ev.Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
