"""How points are pooled into rows of a table of scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.report.folds import Folds

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Units:
    """A unit is the points of one series that a metric pools: all of them, or those at one step or cutoff.

    Attributes:
        keys: what each row of the result is about, shape (R,).
        row: the row of the result that each unit belongs to, shape (U,).
        starts: first point of each unit, shape (U,), where units are runs of the sorted points.
        codes: the unit of each point, shape (N,), where they are not; else ``None``.
    """

    keys: Int
    row: Int
    starts: Int | tuple[()] = ()
    codes: Int | None = None

    def total(self, points: Float | Bool) -> Float:
        """Sum over each unit's points, shape (U,)."""
        if self.codes is not None:
            return sums(self.codes, points, self.row.size)
        totals: Float = np.add.reduceat(points, self.starts, dtype=np.float64)
        return totals

    def gather(self, units: Float | Bool) -> Float:
        """Sum over the units (series) of each row of the result, shape (R,)."""
        return sums(self.row, units, self.keys.size)

    def mean(self, units: Float) -> Float:
        """Mean over the units of each row that have a value, shape (R,)."""
        known = ~np.isnan(units)
        return self.gather(np.where(known, units, 0.0)) / self.gather(known)

    def row_of(self, points: int) -> Int:
        """The row of the result that each point belongs to, shape (N,), of ``points`` points."""
        if self.codes is not None:
            return self.row[self.codes]
        return np.repeat(self.row, np.diff(np.append(self.starts, points)))


def sums(codes: Int, values: Float | Bool, size: int) -> Float:
    """The sum of ``values`` for each code below ``size``."""
    return np.asarray(np.bincount(codes, weights=values, minlength=size), dtype=np.float64)


def units_of(folds: Folds, by: str) -> Units:
    """How to pool ``overall``, by ``series``, ``step`` or ``cutoff``."""
    new = np.append(True, folds.series[1:] != folds.series[:-1])
    series = folds.series[new]
    if by == "overall":
        return Units(np.zeros(1, dtype=np.int64), np.zeros_like(series), starts=folds.starts[new])
    if by == "series":
        return Units(series, np.arange(series.size), starts=folds.starts[new])
    if by == "cutoff":
        keys, row = np.unique(folds.cutoff, return_inverse=True)
        return Units(keys, row, starts=folds.starts)
    codes, keys = pd.factorize(folds.step, sort=True)
    rank = np.repeat(np.cumsum(new) - 1, folds.lengths)  # which series, counted from 0
    row = np.tile(np.arange(keys.size), series.size)
    return Units(keys, row, codes=rank * keys.size + codes)


def counts(folds: Folds, units: Units, known: Bool, scored: Bool, defined: Float, nonzero: Float) -> dict[str, Int]:
    """What was scored and what was not, see :func:`forecast.report.evaluate.evaluate`.

    ``known`` and ``scored`` are by point; ``defined`` and ``nonzero`` count the scored points of each unit that MASE
    and MAPE take.
    """
    n = units.total(scored)
    return {
        "n_series": _whole(units.gather(n > 0)),
        "n_points": _whole(units.gather(n)),
        "missing_actuals": _whole(units.gather(units.total(~known))),
        "missing_forecasts": _whole(units.gather(units.total(known & ~scored))),
        "unscored_series": _whole(units.gather((n == 0) & (units.total(np.ones(folds.y.size)) > 0))),
        "undefined_mase": _whole(units.gather(defined < n)),
        "undefined_mape": _whole(units.gather(nonzero < n)),
    }


def _whole(values: Float) -> Int:
    return np.rint(values).astype(np.int64)
