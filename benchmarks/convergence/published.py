"""DeepOBS' published runs on its noisy quadratic, next to ours over many partitions of the examples into batches."""

import jax
import numpy as np
import optax
import pandas as pd
import xarray as xr
from scipy import stats

import dlcore as dl
from benchmarks.convergence.parts import LANE_WIDTH, Scale
from benchmarks.convergence.problems import PROBLEMS
from dlcore.evidence.claims import Claim, Evidence, SubClaim, Verdict, within
from dlcore.evidence.intervals import Interval, exact, undetermined

# Schneider, Balles and Hennig, DeepOBS, ICLR 2019: baselines of quadratic_deep with SGD; one run each. The rates are
# those of its grid, 10^-3, 10^-1.8 and 10^-1.4, written there as 0.001, 0.015849 and 0.03981.
SLOW, BEST, DIVERGING = LEARNING_RATES = (1e-3, 10**-1.8, 10**-1.4)
INITIAL_LOSS = 353.446764
AFTER_1_EPOCH = 105.445
AFTER_100_EPOCHS = {BEST: 87.5182, SLOW: 95.8527}
LATE_GROWTH = 1.2414

NUM_EPOCHS, BATCH_SIZE, STEPS_PER_EPOCH = 100, 128, 7
PARTITIONS_PER_SEED, PARTITIONS_PER_SEED_QUICK = 4, 2
LATE_EPOCHS = (48, 52)  # the last before float32 overflows
EARLY_EPOCHS = 20  # along the steepest direction the growth is there from the first epoch on
SAME_START = 1e-5  # relative; float32 resolves 1e-7
SAME_LOSS = 0.2  # %; batches that are drawn anew each epoch end 0.3 % lower
SAME_GROWTH = 1e-3
COVERED = 0.95

CLAIM = Claim(
    "published",
    "The runs on DeepOBS' noisy quadratic are the published ones.",
    (
        SubClaim(
            "start",
            "The initial test loss is the published one.",
            "relative difference of the initial test loss from the published one, of the run that is farthest off",
            within(-SAME_START, SAME_START),
            "off by {}, relatively",
        ),
        SubClaim(
            "same",
            "Our runs in the published setting end at the published loss.",
            f"predicted test loss of a partition after {NUM_EPOCHS} epochs, minus published, in % of it",
            within(-SAME_LOSS, SAME_LOSS),
            "off by {} %",
        ),
        SubClaim(
            "predicted",
            "The published value is one that a partition of the examples into batches gives: it lies in the "
            f"{COVERED:.0%} prediction interval.",
            "published minus predicted, in half widths of the prediction interval",
            within(-1, 1),
            "{} half widths",
        ),
        SubClaim(
            "growth",
            f"At the rate {DIVERGING:.4g} the loss along the steepest direction grows by (1 - rate x curvature)^2 a "
            "step.",
            "relative difference of the logarithm of the growth from theory, the partition that is farthest off",
            within(-SAME_GROWTH, SAME_GROWTH),
            "off by {}, relatively",
        ),
    ),
)


def measure(scale: Scale) -> xr.Dataset:
    """Batches of 128, the same in each epoch, 100 epochs; a seed is a partition of the examples into batches.

    Returns:
      test_loss: dims (learning_rate, seed, step), and `steepest`, the parameter along the largest curvature. attrs:
      largest_curvature.
    """
    problem = PROBLEMS["noisy_quadratic"]()
    assert problem.hessian_eigenvalues is not None, "it is a quadratic"
    curvature = float(problem.hessian_eigenvalues[-1])
    # The parameters are coordinates in the eigenbasis: one unit away from the minimizer in each, the gradient is the
    # eigenvalues.
    gradient = jax.jit(jax.grad(lambda params: problem.task.objective(params, {}, problem.task.data.train)[0]))
    steepest = int(np.argmax(gradient(problem.minimizer + 1)))

    def fit(learning_rate, seed):
        """DeepOBS' runs on the noisy quadratic."""
        return dl.training(
            jax.random.key(seed),
            problem.task,
            optax.sgd(learning_rate),
            batch_size=BATCH_SIZE,
            num_epochs=NUM_EPOCHS,
            evaluate=("test",),
            sampling="shuffle_once",
            observe={"steepest": lambda seen: seen.state.params[steepest]},
        )

    partitions = PARTITIONS_PER_SEED_QUICK if scale.quick else PARTITIONS_PER_SEED
    seeds = scale.first_seed + np.arange(partitions * scale.num_seeds)
    study = dl.study(fit, learning_rate=np.array(LEARNING_RATES), seed=seeds)
    kept = {"store": scale.store("theory", "published"), "final_state": False}
    history = dl.sweep(study, lane_width=LANE_WIDTH, progress=False, **kept)
    measured = history[["test_loss", "steepest"]].astype(float)
    measured.attrs = {"largest_curvature": curvature}
    return measured


def judge(measured: xr.Dataset) -> Verdict:
    """Each published number against the partitions."""
    start = measured.test_loss.isel(step=0).values.ravel() / INITIAL_LOSS - 1
    late = quantile_interval(late_growth(measured))
    predictions = {rate: _predicted(measured, rate) for rate in AFTER_100_EPOCHS}
    evidence = {
        "start": [Evidence("all runs", _farthest(start))],
        "same": [
            Evidence(_at(rate), _difference(prediction, AFTER_100_EPOCHS[rate]), _text(prediction))
            for rate, prediction in predictions.items()
        ],
        "predicted": [
            *(
                Evidence(_at(rate), _position(AFTER_100_EPOCHS[rate], prediction), _text(prediction))
                for rate, prediction in predictions.items()
            ),
            Evidence(f"late growth at {DIVERGING:.4g}", _position(LATE_GROWTH, late), _text(late)),
        ],
        "growth": [Evidence(_at(DIVERGING), _farthest(_steepest_growth(measured)))],
    }
    return Verdict(CLAIM, evidence)


def _at(rate: float) -> str:
    return f"rate {rate:.4g}"


def _text(prediction: Interval) -> str:
    if prediction.bound == "none":
        return ""
    low, middle, high = (f"{value:.6g}" for value in (prediction.low, prediction.estimate, prediction.high))
    return f"predicted {middle} [{low}, {high}], {prediction.count} partitions"


def _losses(measured: xr.Dataset, rate: float, epoch: int) -> np.ndarray:
    """Test losses of the partitions, [n]."""
    return measured.test_loss.sel(learning_rate=rate, method="nearest").isel(step=epoch).values


def _predicted(measured: xr.Dataset, rate: float) -> Interval:
    """What the published run should end at: given its loss after the first epoch, where that was published."""
    last = _losses(measured, rate, NUM_EPOCHS)
    if rate == BEST:
        return prediction_interval(last, given=_losses(measured, rate, 1), at=AFTER_1_EPOCH)
    return prediction_interval(last)


def prediction_interval(values: np.ndarray, *, given: np.ndarray | None = None, at: float = 0.0) -> Interval:
    """Where one more value lies, of normal values [n]; by linear regression on `given` [n], where it is `at`."""
    columns = [np.ones(len(values))] + ([] if given is None else [given - at])
    design = np.column_stack(columns)
    freedom = len(values) - design.shape[1]
    if freedom < 1 or not (np.isfinite(values).all() and np.isfinite(design).all()):
        return undetermined("too few partitions, or some are not finite", len(values))
    found = np.linalg.lstsq(design, values, rcond=None)[0]
    variance = float(np.sum((values - design @ found) ** 2)) / freedom
    if np.linalg.matrix_rank(design) < design.shape[1] or not variance > 0:
        return undetermined("the partitions do not differ", len(values))
    # The value is predicted at the point (1, 0) of the design.
    spread = np.sqrt(variance * (1 + np.linalg.inv(design.T @ design)[0, 0]))
    law = stats.t(freedom, float(found[0]), float(spread))
    return _of_law(law, len(values))


def _of_law(law, count: int) -> Interval:
    low, high = (float(edge) for edge in law.interval(COVERED))
    return Interval(
        float(law.median()), low, high, count, COVERED, tails=lambda x: (float(law.cdf(x)), float(law.sf(x)))
    )


def quantile_interval(values: np.ndarray) -> Interval:
    """The central part of values [n] of any distribution, around their median."""
    if len(values) < 3 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return undetermined("too few partitions, some not finite, or all the same", len(values))
    low, middle, high = np.quantile(values, [(1 - COVERED) / 2, 0.5, (1 + COVERED) / 2])
    return Interval(float(middle), float(low), float(high), len(values), COVERED)


def _difference(prediction: Interval, published: float) -> Interval:
    """Predicted minus published, in % of the published value."""
    if prediction.bound == "none":
        return prediction
    estimate, low, high = (
        100 * (value / published - 1) for value in (prediction.estimate, prediction.low, prediction.high)
    )
    return Interval(
        estimate,
        low,
        high,
        prediction.count,
        prediction.level,
        tails=lambda x: prediction.tails(published * (1 + x / 100)),
    )


def _position(published: float, prediction: Interval) -> Interval:
    """Where the published value lies: -1 and 1 are the ends of the prediction interval. One number, of one value."""
    if prediction.bound == "none":
        return prediction
    low, high = prediction.low, prediction.high
    return exact((published - (low + high) / 2) / ((high - low) / 2))


def late_growth(measured: xr.Dataset) -> np.ndarray:
    """Growth of the test loss per step before it overflows, [n]."""
    first, last = LATE_EPOCHS
    with np.errstate(all="ignore"):
        ratio = _losses(measured, DIVERGING, last) / _losses(measured, DIVERGING, first)
        return ratio ** (1 / (STEPS_PER_EPOCH * (last - first)))


def _steepest_growth(measured: xr.Dataset) -> np.ndarray:
    """Relative difference from theory of the logarithm of the growth along the steepest direction, [n].

    An epoch of fixed batches is one affine map, so what successive epochs add grows by exactly its slope.
    """
    rate = float(measured.learning_rate.sel(learning_rate=DIVERGING, method="nearest"))
    moved = measured.steepest.sel(learning_rate=rate).transpose("seed", "step").diff("step").values
    steps = STEPS_PER_EPOCH * (EARLY_EPOCHS - 1)
    with np.errstate(all="ignore"):
        growth = 2 * np.log(np.abs(moved[:, EARLY_EPOCHS - 1] / moved[:, 0])) / steps
    return growth / (2 * np.log(abs(1 - rate * measured.attrs["largest_curvature"]))) - 1


def _farthest(differences: np.ndarray) -> Interval:
    """The difference [n] that is farthest from 0."""
    if not len(differences) or not np.isfinite(differences).all():
        return undetermined("no run, or some are not finite", len(differences))
    return exact(float(differences[np.argmax(np.abs(differences))]))


def table(measured: xr.Dataset) -> pd.DataFrame:
    """The published numbers next to the partitions', with their relative difference."""
    curvature = measured.attrs["largest_curvature"]
    rows = [("test loss at the start", INITIAL_LOSS, _losses(measured, BEST, 0))]
    rows += [(f"test loss after 1 epoch, {_at(BEST)}", AFTER_1_EPOCH, _losses(measured, BEST, 1))]
    rows += [
        (f"test loss after {NUM_EPOCHS} epochs, {_at(rate)}", value, _losses(measured, rate, NUM_EPOCHS))
        for rate, value in AFTER_100_EPOCHS.items()
    ]
    theory = (1 - DIVERGING * curvature) ** 2
    rows += [(f"late growth per step, {_at(DIVERGING)} (theory {theory:.5g})", LATE_GROWTH, late_growth(measured))]
    return pd.DataFrame(
        [
            {
                "quantity": quantity,
                "published": f"{value:.6g}",
                "mean of partitions": f"{np.mean(values):.6g}",
                "standard deviation of partitions": f"{np.std(values, ddof=1):.2g}" if len(values) > 1 else "",
                "difference": f"{np.mean(values) / value - 1:+.2%}",
            }
            for quantity, value, values in rows
        ]
    )
