"""What a small model learns from each of the real data files: `python -m benchmarks.data_accuracy [NAME ...]`.

The files are looked for in the folder named by DLCORE_DATA, else in ../shared/data; docs/data.md says what they are.
All of it takes about two minutes on one CPU core. The accuracies seen are in docs/data.md.
"""

import os
import pathlib
import sys
import time
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import dlcore as dl

FOLDER = pathlib.Path(os.environ.get("DLCORE_DATA") or pathlib.Path(__file__).parent.parent.parent / "shared" / "data")


class Study(NamedTuple):
    """task: with a test split; guess: accuracy of always answering the most frequent class of the test split."""

    task: dl.tasks.Task
    guess: float
    num_epochs: int
    learning_rate: float


def mnist_digits() -> Study:
    """A network on pixels: 8 000 of the MNIST test digits to train, 2 000 to test."""
    folder = FOLDER / "mnist-t10k"
    data = dl.data.from_idx(folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz", test=0.2)
    return _classification(data, [784, 128, 10], 10, dl.data.unit_range, dl.data.flatten)


def cifar_folder() -> Study:
    """A network on pixels, with mirrored and shifted pictures: 5 000 to train, 1 000 to test."""
    data = dl.data.from_image_folder(FOLDER / "cifar10-jpeg-6000.zip")
    augmentation = [dl.data.in_training(dl.data.flip), dl.data.in_training(dl.data.shift)]
    return _classification(data, [3072, 256, 10], 20, *augmentation, dl.data.standardizer(data), dl.data.flatten)


def faces() -> Study:
    """A linear model on pixels of 28 x 23: 8 pictures of each of 40 people to train, 2 to test."""
    data = dl.data.from_image_folder(FOLDER / "orl-faces.zip", size=(28, 23), test=0.2)
    return _classification(data, [28 * 23, 40], 40, dl.data.standardizer(data), dl.data.flatten)


def pen_digits() -> Study:
    """A network on the 8 points of the pen's way."""
    data = dl.data.from_pen_strokes(FOLDER / "pendigits" / "pendigits.tra", test=0.2)
    return _classification(data, [16, 64, 10], 20, dl.data.flatten)


def shakespeare() -> Study:
    """The next character from the 6 before it, one-hot."""
    data = dl.data.from_text(FOLDER / "text" / "tinyshakespeare.txt", length=6, stride=5, predict="last", test=0.1)
    size = len(data.target_names)
    return _classification(data, [6 * size, 128, size], 4, dl.data.one_hot(size), dl.data.flatten)


def reviews() -> Study:
    """Whether a review is positive, by a linear model of the words in it."""
    files = {"negative": FOLDER / "text" / "rt-polarity.neg", "positive": FOLDER / "text" / "rt-polarity.pos"}
    data = dl.data.from_text_classes(files, max_vocabulary=4000, test=0.2)
    return _classification(data, [4000, 2], 15, dl.data.bag_of_words(4000), learning_rate=0.03)


def sentence_pairs() -> Study:
    """The first word of the French sentence from the first 4 of the English one."""
    names = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
    pairs: dict[str, Any] = {
        split: (FOLDER / "multi30k" / f"{n}.en.gz", FOLDER / "multi30k" / f"{n}.fr.gz") for split, n in names.items()
    }
    data = dl.data.from_aligned_text(**pairs, max_vocabulary=1000)
    names = data.target_vocabulary.tokens if data.target_vocabulary else ()
    splits = {split: getattr(data, split) for split in data.splits}
    first: dict[str, Any] = {name: (split.inputs[:, :4], split.targets[:, 1]) for name, split in splits.items()}
    data = dl.data.Dataset(**first, name="first French word", target_names=names)
    return _classification(data, [4 * 1000, 1000], 3, dl.data.one_hot(1000), dl.data.flatten)


STUDIES = (mnist_digits, cifar_folder, faces, pen_digits, shakespeare, reviews, sentence_pairs)


def _classification(data, widths, num_epochs: int, *steps, learning_rate: float = 1e-3) -> Study:
    model = dl.models.mlp(widths) if len(widths) > 2 else dl.models.linear(*widths)
    guess = np.bincount(data.test.targets).max() / len(data.test.targets)
    return Study(dl.tasks.classification(dl.data.prepared(model, *steps), data), guess, num_epochs, learning_rate)


def main(names: list[str]) -> None:
    """Print a line for each study."""
    print(f"{'data':<16} {'train':>6} {'test':>5}  test accuracy  most frequent class  seconds")
    for study in STUDIES:
        if names and study.__name__ not in names:
            continue
        began = time.perf_counter()
        task, guess, num_epochs, learning_rate = study()
        training = dl.training(
            jax.random.key(0),
            task,
            optax.adam(learning_rate),
            batch_size=64,
            num_steps=num_epochs * (len(task.data.train.inputs) // 64),
            record_every=num_epochs * (len(task.data.train.inputs) // 64),
            evaluate=("test",),
        )
        accuracy = float(dl.run(training).test_accuracy[-1])
        sizes = [len(getattr(task.data, split).inputs) for split in ("train", "test")]
        seconds = time.perf_counter() - began
        print(
            f"{study.__name__:<16} {sizes[0]:>6} {sizes[1]:>5}  {accuracy:13.3f}  {guess:19.3f}  {seconds:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
