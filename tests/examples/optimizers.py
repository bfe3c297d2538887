"""Arguments of `dl.optimizers`."""

import jax.numpy as jnp
import optax

import dlcore as dl

PARAMS = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
AVERAGE = dl.optimizers.average_parameters()

EXAMPLES = {
    "average_parameters": lambda: {"decay": 0.9, "start": 5},
    "averaged": lambda: {"state": dl.State(jnp.zeros((), int), PARAMS, {}, AVERAGE.init(PARAMS))},
    "by_name": lambda: {"name": "sgd", "learning_rate": 0.1, "clip": "value", "clip_at": 1.0},
    "inverse_time": lambda: {"learning_rate": 0.1, "decay_steps": 10.0},
    "lookahead": lambda: {
        "fast_optimizer": optax.sgd(0.1),
        "sync_period": 5,
        "slow_step_size": 0.5,
        "reset_state": False,
    },
    "step_decay": lambda: {"learning_rate": 0.1, "every": 10, "factor": 0.1},
    "warm_up": lambda: {"schedule": optax.constant_schedule(0.1), "num_steps": 5},
}
