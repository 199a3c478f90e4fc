"""Statistical models of statsmodels, one fit per series; what they share is in :mod:`forecast.baselines.series`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.baselines import arima, ets, theta
from forecast.baselines.ets import check_damped
from forecast.baselines.local import Ask, check_choice, check_season, is_whole
from forecast.baselines.series import Estimate, SeriesModel, Unfit, check_length, season_of
from forecast.baselines.variance import smoothing_growth
from forecast.errors import ConfigError

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ETS(SeriesModel):
    """Exponential smoothing in state space form (Hyndman, Koehler, Ord and Snyder 2008), chosen by AICc.

    Left to themselves (``auto``), the components are chosen among no or a damped trend and no, an additive or a
    multiplicative season: eight forms for a positive series with a season. Without a season, undamped trends take part
    too: six forms. A series shorter than two
    seasons gets a form without one, and ``reasons`` say so. Intervals are in closed form for additive errors and from
    1000 simulated paths for multiplicative ones.

    Args:
        season_length: the season in steps; ``None`` means the task's.
        error: ``add``, ``mul`` or ``auto``.
        trend: ``none``, ``add``, ``mul`` or ``auto``.
        damped: whether the trend is damped; ``None`` lets AICc decide, and damps an ``auto`` trend beside a season.
        seasonal: ``none``, ``add``, ``mul`` or ``auto``.
        max_length: rows of each series to fit, the latest ones (but never fewer than four seasons).
    """

    season_length: int | None = None
    error: str = "auto"
    trend: str = "auto"
    damped: bool | None = None
    seasonal: str = "auto"
    max_length: int = 1000

    def __post_init__(self) -> None:
        check_season(self.season_length)
        check_choice("error", self.error, ("add", "mul", "auto"))
        check_choice("trend", self.trend, ("none", "add", "mul", "auto"))
        check_choice("damped", self.damped, (True, False, None))
        check_choice("seasonal", self.seasonal, ("none", "add", "mul", "auto"))
        check_length(self.max_length)
        check_damped(self.trend, self.damped)

    def fit_series(self, y: Float, ask: Ask) -> Estimate:
        """See :class:`~forecast.baselines.series.SeriesModel`."""
        season, note = season_of(y, ask, wanted=self.seasonal != "none")
        candidates = ets.forms(self.error, self.trend, self.damped, self.seasonal, season)
        return ets.forecast(ets.choose(y, candidates, season), ask, note)


@dataclass(frozen=True)
class HoltWinters(SeriesModel):
    """Holt-Winters smoothing (Winters 1960) by least squares, with a damped trend.

    Intervals are normal, with the spread of the one-step errors growing over the horizon as in additive exponential
    smoothing, also where the season is multiplicative.

    Args:
        season_length: the season in steps; ``None`` means the task's.
        trend: ``none``, ``add`` or ``mul``.
        damped: whether the trend is damped.
        seasonal: ``none``, ``add`` or ``mul`` (for positive series).
        max_length: rows of each series to fit, the latest ones (but never fewer than four seasons).
    """

    season_length: int | None = None
    trend: str = "add"
    damped: bool = True
    seasonal: str = "add"
    max_length: int = 1000

    def __post_init__(self) -> None:
        check_season(self.season_length)
        check_choice("trend", self.trend, ("none", "add", "mul"))
        check_choice("damped", self.damped, (True, False))
        check_choice("seasonal", self.seasonal, ("none", "add", "mul"))
        check_length(self.max_length)
        check_damped(self.trend, self.damped)

    def fit_series(self, y: Float, ask: Ask) -> Estimate:
        """See :class:`~forecast.baselines.series.SeriesModel`."""
        from statsmodels.tsa.holtwinters import ExponentialSmoothing

        season, note = season_of(y, ask, wanted=self.seasonal != "none")
        parameters = 2 + 2 * (self.trend != "none") + self.damped + (season if season > 1 else 0)
        if len(y) <= parameters:
            raise Unfit(f"{len(y)} rows are too few")
        enough = len(y) >= 10 + 2 * (season // 2)
        model = ExponentialSmoothing(
            y,
            trend=self.trend if self.trend != "none" else None,
            damped_trend=self.damped,
            seasonal=self.seasonal if season > 1 else None,
            seasonal_periods=season if season > 1 else None,
            initialization_method="heuristic" if enough else "estimated",
        )
        results = model.fit(use_brute=False)
        if not results.mle_retvals.success:
            results = model.fit(use_brute=True)  # start from the best point of a grid instead
        if not results.mle_retvals.success:
            raise Unfit("the optimiser did not converge")
        names = ("smoothing_level", "smoothing_trend", "smoothing_seasonal", "damping_trend")
        level, trend, seasonal, damping = (float(np.nan_to_num(results.params[name])) for name in names)
        growth = smoothing_growth(ask.h, level, level * trend, seasonal, damping if self.damped else 1.0, season)
        smoothed = 1 + (self.trend != "none") + (season > 1) + self.damped
        variance = float(results.sse) / max(len(y) - smoothed, 1)
        return Estimate.normal(np.asarray(results.forecast(ask.h)), np.sqrt(variance * growth), ask, note)


@dataclass(frozen=True)
class Theta(SeriesModel):
    """The Theta method (Assimakopoulos and Nikolopoulos 2000): simple exponential smoothing plus half a trend line.

    A series whose autocorrelation at the season is significant at 90 % is seasonally adjusted first, by ratios where
    it is positive and by differences otherwise. Intervals are normal, those of simple exponential smoothing with drift
    (Hyndman and Billah 2003), with the season put back.

    Args:
        season_length: the season in steps; ``None`` means the task's.
        theta: slope of the second theta line; the trend line weighs ``1 - 1 / theta``.
        max_length: rows of each series to fit, the latest ones (but never fewer than four seasons).
    """

    season_length: int | None = None
    theta: float = 2.0
    max_length: int = 1000

    def __post_init__(self) -> None:
        check_season(self.season_length)
        check_length(self.max_length)
        if isinstance(self.theta, bool) or not isinstance(self.theta, (int, float)) or not 1.0 <= self.theta < np.inf:
            raise ConfigError(f"theta={self.theta!r} must be a number, at least 1.")

    def fit_series(self, y: Float, ask: Ask) -> Estimate:
        """See :class:`~forecast.baselines.series.SeriesModel`."""
        season, note = season_of(y, ask)
        if len(y) < theta.FEWEST_ROWS:
            raise Unfit(f"{len(y)} rows are too few")
        return theta.forecast(y, season, self.theta, ask, note)


@dataclass(frozen=True)
class SARIMAX(SeriesModel):
    """Seasonal ARIMA of given orders (Box and Jenkins 1970) by maximum likelihood.

    A series too short for its seasonal part is fitted without one, and ``reasons`` say so; so they do of a season
    longer than 100 steps, whose Kalman filter would take minutes: the seasonal naive model then makes the forecast.

    Args:
        season_length: the season in steps; ``None`` means the task's.
        order: ``(p, d, q)``: autoregressive, differencing and moving-average order.
        seasonal_order: ``(P, D, Q)``, the same at the season.
        max_length: rows of each series to fit, the latest ones (but never fewer than four seasons).
    """

    season_length: int | None = None
    order: tuple[int, int, int] = (1, 1, 1)
    seasonal_order: tuple[int, int, int] = (0, 1, 1)
    max_length: int = 300

    def __post_init__(self) -> None:
        check_season(self.season_length)
        check_length(self.max_length)
        for name in ("order", "seasonal_order"):
            value = tuple(getattr(self, name))
            if len(value) != 3 or not all(is_whole(number, 0) for number in value):
                raise ConfigError(f"{name}={value!r} must be three whole numbers, not negative, such as (1, 1, 1).")
            object.__setattr__(self, name, value)  # yaml and JSON know only lists

    def fit_series(self, y: Float, ask: Ask) -> Estimate:
        """See :class:`~forecast.baselines.series.SeriesModel`."""
        return arima.forecast(y, self.order, self.seasonal_order, ask)


@dataclass(frozen=True)
class STLETS(SeriesModel):
    """STL decomposition (Cleveland et al. 1990), exponential smoothing of the rest, and the last season repeated.

    The smoothing has additive errors and no season; its trend is chosen by AICc as in :class:`ETS`. Intervals are
    those of the smoothing, widened for the errors that the seasonal smoother has explained away. A series shorter than
    two seasons is smoothed as it is, and ``reasons`` say so.

    Args:
        season_length: the season in steps; ``None`` means the task's.
        trend: ``none``, ``add`` or ``auto``.
        damped: whether the trend is damped; ``None`` lets AICc decide, and damps an ``auto`` trend beside a season.
        seasonal_window: how many seasons the seasonal smoother spans, odd, at least 3; larger is steadier.
        robust: give outliers less weight, at several times the cost.
        max_length: rows of each series to fit, the latest ones (but never fewer than four seasons).
    """

    season_length: int | None = None
    trend: str = "auto"
    damped: bool | None = None
    seasonal_window: int = 21
    robust: bool = False
    max_length: int = 1000

    def __post_init__(self) -> None:
        check_season(self.season_length)
        check_choice("trend", self.trend, ("none", "add", "auto"))
        check_choice("damped", self.damped, (True, False, None))
        check_choice("robust", self.robust, (True, False))
        check_length(self.max_length)
        check_damped(self.trend, self.damped)
        if not is_whole(self.seasonal_window, 3) or self.seasonal_window % 2 == 0:
            raise ConfigError(f"seasonal_window={self.seasonal_window!r} must be an odd whole number, at least 3.")

    def fit_series(self, y: Float, ask: Ask) -> Estimate:
        """See :class:`~forecast.baselines.series.SeriesModel`."""
        from statsmodels.tsa.seasonal import STL

        season, note = season_of(y, ask)
        candidates = ets.forms("add", self.trend, self.damped, "none", season)
        if season == 1:
            return ets.forecast(ets.choose(y, candidates, 1), ask, note)
        pattern = np.asarray(STL(y, period=season, seasonal=self.seasonal_window, robust=self.robust).fit().seasonal)
        rest = ets.forecast(ets.choose(y - pattern, candidates, 1), ask, note)
        point = rest.point + np.resize(pattern[-season:], ask.h)
        # The seasonal smoother fits a line to each phase, piecewise over its window: that many errors are not free.
        spent = 2.0 * season * max(1.0, len(y) / season / self.seasonal_window)
        wider = np.sqrt(len(y) / max(len(y) - spent, 0.25 * len(y)))
        return Estimate(point, point[:, None] + (rest.quantiles - rest.point[:, None]) * wider, note)
