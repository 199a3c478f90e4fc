"""From checked rows to a panel: merges, trims and lays out on the grid; refuses nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecast.ingest.validate import Rows
from forecast.panel.fill import fill_unknown
from forecast.panel.panel import Panel
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
        ends = np.append(starts[1:], len(fresh)) - 1
        # Equal stamps keep the frame's order, because the sort is stable.
        merged = rows.values[starts if how == "first" else ends]
    return replace(rows, codes=rows.codes[starts], stamps=rows.stamps[starts], values=merged, row=rows.row[starts])


def drop_series(rows: Rows, bad: set[object]) -> Rows:
    """The rows without the series in ``bad``; the others are renumbered."""
    keep = np.array([name not in bad for name in rows.ids], dtype=bool)
    number = np.cumsum(keep) - 1
    kept = keep[rows.codes]
    return Rows(number[rows.codes[kept]], rows.stamps[kept], rows.values[kept], rows.row[kept], rows.ids[keep])


def trim_leading(rows: Rows) -> Rows:
    """Without the unknown values before each series' first known one."""
    known = np.isfinite(rows.values)
    if known.all():
        return rows
    place = np.arange(len(known))
    first = np.full(len(rows.ids), len(known))
    np.minimum.at(first, rows.codes[known], place[known])
    kept = place >= first[rows.codes]
    return Rows(rows.codes[kept], rows.stamps[kept], rows.values[kept], rows.row[kept], rows.ids)


def lay_out(rows: Rows, timeline: Timeline, schema: Schema) -> Panel:
    """Rows on the grid, every gap a NaN, then the ``missing`` policy."""
    ordinals, _ = timeline.ordinals(rows.stamps)
    counts = np.bincount(rows.codes, minlength=len(rows.ids))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    first = ordinals[starts]
    lengths = ordinals[starts + counts - 1] - first + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if offsets[-1] == len(ordinals):
        values = np.array(rows.values, dtype=np.float64)
    else:
        values = np.full(int(offsets[-1]), np.nan)
        values[offsets[:-1][rows.codes] + ordinals - first[rows.codes]] = rows.values
    panel = Panel(rows.ids, values, offsets, first, timeline, schema)
    return fill_unknown(panel, schema.missing) if schema.missing in ("ffill", "interpolate", "zero") else panel
