"""Valid arguments of `dl.data`."""

import functools
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from PIL import Image

import dlcore as dl

FOLDER = tempfile.TemporaryDirectory()
CLOSED = "http://127.0.0.1:9"  # nobody listens there


@functools.cache
def files() -> pathlib.Path:
    """A folder with a small file of each format, written once."""
    folder = pathlib.Path(FOLDER.name)
    for name in ("cat", "dog"):
        (folder / "pets" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((5, 4), np.uint8)).save(folder / "pets" / name / "1.png")
        (folder / "pets" / "README.md").write_text("pictures")
        (folder / f"{name}.txt").write_text(f"the {name}\na {name} sleeps\n")
    (folder / "table.csv").write_text("length,width,kind\n1.5,2,a\n2.5,3,b\n3.5,1,a\n")
    frame().to_parquet(folder / "table.parquet")
    (folder / "pen.txt").write_text("0,100,50,0,7\n100,0,0,50,1\n")
    np.array([0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1], np.uint8).tofile(folder / "labels.idx")
    np.array([0, 0, 8, 2, 0, 0, 0, 4, 0, 0, 0, 2, *range(8)], np.uint8).tofile(folder / "rows.idx")
    np.savez(folder / "arrays.npz", inputs=np.ones((4, 3)), targets=np.arange(4))
    (folder / "cifar").mkdir()
    np.zeros((4, 3073), np.uint8).tofile(folder / "cifar" / "data_batch_1.bin")
    dl.data.save_position(iterator(), folder / "position.json")
    return folder


def frame():
    return pd.DataFrame({"length": [1.5, 2.5, 3.5], "width": [2, 3, 1], "kind": ["a", "b", "a"]})


@functools.cache
def iris():
    return dl.data.iris()


@functools.cache
def windows():
    return dl.data.next_token("abcdefghijklmnop", length=3)


def iterator():
    return dl.data.batches(iris(), batch_size=40, seed=0, num_epochs=1)


def split():
    return dl.data.Split(np.ones((8, 2), np.float32), np.arange(8) % 2)


def rows():
    return {"inputs": np.arange(16.0).reshape(8, 2), "targets": np.arange(8) % 2}


def shares(**more):
    return {"validation": 0.1, "test": 0.2, "seed": 0} | more


def keyed(**more):
    return {"key": jax.random.key(0), "num_examples": 4} | more


def images(**more):
    return {"key": jax.random.key(0), "images": jnp.ones((2, 6, 5))} | more


def named():
    return {"validation": 0.1, "seed": 0, "base_url": CLOSED, "max_bytes": 10_000}


SPLITTING = {"validation": 0.0, "test": 0.0, "seed": 0, "stratify": False}
DECODING = {
    "size": (3, 3),
    "color": "gray",
    "transparency": "white",
    "orientation": "ignore",
    "animation": "first",
    "ignore": ("README*",),
}
DESCRIBED = {"described": {"name": "mine", "target_names": ["a", "b"]}}
WINDOWS = {
    "length": 3,
    "stride": 2,
    "unit": "character",
    "predict": "last",
    "max_vocabulary": None,
    "validation": 0.2,
    "test": 0.2,
}

EXAMPLES = {
    "adding_problem": lambda: keyed(length=4),
    "bag_of_words": lambda: {"num_tokens": 5},
    "balanced_weights": lambda: {"labels": np.array([0, 0, 1])},
    "batches": lambda: {
        "dataset": iris(),
        "batch_size": 4,
        "seed": 0,
        "num_epochs": 1,
        "process_index": 0,
        "process_count": 2,
    },
    "blobs": lambda: keyed(num_classes=3, num_features=2, spread=1.0),
    "breast_cancer": shares,
    "characters": lambda: {"texts": ["to be", "or not"], "min_count": 1},
    "cifar10": named,
    "continued": lambda: {"data": windows(), "batch_size": 2},
    "copy_memory": lambda: keyed(delay=3, num_symbols=4, num_copied=2),
    "crop": lambda: images(padding=2),
    "date_vocabulary": dict,
    "dates": lambda: keyed(formats=("{day} {month}", "{year}")),
    "diabetes": shares,
    "digit_pictures": dict,
    "digits": shares,
    "english": lambda: {"length": 5000, "validation": 0.1, "test": 0.1, "options": {"stride": 5000, "name": "help"}},
    "english_text": dict,
    "fashion_mnist": named,
    "first": lambda: {"dataset": iris(), "num_rows": 50, "seed": 0, "stratify": True},
    "flatten": lambda: {"inputs": jnp.ones((2, 3, 4))},
    "flip": images,
    "folds": lambda: {"dataset": iris(), "num_folds": 3, "seed": 0, "stratify": False, "groups": np.arange(120) // 4},
    "framed": lambda: {"ids": jnp.array([[7, 8, 0]])},
    "from_aligned_text": lambda: {
        "train": (files() / "cat.txt", files() / "dog.txt"),
        "validation": (files() / "cat.txt", files() / "dog.txt"),
        "test": None,
        "length": 5,
        "unit": "word",
        "max_vocabulary": 20,
        "max_bytes": 10_000,
        "described": {"name": "pairs"},
    },
    "from_arrays": lambda: {
        **rows(),
        **SPLITTING,
        "test": 0.25,
        "groups": [0, 0, 1, 1, 2, 2, 3, 3],
        "weights": np.ones(8),
        "name": "mine",
        "source": "here",
        "target_names": ("a", "b"),
        "described": {"normalization": "none"},
    },
    "from_cifar": lambda: {
        "path": files() / "cifar",
        "validation": 0.25,
        "seed": 0,
        "stratify": False,
        "label_bytes": 1,
        "cache": False,
        "target_names": ("a", "b"),
        "max_bytes": 100_000,
        "described": {"name": "mine"},
    },
    "from_csv": lambda: {
        "path": files() / "table.csv",
        "target": "kind",
        "header": True,
        "separator": ",",
        "options": {"stratify": False},
    },
    "from_frame": lambda: {
        **SPLITTING,
        "frame": frame(),
        "target": "kind",
        "target_kind": "auto",
        "drop": ["length"],
        "one_hot": [],
        "groups": None,
        "max_bytes": 10_000,
        **DESCRIBED,
    },
    "inputs_from_frame": lambda: {
        "frame": frame(),
        "dataset": dl.data.from_frame(frame(), "kind"),
        "one_hot": [],
        "max_bytes": 10_000,
    },
    "from_idx": lambda: {
        "images": files() / "rows.idx",
        "labels": files() / "labels.idx",
        "test_images": files() / "rows.idx",
        "test_labels": files() / "labels.idx",
        **SPLITTING,
        "target_names": ("a", "b"),
        "max_bytes": 10_000,
        "described": {"name": "mine"},
    },
    "from_image_folder": lambda: {
        "path": files() / "pets",
        **DECODING,
        **SPLITTING,
        "cache": False,
        "max_bytes": 10_000,
        "progress": False,
        **DESCRIBED,
    },
    "from_npz": lambda: {
        "path": files() / "arrays.npz",
        "keys": {"train": ("inputs", "targets")},
        **SPLITTING,
        "max_bytes": 10_000,
        "described": {"name": "mine"},
    },
    "from_parquet": lambda: {
        "path": files() / "table.parquet",
        "target": "kind",
        "options": {"stratify": False, "name": "mine"},
    },
    "from_parts": lambda: {
        **SPLITTING,
        "parts": {"train": split(), "test": split()},
        "validation": 0.25,
        "groups": None,
        **DESCRIBED,
    },
    "from_pen_strokes": lambda: {
        "path": files() / "pen.txt",
        **SPLITTING,
        "max_bytes": 10_000,
        **DESCRIBED,
    },
    "from_split": lambda: {"split": split(), "validation": 0.25, "test": 0.25, **DESCRIBED},
    "from_text": lambda: {
        "path": files() / "cat.txt",
        **WINDOWS,
        "max_bytes": 10_000,
        "described": {"name": "mine"},
    },
    "from_text_classes": lambda: {
        "files": {"cat": files() / "cat.txt", "dog": files() / "dog.txt"},
        "length": 3,
        "unit": "word",
        "max_vocabulary": 20,
        **SPLITTING,
        "max_bytes": 10_000,
        **DESCRIBED,
    },
    "grouped": lambda: {"dataset": iris(), "group_size": 4, "seed": 0},
    "in_training": lambda: {"function": dl.data.flip},
    "iris": shares,
    "load_position": lambda: {"iterator": iterator(), "path": files() / "position.json"},
    "mask": lambda: {"ids": jnp.array([[7, 8, 0]])},
    "mean_normalization": lambda: {"per": "feature"},
    "min_max": lambda: {"low": -1.0, "high": 1.0, "per": "global"},
    "mnist": named,
    "moons": lambda: keyed(noise=0.1),
    "next_token": lambda: {"text": "abcdefghijklmnopqrstuvwxyz", **WINDOWS, "described": {"name": "mine"}},
    "noise": lambda: images(deviation=0.1),
    "noisy_labels": lambda: {"key": jax.random.key(0), "labels": jnp.arange(4), "num_classes": 4, "rate": 0.5},
    "normalize": lambda: {"dataset": iris(), "normalizer": dl.data.min_max(), "targets": False},
    "one_hot": lambda: {"num_tokens": 5},
    "pad": lambda: {"rows": [[4, 5], [6]], "length": 3, "value": 0},
    "parity": lambda: keyed(num_bits=5, num_relevant=3),
    "photo_patches": lambda: {
        "purpose": "denoising",
        "size": 3,
        "num_patches": 20,
        "noise": 0.1,
        **shares(),
    },
    "polynomial": lambda: keyed(coefficients=(1.0, 2.0), noise=0.1),
    "prepared": lambda: {"model": dl.models.linear(2, 2), "steps": (dl.data.in_training(dl.data.noise),)},
    "read_idx": lambda: {"path": files() / "labels.idx", "max_bytes": 1000},
    "read_lines": lambda: {"path": files() / "cat.txt", "max_bytes": 1000},
    "read_text": lambda: {"path": files() / "cat.txt", "max_bytes": 1000},
    "save_position": lambda: {"iterator": iterator(), "path": files() / "saved.json"},
    "scattered_digits": lambda: keyed(
        digits=dl.data.Split(np.ones((2, 4, 3), np.float32), np.arange(2)), canvas_size=16, max_digits=2
    ),
    "shift": lambda: images(distance=1),
    "sine": lambda: keyed(frequency=1.0, noise=0.1),
    "sparse_labels": lambda: {"key": jax.random.key(0), "labels": jnp.arange(4), "known": 0.5},
    "sparse_linear": lambda: keyed(num_features=5, num_relevant=2, noise=0.1),
    "spirals": lambda: keyed(num_classes=2, turns=1.0, noise=0.1),
    "standardize": lambda: {"dataset": iris(), "targets": False},
    "standardizer": lambda: {"dataset": dl.data.Dataset((np.ones((2, 4, 3), np.float32), np.arange(2)))},
    "stories": lambda: keyed(num_sentences=3),
    "story_vocabulary": dict,
    "stream_image_folder": lambda: {
        "path": files() / "pets",
        **DECODING,
        "max_bytes": 10_000,
        "options": {"stratify": False, "name": "mine"},
    },
    "stream_npz": lambda: {
        "paths": [files() / "arrays.npz"],
        "keys": ("inputs", "targets"),
        "options": {"test": 0.25, "name": "mine"},
    },
    "unit_range": lambda: {"images": jnp.ones((2, 3), jnp.uint8)},
    "wine": shares,
    "words": lambda: {"texts": ["to be", "or not"], "max_size": 20, "min_count": 1},
    "xor": lambda: keyed(noise=0.2),
    "z_score": lambda: {"per": "feature"},
}
