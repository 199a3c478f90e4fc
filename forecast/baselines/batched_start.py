"""Where exponential smoothing starts: the heuristic of Hyndman, Koehler, Ord and Snyder (2008), section 2.6.1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from forecast.baselines.batched_recursion import States
from forecast.baselines.seasonality import season_average, seasonal_indices
from forecast.baselines.segments import Flat

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

LINE = 10  # rows that the first level and trend are taken from
SEASONS = 5  # seasons that the first seasonal indices are taken from, where there are as many


def initial_states(series: Sequence[Float], seasonal: str, season: int, trended: bool) -> States:
    """States before the first row: indices of a classical decomposition, and a line through ten adjusted rows.

    Args:
        series: each of at least two rows, and of at least two seasons where there is one.
        seasonal: ``none``, ``add`` or ``mul``.
        season: its length in rows.
    """
    if seasonal == "none":
        level, trend = _line(Flat.of([y[:LINE] for y in series]))
        return States(level, trend * trended, np.empty((0, len(series))))
    span = LINE + 2 * (season // 2)  # rows that leave ten after the moving average has lost half a season at each end
    heads = [y[: season * max(min(SEASONS, len(y) // season), -(-span // season))] for y in series]
    flat = Flat.of(heads)
    indices = seasonal_indices(flat, season, additive=seasonal == "add")
    adjusted, _ = season_average(flat, season)
    lost = season // 2
    ends = np.split(adjusted, flat.offsets[1:-1])
    level, trend = _line(Flat.of([y[lost : min(lost + LINE, len(y) - lost)] for y in ends]))
    return States(level, trend * trended, np.ascontiguousarray(indices.T))


def _line(flat: Flat) -> tuple[Float, Float]:
    """Least-squares line through the rows of each series, at most ``LINE``: value in row -1, and slope, each (S,)."""
    lengths, count = flat.lengths, flat.lengths.astype(np.float64)
    middle = (count + 1.0) / 2.0
    total, product = np.zeros(len(flat)), np.zeros(len(flat))
    for row in range(LINE):
        there = row < lengths
        y = np.where(there, np.append(flat.values, 0.0)[np.where(there, flat.offsets[:-1] + row, -1)], 0.0)
        total += y
        product += y * (row + 1.0 - middle)
    spread = count * (count * count - 1.0) / 12.0
    slope = np.where(lengths > 1, product / np.where(lengths > 1, spread, 1.0), 0.0)
    return total / count - slope * middle, slope
