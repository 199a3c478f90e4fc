"""The newest known value of each series."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecast.panel.panel import Panel

Int = npt.NDArray[np.int64]


def newest_known(panel: Panel) -> Int:
    """Place in its series of each one's newest known value, -1 where nothing is known, shape (S,).

    Most series end with it, so only the others are looked through.
    """
    lengths = panel.lengths
    newest: Int = lengths - 1
    filled = np.flatnonzero(lengths > 0)
    rest = filled[~np.isfinite(panel.values[panel.offsets[filled + 1] - 1])]
    if rest.size:
        part = panel.take(rest)
        place = np.where(np.isfinite(part.values), np.arange(len(part.values), dtype=np.int64), -1)
        found = np.maximum.reduceat(place, part.offsets[:-1])
        newest[rest] = np.maximum(found - part.offsets[:-1], -1)
    return newest
