"""Many series side by side: one Python loop over time for all of them.

No number here is summed across series, and no stopping rule looks at more than one series, so that a series' forecast
is the same to the last bit whoever its neighbours are. Sums over time are running sums: numpy would add the rows of
one series in another order than those of many.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.baselines.local import Ask
from forecast.baselines.series import Estimate, Outcome, SeriesModel, Unfit

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

CHUNK = 512  # series at once: few enough that what one time step touches stays in the cache


@dataclass(frozen=True)
class Block:
    """Series side by side, the longest first, time going down; all start in row 0.

    Attributes:
        y: zero after the end of a series, shape (T, N).
        lengths: rows of each series, falling, shape (N,).
    """

    y: Float
    lengths: Int

    @classmethod
    def of(cls, series: Sequence[Float]) -> tuple[Block, Int]:
        """A block of at least one series, and which series each column holds, shape (N,)."""
        lengths = np.array([len(values) for values in series], np.int64)
        order = np.argsort(-lengths, kind="stable")
        y = np.zeros((int(lengths.max()), len(series)))
        for column, chosen in enumerate(order):
            y[: lengths[chosen], column] = series[chosen]
        return cls(y, lengths[order]), order

    def take(self, columns: Int) -> Block:
        """Some columns, whose numbers must ascend."""
        lengths = self.lengths[columns]
        return Block(self.y[: lengths.max(initial=0), columns], lengths)

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """``(start, stop, width)``: in rows ``start`` up to ``stop``, the first ``width`` series go on."""
        start = 0
        for stop in np.unique(self.lengths):
            yield start, int(stop), int(np.count_nonzero(self.lengths >= stop))
            start = int(stop)


class BatchedModel(SeriesModel):
    """A :class:`~forecast.baselines.series.SeriesModel` that fits many series at once."""

    @abstractmethod
    def fit_all(self, ys: list[Float], ask: Ask) -> list[Outcome]:
        """Forecast scaled series, each (n,) with n >= 2 and not constant; a string is the cause of a failure."""

    def fit_series(self, y: Float, ask: Ask) -> Estimate:
        """See :class:`~forecast.baselines.series.SeriesModel`."""
        outcome = self.fit_all([y], ask)[0]
        if isinstance(outcome, str):
            raise Unfit(outcome)
        return outcome

    def chunk_size(self, series: int, workers: int) -> int:
        """See :class:`~forecast.baselines.series.SeriesModel`."""
        return CHUNK
