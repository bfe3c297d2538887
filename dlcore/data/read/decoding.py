"""Pixels of an image file: 8 bits a channel, opaque, upright, one picture; what is more is refused or asked for."""

import io
import re
import threading
import warnings
from typing import Any, Literal, NamedTuple

import numpy as np

from dlcore.core.arguments import NONE, integer, one_of, sequence
from dlcore.core.errors import DataError
from dlcore.data.read.files import library

# Pillow also opens formats that start other programs (EPS) or rest on large C libraries (TIFF).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")
GRAY_MODES = ("1", "L", "LA")
COLOR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")
MAX_PIXELS = 1 << 26  # of one image, before it is decoded
_SPACE = rb"(?:[ \t-\r]|#[^\r\n]*[\r\n])+"
_SIZE = rb"%b\d+%b\d+" % (_SPACE, _SPACE)
_PPM = re.compile(rb"P(?:[14]%b|[2356]%b%b(?P<most>\d+))\s" % (_SIZE, _SIZE, _SPACE))
_TO_8_BITS = "Convert it (magick in.png -depth 8 out.png), or read its numbers yourself and use dl.data.from_arrays."

Color = Literal["auto", "gray", "rgb"]
Transparency = Literal["refuse", "white", "black"]
Orientation = Literal["apply", "ignore"]
Animation = Literal["refuse", "first"]

SHAPE = sequence(integer(1, 1 << 13), 2, 2, text="integers from 1 to 8192: (height, width)") | NONE
DECODING = {
    "size": SHAPE,
    "color": one_of("auto", "gray", "rgb"),
    "transparency": one_of("refuse", "white", "black"),
    "orientation": one_of("apply", "ignore"),
    "animation": one_of("refuse", "first"),
}


class _Quiet:
    """Without Pillow's warnings, of damaged EXIF for one, while any thread decodes.

    `warnings.catch_warnings` by itself must not overlap with that of another thread.
    """

    def __init__(self):
        self._lock, self._inside, self._caught = threading.Lock(), 0, warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._caught.__exit__(None, None, None)


_QUIET = _Quiet()


class Decoding(NamedTuple):
    """What becomes of an image: the options of `from_image_folder`, described there."""

    size: tuple[int, int] | None = None
    color: Color = "auto"
    transparency: Transparency = "refuse"
    orientation: Orientation = "apply"
    animation: Animation = "refuse"


def decode_image(data: bytes, where: str, decoding: Decoding) -> np.ndarray:
    """An image file's pixels, uint8 [height, width] or [height, width, 3].

    Color profiles and gamma are not applied: the numbers are those of the file.

    Args:
      where: name for messages.

    Raises:
      DataError: not an image of `FORMATS`, damaged, more than `MAX_PIXELS`, more than 8 bits a channel; transparent or
        animated, unless `decoding` says what to do.
    """
    Image = library("PIL.Image", "reading images")
    try:
        with _QUIET, Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            _check(opened, data, where, decoding)
            gray = decoding.color == "gray" or (decoding.color == "auto" and opened.mode in GRAY_MODES)
            image = _upright(opened) if decoding.orientation == "apply" else opened
            image = _opaque(image, where, decoding.transparency).convert("L" if gray else "RGB")
            if decoding.size is not None and image.size != decoding.size[::-1]:
                image = image.resize(decoding.size[::-1], Image.Resampling.BILINEAR)
            return np.asarray(image)
    except DataError:
        raise
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, IndexError, ... on damaged files.
    except Exception as error:
        raise DataError(_unreadable(where, error)) from error


def check_is_image(data: bytes, where: str) -> None:
    """Raise `DataError` unless the bytes begin as an image of `FORMATS` does."""
    try:
        with _QUIET:
            library("PIL.Image", "reading images").open(io.BytesIO(data), formats=FORMATS).close()
    except Exception as error:  # as in `decode_image`
        raise DataError(_unreadable(where, error)) from error


def _unreadable(where: str, error: Exception) -> str:
    reason = str(error).rstrip(".") or type(error).__name__
    reason = "no image of a known format" if "cannot identify" in reason else reason
    return (
        f"{where} cannot be decoded: {reason}. Remove or replace it ({', '.join(FORMATS)}), or name it in ignore=(...)."
    )


def _check(image: Any, data: bytes, where: str, decoding: Decoding) -> None:
    """Refuse what is told by the header, before anything is decoded."""
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{where} is {image.width} x {image.height}; expects at most {MAX_PIXELS} pixels. Shrink it.")
    _check_depth(image, data, where)
    if image.mode not in GRAY_MODES + COLOR_MODES:
        raise DataError(f"{where} has mode {image.mode!r}; expects 8 bits a channel. {_TO_8_BITS}")
    if image.format == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        raise DataError(
            f"{where} has four inks and no Adobe marker, which says how they are counted; expects gray or RGB. "
            "Convert it."
        )
    if decoding.animation == "refuse" and _has_frames(image, data):
        raise DataError(
            f"{where} is animated, or has several pictures; expects one. Pass animation='first' for the first, or take "
            "it apart."
        )


def _has_frames(image: Any, data: bytes) -> bool:
    """Whether the file has more than one picture."""
    if image.format == "PPM" and (header := _PPM.match(data)) is not None and data[1:2] in b"456":
        row = -(-image.width // 8) if image.mode == "1" else image.width * len(image.getbands())
        return bool(data[header.end() + image.height * row :].strip())
    # A JPEG with several pictures (MPO) is a photograph with previews; the first is the one that is shown.
    return image.format != "MPO" and getattr(image, "is_animated", False)


def _check_depth(image: Any, data: bytes, where: str) -> None:
    """Refuse more than 8 bits a channel; Pillow cuts those of colors without a word."""
    most = 255
    if image.format == "PNG":
        if data[12:16] != b"IHDR":
            raise DataError(f"{where} is no PNG file: it does not begin with its header. Replace it.")
        most = (1 << data[24]) - 1
    if image.format == "PPM":
        header = _PPM.match(data)
        if header is None:
            raise DataError(f"{where} has another header than P1 to P6, width, height and maximum. Convert it to PNG.")
        most = int(header["most"] or 1)
    if most > 255:
        raise DataError(f"{where} has values up to {most}; expects 8 bits a channel, up to 255. {_TO_8_BITS}")


def _upright(image: Any) -> Any:
    """Turned and mirrored as the camera says in EXIF."""
    return library("PIL.ImageOps", "reading images").exif_transpose(image)


def _opaque(image: Any, where: str, transparency: Transparency) -> Any:
    """Without transparency: laid on a background, where a pixel lets it through."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    least, _ = image.getextrema()[3]
    if least == 255:
        return image
    if transparency == "refuse":
        raise DataError(
            f"{where} is transparent in places (alpha {least} of 255); expects opaque pixels. Pass "
            "transparency='white' or 'black', the background to lay it on."
        )
    Image = library("PIL.Image", "reading images")
    return Image.alpha_composite(Image.new("RGBA", image.size, transparency), image)
