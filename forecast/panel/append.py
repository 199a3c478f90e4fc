"""Put new rows after old ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from forecast.errors import DataError, Fault
from forecast.panel.panel import Panel
from forecast.panel.spans import offsets_of, ranges
from forecast.timeline import SPARSEST

Int = npt.NDArray[np.int64]


def append(history: Panel, new: Panel) -> Panel:
    """``history`` followed by ``new``, series by series; gaps between them are unknown, new series come last.

    Static features are those of ``new`` where it has the series: they are the latest known. Covariates that change over
    time go with their rows.

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
    offsets = offsets_of(lengths)
    target = place.copy()
    target[~known] = len(history) + np.arange((~known).sum())
    old = _old_rows(history, offsets)
    added = ranges(offsets[:-1][target] + new.first - first[target], new.lengths)
    values = np.full(len(old), np.nan)
    values[old], values[added] = history.values, new.values
    static = None
    if history.static is not None and new.static is not None:
        row = np.concatenate([np.arange(len(history)), len(history) + np.flatnonzero(~known)])
        row[place[known]] = len(history) + np.flatnonzero(known)
        static = history.static.followed_by(new.static).take(row)
    hist = None
    if history.hist is not None and new.hist is not None:
        source = np.full(len(old), -1, dtype=np.int64)  # of each row: one of the history, or of the new ones after
        source[old] = np.arange(len(history.values))
        source[added] = np.arange(len(history.values), len(history.values) + len(new.values))
        hist = history.hist.followed_by(new.hist).at(source)
    futr = None
    if history.futr is not None and new.futr is not None:
        old_place, new_place = np.full((2, len(ids)), -1, dtype=np.int64)
        old_place[: len(history)] = np.arange(len(history))
        new_place[target] = np.arange(len(new))
        futr = history.futr.at(old_place).overlaid(new.futr.at(new_place))
    return replace(history, ids=ids, values=values, offsets=offsets, first=first, static=static, hist=hist, futr=futr)


def _old_rows(history: Panel, offsets: Int) -> npt.NDArray[np.bool_]:
    """Which of the rows at ``offsets`` are those of ``history``: quicker than their places, for there are many."""
    begun = len(history)
    old = np.ones(int(offsets[-1]), dtype=bool)
    old[ranges(offsets[:begun] + history.lengths, np.diff(offsets)[:begun] - history.lengths)] = False
    old[offsets[begun] :] = False
    return old


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
            remedy = "Add the rows, or fit with missing='mask', 'ffill', 'interpolate', 'zero' or 'seasonal'."
        faults.append(Fault(history.schema.time_col, problem, remedy, new.ids[known[at]]))
    return faults
