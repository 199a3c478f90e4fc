"""One covariate at a time: from any dtype to numbers or labels, collecting faults instead of raising."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import Fault, some
from forecast.ingest.columns import Column, finite, floats, number, rows_where
from forecast.panel.covariates import Labels, Numbers

Bool = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]
KINDS = "Give numbers, text, categories or truth values."


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
    if dtype.kind in "iuf" or isinstance(dtype, pd.StringDtype) or _is_arrow_text(dtype):
        codes, uniques = pd.factorize(column)
        return _of_kind(_labels(name, codes.astype(np.int64), [*uniques, None]), column, name, kind)
    cells = column.tolist()
    if kind is not Labels and (numeric := _all_numbers(cells)) is not None:
        return _numbers(name, numeric)
    return _of_kind(_labels(name, np.arange(len(cells), dtype=np.int64), [*cells, None]), column, name, kind)


def _is_arrow_text(dtype: Any) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and dtype.kind in "OSTU"


def _numbers(name: str, values: Float) -> Column:
    """Numbers, with a fault where they are infinite."""
    return replace(finite(values, name), values=Numbers(name, values))


def _all_numbers(cells: Sequence[Any]) -> Float | None:
    """The cells as floats when every one is a number or missing, else ``None``. A truth value is no number."""
    read = [None if isinstance(cell, (bool, np.bool_)) else number(cell) for cell in cells]
    return None if any(value is None for value in read) else np.array(read, dtype=np.float64)


def _labels(name: str, codes: npt.NDArray[np.int64], cells: Sequence[Any]) -> Column:
    """Labels from the place of each row's cell among ``cells``, the last of which is a missing one (place -1)."""
    texts = [label(cell) for cell in cells]
    unreadable = np.array([text is None for text in texts], dtype=bool)[codes]
    if unreadable.any():
        examples = some(cells[codes[row]] for row in rows_where(unreadable)[:3])
        problem = f"neither numbers nor text: {examples}"
        return Column(None, (Fault(name, problem, KINDS, None, rows_where(unreadable)),))
    labels = tuple(dict.fromkeys(text for text in texts if text))
    place = {text: code for code, text in enumerate(labels)}
    return Column(Labels(name, np.array([place.get(text or "", -1) for text in texts], dtype=np.int64)[codes], labels))


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
    """Labels, unless the column was numbers when fitting: then nothing at all is missing numbers, the rest a fault."""
    if kind is not Numbers or read.faults:
        return read
    known: Bool = read.values.codes >= 0
    if not known.any():
        return Column(Numbers(name, np.full(len(column), np.nan)))
    problem = f"it was numeric when fitting and holds {some(column[known].iloc[:3])} now"
    return Column(None, (Fault(name, problem, "Give numbers, or fit again.", None, rows_where(known)),))
