"""How forecast errors grow with the horizon in exponential smoothing with additive errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]


def smoothing_growth(
    h: int,
    level: float | Float,
    trend: float | Float = 0.0,
    season: float | Float = 0.0,
    damping: float | Float = 1.0,
    season_length: int = 1,
) -> Float:
    """Variance of the forecast error at steps 1 to ``h``, relative to the one-step variance, shape (h,).

    ``level``, ``trend`` and ``season`` are what an error of 1 adds to each state (alpha, beta and gamma of Hyndman,
    Koehler, Ord and Snyder 2008, "Forecasting with Exponential Smoothing", table 6.1); ``damping`` is phi. Each may
    be an array, one number for each series of shape (s,): the result has the shape (s, h).

    >>> smoothing_growth(3, level=0.5).tolist()
    [1.0, 1.25, 1.5]
    """
    level, trend, season, damping = (
        np.asarray(value, np.float64)[..., None] for value in (level, trend, season, damping)
    )
    step = np.arange(1, h)
    weight = level + trend * np.cumsum(np.cumprod(damping * np.ones(h - 1), axis=-1), axis=-1)
    if season_length > 1:
        weight = weight + season * (step % season_length == 0)
    return np.concatenate([np.ones((*weight.shape[:-1], 1)), 1.0 + np.cumsum(weight**2, axis=-1)], axis=-1)
