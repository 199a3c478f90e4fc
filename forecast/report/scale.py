"""The scales of MASE and RMSSE for every (series, cutoff) at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.panel.panel import Panel
from forecast.report.metrics import ROUNDING

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


class Scales(NamedTuple):
    """How far a series moves in one season, in the units of the target; NaN where zero or unknown."""

    absolute: Float  # (F,) mean |y[t] - y[t - m]|
    squared: Float  # (F,) mean (y[t] - y[t - m]) ** 2


def insample_scales(history: Panel, series: Int, cutoff: Int, season_length: int) -> Scales:
    """Scales of series ``series[f]`` from its rows up to and including ordinal ``cutoff[f]``, shape (F,) each.

    Equal to :func:`forecast.report.metrics.seasonal_scale` on those rows; a later value never matters, and
    neither does another series: each sum runs over its own rows, not over differences of running totals.
    """
    known = np.clip(cutoff - history.first[series] + 1, 0, history.lengths[series])
    start = history.offsets[series]
    stop = start + known
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        moves = np.abs(history.values[season_length:] - history.values[:-season_length])
        paired = np.isfinite(moves)
        moves = np.where(paired, moves, 0.0)
        # moves[i] is the step from row i to row i + m: the last pair within the rows starts m before their end.
        count = segment_sums(paired.astype(np.float64), start, stop - season_length)
        absolute = segment_sums(moves, start, stop - season_length) / count
        squared = segment_sums(moves**2, start, stop - season_length) / count
    still = absolute <= ROUNDING * _largest(history.values, start, stop)
    return Scales(np.where(still, np.nan, absolute), np.where(still, np.nan, squared))


def segment_sums(values: Float, start: Int, stop: Int) -> Float:
    """``values[start[i]:stop[i]].sum()`` for every ``i``; 0 where ``stop`` is not after ``start``."""
    return _segments(np.add, values, start, stop)


def _largest(values: Float, start: Int, stop: Int) -> Float:
    return _segments(np.maximum, np.where(np.isfinite(values), np.abs(values), 0.0), start, stop)


def _segments(operation: np.ufunc, values: Float, start: Int, stop: Int) -> Float:
    """``operation.reduceat`` over segments that may overlap, 0 for an empty one."""
    if start.size == 0:
        return np.zeros(0)
    padded = np.append(values, 0.0)
    first = np.clip(start, 0, values.size)
    edges = np.stack([first, np.clip(stop, first, values.size)], axis=1).ravel()
    totals: Float = operation.reduceat(padded, edges)[::2]
    return np.where(edges[1::2] > first, totals, 0.0)
