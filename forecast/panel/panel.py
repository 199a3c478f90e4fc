"""The panel: many series of unequal length as one flat array plus offsets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.panel.covariates import Covariates
from forecast.panel.known import Known
from forecast.panel.spans import Spans, offsets_of, ranges
from forecast.schema import Schema
from forecast.timeline import Stamps, Timeline

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Panel(Spans):
    """Series on one regular grid; every row from a series' first stamp to its last is there.

    Attributes:
        ids: the series in first-seen order, shape (S,).
        values: the target in original units, shape (N,), float64, NaN where unknown.
        offsets: series ``s`` owns rows ``offsets[s]:offsets[s + 1]``, shape (S + 1,).
        first: ordinal (see :class:`~forecast.timeline.Timeline`) of each series' first row, shape (S,).
        timeline: the grid.
        schema: what the columns were called.
        static: features that do not change over time, one row for each series; ``None`` when there are none.
        hist: covariates known up to the last row, one row for each of ``values``; ``None`` when there are none.
        futr: covariates known into the future, with rows of their own, which no cut of the panel ever shortens.
    """

    ids: pd.Index
    values: Float
    offsets: Int
    first: Int
    timeline: Timeline
    schema: Schema = Schema()
    static: Covariates | None = None
    hist: Covariates | None = None
    futr: Known | None = None

    def stamps(self) -> Stamps:
        """The time stamp of each row, shape (N,)."""
        return self.timeline.stamps(self.ordinals)

    def slice(self, start: Int, stop: Int) -> Panel:
        """Rows ``start[s]:stop[s]`` of each series (positions within the series, clipped to it)."""
        lengths = self.lengths
        start = np.clip(start, 0, lengths)
        stop = np.clip(stop, start, lengths)
        kept = stop - start
        rows = ranges(self.offsets[:-1] + start, kept)
        hist = None if self.hist is None else self.hist.take(rows)
        return replace(self, values=self.values[rows], offsets=offsets_of(kept), first=self.first + start, hist=hist)

    def tail(self, length: int) -> Panel:
        """The last ``length`` rows of each series (all of a shorter one)."""
        return self.slice(self.lengths - length, self.lengths)

    def head(self, stop: Int) -> Panel:
        """The first ``stop[s]`` rows of each series."""
        return self.slice(np.zeros(len(self), dtype=np.int64), stop)

    def before(self, cutoff: Int) -> Panel:
        """Rows up to and including ordinal ``cutoff[s]``: what was known then."""
        return self.head(cutoff - self.first + 1)

    def take(self, chosen: Int) -> Panel:
        """The series at positions ``chosen``, in that order."""
        chosen = np.asarray(chosen, dtype=np.int64)
        lengths = self.lengths[chosen]
        rows = ranges(self.offsets[chosen], lengths)
        return replace(
            self,
            ids=self.ids[chosen],
            values=self.values[rows],
            offsets=offsets_of(lengths),
            first=self.first[chosen],
            static=None if self.static is None else self.static.take(chosen),
            hist=None if self.hist is None else self.hist.take(rows),
            futr=None if self.futr is None else self.futr.take(chosen),
        )

    def each(self) -> list[Float]:
        """One view of ``values`` per series."""
        return [self.values[a:b] for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]
