"""A folder of images, one folder a class: a directory or a zip file."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlcore.core.arguments import NONE, arguments, boolean, path
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.data.arrange.splits import from_parts, streamed
from dlcore.data.parameters import BYTES, DESCRIBED, SPLITTING, STREAMING
from dlcore.data.read.cache import cached
from dlcore.data.read.decoding import DECODING, Animation, Color, Decoding, Orientation, Transparency
from dlcore.data.read.files import MAX_BYTES, PathLike, existing
from dlcore.data.read.image_files import ImageFiles, image_files
from dlcore.data.read.listing import IGNORE
from dlcore.engine.progress import progress_bar


@arguments(
    path=path, **DECODING, ignore=IGNORE, cache=boolean, max_bytes=BYTES, progress=boolean | NONE,
    described=DESCRIBED, **SPLITTING,
)  # fmt: skip
def from_image_folder(
    path: PathLike,
    *,
    size: tuple[int, int] | None = None,
    color: Color = "auto",
    transparency: Transparency = "refuse",
    orientation: Orientation = "apply",
    animation: Animation = "refuse",
    ignore: Sequence[str] = (),
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = True,
    cache: bool = True,
    max_bytes: int = MAX_BYTES,
    progress: bool | None = None,
    **described: Any,
) -> Dataset:
    """Images in one folder a class: `cat/1.jpg`, or `train/cat/1.jpg` and `test/cat/2.jpg` with splits of their own.

    Links are followed. Folders below a class belong to it. What begins with a dot and what systems leave behind
    (`listing.LITTER`) is left out, and so are files beside the class folders that are no images.

    Args:
      path: a directory or a zip file; a single folder around everything is looked through.
      size: (height, width) to resize all images to; without it they must be of one size.
      color: "gray" [N, height, width] (luma of ITU-R 601) or "rgb" [N, height, width, 3]; "auto" takes what the first
        image is.
      transparency: "refuse" images with pixels that are not opaque, or lay them on "white" or "black".
      orientation: "apply" what the camera noted in EXIF, or "ignore" it and take the pixels as they are stored.
      animation: "refuse" animated images, or take the "first" frame.
      ignore: names of folders and files to leave out, with wildcards: `("unlabelled", "*.txt", "test/1.png")`.
      validation, test, seed, stratify: as in `from_arrays`, for splits that are not in the folder.
      cache: keep the decoded arrays in the user's cache folder and take them from there next time.
      max_bytes: most that may be in memory.
      progress: show a progress bar; by default where somebody watches.
      described: further fields of `Dataset`.

    Returns:
      uint8 images in order of their names, which count numbers ("2.png" before "10.png"); classes in that order too.

    Raises:
      DataError: a file that is no image, of another size or color than the first (named), of more than 8 bits a
        channel; no images, an empty folder, a class that is not in every split, splits beside other folders; a link
        that points nowhere; an archive that is unsafe.

    Example:
      >>> import pathlib, PIL.Image
      >>> for name in ("pets/cat", "pets/dog"):
      ...     pathlib.Path(name).mkdir(parents=True)
      ...     PIL.Image.fromarray(np.zeros((5, 4), np.uint8)).save(f"{name}/1.png")
      >>> data = dl.data.from_image_folder("pets", cache=False)
      >>> data.target_names, data.train.inputs.shape
      (('cat', 'dog'), (2, 5, 4))
    """
    path = existing(path)
    decoding = Decoding(size, color, transparency, orientation, animation)
    # What a zip file holds is known from its time of change; in a folder, an empty class or a link may have come.
    found = None if path.is_file() else image_files(path, ignore=ignore)

    def make() -> dict[str, np.ndarray]:
        return _load(found or image_files(path, ignore=ignore, max_bytes=max_bytes), decoding, max_bytes, progress)

    options = {"kind": "image folder", "max_bytes": max_bytes, "ignore": list(ignore), **decoding._asdict()}
    arrays = cached(make, path, found.paths if found else [path], options) if cache else make()
    names = tuple(arrays["classes"].tolist())
    parts = {
        split: (arrays[f"{split}_images"], arrays[f"{split}_labels"])
        for split in ("train", "validation", "test")
        if f"{split}_images" in arrays
    }
    described = {"name": path.stem, "source": f"image folder {path}", "target_names": names} | described
    return from_parts(parts, validation=validation, test=test, seed=seed, stratify=stratify, **described)


@arguments(path=path, **DECODING, ignore=IGNORE, max_bytes=BYTES, options=STREAMING)
def stream_image_folder(
    path: PathLike,
    *,
    size: tuple[int, int] | None = None,
    color: Color = "auto",
    transparency: Transparency = "refuse",
    orientation: Orientation = "apply",
    animation: Animation = "refuse",
    ignore: Sequence[str] = (),
    max_bytes: int = MAX_BYTES,
    **options: Any,
) -> Dataset:
    """An image folder whose train images are decoded when a batch needs them; other splits are in memory.

    Args:
      path, size, color, transparency, orientation, animation, ignore: as in `from_image_folder`.
      max_bytes: most that a zip file may say it holds when unpacked.
      options: validation, test, seed, stratify and fields of `Dataset`, as there.

    Raises:
      ArgumentError: `validation` and `test` sum to 1 or more.
      DataError: as `from_image_folder`; of a file after the first one when it is read.

    Example:
      >>> import pathlib, PIL.Image
      >>> for name in ("pets/cat", "pets/dog"):
      ...     pathlib.Path(name).mkdir(parents=True)
      ...     PIL.Image.fromarray(np.zeros((5, 4), np.uint8)).save(f"{name}/1.png")
      >>> dl.data.stream_image_folder("pets").train.inputs[:1].shape  # decoded now
      (1, 5, 4)
    """
    path = existing(path)
    files = image_files(path, ignore=ignore, max_bytes=max_bytes)
    described: dict[str, Any] = {
        "name": path.stem,
        "source": f"image folder {path}, streamed",
        "target_names": files.classes,
        "stratify": True,
    } | options
    parts = {split: np.flatnonzero([name == split for name in files.splits]) for split in dict.fromkeys(files.splits)}
    images = _Images(files, Decoding(size, color, transparency, orientation, animation))
    return streamed(images, files.labels, parts, **described)


class _Images:
    """Decoded images by number, all of the size and color of the first."""

    def __init__(self, files: ImageFiles, decoding: Decoding):
        self.files, self.decoding = files, decoding
        self.shape = files.decode(0, decoding).shape

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> np.ndarray:
        image = self.files.decode(row, self.decoding)
        if image.shape != self.shape:
            raise DataError(
                f"{self.files.path}: {self.files.names[row]} is {_shape(image.shape)}, {self.files.names[0]} is "
                f"{_shape(self.shape)}; expects one size and color. Pass size=(height, width) to resize, color='rgb' "
                "or 'gray' to convert."
            )
        return image


def _load(files: ImageFiles, decoding: Decoding, max_bytes: int, progress: bool | None) -> dict[str, np.ndarray]:
    """`{split}_images`, `{split}_labels` and `classes`."""
    rows = defaultdict(list)
    for row, split in enumerate(files.splits):
        rows[split].append(row)
    images = _Images(files, decoding)
    num_bytes = math.prod(images.shape)
    if len(files) * num_bytes > max_bytes:
        raise DataError(
            f"{files.path}: {len(files)} images of {num_bytes} bytes need more memory than max_bytes={max_bytes}. "
            "Pass a smaller size=(height, width), or use dl.data.stream_image_folder."
        )
    arrays = {"classes": np.asarray(files.classes)}
    with progress_bar(len(files), shown=progress, label="images") as advance:
        for split, numbers in rows.items():
            pixels = np.empty((len(numbers), *images.shape), np.uint8)
            for position, row in enumerate(numbers):
                pixels[position] = images[row]
                advance(1)
            arrays |= {f"{split}_images": pixels, f"{split}_labels": files.labels[numbers]}
    return arrays


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} {'color' if len(shape) == 3 else 'gray'}"
