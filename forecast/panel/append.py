"""Put new rows after old ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from forecast.errors import DataError, Fault
from forecast.panel.panel import Panel, ranges
from forecast.timeline import SPARSEST

Int = npt.NDArray[np.int64]


def append(history: Panel, new: Panel) -> Panel:
    """``history`` followed by ``new``, series by series; gaps between them are unknown, new series come last.

    Static features are those of ``new`` where it has the series: they are the latest known.

    Both are on the same timeline. Raises ``DataError`` naming every series whose new rows start before its history
    ends, absurdly long after it, or, with ``missing="raise"``, not right after it.
    """
    place = history.ids.get_indexer(new.ids).astype(np.int64)
    known = place >= 0
    faults = _join_faults(history, new, np.flatnonzero(known), place)
    if faults:
        raise DataError(faults)
    ids = history.ids.append(new.ids[~known])
    last = np.concatenate([history.last, new.last[~known]])
    last[place[known]] = new.last[known]
    first = np.concatenate([history.first, new.first[~known]])
    lengths = last - first + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.full(int(offsets[-1]), np.nan)
    values[ranges(offsets[: len(history)], history.lengths)] = history.values
    target = place.copy()
    target[~known] = len(history) + np.arange((~known).sum())
    values[ranges(offsets[:-1][target] + new.first - first[target], new.lengths)] = new.values
    static = None
    if history.static is not None and new.static is not None:
        row = np.concatenate([np.arange(len(history)), len(history) + np.flatnonzero(~known)])
        row[place[known]] = len(history) + np.flatnonzero(known)
        static = history.static.followed_by(new.static).take(row)
    return replace(history, ids=ids, values=values, offsets=offsets, first=first, static=static)


def _join_faults(history: Panel, new: Panel, known: Int, place: Int) -> list[Fault]:
    """Faults of the seam between the old rows and the new ones of the series at ``known`` positions of ``new``."""
    old = place[known]
    start, end = new.first[known], history.last[old]
    span = new.last[known] - history.first[old] + 1
    rows = history.lengths[old] + new.lengths[known]
    far = (start - end > SPARSEST) & (span > SPARSEST * np.maximum(rows, 20))
    gap = (start - end > 1) & (history.schema.missing == "raise")
    faults = []
    for at in np.flatnonzero((start <= end) | far | gap).tolist():
        since, until = (history.timeline.stamps(when[[at]])[0] for when in (start, end))
        problem = f"new rows start at {since}, the history ends at {until}"
        remedy = "Give rows after the history only, or fit again on corrected data."
        if far[at]:
            problem += f": a jump of more than {SPARSEST} steps of freq={history.timeline.freq!r}"
            remedy = "Mend the wrong stamp, or fit again without the old rows."
        elif gap[at]:
            problem += ": rows are missing between them"
            remedy = "Add the rows, or fit with missing='mask', 'ffill', 'interpolate' or 'zero'."
        faults.append(Fault(history.schema.time_col, problem, remedy, new.ids[known[at]]))
    return faults
