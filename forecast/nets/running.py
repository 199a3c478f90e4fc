"""A row relative to its own series so far: what :mod:`forecast.nets.scaling` is to windows, for series read row by row.

The level and the spread of a series are running means over about ``input_size`` rows, so they follow the series, use no
row after the one they describe, and are carried on in constant space: reading rows one by one or all at once gives the
same numbers. Nothing is fitted, so no series has units that depend on when it was first seen.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.nets.facts import Facts

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

# Below this share of the level, variation is rounding noise.
FLAT = 1e-14


class Rows(NamedTuple):
    """Rows of B series, each in units of the series so far: a forecast ``f`` made there is ``last + scale * f``."""

    features: Float32  # (B, T, features)
    last: Float  # (B, T) last known value
    scale: Float  # (B, T) running mean absolute deviation; 0 while the series is constant


def width(facts: Facts) -> int:
    """Numbers that a row is described by."""
    return 2 + 2 * len(facts.seasons) + (facts.channels - 1)


@dataclass(frozen=True)
class Running:
    """What is remembered of the rows that S series have had, in float64 and original units.

    Attributes:
        count: known rows so far, shape (S,); the others mean nothing while it is 0.
        mean: running mean of the known values, (S,).
        spread: running mean of their absolute distance from it, (S,).
        value: the last known value, (S,).
        recent: the last M values, (S, M): that of ordinal ``o`` in column ``o % M``, NaN where unknown.
    """

    count: Float
    mean: Float
    spread: Float
    value: Float
    recent: Float

    @classmethod
    def start(cls, series: int, facts: Facts) -> Running:
        """Series without any row yet."""
        count, mean, spread, value = np.zeros((4, series))
        return cls(count, mean, spread, value, np.full((series, max(facts.seasons, default=1)), np.nan))

    def copy(self) -> Running:
        """The same in arrays of its own."""
        return Running(*(getattr(self, f.name).copy() for f in fields(self)))

    def take(self, chosen: Int) -> Running:
        """The series at positions ``chosen``, as copies."""
        return Running(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def put(self, chosen: Int, other: Running) -> None:
        """Write the series of ``other`` to positions ``chosen``, in place."""
        for f in fields(self):
            getattr(self, f.name)[chosen] = getattr(other, f.name)

    @property
    def scale(self) -> Float:
        """The spread, 0 where it is rounding noise, (S,)."""
        return _scale(self.spread, self.mean)

    def read(self, values: Float, first: Int, facts: Facts) -> tuple[Running, Rows]:
        """Read T more rows of every series: ``values`` (S, T), NaN where unknown, from ordinals ``first`` (S,) on.

        A row is described by its level, its change from the row before, for each season its change over that and what
        the seasonal naive method forecasts next, and, with an indicator, whether it is known. What is unknown is 0.
        The very first row of a series has to be known.
        """
        known = np.isfinite(values)
        count = self.count[:, None] + known.cumsum(1)
        last = _last_known(values, known, self.value)
        mean = running_mean(last, known, count, self.mean, facts.input_size)
        # The first value lies on its own mean and tells nothing about the spread.
        second = known & (count > 1)
        spread = running_mean(np.abs(last - mean), second, count - 1, self.spread, facts.input_size)
        scale = _scale(spread, mean)
        divisor = np.where(scale > 0, scale, 1.0)
        before = np.concatenate([np.where(self.count > 0, self.value, last[:, 0])[:, None], last[:, :-1]], axis=1)
        columns = [(last - mean) / divisor, (last - before) / divisor]
        for season in facts.seasons:
            change = values - self._earlier(values, first, season)
            coming = self._earlier(values, first, season - 1) - last
            columns += [np.where(np.isfinite(part), part, 0.0) / divisor for part in (change, coming)]
        if facts.channels == 2:
            columns.append(known.astype(np.float64))
        features = np.stack(columns, axis=-1, dtype=np.float32, casting="same_kind")
        after = Running(count[:, -1], mean[:, -1], spread[:, -1], last[:, -1], self._recalled(values, first))
        return after, Rows(features, last, scale)

    def coming(self, ordinal: Int, facts: Facts) -> Float32:
        """The seasonal naive forecasts made after row ``ordinal`` (S,), one for each season: (S, h, seasons), relative
        to the last value in units of the spread; 0 where the value a season ago is unknown."""
        memory, steps = self.recent.shape[1], np.arange(facts.h)
        last, scale = self.value[:, None], self.scale[:, None]
        result = np.zeros((len(ordinal), facts.h, len(facts.seasons)), dtype=np.float32)
        for place, season in enumerate(facts.seasons):
            columns = (ordinal[:, None] + 1 - season + steps % season) % memory
            change = np.take_along_axis(self.recent, columns, axis=1) - last
            result[..., place] = np.where(np.isfinite(change), change, 0.0) / np.where(scale > 0, scale, 1.0)
        return result

    def _earlier(self, values: Float, first: Int, back: int) -> Float:
        """The value ``back`` rows before each of the rows to read, (S, T); NaN where unknown."""
        rows = values.shape[1]
        columns = (first[:, None] + np.arange(min(rows, back)) - back) % self.recent.shape[1]
        remembered = np.take_along_axis(self.recent, columns, axis=1)
        return remembered if rows <= back else np.concatenate([remembered, values[:, : rows - back]], axis=1)

    def _recalled(self, values: Float, first: Int) -> Float:
        """The memory with the new rows written over the oldest."""
        recent = self.recent.copy()
        rows, memory = values.shape[1], recent.shape[1]
        kept = np.arange(max(0, rows - memory), rows)
        np.put_along_axis(recent, (first[:, None] + kept) % memory, values[:, kept], axis=1)
        return recent


def running_mean(values: Float, known: Bool, count: Float, start: Float, span: int) -> Float:
    """The mean after each row (S, T) of the known ``values``, the last about ``span`` of which count.

    The plain mean while there are fewer than ``(span + 1) / 2`` of them, from then on an exponential one of the weight
    ``2 / (span + 1)``. ``count`` (S, T) tells how many were known by each row, ``start`` (S,) what the mean was before.
    """
    floor = 2.0 / (span + 1.0)
    rate = np.where(known, np.maximum(floor, 1.0 / np.maximum(count, 1.0)), 0.0).T.copy()
    steps = values.T.copy()
    mean = start
    for row in range(len(steps)):  # in the order of time, so that any cut into pieces gives the same bits
        mean = mean + rate[row] * (steps[row] - mean)
        steps[row] = mean
    return steps.T


def _last_known(values: Float, known: Bool, before: Float) -> Float:
    """The last known value up to and including each row, ``before`` (S,) where there is none yet."""
    if known.all():
        return values
    latest = np.maximum.accumulate(np.where(known, np.arange(values.shape[1]), -1), axis=1)
    found = np.take_along_axis(values, np.maximum(latest, 0), axis=1)
    return np.where(latest >= 0, found, before[:, None])


def _scale(spread: Float, mean: Float) -> Float:
    return np.where(spread <= np.maximum(np.abs(mean) * FLAT, np.finfo(np.float64).tiny), 0.0, spread)
