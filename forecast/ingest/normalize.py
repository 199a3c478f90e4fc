"""From checked rows to a panel: merges, trims and lays out on the grid; refuses nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecast.ingest.validate import Bool, Rows
from forecast.panel.panel import Panel
from forecast.panel.spans import offsets_of
from forecast.schema import Schema
from forecast.timeline import Timeline


def merge_duplicates(rows: Rows, how: str) -> Rows:
    """One row per series and time: the ``mean``, ``sum``, ``first`` or ``last`` of its known values."""
    fresh = np.concatenate([[True], ~(rows.same & (rows.stamps[1:] == rows.stamps[:-1]))])
    if fresh.all():
        return rows
    starts = np.flatnonzero(fresh)
    known = np.isfinite(rows.values)
    count = np.add.reduceat(known.astype(np.float64), starts)
    if how in ("mean", "sum"):
        total = np.add.reduceat(np.where(known, rows.values, 0.0), starts)
        merged = np.where(count > 0, total / np.where(how == "mean", np.maximum(count, 1.0), 1.0), np.nan)
    else:
        # Equal stamps keep the frame's order, because the sort is stable.
        place = np.arange(len(fresh))
        if how == "first":
            chosen = np.minimum.reduceat(np.where(known, place, len(fresh) - 1), starts)
        else:
            chosen = np.maximum.reduceat(np.where(known, place, 0), starts)
        merged = np.where(count > 0, rows.values[chosen], np.nan)
    return replace(rows, codes=rows.codes[starts], stamps=rows.stamps[starts], values=merged, row=rows.row[starts])


def trim_leading(rows: Rows, begun: Bool) -> Rows:
    """Without the unknown values before each series' first known one.

    Series with a history, ``begun`` (S,), keep theirs: time has passed, though nothing is known of it.
    """
    known = np.isfinite(rows.values) | begun[rows.codes]
    if known.all():
        return rows
    place = np.arange(len(known))
    first = np.full(len(rows.ids), len(known))
    np.minimum.at(first, rows.codes[known], place[known])
    kept = place >= first[rows.codes]
    return Rows(rows.codes[kept], rows.stamps[kept], rows.values[kept], rows.row[kept], rows.ids)


def lay_out(rows: Rows, timeline: Timeline, schema: Schema) -> Panel:
    """Rows on the grid, every gap a NaN; the ``missing`` policy comes later, when a model is to see them."""
    ordinals, _ = timeline.ordinals(rows.stamps)
    counts = np.bincount(rows.codes, minlength=len(rows.ids))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    first = ordinals[starts]
    lengths = ordinals[starts + counts - 1] - first + 1
    offsets = offsets_of(lengths)
    if offsets[-1] == len(ordinals):
        values = np.array(rows.values, dtype=np.float64)
    else:
        values = np.full(int(offsets[-1]), np.nan)
        values[offsets[:-1][rows.codes] + ordinals - first[rows.codes]] = rows.values
    return Panel(rows.ids, values, offsets, first, timeline, schema)
