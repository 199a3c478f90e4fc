"""Read what the user has into a pandas frame; the caller's object is never changed."""

from __future__ import annotations

import csv
import gzip
import zlib
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from forecast.errors import ConfigError, DataError, Fault, printable
from forecast.schema import Schema

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".tsv", ".txt")


def read(data: Any, schema: Schema | None = None) -> pd.DataFrame:
    """A pandas frame from a pandas, polars, Arrow or other narwhals-known frame, or from a CSV or Parquet path.

    A named index becomes columns. In a CSV file ids stay text as written and ISO dates become dates.

    Raises ``DataError`` for a file that cannot be read or an empty frame,
    ``ConfigError`` for an object that is no frame.
    """
    if isinstance(data, (str, Path)):
        frame = _read_file(Path(data), schema or Schema())
    elif isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, pd.Series):
        frame = data.to_frame(data.name if data.name is not None else "y")
    else:
        frame = _read_foreign(data)
    frame = with_index(frame)
    if not len(frame):
        raise DataError(Fault("frame", "it has no rows", "Give at least one row per series."))
    return frame


def with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with what its index has a name for as columns."""
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    return frame.reset_index(level=named) if named else frame


def _read_file(path: Path, schema: Schema) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(Fault("file", f"{printable(str(path), 300)} does not exist", "Check the path."))
    return parsed(path, schema)


def parsed(path: Path, schema: Schema, content: bytes | None = None) -> pd.DataFrame:
    """The frame in the CSV or Parquet file ``path``, or in ``content``, its bytes (unzipped); it may have no rows.

    Raises ``DataError`` for what cannot be read, ``ConfigError`` for an ending that names no format.
    """
    name = path.name.lower()
    try:
        if name.endswith(PARQUET):
            return pd.read_parquet(path if content is None else BytesIO(content), page_checksum_verification=True)
        if name.endswith(CSV):
            return _read_csv(path, content, "\t" if name.endswith(".tsv") else ",", schema)
    except DataError:
        raise
    except (ValueError, OSError, EOFError, zlib.error, csv.Error) as error:
        size = path.stat().st_size if content is None else len(content)
        problem = f"{printable(str(path), 300)} ({size} bytes) cannot be read: {printable(str(error), 200)}"
        raise DataError(Fault("file", problem, "It may be truncated: copy it again.")) from error
    raise ConfigError(f"{path.name}: the format is told from the ending; known are {', '.join(PARQUET + CSV)}.")


def _read_csv(path: Path, content: bytes | None, separator: str, schema: Schema) -> pd.DataFrame:
    """CSV with ids kept as written: "NA", "001" and "1e5" are names there, not numbers or nothing."""

    def text() -> Path | BytesIO:
        return path if content is None else BytesIO(content)

    header = list(pd.read_csv(text(), sep=separator, nrows=0).columns)
    nothing = ["", "NA", "NaN", "nan", "null", "None"]
    frame = pd.read_csv(
        text(),
        sep=separator,
        dtype={schema.id_col: str} if schema.id_col in header else None,
        keep_default_na=False,
        na_values={column: [""] if column == schema.id_col else nothing for column in header},
    )
    if len(frame) and frame.iloc[:, -1].isna().any():  # pandas fills up short rows without a word
        _refuse_short_rows(path, content, separator, len(header))
    written = pd.read_csv(text(), sep=separator, nrows=1, header=None, dtype=str, keep_default_na=False).iloc[0]
    if written.duplicated().any() and len(written) == frame.shape[1]:  # pandas made y.1 of the second y
        frame.columns = pd.Index(written.to_list())
    return with_dates(frame, schema)


def _refuse_short_rows(path: Path, content: bytes | None, separator: str, fields: int) -> None:
    """Raise ``DataError`` naming the first line with fewer than ``fields`` fields."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") if content is None else BytesIO(content) as binary:
        lines = TextIOWrapper(binary, encoding="utf-8", newline="")
        reader = csv.reader(lines, delimiter=separator)
        for record in reader:
            if record and len(record) < fields:
                problem = f"{printable(str(path), 300)}, line {reader.line_num}: {len(record)} of {fields} fields"
                raise DataError(Fault("file", problem, "It may be truncated: copy it again, or mend the line."))


def with_dates(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The time column read as ISO dates where all of it can be; else the door names what is wrong."""
    if list(frame.columns).count(schema.time_col) != 1:
        return frame
    times = frame[schema.time_col]
    if pd.api.types.is_numeric_dtype(times):
        return frame
    try:
        dates = pd.to_datetime(times, format="ISO8601", errors="coerce")
    except ValueError:  # several offsets from UTC
        return frame
    return frame.assign(**{schema.time_col: dates}) if (dates.notna() == times.notna()).all() else frame


def _read_foreign(data: Any) -> pd.DataFrame:
    try:
        native = nw.from_native(data)
    except TypeError as error:
        raise ConfigError(
            f"{type(data).__name__} is not a data frame. Pass a pandas, polars or Arrow frame, or a path to a "
            "CSV or Parquet file."
        ) from error
    if isinstance(native, nw.LazyFrame):
        native = native.collect()
    if not isinstance(native, nw.DataFrame):
        raise ConfigError(f"{type(data).__name__} is not a data frame with named columns.")
    return native.to_pandas()
