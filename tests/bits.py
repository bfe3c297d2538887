"""Studies whose bits are compared between numbers of devices; each a function of seed and learning rate."""

import jax
import numpy as np
import optax
import small
from optax import contrib

import dlcore as dl

DIGITS = dl.data.first(dl.data.digits(validation=0), 600)
IMAGES = dl.data.Dataset((DIGITS.train.inputs.reshape(-1, 8, 8), DIGITS.train.targets))


def study(task, optimizer, batch_size):
    """The function of trainings."""

    def fit(seed, learning_rate, mesh=None):
        options = {"batch_size": batch_size, "num_steps": 4, "record_every": 2, "mesh": mesh}
        return dl.training(jax.random.key(seed), task, optimizer(learning_rate), **options)

    return fit


def classify(model, data=DIGITS):
    """A classification task."""
    return dl.tasks.classification(model, data)


WIDE = classify(dl.models.mlp([64, 256, 10]))
SMALL = classify(dl.models.mlp([64, 16, 10]))
SERIES = dl.data.Dataset((DIGITS.train.inputs.reshape(-1, 8, 8), DIGITS.train.targets))

EXPERTS = dl.models.mixture_of_experts([dl.models.mlp([64, 8, 10])] * 2, dl.models.linear(64, 2))

POINTS = small.labeled_points()
DATES = dl.data.dates(jax.random.key(0), 24)
FRAMED = dl.data.Dataset((DATES.inputs, dl.data.framed(DATES.targets)))
TRANSLATOR = dl.models.sequence_to_sequence(128, 128, num_units=8, embedding_size=4)
WAYS = dl.data.Dataset((np.cumsum(np.ones((24, 5, 2), np.float32), axis=1), np.zeros(24, int)))
PICTURES = dl.data.Dataset(dl.data.scattered_digits(jax.random.key(0), 24, canvas_size=16, max_digits=2))

CASES = {
    "wide_adam": study(WIDE, optax.adam, 512),
    "batch_norm_adam": study(classify(dl.models.mlp([64, 32, 10], normalization="batch", dropout=0.2)), optax.adam, 64),
    "wide_full_batch": study(WIDE, optax.adam, "full"),
    "linear": study(dl.tasks.regression(dl.models.linear(3), small.noisy_line()), optax.adam, 4),
    "convolutional": study(classify(dl.models.convolutional((8, 8), [8, 24], 10), IMAGES), optax.adam, 64),
    "resnet": study(classify(dl.models.resnet((8, 8), 10, depth=8, width=4), IMAGES), optax.adam, 32),
    "recurrent": study(classify(dl.models.recurrent(8, 16, 10), SERIES), optax.adam, 32),
    "autoencoder": study(dl.tasks.reconstruction(dl.models.autoencoder([64, 16, 4]), DIGITS), optax.adam, 64),
    "mixture_of_experts": study(
        classify(dl.models.mixture_of_experts([dl.models.mlp([64, 8, 10])] * 2, dl.models.linear(64, 2))),
        optax.adam,
        32,
    ),
    "muon": study(WIDE, contrib.muon, 64),
    "schedule_free": study(SMALL, lambda rate: contrib.schedule_free_adamw(rate, warmup_steps=2), 64),
    "clipping": study(
        WIDE, lambda rate: optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(rate, momentum=0.9)), 64
    ),
    "radial_basis": study(
        classify(dl.models.radial_basis(POINTS.train.inputs[:4], 1.0, 3, learned=True), POINTS), optax.adam, 6
    ),
    "embedding": study(
        dl.tasks.embedding(dl.models.embedding(dl.models.mlp([4, 8]), 8), POINTS, dl.losses.triplet), optax.adam, 8
    ),
    "sequence_to_sequence": study(dl.tasks.translation(TRANSLATOR, FRAMED), optax.adam, 8),
    "mixture_density": study(dl.tasks.strokes(dl.models.mixture_density(2, num_units=4), WAYS), optax.adam, 8),
    "grid_detector": study(
        dl.tasks.detection(dl.models.grid_detector((16, 16), 10, channels=[4, 8]), PICTURES), optax.adam, 8
    ),
}
