"""Forecasts and quantiles of fitted exponential smoothing, for many series at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.baselines.batched_likelihood import FormFit
from forecast.baselines.batched_recursion import Rates, States, ahead, rates
from forecast.baselines.ets import SIMULATIONS, Form
from forecast.baselines.local import Ask, normal_quantiles
from forecast.baselines.variance import smoothing_growth

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

AT_ONCE = 1 << 18  # simulated numbers that stay in the cache


class Fan(NamedTuple):
    """Forecasts of some series, shape (s, h), and their quantiles, shape (s, h, Q)."""

    point: Float
    quantiles: Float

    @classmethod
    def zeros(cls, series: int, ask: Ask) -> Fan:
        """Nothing yet."""
        return cls(np.zeros((series, ask.h)), np.zeros((series, ask.h, len(ask.probs))))

    def add(self, chosen: Int, other: Fan, weight: Float) -> None:
        """Add ``weight`` (s,) times the forecasts ``other`` to those of the series ``chosen`` (s,)."""
        self.point[chosen] += weight[:, None] * other.point
        self.quantiles[chosen] += weight[:, None, None] * other.quantiles


def fan(fit: FormFit, columns: Int, lengths: Int, ask: Ask) -> Fan:
    """Forecasts of the series in some columns of a fit; ``lengths`` (s,) are their rows.

    Quantiles are in closed form where the forecast is linear in the values, and otherwise from simulated paths with
    normal errors in antithetic pairs, the same for every series and derived from ``ask.seed``.
    """
    form, x, states = fit.form, fit.x[:, columns], fit.states.take(columns)
    point = ahead(form, x, states, lengths, ask.h)
    if not ask.probs:
        return Fan(point, np.empty((*point.shape, 0)))
    deviation = np.sqrt(fit.variance[columns])
    if form.ratios:
        return Fan(point, _simulated(form, x, states, lengths, deviation, ask))
    gain = rates(form, x)
    growth = smoothing_growth(ask.h, *gain, season_length=max(len(states.season), 1))
    return Fan(point, normal_quantiles(point, deviation[:, None] * np.sqrt(growth), ask.probs))


def _simulated(form: Form, x: Float, states: States, lengths: Int, deviation: Float, ask: Ask) -> Float:
    half = np.random.default_rng(ask.seed).standard_normal((ask.h, SIMULATIONS // 2))
    noise = np.concatenate([half, -half], axis=1)
    gain = rates(form, x)
    quantiles = np.empty((len(lengths), ask.h, len(ask.probs)))
    size = max(1, AT_ONCE // noise.size)
    for start in range(0, len(lengths), size):
        part = slice(start, start + size)
        paths = _paths(
            form,
            Rates(*(rate[part, None] for rate in gain)),
            States(states.level[part, None], states.trend[part, None], states.season[:, part]),
            lengths[part],
            noise[:, None] * deviation[part, None],
        )
        quantiles[part] = np.moveaxis(np.quantile(paths, ask.probs, axis=-1), (0, 1), (2, 1))
    return quantiles


def _paths(form: Form, gain: Rates, states: States, lengths: Int, noise: Float) -> Float:
    """Simulated futures, shape (h, s, R), from errors of the same shape."""
    level, trend = states.level, states.trend
    period, each = len(states.season), np.arange(len(lengths))
    seasons: list[Float] = []
    paths = np.empty_like(noise)
    for step, draw in enumerate(noise):
        drift = trend * gain.damping
        base = fitted = level + drift
        if period:
            first = states.season[(lengths + step) % period, each][:, None]
            season = seasons[step - period] if step >= period else first
            fitted = base * season if form.seasonal == "mul" else base + season
        error = draw * fitted if form.error == "mul" else draw
        paths[step] = fitted + error
        adjusted = error
        if period:
            ratios = form.seasonal == "mul"
            seasons.append(season + gain.season * (error / base if ratios else error))
            adjusted = error / season if ratios else error
        level, trend = base + gain.level * adjusted, drift + gain.trend * adjusted
    return paths
