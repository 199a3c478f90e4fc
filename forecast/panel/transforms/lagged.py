"""Differences between rows a number of steps apart, and the way back from the last rows known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from forecast.checks import whole_number
from forecast.errors import ConfigError
from forecast.panel.panel import Panel
from forecast.panel.segments import sums
from forecast.panel.transforms.base import Fitted, Float, Transform, finite

LONGEST = 1_000_000


@dataclass(frozen=True)
class Difference(Transform):
    """Each value less the one before it; name it twice for second differences."""

    name: ClassVar[str] = "difference"

    def fit(self, panel: Panel) -> FittedDifference:
        """There is nothing to learn."""
        return FittedDifference(1)


@dataclass(frozen=True)
class SeasonalDifference(Transform):
    """Each value less the one a season before it. ``season`` in steps; ``None`` takes the task's.

    Raises ``ConfigError`` when fitted for a task without a season.
    """

    name: ClassVar[str] = "seasonal_difference"

    season: int | None = None

    def __post_init__(self) -> None:
        if self.season is not None:
            object.__setattr__(self, "season", whole_number("seasonal_difference: season", self.season, 1, LONGEST))

    def ready(self, season_length: int) -> SeasonalDifference:
        """With the season of the task where it has none of its own."""
        if self.season is None and season_length <= 1:
            raise ConfigError(
                "seasonal_difference: season_length=1 means no season. Give season=, in steps, or use difference."
            )
        return self if self.season is not None else replace(self, season=season_length)

    def fit(self, panel: Panel) -> FittedDifference:
        """There is nothing to learn."""
        if self.season is None:
            raise ConfigError("seasonal_difference: season is not set.")
        return FittedDifference(self.season)


@dataclass(frozen=True)
class FittedDifference(Fitted):
    """Differences over ``lag`` steps.

    The first ``lag`` rows of a series have none and are left out. A series in which no difference is known, because it
    is short or has gaps, is taken for unchanging: its last row reads 0.

    The way back begins at the last known value of each phase of the lag, or of the series where a phase has none.
    Forecasts are added up along the horizon, and so are what they may be wrong by: a quantile of the sum is the sum of
    the points and the root of the summed squares of the quantiles' distances from them. That is right for normal errors
    that do not depend on each other from step to step, and keeps quantiles in order whatever the errors are. (To add up
    the quantiles themselves would treat every step's error as the same one: intervals far too wide.)
    """

    lag: int

    def forward(self, panel: Panel) -> Panel:
        """Differences of each series, its rows fewer by the lag."""
        lengths = panel.lengths
        position = np.arange(len(panel.values), dtype=np.int64) - np.repeat(panel.offsets[:-1], lengths)
        change = np.full(len(panel.values), np.nan)
        rows = np.flatnonzero(position >= self.lag)
        with np.errstate(over="ignore"):
            change[rows] = finite(panel.values[rows] - panel.values[rows - self.lag])
        result = replace(panel, values=change).slice(np.minimum(self.lag, np.maximum(lengths - 1, 0)), lengths)
        still = sums(np.isfinite(change).astype(np.float64), panel.offsets) == 0
        still &= sums(np.isfinite(panel.values).astype(np.float64), panel.offsets) > 0
        result.values[result.offsets[1:][still] - 1] = 0.0  # a copy of its own: slice made it
        return result

    def inverse(self, values: Float, panel: Panel) -> Float:
        """Levels from differences (S, h, …)."""
        anchors = self._anchors(panel, values.shape[1])
        with np.errstate(over="ignore"):
            start = anchors.reshape(len(anchors), 1, anchors.shape[1], *(1,) * (values.ndim - 2))
            return finite(self._unfolded(self._summed(values) + start, values.shape[1]))

    def carry(self, point: Float, quantiles: Float, panel: Panel) -> tuple[Float, Float]:
        """Points added up, and quantiles around them as the class says."""
        level = self.inverse(point, panel)
        apart = quantiles - point[..., None]
        largest = np.nanmax(np.abs(apart), axis=(1, 2), initial=0.0)
        unit = np.where(largest > 0.0, largest, 1.0)[:, None, None]  # squares of large numbers overflow
        squares = self._unfolded(self._summed(np.sign(apart) * (apart / unit) ** 2), point.shape[1])
        with np.errstate(over="ignore"):
            return level, finite(level[..., None] + np.sign(squares) * np.sqrt(np.abs(squares)) * unit)

    def _summed(self, values: Float) -> Float:
        """Running sums of each phase of the lag: (S, h, …) to (S, blocks, lag, …), of which the end is padding."""
        count, h, *rest = values.shape
        lag = min(self.lag, h)
        padding = -h % lag
        padded = np.concatenate([values, np.zeros((count, padding, *rest))], axis=1)
        blocks: Float = padded.reshape(count, (h + padding) // lag, lag, *rest).cumsum(axis=1)
        return blocks

    def _unfolded(self, blocks: Float, h: int) -> Float:
        """From (S, blocks, lag, …) to (S, h, …)."""
        count, number, lag, *rest = blocks.shape
        return blocks.reshape(count, number * lag, *rest)[:, :h]

    def _anchors(self, panel: Panel, h: int) -> Float:
        """What the first forecast of each phase is a change of, (S, min(lag, h)); NaN for a series without values."""
        phases = min(self.lag, h)
        known = np.flatnonzero(np.isfinite(panel.values))
        series = panel.series[known]
        # Steps from a row to the first one after the series: lag and its multiples are of phase 0.
        phase = -(panel.offsets[1:][series] - known) % self.lag
        last = np.full(len(panel), np.nan)
        last[series] = panel.values[known]  # of several values for one place the last one stays
        anchors = np.tile(last[:, None], (1, phases))
        near = phase < phases
        anchors[series[near], phase[near]] = panel.values[known[near]]
        return anchors
