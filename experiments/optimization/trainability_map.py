"""Where is the border between learning rates that train and learning rates that diverge?

Setting: networks with one hidden layer of 16 tanh units on 16 random examples; full-batch descent, 500 steps, at pairs
of rates from 0.1 to 10 000, one for each layer, 64 x 64 to a window; 10 networks, and the tangents of 5.
Command: `python -m experiments run trainability_map`; about 35 s on 2 CPU cores.
Seen: from afar the border looks smooth (dimension 1.03); 8 times nearer, where it is roughest, 1.4, and a
network's run turns 10 times on the way up. Its tangent's border has dimension 1.
"""

import functools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import xarray as xr
from jax import lax

import dlcore as dl
from dlcore import evidence
from dlcore.evidence import Claim, Evidence, Outcome, Picture, SubClaim, above, below, within
from dlcore.plots import fates, zooms
from dlcore.probes.fate import Fate, fate
from dlcore.textbook import two_rates

UNITS, EXAMPLES = 16, 16  # of the hidden layer, of the data
STEPS = {"quick": 100, "default": 500}  # of full-batch descent
LOWEST, DECADES = -1.0, 5.0  # both learning rates go from 0.1 to 10 000
ZOOMS = (1, 8)
SIZE, MAP_SIZE = {"quick": 17, "default": 64}, {"quick": 16, "default": 64, "full": 512}
SEEDS = {"network": {"quick": 8, "default": 10}, "tangent": {"quick": 4, "default": 5}}
PUBLISHED = (1.17, 1.98)  # the least and the largest dimension in Sohl-Dickstein 2024, arXiv:2402.06184
SMOOTH = (0.9, 1.1)  # a curve has 1, but boxes are counted whole
SHARE, DIMENSION, FLAGS = "share of networks", "box-counting dimension", ("lowest", "first", "second")
ONCE = "A run turns from training to diverging once, and never back, as a rate rises."
DESIGN = {"units": UNITS, "examples": EXAMPLES, "steps": STEPS, "networks": SEEDS}
DESIGN |= {"log10 of the lowest rate": LOWEST, "decades": DECADES, "zooms": ZOOMS, "points": SIZE, "map": MAP_SIZE}
QUESTION = "Where is the border between learning rates that train and learning rates that diverge?"
CLAIMS = (
    Claim("border", "Low learning rates train, high ones diverge, and a border is between them.", (
        SubClaim("low rates train", "The lowest rates train.", SHARE, above(0.5)),
        SubClaim("high rates diverge", "A high rate of one layer diverges.", SHARE, above(0.5)),
        SubClaim("crossed once", ONCE, "most turns in a row of the window", below(2.0), "{} turns"),
    )),
    Claim("fractal", "The border is no smooth curve, but as rough as a fractal.", (
        SubClaim("rough", "Where it is roughest, it is as rough as published.", DIMENSION, within(*PUBLISHED)),
        SubClaim("control", "That of its tangent, a quadratic, is smooth.", DIMENSION, within(*SMOOTH)),
    )),
)  # fmt: skip


def fate_of(seed, first_rate, second_rate, steps: int, is_tangent: bool = False) -> Fate:
    """What becomes of a network, or of its tangent, whose loss is a quadratic."""
    network = two_rates.tanh_network(seed, UNITS, EXAMPLES)
    problem = two_rates.linearized(network) if is_tangent else network
    return fate(two_rates.losses_of_descent(problem, first_rate, second_rate, steps))


@functools.partial(jax.jit, static_argnums=(3, 4))
def _trained(seed, first_rates, second_rates, steps, is_tangent):
    of = jax.vmap(lambda first, second: fate_of(seed, first, second, steps, is_tangent).trained, (None, 0))
    return lax.map(lambda first: of(first, second_rates), first_rates)


def windows(seed: int, is_tangent: bool, scale: evidence.Scale, device: jax.Device) -> xr.Dataset:
    """A network's, see `zoom_into_border`, in double precision: in single, rounding decides many at the border."""

    def trained(first, second):
        with jax.enable_x64(True):
            rates = jax.device_put((10**first, 10**second), device)
            return np.asarray(_trained(seed, *rates, scale.of(STEPS), is_tangent))

    return evidence.zoom_into_border(trained, (LOWEST, LOWEST), DECADES, size=scale.of(SIZE), zooms=ZOOMS)


def run_of(seed: int, steps: int) -> Callable[..., dl.Training]:
    """The study of the map: what becomes of that network at each pair of learning rates."""

    def fit(first_rate, second_rate):
        return dl.Training(dict, lambda state: (state, fate_of(seed, first_rate, second_rate, steps)._asdict()), 1)

    return fit


def measure(scale: evidence.Scale) -> dict[str, xr.Dataset]:
    """The map of one network, in single precision; windows of several networks and of their tangents."""
    fit = run_of(scale.first_seed, scale.of(STEPS))
    axes = dict.fromkeys(("first_rate", "second_rate"), 10 ** np.linspace(LOWEST, LOWEST + DECADES, scale.of(MAP_SIZE)))
    began = time.perf_counter()
    runs = dl.sweep(fit, **axes, lane_width=128, final_state=False, store=scale.store("map")).isel(step=0)
    runs.attrs["runs_per_second"] = runs.trained.size / (time.perf_counter() - began)
    found, devices = {"map": runs}, jax.local_devices()[: scale.of({"quick": 1, "default": None})]
    with ThreadPoolExecutor(len(devices)) as threads:
        for name, counts in SEEDS.items():
            seeds = [int(seed) for seed in scale.seeds(scale.of(counts))]
            jobs = [(seed, name == "tangent", scale, devices[seed % len(devices)]) for seed in seeds]
            found[name] = xr.concat(threads.map(windows, *zip(*jobs, strict=True)), xr.Variable("seed", seeds))
    inside = found["network"].inside
    whole, turns = inside.sel(zoom=1), (inside.astype(int).diff("x") != 0).sum("x").max("y")
    judged = {"turns": turns, "lowest": whole[:, 0, 0], "first": ~whole[:, -1, 0], "second": ~whole[:, 0, -1]}
    return found | {"network": found["network"].assign({name: values * 1.0 for name, values in judged.items()})}


def judge(measured: Mapping[str, xr.Dataset]) -> list[evidence.Verdict]:
    """One verdict for each claim."""
    shares = {each: evidence.share_below(-measured["network"][each].values, -0.5) for each in FLAGS}

    def means(name: str, variable: str) -> list[Evidence]:
        values = measured[name][variable].transpose("zoom", "seed").values
        return [Evidence(f"zoom {zoom}", evidence.mean_interval(row)) for zoom, row in zip(ZOOMS, values, strict=True)]

    border = {
        "low rates train": [Evidence("both layers", shares["lowest"])],
        "high rates diverge": [Evidence(f"{layer} layer", shares[layer]) for layer in ("first", "second")],
        "crossed once": means("network", "turns")[-1:],
    }
    fractal = {"rough": means("network", "dimension"), "control": means("tangent", "dimension")}
    return [evidence.Verdict(claim, parts) for claim, parts in zip(CLAIMS, (border, fractal), strict=True)]


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """The map, windows of the first network and of its tangent, and the counts of boxes."""
    both = {name: measured[name] for name in SEEDS}
    windows, boxes = zooms.windows_figure(both, fates.LABELS), zooms.box_counts_figure(both)
    figures = zip(CAPTIONS.items(), (fates.map_figure(measured["map"]), windows, boxes), strict=True)
    return [Picture(name, caption, figure) for (name, caption), figure in figures]


CAPTIONS = {
    "map": "What becomes of a network within 500 steps at each pair of learning rates; darker is later.",
    "windows": "The border of a network and of its tangent; each window is where the last has most of it.",
    "boxes": "Boxes that meet the border, means over networks. The slope of a line is minus the border's dimension.",
}
ANSWERS = {
    "border": {
        Outcome.CONDITIONAL: "Low rates train, too high a rate of the last layer diverges; one of a layer before tanh "
        "does not, since tanh is bounded. Near the border a higher rate may train where a lower one diverged."
    },
    "fractal": {
        Outcome.CONDITIONAL: "From afar the border looks like a line; looked at nearer, where it is roughest, it is "
        "far from one. If the loss is a quadratic the border is a smooth curve, wherever one looks."
    },
}
PILOTS = (
    "First plan, after pilots on blocks 90 to 99: at random cells of the border 1.15, so its roughest part is judged."
)
SATURATED = "No windows at 64 times: there the border meets every large box, as noise would."
HISTORY = (evidence.Revision(1, "2026-11-26", PILOTS), evidence.Revision(2, "2026-11-26", SATURATED))
PAGES = {"map.html": lambda measured: fates.map_page(measured["map"], QUESTION)}
EXPERIMENT = evidence.Experiment(QUESTION, CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY, PAGES)
