"""Arguments of `dl.models`."""

import jax.numpy as jnp

import dlcore as dl

EXAMPLES = {}

EXAMPLES |= {
    "decomposed": lambda: {
        "modules": [dl.models.linear(2, 1), dl.models.linear(2, 1)],
        "split": lambda x: (x, x),
        "combine": "sum",
    },
    "embedding": lambda: {"backbone": dl.models.linear(4, 2), "num_features": 2, "num_classes": 3},
    "mixture_density": lambda: {
        "num_mixtures": 2,
        "num_units": 2,
        "num_layers": 1,
        "cell": "gru",
        "pen": True,
        "min_deviation": 0.01,
    },
    "mixture_of_experts": lambda: {
        "experts": [dl.models.linear(2, 1), dl.models.linear(2, 1)],
        "gate": dl.models.linear(2, 2),
        "top_k": 1,
    },
    "pretrained": lambda: {"model": dl.models.linear(2, 1), "params": {"kernel": jnp.ones((2, 1))}, "state": {}},
    "probabilistic_embedding": lambda: {
        "backbone": dl.models.linear(4, 2),
        "head": dl.models.linear(2, 2),
        "num_features": 2,
    },
    "recurrent": lambda: {
        "num_inputs": 2,
        "num_units": 2,
        "num_outputs": 2,
        "cell": "simple",
        "num_layers": 2,
        "bidirectional": False,
        "output": "all",
        "num_tokens": 5,
        "padding": 0,
        "stateful": 3,
        "truncation": 2,
        "forget_bias": 1.0,
        "initializer": "lecun_normal",
        "dropout": 0.1,
    },
    "routed": lambda: {
        "modules": [dl.models.linear(2, 1), dl.models.linear(2, 1)],
        "route": lambda x: jnp.zeros(len(x), int),
    },
    "sequence_to_sequence": lambda: {
        "num_source_tokens": 8,
        "num_target_tokens": 8,
        "num_units": 2,
        "embedding_size": 2,
        "cell": "gru",
        "num_layers": 1,
        "attention": "dot",
        "bidirectional": True,
        "dropout": 0.1,
    },
}
