"""Where the rows of series lie in a flat array, and when: offsets, first ordinals, and what follows from the two."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]


def ranges(starts: Int, lengths: Int) -> Int:
    """Concatenated ``arange(start, start + length)`` of every pair, without a loop.

    >>> ranges(np.array([3, 10]), np.array([2, 3]))
    array([ 3,  4, 10, 11, 12])
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    rows: Int = np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)
    return rows


def offsets_of(lengths: Int) -> Int:
    """Where series of these ``lengths`` (S,) begin, one after the other, and where the last one ends, shape (S + 1,).

    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.asarray(np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)]), np.int64)


class Spans:
    """Series on one grid, each with every row from its first ordinal to its last, one after the other.

    A base for those that keep something for each row.

    Attributes:
        offsets: series ``s`` owns rows ``offsets[s]:offsets[s + 1]``, shape (S + 1,).
        first: grid ordinal of each series' first row, shape (S,).
    """

    offsets: Int
    first: Int

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> Int:
        """Rows of each series, shape (S,)."""
        return np.diff(self.offsets)

    @property
    def last(self) -> Int:
        """Ordinal of each series' last row (of a panel, its cutoff), shape (S,)."""
        return self.first + self.lengths - 1

    @property
    def series(self) -> Int:
        """The series number of each row, shape (N,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    @property
    def ordinals(self) -> Int:
        """The grid ordinal of each row, shape (N,)."""
        return ranges(self.first, self.lengths)
