"""Seconds from files to arrays on the device, against what was promised: `python -m benchmarks.data`.

Takes half a minute. The files are made for the purpose, in a temporary folder, with a cache of their own; the zip of
JPEGs is the one in the folder of real data if it is there.
"""

import gzip
import io
import os
import pathlib
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable

import jax
import numpy as np

import dlcore as dl

NUM_IMAGES = 60_000
NUM_JPEGS = 6_000


def main() -> int:
    """Print a line for each measurement; 1 if one of them misses its limit."""
    jax.device_put(np.zeros(1)).block_until_ready()  # the backend takes a second to start
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ["DLCORE_CACHE"] = str(folder / "cache")
        lines = [*_idx_lines(folder), *_jpeg_lines(folder)]
    print(f"{'what':<58} {'seconds':>8} {'limit':>8}")
    for what, seconds, limit in lines:
        print(f"{what:<58} {seconds:8.3f} {limit:8.3f}{'' if seconds < limit else '  MISSED'}")
    return int(any(seconds >= limit for _, seconds, limit in lines))


def _idx_lines(folder: pathlib.Path) -> list[tuple[str, float, float]]:
    random = np.random.default_rng(0)
    # As much of it black as of MNIST, four fifths, so that gzip has as much to do.
    pixels = random.integers(0, 256, (NUM_IMAGES, 28, 28), np.uint8) * (random.random((NUM_IMAGES, 28, 28)) < 0.2)
    labels = random.integers(0, 10, NUM_IMAGES).astype(np.uint8)
    images = struct.pack(">BBBB3I", 0, 0, 8, 3, *pixels.shape) + pixels.astype(np.uint8).tobytes()
    (folder / "labels").write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, NUM_IMAGES) + labels.tobytes())
    lines = []
    for kind, content in (("plain", images), ("gzip", gzip.compress(images, 6))):
        path = folder / f"images-{kind}"
        path.write_bytes(content)
        seconds = _timed(lambda path=path: dl.data.from_idx(path, folder / "labels"))
        lines.append((f"IDX, {kind}, 60 000 x 28 x 28, to the device", seconds, 2.0))
    return lines


def _jpeg_lines(folder: pathlib.Path) -> list[tuple[str, float, float]]:
    path = pathlib.Path(os.environ.get("DLCORE_DATA", "../shared/data")) / "cifar10-jpeg-6000.zip"
    what = "zip of 6 000 JPEGs, 32 x 32"
    if not path.exists():
        path, what = folder / "made.zip", what + ", made"
        _write_jpegs(path)
    first = _timed(lambda: dl.data.from_image_folder(path, progress=True))
    second = min(_timed(lambda: dl.data.from_image_folder(path)) for _ in range(3))
    return [
        (f"{what}, first load, to the device", first, 6.0),
        ("the same again, from the cache (limit: a tenth)", second, first / 10),
    ]


def _write_jpegs(path: pathlib.Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(NUM_JPEGS):
            stream = io.BytesIO()
            small = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
            small.resize((32, 32)).save(stream, "JPEG", quality=90)
            archive.writestr(f"{i % 10}/{i:04}.jpg", stream.getvalue())


def _timed(load: Callable[[], dl.data.Dataset]) -> float:
    began = time.perf_counter()
    jax.block_until_ready(jax.device_put(tuple(load().train)))
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
