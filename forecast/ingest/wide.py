"""From one column per series to one row per series and time."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np

from forecast.errors import ConfigError, DataError, Fault, printable, some

if TYPE_CHECKING:
    import pandas as pd

TIME_COLUMN = "ds"


def wide_to_long(
    frame: pd.DataFrame, time_col: str | None = None, id_col: str = "unique_id", target_col: str = "y"
) -> pd.DataFrame:
    """A long frame with the columns ``id_col``, ``ds`` and ``target_col`` from a table with one column per series.

    ``frame`` has shape (T, S), plus the column ``time_col`` when the times are not in its index; the result has
    S x T rows, series after series in column order, times in the order they came, and a fresh index. Nothing is
    dropped: a missing value stays one. The times and the ids keep their type, the values their common type.
    ``frame`` itself is not changed.

    Raises ``DataError`` (with every fault) when the frame has no series, two columns of one name, a MultiIndex,
    missing times, or a column that is not numeric; ``ConfigError`` when the names asked for collide.
    """
    import pandas as pd

    if len({id_col, TIME_COLUMN, target_col}) < 3:
        raise ConfigError(
            f"id_col={id_col!r} and target_col={target_col!r} must differ from each other and from {TIME_COLUMN!r}."
        )
    _refuse_odd_shapes(frame)
    times = frame.index.to_series() if time_col is None else frame[_present(frame, time_col)]
    series = frame if time_col is None else frame.drop(columns=time_col)
    _refuse_bad_content(times, series, time_col)
    steps, count = series.shape
    positions = np.tile(np.arange(steps), count)
    return pd.DataFrame(
        {
            id_col: series.columns.repeat(steps),
            TIME_COLUMN: times.array.take(positions),
            target_col: _stack(series),
        }
    )


def _stack(series: pd.DataFrame) -> Any:
    import pandas as pd

    kinds = set(series.dtypes)
    if all(isinstance(kind, np.dtype) for kind in kinds):
        return series.to_numpy().ravel(order="F")
    return pd.concat([series[column] for column in series.columns], ignore_index=True).array


def _present(frame: pd.DataFrame, time_col: str) -> str:
    if time_col in frame.columns:
        return time_col
    near = difflib.get_close_matches(str(time_col), [str(column) for column in frame.columns], 1, 0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"The columns are {some(frame.columns)}."
    raise DataError(Fault(str(time_col), "there is no such column", f"{hint} Leave time_col out to use the index."))


def _refuse_odd_shapes(frame: pd.DataFrame) -> None:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(Fault("frame", f"it is a {type(frame).__name__}, not a pandas DataFrame", "Pass a data frame."))
    faults = []
    if frame.columns.nlevels > 1:
        faults.append(
            Fault(
                "columns", "they are a MultiIndex", "Join the levels: df.columns = ['/'.join(c) for c in df.columns]."
            )
        )
    elif not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].unique()
        faults.append(Fault("columns", f"{some(twice)} occurs more than once", "Give each series its own name."))
    if frame.index.nlevels > 1:
        faults.append(Fault("index", "it is a MultiIndex", "Call reset_index() and name the time column in time_col."))
    if faults:
        raise DataError(faults)


def _refuse_bad_content(times: pd.Series[Any], series: pd.DataFrame, time_col: str | None) -> None:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    name = time_col or "index"
    faults = []
    if series.shape[1] == 0:
        faults.append(Fault("columns", "there is no column beside the time", "Add one column for each series."))
    unknown = np.flatnonzero(times.isna().to_numpy())
    if unknown.size:
        faults.append(Fault(name, "the time is missing", "Fill it in or drop the rows.", rows=tuple(unknown.tolist())))
    for position, column in enumerate(series.columns):
        kind = series.dtypes.iloc[position]
        if not is_numeric_dtype(kind) or is_bool_dtype(kind):
            remedy = "Convert it with pd.to_numeric, or drop it"
            remedy += f"; if it holds the times, pass time_col={column!r}." if time_col is None else "."
            faults.append(Fault(printable(column), f"it holds {kind}, not numbers", remedy))
    if faults:
        raise DataError(faults)
