"""Put new rows after old ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecast.errors import DataError, Fault
from forecast.panel.panel import Panel, ranges


def append(history: Panel, new: Panel) -> Panel:
    """``history`` followed by ``new``, series by series; gaps between them are unknown, new series come last.

    Raises ``DataError`` naming every series whose new rows start before its history ends.
    """
    place = history.ids.get_indexer(new.ids)
    known = place >= 0
    faults = [
        Fault(
            history.schema.time_col,
            f"new rows start at {history.timeline.stamps(new.first[[i]])[0]}, the history ends at "
            f"{history.timeline.stamps(history.last[[place[i]]])[0]}",
            "Give rows after the history only, or fit again on corrected data.",
            new.ids[i],
        )
        for i in np.flatnonzero(known).tolist()
        if new.first[i] <= history.last[place[i]]
    ]
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
    return replace(history, ids=ids, values=values, offsets=offsets, first=first)
