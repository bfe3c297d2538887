"""Why do gradients vanish or explode over time in a recurrent network?

Setting: nothing is trained. Recurrent networks of 64 units with random weights of three sizes, linear without inputs or
tanh with random ones; the gradient is followed back over 400 steps, in double precision, in 64 networks.
Command: `python -m experiments run exploding_vanishing`; about 5 s on 2 CPU cores.
Seen: where units are linear the log of the gradient changes by that of the spectral radius at every step, to 0.0003;
the log of the size of the weights is off by 0.055. In tanh units with inputs it vanishes even at weights of size 1.25.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Experiment, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.plots.style import BLACK, COLORS, MARKERS

UNITS, STEPS, FROM_LAG = 64, 400, 200  # lags from here on decide: the largest eigenvalue has outlived the others
SIZES = (0.8, 1.0, 1.25)  # standard deviation of the recurrent weights times the root of the number of units
DRIVES = {"linear units": ("identity", 0.0), "tanh units with inputs": ("tanh", 1.0)}  # scale of the inputs
MUCH = 0.1  # a step: a factor of 20 000 in 100 steps
SMALL = 0.01  # a step: a factor of e in 100 steps
SEEDS = {"quick": 16, "default": 64}

STEP = f"change of the log gradient norm by a step back in time, lags {FROM_LAG} to {STEPS}"
OFF = "size of the difference between that change and what is predicted, mean over networks"
CLAIMS = (
    Claim(
        "weights",
        "Small recurrent weights make the gradient vanish over time, large ones make it explode.",
        (
            SubClaim("small", f"Of size {SIZES[0]} it vanishes.", STEP, dl.evidence.below(-MUCH), "{} a step"),
            SubClaim("large", f"Of size {SIZES[2]} it explodes.", STEP, dl.evidence.above(MUCH), "{} a step"),
        ),
    ),
    Claim(
        "radius",
        "How fast it does is told by the largest eigenvalue of the recurrent weights, not by their size.",
        (
            SubClaim("eigenvalue", "The log spectral radius predicts it.", OFF, dl.evidence.below(SMALL), "off by {}"),
            SubClaim("not the size", "The log of their size does not.", OFF, dl.evidence.above(SMALL), "off by {}"),
        ),
    ),
)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Of networks with weights of each size: log_norm of the gradient by lag, log_radius; see `by_lag`."""
    seeds = scale.seeds(scale.of(SEEDS))
    log_norms, kernels = [], np.empty(0)
    with jax.enable_x64(True):  # float32 underflows after 150 steps
        for activation, drive in DRIVES.values():
            norms, kernels = jax.jit(jax.vmap(lambda seed, a=activation, d=drive: by_lag(seed, a, d)))(seeds)
            log_norms.append(np.asarray(norms))
    coordinates = {"drive": list(DRIVES), "seed": seeds, "size": list(SIZES)}
    log_norm = xr.DataArray(np.stack(log_norms), coordinates, (*coordinates, "lag"))
    step = slopes(log_norm)
    linear = step.isel(drive=0, drop=True)
    radius = linear.copy(data=np.log(np.abs(np.linalg.eigvals(np.asarray(kernels))).max(axis=-1)))
    off = {"off_radius": abs(linear - radius), "off_size": abs(linear - np.log(linear["size"]))}
    parts = {f"step_{size}": step.sel(size=size, drop=True) for size in SIZES}
    return {"time": xr.Dataset({"log_norm": log_norm, "log_radius": radius, **off, **parts})}


def by_lag(seed: jax.Array, activation: str, drive: float) -> tuple[jax.Array, jax.Array]:
    """Log norm of the last step's error, followed back to each lag [size, lag]; recurrent weights [size, n, n]."""
    keys = jax.random.split(jax.random.key(seed), 4)
    kernels = jnp.array(SIZES)[:, None, None] * jax.random.normal(keys[0], (len(SIZES), UNITS, UNITS)) / UNITS**0.5
    input_kernel, inputs = jax.random.normal(keys[1], (1, UNITS)), drive * jax.random.normal(keys[2], (1, STEPS, 1))
    last = jnp.zeros((1, STEPS, UNITS)).at[0, -1].set(jax.random.normal(keys[3], (UNITS,)))

    def norms(kernel):
        params = dl.textbook.Elman(input_kernel, kernel, jnp.zeros(UNITS))
        errors = dl.textbook.through_time(params, inputs, last, activation=activation).errors[0]
        return jnp.log(jnp.linalg.norm(errors, axis=-1))[::-1]

    return jax.vmap(norms)(kernels), kernels


def slopes(log_norm: xr.DataArray) -> xr.DataArray:
    """Of the least-squares line through the late lags; the dims without lag."""
    late = log_norm.isel(lag=slice(FROM_LAG, None))
    centered = xr.DataArray(np.arange(late.sizes["lag"]) - (late.sizes["lag"] - 1) / 2, dims="lag")
    return (late * centered).sum("lag", skipna=False) / float((centered**2).sum())


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """Vanishing and exploding under both drives; predictions where the units are linear."""
    data = measured["time"]
    weights = {
        part: [
            Evidence(drive, dl.evidence.mean_interval(data[f"step_{size}"].isel(drive=i).values))
            for i, drive in enumerate(DRIVES)
        ]
        for part, size in (("small", SIZES[0]), ("large", SIZES[2]))
    }
    radius = {
        part: [
            Evidence(f"weights of size {size}", dl.evidence.mean_interval(data[off].isel(size=i).values))
            for i, size in enumerate(SIZES)
        ]
        for part, off in (("eigenvalue", "off_radius"), ("not the size", "off_size"))
    }
    return [Verdict(claim, found) for claim, found in zip(CLAIMS, (weights, radius), strict=True)]


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Gradient by lag, and its slope against both predictions."""
    data = measured["time"]
    steps, figure = slopes(data.log_norm).sel(drive="linear units"), Figure(figsize=(11, 3.8), layout="constrained")
    *panels, right = figure.subplots(1, 3)
    for ax, drive in zip(panels, DRIVES, strict=True):
        for size, color, line in zip(SIZES, COLORS[1:], ("-", "--", ":"), strict=False):
            curves = data.log_norm.sel(drive=drive, size=size).transpose("lag", "seed") / np.log(10)
            for i, curve in enumerate(curves.values[:, :8].T):
                ax.plot(curve, line, color=color, linewidth=0.9, label="" if i else f"weights of size {size}")
        ax.set(title=drive, xlabel="steps back in time", ylabel="log10 of the gradient norm", ylim=(-100, 60))
        ax.legend(fontsize=8, frameon=False, loc="lower left" if drive == "linear units" else "upper right")
    for size, color, marker in zip(SIZES, COLORS[1:], MARKERS, strict=False):
        right.plot(data.log_radius.sel(size=size), steps.sel(size=size), marker, color=color, label=f"size {size}")
        right.axhline(np.log(size), color=color, linewidth=0.7, linestyle=":")
    right.axline((0, 0), slope=1, color=BLACK, linewidth=0.7)
    right.set(title="linear units", xlabel="log spectral radius", ylabel="change of the log norm by a step")
    right.legend(fontsize=8, frameon=False, loc="upper left")
    caption = (
        f"Norm of the error of the last step, followed back in time, in networks of {UNITS} units: left and middle, "
        "eight networks of each size of the weights. Right: its slope at long lags in each network, against the log "
        "spectral radius (diagonal: equal); dotted: the log of the size of the weights."
    )
    return [Picture("exploding_vanishing", caption, figure)]


ANSWERS = {
    "weights": {
        Outcome.CONDITIONAL: "Small weights make the gradient vanish. Large ones make it explode only as long as the "
        "units are not saturated: driven tanh units shrink it at every step, and it vanishes all the same."
    },
    "radius": {
        Outcome.SUPPORTED: "In linear units a step back multiplies the gradient by the spectral radius, the size of "
        "the largest eigenvalue; in a network of finite width it differs from the size of the weights."
    },
}
DESIGN = {"number of seeds": SEEDS, "units, steps, from lag": (UNITS, STEPS, FROM_LAG), "scales of inputs": DRIVES}
HISTORY = dl.evidence.piloted("2026-11-26")
QUESTION = "Why do gradients vanish or explode over time?"
EXPERIMENT = Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
