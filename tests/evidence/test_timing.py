"""Seconds of a step, in blocks."""

import time

import jax
import numpy as np
import optax
import small

import dlcore as dl


def described(steps):
    """A run that is recorded once, after all its steps."""
    return dl.training(
        jax.random.key(0),
        small.REGRESSION,
        optax.sgd(0.1),
        batch_size=6,
        num_steps=steps,
        record_every=steps,
        evaluate=(),
    )


def test_seconds_per_step():
    """Catches times of a whole record, zero and negative ones, a block copied, blocks and runs exchanged."""
    seconds = dl.evidence.seconds_per_step([described(4), described(4000), described(4)], blocks=2, seconds=0.001)
    assert seconds.shape == (2, 3)
    assert (seconds > 0).all()
    assert np.isfinite(seconds).all()
    assert (seconds[0] != seconds[1]).any()
    assert (seconds[:, 1] < seconds[:, 0]).all(), "a thousand times as many steps share one call"


def test_a_run_of_one_record():
    """Catches a run whose only record is the last one."""
    assert dl.evidence.seconds_per_step([described(1)], blocks=1, seconds=0.0).shape == (1, 1)


def test_seconds_per_call():
    """Catches a first call that counts, the seconds of a turn for those of a call, blocks and functions exchanged."""
    called = []

    def slow():
        time.sleep(0.02 if called else 0.2)
        called.append(1)

    seconds = dl.evidence.seconds_per_call([slow, lambda: called.append(2)], blocks=3, seconds=0.05)
    assert seconds.shape == (3, 2)
    assert (seconds[:, 0] >= 0.02).all()
    assert np.median(seconds[:, 0]) < 0.1
    assert (seconds[:, 1] < 0.01).all()
