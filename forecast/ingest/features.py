"""Covariates from columns of a frame: from any dtype to numbers or labels, collecting faults instead of raising."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import Fault, some
from forecast.ingest.columns import Column, finite, floats, number, rows_where
from forecast.panel.covariates import Column as Covariate
from forecast.panel.covariates import Covariates, Labels, Numbers
from forecast.schema import Schema

Bool = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]
KINDS = "Give numbers, text, categories or truth values."
LIKE = ("string", "boolean")  # objects that are all alike: equal ones are one label


def header_faults(
    frame: pd.DataFrame, names: Sequence[Any], schema: Schema, place: str = "", role: str = "stat_exog"
) -> list[Fault]:
    """Faults of the header: covariates missing, doubled or not named by text.

    ``place`` says which table it is (" of static_df"), ``role`` what names the covariates.
    """
    faults = []
    given = list(frame.columns)
    for name in dict.fromkeys(names):
        count = given.count(name)
        where = f"{name}{place}"
        if not isinstance(name, str):
            faults.append(Fault(where, "the name of a feature must be text", f"Rename it, or list others in {role}."))
        elif count > 1:
            faults.append(Fault(where, f"{count} columns have this name", "Rename or drop all but one."))
        elif count == 0:
            near = get_close_matches(name, [str(n) for n in given if n != schema.id_col], n=1, cutoff=0.6)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            remedy = f"{hint}Add it, or fit with other {role}."
            faults.append(Fault(where, f"no such column among {some(given, 8)}", remedy))
    return faults


def feature_columns(
    frame: pd.DataFrame, names: Sequence[str], known: Covariates | None, place: str = ""
) -> tuple[list[Covariate], list[Fault]]:
    """The columns as numbers or labels, of the kind that ``known`` has, and what is wrong with them.

    Cells with a fault are missing; a column of which nothing can be read is left out. ``place`` goes into the faults.
    """
    columns: list[Covariate] = []
    faults: list[Fault] = []
    for name in names:
        kind = None if known is None else type(known.column(name))
        read_as = feature_column(frame[name], name, kind)
        faults += [replace(fault, column=f"{name}{place}") for fault in read_as.faults]
        if isinstance(read_as.values, (Numbers, Labels)):
            columns.append(read_as.values)
    return columns, faults


def feature_column(column: pd.Series[Any], name: str, kind: type[Numbers | Labels] | None = None) -> Column:
    """A covariate called ``name`` as :class:`Numbers` or :class:`Labels`, missing where the cell is.

    Numbers stay numbers; text, categories and truth values become labels, and so does a column that mixes them.
    ``kind`` is what the column was when the models were fitted: a column that was labels then is so again, one that
    was numbers and is not any more is a fault. Labels are told apart by what they say: 1, 1.0 and "1" are one label.
    """
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype) or dtype.kind in "cMm":
        return Column(None, (Fault(name, f"a feature cannot have dtype {dtype}", KINDS),))
    if isinstance(dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy().astype(np.int64)
        return _of_kind(_labels(name, codes, [*column.cat.categories, None]), column, name, kind)
    if dtype.kind in "iuf" and kind is not Labels:
        return _numbers(name, floats(column))
    if dtype.kind in "iufb" or isinstance(dtype, pd.StringDtype) or _is_arrow_text(dtype) or _all_alike(column):
        codes, uniques = pd.factorize(column)
        return _of_kind(_labels(name, codes.astype(np.int64), [*uniques, None]), column, name, kind)
    cells = column.tolist()
    if kind is not Labels and (numeric := _all_numbers(cells)) is not None:
        return _numbers(name, numeric)
    return _of_kind(_labels(name, np.arange(len(cells), dtype=np.int64), [*cells, None]), column, name, kind)


def _is_arrow_text(dtype: Any) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and dtype.kind in "OSTU"


def _all_alike(column: pd.Series[Any]) -> bool:
    """Whether objects are all text or all truth values, some perhaps missing: then none is read on its own."""
    return column.dtype.kind == "O" and pd.api.types.infer_dtype(column, skipna=True) in LIKE


def _numbers(name: str, values: Float) -> Column:
    """Numbers, with a fault where they are infinite; they are missing there."""
    read = finite(values, name)
    kept = np.where(np.isinf(values), np.nan, values) if read.faults else values
    return replace(read, values=Numbers(name, kept))


def _all_numbers(cells: Sequence[Any]) -> Float | None:
    """The cells as floats when every one is a number or missing, else ``None``. A truth value is no number."""
    read = [None if isinstance(cell, (bool, np.bool_)) else number(cell) for cell in cells]
    return None if any(value is None for value in read) else np.array(read, dtype=np.float64)


def _labels(name: str, codes: npt.NDArray[np.int64], cells: Sequence[Any]) -> Column:
    """Labels from the place of each row's cell among ``cells``, the last of which is a missing one (place -1)."""
    texts = [label(cell) for cell in cells]
    labels = tuple(dict.fromkeys(text for text in texts if text))
    place = {text: code for code, text in enumerate(labels)}
    read = Labels(name, np.array([place.get(text or "", -1) for text in texts], dtype=np.int64)[codes], labels)
    unreadable = np.array([text is None for text in texts], dtype=bool)[codes]
    if not unreadable.any():
        return Column(read)
    examples = some(cells[codes[row]] for row in rows_where(unreadable)[:3])
    fault = Fault(name, f"neither numbers nor text: {examples}", KINDS, None, rows_where(unreadable))
    return Column(read, (fault,))


def label(cell: Any) -> str | None:
    """A cell as text; nothing at all where it is missing, ``None`` when it is neither text nor number nor truth value.

    >>> label("red"), label(True), label(1.0), label(0.5), label(None), label([1])
    ('red', 'True', '1', '0.5', '', None)
    """
    if isinstance(cell, str):
        return str(cell)
    if isinstance(cell, (bool, np.bool_)):
        return str(bool(cell))
    value = number(cell)
    if value is None or math.isinf(value):
        return None
    if math.isnan(value):
        return ""
    return str(int(cell)) if value.is_integer() else repr(value)


def _of_kind(read: Column, column: pd.Series[Any], name: str, kind: type[Numbers | Labels] | None) -> Column:
    """Labels, unless the column was numbers when fitting: then what is no number is a fault."""
    if kind is not Numbers:
        return read
    cells = [None if isinstance(cell, (bool, np.bool_)) else number(cell) for cell in column]
    wrong: Bool = np.array([cell is None for cell in cells], dtype=bool)
    numeric = _numbers(name, np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64))
    if not wrong.any():
        return numeric
    problem = f"it was numeric when fitting and holds {some(column[wrong].iloc[:3])} now"
    fault = Fault(name, problem, "Give numbers, or fit again.", None, rows_where(wrong))
    return replace(numeric, faults=(fault, *numeric.faults))
