"""One column at a time: from any dtype to ids, stamps and float64, collecting faults instead of raising."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import Fault, some
from forecast.schema import Schema

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
ONLY_SERIES = "series"
REAL = (int, float, np.integer, np.floating, np.bool_, Decimal)


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
    try:
        codes, ids = pd.factorize(column, sort=False)
    except (TypeError, NotImplementedError):  # the latter from Arrow
        rows = tuple(row for row, value in enumerate(column) if not isinstance(value, Hashable))
        problem = f"ids must be text or numbers, not {some(column.iloc[list(rows[:3])])}"
        fault = Fault(name, problem, "Join lists and the like into text, with .astype(str) say.", None, rows)
        return np.zeros(len(frame), dtype=np.int64), pd.Index([ONLY_SERIES], name=name), (fault,)
    if isinstance(column.dtype, pd.CategoricalDtype):
        ids = ids.astype(column.cat.categories.dtype)
    codes = np.asarray(codes, dtype=np.int64)
    faults: tuple[Fault, ...] = ()
    if (codes < 0).any():
        rows = rows_where(codes < 0)
        faults = (Fault(name, "the id is missing", "Give these rows an id or drop them.", None, rows),)
    return codes, pd.Index(ids, name=name), faults


def target_column(column: pd.Series[Any]) -> Column:
    """The target as float64, NaN where missing."""
    name = str(column.name)
    dtype = column.dtype
    if dtype.kind == "b":
        return Column(floats(column), (), (f"{name}: true and false have been read as 1 and 0.",))
    if isinstance(dtype, (pd.CategoricalDtype, pd.SparseDtype)) or dtype.kind in "cMm":
        remedy = "Give numbers: convert the column to float."
        return Column(None, (Fault(name, f"the target has dtype {dtype}", remedy),))
    if dtype.kind in "iuf":
        return finite(floats(column), name)
    return _object_numbers(column, name)


def floats(column: pd.Series[Any]) -> Float:
    """A numeric column of any make as float64, NaN where missing."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _object_numbers(column: pd.Series[Any], name: str) -> Column:
    read = [number(value) for value in column]
    wrong = np.array([value is None for value in read], dtype=bool)
    values = np.array([np.nan if value is None else value for value in read], dtype=np.float64)
    read_as = finite(values, name, (f"{name}: numbers held as objects have been read as floats.",))
    if not wrong.any():
        return read_as
    problem = f"not numbers: {some(column[wrong].iloc[:3])}"
    remedy = "Convert with pandas.to_numeric after removing thousands separators and units."
    fault = Fault(name, problem, remedy, None, rows_where(wrong))
    return Column(None if wrong.all() else values, (fault, *read_as.faults), read_as.notes)


def number(value: Any) -> float | None:
    """One cell as a float, NaN where missing, ``None`` for what is no number or too large for a float."""
    try:
        if isinstance(value, REAL):
            return float(value)
        return np.nan if value is None or value is pd.NA or value is pd.NaT else None
    except (OverflowError, ValueError):  # 10**400; a signalling NaN
        return None


def finite(values: Float, name: str, notes: tuple[str, ...] = ()) -> Column:
    """A column of floats with a fault where it is infinite."""
    infinite = np.isinf(values)
    if not infinite.any():
        return Column(values, (), notes)
    remedy = "Replace infinities by the true value, or by NaN when unknown."
    return Column(values, (Fault(name, "the value is infinite", remedy, None, rows_where(infinite)),), notes)
