"""Studies whose bits are compared between numbers of devices: `case` gives one, a function of seed and rate."""

import functools
import hashlib

import jax
import numpy as np
import optax
import small
from optax import contrib

import dlcore as dl


def study(task, optimizer, batch_size):
    """The function of trainings."""

    def fit(seed, learning_rate, mesh=None):
        options = {"batch_size": batch_size, "num_steps": 4, "record_every": 2, "mesh": mesh}
        return dl.training(jax.random.key(seed), task, optimizer(learning_rate), **options)

    return fit


@functools.cache
def digits():
    """Rows of 64 numbers."""
    return dl.data.first(dl.data.digits(validation=0), 600)


def images():
    """The same, as images or series [8, 8]."""
    return dl.data.Dataset((digits().train.inputs.reshape(-1, 8, 8), digits().train.targets))


def classify(model, data=digits):
    """A classification task."""
    return dl.tasks.classification(model, data())


def wide():
    """Layers whose products XLA would split."""
    return classify(dl.models.mlp([64, 256, 10]))


def narrow():
    """One with few units."""
    return classify(dl.models.mlp([64, 16, 10]))


def batch_norm():
    """One whose examples depend on each other."""
    return classify(dl.models.mlp([64, 32, 10], normalization="batch", dropout=0.2))


def experts():
    """A mixture of two."""
    return classify(dl.models.mixture_of_experts([dl.models.mlp([64, 8, 10])] * 2, dl.models.linear(64, 2)))


def radial_basis():
    """Learned centers."""
    points = small.labeled_points()
    return dl.tasks.classification(dl.models.radial_basis(points.train.inputs[:4], 1.0, 3, learned=True), points)


def embedding():
    """By triplets."""
    model = dl.models.embedding(dl.models.mlp([4, 8]), 8)
    return dl.tasks.embedding(model, small.labeled_points(), dl.losses.triplet)


def translation():
    """Of dates."""
    dates = dl.data.dates(jax.random.key(0), 24)
    model = dl.models.sequence_to_sequence(128, 128, num_units=8, embedding_size=4)
    return dl.tasks.translation(model, dl.data.Dataset((dates.inputs, dl.data.framed(dates.targets))))


def strokes():
    """Straight ones."""
    ways = dl.data.Dataset((np.cumsum(np.ones((24, 5, 2), np.float32), axis=1), np.zeros(24, int)))
    return dl.tasks.strokes(dl.models.mixture_density(2, num_units=4), ways)


def detection():
    """Of digits."""
    pictures = dl.data.scattered_digits(jax.random.key(0), 24, canvas_size=16, max_digits=2)
    return dl.tasks.detection(dl.models.grid_detector((16, 16), 10, channels=[4, 8]), dl.data.Dataset(pictures))


def clipped(learning_rate):
    """Momentum below a bound that many gradients reach."""
    return optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(learning_rate, momentum=0.9))


CASES = {
    "wide_adam": (wide, optax.adam, 512),
    "batch_norm_adam": (batch_norm, optax.adam, 64),
    "wide_full_batch": (wide, optax.adam, "full"),
    "linear": (lambda: dl.tasks.regression(dl.models.linear(3), small.noisy_line()), optax.adam, 4),
    "convolutional": (lambda: classify(dl.models.convolutional((8, 8), [8, 24], 10), images), optax.adam, 64),
    "resnet": (lambda: classify(dl.models.resnet((8, 8), 10, depth=8, width=4), images), optax.adam, 32),
    "recurrent": (lambda: classify(dl.models.recurrent(8, 16, 10), images), optax.adam, 32),
    "autoencoder": (lambda: dl.tasks.reconstruction(dl.models.autoencoder([64, 16, 4]), digits()), optax.adam, 64),
    "mixture_of_experts": (experts, optax.adam, 32),
    "muon": (wide, contrib.muon, 64),
    "schedule_free": (narrow, lambda rate: contrib.schedule_free_adamw(rate, warmup_steps=2), 64),
    "clipping": (wide, clipped, 64),
    "radial_basis": (radial_basis, optax.adam, 6),
    "embedding": (embedding, optax.adam, 8),
    "sequence_to_sequence": (translation, optax.adam, 8),
    "mixture_density": (strokes, optax.adam, 8),
    "grid_detector": (detection, optax.adam, 8),
}


@functools.cache
def case(name):
    """The study of that name; each process makes only those that it computes."""
    task, optimizer, batch_size = CASES[name]
    return study(task(), optimizer, batch_size)


def hashed(name):
    """SHA-256 of all results of six cells."""
    axes = {"seed": np.arange(3), "learning_rate": np.array([0.01, 0.03])}
    results = dl.sweep(case(name), final_params=True, **axes)
    all_bits = b"".join(results[variable].values.tobytes() for variable in sorted(results.data_vars))
    return f"{name} {hashlib.sha256(all_bits).hexdigest()}"
