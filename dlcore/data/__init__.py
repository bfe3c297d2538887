"""Data sets: pure arrays in memory, checked when made."""

from dlcore.data.builtin import breast_cancer, diabetes, digits, iris, wine
from dlcore.data.cifar import from_cifar
from dlcore.data.dataset import Dataset, Split
from dlcore.data.idx import from_idx, read_idx
from dlcore.data.images import from_image_folder
from dlcore.data.named import cifar10, fashion_mnist, mnist
from dlcore.data.normalise import standardize
from dlcore.data.npz import from_npz
from dlcore.data.splits import first, folds, from_arrays, from_parts
from dlcore.data.tables import from_csv, from_frame, from_parquet, from_pen_strokes
from dlcore.data.text import (
    english,
    english_text,
    from_aligned_text,
    from_text,
    from_text_classes,
    next_token,
    read_lines,
    read_text,
)
from dlcore.data.vocabulary import Vocabulary, characters, mask, pad, words

__all__ = [
    "cifar10",
    "fashion_mnist",
    "mnist",
    "Dataset",
    "Split",
    "Vocabulary",
    "breast_cancer",
    "characters",
    "diabetes",
    "digits",
    "english",
    "english_text",
    "first",
    "folds",
    "from_aligned_text",
    "from_arrays",
    "from_cifar",
    "from_csv",
    "from_frame",
    "from_idx",
    "from_image_folder",
    "from_npz",
    "from_parquet",
    "from_parts",
    "from_pen_strokes",
    "from_text",
    "from_text_classes",
    "iris",
    "mask",
    "next_token",
    "pad",
    "read_idx",
    "read_lines",
    "read_text",
    "standardize",
    "wine",
    "words",
]
