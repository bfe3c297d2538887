"""Arguments of `dl.initializers`."""

EXAMPLES = {
    "by_name": lambda: {"initializer": "he_normal"},
    "gain": lambda: {"activation": "leaky_relu", "slope": 0.2},
    "orthogonal": lambda: {"scale": 2.0},
    "scaled": lambda: {"initializer": "he_normal", "factor": 2.0},
    "uniform": lambda: {"limit": 0.1},
}
