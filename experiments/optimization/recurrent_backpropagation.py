"""How is a network with a loop trained, and how far back does what it learns reach?

Setting: 512 sequences of 12 steps, of which two marked numbers are to be added; 16 recurrent units, Adam on batches of
32, 400 steps, best of four rates by 3 seeds, 12 others judged. Jacobians: 12 untrained networks of 8 units.
Command: `python -m experiments run recurrent_backpropagation`; about 20 s on 2 CPU cores.
Seen: products of Jacobians agree to 1e-14; all steps back, the error is 0.02 of a guess's; cut off, it stays at 1 if
states forget and falls to 0.2 if not: the forward pass carries the past over the cut.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import Check, Claim, Evidence, Experiment, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.evidence.experiments import Measured
from dlcore.plots.style import COLORS, MARKERS

LENGTH, MARKED, WINDOW = 12, 4, 6  # steps of a sequence, of them those with numbers to add, and steps of a block
RATES, STEPS = (0.001, 0.003, 0.01, 0.03), {"quick": 40, "default": 400}
# Part: steps from the last number to the answer (8: before the last block), size of the recurrent matrix at first (a
# state keeps so much of its length in a step; 0.1^8 is nothing), steps that a gradient goes back.
CASES = {
    "far": ((8, 1.0, None), (8, 0.5, None)),
    "near": ((2, 1.0, WINDOW), (2, 0.1, WINDOW)),
    "farther": ((8, 0.1, WINDOW), (8, 1.0, WINDOW)),
}
LABELS = [f"{part}, {size:g}" for part, cases in CASES.items() for _, size, _ in cases]
ACTIVATIONS = ("tanh", "sigmoid", "relu")
below, above, relative = dl.evidence.below, dl.evidence.above, "error, over that of knowing nothing"
UNROLLED = (
    SubClaim("products", "A signal is a product of Jacobians.", "largest relative distance, lags to 19", below(1e-12)),
    SubClaim("copies", "Shared weights get the sum over steps.", "largest relative distance", below(1e-12)),
)
# Who knows one of the two numbers has half the error of who knows none: less takes both.
LEARNS = (SubClaim("far", "It adds numbers 8 steps back.", relative, below(0.5)),)
TRUNCATED = (
    SubClaim("near", "What is nearer is learned.", relative, below(0.5)),
    SubClaim("farther", "What is farther is not.", relative, above(0.9)),
)
CLAIMS = (
    Claim("unrolled", "A loop is unrolled in time: a layer for each step, all with the same weights.", UNROLLED),
    Claim("learns", "Back-propagation through time learns what lies 8 steps back.", LEARNS),
    Claim("truncated", "Truncated, it learns what lies in the steps that it goes back, and no more.", TRUNCATED),
)


def distances(seeds: np.ndarray, activation: str) -> np.ndarray:
    """Of products of Jacobians from the signals of states, of the weights' gradient from the copies' sum: [n, 2]."""

    def one(seed):
        keys = jax.random.split(jax.random.key(seed), 5)
        kernel, recurrent, bias, inputs, last = map(jax.random.normal, keys, ((3, 8), (8, 8), (8,), (4, 20, 3), (4, 8)))
        weights = dl.textbook.Elman(kernel / 3**0.5, recurrent / 8**0.5, 0.1 * bias)
        errors = jnp.zeros((4, 20, 8)).at[:, -1].set(last)
        unrolled = dl.textbook.unrolled_gradients(weights, inputs, errors, activation=activation)
        signals = dl.textbook.carried_back(last, dl.textbook.state_jacobians(weights, inputs, activation=activation))
        shared = dl.textbook.through_time(weights, inputs, errors, activation=activation).gradients
        copies = dl.textbook.gradient_distance(shared, jax.tree.map(lambda leaf: leaf.sum(axis=0), unrolled.weights))
        by_lag = (jnp.linalg.norm(each, axis=(0, 2)) for each in (signals - unrolled.states, unrolled.states))
        return jnp.stack([jnp.divide(*by_lag).max(), copies])

    with jax.enable_x64(True):
        return np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(seeds)))


def network(lag, size, window: int | None) -> dl.Model:
    """16 recurrent units; the sequences that they see end `lag` steps after the last number."""
    model = dl.models.recurrent(2, 16, 1, cell="simple", truncation=window)

    started = dl.models.restarted(model, lambda key, name, w: size * w if name == "recurrent_kernel" else w)

    def apply(params, state, x, *, key=None, train=False):
        return model.apply(params, state, jnp.roll(x, LENGTH - MARKED - lag, axis=1), key=key, train=train)

    return dl.Model(started.init, apply)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Distances by activation and seed; errors of the adding problem by case and seed, at its best rate."""
    seeds, tuning = scale.seeds(scale.of({"quick": 3, "default": 12})), scale.tuning_seeds(3)
    split = dl.data.adding_problem(jax.random.key(scale.first_seed), 2048, length=MARKED)
    inputs = np.pad(np.asarray(split.inputs), ((0, 0), (0, LENGTH - MARKED), (0, 0)))
    data = dl.data.from_arrays(inputs, np.asarray(split.targets)[:, None] - 1, test=0.75)

    def fit(lag, size, window, learning_rate, seed):
        """Whether a recurrent network adds what it saw some steps ago."""
        task = dl.tasks.regression(network(lag, size, window), data)
        options = {"num_steps": scale.of(STEPS), "record_every": scale.of(STEPS) // 4, "evaluate": ("test",)}
        return dl.training(jax.random.key(seed), task, optax.adam(learning_rate), batch_size=32, **options)

    lags, sizes, windows = zip(*(case for cases in CASES.values() for case in cases), strict=True)
    points = dl.points(lag=np.array(lags), size=np.array(sizes), window=list(windows))
    axes = {"learning_rate": np.array(RATES), "seed": np.append(seeds, tuning)}
    runs = dl.sweep(fit, points, **axes, store=scale.store("adding"), progress=False)
    ends = runs.test_loss.sel(seed=tuning).isel(step=-1, drop=True).fillna(np.inf)
    best = ends.mean("seed").argmin("learning_rate")
    guess = float((data.test.targets**2).mean())  # pyright: ignore[reportOptionalMemberAccess]
    errors = (runs.test_loss.sel(seed=seeds).isel(learning_rate=best) / guess).transpose("point", "seed", "step")
    pairs = zip(LABELS, errors.values, strict=True)
    adding = xr.Dataset({label: (("seed", "step"), each) for label, each in pairs}, {"step": errors.step.values})
    adding["guess"] = guess
    exact = [distances(seeds, name) for name in ACTIVATIONS]
    unrolled = xr.Dataset({"distance": (("activation", "seed", "part"), exact)}, {"activation": list(ACTIVATIONS)})
    return {"unrolled": unrolled, "adding": adding}


def judge(measured: Measured) -> list[Verdict]:
    """The verdicts, in the order of the claims."""
    unrolled, adding = measured["unrolled"], measured["adding"]
    found = {part.name: [] for claim in CLAIMS for part in claim.parts}
    for name, distances in zip(map(str, unrolled.activation.values), unrolled.distance.values, strict=True):
        for part, worst in zip(("products", "copies"), distances.max(axis=0), strict=True):
            found[part].append(Evidence(name, dl.evidence.exact(worst), "the worst network's"))
    for part, cases in CASES.items():
        for _, size, _ in cases:
            interval = dl.evidence.mean_interval(adding[f"{part}, {size:g}"].values[:, -1])
            found[part].append(Evidence(f"a state that keeps {size:g} of itself", interval))
    guess = float(adding.guess)  # the variance of two numbers even on [0, 1] is 1 / 6
    checks = {"truncated": [Check("The best guess errs by 1/6.", abs(guess - 1 / 6) < 0.02, f"{guess:.3f}")]}
    return [Verdict(c, {part.name: found[part.name] for part in c.parts}, checks.get(c.name, ())) for c in CLAIMS]


def draw(measured: Measured) -> list[Picture]:
    """Errors of the adding problem."""
    adding = measured["adding"]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    cases = [case for group in CASES.values() for case in group]
    for (lag, size, window), name, *look in zip(cases, LABELS, COLORS, MARKERS, strict=False):
        label = f"numbers {lag} steps back, gradient {window or 'all'} steps, state keeps {size:g}"
        axes.plot(adding.step, adding[name].mean("seed"), color=look[0], marker=look[1], label=label)
    axes.set(xlabel="steps of Adam", ylabel=relative, yscale="log", ylim=(0.005, 20))
    axes.legend(fontsize=8, frameon=False, loc="upper right")
    caption = "Test error of adding two numbers, mean over runs, over that of a guess; knowing one of the two is half."
    return [Picture("adding", caption, figure)]


ANSWERS = {
    "unrolled": {Outcome.SUPPORTED: "Unrolled in time, a loop is a deep network whose layers share their weights."},
    "learns": {Outcome.SUPPORTED: "It learns to use numbers of 8 steps ago, if states at first keep part of them."},
    "truncated": {Outcome.CONDITIONAL: "A gradient that is cut off teaches nothing about earlier steps if states "
                  "forget them. If they keep their past, it is carried over the cut, and the output can read it."},
}  # fmt: skip
DESIGN = {"cases": CASES, "rates": RATES, "steps": STEPS, "length": LENGTH, "networks": 12}
HISTORY = dl.evidence.piloted("2026-11-26", "A larger rate, as some were best at the edge.")
EXPERIMENT = Experiment((__doc__ or "").splitlines()[0], CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
