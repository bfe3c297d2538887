"""Are error signals, sent back layer by layer, the gradient; how is that checked, and what does it cost?

Setting: random inputs and targets, 32 rows, and networks of up to ten hidden layers that are not trained, 16 of each
kind: explicit error signals and differences of 17 steps h against autodiff. Costs: two perceptrons and an LSTM.
Command: `python -m experiments run backpropagation`; about 15 s on 2 CPU cores.
Seen: signals equal autodiff; differences leave 1e-10 at h = 1e-5 in float64 (at 1e-6 rounding, eps / h, is 2e-9),
1e-4 in float32, and are wrong at kinks; a backward pass costs 1.9 forward passes of four hidden layers, 1.1 of one.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Experiment, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.evidence.experiments import Measured
from dlcore.plots.style import COLORS, MARKERS

LOSSES = {"softmax_cross_entropy": 3, "binary_cross_entropy": 1, "squared_error": 3}  # outputs of each
SMOOTH, KINKED, FEW = ("tanh", "sigmoid", "gelu"), ("relu", "leaky_relu"), ("tanh", "relu")
STEPS = np.array([10.0 ** (half / 2) for half in range(-18, -1)])  # by Python: NumPy's powers differ between processors
ROUNDED, CUT = STEPS < 2e-7, STEPS > 2e-3  # where rounding rules in float64, and where h^2 does
NETWORKS = {  # and shapes of their inputs
    "1 hidden layer": (lambda: dl.models.mlp([64, 64, 10]), (256, 64)),
    "4 hidden layers": (lambda: dl.models.mlp([64, *[256] * 4, 10]), (256, 64)),
    "LSTM": (lambda: dl.models.recurrent(8, 64, 1), (32, 20, 8)),
}
above, below, within = dl.evidence.above, dl.evidence.below, dl.evidence.within
SIGNALS = (SubClaim("gradient", "They are one.", "relative distance from autodiff", below(1e-12)),)  # rounding
SQUARE = (SubClaim("square", "The error grows as h^2.", "exponent, h 0.003 to 0.1", within(1.8, 2.2)),)
PRECISION = (
    # eps^(2/3) = 4e-11 and eps^(1/3) = 6e-6, but for constants; in float32 eps^(2/3) is 650 000 times that.
    SubClaim("best", "Float64 leaves 3e-10, but for a factor of 10.", "least relative error", within(3e-11, 3e-9)),
    SubClaim("best step", "At 6e-6, but for a factor of 10.", "h of the least error", within(6e-7, 6e-5)),
    SubClaim("float32", "Float32 is far worse.", "least error, times that of float64", above(1e3)),
)
COST = (
    SubClaim("operations", "Twice the forward pass.", "operations backward over forward", within(1.5, 2.5)),
    SubClaim("seconds", "Five at most (Baur, Strassen 1983).", "seconds with the gradient over without", below(5.0)),
)
CLAIMS = (
    Claim("signals", "Error signals go back layer by layer, and give the gradient.", SIGNALS),
    Claim("differences", "Central differences check a gradient: they err as the square of their step.", SQUARE),
    Claim("precision", "Central differences need double precision, and a step neither large nor small.", PRECISION),
    Claim("cost", "The backward pass costs about as much as two forward passes.", COST),
)


def distance(loss: str, activation: str, params, inputs, targets):
    """Of the gradient by explicit signals from that by autodiff."""
    passes = partial(dl.textbook.through_layers, inputs=inputs, targets=targets, activation=activation, loss=loss)
    gradient = jax.grad(lambda params: passes(params).loss)(params)
    return dl.textbook.gradient_distance(passes(params).gradients, gradient)


def errors(activation: str, params, inputs, targets):
    """Relative errors of central differences [step], and the share of weights off by 1 % at a step of 0.01."""
    weights, unravel = ravel_pytree(params)
    passes = partial(dl.textbook.through_layers, inputs=inputs, targets=targets, activation=activation)
    loss = jax.jit(lambda weights: passes(unravel(weights)).loss)
    gradient, steps = jax.grad(loss)(weights), jnp.asarray([*STEPS, 0.01], weights.dtype)
    found = jax.lax.map(lambda step: dl.textbook.central_differences(loss, weights, step) - gradient, steps)
    off = (jnp.abs(found[-1] / gradient) > 0.01).mean()
    return jnp.linalg.norm(found[:-1], axis=1) / jnp.linalg.norm(gradient), off


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Distances by case and seed; errors and shares by activation and seed; costs by network."""
    names, seeds = scale.of({"quick": (FEW, scale.seeds(4)), "default": (SMOOTH + KINKED, scale.seeds(16))})
    depths = scale.of({"quick": (2,), "default": (1, 3, 10)})
    cases = [(loss, depth, name) for loss in LOSSES for depth in depths for name in FEW]
    tried = [(partial(distance, loss, name), seeds, [8, *[16] * depth, LOSSES[loss]]) for loss, depth, name in cases]
    far = [dl.textbook.over_problems(*each, loss=loss) for each, (loss, _, _) in zip(tried, cases, strict=True)]
    curves = xr.Dataset(coords={"activation": list(names)})
    for dtype in ("float32", "float64"):  # which weights are off is kept of the latter
        found = [dl.textbook.over_problems(partial(errors, name), seeds, [4, 8, 8, 3], dtype=dtype) for name in names]
        curves[dtype] = ("activation", "seed", "step"), np.array([error for error, _ in found], float)
        curves["off"] = ("activation", "seed"), np.array([off for _, off in found], float)
    blocks, networks = scale.of({"quick": (5, ["1 hidden layer"]), "default": (30, list(NETWORKS))})
    costs = [dl.evidence.gradient_cost(NETWORKS[n][0](), np.ones(NETWORKS[n][1], "f"), blocks=blocks) for n in networks]
    cost = xr.concat(costs, xr.Variable("network", networks), combine_attrs="override")
    ratios = cost.sel(side="gradient", drop=True) / cost.sel(side="forward", drop=True)
    ratios["seconds"].attrs["units"] = "s"  # over seconds: they differ from run to run
    labels = [", ".join(map(str, case)) for case in cases]  # loss, hidden layers, activation
    signals = xr.Dataset({"distance": (("case", "seed"), far)}, {"case": labels})
    return {"signals": signals, "curves": curves, "differences": summed_up(curves), "cost": ratios}


def summed_up(curves: xr.Dataset) -> xr.Dataset:
    """Exponents of the errors at large steps, the least ones and where they lie; dims (activation, seed)."""
    double, places = np.log(curves.float64.values), np.log(STEPS)
    rounding, curvature = (double + places)[..., ROUNDED].mean(axis=2), (double - 2 * places)[..., CUT].mean(axis=2)
    away = places[CUT] - places[CUT].mean()
    found = {"square": double[..., CUT] @ away / (away @ away)}
    found["best step"] = np.exp((rounding - curvature - np.log(2)) / 3)  # a / h + b h^2 is least there
    found["best"] = curves.float64.values.min(axis=2)
    found["float32"] = curves.float32.values.min(axis=2) / found["best"]
    return xr.Dataset({part: (("activation", "seed"), values) for part, values in found.items()}, curves.coords)


def judge(measured: Measured) -> list[Verdict]:
    """The verdicts, in the order of the claims."""
    signals, checks, cost = (measured[name] for name in ("signals", "differences", "cost"))
    found = {part.name: [] for claim in CLAIMS for part in claim.parts}
    exact, mean, typical = dl.evidence.exact, dl.evidence.mean_interval, dl.evidence.geometric_mean_interval
    for case, distances in zip(signals.case.values, signals.distance.values, strict=True):
        found["gradient"].append(Evidence(str(case), exact(np.median(distances)), "of the median network"))
    for name, off in zip(map(str, checks.activation.values), measured["curves"].off.values, strict=True):
        of = checks.sel(activation=name)
        found["square"].append(Evidence(name, mean(of.square.values), f"{off.mean():.0%} of weights off by 1 %"))
        for part in PRECISION if name not in KINKED else ():
            found[part.name].append(Evidence(name, typical(of[part.name].values)))
    for name, operations, seconds in zip(cost.network.values, cost.operations.values, cost.seconds.values, strict=True):
        found["operations"].append(Evidence(str(name), exact(operations - 1)))
        found["seconds"].append(Evidence(str(name), typical(seconds)))
    return [Verdict(claim, {part.name: found[part.name] for part in claim.parts}) for claim in CLAIMS]


def draw(measured: Measured) -> list[Picture]:
    """Errors of central differences against their step."""
    checks = measured["curves"]
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    lines = [*((str(name), "float64") for name in checks.activation.values), ("tanh", "float32")]
    for (name, dtype), color, marker in zip(lines, COLORS, MARKERS, strict=False):
        typical = np.exp(np.log(checks[dtype].sel(activation=name).transpose("seed", ...).values).mean(axis=0))
        axes.plot(STEPS, typical, color=color, marker=marker, label=f"{name}, {dtype}")
    axes.set(xscale="log", yscale="log", xlabel="step h", ylabel="error, over the length of the gradient")
    axes.legend(fontsize=8, frameon=False, loc="lower left")
    caption = "Errors of central differences, geometric means over networks: 1 / h left, h^2 right, but for kinks."
    return [Picture("differences", caption, figure)]


ANSWERS = {
    "signals": {Outcome.SUPPORTED: "It is the chain rule, layer by layer, and gives the gradient to the last digits."},
    "differences": {Outcome.CONDITIONAL: "True of smooth activations; across a kink of ReLU they are wrong."},
    "precision": {Outcome.SUPPORTED: "Check gradients in double precision, with a step near 1e-5."},
    "cost": {Outcome.CONDITIONAL: "True of many layers; the first costs half, as inputs need no error signal."},
}
DESIGN = {"activations": SMOOTH + KINKED, "steps": STEPS.tolist(), "networks": 16}
HISTORY = dl.evidence.piloted("2026-11-26", "Median networks, not the worst; no parts on rounding, kinks, no layer.")
EXPERIMENT = Experiment((__doc__ or "").splitlines()[0], CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
