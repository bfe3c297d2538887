"""How results are judged: intervals, convergence, claims."""

from dlcore.evidence.agreement import agreement
from dlcore.evidence.arrival import arrival
from dlcore.evidence.box_counting import BoxCounts, border_cells, box_counting_dimension, box_counts, densest_window
from dlcore.evidence.claims import (
    Check,
    Claim,
    Evidence,
    Outcome,
    Region,
    SubClaim,
    Verdict,
    above,
    below,
    conjunction,
    within,
)
from dlcore.evidence.comparing import at_own_rates
from dlcore.evidence.convergence import steps_to_target
from dlcore.evidence.experiments import Experiment, Picture, Scale, piloted
from dlcore.evidence.gradient_cost import gradient_cost
from dlcore.evidence.intervals import (
    Interval,
    exact,
    geometric_mean_interval,
    mean_interval,
    paired_difference,
    resampled_interval,
    undetermined,
)
from dlcore.evidence.plans import Plan, Revision, verdict_json
from dlcore.evidence.products import product
from dlcore.evidence.ratios import paired_ratio
from dlcore.evidence.scaling import Scaling, critical_batch_size, fit_scaling
from dlcore.evidence.shares import share_below, share_difference, share_interval
from dlcore.evidence.slopes import exact_slope, slopes_interval
from dlcore.evidence.timing import seconds_per_call, seconds_per_step
from dlcore.evidence.tuning import Tuned, tune
from dlcore.evidence.zooms import zoom_into_border

__all__ = [
    "BoxCounts",
    "Check",
    "Claim",
    "Evidence",
    "Experiment",
    "Interval",
    "Outcome",
    "Picture",
    "Plan",
    "Region",
    "Revision",
    "Scale",
    "Scaling",
    "SubClaim",
    "Tuned",
    "Verdict",
    "above",
    "agreement",
    "arrival",
    "at_own_rates",
    "below",
    "border_cells",
    "box_counting_dimension",
    "box_counts",
    "conjunction",
    "critical_batch_size",
    "densest_window",
    "exact",
    "exact_slope",
    "fit_scaling",
    "geometric_mean_interval",
    "gradient_cost",
    "mean_interval",
    "paired_difference",
    "paired_ratio",
    "piloted",
    "product",
    "resampled_interval",
    "seconds_per_call",
    "seconds_per_step",
    "share_below",
    "share_difference",
    "share_interval",
    "slopes_interval",
    "steps_to_target",
    "tune",
    "undetermined",
    "verdict_json",
    "within",
    "zoom_into_border",
]
