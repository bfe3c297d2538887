"""On least squares, is stopping early like a penalty on the weights?

Setting: formulas for the expected error of gradient flow and ridge on inputs with three spectra, two made up and that
of the diabetes data, 200 examples; full-batch descent on 354 patients at a fixed rate of 0.005, 400 steps, 8 seeds.
Command: `python -m experiments run stopping_as_ridge`; about 3 s on 2 CPU cores.
Seen: at no time more than 1.61 times the risk of ridge, at the best time at most 1.03 times.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore import evidence as ev
from dlcore.evidence import Claim, Evidence, Outcome, SubClaim, Verdict, above, below
from dlcore.evidence.experiments import Measured
from dlcore.plots.style import COLORS, MARKERS

BOUND = 1.69  # 1.2985^2, of any design: Ali, Kolter and Tibshirani, A continuous-time view, AISTATS 2019, theorem 1
BEST = 1.22  # the same, of the best time and the best penalty, for random designs
GAIN = 1.1  # the smallest factor that counts
TIMES, SIGNALS = np.geomspace(1e-3, 1e5, 1601), (0.1, 1.0, 10.0)  # variance of the signal over that of the noise
NUM_EXAMPLES, RATE, NUM_STEPS = 200, 0.005, 400  # rate times the largest curvature is 0.04
FOLLOWS = 0.05  # relative distance, a little more than that 0.04

RISK = "expected squared error of the weights"
RIDGE = (
    SubClaim("at each time", "It is never far worse.", f"{RISK}, largest over ridge's with 1 / t", below(BOUND)),
    SubClaim("at the best", "At its best it is hardly worse.", f"smallest {RISK}, over ridge's smallest", below(BEST)),
    SubClaim("steps", "Descent in small steps follows the flow.", "relative distance from it", below(FOLLOWS)),
)
STOP = (SubClaim("better", "The best time beats the end.", f"{RISK} in the end, over the smallest", above(GAIN)),)
CLAIMS = (
    Claim("ridge", "On least squares, stopping at time t is like a penalty of 1 / t on the weights.", RIDGE),
    Claim("stopping", "Stopping early is better than minimizing the train loss.", STOP),
)


def risks(variances: np.ndarray, squares: np.ndarray, noise: float, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected squared errors of the weights, [num_times]: of gradient flow at times t, and of ridge with 1 / t.

    Args:
      variances: of the inputs along their principal directions, [p]. squares: of the true weights along them, [p].
      noise: variance of the targets' noise, divided by the number of examples.
    """
    t = times[:, None]
    flow = squares * np.exp(-2 * t * variances) + noise * (1 - np.exp(-t * variances)) ** 2 / variances
    ridge = (squares / t**2 + noise * variances) / (variances + 1 / t) ** 2
    return flow.sum(axis=1), ridge.sum(axis=1)


def measure(scale: ev.Scale) -> dict[str, xr.Dataset]:
    """Risks on three spectra, dims (design, signal, time); and how far descent is from flow, dims (seed)."""
    inputs = np.asarray(dl.data.diabetes().train.inputs)
    variances, directions = np.linalg.eigh(inputs.T.astype(float) @ inputs / len(inputs))
    spectra = {"isotropic": np.ones(100), "decaying as k^-2": np.arange(1, 101) ** -2.0, "diabetes": variances}
    pairs = [
        [risks(s, np.ones(len(s)), s.sum() / signal / NUM_EXAMPLES, TIMES) for signal in SIGNALS]
        for s in spectra.values()
    ]
    dims, names = ("design", "signal", "time"), {"design": list(spectra)}
    flow, ridge = np.moveaxis(np.array(pairs), 2, 0)
    risk = xr.Dataset({"flow": (dims, flow), "ridge": (dims, ridge)}, names)
    linear = dl.Model(lambda key: (jnp.zeros(len(variances)), {}), lambda params, state, x, **_: (x @ params, state))

    def fit(seed):
        """Is descent in small steps like gradient flow?"""
        targets = inputs.sum(axis=1) + 5 * jax.random.normal(jax.random.key(seed), (len(inputs),))
        task = dl.tasks.regression(linear, dl.data.from_split(dl.data.Split(inputs, targets)))
        observe = {"weights": lambda seen: seen.state.params, "moment": lambda seen: targets @ inputs / len(inputs)}
        options = {"batch_size": "full", "num_steps": NUM_STEPS, "record_every": NUM_STEPS // 20, "observe": observe}
        return dl.training(jax.random.key(seed), task, optax.sgd(RATE), **options)

    runs = dl.sweep(fit, seed=scale.seeds(8), store=scale.store("flow"))
    times = 2 * RATE * runs.step.values[1:]  # the gradient of a squared error has a factor of 2
    shrunk = (1 - np.exp(-times[:, None] * variances)) / variances
    flow = (runs.moment.values[:, 1:] @ directions * shrunk) @ directions.T
    distance = np.linalg.norm(runs.weights[:, 1:] - flow, axis=-1) / np.linalg.norm(flow, axis=-1)
    return {"risk": risk, "flow": xr.Dataset({"distance": ("seed", distance.max(axis=1))})}


def judge(measured: Measured) -> list[Verdict]:
    """The verdicts on both claims."""
    data = measured["risk"]
    flow, ridge = data.flow.values, data.ridge.values
    names = [f"{design}, signal {signal:g} x noise" for design in data.design.values for signal in SIGNALS]

    def conditions(values):
        return [Evidence(name, ev.exact(value)) for name, value in zip(names, values.ravel(), strict=True)]

    descent = [Evidence("diabetes, descent", ev.mean_interval(measured["flow"].distance.values))]
    with np.errstate(all="ignore"):
        found = {
            "at each time": conditions((flow / ridge).max(axis=-1)),
            "at the best": conditions(flow.min(axis=-1) / ridge.min(axis=-1)),
            "steps": descent,
        }
        better = conditions(flow[..., -1] / flow.min(axis=-1))
    return [Verdict(CLAIMS[0], found), Verdict(CLAIMS[1], {"better": better})]


def draw(measured: Measured) -> list[ev.Picture]:
    """Risks against time, a panel for each design, at equal variances of signal and noise."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    data = measured["risk"]
    panels = figure.subplots(1, 3)
    panels[0].set(ylabel=RISK)
    for ax, design in zip(panels, data.design.values, strict=True):
        for side, name in enumerate(("gradient flow, stopped at t", "ridge with penalty 1 / t")):
            risk = (data.flow, data.ridge)[side].sel(design=design)[1]
            ax.plot(TIMES, risk, color=COLORS[4 + side], marker=MARKERS[side], markevery=200, label=name)
        ax.set(xscale="log", yscale="log", title=design, xlabel="time t")
        ax.margins(y=0.25)  # room for the legend
        ax.legend(fontsize=8, frameon=False, loc="upper right")
    return [ev.Picture("stopping_as_ridge", CAPTION, figure)]


CAPTION = (
    "Expected squared error of the weights of least squares, where signal and noise have the same variance, on inputs "
    "with three spectra: gradient flow that is stopped at time t, and ridge regression with a penalty of 1 / t."
)
ANSWERS = {
    "ridge": {
        Outcome.SUPPORTED: "On least squares a short training does what a strong penalty on the weights does: the time "
        "takes the place of one over the penalty. Stopped at the best time it is as good as the best penalty."
    },
    "stopping": {
        Outcome.CONDITIONAL: "Stopping early helps where the data are noisy or directions have little variance. Where "
        "all directions have the same variance, and the signal is far stronger than the noise, it gains little."
    },
}
QUESTION = "On least squares, is stopping early like a penalty on the weights?"
DESIGN = {"examples": NUM_EXAMPLES, "signals": SIGNALS, "times": [1e-3, 1e5], "rate": RATE, "steps": NUM_STEPS}
HISTORY = ev.piloted("2026-11-26")
EXPERIMENT = ev.Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
