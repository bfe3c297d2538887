"""Image files of every kind: what is more than 8 bits, opaque, upright and one picture is refused or asked for."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from data_support import png, private_cache, write  # noqa: F401
from PIL import Image

import dlcore as dl

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
CORNER = np.dstack([np.zeros((2, 2, 3)), [[255, 0], [128, 255]]]).astype(np.uint8)  # black, transparent in places


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(depth: int, kind: int, row: bytes, *more: bytes, width: int = 1) -> bytes:
    """A PNG file of one row. kind: 0 gray, 2 color, 3 palette, 4 gray and alpha, 6 color and alpha."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(more)
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )


def saved(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def animation(kind: str) -> bytes:
    frames = [Image.fromarray(np.full((2, 2, 3), value, np.uint8)) for value in (10, 20)]
    return saved(
        frames[0], kind, save_all=True, append_images=frames[1:], **{"lossless": True} if kind == "WEBP" else {}
    )


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(GRAY), kind, exif=exif, **{"quality": 100} if kind == "JPEG" else {})


def palette(transparency: bytes = b"") -> bytes:
    more = [chunk(b"PLTE", bytes([9, 8, 7, 6, 5, 4])), *([chunk(b"tRNS", transparency)] if transparency else [])]
    return raw_png(8, 3, b"\0\1", *more, width=2)


def decoded(tmp_path, content: bytes, name: str = "1.png", **options) -> np.ndarray:
    """The image as both functions give it; they must agree."""
    write(tmp_path / "set" / "a" / name, content)
    (image,) = dl.data.from_image_folder(tmp_path / "set", cache=False, **options).train.inputs
    np.testing.assert_array_equal(dl.data.stream_image_folder(tmp_path / "set", **options).train.inputs[0], image)
    return image


INKS = saved(Image.fromarray(np.full((2, 2, 4), (0, 255, 255, 0), np.uint8), "CMYK"), "JPEG", quality=100)
ADOBE = INKS.index(b"\xff\xee")
REFUSED = {
    "gray of 16 bits": (raw_png(16, 0, bytes(2)), "values up to 65535; expects 8 bits a channel"),
    "color of 16 bits": (raw_png(16, 2, bytes(6)), "values up to 65535; expects 8 bits a channel"),
    "gray, alpha of 16 bits": (raw_png(16, 4, bytes(4)), "values up to 65535; expects 8 bits a channel"),
    "color, alpha of 16 bits": (raw_png(16, 6, bytes(8)), "values up to 65535; expects 8 bits a channel"),
    "PPM of 16 bits": (b"P6 # 1 1 255\n1 1\n65535\n" + bytes(6), "values up to 65535"),
    "PPM of 9 bits": (b"P6\n1 1 256\n" + bytes(6), "values up to 256"),
    "PGM of 10 bits": (b"P2\n1 1 1023\n7", "values up to 1023"),
    "PPM of floats": (b"Pf\n1 1\n-1.0\n" + bytes(4), "another header than P1 to P6"),
    "alpha": (png(CORNER), r"transparent in places \(alpha 0 of 255\).* transparency='white' or 'black'"),
    "transparent gray": (raw_png(8, 0, b"\1", chunk(b"tRNS", b"\0\1")), "transparent in places"),
    "transparent color": (raw_png(8, 2, b"\1\2\3", chunk(b"tRNS", b"\0\1\0\2\0\3")), "transparent in places"),
    "transparent palette": (palette(b"\x80"), "alpha 128 of 255"),
    "WebP alpha": (saved(Image.fromarray(CORNER), "WEBP", lossless=True), "transparent in places"),
    "animated GIF": (animation("GIF"), "is animated, or has several pictures; expects one. Pass animation='first'"),
    "animated PNG": (animation("PNG"), "is animated"),
    "animated WebP": (animation("WEBP"), "is animated"),
    "two pictures": (b"P5\n1 1 255\n\1P5\n1 1 255\n\2", "has several pictures"),
    "unmarked inks": (INKS[:ADOBE] + INKS[ADOBE + 16 :], "four inks and no Adobe marker"),
    "cut PNG": (png(COLOR)[:-30], "cannot be decoded"),
    "cut JPEG": (png(COLOR, "JPEG")[:-10], "cannot be decoded: image file is truncated"),
    "cut BMP": (png(COLOR, "BMP")[:-1], "cannot be decoded"),
    "bomb": (
        struct.pack(">8sI4sII5B", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", 60000, 60000, 8, 0, 0, 0, 0),
        "cannot be dec",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_picture_would_lose_is_refused(tmp_path, kind):
    content, message = REFUSED[kind]
    write(tmp_path / "set" / "a" / "1", content)
    for load in (dl.data.from_image_folder, dl.data.stream_image_folder):
        with pytest.raises(dl.DataError, match=rf"set: a/1 .*{message}"):
            load(tmp_path / "set")


READ = {
    "1 bit": (raw_png(1, 0, b"\xa5", width=8), {}, [[255, 0, 255, 0, 0, 255, 0, 255]]),
    "2 bits": (raw_png(2, 0, b"\x1b", width=4), {}, [[0, 85, 170, 255]]),
    "PBM": (b"P4\n9 1\n\xa5\x80", {}, [[0, 255, 0, 255, 255, 0, 255, 0, 0]]),
    "PBM in plain text": (b"P1 # a comment\n2 1\n1 0\n", {}, [[0, 255]]),
    "PGM of 4 bits": (b"P5\n2 1\n15\n\1\x0f", {}, [[17, 255]]),
    "one pixel": (png(GRAY[:1, 3:4]), {}, [[3]]),
    "palette": (palette(), {}, [[[9, 8, 7], [6, 5, 4]]]),
    "alpha on white": (png(CORNER), {"transparency": "white", "color": "gray"}, [[0, 255], [127, 0]]),
    "alpha on black": (png(CORNER), {"transparency": "black", "color": "gray"}, [[0, 0], [0, 0]]),
    "opaque alpha": (png(CORNER[:1, :1]), {}, [[[0, 0, 0]]]),
    "transparent gray": (
        raw_png(8, 0, b"\1\2", chunk(b"tRNS", b"\0\2"), width=2), {"transparency": "white"}, [[1, 255]],
    ),
    "a transparent gray that does not occur": (raw_png(8, 0, b"\1\2", chunk(b"tRNS", b"\0\3"), width=2), {}, [[1, 2]]),
    "transparent palette": (palette(b"\0"), {"transparency": "white"}, [[[255, 255, 255], [6, 5, 4]]]),
    "inks": (INKS, {"size": (1, 1)}, [[[255, 0, 0]]]),
    "gamma": (raw_png(8, 0, b"\x40", chunk(b"gAMA", struct.pack(">I", 100000))), {}, [[64]]),
    "first frame, GIF": (animation("GIF"), {"animation": "first", "color": "gray"}, [[10, 10], [10, 10]]),
    "first frame, PNG": (animation("PNG"), {"animation": "first", "color": "gray"}, [[10, 10], [10, 10]]),
    "first frame, WebP": (animation("WEBP"), {"animation": "first", "color": "gray"}, [[10, 10], [10, 10]]),
    "as stored": (turned("PNG", 6), {"orientation": "ignore"}, GRAY),
    "turned JPEG": (turned("JPEG", 6), {}, np.rot90(GRAY, -1)),
    "turned WebP": (turned("PNG", 8), {"size": (4, 3)}, np.rot90(GRAY)),
    "photograph with a preview": (
        saved(Image.fromarray(COLOR[..., 0]), "MPO", save_all=True, append_images=[Image.fromarray(GRAY)], quality=100),
        {}, COLOR[..., 0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_pictures_are_read_as_they_are_seen(tmp_path, kind):
    content, options, expected = READ[kind]
    found = decoded(tmp_path, content, "1", **options)
    assert found.dtype == np.uint8
    # JPEG of quality 100 may be off by one.
    np.testing.assert_allclose(found.astype(int), expected, atol=content.startswith(b"\xff\xd8"))


@pytest.mark.parametrize(("orientation", "expected"), [
    (1, GRAY), (2, GRAY[:, ::-1]), (3, GRAY[::-1, ::-1]), (4, GRAY[::-1]), (5, GRAY.T), (6, GRAY.T[:, ::-1]),
    (7, GRAY[::-1, ::-1].T), (8, GRAY.T[::-1]),
])  # fmt: skip
def test_pictures_are_turned_as_the_camera_noted(tmp_path, orientation, expected):
    np.testing.assert_array_equal(decoded(tmp_path, turned("PNG", orientation)), expected)


def test_decoded_arrays_are_kept_for_each_option(tmp_path):
    """Catches a key of the cache that lacks an option."""
    write(tmp_path / "set" / "a" / "1.png", png(CORNER))
    write(tmp_path / "set" / "b" / "2.png", png(CORNER[:, ::-1]))
    white, black = (
        dl.data.from_image_folder(tmp_path / "set", transparency=background).train.inputs
        for background in ("white", "black")
    )
    assert (white.max(), black.max()) == (255, 0)
    assert len(dl.data.from_image_folder(tmp_path / "set", transparency="white", ignore=("b",)).train.inputs) == 1
    with pytest.raises(dl.DataError, match="transparent"):
        dl.data.from_image_folder(tmp_path / "set")


@pytest.mark.filterwarnings("error")
def test_damaged_exif_says_nothing_of_the_pixels(tmp_path):
    stream = io.BytesIO()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x12\x01\x03\0"  # five entries are told, and a part of one is there
    Image.fromarray(np.full((4, 4, 3), 9, np.uint8)).save(stream, "JPEG", exif=exif)
    write(tmp_path / "a/1.jpg", stream.getvalue())
    assert dl.data.from_image_folder(tmp_path, cache=False).train.inputs.shape == (1, 4, 4, 3)
    assert warnings.filters[0][0] == "error"
