"""Read what the user has into a pandas frame; the caller's object is never changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from forecast.errors import ConfigError, DataError, Fault, printable

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".tsv", ".txt")


def read(data: Any) -> pd.DataFrame:
    """A pandas frame from a pandas, polars, Arrow or other narwhals-known frame, or from a CSV or Parquet path.

    A named index becomes columns. Raises ``DataError`` for a file that cannot be read or an empty frame,
    ``ConfigError`` for an object that is no frame.
    """
    if isinstance(data, (str, Path)):
        frame = _read_file(Path(data))
    elif isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, pd.Series):
        frame = data.to_frame(data.name if data.name is not None else "y")
    else:
        frame = _read_foreign(data)
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if named:
        frame = frame.reset_index(level=named)
    if not len(frame):
        raise DataError(Fault("frame", "it has no rows", "Give at least one row per series."))
    return frame


def _read_file(path: Path) -> pd.DataFrame:
    name = path.name.lower()
    if not path.is_file():
        raise DataError(Fault("file", f"{printable(str(path))} does not exist", "Check the path."))
    try:
        if name.endswith(PARQUET):
            return pd.read_parquet(path)
        if name.endswith(CSV):
            return _read_csv(path, "\t" if name.endswith(".tsv") else ",")
    except (ValueError, OSError) as error:
        size = path.stat().st_size
        problem = f"{printable(str(path))} ({size} bytes) cannot be read: {printable(str(error), 200)}"
        raise DataError(Fault("file", problem, "It may be truncated: copy it again.")) from error
    raise ConfigError(f"{path.name}: the format is told from the ending; known are {', '.join(PARQUET + CSV)}.")


def _read_csv(path: Path, separator: str) -> pd.DataFrame:
    """CSV with ids kept as written: "NA", "001" and "1e5" are names there, not numbers or nothing."""
    header = list(pd.read_csv(path, sep=separator, nrows=0).columns)
    text = [column for column in header if column in ("unique_id",)]
    frame = pd.read_csv(
        path, sep=separator, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values={
            column: ["", "NA", "NaN", "nan", "null", "None"] for column in header if column not in text
        }
    )  # fmt: skip
    return frame


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
