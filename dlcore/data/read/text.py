"""Text files: as a string, as lines, as windows to predict what comes next."""

import pathlib
from typing import Any, Literal

from dlcore.core.arguments import arguments, path
from dlcore.core.dataset import Dataset
from dlcore.data.arrange.windows import WINDOWS, next_token
from dlcore.data.parameters import BYTES, DESCRIBED
from dlcore.data.prepare.tokens import Unit
from dlcore.data.read.files import MAX_BYTES, PathLike, decoded, read_bytes


@arguments(path=path, max_bytes=BYTES)
def read_text(path: PathLike, *, max_bytes: int = MAX_BYTES) -> str:
    r"""A UTF-8 file, plain or gzip, as one string; lines end in "\n", whatever system wrote it.

    A carriage return inside a line stays there if other lines end in "\n". A byte order mark is dropped.

    Args:
      max_bytes: most that it may hold when unpacked.

    Raises:
      DataError: no such file, empty, not UTF-8 (with the byte's offset), a zero byte, a damaged gzip.

    Example:
      >>> np.savetxt("play.txt", ["To be,", "or not"], fmt="%s")
      >>> dl.data.read_text("play.txt")
      'To be,\nor not\n'
    """
    text = decoded(read_bytes(path, max_bytes=max_bytes), path).replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")  # as old Macintoshes wrote


@arguments(path=path, max_bytes=BYTES)
def read_lines(path: PathLike, *, max_bytes: int = MAX_BYTES) -> list[str]:
    """The lines of a text file, without line ends; the last one may have one or not.

    Args, Raises: as `read_text`.

    Example:
      >>> np.savetxt("play.txt", ["To be,", "or not"], fmt="%s")
      >>> dl.data.read_lines("play.txt")
      ['To be,', 'or not']
    """
    # str.splitlines would also split at form feeds and Unicode separators inside a line.
    return read_text(path, max_bytes=max_bytes).removesuffix("\n").split("\n")


@arguments(path=path, max_bytes=BYTES, described=DESCRIBED, **WINDOWS)
def from_text(
    path: PathLike,
    *,
    length: int,
    stride: int | None = None,
    unit: Unit = "character",
    predict: Literal["sequence", "last"] = "sequence",
    max_vocabulary: int | None = None,
    validation: float = 0.0,
    test: float = 0.0,
    max_bytes: int = MAX_BYTES,
    **described: Any,
) -> Dataset:
    """A text file, to predict each character or word from those before it.

    Args, Returns, Raises: as `next_token`; also as `read_text`, whose `max_bytes` it takes.

    Example:
      >>> np.savetxt("play.txt", ["To be, or not to be"], fmt="%s")
      >>> dl.data.from_text("play.txt", length=4, predict="last").train.targets.shape
      (4,)
    """
    described = {"name": pathlib.Path(path).name.split(".")[0], "source": f"text {path}"} | described
    return next_token(
        read_text(path, max_bytes=max_bytes),
        length=length,
        stride=stride,
        unit=unit,
        predict=predict,
        max_vocabulary=max_vocabulary,
        validation=validation,
        test=test,
        **described,
    )
