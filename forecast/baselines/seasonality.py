"""Whether series have a season, and its indices, for all series at once.

The test and the multiplicative indices follow the benchmarks of the M4 competition (Makridakis, Spiliotis and
Assimakopoulos 2020, "The M4 Competition: 100,000 time series and 61 forecasting methods"). Series must have no unknown
values, and at least three seasons for the test.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecast.baselines.segments import Segmented, sums

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

CRITICAL = 1.645  # the normal's 95th percentile: a two-sided test at 90 %


def is_seasonal(panel: Segmented, season: int) -> Bool:
    """Whether the autocorrelation at lag ``season`` is significant at 90 %, shape (S,).

    Its standard error is Bartlett's, from the autocorrelations at shorter lags. A constant series is not seasonal.
    """
    mean = sums(panel.values, panel.offsets) / panel.lengths
    centred = panel.values - np.repeat(mean, panel.lengths)
    # Squares of numbers near 1 neither vanish nor overflow.
    largest = np.maximum.reduceat(np.abs(centred), panel.offsets[:-1]) if len(panel) else np.zeros(0)
    centred /= np.repeat(np.where(largest > 0.0, largest, 1.0), panel.lengths)
    power = sums(centred**2, panel.offsets)
    power[power == 0.0] = np.inf
    shorter = np.ones(len(panel))
    for lag in range(1, season):
        shorter += 2.0 * (_lagged(centred, panel, lag) / power) ** 2
    limit = CRITICAL * np.sqrt(shorter / panel.lengths)
    return np.asarray(np.abs(_lagged(centred, panel, season) / power) > limit)


def seasonal_indices(panel: Segmented, season: int, additive: bool = False) -> Float:
    """Indices of a classical multiplicative decomposition, mean 1, or of an additive one, mean 0, shape (S, season).

    Column ``p`` belongs to rows ``p``, ``p + season``, ... of a series, which must have two seasons. A trend that
    touches zero gives multiplicative indices that are not finite.
    """
    trend, whole = season_average(panel, season)
    slot = np.repeat(np.arange(len(panel)) * season, panel.lengths) + _positions(panel) % season
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        values, level = panel.values[whole], trend[whole]
        size = len(panel) * season
        total = np.bincount(slot[whole], values - level if additive else values / level, size)
        indices = (total / np.bincount(slot[whole], minlength=size)).reshape(len(panel), season)
        mean = indices.mean(axis=1, keepdims=True)
        return np.asarray(indices - mean if additive else indices / mean)


def season_average(panel: Segmented, season: int) -> tuple[Float, Bool]:
    """A moving average over one season, and the rows whose whole season lies within their series, each shape (N,).

    Of an even season the two ends count half. Other rows hold no meaningful number.
    """
    values = panel.values
    before = season // 2
    trend = np.full(len(values), np.nan)
    inner = len(values) - 2 * before
    if inner > 0:
        total = np.zeros(inner)
        for shift in range(2 * before + 1):
            weight = 0.5 if season % 2 == 0 and shift in (0, 2 * before) else 1.0
            total += weight * values[shift : shift + inner]
        trend[before : len(values) - before] = total / season
    position = _positions(panel)
    return trend, (position >= before) & (position < np.repeat(panel.lengths, panel.lengths) - before)


def _positions(panel: Segmented) -> Int:
    """The row of each value within its series, shape (N,)."""
    return np.arange(len(panel.values)) - np.repeat(panel.offsets[:-1], panel.lengths)


def is_multiplicative(panel: Segmented, indices: Float) -> Bool:
    """Whether every index is positive and finite and no value is negative, shape (S,)."""
    negative = sums((panel.values < 0.0).astype(np.float64), panel.offsets) > 0.0
    return np.asarray(~negative & np.all(np.isfinite(indices) & (indices > 0.0), axis=1))


def _lagged(centred: Float, panel: Segmented, lag: int) -> Float:
    """The sum of ``centred[t] * centred[t - lag]`` of each series, shape (S,)."""
    products = np.zeros(len(centred) + 1)
    products[lag:-1] = centred[lag:] * centred[: len(centred) - lag]
    pairs = np.stack([panel.offsets[:-1] + lag, panel.offsets[1:]], axis=1).ravel()
    return np.add.reduceat(products, pairs)[::2] if len(panel) else np.zeros(0)
