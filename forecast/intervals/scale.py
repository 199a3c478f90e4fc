"""The local scale of a series: how much it changed lately, so that errors of calm and lively series can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError
from forecast.models import LARGEST_SIZE
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

HALF_LIVES = (20.0, 80.0, 320.0)  # rows
REMEMBERED = 5  # half-lives, after which a row weighs nothing
LARGEST = 1e290  # of a change: products with widths stay finite
MOST_RELATIVE = 1e6


@dataclass(frozen=True)
class LocalScale:
    """Mean absolute change of a series over ``lag`` rows, of which a row ``half_life`` rows back counts half.

    With a lag of 1 changes are those from one known value to the next. A series whose values never changed has one
    change of usual size laid to its charge, ``relative`` of its mean absolute value, among all that it has; and so has
    one of a single value. Zero is left for series of nothing but zeros.

    Attributes:
        lag: rows between the values compared, 1 or a season.
        half_life: in rows.
        relative: the usual size of a change as a share of the mean absolute value.
    """

    lag: int = 1
    half_life: float = 80.0
    relative: float = 0.0

    def __post_init__(self) -> None:
        whole = isinstance(self.lag, int) and not isinstance(self.lag, bool) and 1 <= self.lag <= LARGEST_SIZE
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (self.half_life, self.relative))
        if (
            not whole
            or not numbers
            or not 1 <= self.half_life <= LARGEST_SIZE
            or not 0 <= self.relative <= MOST_RELATIVE
        ):
            raise ConfigError(f"a local scale of lag={self.lag!r}, {self.half_life!r}, {self.relative!r}")

    def of(self, panel: Panel) -> Float:
        """The scale of each series at its last row, (S,), in its units; NaN for a series without any known value."""
        return self.completed(self.measured(panel))

    def measured(self, panel: Panel) -> Measured:
        """What is seen of each series by itself."""
        recent = panel.tail(int(REMEMBERED * self.half_life) + self.lag)
        lively, number = self._changes(recent, self.lag)
        if self.lag > 1:  # too short for a single change over a season
            short, few = self._changes(recent, 1)
            none = number == 0
            lively, number = np.where(none, short, lively), np.where(none, few, number)
        known = np.isfinite(recent.values)
        count = np.bincount(recent.series[known], minlength=len(panel))
        total = np.bincount(recent.series[known], np.abs(recent.values[known]), minlength=len(panel))
        level = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return Measured(lively, number, np.minimum(level, LARGEST))

    def completed(self, seen: Measured) -> Float:
        """The scales of series that were ``seen``, those without a change by what is usual."""
        usual = self.relative * seen.level / (1.0 + seen.number)
        return np.where(seen.changes > 0.0, seen.changes, usual)

    def _changes(self, panel: Panel, lag: int) -> tuple[Float, Int]:
        """The weighted mean of absolute changes (S,), 0 where there is none, and how many there are."""
        age = np.repeat(panel.offsets[1:], panel.lengths) - 1 - np.arange(len(panel.values))
        series, values = panel.series, panel.values
        if lag == 1:
            known = np.isfinite(values)
            series, values, age = series[known], values[known], age[known]
        size = np.abs(values[lag:] / 2.0 - values[:-lag] / 2.0) if len(values) > lag else np.empty(0)
        usable = np.isfinite(size) & (series[lag:] == series[: len(size)])
        owner, size = series[lag:][usable], size[usable]
        weight = 0.5 ** (age[lag:][usable] / self.half_life)
        total = np.bincount(owner, weight, minlength=len(panel))
        sums = np.bincount(owner, np.minimum(size, LARGEST) * weight, minlength=len(panel))
        mean = 2.0 * sums / np.where(total > 0.0, total, 1.0)
        return np.minimum(mean, LARGEST), np.bincount(owner, minlength=len(panel))


class Measured(NamedTuple):
    """Of each series: the mean change (S,), 0 where nothing changed, of how many, and the mean absolute value."""

    changes: Float
    number: Int
    level: Float


def candidates(season_length: int) -> tuple[LocalScale, ...]:
    """The scales that :func:`best_scale` chooses among."""
    lags = sorted({1, season_length})
    return tuple(LocalScale(lag, half_life) for lag in lags for half_life in HALF_LIVES)


def best_scale(scales: Sequence[LocalScale], measured: Sequence[Measured], errors: Float) -> tuple[int, LocalScale]:
    """The scale that tells best how large errors (V, h) are of windows ``measured`` by each, after its number.

    By likelihood, as if errors were Laplace distributed around 0 with a mean size proportional to the scale. NaN errors
    are unknown.
    """
    known = np.isfinite(errors)
    count = known.sum(axis=1)
    size = np.where(known, np.abs(errors), 0.0).sum(axis=1) / np.maximum(count, 1)
    usable = (count > 0) & np.logical_and.reduce([seen.changes > 0.0 for seen in measured])
    if not usable.any():
        return 0, replace(scales[0], relative=_usual(measured[0]))
    losses = []
    for seen in measured:
        scale = seen.changes[usable]
        ratio = float(np.mean(size[usable] / scale))
        losses.append(float(np.mean(np.log(scale))) + np.log(max(ratio, 1e-300)))
    chosen = int(np.argmin(losses))
    return chosen, replace(scales[chosen], relative=_usual(measured[chosen]))


def _usual(seen: Measured) -> float:
    """The median change as a share of the mean absolute value."""
    usable = (seen.changes > 0.0) & (seen.level > 0.0)
    if not usable.any():
        return 0.0
    return min(float(np.median(seen.changes[usable] / seen.level[usable])), MOST_RELATIVE)
