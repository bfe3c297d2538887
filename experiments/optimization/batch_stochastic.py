"""How do batch and stochastic gradient descent converge?

Setting: plain SGD, batches of one example to all, on least squares (442 examples), logistic regression (569), a noisy
quadratic (1000), drawn data (512), a 64-128-10 network (1258 digits). Rates, schedules: tuned by batch size on 16
seeds; 16 others judged.
Command: `python -m experiments run batch_stochastic`; seconds where `make convergence` has measured the same plan
on the same seeds, whose results it reads; else the main job runs here, about 3 minutes on 2 CPU cores.
Seen: batch descent is exact and stochastic descent is not, but neither is faster, or better, everywhere.
"""

import pathlib
from collections.abc import Mapping, Sequence

import xarray as xr
from rich.console import Console

from benchmarks.__main__ import studies_of
from benchmarks.convergence import design, job, output
from benchmarks.convergence import parts as main_job
from dlcore.evidence import Claim, Experiment, Outcome, Picture, Scale, Verdict

OUTPUT = pathlib.Path("results/convergence")
SHOWN = ("convergence", "batch_size_scaling", "escape_shares")

DESIGN = {"as the main job does on its first block": design.plan(main_job.Scale()).digest}


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """The measurements of the main job on that block of seeds, by "part/name"; at "quick" those of its quick form."""
    job_scale = (main_job.QUICK if scale.name == "quick" else main_job.Scale())._replace(block=scale.block)
    parts = output.read(OUTPUT, job_scale) if scale.studies else None  # nothing kept: to reproduce is to measure
    if parts is None:
        kept = job_scale._replace(studies=scale.studies and studies_of(OUTPUT))
        parts = job.measure(kept, Console(quiet=True)).parts
    return {f"{part}/{name}": data for part, measured in parts.items() for name, data in measured.items()}


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """Those of the main job."""
    verdicts = [verdict for part in design.PARTS for verdict in part.judge(_of(measured, part.name))]
    return sorted((each for each in verdicts if each.claim.name in job.CLAIMS), key=lambda each: each.claim.name)


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Three of its figures."""
    pictures: Sequence[main_job.Picture] = [
        picture for part in design.PARTS for picture in part.draw(_of(measured, part.name))
    ]
    return [Picture(each.name, each.caption, each.figure) for each in pictures if each.name in SHOWN]


def _of(measured: Mapping[str, xr.Dataset], part: str) -> dict[str, xr.Dataset]:
    return {name.partition("/")[2]: data for name, data in measured.items() if name.startswith(f"{part}/")}


CLAIMS: tuple[Claim, ...] = tuple(
    sorted(
        (claim for part in design.PARTS for claim in part.claims if claim.name in job.CLAIMS),
        key=lambda claim: claim.name,
    )
)
ANSWERS = {
    "a": {
        Outcome.SUPPORTED: "Yes. A step of batch descent uses the gradient of all examples, one of stochastic descent "
        "that of one example, which is right on average and far off each time."
    },
    "b": {
        Outcome.CONDITIONAL: "A step over all examples is expensive. But a good answer can cost fewer examples or less "
        "time that way: where few steps with a large rate are enough, and where the noise of single examples has to be "
        "averaged out."
    },
    "c": {
        Outcome.SUPPORTED: "Yes. Ten times the examples make a step of batch descent ten times as expensive; what "
        "stochastic descent needs to get there hardly depends on how many there are."
    },
    "d": {
        Outcome.SUPPORTED: "Yes. Batch descent gives the same each time; stochastic descent depends on the order, and "
        "repeats to the bit when its seed is the same."
    },
    "e": {
        Outcome.CONDITIONAL: "At a constant rate stochastic descent stops at a floor, the higher the rate. With a rate "
        "that falls as one over the time it comes as close to the best as one likes."
    },
    "f": {
        Outcome.CONDITIONAL: "Examples sorted by class harm a network badly, and one convex problem, another hardly. "
        "Batch descent does not notice. To shuffle once is as good as each epoch."
    },
    "g": {
        Outcome.CONDITIONAL: "At a rate that batch descent can stand, noise makes stochastic descent leave a shallow "
        "minimum that batch descent stays in. At a rate that is too large for the minimum batch descent leaves it, too."
    },
    "h": {
        Outcome.CONDITIONAL: "In examples, mostly, and by far where all examples can be fitted at once. In seconds it "
        "depends: many small steps use the machine badly."
    },
}
EXPERIMENT = Experiment(
    "How do batch and stochastic gradient descent converge?",
    CLAIMS,
    DESIGN,
    measure,
    judge,
    draw,
    ANSWERS,
    design.HISTORY,
)
