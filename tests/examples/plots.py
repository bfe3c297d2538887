"""Arguments of `dl.plots`."""

import numpy as np

import dlcore as dl

EXAMPLES = {
    "samples": lambda: {
        "data": dl.data.from_arrays(np.eye(4, 2), np.array([0, 1, 1, 0])),
        "split": "train",
        "num_rows": 2,
        "kind": "points",
    },
}
