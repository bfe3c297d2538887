"""Do too many epochs overfit, does early stopping prevent it, and what may it look at?

Setting: 400 digits to train on, 200 for validation, 50 to test, the other 1147 as new examples; none or 40 % of the
labels wrong. A 64-128-10 network; Adam at 0.003, not tuned, on batches of 20, 40 epochs; 32 seeds, each with its own
split.
Command: `python -m experiments run early_stopping`; about 15 s on 2 CPU cores.
Seen: with 40 % of the labels wrong 0.07 of accuracy is lost after the best epochs, with clean labels nothing.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore import evidence as ev
from dlcore.evidence import Claim, Evidence, Outcome, SubClaim, Verdict, above
from dlcore.evidence.experiments import Measured
from dlcore.plots.style import COLORS, MARKERS

NOISES = (0.0, 0.4)  # shares of wrong labels
TRAIN, VALIDATION, TEST = 400, 200, 50  # of 1797 digits; the others are new examples
EARLY, NUM_EPOCHS = 8, {"quick": 30, "default": 40}
MATTERS = 0.01  # of accuracy

NEW = "accuracy on new examples"
OVERFITTING = (
    SubClaim("overfits", "It gets worse.", f"{NEW}, after {EARLY} epochs less in the end", above(MATTERS)),
    SubClaim("stopped", "Stopped by validation loss it is better.", f"{NEW}, stopped less in the end", above(MATTERS)),
)
CHOICE = f"accuracy on {TEST} test examples over that on new ones, chosen by test less chosen by validation accuracy"
TEST_SET = (SubClaim("too good", "It is better than on new examples.", CHOICE, above(MATTERS)),)
CLAIMS = (
    Claim("overfitting", "Too many epochs overfit, and early stopping prevents it.", OVERFITTING),
    Claim("test set", "When the test set chooses the epoch, the accuracy on it is too good.", TEST_SET),
)


def measure(scale: ev.Scale) -> dict[str, xr.Dataset]:
    """What a network does on each split and on new examples, dims (noise, seed, step); each seed splits anew."""
    parts = dl.data.digits(validation=0.0, test=0.1)
    splits = [getattr(parts, name) for name in parts.splits]
    inputs, labels = (np.concatenate([getattr(each, name) for each in splits]) for name in ("inputs", "targets"))
    model, seen_rows = dl.models.mlp([64, 128, 10]), TRAIN + VALIDATION + TEST
    shares = {"validation": VALIDATION / seen_rows, "test": TEST / seen_rows}

    def fit(noise, seed):
        """When does a network overfit wrong labels?"""
        split_key, noise_key, key = jax.random.split(jax.random.key(seed), 3)
        order = jax.random.permutation(split_key, len(inputs))
        noisy = dl.data.noisy_labels(noise_key, jnp.asarray(labels), num_classes=10, rate=noise)
        rows = dl.data.Split(jnp.asarray(inputs), noisy)
        data = dl.data.from_split(rows.select(order[:seen_rows]), **shares)
        new = rows.select(order[seen_rows:])

        def new_accuracy(seen):
            outputs, _ = model.apply(seen.state.params, seen.state.model_state, new.inputs)
            return dl.metrics.accuracy(outputs, new.targets)

        options = {"batch_size": 20, "num_epochs": scale.of(NUM_EPOCHS), "observe": {"new_accuracy": new_accuracy}}
        return dl.training(key, dl.tasks.classification(model, data), optax.adam(3e-3), **options)

    seeds = scale.seeds(scale.of({"quick": 8, "default": 32}))
    runs = dl.sweep(fit, noise=np.array(NOISES), seed=seeds, store=scale.store("digits"))
    kept = ["train_accuracy", "validation_loss", "validation_accuracy", "test_accuracy", "new_accuracy"]
    return {"digits": runs[kept].reset_coords(drop=True)}


def chosen(values: xr.DataArray, by: xr.DataArray) -> xr.DataArray:
    """Values at the step at which another record is largest, first; NaN where a record is missing."""
    return values.isel(step=by.fillna(-np.inf).argmax("step")).where(by.notnull().all("step"))


def judge(measured: Measured) -> list[Verdict]:
    """The verdicts on both claims."""
    data = measured["digits"]
    new, optimism = data.new_accuracy, data.test_accuracy - data.new_accuracy

    def conditions(values):
        titles = [f"{noise:.0%} of the labels wrong" for noise in NOISES]
        return [Evidence(title, ev.mean_interval(each.values)) for title, each in zip(titles, values, strict=True)]

    found = {
        "overfits": conditions(new.isel(step=EARLY) - new.isel(step=-1)),
        "stopped": conditions(chosen(new, -data.validation_loss) - new.isel(step=-1)),
    }
    too_good = chosen(optimism, data.test_accuracy) - chosen(optimism, data.validation_accuracy)
    return [Verdict(CLAIMS[0], found), Verdict(CLAIMS[1], {"too good": conditions(too_good)})]


def draw(measured: Measured) -> list[ev.Picture]:
    """Accuracies against epochs, a panel for each share of wrong labels."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    data = measured["digits"].mean("seed")
    names = {"train_accuracy": "train", "validation_accuracy": "validation", "new_accuracy": "new examples"}
    for i, (ax, noise) in enumerate(zip(figure.subplots(1, 2, sharey=True), NOISES, strict=True)):
        for j, (name, label) in enumerate(names.items()):
            look = {"color": COLORS[3 + j], "marker": MARKERS[j], "markevery": 5, "label": label}
            ax.plot(np.arange(data.sizes["step"]), data[name][i], **look)
        ax.set(title=f"{noise:.0%} of the labels wrong", xlabel="epoch", ylabel="accuracy", ylim=(0, 1.02))
        ax.legend(fontsize=8, frameon=False, loc="lower right")
    return [ev.Picture("early_stopping", CAPTION, figure)]


CAPTION = (
    f"Accuracy of a network with 128 hidden units on {TRAIN} digits, means over seeds, each with its own splits and "
    "wrong labels. Validation and new examples have as many wrong labels as the train split."
)
ANSWERS = {
    "overfitting": {
        Outcome.CONDITIONAL: "Too many epochs overfit where labels are wrong: the network learns them by heart, and "
        "stopping when the validation loss is least prevents it. With clean labels more epochs do no harm."
    },
    "test set": {
        Outcome.SUPPORTED: "What chooses the epoch cannot judge it: the test accuracy at the epoch where it is best is "
        "luck in part. Let a validation split choose."
    },
}
QUESTION = "Do too many epochs overfit, does early stopping prevent it, and what may it look at?"
DESIGN = {
    "rows": [TRAIN, VALIDATION, TEST],
    "noises": NOISES,
    "epochs": [EARLY, NUM_EPOCHS["default"]],
    "optimizer": "Adam, 0.003",
}
HISTORY = ev.piloted("2026-11-26")
EXPERIMENT = ev.Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
