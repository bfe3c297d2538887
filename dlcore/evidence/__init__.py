"""How results are judged: intervals, convergence, claims."""

from dlcore.evidence.agreement import agreement
from dlcore.evidence.arrival import arrival
from dlcore.evidence.claims import (
    Check,
    Claim,
    Evidence,
    Experiment,
    Outcome,
    Region,
    SubClaim,
    Verdict,
    above,
    below,
    conjunction,
    within,
)
from dlcore.evidence.convergence import steps_to_target
from dlcore.evidence.intervals import (
    Interval,
    exact,
    geometric_mean_interval,
    mean_interval,
    paired_difference,
    undetermined,
)
from dlcore.evidence.plans import Plan, Revision, verdict_json
from dlcore.evidence.products import product
from dlcore.evidence.ratios import paired_ratio
from dlcore.evidence.scaling import Scaling, critical_batch_size, fit_scaling
from dlcore.evidence.shares import share_difference, share_interval
from dlcore.evidence.slopes import exact_slope, slopes_interval
from dlcore.evidence.timing import seconds_per_step
from dlcore.evidence.tuning import Tuned, tune

__all__ = [
    "Check",
    "Claim",
    "Evidence",
    "Experiment",
    "Interval",
    "Outcome",
    "Plan",
    "Region",
    "Revision",
    "Scaling",
    "SubClaim",
    "Tuned",
    "Verdict",
    "above",
    "agreement",
    "arrival",
    "below",
    "conjunction",
    "critical_batch_size",
    "exact",
    "exact_slope",
    "fit_scaling",
    "geometric_mean_interval",
    "mean_interval",
    "paired_difference",
    "paired_ratio",
    "product",
    "seconds_per_step",
    "share_difference",
    "share_interval",
    "slopes_interval",
    "steps_to_target",
    "tune",
    "undetermined",
    "verdict_json",
    "within",
]
