"""Does clipping gradients cure their explosion, and what does it cost where nothing explodes?

Setting: descent on x^4 at rate 0.1; 32 recurrent units adding numbers in 2000 sequences of 20 steps, SGD at 0.5;
a 64-32-10 network on 1258 digits, SGD at the best of 10 rates for each clipping, tuned on 8 seeds, judged on 16.
Command: `python -m experiments run clipping`; about 20 s on 2 CPU cores.
Seen: clipped it arrives where plain descent is thrown away; retuned it is as good, else 2 to 5 times behind.
"""

import jax
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore import evidence as ev
from dlcore.evidence import Check, Claim, Evidence, Outcome, SubClaim, Verdict, above, within
from dlcore.evidence.experiments import Measured
from dlcore.plots.style import COLORS, MARKERS

ROOT = float(np.sqrt(5))  # descent on x^4 at rate 0.1 takes x to x - 0.4 x^3, and sqrt(5) to -sqrt(5) and back
STARTS = {"sqrt(5) - 1e-6": ROOT - 1e-6, "sqrt(5) + 1e-6": ROOT + 1e-6, "50": 50.0}
BOUNDS = (1e300, 1.0, 1000.0)  # of the slope of x^4, which is 5e5 at 50
NUM_STEPS, ARRIVED = 1000, 0.1  # clipped at 1, 490 steps of 0.1 lead from 50 to 1, and 125 more to 0.1
NOTHING = 1 / 6  # mean squared error on the adding problem of always answering 1
LENGTH, SEQUENCE_RATE, SEQUENCE_CLIP = 20, 0.5, 0.3  # in a pilot plain descent exploded from a rate of 0.125 on
METHODS = {"plain": (1e9, 1e9), "norm 1": (1e9, 1.0), "norm 0.1": (1e9, 0.1), "value 0.01": (0.01, 1e9)}
RATES = 2.0 ** np.arange(-5, 5)
SAME, SAME_LOSS = 0.02, 1.25  # two standard errors of an accuracy on 360 examples; a factor that hardly matters

SHARE = f"share of runs that arrive (x^4: within {ARRIVED}; sequences: error below 1/6), clipped less plain"
LOST, LOSSES = "test accuracy, clipped less plain", "train loss at the end, clipped / plain"
CURES = (SubClaim("cures", "With clipping it arrives, without it does not.", SHARE, above(0.5), "by {}"),)
PERFORMANCE = (SubClaim("as good", "Each at its own best rate is as good.", LOST, within(-SAME, SAME), "by {}"),)
RATE = (SubClaim("as fast", "It learns as fast.", LOSSES, within(1 / SAME_LOSS, SAME_LOSS), "{} times"),)
CLAIMS = (
    Claim("cures", "Gradient clipping cures exploding gradients.", CURES),
    Claim("performance", "Where nothing explodes, clipping hardly affects the performance.", PERFORMANCE),
    Claim("rate", "The rate that is best without clipping is as good with it.", RATE),
)


def measure(scale: ev.Scale) -> dict[str, xr.Dataset]:
    """Distances from the minimum of x^4, errors on sequences, and a network on the digits."""
    optimizers = [dl.optimizers.by_name("sgd", 0.1, clip="value", clip_at=bound) for bound in BOUNDS]
    starts, options = np.array(list(STARTS.values())), {"num_steps": NUM_STEPS}
    with jax.enable_x64(True):
        paths = [dl.textbook.descent_path(lambda x: (x**4).sum(), starts, each, **options) for each in optimizers]
    quartic = xr.Dataset({"distance": (("bound", "step", "start"), np.abs(np.nan_to_num(np.array(paths), nan=np.inf)))})
    return {"quartic": quartic, "sequences": sequences(scale), "digits": digits(scale)}


def sequences(scale: ev.Scale) -> xr.Dataset:
    """Test loss of a recurrent network on the adding problem, without and with clipping, dims (clip, seed)."""
    options = {"num_steps": scale.of({"quick": 300, "default": 1500}), "batch_size": 32, "evaluate": ("test",)}

    def fit(clip, seed):
        """Does clipping help a recurrent network at a rate at which it explodes?"""
        rows = dl.data.adding_problem(jax.random.fold_in(jax.random.key(seed), 1), 2500, length=LENGTH)
        model = dl.models.recurrent(2, 32, 1, cell="simple")
        task = dl.tasks.regression(model, dl.data.from_split(rows, test=0.2))
        optimizer = optax.chain(optax.clip_by_global_norm(clip), optax.sgd(SEQUENCE_RATE))
        return dl.training(jax.random.key(seed), task, optimizer, **options)

    study = dl.study(fit, clip=np.array([1e9, SEQUENCE_CLIP]), seed=scale.seeds(scale.of({"quick": 8, "default": 16})))
    return dl.last_record(dl.sweep(study, store=scale.store("sequences")))[["test_loss"]]


def digits(scale: ev.Scale) -> xr.Dataset:
    """A network with each clipping: accuracy at its own best rate, loss at that of plain descent."""
    task = dl.tasks.classification(dl.models.mlp([64, 32, 10]), dl.data.digits())
    values, norms = np.array(list(METHODS.values()), np.float32).T
    num_epochs, tuning, judged = scale.of({"quick": (1, 2, 8), "default": (12, 8, 16)})

    def fit(way, learning_rate, seed):
        """What does clipping change where nothing explodes?"""
        value, norm = (jax.numpy.asarray(bounds)[way] for bounds in (values, norms))
        optimizer = optax.chain(optax.clip(value), optax.clip_by_global_norm(norm), optax.sgd(learning_rate))
        return dl.training(jax.random.key(seed), task, optimizer, batch_size=32, num_epochs=num_epochs)

    axes = {"way": np.arange(len(METHODS)), "learning_rate": RATES}
    axes["seed"] = np.append(scale.seeds(judged), scale.tuning_seeds(tuning))
    runs = dl.last_record(dl.sweep(fit, **axes, store=scale.store("digits"))).assign_coords(way=list(METHODS))
    worst = runs.validation_loss[..., judged:].max("seed", skipna=False)
    pair = xr.concat([worst, worst.shift(learning_rate=-1)], "pair")  # a rate counts if twice the rate works, too
    both = xr.Dataset({"loss": pair.max("pair", skipna=False)})
    tuned = ev.tune(lambda rates: both.sel(learning_rate=rates), RATES, lambda runs: runs.loss, max_rounds=0)
    best, runs = tuned.best.fillna(1.0), runs.isel(seed=slice(judged))
    accuracy, loss = runs.test_accuracy.sel(learning_rate=best), runs.train_loss.sel(learning_rate=float(best[0]))
    known = bool((tuned.interior & tuned.best.notnull()).all())  # else a best rate lies at the edge of its grid
    found = {"norm": accuracy - accuracy[0], "value": accuracy[3] - accuracy[0], "slower": loss / loss[0]}
    found = {name: values.where(known).reset_coords(drop=True) for name, values in found.items()}
    return xr.Dataset({**found, "tuning_loss": worst})


def judge(measured: Measured) -> list[Verdict]:
    """The verdicts on all claims."""
    distance, error = measured["quartic"].distance.isel(step=-1).values, measured["sequences"].test_loss.values
    digits = measured["digits"]

    def arrived(bound, start):
        plain, clipped = distance[0, start], distance[bound, start]
        known = not np.isnan([plain, clipped]).any()
        gained = float(clipped < ARRIVED) - float(plain < ARRIVED)
        title = f"x^4 from {list(STARTS)[start]}, clipped at {BOUNDS[bound]:g}"
        return Evidence(title, ev.exact(gained) if known else ev.undetermined("no distance"))

    def conditions(interval, values, ways):
        return [Evidence(f"digits, {way}", interval(values.sel(way=way).values)) for way in ways]

    plain, clipped = (int((side < NOTHING).sum()) for side in error)
    gained = ev.share_difference(clipped, len(error[1]), plain, len(error[0]))
    gained = ev.undetermined("runs without an error") if np.isnan(error).any() else gained
    cures = [arrived(1, 1), arrived(1, 2), arrived(2, 2), Evidence("a recurrent network on sequences", gained)]
    check = Check("From just inside sqrt(5) plain descent arrives.", distance[0, 0] < ARRIVED, f"{distance[0, 0]:.3g}")
    norms = conditions(ev.mean_interval, digits.norm, list(METHODS)[1:3])
    value = Evidence("digits, value 0.01", ev.mean_interval(digits.value.values))
    slower = conditions(ev.geometric_mean_interval, digits.slower, list(METHODS)[1:])
    others = Verdict(CLAIMS[1], {"as good": [*norms, value]}), Verdict(CLAIMS[2], {"as fast": slower})
    return [Verdict(CLAIMS[0], {"cures": cures}, [check]), *others]


def draw(measured: Measured) -> list[ev.Picture]:
    """Distances on x^4, and losses on the digits against the rate."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for bound, name in enumerate(("plain", "clipped at 1", "clipped at 1000")):
        path = measured["quartic"].distance[bound, :, 2].clip(max=1e4)
        left.plot(path, color=COLORS[bound], marker=MARKERS[bound], markevery=200, label=name)
    for i, (name, loss) in enumerate(zip(METHODS, measured["digits"].tuning_loss, strict=True)):
        right.plot(loss.learning_rate, loss, color=COLORS[i], marker=MARKERS[i], label=name)
    left.set(yscale="log", xlabel="step", ylabel="distance from the minimum (cut at 10 000)")
    right.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="validation loss of the worst run")
    for ax in (left, right):
        ax.legend(fontsize=8, frameon=False)
    return [ev.Picture("clipping", CAPTION, figure)]


CAPTION = "Left: descent on x^4 from 50 at rate 0.1. Right: loss on the digits after training, worst of tuning runs."
CURED = "Clipping keeps a huge gradient from throwing the parameters away, if the steps that it leaves are short."
KEPT = "Where nothing explodes clipping costs less than two points of accuracy, if the rate is tuned anew."
SHORTER = "A bound that few gradients reach changes nothing; a lower one shortens every step: the rate is too low."
ANSWERS = {"cures": {Outcome.CONDITIONAL: CURED}, "performance": {Outcome.SUPPORTED: KEPT}}
ANSWERS |= {"rate": {Outcome.CONDITIONAL: SHORTER}}
QUESTION = "Does clipping gradients cure their explosion, and what does it cost where nothing explodes?"
DESIGN = {"methods": METHODS, "rates": RATES, "bounds": BOUNDS, "starts": STARTS, "sequences": LENGTH}
HISTORY = ev.piloted("2026-11-26", "A loose bound in the last claim too.", "A rate counts if twice the rate works.")
EXPERIMENT = ev.Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
