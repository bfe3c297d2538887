"""Which files of a folder or zip file are images, of which split and class; what is unclear is refused by name."""

import glob
import pathlib
import re
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dlcore.core.errors import DataError
from dlcore.data.read.decoding import Decoding, check_is_image, decode_image
from dlcore.data.read.files import MAX_BYTES, PathLike, existing
from dlcore.data.read.listing import folder_listing, zip_listing

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
EXTENSIONS = (
    *(".bmp", ".gif", ".png", ".apng", ".webp"),
    *(".jpeg", ".jpg", ".jpe", ".jfif"),
    *(".pbm", ".pgm", ".pnm", ".ppm"),
)
OTHER_IMAGES = (".avif", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".svg", ".tif", ".tiff")  # known, and not read

TARS = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")

Parts = dict[str, list[str]]  # a file's name, and what lies between its slashes below the folder around everything


def image_files(path: PathLike, *, ignore: Sequence[str] = (), max_bytes: int = MAX_BYTES) -> "ImageFiles":
    """The images of a folder or zip file, each with its split and class; none is decoded yet.

    Args:
      ignore: names of folders and files that are left out, with wildcards.
    """
    path = existing(path)
    return ImageFiles(path, ignore, max_bytes)


class ImageFiles:
    """Names, splits and classes of the images in a folder.

    names: of the files, in order; splits: name of the split of each; labels: class of each, [N]; classes: their names.
    paths: where the files are, or the archive.
    """

    def __init__(self, path: pathlib.Path, ignore: Sequence[str], max_bytes: int):
        self.path, self._ignore, self._max_bytes = path, tuple(ignore), max_bytes
        if path.is_file():
            _check_no_tar(path)
        listing = folder_listing(path, ignore) if path.is_dir() else zip_listing(path, ignore, max_bytes=max_bytes)
        self._readers: Mapping[str, Callable[[], bytes]] = listing.readers
        self.paths = listing.paths
        _check_empty(path, listing.folders, listing.readers)
        parts = {name: name.split("/") for name in sorted(listing.readers, key=_in_order)}
        parts = _unwrapped(path, parts)
        has_splits = _has_splits(path, parts)
        depth = 3 if has_splits else 2
        parts = _in_classes(path, parts, depth)
        _check_nested(path, parts, depth)
        named = {name: _class_name(path, part[depth - 2]) for name, part in parts.items()}
        splits = {name: SPLIT_FOLDERS[part[0].lower()] if has_splits else "train" for name, part in parts.items()}
        _check_twins(path, {name: part[: depth - 1] for name, part in parts.items()}, named, splits)
        folders = {name: "/".join(name.split("/")[: depth - 1 - len(part)]) for name, part in parts.items()}
        _check_every_class(path, folders, named, splits)
        self.names, self.splits = tuple(parts), tuple(splits.values())
        self.classes = tuple(sorted(set(named.values()), key=natural))
        index = {name: number for number, name in enumerate(self.classes)}
        self.labels = np.asarray([index[name] for name in named.values()], np.int32)
        for name in self.names:
            if not name.lower().endswith(EXTENSIONS) and "." in name.rsplit("/", 1)[1]:
                check_is_image(self._read(name), self._where(name))

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle names the folder or archive, which is opened again."""
        return ImageFiles, (self.path.absolute(), self._ignore, self._max_bytes)

    def __len__(self) -> int:
        return len(self.names)

    def decode(self, index: int, decoding: Decoding) -> np.ndarray:
        """uint8 [height, width] or [height, width, 3]."""
        name = self.names[index]
        return decode_image(self._read(name), self._where(name), decoding)

    def _read(self, name: str) -> bytes:
        try:
            return self._readers[name]()
        except OSError as error:
            raise DataError(f"{self._where(name)} cannot be read: {error}.") from error

    def _where(self, name: str) -> str:
        return f"{self.path}: {name}"


def natural(name: str) -> tuple:
    """Sort key that counts numbers: s2 before s10."""
    pieces = re.findall("[0-9]+|[^0-9]", name, re.DOTALL)
    key = tuple((0, int(piece), "") if piece[0] in "0123456789" else (1, 0, piece) for piece in pieces)
    return key, name  # the name decides between 1 and 01


def _in_order(name: str) -> tuple:
    return tuple(map(natural, name.split("/")))


def _check_empty(path: pathlib.Path, folders: Iterable[str], files: Collection[str]) -> None:
    """Every folder has a file somewhere below it."""
    filled: set[str] = set()
    for name in files:
        while "/" in name and (name := name.rsplit("/", 1)[0]) not in filled:
            filled.add(name)
    for folder in sorted(folders, key=natural):
        if folder not in filled:
            raise DataError(
                f"{path}: the folder {folder} is empty; expects images of that class. Remove it, or leave it out, "
                f"ignore=({folder!r},)."
            )


def _unwrapped(path: pathlib.Path, parts: Parts) -> Parts:
    """Without the folders that lie around everything."""
    while True:
        tops = {part[0] for part in parts.values() if len(part) > 1}
        deeper = any(len(part) > 2 for part in parts.values())
        if len(tops) != 1 or not deeper or next(iter(tops)).lower() in SPLIT_FOLDERS:
            return parts
        inside = {name: part[1:] for name, part in parts.items() if len(part) > 1}
        _check_strays(path, [name for name in parts if name not in inside], list(inside))
        parts = inside


def _has_splits(path: pathlib.Path, parts: Parts) -> bool:
    """Whether the folders at the top are splits; `DataError` if only some of them seem to be."""
    tops = {part[0] for part in parts.values() if len(part) > 1}
    known = defaultdict(list)
    for top in sorted(tops & {top for top in tops if top.lower() in SPLIT_FOLDERS}):
        known[SPLIT_FOLDERS[top.lower()]].append(top)
    others = sorted(tops - {top for same in known.values() for top in same})
    nested = any(len(part) > 2 and part[0].lower() in SPLIT_FOLDERS for part in parts.values())
    if others and (len(known) > 1 or nested):
        raise DataError(
            f"{path} has the splits {', '.join(top for same in known.values() for top in same)}, and beside them "
            f"{', '.join(others)}; expects splits only, or classes only. Leave it out, ignore={tuple(others)!r}, or "
            "rename the class that is called like a split."
        )
    if others:
        return False
    for split, same in known.items():
        if len(same) > 1:
            raise DataError(
                f"{path}: the folders {', '.join(same)} are all the {split} split; expects one of them. Merge them, or "
                f"leave one out, ignore=({same[-1]!r},)."
            )
    return bool(known)


def _in_classes(path: pathlib.Path, parts: Parts, depth: int) -> Parts:
    """The files that lie in class folders; others are no images (a README, usually)."""
    inside = {name: part for name, part in parts.items() if len(part) >= depth}
    if not inside:
        raise DataError(
            f"{path} has no images in folders; expects one folder a class (cat/1.jpg) or a split (train/cat/1.jpg)."
        )
    _check_strays(path, [name for name in parts if name not in inside], list(inside))
    return inside


def _check_strays(path: pathlib.Path, names: Sequence[str], others: Sequence[str]) -> None:
    """None of the names, which lie in no class, is that of an image. others: names of all the other files."""
    strays = [name for name in names if name.lower().endswith(EXTENSIONS + OTHER_IMAGES)]
    if not strays:
        return
    folder = strays[0].rpartition("/")[0]
    if folder and not any(name.startswith(f"{folder}/") for name in others):
        fix = f"Without labels? Leave the folder out, {_ignore(folder)}."
    elif len(strays) <= 3:
        fix = f"Move it, or leave it out, {_ignore(*strays)}."
    else:
        fix = "Move them, or delete them."
    more = f" (and {len(strays) - 1} more)" if len(strays) > 1 else ""
    raise DataError(
        f"{path}: the image {strays[0]}{more} lies in no class folder; expects e.g. {max(others, key=_depth)}. {fix}"
    )


def _depth(name: str) -> int:
    return name.count("/")


def _ignore(*names: str) -> str:
    return f"ignore={tuple(map(glob.escape, names))!r}"


def _check_nested(path: pathlib.Path, parts: Parts, depth: int) -> None:
    """Folders below a class belong to it, but not if they are splits: test rows would be trained on."""
    below = {part[depth - 1].lower() for part in parts.values() if len(part) > depth}
    if below and below <= set(SPLIT_FOLDERS):
        name = next(name for name, part in parts.items() if len(part) > depth)
        raise DataError(
            f"{path}: the splits lie below the classes ({name}); expects train/cat/1.jpg. Move them to the top."
        )


def _class_name(path: pathlib.Path, folder: str) -> str:
    """The name in Unicode's composed form, which all systems agree on."""
    if not folder.isascii():
        try:
            folder.encode()
        except UnicodeEncodeError:
            raise DataError(f"{path}: the name of the folder {folder!r} is not UTF-8; rename it.") from None
    return unicodedata.normalize("NFC", folder)


def _check_twins(
    path: pathlib.Path, folders: Mapping[str, list[str]], named: Mapping[str, str], splits: Mapping[str, str]
) -> None:
    """No two folders of a split have names that look alike and differ in their code points."""
    written = {}
    for name, folder in folders.items():
        first = written.setdefault((splits[name], named[name]), folder)
        if first != folder:
            raise DataError(
                f"{path}: the folders {'/'.join(first)!a} and {'/'.join(folder)!a} have the same name in two "
                "forms of Unicode; expects one folder a class. Merge or rename them."
            )


def _check_every_class(
    path: pathlib.Path, folders: Mapping[str, str], named: Mapping[str, str], splits: Mapping[str, str]
) -> None:
    """Every split has images of every class. folders: of each file, its class's."""
    classes: dict[str, dict[str, str]] = defaultdict(dict)
    for name, split in splits.items():
        classes[split][named[name]] = folders[name]
    everywhere = set().union(*classes.values())
    train = set(classes["train"]) if "train" in classes else everywhere
    for split, own in classes.items():
        if not (missing := sorted(everywhere - set(own), key=natural)):
            continue
        elsewhere = {other: known[missing[0]] for other, known in classes.items() if missing[0] in known}
        apart = next((each for each in (split, *elsewhere) if train.isdisjoint(classes[each])), None)
        if apart is not None:
            fix = (
                f"{apart} has only {_some(classes[apart])}, train {_some(train)}: correct the names, or, if "
                f"the images of {apart} have no labels, leave them out, "
                f"{_ignore(next(iter(classes[apart].values())).rpartition('/')[0])}."
            )
        else:
            fix = f"Add them, correct the name, or leave the class out, {_ignore(*elsewhere.values())}."
        raise DataError(
            f"{path}: {split} has no images of the class {missing[0]!r}, {next(iter(elsewhere))} has; expects each "
            f"class in each split. {fix}"
        )


def _some(names: Iterable[str]) -> str:
    first = sorted(names, key=natural)
    return ", ".join(map(repr, first[:3])) + ", ..." * (len(first) > 3)


def _check_no_tar(path: pathlib.Path) -> None:
    if path.name.lower().endswith(TARS) and not zipfile.is_zipfile(path):
        raise DataError(
            f"{path} is a tar archive; expects a folder or a zip file. Unpack it, tar -xf {path.name}, and pass the "
            "folder that comes out of it."
        )
