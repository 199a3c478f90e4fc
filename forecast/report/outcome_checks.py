"""Whether columns of probabilities, and the actuals beside them, are what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import SHOWN_ROWS, DataError, Fault, some
from forecast.report.columns import ModelColumns, outcome_of

Float = npt.NDArray[np.float64]
SLACK = 1e-3  # of a sum of probabilities: single precision, and columns that were rounded


def check_outcomes(cv: pd.DataFrame, target: str, models: Sequence[ModelColumns]) -> None:
    """Raise ``DataError`` for probabilities beyond 0 … 1 or that do not sum to 1, and for events other than 0 and 1.

    A frame without columns of probabilities passes.
    """
    if outcome_of(models) == "number":
        return
    faults = []
    if outcome_of(models) == "event":
        y = _values(cv, target)
        faults += _fault(target, y, (y != 0) & (y != 1), "are neither 0 nor 1, and an event is forecast")
    for model in models:
        total = np.zeros(len(cv))
        for column in model.shares.values():
            share = _values(cv, column)
            total += share
            faults += _fault(column, share, (share < 0) | (share > 1), "are no probabilities")
        if len(model.shares) > 1:
            text = f"of the sums of {model.name}'s probabilities are not 1"
            faults += _fault(f"{model.name}-p-…", total, np.abs(total - 1) > SLACK, text)
    if faults:
        raise DataError(faults)


def _values(cv: pd.DataFrame, column: str) -> Float:
    return np.asarray(cv[column].to_numpy(dtype=np.float64, na_value=np.nan))


def _fault(column: str, values: Float, wrong: npt.NDArray[np.bool_], problem: str) -> list[Fault]:
    """The known values that are wrong, if any."""
    rows = np.flatnonzero(wrong & ~np.isnan(values))
    if not rows.size:
        return []
    found = f"{rows.size} {problem}: {some(np.unique(values[rows])[:SHOWN_ROWS].tolist())}"
    remedy = "Mend these rows, or drop the columns of probabilities (-p-…) to score the point forecasts as numbers."
    return [Fault(column, found, remedy, rows=tuple(int(row) for row in rows[: SHOWN_ROWS + 1]))]
