"""How far apart the rows of each series are: enough to judge the grid of a series when rows are added to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.ingest.validate import Rows

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """The steps of each series from one row to the next, (S,) each.

    Attributes:
        begin: the ordinal of the first row, known or not.
        rows: how many there are.
        taken: how many steps lead to a later time.
        single: how many of these lead to the next place of the grid.
        widest: the longest of them, 0 without any.
    """

    begin: Int
    rows: Int
    taken: Int
    single: Int
    widest: Int

    @classmethod
    def of(cls, rows: Rows, ordinals: Int) -> Steps:
        """Those of sorted ``rows`` at ``ordinals``; every series has a row."""
        counts = np.bincount(rows.codes, minlength=len(rows.ids))
        starts = np.cumsum(counts) - counts
        ahead = np.diff(ordinals, prepend=ordinals[:1])
        ahead[starts] = 0
        taken = np.add.reduceat((ahead > 0).astype(np.int64), starts)
        single = np.add.reduceat((ahead == 1).astype(np.int64), starts)
        return cls(ordinals[starts], counts, taken, single, np.maximum.reduceat(ahead, starts))

    def with_more(self, more: Steps, place: Int, joint: Int) -> Steps:
        """These series, and new ones after them, with ``more`` rows for the series at ``place``.

        ``joint`` is the step between the rows before and those after, 0 for a new series.
        """
        size = max(len(self.rows), int(place.max(initial=-1)) + 1)
        own = Steps(
            *(np.concatenate([part, np.zeros(size - len(part), dtype=np.int64)]) for part in vars(self).values())
        )
        own.begin[place] = np.where(joint > 0, own.begin[place], more.begin)
        own.rows[place] += more.rows
        own.taken[place] += more.taken + (joint > 0)
        own.single[place] += more.single + (joint == 1)
        own.widest[place] = np.maximum(own.widest[place], np.maximum(more.widest, joint))
        return own
