"""Feed-forward families keep the contract of models."""

from model_contract import Case, ModelContract
from small import labelled_points

import dlcore as dl


class TestFeedForward(ModelContract):
    """Multi-layer perceptrons."""

    CASES = {
        "mlp": Case(
            lambda: dl.tasks.classification(dl.models.mlp([4, 64, 3]), labelled_points(32)), learning_rate=0.05
        ),
    }
