"""Arguments of `dl.optimizers`."""

import dlcore as dl

EXAMPLES = {
    "by_name": lambda: {"name": "sgd", "learning_rate": 0.1, "clip": "value", "clip_at": 1.0},
    "constant": lambda: {"learning_rate": 0.1},
    "cosine": lambda: {"learning_rate": 0.1, "num_steps": 10},
    "exponential": lambda: {"learning_rate": 0.1, "decay_steps": 10, "factor": 0.5},
    "inverse_time": lambda: {"learning_rate": 0.1, "decay_steps": 10.0},
    "step_decay": lambda: {"learning_rate": 0.1, "every": 10, "factor": 0.1},
    "warm_up": lambda: {"schedule": dl.optimizers.constant(0.1), "num_steps": 5},
}
