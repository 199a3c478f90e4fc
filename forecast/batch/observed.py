"""Facts about the rows of a run, for its contract, the ledger and the watch over drift."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.idsets import Turnover, vanished_and_new
from forecast.panel.clock import as_index
from forecast.panel.newest import newest_known
from forecast.panel.panel import Panel

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
NAMED = 20  # new and vanished series that the facts name


@dataclass(frozen=True)
class Observed:
    """The series of a run and what they are measured by.

    Attributes:
        panel: all series, none without a row.
        rows: rows of the frame that was read.
        quarantined: how many series are.
        due: the ordinal of the newest row that could be known; ``None`` where that cannot be said.
        previous: the ids of the run before; ``None`` where there was none.
    """

    panel: Panel
    rows: int
    quarantined: int = 0
    due: int | None = None
    previous: pd.Index | None = None

    @cached_property
    def _newest(self) -> Int:
        """The place in its series of each one's newest known value, -1 where nothing is known, (S,)."""
        return newest_known(self.panel)

    @property
    def known_series(self) -> Bool:
        """Series of which any value is known, (S,)."""
        return self._newest >= 0

    @cached_property
    def _last(self) -> Int:
        """The ordinal of the newest known value of each of the known series."""
        return (self.panel.first + self._newest)[self.known_series]

    @property
    def cutoff(self) -> int:
        """The ordinal of the newest known value of all."""
        return int(self._last.max()) if self._last.size else int(self.panel.last.max())

    @property
    def behind(self) -> Int | None:
        """Steps from the newest value of each known series to what is due; ``None`` where that is not known."""
        return None if self.due is None else np.maximum(self.due - self._last, 0)

    @cached_property
    def arrived(self) -> Bool:
        """Which series have a value at the cutoff, (S,)."""
        return np.asarray(self.known_series & (self.panel.first + self._newest == self.cutoff))

    @property
    def missing_share(self) -> float:
        """The share of unknown values, gaps among them."""
        return float(1.0 - np.isfinite(self.panel.values).mean())

    @cached_property
    def turnover(self) -> Turnover:
        """Series that are gone, and that are new, since the run before; none where it is not known."""
        if self.previous is None:
            return Turnover(self.panel.ids[:0], self.panel.ids[:0])
        return vanished_and_new(self.previous, self.panel.ids)

    def text(self, ordinal: int | None) -> str:
        """A stamp in words."""
        return "?" if ordinal is None else str(self._plain(ordinal))

    def _plain(self, ordinal: int) -> int | str:
        grid = self.panel.timeline
        stamp = as_index(grid, grid.stamps(np.array([ordinal], dtype=np.int64)))[0]
        return int(stamp) if grid.kind == "step" else str(pd.Timestamp(stamp).isoformat())

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON.

        ``rows`` read, ``series``, ``quarantined``; ``cutoff`` (newest value) and ``first_cutoff`` (that of the series
        that ends earliest), ``due``, ``staleness`` (steps from cutoff to due), ``stale_series`` (behind the cutoff),
        ``at_cutoff`` (share of series with a value there), ``missing_share``, ``minimum``, ``maximum``, ``mean`` and
        ``std`` of all values, ``new`` and ``vanished`` (counts) with the names of the first twenty.
        """
        behind, last = self.behind, self._last
        gone, new = self.turnover
        compared = self.previous is not None
        return {
            "rows": self.rows,
            "series": len(self.panel),
            "quarantined": self.quarantined,
            "cutoff": self._plain(self.cutoff),
            "first_cutoff": self._plain(int(last.min())) if last.size else None,
            "due": None if self.due is None else self._plain(self.due),
            "staleness": None if behind is None or not behind.size else int(behind.min()),
            "stale_series": int((last < self.cutoff).sum()),
            "at_cutoff": float(self.arrived.mean()),
            "missing_share": self.missing_share,
            **moments(self.panel.values),
            "new": len(new) if compared else None,
            "vanished": len(gone) if compared else None,
            "new_ids": _names(new) if compared else [],
            "vanished_ids": _names(gone) if compared else [],
        }


def moments(values: Float) -> dict[str, float | None]:
    """``minimum``, ``maximum``, ``mean`` and ``std`` of the known values, whatever their size; ``None`` without any.

    >>> moments(np.array([1.0, 3.0, np.nan]))
    {'minimum': 1.0, 'maximum': 3.0, 'mean': 2.0, 'std': 1.0}
    """
    finite = np.isfinite(values)
    known = values if finite.all() else values[finite]
    if not known.size:
        return dict.fromkeys(("minimum", "maximum", "mean", "std"))
    low, high = float(known.min()), float(known.max())
    size = max(abs(low), abs(high)) or 1.0
    scaled = known / size  # squares of the values themselves may be infinite
    mean = scaled.mean()
    scaled -= mean  # in place, for there may be millions
    scaled *= scaled
    return {"minimum": low, "maximum": high, "mean": float(mean) * size, "std": float(np.sqrt(scaled.mean())) * size}


def _names(ids: pd.Index) -> list[Any]:
    return [name if isinstance(name, (str, int, float)) else str(name) for name in ids[:NAMED].tolist()]
