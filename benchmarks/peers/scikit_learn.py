"""The work by scikit-learn, in its own words: no clipping, no evaluation after each epoch; 64-bit numbers for SGD."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

from benchmarks.peers.work import MOMENTUM, PENALTY, Data, Finished, Side, Work, steps


def networks(work: Work, data: Data) -> Callable[[], Finished]:
    """The few runs, one after the other."""
    options: dict[str, Any] = {"solver": "sgd", "momentum": MOMENTUM, "nesterovs_momentum": False, "alpha": 0.0}
    options |= {"batch_size": work.batch_size, "max_iter": work.num_epochs, "tol": 0.0, "n_iter_no_change": 10**6}
    classifier: Any = MLPClassifier

    def run():
        accuracies = []
        for seed, rate in work.few:
            model = classifier((128,), learning_rate_init=rate, random_state=seed, **options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(data.inputs, data.labels)
            accuracies.append((rate, float(model.score(data.test_inputs, data.test_labels))))
        return Finished(accuracies, steps(work, data))

    return run


def logistic(work: Work, data: Data) -> Callable[[], Finished]:
    """Single-sample SGD."""
    inputs, labels = data.inputs.astype(np.float64), data.labels
    seed, rate = work.few[0]
    options = {"learning_rate": "constant", "eta0": rate, "max_iter": work.num_epochs, "tol": None}
    classifier: Any = SGDClassifier

    def run():
        model = classifier(loss="log_loss", alpha=PENALTY, random_state=seed, **options).fit(inputs, labels)
        return Finished([(rate, float(model.score(inputs, labels)))], steps(work, data))

    return run


SIDES: dict[str, Side] = {"one": networks, "start": networks, "logistic": logistic}
