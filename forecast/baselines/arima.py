"""Seasonal ARIMA of one series: fit on the differenced series, forecast the series itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.baselines.local import Ask
from forecast.baselines.series import Estimate, Unfit

if TYPE_CHECKING:
    from statsmodels.tsa.statespace.sarimax import SARIMAX

Float = npt.NDArray[np.float64]
Order = tuple[int, int, int]

LONGEST_SEASON = 100  # the Kalman filter's cost grows with the cube of the season
SPARE_ROWS = 5  # more rows than parameters and lags take up
FIRST_ITERATIONS, MAX_ITERATIONS = 50, 500


def forecast(y: Float, order: Order, seasonal_order: Order, ask: Ask) -> Estimate:
    """Forecast ``y`` (n,) with normal intervals from the Kalman filter's forecast variance.

    The parameters are estimated on the differenced series, whose state is less than half as large (three to ten times
    as fast, and what Box and Jenkins did); the filter then runs once over the series itself.
    """
    season = ask.season_length if any(seasonal_order) else 1
    if season > LONGEST_SEASON:
        raise Unfit(f"a season of {season} steps is beyond what ARIMA can do in reasonable time ({LONGEST_SEASON})")
    note = ""
    if season > 1 and len(y) < _rows_needed(order, seasonal_order, season):
        note = f"{len(y)} rows are too few for a season of {season}: the form without a season"
        season = 1
    if len(y) < _rows_needed(order, (0, 0, 0), 1):
        raise Unfit(f"{len(y)} rows are too few")
    orders: dict[str, Any] = {
        "order": order,
        "seasonal_order": (*seasonal_order, season) if season > 1 else (0, 0, 0, 0),
    }
    params = _estimate(y, orders)
    ahead = _model(y, orders).filter(params, cov_type="none").get_forecast(ask.h)
    return Estimate.normal(np.asarray(ahead.predicted_mean), np.asarray(ahead.se_mean), ask, note)


def _rows_needed(order: Order, seasonal_order: Order, season: int) -> int:
    (p, d, q), (seasonal_p, seasonal_d, seasonal_q) = order, seasonal_order
    return d + p + q + (seasonal_d + max(seasonal_p, seasonal_q)) * season + SPARE_ROWS


def _estimate(y: Float, orders: dict[str, Any]) -> Float:
    model = _model(y, orders, simple_differencing=True)
    if not model.param_names:
        return np.empty(0)  # a random walk has nothing to estimate
    start = None
    for iterations in (FIRST_ITERATIONS, MAX_ITERATIONS):
        results = model.fit(start_params=start, disp=False, maxiter=iterations, cov_type="none")
        start = np.asarray(results.params)
        if results.mle_retvals["warnflag"] != 1:  # 1: out of iterations; 2: no better point found nearby
            return start
    raise Unfit("the optimiser did not converge")


def _model(y: Float, orders: dict[str, Any], simple_differencing: bool = False) -> SARIMAX:
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    return SARIMAX(y, **orders, concentrate_scale=True, simple_differencing=simple_differencing)
