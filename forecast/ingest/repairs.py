"""Mending the rows of bad series as far as a naive forecast needs; good series pass through unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import Freq
from forecast.errors import DataError
from forecast.inference import infer_freq
from forecast.ingest.validate import Bool, Int, Rows, grid_faults, sort_rows
from forecast.schema import Schema
from forecast.timeline import SPARSEST, Stamps, Timeline, fit_timeline

ANCHORS = 8  # grids tried for the one that most rows lie on


def usable_rows(codes: Int, stamps: Stamps, values: npt.NDArray[np.float64], ids: pd.Index, usable: Bool) -> Rows:
    """The rows that are ``usable``, sorted by series and time; ``ids`` are then those of which any row is left."""
    if not usable.all():
        kept = np.flatnonzero(usable)
        rows = sort_rows(codes[kept], stamps[kept], values[kept], ids)
        return keep(replace(rows, row=kept[rows.row]))
    return sort_rows(codes, stamps, values, ids)


def keep(rows: Rows, kept: Bool | None = None) -> Rows:
    """The rows that are ``kept`` (all by default); series without any row are left out, the others renumbered."""
    if kept is not None and not kept.all():
        codes, stamps, values = rows.codes[kept], rows.stamps[kept], rows.values[kept]
        rows = replace(rows, codes=codes, stamps=stamps, values=values, row=rows.row[kept])
    present = np.bincount(rows.codes, minlength=len(rows.ids)) > 0
    if present.all():
        return rows
    number = np.cumsum(present, dtype=np.int64) - 1
    return replace(rows, codes=number[rows.codes], ids=rows.ids[present])


def common_freq(rows: Rows) -> str | int | None:
    """The frequency of all rows, else that of one of the longest series which most rows fit; ``None`` for neither."""
    freq = infer_freq(rows.stamps, rows.codes, rows.elapsed)
    if freq is not None or len(rows.ids) == 1:
        return freq
    lengths = np.bincount(rows.codes, minlength=len(rows.ids))
    ends = np.cumsum(lengths)
    most = 0
    for code in np.argsort(-lengths, kind="stable")[:ANCHORS].tolist():
        own = slice(ends[code] - lengths[code], ends[code])
        found = infer_freq(rows.stamps[own], rows.codes[own], rows.elapsed)
        if found is None:
            continue
        on = int(fit_timeline(found, rows.stamps[own][:1]).ordinals(rows.stamps)[1].sum())
        if on > most:
            freq, most = found, on
    return freq


def common_grid(rows: Rows, freq: Freq, tz: str | None, schema: Schema) -> tuple[Timeline, Bool]:
    """The grid of ``freq`` that most rows lie on, and which do: one series must not take all others off their grid.

    Raises ``DataError`` when hardly any row lies on any such grid, ``ConfigError`` for a frequency that is none.
    """
    best = fit_timeline(freq, rows.stamps[:1], tz)
    on = best.ordinals(rows.stamps)[1]
    most, off = int(on.sum()), ~on
    for _ in range(ANCHORS):
        if 2 * most >= len(on) or not off.any():
            break
        anchor = int(off.argmax())
        grid = fit_timeline(freq, rows.stamps[anchor : anchor + 1], tz)
        exact = grid.ordinals(rows.stamps)[1]
        off &= ~exact
        off[anchor] = False
        if int(exact.sum()) > most:
            best, on, most = grid, exact, int(exact.sum())
    if most == 0:
        raise DataError(grid_faults(rows, best, schema))
    return best, on


def longest_stretches(rows: Rows, timeline: Timeline, torn: Bool) -> Rows:
    """Of each series that is ``torn`` (S,) by jumps in time, the stretch with the most rows, the latest of equals."""
    ordinals, _ = timeline.ordinals(rows.stamps)
    breaks = np.concatenate([[True], ~rows.same | ((np.diff(ordinals) > SPARSEST) & torn[rows.codes[1:]])])
    stretch = np.cumsum(breaks) - 1
    sizes = np.bincount(stretch)
    owner = rows.codes[np.flatnonzero(breaks)]
    order = np.lexsort((np.arange(len(sizes)), sizes, owner))
    last = np.concatenate([owner[order][1:] != owner[order][:-1], [True]])
    chosen = np.zeros(len(sizes), dtype=bool)
    chosen[order[last]] = True
    return keep(rows, chosen[stretch])


def with_lost(rows: Rows, ids: pd.Index) -> Rows:
    """Rows for all of ``ids``, in that order: a series without any gets one, unknown, at the newest known stamp.

    So it has a cutoff, and a place in the panel. The rows must be sorted.
    """
    place = ids.get_indexer(rows.ids).astype(np.int64)
    codes = place[rows.codes]
    lost = np.setdiff1d(np.arange(len(ids), dtype=np.int64), place)
    if not lost.size:
        return replace(rows, codes=codes, ids=ids)
    known = np.isfinite(rows.values)
    newest = (rows.stamps[known] if known.any() else rows.stamps).max()
    at = np.searchsorted(codes, lost)
    stamps = np.insert(rows.stamps, at, newest)
    values, row = np.insert(rows.values, at, np.nan), np.insert(rows.row, at, -1)
    return replace(rows, codes=np.insert(codes, at, lost), stamps=stamps, values=values, row=row, ids=ids)
