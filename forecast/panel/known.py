"""What is known into the future: covariates whose rows reach beyond the last row of their series."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from forecast.panel.covariates import Covariates
from forecast.panel.spans import Spans, offsets_of, ranges

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Known(Spans):
    """Covariates of each series at grid ordinals of their own: every row from the first to the last is there.

    They are known whatever the cutoff, so nothing ever cuts them: a panel that ends earlier keeps them whole.

    Attributes:
        covariates: the columns, shape (R,); cells of which nothing is known are missing.
        offsets: series ``s`` owns rows ``offsets[s]:offsets[s + 1]``, shape (S + 1,).
        first: grid ordinal of each series' first row, shape (S,).
    """

    covariates: Covariates
    offsets: Int
    first: Int

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called."""
        return self.covariates.names

    def rows(self, series: Int, ordinals: Int) -> Int:
        """The row of each (series, ordinal), any shape; -1 where there is none."""
        place = ordinals - self.first[series]
        inside = (place >= 0) & (place < self.lengths[series])
        return np.where(inside, self.offsets[:-1][series] + place, -1)

    def between(self, first: Int, lengths: Int) -> Known:
        """Rows from ordinal ``first[s]`` on, ``lengths[s]`` of them; missing where nothing is known."""
        series = np.repeat(np.arange(len(self), dtype=np.int64), lengths)
        return Known(self.covariates.at(self.rows(series, ranges(first, lengths))), offsets_of(lengths), first)

    def take(self, chosen: Int) -> Known:
        """The series at positions ``chosen``, in that order."""
        lengths = self.lengths[chosen]
        rows = ranges(self.offsets[:-1][chosen], lengths)
        return Known(self.covariates.take(rows), offsets_of(lengths), self.first[chosen])

    def at(self, chosen: Int) -> Known:
        """The series at positions ``chosen``, in that order; one without any row where that is -1."""
        offsets, first = np.append(self.offsets, self.offsets[-1]), np.append(self.first, 0)
        return Known(self.covariates, offsets, first).take(np.where(chosen < 0, len(self), chosen))

    def reaching(self, last: Int) -> Known:
        """The same, with missing rows added up to ordinal ``last[s]`` where a series ends before it."""
        return self.between(self.first, np.maximum(self.last, last) - self.first + 1)

    def overlaid(self, other: Known) -> Known:
        """The rows of both, series by series; where ``other``, of as many series, has a row it counts.

        ``other`` has columns of the same names and kinds. Rows between the two are missing.
        """
        empty, bare = self.lengths == 0, other.lengths == 0
        first = np.where(bare, self.first, np.where(empty, other.first, np.minimum(self.first, other.first)))
        last = np.where(bare, self.last, np.where(empty, other.last, np.maximum(self.last, other.last)))
        whole = self.between(first, last - first + 1)
        both = self.covariates.followed_by(other.covariates)
        series, ordinals = whole.series, whole.ordinals
        newer = other.rows(series, ordinals)
        rows = np.where(newer >= 0, len(self.covariates) + newer, self.rows(series, ordinals))
        return replace(whole, covariates=both.at(rows))

    def beside(self, covariates: Covariates) -> Known:
        """The same rows with more columns, ``covariates`` (R,)."""
        return replace(self, covariates=Covariates((*self.covariates.columns, *covariates.columns)))
