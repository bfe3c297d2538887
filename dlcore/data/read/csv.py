"""CSV and the like: a table in a text file."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

from dlcore.core.arguments import arguments, boolean, path, text
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.data.read.files import PathLike, decoded, library, read_bytes
from dlcore.data.read.frame import OPTIONS, TARGET, Column, described, from_frame


@arguments(path=path, target=TARGET, header=boolean, separator=text, options=OPTIONS)
def from_csv(
    path: PathLike, target: Column | Sequence[Column], *, header: bool = True, separator: str = ",", **options: Any
) -> Dataset:
    """A table in a text file, plain or gzip; read by pandas.

    Args:
      path: UTF-8 text, one row a line.
      target: column to predict, by name or by position (-1 is the last); or several columns of numbers.
      header: whether the first line holds names; without it columns are called "0", "1", ...
      separator: between cells, e.g. a tab.
      options: as in `from_frame`.

    Raises:
      DataError: as `from_frame`; also text that is no table, or not UTF-8.

    Example:
      >>> table = [[5.1, 3.5, 0], [4.9, 3.0, 0], [7.0, 3.2, 1]]
      >>> np.savetxt("irises.csv", table, delimiter=",", header="length,width,species", comments="", fmt="%g")
      >>> dl.data.from_csv("irises.csv", "species").train.inputs.shape
      (3, 2)
    """
    pd = library("pandas", "reading CSV")
    text = decoded(read_bytes(path), path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # rows longer than the header are only warned of
            frame = pd.read_csv(
                io.StringIO(text), header=0 if header else None, sep=separator, index_col=False, skipinitialspace=True,
                low_memory=False,
            )  # fmt: skip
    # pandas raises ParserError, EmptyDataError, ParserWarning, and others from Python's csv module.
    except Exception as error:
        raise DataError(
            f"{path} is no table: {error}. Check the separator ({separator!r}) and header={header}."
        ) from error
    return from_frame(frame, target, **described(path, "CSV") | options)
