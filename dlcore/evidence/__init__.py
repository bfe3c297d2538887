"""How results are judged: intervals, convergence, claims."""

from dlcore.evidence.claims import Claim, Evidence, Experiment, Outcome, Verdict
from dlcore.evidence.convergence import Scaling, Tuned, fit_scaling, seconds_per_step, steps_to_target, tune
from dlcore.evidence.intervals import Interval, mean_interval, paired_difference, paired_ratio, slope_interval

__all__ = [
    "Claim",
    "Evidence",
    "Experiment",
    "Interval",
    "Outcome",
    "Scaling",
    "Tuned",
    "Verdict",
    "fit_scaling",
    "mean_interval",
    "paired_difference",
    "paired_ratio",
    "seconds_per_step",
    "slope_interval",
    "steps_to_target",
    "tune",
]
