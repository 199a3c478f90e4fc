"""The recursion of exponential smoothing for many series, and several parameters of each, in one loop over time.

Hyndman, Koehler, Ord and Snyder (2008), "Forecasting with Exponential Smoothing", table 2.2. With the error ``e`` of a
one-step forecast in the units of the series, the states move in the same way whether errors are additive or
multiplicative: only the likelihood differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.baselines.batched import Block
from forecast.baselines.ets import Form

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

Observe = Callable[[Float, Float], object]


class States(NamedTuple):
    """States of exponential smoothing; row ``p`` of ``season`` is the index of time steps ``p``, ``p + m``, ..."""

    level: Float  # (..., N)
    trend: Float  # (..., N), 0 without a trend
    season: Float  # (m, ..., N); empty without a season

    def take(self, columns: Int) -> States:
        """Some series."""
        return States(*(part[..., columns] for part in self))


class Rates(NamedTuple):
    """What an error of 1 adds to each state, and the damping of the trend, each shape (..., N)."""

    level: Float
    trend: Float
    season: Float
    damping: Float


def parameter_names(form: Form) -> tuple[str, ...]:
    """The smoothing parameters of a form, in the order of the rows of ``x``."""
    names = ["alpha"]
    names += ["beta"] if form.trend != "none" else []
    names += ["phi"] if form.damped else []
    names += ["gamma"] if form.seasonal != "none" else []
    return tuple(names)


def rates(form: Form, x: Float) -> Rates:
    """The rates of smoothing parameters ``x`` (p, ..., N).

    ``x`` holds alpha, beta / alpha, phi and gamma / (1 - alpha), which lie between 0 and 1.
    """
    named = dict(zip(parameter_names(form), x, strict=True))
    alpha = named["alpha"]
    zero = np.zeros_like(alpha)
    return Rates(
        alpha, alpha * named.get("beta", zero), (1.0 - alpha) * named.get("gamma", zero), named.get("phi", zero + 1.0)
    )


def smooth(form: Form, x: Float, start: States, block: Block, observe: Observe = lambda error, fitted: None) -> States:
    """Run the recursion over a block and return the states after the last row of each series.

    Args:
        x: smoothing parameters of each candidate of each series, shape (p, C, N).
        start: the states before row 0, of each series, shapes (N,) and (m, N).
        observe: called for each row with the errors and the one-step forecasts of the series that go on, each shape
            (C, n); both arrays are used again for the next row.
    """
    shape = x.shape[1:]
    states = States(
        np.broadcast_to(start.level, shape).copy(),
        np.broadcast_to(start.trend, shape).copy(),
        np.repeat(start.season[:, None], shape[0], axis=1),
    )
    gains = rates(form, x)
    scratch = np.empty((5, *shape))
    for begin, stop, width in block.spans():
        part = States(*(state[..., :width] for state in states))
        advance = _advance(form, Rates(*(gain[..., :width] for gain in gains)), part, scratch[..., :width])
        for row in range(begin, stop):
            observe(*advance(block.y[row, :width], row))
    return states


def _advance(form: Form, gain: Rates, at: States, scratch: Float) -> Callable[[Float, int], tuple[Float, Float]]:
    """The function that moves the states ``at`` over one row, in place, and returns its errors and forecasts.

    Numpy writes into arrays made once: for short rows, making them would cost more than the arithmetic.
    """
    drift, base, fitted, error, change = scratch
    trended, ratios, period = form.trend != "none", form.seasonal == "mul", len(at.season)
    if not trended:
        base = at.level
    if trended and not period:
        fitted = base

    def advance(y: Float, row: int) -> tuple[Float, Float]:
        season = at.season[row % period] if period else None
        if trended:
            np.multiply(at.trend, gain.damping, out=drift)
            np.add(at.level, drift, out=base)
        if season is not None:
            (np.multiply if ratios else np.add)(base, season, out=fitted)
        elif not trended:
            np.copyto(fitted, base)
        np.subtract(y, fitted, out=error)
        adjusted = error
        if season is not None:
            np.multiply(gain.season, error, out=change)
            if ratios:
                np.divide(change, base, out=change)
                adjusted = error / season
            np.add(season, change, out=season)
        np.multiply(gain.level, adjusted, out=change)
        np.add(base, change, out=at.level)
        if trended:
            np.multiply(gain.trend, adjusted, out=change)
            np.add(drift, change, out=at.trend)
        return error, fitted

    return advance


def ahead(form: Form, x: Float, states: States, lengths: Int, h: int) -> Float:
    """Forecasts of the ``h`` steps after the last row, shape (N, h), with parameters ``x`` (p, N)."""
    step = np.arange(h)
    point = np.repeat(states.level[:, None], h, axis=1)
    if form.trend != "none":
        damping = np.repeat(rates(form, x).damping[:, None], h, axis=1)
        point += states.trend[:, None] * np.cumsum(np.cumprod(damping, axis=1), axis=1)
    if form.seasonal != "none":
        season = states.season[(lengths[:, None] + step) % len(states.season), np.arange(len(lengths))[:, None]]
        point = point * season if form.seasonal == "mul" else point + season
    return point
