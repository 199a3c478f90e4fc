"""Sums, means and quantiles of the series of a flat array, without a Python loop over series.

No sum here runs across series (a difference of running totals would), so that a series' numbers are the same to the
last bit whoever its neighbours are. A series without any known value has NaN where it can have no number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

BLOCK = 1 << 16


def sums(values: Float, offsets: Int) -> Float:
    """The sum of each series, 0 for an empty one, shape (S,).

    >>> sums(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 1, 3])).tolist()
    [1.0, 0.0, 5.0]
    """
    result = np.zeros(len(offsets) - 1)
    filled = offsets[1:] > offsets[:-1]
    if filled.any():
        result[filled] = np.add.reduceat(values, offsets[:-1][filled])
    return result


class Rows(NamedTuple):
    """The known values of each series, one after the other.

    ``values`` (K,) are finite; series ``s`` owns ``values[offsets[s]:offsets[s + 1]]``.
    """

    values: Float
    offsets: Int

    @property
    def counts(self) -> Int:
        """Known values of each series, shape (S,)."""
        return np.diff(self.offsets)

    @property
    def series(self) -> Int:
        """The series of each value, shape (K,)."""
        return np.repeat(np.arange(len(self.offsets) - 1, dtype=np.int64), self.counts)

    def of(self, values: Float) -> Rows:
        """Other values of the same rows."""
        return Rows(values, self.offsets)

    def spread_out(self, numbers: Float) -> Float:
        """A number for each series (S,) repeated for each of its values, shape (K,)."""
        return np.repeat(numbers, self.counts)

    def means(self) -> Float:
        """The mean of each series, shape (S,). Divided before it is summed: the largest floats do not overflow."""
        count = self.counts
        total = sums(self.values / self.spread_out(np.maximum(count, 1).astype(np.float64)), self.offsets)
        return np.where(count > 0, total, np.nan)

    def largest(self) -> Float:
        """The largest value of each series, shape (S,)."""
        result = np.full(len(self.offsets) - 1, np.nan)
        filled = self.counts > 0
        if filled.any():
            result[filled] = np.maximum.reduceat(self.values, self.offsets[:-1][filled])
        return result

    def smallest(self) -> Float:
        """The smallest value of each series, shape (S,)."""
        return -self.of(-self.values).largest()

    def ascending(self) -> Rows:
        """The values of each series in ascending order."""
        result, counts = self.values.copy(), self.counts
        # Series of about one length are sorted side by side: much faster than all rows by series and value.
        classes = np.frexp(counts)[1]
        for size in np.unique(classes[counts > 0]).tolist():
            chosen = np.flatnonzero(classes == size)
            places = np.arange(int(counts[chosen].max()))
            inside = places < counts[chosen][:, None]
            rows = (self.offsets[:-1][chosen][:, None] + places)[inside]
            table = np.full(inside.shape, np.inf)
            table[inside] = self.values[rows]
            result[rows] = np.sort(table, axis=1)[inside]
        return self.of(result)

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[slice, Rows]]:
        """Consecutive series, about ``size`` values at a time, as views: temporaries then stay in the caches."""
        start, last = 0, len(self.offsets) - 1
        while start < last:
            stop = int(np.searchsorted(self.offsets, self.offsets[start] + size, side="right")) - 1
            stop = min(max(stop, start + 1), start + size)
            offsets = self.offsets[start : stop + 1]
            yield slice(start, stop), Rows(self.values[offsets[0] : offsets[-1]], offsets - offsets[0])
            start = stop

    def quantiles(self, probs: Float) -> Float:
        """Quantiles of each series of ascending values, linear between them as ``numpy.quantile``, shape (S, P)."""
        count = self.counts
        place = np.maximum(count - 1, 0)[:, None] * probs
        low = np.floor(place).astype(np.int64)
        share = place - low
        high = np.minimum(low + 1, np.maximum(count - 1, 0)[:, None])
        padded = np.append(self.values, np.nan)
        start = np.where(count > 0, self.offsets[:-1], len(self.values))[:, None]
        below, above = padded[start + np.where(count > 0, low.T, 0).T], padded[start + np.where(count > 0, high.T, 0).T]
        between: Float = np.where(below == above, below, below * (1.0 - share) + above * share)
        return between


def known_rows(values: Float, offsets: Int) -> Rows:
    """The known (finite) ones of ``values`` (N,), of which series ``s`` owns ``values[offsets[s]:offsets[s + 1]]``."""
    known = np.isfinite(values)
    if known.all():
        return Rows(values, offsets)
    return Rows(values[known], np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])[offsets])
