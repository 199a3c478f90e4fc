"""Whether series have a season, and its multiplicative indices, for all series at once.

Both follow the benchmarks of the M4 competition (Makridakis, Spiliotis and Assimakopoulos 2020, "The M4 Competition:
100,000 time series and 61 forecasting methods"). Series must have no unknown values and at least three seasons.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecast.baselines.segments import sums
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

CRITICAL = 1.645  # the normal's 95th percentile: a two-sided test at 90 %


def is_seasonal(panel: Panel, season: int) -> Bool:
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


def seasonal_indices(panel: Panel, season: int) -> Float:
    """Indices of a classical multiplicative decomposition, mean 1, shape (S, season).

    Column ``p`` belongs to rows ``p``, ``p + season``, ... of a series. A trend that touches zero gives indices that
    are not finite.
    """
    values, lengths = panel.values, panel.lengths
    before = season // 2
    trend = np.full(len(values), np.nan)
    inner = len(values) - 2 * before
    if inner > 0:
        # A moving average over one season; of an even one, its two ends count half.
        total = np.zeros(inner)
        for shift in range(2 * before + 1):
            weight = 0.5 if season % 2 == 0 and shift in (0, 2 * before) else 1.0
            total += weight * values[shift : shift + inner]
        trend[before : len(values) - before] = total / season
    position = np.arange(len(values)) - np.repeat(panel.offsets[:-1], lengths)
    whole = (position >= before) & (position < np.repeat(lengths, lengths) - before)
    slot = panel.series * season + position % season
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = values[whole] / trend[whole]
        size = len(panel) * season
        indices = (np.bincount(slot[whole], ratio, size) / np.bincount(slot[whole], minlength=size)).reshape(
            len(panel), season
        )
        return np.asarray(indices / indices.mean(axis=1, keepdims=True))


def is_multiplicative(panel: Panel, indices: Float) -> Bool:
    """Whether every index is positive and finite and no value is negative, shape (S,)."""
    negative = sums((panel.values < 0.0).astype(np.float64), panel.offsets) > 0.0
    return np.asarray(~negative & np.all(np.isfinite(indices) & (indices > 0.0), axis=1))


def _lagged(centred: Float, panel: Panel, lag: int) -> Float:
    """The sum of ``centred[t] * centred[t - lag]`` of each series, shape (S,)."""
    products = np.zeros(len(centred) + 1)
    products[lag:-1] = centred[lag:] * centred[: len(centred) - lag]
    pairs = np.stack([panel.offsets[:-1] + lag, panel.offsets[1:]], axis=1).ravel()
    return np.add.reduceat(products, pairs)[::2] if len(panel) else np.zeros(0)
