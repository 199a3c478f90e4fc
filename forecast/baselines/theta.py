"""The Theta method of one series: statsmodels' point forecasts, and the errors it would have made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forecast.baselines.local import Ask
from forecast.baselines.series import Estimate
from forecast.baselines.variance import smoothing_growth

if TYPE_CHECKING:
    from statsmodels.tsa.forecasting.theta import ThetaModelResults

Float = npt.NDArray[np.float64]

FEWEST_ROWS = 4


def forecast(y: Float, season: int, theta: float, ask: Ask, note: str = "") -> Estimate:
    """Forecast ``y`` (n,); ``season`` is 1 for none.

    statsmodels' own intervals fit an ARIMA model, at twenty times the cost of the forecast, and widen with
    ``1 + (1 - alpha) ** 2`` a step; here they are those of the equivalent simple exponential smoothing with drift
    (Hyndman and Billah 2003), which widen with ``alpha ** 2``.
    """
    from statsmodels.tsa.forecasting.theta import ThetaModel

    results = ThetaModel(y, period=season, deseasonalize=season > 1).fit()
    point = np.asarray(results.forecast(ask.h, theta=theta), np.float64)
    if not ask.probs:
        return Estimate(point, np.empty((ask.h, 0)), note)
    pattern = _pattern(results, len(y), season)
    ratios = results.model.method.startswith("mul")
    past, future = pattern[np.arange(len(y)) % season], pattern[(len(y) + np.arange(ask.h)) % season]
    slope, alpha = (float(value) for value in results.params)
    errors = _errors(y / past if ratios else y - past, slope * (1.0 - 1.0 / theta), alpha)
    variance = float(np.square(errors).sum()) / (len(errors) - 2)
    deviation = np.sqrt(variance * smoothing_growth(ask.h, alpha))
    return Estimate.normal(point, deviation * future if ratios else deviation, ask, note)


def _pattern(results: ThetaModelResults, rows: int, season: int) -> Float:
    """The seasonal index of rows 0, 1, ... of the series: 1 or 0 throughout where there is none, shape (season,)."""
    pattern = np.empty(season)
    pattern[(rows + np.arange(season)) % season] = results.forecast_components(season).seasonal
    return pattern


def _errors(adjusted: Float, slope: float, alpha: float) -> Float:
    """One-step errors of smoothing with drift on the seasonally adjusted series, without the first, shape (n - 1,)."""
    from scipy.signal import lfilter

    level, _ = lfilter([alpha], [1.0, alpha - 1.0], adjusted, zi=[(1.0 - alpha) * adjusted[0]])
    step = np.arange(1, len(adjusted))
    drift = slope * ((1.0 - (1.0 - alpha) ** step) / alpha if alpha > 0.0 else step)
    return np.asarray(adjusted[1:] - level[:-1] - drift)
