"""Parquet: a table with types."""

import io
from collections.abc import Sequence
from typing import Any

from dlcore.core.arguments import arguments, path
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.data.read.files import PathLike, library, read_bytes
from dlcore.data.read.frame import OPTIONS, TARGET, Column, described, from_frame


@arguments(path=path, target=TARGET, options=OPTIONS)
def from_parquet(path: PathLike, target: Column | Sequence[Column], **options: Any) -> Dataset:
    """A table in a Parquet file; read by pandas with pyarrow.

    Args:
      target, options: as in `from_frame`; columns that pandas wrote as the index are columns like the others.

    Raises:
      DataError: as `from_frame`; also a file that is not Parquet or damaged.

    Example:
      >>> import pandas as pd
      >>> pd.DataFrame({"length": [5.1, 7.0], "species": ["setosa", "virginica"]}).to_parquet("irises.parquet")
      >>> dl.data.from_parquet("irises.parquet", "species").target_names
      ('setosa', 'virginica')
    """
    library("pandas", "reading Parquet")
    parquet = library("pyarrow.parquet", "reading Parquet")
    data = read_bytes(path)
    try:
        # As pandas.read_parquet, but with all that can be checked: page checksums, offsets, UTF-8.
        table = parquet.read_table(io.BytesIO(data), page_checksum_verification=True)
        table.validate(full=True)
        frame = table.to_pandas()
    # pyarrow raises ArrowInvalid, OSError, KeyError, NotImplementedError, ... on damaged files.
    except Exception as error:
        raise DataError(f"{path} is no readable Parquet file: {error}. Copy or write it again.") from error
    if any(name is not None for name in frame.index.names):  # pandas wrote these columns as the index
        frame = frame.reset_index()
    return from_frame(frame, target, **described(path, "Parquet") | options)
