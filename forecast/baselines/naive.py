"""The naive family: benchmarks in closed form, all series at once.

Prediction intervals are the normal ones of Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd
edition, section 5.5. Unknown values are skipped, not filled: a change over ``g`` steps has the variance of ``g``
one-step changes, and a forecast starts from the last known value however old it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.baselines.local import Ask, LocalModel, check_season, normal_quantiles
from forecast.baselines.seasonality import is_multiplicative, is_seasonal, seasonal_indices
from forecast.baselines.segments import Seen, block, blocks, see, sums
from forecast.model import Prediction
from forecast.panel.fill import fill_unknown
from forecast.panel.panel import Panel
from forecast.panel.spans import offsets_of, ranges

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
NOTHING = "no value of this series is known: no forecast"


class Part(NamedTuple):
    """Forecasts of some series and the standard deviation of their errors, each shape (s, h)."""

    point: Float
    deviation: Float
    reasons: Mapping[int, str] = MappingProxyType({})  # position among these series


@dataclass(frozen=True)
class Naive(LocalModel):
    """The last known value, repeated: the best forecast of a random walk."""

    def forecast(self, panel: Panel, ask: Ask) -> Prediction:
        """See :class:`~forecast.baselines.local.LocalModel`."""
        return _by_blocks(panel, ask, _naive)


@dataclass(frozen=True)
class Drift(LocalModel):
    """The line through the first and the last known value, continued: a random walk with drift."""

    def forecast(self, panel: Panel, ask: Ask) -> Prediction:
        """See :class:`~forecast.baselines.local.LocalModel`."""
        return _by_blocks(panel, ask, _drift)


@dataclass(frozen=True)
class HistoricMean(LocalModel):
    """The mean of all known values."""

    def forecast(self, panel: Panel, ask: Ask) -> Prediction:
        """See :class:`~forecast.baselines.local.LocalModel`."""
        return _by_blocks(panel, ask, _mean)


@dataclass(frozen=True)
class SeasonalNaive(LocalModel):
    """The last known value of the same season: last Monday for Monday, last January for January.

    A series shorter than one season is forecast by the naive model, and so is a phase of the season that was never
    observed; the prediction's ``reasons`` name both.

    Args:
        season_length: the season in steps; ``None`` means the task's.
    """

    season_length: int | None = None

    def __post_init__(self) -> None:
        check_season(self.season_length)

    def forecast(self, panel: Panel, ask: Ask) -> Prediction:
        """See :class:`~forecast.baselines.local.LocalModel`."""
        return _by_blocks(panel, ask, _seasonal_naive)


@dataclass(frozen=True)
class Naive2(LocalModel):
    """The naive forecast of the seasonally adjusted series, with the season put back: benchmark of the M competitions.

    As in the M4 competition (Makridakis, Spiliotis and Assimakopoulos 2020): a series of at least three seasons
    whose autocorrelation at the season is significant at 90 % is divided by the seasonal indices of a classical
    multiplicative decomposition; any other is forecast by the naive model. The test and the indices see unknown
    values filled by a line between their neighbours. A series with negative values or indices that are not positive
    has no multiplicative season: the naive model forecasts it, and ``reasons`` say so.

    Args:
        season_length: the season in steps; ``None`` means the task's.
    """

    season_length: int | None = None

    def __post_init__(self) -> None:
        check_season(self.season_length)

    def forecast(self, panel: Panel, ask: Ask) -> Prediction:
        """See :class:`~forecast.baselines.local.LocalModel`."""
        return _by_blocks(panel, ask, _naive2)


def _by_blocks(panel: Panel, ask: Ask, part_of: Callable[[Panel, Ask], Part]) -> Prediction:
    """Forecast block after block, so that temporaries stay small whatever the number of series."""
    point = np.empty((len(panel), ask.h))
    quantiles = np.empty((len(panel), ask.h, len(ask.probs)))
    reasons: dict[int, str] = {}
    for start, stop in blocks(panel.offsets, ask.h):
        part = part_of(block(panel, start, stop), ask)
        point[start:stop] = part.point
        if ask.probs:
            quantiles[start:stop] = normal_quantiles(part.point, part.deviation, ask.probs)
        reasons |= {start + position: reason for position, reason in part.reasons.items()}
        reasons |= {start + int(position): NOTHING for position in np.flatnonzero(np.isnan(part.point[:, 0]))}
    return Prediction(point, quantiles, ask.probs, reasons)


def _ahead(seen: Seen, h: int) -> Float:
    """Steps from the last known value to each step of the horizon, shape (s, h)."""
    return (seen.stale[:, None] + np.arange(1, h + 1)).astype(np.float64)


def _step_deviation(seen: Seen) -> Float:
    """Standard deviation of a one-step change, 0 where there is none, shape (s,)."""
    change, gap = seen.steps()
    return np.sqrt(sums(change**2 / gap, seen.offsets) / np.maximum(seen.count - 1, 1))


def _naive(panel: Panel, ask: Ask) -> Part:
    seen = see(panel)
    return Part(
        np.repeat(seen.last[:, None], ask.h, axis=1), _step_deviation(seen)[:, None] * np.sqrt(_ahead(seen, ask.h))
    )


def _drift(panel: Panel, ask: Ask) -> Part:
    seen = see(panel)
    ahead, span = _ahead(seen, ask.h), np.maximum(seen.span, 1).astype(np.float64)
    slope = (seen.last - seen.first) / span
    change, gap = seen.steps()
    errors = change - gap * np.repeat(slope, seen.count)
    errors[seen.offsets[1:][seen.count > 0] - 1] = 0.0
    # One parameter is estimated, so of count - 1 changes count - 2 are free.
    variance = sums(errors**2 / gap, seen.offsets) / np.maximum(seen.count - 2, 1)
    deviation = np.sqrt(variance[:, None] * ahead * (1.0 + ahead / span[:, None]))
    reasons = {int(s): "only one value is known: naive instead of drift" for s in np.flatnonzero(seen.count == 1)}
    return Part(seen.last[:, None] + slope[:, None] * ahead, deviation, reasons)


def _mean(panel: Panel, ask: Ask) -> Part:
    seen = see(panel)
    count = np.maximum(seen.count, 1)
    mean = np.where(seen.count > 0, sums(seen.values, seen.offsets) / count, np.nan)
    # Rounding can push the mean of a constant off that constant.
    low, high = _extremes(seen)
    mean = np.clip(mean, low, high)
    errors = seen.values - np.repeat(mean, seen.count)
    variance = sums(errors**2, seen.offsets) / np.maximum(seen.count - 1, 1)
    deviation = np.sqrt(variance * (1.0 + 1.0 / count))
    return Part(np.repeat(mean[:, None], ask.h, axis=1), np.repeat(deviation[:, None], ask.h, axis=1))


def _extremes(seen: Seen) -> tuple[Float, Float]:
    low, high = np.full(len(seen.lengths), np.nan), np.full(len(seen.lengths), np.nan)
    filled = seen.count > 0
    if filled.any():
        low[filled] = np.minimum.reduceat(seen.values, seen.offsets[:-1][filled])
        high[filled] = np.maximum.reduceat(seen.values, seen.offsets[:-1][filled])
    return low, high


def _last_by_phase(panel: Panel, season: int, width: int) -> tuple[Float, Int]:
    """The last known value at the phases of the first ``width`` steps ahead, and its row, each shape (s, width).

    NaN where a phase was never observed.
    """
    lengths = panel.lengths
    position = (lengths - season)[:, None] + np.arange(width, dtype=np.int64)
    # A series shorter than the season knows only some phases, and not for long: all of them count as unknown.
    position[lengths < season] = -1
    value, where = np.full(position.size, np.nan), position.ravel()
    starts = np.repeat(panel.offsets[:-1], width)
    todo = np.flatnonzero(where >= 0)
    while todo.size:
        value[todo] = panel.values[starts[todo] + where[todo]]
        todo = todo[np.isnan(value[todo])]
        where[todo] -= season
        todo = todo[where[todo] >= 0]
    return value.reshape(position.shape), where.reshape(position.shape)


def _seasonal_deviation(panel: Panel, season: int) -> tuple[Float, Int]:
    """Standard deviation of a change over one season, and how many changes it is taken from, each shape (s,)."""
    late = np.maximum(panel.lengths - season, 0)
    rows = ranges(panel.offsets[:-1] + season, late)
    change = panel.values[rows] - panel.values[rows - season]
    known = ~np.isnan(change)
    offsets = offsets_of(late)
    count = sums(known.astype(np.float64), offsets).astype(np.int64)
    return np.sqrt(sums(np.where(known, change, 0.0) ** 2, offsets) / np.maximum(count, 1)), count


def _seasonal_naive(panel: Panel, ask: Ask) -> Part:
    if ask.season_length == 1:
        return _naive(panel, ask)
    season, width = ask.season_length, min(ask.h, ask.season_length)
    naive = _naive(panel, ask)
    value, row = _last_by_phase(panel, season, width)
    column = np.arange(ask.h) % width
    point = value[:, column]
    missing = np.isnan(point)
    target = (panel.lengths - 1)[:, None] + np.arange(1, ask.h + 1)
    seasons = np.where(missing, 0, (target - row[:, column]) // season)
    deviation, changes = _seasonal_deviation(panel, season)
    # Just one season of history has no seasonal changes: the spread of the one-step changes has to do.
    deviation = np.where(changes > 0, deviation, _step_deviation(see(panel)))
    return Part(
        np.where(missing, naive.point, point),
        np.where(missing, naive.deviation, deviation[:, None] * np.sqrt(seasons)),
        _season_reasons(panel.lengths, season, np.isnan(value).sum(axis=1), width),
    )


def _season_reasons(lengths: Int, season: int, missing: Int, width: int) -> dict[int, str]:
    reasons = {}
    for position in np.flatnonzero(missing):
        rows = int(lengths[position])
        if rows < season:
            cause = f"{rows} of the {season} rows of a season: naive instead of seasonal_naive"
        else:
            cause = f"{missing[position]} of {width} phases were never observed: naive instead of seasonal_naive there"
        reasons[int(position)] = cause
    return reasons


def _naive2(panel: Panel, ask: Ask) -> Part:
    season = ask.season_length
    if season == 1:
        return _naive(panel, ask)
    filled = fill_unknown(panel, "interpolate")
    long = np.flatnonzero(panel.lengths >= 3 * season)
    tested = long[is_seasonal(filled.take(long), season)]
    indices = seasonal_indices(filled.take(tested), season)
    usable = is_multiplicative(filled.take(tested), indices)
    past, future = _factors(panel, tested[usable], indices[usable], ask.h)
    part = _naive(replace(panel, values=panel.values / past), ask)
    short = np.flatnonzero(panel.lengths < 3 * season)
    reasons = {int(s): f"{panel.lengths[s]} rows are less than three seasons of {season}: no season" for s in short}
    reasons |= {int(s): "negative values or no positive seasonal indices: no season" for s in tested[~usable]}
    return Part(part.point * future, part.deviation * future, reasons)


def _factors(panel: Panel, chosen: Int, indices: Float, h: int) -> tuple[Float, Float]:
    """Seasonal index of every row, shape (N,), and of every step ahead, shape (s, h): 1 for series not ``chosen``."""
    past, future = np.ones(len(panel.values)), np.ones((len(panel), h))
    lengths, order, season = panel.lengths[chosen], np.arange(len(chosen)), indices.shape[1]
    position = ranges(np.zeros_like(lengths), lengths)
    past[ranges(panel.offsets[chosen], lengths)] = indices[np.repeat(order, lengths), position % season]
    future[chosen] = indices[order[:, None], (lengths[:, None] + np.arange(h)) % season]
    return past, future
