"""The local scale of a series: how much it changed lately, so that errors of calm and lively series can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError
from forecast.models import LARGEST_SIZE
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

HALF_LIVES = (20.0, 80.0, 320.0)  # rows
REMEMBERED = 5  # half-lives, after which a row weighs nothing
BLOCK_ROWS = 100_000
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
        window = int(REMEMBERED * self.half_life) + self.lag
        recent = panel.tail(window) if panel.lengths.max(initial=0) > window else panel
        weights = 0.5 ** (np.arange(window + 1) / self.half_life)
        parts = [self._seen(recent.values, offsets, weights) for offsets in _blocks(recent.offsets)]
        nothing = Measured(np.empty(0), np.empty(0, dtype=np.int64), np.empty(0))
        return Measured(*(np.concatenate(column) for column in zip(nothing, *parts, strict=True)))

    def _seen(self, values: Float, offsets: Int, weights: Float) -> Measured:
        """:meth:`measured` of the series at ``offsets`` of ``values``; a row so many rows back has so much weight."""
        values, offsets = values[offsets[0] : offsets[-1]], offsets - offsets[0]
        changes, number = _changes(values, offsets, self.lag, weights)
        if self.lag > 1 and (number == 0).any():  # too short for a single change over a season
            short, few = _changes(values, offsets, 1, weights)
            changes, number = np.where(number == 0, short, changes), np.where(number == 0, few, number)
        known = np.isfinite(values)
        count = _totals(known, offsets)
        level = _totals(np.where(known, np.abs(values), 0.0), offsets) / np.where(count > 0, count, np.nan)
        return Measured(changes, number, np.minimum(level, LARGEST))

    def completed(self, seen: Measured) -> Float:
        """The scales of series that were ``seen``, those without a change by what is usual."""
        usual = self.relative * seen.level / (1.0 + seen.number)
        return np.where(seen.changes > 0.0, seen.changes, usual)


class Measured(NamedTuple):
    """Of each series: the mean change (S,), 0 where nothing changed, of how many, and the mean absolute value."""

    changes: Float
    number: Int
    level: Float


def _blocks(offsets: Int) -> Iterator[Int]:
    """``offsets`` in pieces of about as many rows as a processor has at hand at a time."""
    last = len(offsets) - 1
    begin = 0
    while begin < last:
        end = max(begin + 1, int(np.searchsorted(offsets, offsets[begin] + BLOCK_ROWS, side="right")) - 1)
        yield offsets[begin : end + 1]
        begin = end


def _changes(values: Float, offsets: Int, lag: int, weights: Float) -> tuple[Float, Int]:
    """The weighted mean of absolute changes of each series, 0 where there is none, and how many there are."""
    lengths = np.diff(offsets)
    age = np.repeat(offsets[1:] - 1, lengths) - np.arange(len(values))
    known = np.isfinite(values)
    if lag == 1 and not known.all():  # from one known value to the next
        values, age = values[known], age[known]
        offsets = np.append(0, np.cumsum(known))[offsets]
        lengths = np.diff(offsets)
    size = np.zeros(len(values))
    size[lag:] = np.abs(values[lag:] / 2.0 - values[:-lag] / 2.0)  # halves: the difference may be beyond any number
    usable = np.isfinite(size) & (np.arange(len(values)) - np.repeat(offsets[:-1], lengths) >= lag)
    weight = np.where(usable, weights[age], 0.0)
    total = _totals(weight, offsets)
    sums = _totals(weight * np.where(usable, np.minimum(size, LARGEST), 0.0), offsets)
    mean = np.minimum(2.0 * sums / np.where(total > 0.0, total, 1.0), LARGEST)
    return mean, _totals(usable, offsets).astype(np.int64)


def _totals(values: npt.NDArray[Any], offsets: Int) -> Float:
    """The sum of each series' rows, 0 for one without rows."""
    totals = np.zeros(len(offsets) - 1)
    filled = np.flatnonzero(np.diff(offsets) > 0)
    if filled.size:
        totals[filled] = np.add.reduceat(values.astype(np.float64, copy=False), offsets[:-1][filled])
    return totals


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
