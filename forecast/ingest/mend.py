"""Reading rows of which some are bad: what is wrong is put to its series, and the rest is mended as far as a naive
forecast needs. Series without a fault are read exactly as the strict door reads them.

Mended means: cells that are no number or infinite are unknown, of several rows of one time the last known value
counts, rows off the grid or without a readable time are gone, beyond a jump in time the longest stretch is kept.
Nothing known may remain: then all rows are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from forecast.aliases import Freq
from forecast.errors import DataError, Fault
from forecast.ingest.columns import find_columns, id_column, target_column
from forecast.ingest.normalize import lay_out, merge_duplicates, trim_leading
from forecast.ingest.notes import row_notes
from forecast.ingest.repairs import common_freq, common_grid, keep, longest_stretches, usable_rows, with_lost
from forecast.ingest.times import time_column
from forecast.ingest.validate import (
    Bool,
    Rows,
    choose_timeline,
    duplicate_faults,
    grid_faults,
    jump_faults,
    per_series,
    with_series,
)
from forecast.panel.panel import Panel
from forecast.schema import Schema
from forecast.timeline import Timeline


@dataclass
class Findings:
    """Everything noticed on the way: ``faults`` of each series, and ``notes`` worth a line."""

    faults: dict[Any, list[Fault]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, faults: Iterable[Fault]) -> None:
        """Put faults to their series. One that belongs to none is of the whole frame: raises ``DataError``."""
        faults = list(faults)
        whole = [fault for fault in faults if fault.series is None]
        if whole:
            raise DataError(whole)
        for fault in faults:
            self.faults.setdefault(fault.series, []).append(fault)

    def all(self) -> list[Fault]:
        """Every fault, series by series."""
        return [fault for faults in self.faults.values() for fault in faults]


@dataclass(frozen=True)
class Placed:
    """Rows that can be placed, the zone of their times, all ids of the frame, and faults of rows that have no id."""

    rows: Rows
    tz: str | None
    ids: pd.Index
    nameless: tuple[Fault, ...]


def placed_rows(
    frame: pd.DataFrame, schema: Schema, freq: Freq | None, found: Findings, unusable: tuple[Fault, ...] = ()
) -> Placed:
    """Ids, times and values of the rows of which these can be read; rows of ``unusable`` faults are left out too.

    Raises ``DataError`` for faults of the whole frame: columns missing or of a wrong kind, nothing readable.
    """
    roles = [schema.time_col, schema.target_col]
    header = find_columns(frame, schema, tuple([schema.id_col, *roles] if schema.id_col in frame.columns else roles))
    if header:
        raise DataError(header)
    codes, ids, nameless = id_column(frame, schema.id_col)
    times, tz = time_column(frame[schema.time_col], freq)
    target = target_column(frame[schema.target_col])
    owned = codes >= 0
    if times.values is None or target.values is None or (nameless and owned.all()) or not owned.any():
        raise DataError([*nameless, *times.faults, *target.faults])
    faults = with_series((*times.faults, *unusable, *target.faults), codes, ids)
    found.add(fault for fault in faults if fault.series is not None)
    found.notes += [*times.notes, *target.notes]
    usable = owned & ~_marked((*times.faults, *unusable), len(frame))
    if not usable.any():
        raise DataError([*nameless, *faults])
    values = np.where(np.isfinite(target.values), target.values, np.nan) if target.faults else target.values
    return Placed(usable_rows(codes, times.values, values, ids, usable), tz, ids, nameless)


def _marked(faults: Iterable[Fault], rows: int) -> Bool:
    marked = np.zeros(rows, dtype=bool)
    for fault in faults:
        marked[list(fault.rows)] = True
    return marked


def on_grid(
    rows: Rows, freq: Freq | None, tz: str | None, schema: Schema, found: Findings, grid: Timeline | None = None
) -> tuple[Rows, Timeline]:
    """The rows that lie on ``grid``, by default that of most of them, without absurd jumps.

    Raises ``DataError`` where no row does, or the frequency is not that of the data.
    """
    found.add(duplicate_faults(rows, schema))
    freq = common_freq(rows) if freq is None else freq
    if grid is not None:
        timeline, exact = grid, grid.ordinals(rows.stamps)[1]
    elif freq is not None:
        timeline, exact = common_grid(rows, freq, tz, schema)
    else:
        none = choose_timeline(rows, None, tz, schema)
        raise DataError([*found.all(), *([none] if isinstance(none, Fault) else [])])
    if not exact.all():
        problem = f"times off the grid of freq={timeline.freq!r} that the other rows lie on (first {{first}})"
        off = per_series(rows, ~exact, schema.time_col, problem, "Shift these rows onto it, or drop them.")
        if len(off) == len(rows.ids):
            raise DataError(grid_faults(rows, timeline, schema))
        found.add(off)
        rows = keep(rows, exact)
    faults = grid_faults(rows, timeline, schema)
    found.add(faults)
    if faults:
        jumps = jump_faults(rows, timeline.ordinals(rows.stamps)[0], timeline, schema)
        rows = longest_stretches(rows, timeline, np.asarray(rows.ids.isin([fault.series for fault in jumps])))
    return rows, timeline


def mended_rows(
    rows: Rows, ids: pd.Index, schema: Schema, begun: pd.Index | None = None, found: Findings | None = None
) -> Rows:
    """One row for each series and time, for all of ``ids``; leading unknown values are trimmed.

    A series without any known value keeps its rows, and so does one that is ``begun``; one without any row gets one.
    Notes of what was trimmed go to ``found``.
    """
    merged = merge_duplicates(rows, "last" if schema.duplicates == "raise" else schema.duplicates)
    finite = np.isfinite(merged.values)
    if begun is None and not finite.any():
        problem = "no series has any known value"
        raise DataError(Fault(schema.target_col, problem, "Check the source: every value is missing or unusable."))
    kept = np.bincount(merged.codes[finite], minlength=len(rows.ids)) == 0
    if begun is not None:
        kept |= np.asarray(rows.ids.isin(begun))
    trimmed = trim_leading(merged, kept)
    if found is not None:
        found.notes += row_notes(merged, trimmed, schema, kept)
    return with_lost(trimmed, ids)


def mended_panel(rows: Rows, ids: pd.Index, timeline: Timeline, schema: Schema, begun: pd.Index | None = None) -> Panel:
    """The panel of :func:`mended_rows`."""
    return lay_out(mended_rows(rows, ids, schema, begun), timeline, schema)
