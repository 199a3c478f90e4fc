"""Who reads what in stateful training: every lane of a batch reads one series after the other, chunk by chunk.

Truncated backpropagation through time (Williams and Peng 1990, "An Efficient Gradient-Based Algorithm for On-Line
Training of Recurrent Network Trajectories"): the state goes on from chunk to chunk, the gradient does not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SKIPPED = 4  # a series begins within its first fourth

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


class Places(NamedTuple):
    """Where L lanes stand: each reads a chunk of ``series`` (L,) from its row ``row`` (L,) on, and those that are
    ``fresh`` (L,) start with an empty state."""

    series: Int
    row: Int
    fresh: Bool


class Lanes:
    """Reads every series once a pass, passes in an order shuffled anew.

    A lane that is through with its series takes the next one in the order, as if that began at a row drawn from its
    first chunk: chunks then end at other rows in every pass, and the net learns to start. Only at the very first step
    are lanes spread evenly over all rows, so that a batch is of different places even when there are few series.
    What is read at a step depends on the arguments alone.

    Args:
        lengths: rows to read of each series, shape (S,), some of them above 0.
        most: lanes at most; no more than there are chunks.
        chunk: rows that a lane reads at a step.
        seed: of the order.
    """

    def __init__(self, lengths: Int, most: int, chunk: int, seed: int) -> None:
        self.lengths = lengths
        self.chunk = chunk
        self.seed = seed
        self.readable = np.flatnonzero(lengths > 0)
        self.count = int(min(most, (-(-lengths // chunk)).sum()))
        self._restart()

    def at(self, step: int) -> Places:
        """Where the lanes stand at ``step``. Cheap when steps come in order."""
        if step < self._step:
            self._restart()
        while self._step < step:
            self._move()
        return self._places

    def _restart(self) -> None:
        self._step = 0
        self._random = np.random.default_rng(self.seed)
        self._queue = np.zeros(0, dtype=np.int64)
        order = self._random.permutation(self.readable)
        ends = np.cumsum(self.lengths[order])
        spots = ((np.arange(self.count) + self._random.random(self.count)) / self.count * ends[-1]).astype(np.int64)
        nth = np.searchsorted(ends, spots, side="right")
        series = order[nth]
        self._places = Places(series, spots - (ends[nth] - self.lengths[series]), np.ones(self.count, dtype=bool))

    def _move(self) -> None:
        series, row = self._places.series.copy(), self._places.row + self.chunk
        through = row >= self.lengths[series]
        series[through] = self._next(int(through.sum()))
        row[through] = self._begin(series[through])
        self._places = Places(series, row, through)
        self._step += 1

    def _begin(self, series: Int) -> Int:
        """A row within the first chunk of each series, and its first quarter."""
        room = np.minimum(self.chunk, self.lengths[series] // SKIPPED)
        rows: Int = (self._random.random(len(series)) * room).astype(np.int64)
        return rows

    def _next(self, count: int) -> Int:
        """The next series in the order."""
        while len(self._queue) < count:
            self._queue = np.concatenate([self._queue, self._random.permutation(self.readable)])
        taken, self._queue = self._queue[:count], self._queue[count:]
        return taken
