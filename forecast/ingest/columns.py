"""One column at a time: from any dtype to ids, stamps and float64, collecting faults instead of raising."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import Fault, printable, some
from forecast.schema import Schema

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
ONLY_SERIES = "series"


@dataclass(frozen=True)
class Column:
    """A typed column, the faults found on the way and what is worth a warning."""

    values: Any
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


def rows_where(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Positions of the true entries."""
    return tuple(int(row) for row in np.flatnonzero(mask))


def find_columns(frame: pd.DataFrame, schema: Schema, roles: tuple[str, ...]) -> list[Fault]:
    """Faults of the header: the columns of ``roles`` missing or doubled."""
    faults = []
    names = list(frame.columns)
    for name in roles:
        count = names.count(name)
        if count > 1:
            faults.append(Fault(name, f"{count} columns have this name", "Rename or drop all but one."))
        elif count == 0:
            near = get_close_matches(name, [str(n) for n in names], n=1, cutoff=0.6)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            role = {schema.id_col: "id_col", schema.time_col: "time_col", schema.target_col: "target_col"}[name]
            faults.append(Fault(name, f"no such column among {some(names, 8)}", f"{hint}Rename it or pass {role}='…'."))
    return faults


def id_column(frame: pd.DataFrame, name: str) -> tuple[Int, pd.Index, tuple[Fault, ...]]:
    """Codes (N,), the ids in first-seen order, faults. Without the column everything is one series."""
    if name not in frame.columns:
        return np.zeros(len(frame), dtype=np.int64), pd.Index([ONLY_SERIES], name=name), ()
    column = frame[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    codes, ids = pd.factorize(column, sort=False)
    codes = np.asarray(codes, dtype=np.int64)
    faults: tuple[Fault, ...] = ()
    if (codes < 0).any():
        rows = rows_where(codes < 0)
        faults = (Fault(name, "the id is missing", "Give these rows an id or drop them.", None, rows),)
    return codes, pd.Index(ids, name=name), faults


def time_column(column: pd.Series[Any]) -> tuple[Column, str | None]:
    """Stamps as ``datetime64[us]`` (UTC when zoned) or ``int64``, and the time zone's name or ``None``."""
    name = str(column.name)
    dtype = column.dtype
    if isinstance(dtype, pd.PeriodDtype):
        return _dates(column.dt.to_timestamp(), name), None
    if isinstance(dtype, pd.ArrowDtype):
        column = pd.Series(column.to_numpy() if dtype.kind == "i" else pd.to_datetime(column), name=name)
        dtype = column.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        utc = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return _dates(utc, name), str(dtype.tz)
    if dtype.kind == "M":
        return _dates(column, name), None
    if dtype.kind in "iu":
        missing = np.asarray(column.isna())
        if missing.any():
            return Column(None, (_missing_time(name, missing),)), None
        return Column(column.to_numpy(dtype=np.int64)), None
    if dtype.kind in "OT" or isinstance(dtype, pd.StringDtype):
        return _text_dates(column, name)
    remedy = "Use dates or integers; for seconds since 1970 convert with pandas.to_datetime(…, unit='s')."
    return Column(None, (Fault(name, f"times have dtype {dtype}", remedy),)), None


def _missing_time(name: str, missing: npt.NDArray[np.bool_]) -> Fault:
    return Fault(name, "the time is missing", "Fill in the time or drop these rows.", None, rows_where(missing))


def _dates(column: pd.Series[Any], name: str) -> Column:
    stamps = column.to_numpy().astype("datetime64[us]")
    missing = np.isnat(stamps)
    return Column(stamps, (_missing_time(name, missing),) if missing.any() else ())


def _text_dates(column: pd.Series[Any], name: str) -> tuple[Column, str | None]:
    missing = np.asarray(column.isna())
    zones = {str(getattr(value, "tzinfo", None)) for value in column[~missing].head(1000) if not isinstance(value, str)}
    if len(zones) > 1:
        remedy = "Convert all of them to one zone with pandas.to_datetime(…, utc=True)."
        return Column(None, (Fault(name, f"times are in several time zones ({some(zones)})", remedy),)), None
    try:
        parsed = pd.to_datetime(column, format="ISO8601", errors="coerce")
    except ValueError as error:
        remedy = "Convert all of them to one zone with pandas.to_datetime(…, utc=True)."
        return Column(None, (Fault(name, printable(str(error), 120), remedy),)), None
    unread = np.asarray(parsed.isna()) & ~missing
    faults = []
    if missing.any():
        faults.append(_missing_time(name, missing))
    if unread.any():
        examples = some(column[unread].iloc[:3])
        remedy = "Convert with pandas.to_datetime(…, format='%d/%m/%Y') or whatever the format is."
        faults.append(Fault(name, f"not ISO dates: {examples}", remedy, None, rows_where(unread)))
    note = f"{name}: dates were text and have been read as ISO dates."
    if faults:
        return Column(None, tuple(faults)), None
    if isinstance(parsed.dtype, pd.DatetimeTZDtype):
        zone = str(parsed.dtype.tz)
        parsed = parsed.dt.tz_convert("UTC").dt.tz_localize(None)
        return Column(parsed.to_numpy().astype("datetime64[us]"), (), (note,)), zone
    return Column(parsed.to_numpy().astype("datetime64[us]"), (), (note,)), None


def target_column(column: pd.Series[Any]) -> Column:
    """The target as float64, NaN where missing."""
    name = str(column.name)
    dtype = column.dtype
    if dtype.kind == "b":
        return Column(_floats(column), (), (f"{name}: true and false have been read as 1 and 0.",))
    if isinstance(dtype, (pd.CategoricalDtype, pd.SparseDtype)) or dtype.kind in "cMm":
        remedy = "Give numbers: convert the column to float."
        return Column(None, (Fault(name, f"the target has dtype {dtype}", remedy),))
    if dtype.kind in "iuf":
        return _finite(_floats(column), name, ())
    return _object_numbers(column, name)


def _floats(column: pd.Series[Any]) -> Float:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _object_numbers(column: pd.Series[Any], name: str) -> Column:
    missing = np.asarray(column.isna())
    numeric = np.array([isinstance(value, (int, float, np.number, Decimal)) for value in column], dtype=bool)
    wrong = ~numeric & ~missing
    if wrong.any():
        problem = f"not numbers: {some(column[wrong].iloc[:3])}"
        remedy = "Convert with pandas.to_numeric after removing thousands separators and units."
        return Column(None, (Fault(name, problem, remedy, None, rows_where(wrong)),))
    values = np.array([np.nan if gone else float(value) for value, gone in zip(column, missing, strict=True)])
    return _finite(values, name, (f"{name}: numbers held as objects have been read as floats.",))


def _finite(values: Float, name: str, notes: tuple[str, ...]) -> Column:
    infinite = np.isinf(values)
    if not infinite.any():
        return Column(values, (), notes)
    remedy = "Replace infinities by the true value, or by NaN when unknown."
    return Column(values, (Fault(name, "the value is infinite", remedy, None, rows_where(infinite)),), notes)
