"""Is a network of linear regressions more than a linear regression?

Setting: linear networks of two layers, 16 runs: one gives the right halves of 300 digits from 24 components of the left
ones, by full-batch momentum at a rate of 5; one learns three directions of known strengths, by full-batch descent at
0.006.
Command: `python -m experiments run deep_linear`; about 10 s on 2 CPU cores.
Seen: it computes the same function, or that of reduced-rank regression where a layer is narrow; but it learns one
direction after the other, each at the time that Saxe et al. predict, and weight decay leads it to another function.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure
from scipy.linalg import hadamard
from sklearn.datasets import load_digits

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Experiment, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.plots.style import BLACK, COLORS, MARKERS

INPUTS, OUTPUTS = 24, 32  # principal components of the left halves of 300 digits, pixels of the right halves
RANKS = {"quick": [4, INPUTS], "default": [1, 4, 7, INPUTS]}  # units of the layer between them
SEEDS, STEPS = {"quick": 6, "default": 16}, {"quick": 400, "default": 1000}
STRENGTHS = np.array([3.0, 1.5, 0.75])  # singular values of the regression that is to be learned
STEP, LENGTH, EVERY = 0.004, 2250, 2  # of the flow's time; Euler's method is late by STEP x strength / 2, 0.6 % at most
STARTS = {"aligned": (1e-3**0.5, 0.0, 0.0), "random": (0.0, 1e-3, 0.0), "decayed": (0.0, 0.3, 1.0)}  # see `fit`
SAME, LATE = 0.01, 0.02  # distances of functions, and errors of predicted times, that do not matter
APART, DIFFERENT = 1.25, 0.05  # ratios of times, and distances from all ridge regressions, that matter
DESIGN = {"ranks": RANKS, "runs": SEEDS, "steps": STEPS, "strengths": STRENGTHS, "step": STEP, "starts": STARTS}
FAR, TIMELY = "distance of the two maps, over the norm of its own", dl.evidence.within(1 - LATE, 1 + LATE)
CLAIMS = (
    Claim("same function", "A network built of linear regressions computes nothing but one linear regression.", (
        SubClaim("wide", "With no narrow layer it ends at least squares.", FAR, dl.evidence.below(SAME)),
        SubClaim("narrow", "With r units in a layer it ends at the best map of rank r.", FAR, dl.evidence.below(SAME)),
    )),
    Claim("learning times", "A direction of strength s, at first a0, is half learned at time ln(s / a0 - 1) / 2s.", (
        SubClaim("on time", "It is, in a network of two layers.", "time over the predicted one", TIMELY),
    )),
    Claim("same training", "It makes no difference whether one trains the regression or the deep network.", (
        SubClaim("at once", "All directions are half learned at once.", "ratio of times", dl.evidence.below(APART)),
        SubClaim("decay", "With weight decay it ends at a ridge regression.", FAR, dl.evidence.below(DIFFERENT)),
    )),
)  # fmt: skip


def mapping(seen) -> jax.Array:
    """What a linear network computes, [inputs, outputs]: its answers to the unit vectors."""
    units = jnp.eye(seen.task.data.train.inputs.shape[1])
    return seen.task.model.apply(seen.state.params, seen.state.model_state, units)[0]


def bottlenecks(scale: Scale) -> xr.Dataset:
    """How far networks of two layers end from the closed form, dims (rank, seed), and the errors of both."""
    images = np.asarray(load_digits(return_X_y=True)[0])[:300].reshape(-1, 8, 8) / 16
    left, right = (half.reshape(300, -1) - half.mean(0).ravel() for half in np.split(images, 2, axis=2))
    white = np.linalg.svd(left, full_matrices=False)[0][:, :INPUTS] * 300**0.5
    data, steps = dl.data.from_arrays(white, right), scale.of(STEPS)

    def fit(rank, seed):
        """What linear networks with a narrow layer end at."""
        model = dl.models.deep_linear([INPUTS, rank, OUTPUTS], initializer=dl.initializers.normal(0.1))
        how: dict = {"batch_size": "full", "num_steps": steps, "record_every": steps, "observe": {"mapping": mapping}}
        return dl.training(jax.random.key(seed), dl.tasks.regression(model, data), optax.sgd(5.0, momentum=0.9), **how)

    runs = dl.sweep(fit, rank=scale.of(RANKS), seed=scale.seeds(scale.of(SEEDS)), store=scale.store("bottlenecks"))
    last = runs.isel(step=-1, drop=True)
    best = np.stack([dl.textbook.reduced_rank_regression(white, right, rank) for rank in last["rank"].values])
    far = np.linalg.norm(last.mapping - best[:, None], axis=(2, 3)) / np.linalg.norm(best, axis=(1, 2))[:, None]
    least = np.mean((right - white @ best) ** 2, axis=(1, 2))
    return xr.Dataset({"far": (("rank", "seed"), far), "error": last.train_loss, "least": ("rank", least)})


def directions(scale: Scale) -> xr.Dataset:
    """When two layers have half learned a direction, over when they should; how far from ridge weight decay ends."""
    inputs = hadamard(4)[:, 1:].astype(float)  # white
    data, draw = dl.data.from_arrays(inputs, inputs * STRENGTHS), dl.initializers.normal(1.0)

    def begun(seen):  # a0 of each direction: of what both layers hold of it, half grows and the other half decays
        first, second = (seen.state.params["layers"][layer]["kernel"] for layer in (0, 1))
        return jnp.sum((first + second.T) ** 2, 1) / 4

    def fit(identity, noise, decay, seed):
        """When deep linear networks have learned what, and where weight decay takes them."""
        start = lambda key, shape, dtype: identity * jnp.eye(*shape) + noise * draw(key, shape, dtype)  # noqa: E731
        penalty = dl.tasks.l2(decay * 2 / 3)  # losses are means over 3 outputs
        task = dl.tasks.regression(dl.models.deep_linear([3, 64, 3], initializer=start), data, penalty=penalty)
        how: dict = {"num_steps": LENGTH, "record_every": EVERY, "observe": {"mapping": mapping, "begun": begun}}
        return dl.training(jax.random.key(seed), task, optax.sgd(STEP * 3 / 2), batch_size="full", **how)

    starts = dl.points(**dict(zip(("identity", "noise", "decay"), np.transpose(list(STARTS.values())), strict=True)))
    runs = dl.sweep(fit, starts, seed=scale.seeds(scale.of(SEEDS)), store=scale.store("directions"))
    curves = np.diagonal(runs.mapping[:2], axis1=-2, axis2=-1)  # [start, seed, step, direction]
    times = np.where(curves[:, :, -1] > STRENGTHS / 2, (curves < STRENGTHS / 2).sum(2) * EVERY * STEP, np.nan)
    late = times / np.log(STRENGTHS / runs.begun.values[:2, :, 0] - 1) * 2 * STRENGTHS
    last = runs.mapping.values[-1, :, -1]
    ridge = np.einsum("sii,i->s", last, STRENGTHS)[:, None, None] / sum(STRENGTHS**2) * np.diag(STRENGTHS)
    far = np.linalg.norm(last - ridge, axis=(1, 2)) / np.linalg.norm(last, axis=(1, 2))
    dims, curve = ("start", "seed", "direction"), (("step", "direction"), curves[0, 0, ::10])
    found = {"time": (dims, times), "late": (dims, late), "far": ("seed", far), "curve": curve}
    return xr.Dataset(found, {"start": list(STARTS)[:2], "step": runs.step.values[::10] * STEP})


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Where networks end, and when."""
    return {"bottlenecks": bottlenecks(scale), "directions": directions(scale)}


def judge(measured) -> list[Verdict]:
    """One verdict for each claim; what starts aligned is deterministic."""
    narrow, learned, mean = measured["bottlenecks"], measured["directions"], dl.evidence.mean_interval
    far = [Evidence(f"digits, {rank} units", mean(narrow.far.sel(rank=rank).values)) for rank in narrow["rank"].values]
    on_time, at_once = [], []
    for start, of in {"aligned": lambda runs: dl.evidence.exact(runs[0]), "random": mean}.items():
        late, times = (learned[name].sel(start=start).values for name in ("late", "time"))
        on_time += [Evidence(f"{start}, strength {s}", of(runs)) for s, runs in zip(STRENGTHS, late.T, strict=True)]
        at_once += [Evidence(f"{start} start", of(times[:, -1] / times[:, 0]))]
    decay = [Evidence("three directions", mean(learned.far.values))]
    found = {"wide": far[-1:], "narrow": far[:-1]}, {"on time": on_time}, {"at once": at_once, "decay": decay}
    return [Verdict(claim, evidence) for claim, evidence in zip(CLAIMS, found, strict=True)]


def draw(measured) -> list[Picture]:
    """Errors by the width of the narrow layer; how directions are learned."""
    narrow, learned = measured["bottlenecks"], measured["directions"]
    left, right = (figure := Figure(figsize=(9.5, 3.8), layout="constrained")).subplots(1, 2)
    left.plot(narrow["rank"], narrow.least, "x-", color=BLACK, label="reduced-rank regression", markersize=10)
    left.plot(narrow["rank"], narrow.error.mean("seed"), "o", color=COLORS[1], mfc="none", ms=10, label="network")
    left.set(xlabel="units in the narrow layer", ylabel="mean squared error", xticks=narrow["rank"].values)
    for i, s in enumerate(STRENGTHS):
        curve, look = learned.curve.isel(direction=i) / s, {"color": COLORS[i + 1], "marker": MARKERS[i]}
        right.plot(learned.step, curve, markevery=12, label=f"network, strength {s:g}", **look)
        right.plot(np.log(s / STARTS["aligned"][0] ** 2 - 1) / (2 * s), 0.5, markersize=12, mfc="none", **look)
    right.plot(learned.step, 1 - np.exp(-learned.step), "--", color=BLACK, label="regression, all strengths")
    right.set(xlabel="time (of gradient flow)", ylabel="share learned")
    left.legend(frameon=False)
    right.legend(frameon=False)
    caption = "Left: errors by the width of the narrow layer. Right: learning; large markers: predicted halves."
    return [Picture("deep_linear", caption, figure)]


ANSWERS = {
    "same function": {Outcome.SUPPORTED: "Layers without activation functions add nothing but a limit to the rank."},
    "learning times": {Outcome.SUPPORTED: "A deep linear network learns strong directions first; each waits the longer "
                       "the weaker it is and the smaller the weights began, for a time that is known in advance."},
    "same training": {Outcome.REFUTED: "The function is the same, the way there is not: with depth strong directions "
                      "come first, and weight decay removes weak ones where ridge regression shrinks all alike."},
}  # fmt: skip
HISTORY = dl.evidence.piloted("2026-11-26")
EXPERIMENT = Experiment((__doc__ or "").splitlines()[0], CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
