"""Data sets: pure arrays in memory, checked when made."""

from dlcore.core.dataset import Dataset, Split
from dlcore.data.arrange.balance import balanced_weights
from dlcore.data.arrange.batches import batches, load_position, save_position
from dlcore.data.arrange.groups import grouped
from dlcore.data.arrange.splits import first, folds, from_arrays, from_parts
from dlcore.data.arrange.windows import continued, next_token
from dlcore.data.prepare.augment import crop, flip, noise, shift
from dlcore.data.prepare.inputs import bag_of_words, flatten, in_training, one_hot, prepared, standardizer, unit_range
from dlcore.data.prepare.normalization import (
    Normalizer,
    Scaling,
    mean_normalization,
    min_max,
    normalize,
    standardize,
    z_score,
)
from dlcore.data.prepare.vocabulary import Vocabulary, characters, mask, pad, words
from dlcore.data.read.aligned_text import from_aligned_text
from dlcore.data.read.cifar import from_cifar
from dlcore.data.read.csv import from_csv
from dlcore.data.read.frame import from_frame, inputs_from_frame
from dlcore.data.read.idx import from_idx, read_idx
from dlcore.data.read.images import from_image_folder, stream_image_folder
from dlcore.data.read.npz import from_npz, stream_npz
from dlcore.data.read.parquet import from_parquet
from dlcore.data.read.pen_strokes import from_pen_strokes
from dlcore.data.read.streamed import Streamed
from dlcore.data.read.text import from_text, read_lines, read_text
from dlcore.data.read.text_classes import from_text_classes
from dlcore.data.sets.builtin import breast_cancer, diabetes, digits, iris, wine
from dlcore.data.sets.canvas import digit_pictures, scattered_digits
from dlcore.data.sets.english import english, english_text
from dlcore.data.sets.named import cifar10, fashion_mnist, mnist
from dlcore.data.sets.photos import photo_patches
from dlcore.data.sets.sequences import (
    PLACES,
    adding_problem,
    copy_memory,
    date_vocabulary,
    dates,
    framed,
    stories,
    story_vocabulary,
)
from dlcore.data.sets.synthetic import (
    UNKNOWN_LABEL,
    blobs,
    from_split,
    moons,
    noisy_labels,
    parity,
    polynomial,
    sine,
    sparse_labels,
    sparse_linear,
    spirals,
    xor,
)

__all__ = [
    "PLACES",
    "UNKNOWN_LABEL",
    "Dataset",
    "Normalizer",
    "Scaling",
    "Split",
    "Streamed",
    "Vocabulary",
    "adding_problem",
    "bag_of_words",
    "balanced_weights",
    "batches",
    "blobs",
    "breast_cancer",
    "characters",
    "cifar10",
    "continued",
    "copy_memory",
    "crop",
    "date_vocabulary",
    "dates",
    "diabetes",
    "digit_pictures",
    "digits",
    "english",
    "english_text",
    "fashion_mnist",
    "first",
    "flatten",
    "flip",
    "folds",
    "framed",
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
    "from_split",
    "from_text",
    "from_text_classes",
    "grouped",
    "in_training",
    "inputs_from_frame",
    "iris",
    "load_position",
    "mask",
    "mean_normalization",
    "min_max",
    "mnist",
    "moons",
    "next_token",
    "noise",
    "noisy_labels",
    "normalize",
    "one_hot",
    "pad",
    "parity",
    "photo_patches",
    "polynomial",
    "prepared",
    "read_idx",
    "read_lines",
    "read_text",
    "save_position",
    "scattered_digits",
    "shift",
    "sine",
    "sparse_labels",
    "sparse_linear",
    "spirals",
    "standardize",
    "standardizer",
    "stories",
    "story_vocabulary",
    "stream_image_folder",
    "stream_npz",
    "unit_range",
    "wine",
    "words",
    "xor",
    "z_score",
]
