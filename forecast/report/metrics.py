"""Accuracy and calibration: one definition of each metric.

The first half are errors *per point*: arrays in, an array of the same shape out. The second half are metrics of
*one series*: two vectors in, one number out. :mod:`forecast.report.evaluate` sums the same per-point errors over
millions of rows; the tests hold both to equal numbers.

A metric leaves out the points where the actual or the forecast is unknown (NaN or infinite), and is NaN when no
point is left. How series are averaged is written in :mod:`forecast.report.evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Vector = npt.ArrayLike

# A scale this small beside the largest value is rounding, not movement: 0.1 + 0.2 - 0.3 must not become a unit.
ROUNDING = 8 * float(np.finfo(np.float64).eps)


# --- errors per point ---------------------------------------------------------------------------------------------


def symmetric_errors(y: Float, forecast: Float) -> Float:
    """``200 |y - f| / (|y| + |f|)``: 0 to 200 as in the M4 competition; 0 where both are zero."""
    size = np.abs(y) + np.abs(forecast)
    return 200 * (np.abs(forecast - y) / np.where(size > 0, size, 1.0))


def percentage_errors(y: Float, forecast: Float) -> Float:
    """``100 |y - f| / |y|``: percent of the actual; 0 where the actual is zero (callers leave those out).

    An actual smaller than the machine epsilon counts as that, as in sklearn.
    """
    size = np.maximum(np.abs(y), np.finfo(np.float64).eps)
    return np.where(y == 0, 0.0, 100 * (np.abs(forecast - y) / size))


def pinball_errors(y: Float, forecast: Float, q: float) -> Float:
    """``max(q (y - f), (q - 1)(y - f))``: what a forecast ``f`` of the ``q`` quantile is charged."""
    error = y - forecast
    return np.maximum(q * error, (q - 1) * error)


def interval_errors(y: Float, lower: Float, upper: Float, level: float) -> Float:
    """Interval score of a central ``level`` % interval: its width, plus ``2 / alpha`` times each miss.

    ``alpha = 1 - level / 100``. Gneiting and Raftery (2007), equation 43.
    """
    alpha = 1 - level / 100
    return upper - lower + 2 / alpha * (np.maximum(lower - y, 0) + np.maximum(y - upper, 0))


# --- metrics of one series ----------------------------------------------------------------------------------------


def mae(y: Vector, forecast: Vector) -> float:
    """Mean absolute error, in the units of ``y``."""
    from sklearn.metrics import mean_absolute_error

    actual, predicted = _scored(y, forecast)
    return float(mean_absolute_error(actual, predicted)) if actual.size else np.nan


def rmse(y: Vector, forecast: Vector) -> float:
    """Root of the mean squared error, in the units of ``y``."""
    from sklearn.metrics import root_mean_squared_error

    actual, predicted = _scored(y, forecast)
    return float(root_mean_squared_error(actual, predicted)) if actual.size else np.nan


def mse(y: Vector, forecast: Vector) -> float:
    """Mean squared error, in the squared units of ``y``."""
    from sklearn.metrics import mean_squared_error

    actual, predicted = _scored(y, forecast)
    return float(mean_squared_error(actual, predicted)) if actual.size else np.nan


def mape(y: Vector, forecast: Vector) -> float:
    """Mean absolute error in percent of the actual; points whose actual is zero are left out."""
    from sklearn.metrics import mean_absolute_percentage_error

    actual, predicted = _scored(y, forecast)
    actual, predicted = actual[actual != 0], predicted[actual != 0]
    return 100 * float(mean_absolute_percentage_error(actual, predicted)) if actual.size else np.nan


def smape(y: Vector, forecast: Vector) -> float:
    """Symmetric MAPE as in the M4 competition: 0 to 200, and 0/0 counts as 0.

    >>> round(smape([5, 4], [4, 6]), 3)
    31.111
    """
    actual, predicted = _scored(y, forecast)
    return float(symmetric_errors(actual, predicted).mean()) if actual.size else np.nan


def mase(y: Vector, forecast: Vector, insample: Vector, season_length: int = 1) -> float:
    """Mean absolute scaled error (Hyndman and Koehler 2006): MAE over the in-sample seasonal-naive MAE.

    ``insample`` is what was known at the cutoff. NaN when it never moves or is not longer than a season: the
    scale is then zero or unknown, and no number would mean anything.
    """
    return mae(y, forecast) / seasonal_scale(insample, season_length)


def rmsse(y: Vector, forecast: Vector, insample: Vector, season_length: int = 1) -> float:
    """Root mean squared scaled error (M5 competition): RMSE over the in-sample seasonal-naive RMSE."""
    return rmse(y, forecast) / seasonal_scale(insample, season_length, power=2)


def seasonal_scale(insample: Vector, season_length: int = 1, power: int = 1) -> float:
    """``mean(|y[t] - y[t - m]| ** p) ** (1 / p)`` over the known pairs; NaN when zero (to rounding) or unknown."""
    m = check_season(season_length)
    values = np.asarray(insample, dtype=np.float64)
    moves = np.abs(values[m:] - values[:-m])
    moves = moves[np.isfinite(moves)]
    if moves.size == 0 or moves.mean() <= ROUNDING * np.abs(values[np.isfinite(values)]).max():
        return np.nan
    return float((moves**power).mean() ** (1 / power))


def owa(smapes: Vector, mases: Vector, naive2_smapes: Vector, naive2_mases: Vector) -> float:
    """Overall weighted average of the M4 competition: the mean of two *ratios of means* against Naive2.

    Each argument holds one number per series. Below 1 is better than Naive2.
    """
    parts = [_mean(smapes) / _mean(naive2_smapes), _mean(mases) / _mean(naive2_mases)]
    return float(np.mean(parts))


def pinball(y: Vector, forecast: Vector, q: float) -> float:
    """Mean pinball loss of a forecast of the ``q`` quantile, in the units of ``y``."""
    from sklearn.metrics import mean_pinball_loss

    actual, predicted = _scored(y, forecast)
    return float(mean_pinball_loss(actual, predicted, alpha=_probability(q))) if actual.size else np.nan


def wql(y: Vector, forecast: Vector, q: float) -> float:
    """Weighted quantile loss: twice the summed pinball loss over the summed ``|y|``; NaN when all ``y`` are zero."""
    actual, predicted = _scored(y, forecast)
    size = float(np.abs(actual).sum())
    return 2 * float(pinball_errors(actual, predicted, _probability(q)).sum()) / size if size > 0 else np.nan


def coverage(y: Vector, lower: Vector, upper: Vector) -> float:
    """Share of actuals within ``[lower, upper]``, 0 to 1."""
    actual, low, high = _bounded(y, lower, upper)
    return float(((low <= actual) & (actual <= high)).mean()) if actual.size else np.nan


def width(y: Vector, lower: Vector, upper: Vector) -> float:
    """Mean width of the interval at the points whose actual is known, in the units of ``y``."""
    actual, low, high = _bounded(y, lower, upper)
    return float((high - low).mean()) if actual.size else np.nan


def interval_score(y: Vector, lower: Vector, upper: Vector, level: float) -> float:
    """Mean of :func:`interval_errors`, in the units of ``y``; ``level`` in percent, such as 95."""
    if not 0 < level < 100:
        raise ConfigError(f"level={level!r} is in percent and lies between 0 and 100, such as 90.")
    actual, low, high = _bounded(y, lower, upper)
    return float(interval_errors(actual, low, high, level).mean()) if actual.size else np.nan


def msis(y: Vector, lower: Vector, upper: Vector, level: float, insample: Vector, season_length: int = 1) -> float:
    """Mean scaled interval score (M4 competition): :func:`interval_score` over the scale of :func:`mase`."""
    return interval_score(y, lower, upper, level) / seasonal_scale(insample, season_length)


def mean_wql(y: Vector, quantiles: Vector, probs: Vector) -> float:
    """Plain mean of :func:`wql` over quantiles: ``quantiles`` (N, Q) are forecasts of the ``probs`` (Q,) quantiles."""
    return float(np.mean([wql(y, column, q) for column, q in _quantile_columns(y, quantiles, probs)]))


def crps_from_quantiles(y: Vector, quantiles: Vector, probs: Vector) -> float:
    """CRPS from quantiles, in the units of ``y``: the plain mean over quantiles of twice the pinball loss.

    CRPS is the integral of that over all probabilities (Gneiting and Ranjan 2011), so the quantiles should be evenly
    spread; nine deciles come out somewhat above it, as they leave the tails out. Shapes as in :func:`mean_wql`.
    """
    return 2 * float(np.mean([pinball(y, column, q) for column, q in _quantile_columns(y, quantiles, probs)]))


def crps(y: float, samples: Vector, fair: bool = False) -> float:
    """Continuous ranked probability score of one point from draws: ``mean|x - y| - mean|x - x'| / 2``.

    Every pair counts, a draw with itself too: the empirical distribution's own score. ``fair`` leaves those pairs out,
    which makes it smaller and, on average over draws, the score of what they were drawn from (Ferro 2014); it needs
    two draws. Sorted form, O(n log n).

    >>> crps(5, [4, 6]), crps(5, [4, 6], fair=True)
    (0.5, 0.0)
    """
    draws = np.sort(np.asarray(samples, dtype=np.float64))
    n = draws.size
    pairs = n * (n - 1) if fair else n**2
    if not pairs:
        return np.nan
    rank = 2 * np.arange(1, n + 1) - n - 1
    return float(np.abs(draws - y).mean() - (rank * draws).sum() / pairs)


# --- arguments ----------------------------------------------------------------------------------------------------


def check_season(season_length: int) -> int:
    """``season_length`` as an int of at least 1; raises ``ConfigError``."""
    if isinstance(season_length, bool) or not isinstance(season_length, (int, np.integer)) or season_length < 1:
        raise ConfigError(f"season_length={season_length!r} must be a whole number of steps, 1 for no season.")
    return int(season_length)


def _vectors(*values: Vector) -> list[Float]:
    vectors = [np.asarray(value, dtype=np.float64) for value in values]
    shapes = [vector.shape for vector in vectors]
    if len(set(shapes)) > 1 or vectors[0].ndim != 1:
        raise ConfigError(f"Metrics compare vectors of one length, got shapes {', '.join(map(str, shapes))}.")
    return vectors


def _quantile_columns(y: Vector, quantiles: Vector, probs: Vector) -> Iterator[tuple[Float, float]]:
    """Each quantile's forecasts, (N,), with its probability."""
    table, levels = np.asarray(quantiles, dtype=np.float64), np.asarray(probs, dtype=np.float64)
    if levels.ndim != 1 or not levels.size or table.shape != (np.size(y), levels.size):
        raise ConfigError(f"Quantiles {table.shape} do not go with {np.size(y)} actuals and probs {levels.shape}.")
    return zip(table.T, levels.tolist(), strict=True)


def _scored(y: Vector, forecast: Vector) -> tuple[Float, Float]:
    """The points that can be scored: actual and forecast both finite."""
    actual, predicted = _vectors(y, forecast)
    known = np.isfinite(actual) & np.isfinite(predicted)
    return actual[known], predicted[known]


def _bounded(y: Vector, lower: Vector, upper: Vector) -> tuple[Float, Float, Float]:
    """As :func:`_scored`; a bound may be infinite: an interval that promises nothing is still an interval."""
    actual, low, high = _vectors(y, lower, upper)
    known = np.isfinite(actual) & ~np.isnan(low) & ~np.isnan(high)
    return actual[known], low[known], high[known]


def _probability(q: float) -> float:
    if not 0 < q < 1:
        raise ConfigError(f"q={q!r} is a probability between 0 and 1, such as 0.1.")
    return float(q)


def _mean(values: Vector) -> float:
    """Mean over the series that have a value."""
    vector = np.asarray(values, dtype=np.float64)
    known = vector[~np.isnan(vector)]
    return float(known.mean()) if known.size else np.nan
