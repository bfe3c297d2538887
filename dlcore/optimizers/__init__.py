"""What optax lacks: optimizers by name, schedules of traced numbers, averages of the parameters."""

from dlcore.optimizers.averages import average_parameters, averaged, lookahead
from dlcore.optimizers.named import CLIPPINGS, OPTIMIZERS, by_name
from dlcore.optimizers.schedules import inverse_time, step_decay, warm_up

__all__ = [
    "CLIPPINGS",
    "OPTIMIZERS",
    "average_parameters",
    "averaged",
    "by_name",
    "inverse_time",
    "lookahead",
    "step_decay",
    "warm_up",
]
