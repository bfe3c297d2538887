"""Do deep networks need fewer units than shallow ones?

Setting: a sawtooth of up to 256 points, by networks made by hand and trained ones (layers of 8 units, Adam, the best of
4 rates); 512 drawn examples and 1258 digits, deep and shallow networks of equal size, Adam, rates tuned on 4 seeds. 16
runs.
Command: `python -m experiments run depth`; about 20 s on 2 CPU cores.
Seen: of a sawtooth, which a deep network represents with 16 units and a shallow one with no fewer than 254, yes. But
training does not find it, and with as many parameters depth helps where functions are nested, not where they are sums.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Experiment, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.plots.style import BLACK, BLUE, ORANGE, RED

LAYERS, KNOTS = (4, 6, 8), 128  # the sawtooth has 2^layers points; a shallow network's knots, evenly spaced
BOUND = 1 / 6  # share wrong of any shallow network of 16 units on 2^8 points, at least: Telgarsky 2015, theorem 1.1
UNITS = [8, 12, 16, 40, 80, 160, 240, 254]  # of shallow networks: twice the layers, and more
TRAINED, WIDTH = {"quick": [3], "default": [3, 5, 8]}, 8  # layers and their units, trained on the sawtooth
RATES, BATCH = np.array([10.0**power for power in (-3, -2.5, -2, -1.5)]), 64  # of Adam
SEEDS, TUNING_SEEDS = {"quick": 6, "default": 16}, 4
STEPS: dict = {name: {"num_steps": n, "record_every": n} for name, n in (("quick", 400), ("default", 1000))}
MOST, BETTER = 0.5, 1.25  # share of the starts; ratio of errors that matters
NETS = {"deep": [4, 12, 12, 12, 1], "shallow": [4, 64, 1]}  # of 385 parameters
DIGIT_NETS = {"deep": [64, 24, 24, 24, 10], "shallow": [64, 40, 10]}  # of 3010
X = np.random.default_rng(0).uniform(-1, 1, (1536, 4))
Y = {"sum of sines": np.sin(np.pi * X).sum(1) / 2**0.5, "bell of the radius": 4 * np.exp(-2 * (X**2).sum(1))}
PROBLEMS = {"quick": [list(Y)], "default": [list(Y), ["digits"]]}
DESIGN = {"trained": TRAINED, "width": WIDTH, "rates": RATES, "runs": SEEDS, "steps": STEPS, "problems": PROBLEMS}
CLAIMS = (
    Claim("fewer units", "A deep network represents with few units what a shallow one needs many units for.", (
        SubClaim("deep", "k layers of 2 are right on 2^k alternating points.", "share wrong", dl.evidence.below(BOUND)),
        SubClaim("shallow", "No single layer of 2k units is.", "least share wrong", dl.evidence.above(BOUND)),
    )),
    Claim("found", "What a deep network represents, training finds.", (
        SubClaim("sawtooth", "At some rate under a sixth ends wrong.", "share of starts", dl.evidence.above(MOST)),
    )),
    Claim("better", "With as many parameters a deep network is better than a shallow one.", (
        SubClaim("error", "Its best test error is less.", "shallow over deep", dl.evidence.above(BETTER)),
    )),
)  # fmt: skip


def built() -> xr.Dataset:
    """Share of the sawtooth's points that networks are wrong on: made by hand; the best single layers, dims (units)."""
    deep, least = [], []
    for k in LAYERS:
        points, classes = dl.textbook.sawtooth(k)
        logits, _ = dl.models.mlp([1, *[2] * k, 1]).apply(dl.textbook.sawtooth_params(k), {}, points)
        deep.append(np.mean((np.asarray(logits)[:, 0] > 0) != classes))
        least.append([1 - dl.textbook.best_stretches(classes, n + 1) for n in UNITS])
    layer = np.hstack([points**0, points, np.maximum(points - np.arange(KNOTS) / KNOTS, 0)])
    even = np.mean((layer @ np.linalg.lstsq(layer, classes, rcond=None)[0] > 0.5) != classes)
    found = {"deep": ("layers", deep), "least": (("layers", "units"), least), "even": even}
    return xr.Dataset(found, {"layers": list(LAYERS), "units": UNITS})


def learned(scale: Scale) -> xr.Dataset:
    """Share of the sawtooth's points that trained networks are wrong on, at their best rate; dims (layers, seed)."""

    def fit(layers, learning_rate, seed):
        """Whether training finds the sawtooth."""
        points, classes = dl.textbook.sawtooth(layers)
        model = dl.models.mlp([1, *[WIDTH] * layers, 1], initializer="he_normal")
        task = dl.tasks.classification(model, dl.data.from_arrays(2 * points - 1, classes))
        return dl.training(jax.random.key(seed), task, optax.adam(learning_rate), batch_size="full", **scale.of(STEPS))

    axes = {"layers": scale.of(TRAINED), "learning_rate": RATES, "seed": scale.seeds(scale.of(SEEDS))}
    runs = dl.sweep(fit, **axes, store=scale.store("sawtooth")).isel(step=-1, drop=True)
    return xr.Dataset({"wrong": (1 - runs.train_accuracy).min("learning_rate")})


def errors(scale: Scale, problems: list[str]) -> xr.Dataset:
    """Test errors of networks with as many parameters, each at its best rate, dims (problem, net, seed)."""
    digits = problems == ["digits"]

    def fit(problem, net, learning_rate, seed):
        """Whether depth helps."""
        train, validation, test = map(dl.data.Split, np.split(X, 3), jnp.split(jnp.array([*Y.values()])[problem], 3))
        data = dl.data.digits() if digits else dl.data.Dataset(train, validation, test)
        model = dl.models.mlp((DIGIT_NETS if digits else NETS)[net], initializer="he_normal")
        task = (dl.tasks.classification if digits else dl.tasks.regression)(model, data)
        return dl.training(jax.random.key(seed), task, optax.adam(learning_rate), batch_size=BATCH, **scale.of(STEPS))

    def run(name, *points, **axes):
        runs = dl.sweep(fit, *points, **axes, store=scale.store(problems[0].replace(" ", "_"), name), lane_width=8)
        return runs.isel(step=-1, drop=True)

    of = {"problem": np.arange(len(problems)), "net": list(NETS), "seed": scale.tuning_seeds(TUNING_SEEDS)}
    score = lambda runs: runs.validation_loss.mean("seed", skipna=False)  # noqa: E731
    tuned = dl.evidence.tune(lambda rates: run("tuning", learning_rate=rates, **of), RATES, score)
    best = tuned.best.fillna(RATES[0]).stack(point=("problem", "net"))
    points = dl.points(problem=best.problem.values, net=best.net.values.tolist(), learning_rate=best.values)
    runs = run("judged", points, seed=scale.seeds(scale.of(SEEDS)))
    error = (1 - runs.test_accuracy if digits else runs.test_loss).values.reshape(len(problems), len(NETS), -1)
    ratio = np.where(tuned.interior.all("net").values[:, None], error[:, 1] / error[:, 0], np.nan)
    found = {"error": (("problem", "net", "seed"), error), "ratio": (("problem", "seed"), ratio)}
    return xr.Dataset(found, {"problem": problems, "net": list(NETS)})


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """What there is, what is found, and what helps."""
    compared = xr.concat([errors(scale, problems) for problems in scale.of(PROBLEMS)], "problem")
    return {"built": built(), "learned": learned(scale), "compared": compared}


def judge(measured) -> list[Verdict]:
    """One verdict for each claim."""
    made, shares, ratios = measured["built"], measured["learned"].wrong, measured["compared"].ratio
    deep = [Evidence(f"{k} layers", dl.evidence.exact(made.deep.sel(layers=k))) for k in LAYERS]
    shallow = [Evidence(f"{2 * k} units", dl.evidence.exact(made.least.sel(layers=k, units=2 * k))) for k in LAYERS]
    starts, mean = [], dl.evidence.geometric_mean_interval
    for k, wrong in zip(shares.layers.values, shares.transpose("layers", "seed").values, strict=True):
        starts.append(Evidence(f"{2**k} points", dl.evidence.share_below(wrong, BOUND)))
    error = [Evidence(str(name), mean(ratios.sel(problem=name).values)) for name in ratios.problem.values]
    found = {"deep": deep, "shallow": shallow}, {"sawtooth": starts}, {"error": error}
    return [Verdict(claim, evidence) for claim, evidence in zip(CLAIMS, found, strict=True)]


def draw(measured) -> list[Picture]:
    """Errors that are possible, that are found, and of ordinary problems."""
    made, shares, ratios = measured["built"], measured["learned"].wrong, measured["compared"].ratio
    left, middle, right = (figure := Figure(figsize=(12, 3.6), layout="constrained")).subplots(1, 3)
    left.plot(made.units, made.least[-1], "s-", color=BLUE, label="best single layer")
    left.plot(KNOTS, made.even, "D", color=ORANGE, label="one with evenly spaced knots")
    left.plot(16, made.deep[-1], "o", color=RED, label="8 layers of 2")
    left.set(xlabel="units", ylabel="share wrong of 256 points", ylim=(-0.05, 0.8))
    left.legend(frameon=False)
    for ax, runs, name in ((middle, shares, "layers"), (right, ratios, "problem")):
        ax.plot(np.arange(runs.sizes[name]), runs.transpose(name, "seed"), "o", color=RED, mfc="none")
        ax.axhline(BOUND if name == "layers" else 1, color=BLACK, linestyle=":")
        ax.set(xticks=np.arange(runs.sizes[name]), xticklabels=runs[name].values, xlim=(-0.5, runs.sizes[name] - 0.5))
    middle.set(xlabel="layers k, of 2^k points", ylabel="share wrong after training")
    right.set(ylabel="error, shallow over deep", yscale="log")
    caption = "Sawtooth: what is possible, and what training finds (dotted: the bound). Right: as many parameters each."
    return [Picture("depth", caption, figure)]


ANSWERS = {
    "fewer units": {Outcome.SUPPORTED: "Each layer of two units folds the line, and doubles the teeth of a sawtooth."},
    "found": {Outcome.CONDITIONAL: "Training finds few teeth, not many: what is representable need not be found."},
    "better": {Outcome.CONDITIONAL: "Depth paid for the nested function that was tried, not for a sum or digits."},
}  # fmt: skip
HISTORY = dl.evidence.piloted("2026-11-26")
EXPERIMENT = Experiment((__doc__ or "").splitlines()[0], CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
