"""Studies whose bits are compared between numbers of devices; each a function of seed and learning rate."""

import jax
import optax
import small
from optax import contrib

import dlcore as dl

DIGITS = dl.data.first(dl.data.digits(validation=0), 600)
IMAGES = dl.data.Dataset((DIGITS.train.inputs.reshape(-1, 8, 8), DIGITS.train.targets))


def study(task, optimizer, batch_size):
    """The function of trainings."""

    def fit(seed, learning_rate):
        return dl.training(
            jax.random.key(seed), task, optimizer(learning_rate), batch_size=batch_size, num_steps=4, record_every=2
        )

    return fit


def classify(model, data=DIGITS):
    """A classification task."""
    return dl.tasks.classification(model, data)


WIDE = classify(dl.models.mlp([64, 256, 10]))
SMALL = classify(dl.models.mlp([64, 16, 10]))
SERIES = dl.data.Dataset((DIGITS.train.inputs.reshape(-1, 8, 8), DIGITS.train.targets))

EXPERTS = dl.models.mixture_of_experts([dl.models.mlp([64, 8, 10])] * 2, dl.models.linear(64, 2))

CASES = {
    "wide_adam": study(WIDE, optax.adam, 512),
    "batch_norm_adam": study(classify(dl.models.mlp([64, 32, 10], normalization="batch", dropout=0.2)), optax.adam, 64),
    "wide_full_batch": study(WIDE, optax.adam, "full"),
    "linear": study(dl.tasks.regression(dl.models.linear(3), small.noisy_line()), optax.adam, 4),
    "convolutional": study(classify(dl.models.convolutional((8, 8), [8, 16], 10), IMAGES), optax.adam, 64),
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
}
