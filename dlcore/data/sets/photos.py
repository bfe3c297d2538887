"""Patches of scikit-learn's two photographs: to denoise, to color, to compress."""

from collections.abc import Iterable
from typing import Literal

import numpy as np

from dlcore.core.arguments import arguments, integer, one_of
from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import ArgumentError
from dlcore.data.parameters import DEVIATION, FRACTION, NUM_EXAMPLES, SEED, check_fractions, check_size

Purpose = Literal["denoising", "colorization", "compression"]
PURPOSE = one_of("denoising", "colorization", "compression")
LUMA = (0.299, 0.587, 0.114)  # gray as seen, ITU-R BT.601


@arguments(
    purpose=PURPOSE, size=integer(1, 427), num_patches=NUM_EXAMPLES, noise=DEVIATION, validation=FRACTION,
    test=FRACTION, seed=SEED,
)  # fmt: skip
def photo_patches(
    purpose: Purpose,
    *,
    size: int = 8,
    num_patches: int = 4000,
    noise: float = 0.1,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Square patches of the photographs "china" and "flower", values in [0, 1], flattened.

    The splits are strips of the photographs from top to bottom, so that no pixel is in two of them.

    Args:
      purpose: "denoising": gray with normal noise -> gray; "colorization": gray -> RGB; "compression": RGB -> itself.
      size: side of a patch in pixels.
      num_patches: in all splits together.
      noise: standard deviation, for denoising.
      validation, test: fraction of the photographs' height and of the patches; 0 for none.
      seed: of the patches' places and of the noise.

    Returns:
      inputs and targets float32 [N, size * size] where gray, [N, size * size * 3] where RGB.

    Raises:
      ArgumentError: an unknown purpose, a strip less high than a patch, a split without a patch.

    Example:
      >>> data = dl.data.photo_patches("colorization", size=4, num_patches=100)
      >>> data.train.inputs.shape, data.train.targets.shape
      ((70, 16), (70, 48))
    """
    check_fractions("photo_patches", validation, test)
    check_size("photo_patches", num_patches, size, size, 3)
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    random = np.random.default_rng(seed)
    shares = {"train": 1 - validation - test, "validation": validation, "test": test}
    edges = np.cumsum([0.0, *shares.values()])
    splits = {}
    for (split, share), top, bottom in zip(shares.items(), edges[:-1], edges[1:], strict=True):
        if split != "train" and share == 0:
            continue
        rows, count = (round(top * photos[0].shape[0]), round(bottom * photos[0].shape[0])), round(share * num_patches)
        if rows[1] - rows[0] < size or count < 1:
            raise ArgumentError(
                f"the {split} strip of the photographs is {rows[1] - rows[0]} pixels high and gives {count} patches of "
                f"{size} pixels; expects at least the height of a patch, and one patch. Change size, num_patches "
                f"or {split}."
            )
        patches = _patches(photos, rows, size, count, random).astype(np.float32) / 255
        splits[split] = _pairs(purpose, patches, noise, random)
    gray = purpose != "compression"
    return Dataset(
        **splits,
        name=f"photo patches, {purpose}",
        source="scikit-learn load_sample_images (china, flower)",
        normalization="pixels 0 to 255 scaled to [0, 1]" + f", noise {noise:g}" * (purpose == "denoising"),
        image_shape=(size, size) if gray else (size, size, 3),
    )


def _patches(photos: Iterable[np.ndarray], rows: tuple[int, int], size: int, count: int, random) -> np.ndarray:
    """uint8 [count, size, size, 3], from between two rows of all photographs."""
    strips = np.stack([photo[rows[0] : rows[1]] for photo in photos])
    which = random.integers(0, len(strips), count)
    top = random.integers(0, strips.shape[1] - size + 1, count)
    left = random.integers(0, strips.shape[2] - size + 1, count)
    windows = np.lib.stride_tricks.sliding_window_view(strips, (size, size), axis=(1, 2))
    return windows[which, top, left].transpose(0, 2, 3, 1)


def _pairs(purpose: Purpose, patches: np.ndarray, noise: float, random) -> Split:
    color, gray = patches, patches @ np.asarray(LUMA, np.float32)
    flat = patches.shape[0], -1
    if purpose == "compression":
        return Split(color.reshape(flat), color.reshape(flat))
    if purpose == "colorization":
        return Split(gray.reshape(flat), color.reshape(flat))
    noisy = gray + noise * random.standard_normal(gray.shape, np.float32)
    return Split(noisy.reshape(flat), gray.reshape(flat))
