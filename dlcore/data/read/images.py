"""A folder of images, one folder a class: a directory or a zip file."""

import io
import pathlib
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from dlcore.core.arguments import NONE, arguments, boolean, integer, one_of, path, sequence
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.data.arrange.splits import from_parts, streamed
from dlcore.data.parameters import BYTES, DESCRIBED, SPLITTING, STREAMING
from dlcore.data.read import archives
from dlcore.data.read.cache import cached
from dlcore.data.read.files import MAX_BYTES, PathLike, existing, library
from dlcore.engine.progress import progress_bar

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Pillow also opens formats that start other programs (EPS) or rest on large C libraries (TIFF).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")
GRAY_MODES = ("1", "L", "LA")
COLOR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")
LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini")
MAX_PIXELS = 1 << 26  # of one image, before it is decoded

Color = Literal["auto", "gray", "rgb"]
COLOR = one_of("auto", "gray", "rgb")
SHAPE = sequence(integer(1, 1 << 13), 2, 2, text="integers from 1 to 8192: (height, width)") | NONE


@arguments(
    path=path, size=SHAPE, color=COLOR, cache=boolean, max_bytes=BYTES, progress=boolean | NONE,
    described=DESCRIBED, **SPLITTING,
)  # fmt: skip
def from_image_folder(
    path: PathLike,
    *,
    size: tuple[int, int] | None = None,
    color: Color = "auto",
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

    Args:
      path: a directory or a zip file; a single folder around everything is looked through.
      size: (height, width) to resize all images to; without it they must be of one size.
      color: "gray" [N, height, width] or "rgb" [N, height, width, 3]; "auto" takes what the first image is.
      validation, test, seed, stratify: as in `from_arrays`, for splits that are not in the folder.
      cache: keep the decoded arrays in the user's cache folder and take them from there next time.
      max_bytes: most that may be in memory.
      progress: show a progress bar; by default where somebody watches.
      described: further fields of `Dataset`.

    Returns:
      uint8 images in order of their names, which count numbers ("2.png" before "10.png"); classes in that order too.

    Raises:
      DataError: a file that is no image, of another size or color than the first (named); no images, an empty class;
        an archive that is unsafe.

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
    options = {"kind": "image folder", "size": size, "color": color}

    def make() -> dict[str, np.ndarray]:
        return _load(path, size, color, max_bytes, progress)

    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    arrays = cached(make, path, files, options) if cache else make()
    names = tuple(arrays["classes"].tolist())
    parts = {
        split: (arrays[f"{split}_images"], arrays[f"{split}_labels"])
        for split in ("train", "validation", "test")
        if f"{split}_images" in arrays
    }
    described = {"name": path.stem, "source": f"image folder {path}", "target_names": names} | described
    return from_parts(parts, validation=validation, test=test, seed=seed, stratify=stratify, **described)


@arguments(path=path, size=SHAPE, color=COLOR, options=STREAMING)
def stream_image_folder(
    path: PathLike, *, size: tuple[int, int] | None = None, color: Color = "auto", **options: Any
) -> Dataset:
    """An image folder whose train images are decoded when a batch needs them; other splits are in memory.

    Args:
      path, size, color: as in `from_image_folder`.
      options: validation, test, seed, stratify and fields of `Dataset`, as there.

    Example:
      >>> import pathlib, PIL.Image
      >>> for name in ("pets/cat", "pets/dog"):
      ...     pathlib.Path(name).mkdir(parents=True)
      ...     PIL.Image.fromarray(np.zeros((5, 4), np.uint8)).save(f"{name}/1.png")
      >>> dl.data.stream_image_folder("pets").train.inputs[:1].shape  # decoded now
      (1, 5, 4)
    """
    path = existing(path)
    files = image_files(path)
    described: dict[str, Any] = {
        "name": path.stem,
        "source": f"image folder {path}, streamed",
        "target_names": files.classes,
        "stratify": True,
    } | options
    parts = {split: np.flatnonzero([name == split for name in files.splits]) for split in dict.fromkeys(files.splits)}
    return streamed(_Images(files, size, color), files.labels, parts, **described)


def image_files(path: PathLike, *, max_bytes: int = MAX_BYTES) -> "ImageFiles":
    """The images of a folder or zip file, each with its split and class; none is decoded yet."""
    path = existing(path)
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.is_file()]
        readers = {file.relative_to(path).as_posix(): file.read_bytes for file in found}
        return ImageFiles(path, readers)
    archive, members = archives.open_zip(path, max_bytes=max_bytes)
    return ImageFiles(path, {member.filename: _member_reader(archive, member) for member in members})


class ImageFiles:
    """Names, splits and classes of the images in a folder.

    names: of the files, in order; splits: name of the split of each; labels: class of each, [N]; classes: their names.
    """

    def __init__(self, path: pathlib.Path, readers: dict[str, Callable[[], bytes]]):
        self.path, self._readers = path, readers
        parts = {name: name.split("/") for name in sorted(readers, key=_natural) if not _is_litter(name)}
        while len({part[0] for part in parts.values()}) == 1 and _is_wrapper(parts.values()):
            parts = {name: part[1:] for name, part in parts.items()}
        has_splits = bool(parts) and {part[0].lower() for part in parts.values() if len(part) > 1} <= set(SPLIT_FOLDERS)
        depth = 3 if has_splits else 2
        beside = [name for name, part in parts.items() if len(part) < depth]  # a README, usually
        parts = {name: part for name, part in parts.items() if len(part) >= depth}
        if not parts:
            raise DataError(
                f"{path} has no images in folders; expects one folder a class (cat/1.jpg) or a split (train/cat/1.jpg)."
            )
        for name in beside:
            if name.lower().endswith(EXTENSIONS):
                raise DataError(
                    f"{path}: the image {name} lies in no class folder; expects e.g. {next(iter(parts))}. Move it."
                )
        self.names = tuple(parts)
        self.splits = tuple(SPLIT_FOLDERS[part[0].lower()] if has_splits else "train" for part in parts.values())
        self.classes = tuple(sorted({part[depth - 2] for part in parts.values()}, key=_natural))
        index = {name: number for number, name in enumerate(self.classes)}
        self.labels = np.asarray([index[part[depth - 2]] for part in parts.values()], np.int32)

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle names the folder or archive, which is opened again."""
        return image_files, (str(self.path.absolute()),)

    def __len__(self) -> int:
        return len(self.names)

    def decode(self, index: int, size: tuple[int, int] | None, color: Color) -> np.ndarray:
        """uint8 [height, width] or [height, width, 3]."""
        name = self.names[index]
        where = f"{self.path}: {name}"
        try:
            data = self._readers[name]()
        except OSError as error:
            raise DataError(f"{where} cannot be read: {error}.") from error
        return decode_image(data, where, size, color)


class _Images:
    """Decoded images by number."""

    def __init__(self, files: ImageFiles, size: tuple[int, int] | None, color: Color):
        self.files, self.size = files, size
        self.color: Color = color

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.files.decode(row, self.size, self.color)


def decode_image(data: bytes, where: str, size: tuple[int, int] | None, color: Color) -> np.ndarray:
    """An image file's pixels, uint8 [height, width] or [height, width, 3].

    Args:
      where: name for messages.
      size: (height, width) to resize to, or None.

    Raises:
      DataError: not an image of `FORMATS`, damaged, more than `MAX_PIXELS`, more than 8 bits a channel.
    """
    Image = library("PIL.Image", "reading images")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            image = opened
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{where} is {image.width} x {image.height}; expects at most {MAX_PIXELS} pixels. Shrink it."
                )
            if image.mode not in GRAY_MODES + COLOR_MODES:
                raise DataError(
                    f"{where} has mode {image.mode!r}; expects 8 bits a channel. Convert it to gray or RGB."
                )
            gray = color == "gray" or (color == "auto" and image.mode in GRAY_MODES)
            if "transparency" in image.info:
                image = image.convert("RGBA")  # Pillow warns where a palette's transparency is dropped at once
            converted = image.convert("L" if gray else "RGB")
            if size is not None and converted.size != size[::-1]:
                converted = converted.resize(size[::-1], Image.Resampling.BILINEAR)
            return np.asarray(converted)
    except DataError:
        raise
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, IndexError, ... on damaged files.
    except Exception as error:
        reason = "no image of a known format" if "cannot identify" in str(error) else str(error)
        raise DataError(f"{where} cannot be decoded: {reason}. Remove or replace it ({', '.join(FORMATS)}).") from error


def _load(
    path: pathlib.Path, size: tuple[int, int] | None, color: Color, max_bytes: int, progress: bool | None
) -> dict[str, np.ndarray]:
    """`{split}_images`, `{split}_labels` and `classes`."""
    _check_empty_classes(path)
    files = image_files(path, max_bytes=max_bytes)
    rows = defaultdict(list)
    for row, split in enumerate(files.splits):
        rows[split].append(row)
    first = files.decode(0, size, color)
    if len(files) * first.nbytes > max_bytes:
        raise DataError(
            f"{path}: {len(files)} images of {first.nbytes} bytes need more memory than max_bytes={max_bytes}. "
            "Pass a smaller size=(height, width), or use dl.data.stream_image_folder."
        )
    arrays = {"classes": np.asarray(files.classes)}
    with progress_bar(len(files), shown=progress, label="images") as advance:
        for split, numbers in rows.items():
            images = np.empty((len(numbers), *first.shape), np.uint8)
            for position, image in enumerate(_decoded(files, numbers, size, color, first.shape)):
                images[position] = image
                advance(1)
            arrays |= {f"{split}_images": images, f"{split}_labels": files.labels[numbers]}
    return arrays


def _decoded(
    files: ImageFiles, rows: Sequence[int], size: tuple[int, int] | None, color: Color, shape: tuple[int, ...]
) -> Iterator[np.ndarray]:
    for row in rows:
        image = files.decode(row, size, color)
        if image.shape != shape:
            raise DataError(
                f"{files.path}: {files.names[row]} is {_shape(image.shape)}, {files.names[0]} is {_shape(shape)}; "
                "expects one size and color. Pass size=(height, width) to resize, color='rgb' or 'gray' to convert."
            )
        yield image


def _check_empty_classes(path: pathlib.Path) -> None:
    if not path.is_dir():
        return
    for folder in sorted(path.rglob("*")):
        if folder.is_dir() and not _is_litter(folder.relative_to(path).as_posix()) and not any(folder.iterdir()):
            raise DataError(
                f"{path}: the folder {folder.relative_to(path)} is empty; expects images of that class. Remove it."
            )


def _member_reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    return lambda: archives.read_member(archive, member)


def _is_litter(name: str) -> bool:
    return any(part.startswith(".") or part in LITTER for part in name.split("/"))


def _is_wrapper(parts) -> bool:
    parts = list(parts)
    return parts[0][0].lower() not in SPLIT_FOLDERS and any(len(part) >= 3 for part in parts)


def _natural(name: str) -> tuple:
    """Sort key that counts numbers: s2 before s10."""
    pieces = re.findall("[0-9]+|[^0-9]", name, re.DOTALL)
    return tuple((0, int(piece), "") if piece[0] in "0123456789" else (1, 0, piece) for piece in pieces)


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} {'color' if len(shape) == 3 else 'gray'}"
