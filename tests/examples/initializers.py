"""Arguments of `dl.initializers`."""

EXAMPLES = {
    "by_name": lambda: {"initializer": "he_normal"},
    "constant": lambda: {"value": 0.5},
    "gain": lambda: {"activation": "leaky_relu", "slope": 0.2},
    "normal": lambda: {"stddev": 0.1},
    "orthogonal": lambda: {"scale": 2.0},
    "scaled": lambda: {"initializer": "he_normal", "factor": 2.0},
    "uniform": lambda: {"limit": 0.1},
}
