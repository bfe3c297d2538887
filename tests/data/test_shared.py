"""Each real file loads in three lines with the right count, shape and names."""
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

import numpy as np
from data_support import needs_shared_data, private_cache  # noqa: F401

import dlcore as dl


def counts(data):
    return {split: len(getattr(data, split).inputs) for split in data.splits}


def test_mnist_test_digits():
    folder = needs_shared_data() / "mnist-t10k"
    data = dl.data.from_idx(folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz", test=0.2)
    assert counts(data) == {"train": 8000, "test": 2000}
    assert data.train.inputs.shape[1:] == (28, 28)
    assert data.train.inputs.dtype == np.uint8
    assert data.target_names == tuple("0123456789")
    whole = dl.data.read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    np.testing.assert_array_equal(whole[:10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])  # as LeCun's page shows them
    images = dl.data.read_idx(folder / "t10k-images-idx3-ubyte.gz")
    assert abs(images.mean() / 255 - 0.1325) < 1e-4  # the published mean of the test images


def test_cifar_images():
    data = dl.data.from_image_folder(needs_shared_data() / "cifar10-jpeg-6000.zip")
    assert counts(data) == {"train": 5000, "test": 1000}
    assert data.train.inputs.shape[1:] == (32, 32, 3)
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    assert data.target_names == names
    np.testing.assert_array_equal(np.bincount(data.train.targets), [500] * 10)
    np.testing.assert_array_equal(np.bincount(data.test.targets), [100] * 10)


def test_faces():
    data = dl.data.from_image_folder(needs_shared_data() / "orl-faces.zip", test=0.2)
    assert counts(data) == {"train": 320, "test": 80}
    assert data.train.inputs.shape[1:] == (112, 92)
    assert data.target_names == tuple(f"s{i}" for i in range(1, 41))
    np.testing.assert_array_equal(np.bincount(data.test.targets), [2] * 40)


def test_pen_digits():
    data = dl.data.from_pen_strokes(needs_shared_data() / "pendigits" / "pendigits.tra", test=0.2)
    assert counts(data) == {"train": 5995, "test": 1499}
    assert data.train.inputs.shape[1:] == (8, 2)
    assert data.target_names == tuple("0123456789")
    everything = np.concatenate([data.train.inputs, data.test.inputs])
    assert (everything.min(), everything.max()) == (-1, 1)


def test_shakespeare():
    data = dl.data.from_text(needs_shared_data() / "text" / "tinyshakespeare.txt", length=64, test=0.1)
    assert len(data.input_vocabulary) == 65 + 4
    assert counts(data) == {"train": (1115394 * 9 // 10) // 64, "test": 1742}
    assert data.input_vocabulary.decode(data.train.inputs[0]).startswith("First Citizen:\nBefore we proceed")


def test_reviews():
    text = needs_shared_data() / "text"
    data = dl.data.from_text_classes(
        {"negative": text / "rt-polarity.neg", "positive": text / "rt-polarity.pos"}, test=0.2
    )
    assert counts(data) == {"train": 8530, "test": 2132}
    assert data.target_names == ("negative", "positive")
    assert np.bincount(np.concatenate([data.train.targets, data.test.targets])).tolist() == [5331, 5331]
    assert len(data.input_vocabulary) > 15_000


def test_sentence_pairs():
    folder = needs_shared_data() / "multi30k"
    names = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
    pairs = {split: (folder / f"{name}.en.gz", folder / f"{name}.fr.gz") for split, name in names.items()}
    data = dl.data.from_aligned_text(**pairs)
    assert counts(data) == {"train": 29_000, "validation": 1014, "test": 1000}

    english = data.input_vocabulary.decode(data.validation.inputs[0])
    french = data.target_vocabulary.decode(data.validation.targets[0])
    assert english == "a group of men are loading cotton onto a truck"
    assert french == "un groupe d'hommes chargent du coton dans un camion"
