"""A season that the frequency does not tell: the lag at which the series resemble themselves most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]

LOOKED_AT = 200
LEAST_ROWS = 20
LEAST_CORRELATION = 0.3
NEARLY = 0.9


def detected_season(panel: Panel, usual: int) -> int:
    """``usual``, the season of the frequency, where that is more than 1; else the lag that the autocorrelations of
    the longest series agree on, or 1.

    The lag must be a peak of the mean autocorrelation (of values less their linear trend) that stands clearly above
    zero (0.3, and twice the standard error of white noise) after the correlation has first dipped below it.
    """
    if usual > 1:
        return usual
    longest = np.argsort(-panel.lengths, kind="stable")[:LOOKED_AT]
    series = [y for y in panel.take(longest).each() if np.isfinite(y).sum() >= LEAST_ROWS]
    if not series:
        return 1
    rows = int(np.median([len(y) for y in series]))
    lags = rows // 3
    correlations = [c for y in series if len(y) > lags + 2 and (c := autocorrelation(y, lags)) is not None]
    return _peak(np.mean(correlations, axis=0), rows) if correlations else 1


def autocorrelation(y: Float, lags: int) -> Float | None:
    """Correlation of ``y`` less its linear trend with itself at lags 0 … ``lags``; ``None`` for a line.

    Unknown values take no part.
    """
    t = np.arange(len(y), dtype=np.float64)
    known = np.isfinite(y)
    size = float(np.abs(y[known]).max()) or 1.0
    scaled = np.where(known, y, 0.0) / size
    slope, level = np.polyfit(t[known], scaled[known], 1)
    rest = np.where(known, scaled - level - slope * t, 0.0)
    variance = float(np.square(rest).sum()) / int(known.sum())
    if variance <= 1e-12:
        return None
    result = np.empty(lags + 1)
    for lag in range(lags + 1):
        pairs = int((known[lag:] & known[: len(y) - lag]).sum())
        result[lag] = float((rest[lag:] * rest[: len(y) - lag]).sum()) / max(pairs, 1) / variance
    return result


def _peak(correlation: Float, rows: int) -> int:
    """The first local maximum after the first dip that is about as high as the highest; 1 where none is high enough."""
    least = max(LEAST_CORRELATION, 2.0 / np.sqrt(rows))
    dips = np.flatnonzero(correlation < least)
    if not dips.size:
        return 1
    inner = np.arange(max(2, int(dips[0])), len(correlation) - 1)
    higher = (correlation[inner] >= correlation[inner - 1]) & (correlation[inner] >= correlation[inner + 1])
    peaks = inner[higher & (correlation[inner] >= least)]
    if not peaks.size:
        return 1
    # Two seasons resemble each other as much as one: of peaks equally high the first is the season.
    return int(peaks[correlation[peaks] >= NEARLY * correlation[peaks].max()][0])
