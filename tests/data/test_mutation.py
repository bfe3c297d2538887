"""A valid file with a byte changed gives the right arrays or one of the project's own errors, nothing else."""

import numpy as np
import pandas as pd
import pytest
from data_support import idx_bytes, image_members, png, private_cache, tar_bytes, write, zip_bytes  # noqa: F401
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rounds import rounds

import dlcore as dl

LABELS = np.asarray([0, 1, 1, 0, 1], np.uint8)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
TABLE = "x,y,kind\n1.5,2,a\n2.5,3,b\n3.25,4,a\n0.5,1,b\n"
TEXT = "To be, or not to be: caf\u00e9.\nA line.\nAnother\n"
MEMBERS, PIXELS = image_members()


def gzipped(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, mtime=0)


def npz() -> bytes:
    import io

    stream = io.BytesIO()
    np.savez_compressed(stream, inputs=IMAGES, targets=LABELS)
    return stream.getvalue()


def parquet() -> bytes:
    import io

    stream = io.BytesIO()
    pd.DataFrame({"x": np.arange(6.0), "kind": ["a", "b"] * 3}).to_parquet(stream)
    return stream.getvalue()


def load_idx(path, folder):
    return dl.data.from_idx(path, write(folder / "labels", idx_bytes(LABELS)), stratify=False)


def load_parts(path, folder):
    return dl.data.from_aligned_text((path, write(folder / "other", "a\nb\nc\n")))


# name: (valid content, loader, whether a checksum covers the values, so that they are the right ones or an error)
FORMATS = {
    "idx": (idx_bytes(IMAGES), load_idx, False),
    "idx.gz": (gzipped(idx_bytes(IMAGES)), load_idx, True),
    "cifar": (
        tar_bytes({"data_batch_1.bin": bytes(3073 * 2)}),
        lambda path, _: dl.data.from_cifar(path, cache=False),
        True,
    ),
    "images": (zip_bytes(MEMBERS), lambda path, _: dl.data.from_image_folder(path, cache=False), True),
    "csv": (TABLE.encode(), lambda path, _: dl.data.from_csv(path, "kind", stratify=False), False),
    "parquet": (parquet(), lambda path, _: dl.data.from_parquet(path, "kind", stratify=False), False),
    "npz": (npz(), lambda path, _: dl.data.from_npz(path), True),
    "text": (TEXT.encode(), lambda path, _: dl.data.from_text(path, length=3), False),
    "text.gz": (gzipped(TEXT.encode()), load_parts, True),
    "pen": (b"1,2,3,4,0\n5,6,7,8,1\n9,9,9,9,1\n", lambda path, _: dl.data.from_pen_strokes(path), False),
}


def outcome(load, path, folder):
    try:
        return load(path, folder)
    except dl.DlcoreError:
        return None


def same(data, reference):
    return all(
        np.array_equal(getattr(data.train, part), getattr(reference.train, part)) for part in ("inputs", "targets")
    )


@pytest.mark.parametrize("name", FORMATS)
@settings(
    max_examples=rounds(150),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(draw=st.data())
def test_mutated_file(tmp_path, name, draw):
    content, load, covered = FORMATS[name]
    mutated = bytearray(content)
    for _ in range(draw.draw(st.sampled_from([1, 1, 1, 2, 3]))):
        mutated[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    if draw.draw(st.integers(0, 3)) == 0:
        mutated = mutated[: draw.draw(st.integers(0, len(content)))]
    reference = load(write(tmp_path / f"valid.{name}", content), tmp_path)
    data = outcome(load, write(tmp_path / f"mutated.{name}", bytes(mutated)), tmp_path)
    if data is not None:
        assert len(data.train.inputs) == len(data.train.targets) > 0
        assert np.isfinite(data.train.inputs).all()
        if covered:
            assert same(data, reference)


@settings(
    max_examples=rounds(100),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "PPM", "GIF", "BMP", "WEBP"]),
    position=st.integers(0, 200),
    byte=st.integers(0, 255),
)
def test_mutated_image(tmp_path, kind, position, byte):
    """The image itself is damaged, so that no checksum of the archive tells."""
    content = bytearray(png(IMAGES[0], kind))
    content[position % len(content)] = byte
    path = write(tmp_path / "a.zip", zip_bytes({"a/1.png": bytes(content)}))
    data = outcome(lambda path, _: dl.data.from_image_folder(path, cache=False), path, tmp_path)
    assert data is None or data.train.inputs.dtype == np.uint8
