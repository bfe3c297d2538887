"""The data of each work, its sizes, and the accuracy that all libraries have to share."""

import numpy as np

import dlcore as dl
from benchmarks.peers.work import Data, Work

RATES = tuple(np.logspace(-3, 0, 16).tolist())
FEW = tuple((seed, RATES[index]) for seed, index in enumerate((3, 6, 9, 12)))

NETWORKS = Work("mlp", tuple(range(8)), RATES, FEW, batch_size=64, num_epochs=30, margin=0.03)
EIGHT_NETWORKS = NETWORKS._replace(rates=(RATES[9],), margin=0.01)
ONE_NETWORK = NETWORKS._replace(few=((0, RATES[9]),))
SAMPLES = Work("logistic", (0,), (0.01,), ((0, 0.01),), batch_size=1, num_epochs=10_000, margin=0.02, few_epochs=4)
SAMPLES_IN_LANES = SAMPLES._replace(seeds=tuple(range(128)), num_epochs=1000)
IMAGES = Work("cnn", tuple(range(8)), (0.01,), ((0, 0.01),), batch_size=64, num_epochs=4, margin=0.05)
SEQUENCES = Work("lstm", tuple(range(8)), (0.05,), ((0, 0.05),), batch_size=32, num_epochs=2, margin=0.05)

NUM_CLASSES = 10
STUDIES = (1, 2, 8, 128)  # runs of the studies that are compared by their size


def data_of(work: Work) -> Data:
    """Real digits and tumors; images and sequences drawn around a pattern for each class."""
    make = {"mlp": _digits, "logistic": _tumors, "cnn": _images, "lstm": _sequences}[work.network]
    data = make()
    rows = len(data.inputs) // work.batch_size * work.batch_size
    return data._replace(inputs=data.inputs[:rows], labels=data.labels[:rows])


def _digits() -> Data:
    splits = dl.data.digits()
    assert splits.test
    return Data(*map(np.asarray, (*splits.train[:2], *splits.test[:2])))


def _tumors() -> Data:
    train = dl.data.breast_cancer(test=0.0).train
    return Data(*map(np.asarray, (*train[:2], *train[:2])))


def _images() -> Data:
    random = np.random.default_rng(0)
    patterns = np.kron(random.normal(size=(NUM_CLASSES, 8, 8, 3)), np.ones((1, 4, 4, 1)))
    return _around(patterns, num_train=512, num_test=256, random=random)


def _sequences() -> Data:
    random = np.random.default_rng(0)
    patterns = np.repeat(random.normal(size=(NUM_CLASSES, 1, 256)), 64, axis=1)
    return _around(patterns, num_train=256, num_test=64, random=random)


def _around(patterns: np.ndarray, num_train: int, num_test: int, random: np.random.Generator) -> Data:
    labels = random.integers(0, NUM_CLASSES, num_train + num_test).astype(np.int32)
    noise = random.normal(size=(len(labels), *patterns.shape[1:]))
    inputs = (patterns[labels] + noise).astype(np.float32)
    return Data(inputs[:num_train], labels[:num_train], inputs[num_train:], labels[num_train:])
