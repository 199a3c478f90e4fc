"""Reductions over the series of a flat array, without a Python loop over series.

No sum here runs across series (a difference of running totals would), so that a series' numbers are the same to the
last bit whoever its neighbours are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from forecast.panel.panel import Panel
from forecast.panel.segments import sums as sums
from forecast.panel.spans import offsets_of

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

BLOCK = 1 << 20  # numbers handled at once: temporaries stay in the megabytes for any number of series


class Segmented(Protocol):
    """Series one after the other in a flat array; a :class:`~forecast.panel.panel.Panel` is one, :class:`Flat` too."""

    @property
    def values(self) -> Float:
        """The values, shape (N,)."""

    @property
    def offsets(self) -> Int:
        """Series ``s`` owns ``values[offsets[s]:offsets[s + 1]]``, shape (S + 1,)."""

    @property
    def lengths(self) -> Int:
        """Values of each series, shape (S,)."""

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Flat:
    """Series without names or times.

    Attributes:
        values: shape (N,).
        offsets: series ``s`` owns ``values[offsets[s]:offsets[s + 1]]``, shape (S + 1,).
    """

    values: Float
    offsets: Int

    @classmethod
    def of(cls, series: Sequence[Float]) -> Flat:
        """The series one after the other."""
        lengths = np.array([len(values) for values in series], np.int64)
        return cls(np.concatenate([np.zeros(0), *series]), offsets_of(lengths))

    @property
    def lengths(self) -> Int:
        """Values of each series, shape (S,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def block(panel: Panel, start: int, stop: int) -> Panel:
    """Series ``start`` up to ``stop`` of ``panel``, as views."""
    offsets = panel.offsets[start : stop + 1]
    return replace(
        panel,
        ids=panel.ids[start:stop],
        values=panel.values[offsets[0] : offsets[-1]],
        offsets=offsets - offsets[0],
        first=panel.first[start:stop],
    )


def blocks(offsets: Int, extra: int, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of series, each of about ``size`` numbers: rows, and ``extra`` numbers for each series."""
    load = offsets + np.arange(len(offsets)) * extra
    start, last = 0, len(offsets) - 1
    while start < last:
        stop = int(np.searchsorted(load, load[start] + size, side="right")) - 1
        stop = max(stop, start + 1)
        yield start, stop
        start = stop


def first_seen(values: Float, offsets: Int) -> Int:
    """Position of the first known value within each series (its length where there is none), shape (S,)."""
    lengths = np.diff(offsets)
    filled = lengths > 0
    first = np.zeros(len(lengths), np.int64)
    starts = offsets[:-1][filled]
    if np.isnan(values[starts]).any():
        total = len(values)
        rows = np.where(np.isnan(values), total, np.arange(total, dtype=np.int64))
        first[filled] = np.minimum(np.minimum.reduceat(rows, starts) - starts, lengths[filled])
    return first


@dataclass(frozen=True)
class Seen:
    """The known values of some series.

    Attributes:
        values: known values, shape (K,).
        position: the row of each within its series, shape (K,).
        offsets: series ``s`` owns ``values[offsets[s]:offsets[s + 1]]``, shape (S + 1,).
        lengths: rows of each series, unknown ones included, shape (S,).
    """

    values: Float
    position: Int
    offsets: Int
    lengths: Int

    @property
    def count(self) -> Int:
        """Known values of each series, shape (S,)."""
        return np.diff(self.offsets)

    @property
    def last(self) -> Float:
        """The last known value of each series, NaN where there is none, shape (S,)."""
        return np.append(self.values, np.nan)[self._end(-1)]

    @property
    def first(self) -> Float:
        """The first known value of each series, NaN where there is none, shape (S,)."""
        return np.append(self.values, np.nan)[self._end(0)]

    @property
    def stale(self) -> Int:
        """Rows since the last known value, shape (S,)."""
        return self.lengths - 1 - self._rows(-1)

    @property
    def span(self) -> Int:
        """Steps from the first known value to the last, shape (S,)."""
        return self._rows(-1) - self._rows(0)

    def _end(self, which: int) -> Int:
        """Where the first (0) or last (-1) known value of each series lies in ``values``; -1 for none."""
        chosen = self.offsets[1:] - 1 if which else self.offsets[:-1]
        return np.where(self.count > 0, chosen, -1)

    def _rows(self, which: int) -> Int:
        return np.asarray(np.append(self.position, -1)[self._end(which)])

    def steps(self) -> tuple[Float, Float]:
        """Change from each known value to the next of its series, and the steps between them, each shape (K,).

        The last known value of a series has no next: its change is 0 and its steps are 1.
        """
        change, gap = np.zeros(len(self.values)), np.ones(len(self.values))
        change[:-1] = np.diff(self.values)
        gap[:-1] = np.diff(self.position)
        final = self.offsets[1:][self.count > 0] - 1
        change[final], gap[final] = 0.0, 1.0
        return change, gap


def see(panel: Panel) -> Seen:
    """The known values of ``panel``."""
    lengths = panel.lengths
    position = np.arange(len(panel.values), dtype=np.int64) - np.repeat(panel.offsets[:-1], lengths)
    known = ~np.isnan(panel.values)
    if known.all():
        return Seen(panel.values, position, panel.offsets, lengths)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])[panel.offsets]
    return Seen(panel.values[known], position[known], offsets, lengths)
