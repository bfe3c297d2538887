"""Parquet: a table with types."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlcore.core.arguments import arguments, path
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.data.read.files import MAX_TABLE, PathLike, library, looks_like, read_bytes
from dlcore.data.read.frame import OPTIONS, TARGET, described, from_frame
from dlcore.data.read.table import Column

if TYPE_CHECKING:
    import pandas as pd

ROWS = 1 << 16  # of a batch
CELL = 8  # bytes of a number, and of a reference to text


@arguments(path=path, target=TARGET, options=OPTIONS)
def from_parquet(path: PathLike, target: Column | Sequence[Column], **options: Any) -> Dataset:
    """A table in a Parquet file; read by pandas with pyarrow.

    Args:
      target, options: as in `from_frame`, so that an index which pandas wrote is read as `from_frame` takes it;
        `max_bytes` is also the most that the file may hold, and the table take in memory, text once for each value.

    Raises:
      DataError: as `from_frame`; also a file that is not Parquet or damaged.

    Example:
      >>> import pandas as pd
      >>> pd.DataFrame({"length": [5.1, 7.0], "species": ["setosa", "virginica"]}).to_parquet("irises.parquet")
      >>> dl.data.from_parquet("irises.parquet", "species").target_names
      ('setosa', 'virginica')
    """
    library("pandas", "reading Parquet")
    max_bytes = options.get("max_bytes", MAX_TABLE)
    data = read_bytes(path, max_bytes=max_bytes)
    try:
        frame = _frame(data, max_bytes, path)
    except DataError:
        raise
    # pyarrow raises ArrowInvalid, OSError, KeyError, NotImplementedError, ... on damaged files.
    except Exception as error:
        raise DataError(
            f"{path} is no readable Parquet file: {error}. "
            f"{looks_like(data, besides=b'PAR1') or 'Copy or write it again.'}"
        ) from error
    return from_frame(frame, target, **described(path, "Parquet") | options)


def _frame(data: bytes, max_bytes: int, path: PathLike) -> "pd.DataFrame":
    """As pandas.read_parquet, but with all that can be checked: page checksums, offsets, UTF-8; text by its values."""
    pa, parquet = library("pyarrow", "reading Parquet"), library("pyarrow.parquet", "reading Parquet")
    schema = parquet.ParquetFile(io.BytesIO(data)).schema_arrow
    texts = [field.name for field in schema if field.type in (pa.string(), pa.large_string(), pa.string_view())]
    file = parquet.ParquetFile(io.BytesIO(data), page_checksum_verification=True, read_dictionary=texts)
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    cells = sum(group.column(number).num_values for group in groups for number in range(group.num_columns))
    _check(CELL * max(cells, file.metadata.num_rows * len(schema)), max_bytes, path)
    batches, total = [], 0
    for batch in file.iter_batches(ROWS, use_threads=False):
        batches.append(batch)
        total += batch.nbytes  # what the file says of itself may be a lie
        _check(total, max_bytes, path)
    if sum(batch.num_rows for batch in batches) != file.metadata.num_rows:
        raise ValueError(f"it says that it has {file.metadata.num_rows} rows, and has others")
    table = pa.Table.from_batches(batches, file.schema_arrow.with_metadata(schema.metadata))
    table.validate(full=True)
    frame = table.to_pandas()
    if frame.index.name in texts:
        frame.index = frame.index.astype(object)
    for place, name in enumerate(frame.columns):
        if str(name) in texts:  # read as categories, now text again: a reference for each row to the text of its value
            frame.isetitem(place, frame.iloc[:, place].astype(object))
    return frame


def _check(found: int, max_bytes: int, path: PathLike) -> None:
    if found > max_bytes:
        raise DataError(
            f"{path} unpacks to {found} bytes or more; expects at most max_bytes={max_bytes}. Raise it if that is "
            "expected."
        )
