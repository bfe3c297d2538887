"""What textbooks write out by hand."""

from dlcore.textbook.backpropagation import (
    Elman,
    ThroughLayers,
    ThroughTime,
    elman_states,
    through_layers,
    through_time,
)
from dlcore.textbook.cuts import best_line, best_stretches, best_tree
from dlcore.textbook.descent import descent_path
from dlcore.textbook.differences import central_differences, gradient_distance
from dlcore.textbook.problems import Problem, over_problems, random_problems
from dlcore.textbook.regression import reduced_rank_regression
from dlcore.textbook.sawtooth import sawtooth, sawtooth_params
from dlcore.textbook.unrolling import Unrolled, carried_back, state_jacobians, unrolled_gradients

__all__ = [
    "Elman",
    "Problem",
    "ThroughLayers",
    "ThroughTime",
    "Unrolled",
    "best_line",
    "best_stretches",
    "best_tree",
    "carried_back",
    "central_differences",
    "descent_path",
    "elman_states",
    "gradient_distance",
    "over_problems",
    "random_problems",
    "reduced_rank_regression",
    "sawtooth",
    "sawtooth_params",
    "state_jacobians",
    "through_layers",
    "through_time",
    "unrolled_gradients",
]
