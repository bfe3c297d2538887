"""What is the learning rate, what values can it take, and what happens when it is too low or too high?

Setting: three parabolas, 100 steps; softmax regression and a 64-32-10 network on 1258 digits whose pixels go to 1/16, 1
or 16; SGD on batches of 32, 12 epochs, at 20 rates by factors of 2. 16 seeds choose a rate, 16 others are judged.
Command: `python -m experiments run learning_rate`; about 15 s on 2 CPU cores.
Seen: best rates from 0.01 to 500 for one model, by the scale of its inputs; an eighth of the best is 5 times slower.
"""

import jax
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore import evidence as ev
from dlcore.evidence import Claim, Evidence, Outcome, SubClaim, Verdict, above, below
from dlcore.evidence.experiments import Measured
from dlcore.plots.style import COLORS, MARKERS

CURVATURES, SIDES = np.array([0.01, 1.0, 100.0]), np.array([0.99, 1.01])  # rates, times 2 / curvature
SCALES = np.array([1 / 16, 1.0, 16.0])  # of pixels from 0 to 1; in the file they go to 16
RATES, LOW, HIGH = 2.0 ** np.arange(-9, 11), 1 / 8, 32  # times scale^-2; times the best rate
TARGET, SLOWER, SAME = 0.5, 4.0, 1.25  # train loss, of 2.3; times the steps that are slow, that are no difference

SHARE, GROWTH = "share of runs", "distance after 100 steps, over that before"
LIMIT = (
    SubClaim("below", "Just below 2 / curvature it converges.", GROWTH, below(1.0)),
    SubClaim("above", "Just above it diverges.", GROWTH, above(1.0)),
)
RANGE = (SubClaim("below 1", "The best rate is smaller than 1.", SHARE, above(0.5), "share {}"),)
SCALING = (SubClaim("same steps", f"It then takes at most {SAME} times the steps.", SHARE, above(0.5), "share {}"),)
EXTREMES = (
    SubClaim("slow", "An eighth of the best rate is slow.", "steps over those at the best", above(SLOWER), "{} times"),
    SubClaim("stuck", "An eighth of the best rate never arrives.", SHARE, above(0.5), "share {}"),
    SubClaim("away", "32 times the best rate ends above the first loss.", SHARE, above(0.5), "share {}"),
)
CLAIMS = (
    Claim("limit", "On a quadratic, descent diverges if and only if the rate is above 2 / curvature.", LIMIT),
    Claim("range", "The learning rate is a number between 0 and 1.", RANGE),
    Claim("scaling", "Inputs that are multiplied by c need 1 / c^2 of the rate.", SCALING),
    Claim("extremes", "Too low a rate is slow or gets stuck, too high a rate moves away from the solution.", EXTREMES),
)


def measure(scale: ev.Scale) -> dict[str, xr.Dataset]:
    """Distances on quadratics; runs on digits whose pixels are scaled."""
    optimizers = [optax.sgd(side * 2 / CURVATURES) for side in SIDES]
    with jax.enable_x64(True):
        bowl, start = lambda x: (CURVATURES * x**2).sum() / 2, np.ones(len(CURVATURES))
        paths = np.array([dl.textbook.descent_path(bowl, start, each, num_steps=100) for each in optimizers])
    return {"bowls": xr.Dataset({"growth": (("side", "bowl"), np.abs(paths[:, -1]))}), "digits": digits(scale)}


def digits(scale: ev.Scale) -> xr.Dataset:
    """Median steps to the target; of each judged run its best rate, and steps over those at the rate that was tuned."""
    linear = dl.Model(lambda key: (jax.numpy.zeros((64, 10)), {}), lambda params, state, x, **_: (x @ params, state))
    models = {"linear": linear, "network": dl.models.mlp([64, 32, 10])}
    num_epochs, num_tuning, num_judged = scale.of({"quick": (2, 2, 8), "default": (12, 16, 16)})
    options = {"batch_size": 32, "num_epochs": num_epochs, "record_every": 13, "evaluate": ("train",)}

    def fit(network, scale, rate, seed):
        """How does a network learn at each rate?"""
        init, apply, _ = models[network]
        model = dl.Model(init, lambda params, state, x, **how: apply(params, state, scale * x, **how))
        task = dl.tasks.classification(model, dl.data.digits())
        return dl.training(jax.random.key(seed), task, optax.sgd(rate / scale**2), **options)

    seeds = np.append(scale.tuning_seeds(num_tuning), scale.seeds(num_judged))
    axes = {"network": list(models), "scale": SCALES, "rate": RATES, "seed": seeds}
    runs = dl.sweep(fit, **axes, store=scale.store("digits"))
    all_steps = ev.steps_to_target(runs, "train_loss", TARGET).fillna(np.inf)  # of those that never arrive
    tuned = all_steps[:, 1, :, :num_tuning].mean("seed").idxmin("rate").drop_vars("scale")  # of pixels as they are
    steps, runs = all_steps[..., num_tuning:], runs.isel(seed=slice(num_tuning, None))
    relative = steps / steps[:, 1].drop_vars("scale").sel(rate=tuned).drop_vars("rate")
    far = {"network": "network", "scale": 1.0}, float(tuned[1])
    found = {
        "steps": steps.median("seed"),
        "best": steps.idxmin("rate").where(np.isfinite(steps.min("rate"))) / steps.scale**2,
        "scaled": relative.sel(rate=tuned).drop_vars("rate"),
        "at_best": steps.sel(far[0]).sel(rate=far[1]).where(LOW * far[1] >= RATES[0]),
        "low": steps.sel(far[0]).reindex(rate=[LOW * far[1]])[0],  # NaN beyond the edge of the grid
        "high": (runs.train_loss[..., -1] / runs.train_loss[..., 0]).sel(far[0]).reindex(rate=[HIGH * far[1]])[0],
    }
    attrs = {"limit": float(runs.step[-1])}
    return xr.Dataset({name: values.reset_coords(drop=True) for name, values in found.items()}, attrs=attrs)


def share_or_exact(values: np.ndarray, limit: float) -> ev.Interval:
    """Share of runs [n] below a limit; runs that are the same to the bit, as those of a linear model, are one."""
    same = len(values) > 1 and np.isfinite(values).all() and np.ptp(values) == 0
    return ev.exact(float(values[0] < limit)) if same else ev.share_below(values, limit)


def judge(measured: Measured) -> list[Verdict]:
    """The verdicts on all claims."""
    growth, found = measured["bowls"].growth.values, measured["digits"]
    bowls = [
        [Evidence(f"curvature {c:g}", ev.exact(x)) for c, x in zip(CURVATURES, side, strict=True)] for side in growth
    ]

    def share(name, limit, *where):
        runs = {f"{n}, pixels to {s:g}": found[name].sel(network=n, scale=s).values for n, s in where}
        return [Evidence(title, share_or_exact(each, limit)) for title, each in runs.items()]

    low, best = found.low.values, found.at_best.values
    known, limits = not np.isnan(low + best).any(), dict.fromkeys(("limit_a", "limit_b"), found.attrs["limit"])
    arrived = (np.where(np.isinf(side), np.nan, side) for side in (low, best))
    slower = ev.paired_ratio(*arrived, **limits) if known else ev.undetermined("the best rate lies near the edge")
    linear, network = [("linear", scale) for scale in SCALES], ("network", 16.0)
    evidence = {
        "below": bowls[0],
        "above": bowls[1],
        "below 1": share("best", 1.0, *linear, network),
        "same steps": share("scaled", SAME + 1e-9, *linear[::2], network),
        "slow": [Evidence("digits", slower)],
        "stuck": [Evidence("digits", ev.share_below(-low, -1e9))],
        "away": [Evidence("digits", ev.share_below(-found.high.values, -1.0))],
    }
    return [Verdict(claim, {part.name: evidence[part.name] for part in claim.parts}) for claim in CLAIMS]


def draw(measured: Measured) -> list[ev.Picture]:
    """Steps to the target against the learning rate."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for ax, network in zip(figure.subplots(1, 2, sharey=True), ("linear", "network"), strict=True):
        for i, scale in enumerate(SCALES):
            steps = measured["digits"].steps.sel(network=network, scale=scale)
            look = {"color": COLORS[i + 1], "marker": MARKERS[i], "label": f"pixels to {scale:g}"}
            ax.plot(RATES / scale**2, steps.where(np.isfinite(steps)), **look)
        ax.axvline(1, color="gray", linestyle=":")
        ax.set(xscale="log", yscale="log", title=network, xlabel="learning rate", ylabel=f"steps to a loss of {TARGET}")
    ax.legend(fontsize=8, frameon=False)
    return [ev.Picture("learning_rate", CAPTION, figure)]


CAPTION = (
    f"Median steps to a train loss of {TARGET} on the digits against the learning rate, of softmax regression without "
    "biases and of a network, with pixels from 0 to three values. Rates at which most runs do not arrive have no mark."
)
SPECIAL = "On a quadratic, descent diverges if and only if its rate is above 2 / (largest curvature)."
UNITS = "There is no such range: the best rate depends on the units of the inputs, and can be far below 1 or hundreds."
INNER = "True where all weights see the inputs and start at zero. In a network the other layers set limits too."
SLOW = "Too high a rate ends worse than it began. An eighth of the best is slow, but not stuck: it needs more steps."
ANSWERS = {"limit": {Outcome.SUPPORTED: SPECIAL}}
ANSWERS |= {name: {Outcome.CONDITIONAL: t} for name, t in (("range", UNITS), ("scaling", INNER), ("extremes", SLOW))}
QUESTION = "What is the learning rate, and what happens when it is too low or too high?"
DESIGN = {"scales": SCALES, "rates": RATES, "low": LOW, "high": HIGH, "target": TARGET, "curvatures": CURVATURES}
CHANGES = "A grid on both sides of 1; equal runs are one.", "Tuned on 16 seeds that all arrive, not on 4."
HISTORY = ev.piloted("2026-11-26", *CHANGES)
EXPERIMENT = ev.Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
