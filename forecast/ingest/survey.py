"""What the series of a table look like on their grids, and what the door would say of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import Freq
from forecast.errors import ConfigError, DataError, Fault, ForecastWarning
from forecast.ingest.door import read_panel
from forecast.ingest.frequencies import own_freqs, own_series
from forecast.ingest.local import local_rows
from forecast.ingest.mend import Findings, mended_panel, on_grid, placed_rows
from forecast.ingest.normalize import merge_duplicates
from forecast.ingest.pieces import Owned, in_pieces
from forecast.ingest.terms import Terms
from forecast.ingest.validate import Rows
from forecast.panel.outliers import find_outliers
from forecast.schema import Schema
from forecast.timeline import Timeline

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """The series of one frequency. Counts of series are (S,), one for each of ``ids``.

    Attributes:
        freq: the frequency; ``given`` says whether the caller gave it.
        tz: the zone of the times.
        season_length: the usual season in steps.
        first: the earliest time, as the grid counts it.
        last: the latest one.
        lengths: steps from the first row of each series to its last.
        gaps: rows missing from the grid.
        repeats: rows that repeat a time.
        unknown: unknown targets, all told.
        leading: those before the first known one.
        trailing: those after the last known one.
        outliers: values absurdly far from their series.
        constant: whether the known values never change.
    """

    freq: Freq
    tz: str | None
    season_length: int
    ids: pd.Index
    first: Any
    last: Any
    lengths: Int
    gaps: Int
    repeats: Int
    unknown: Int
    leading: Int
    trailing: Int
    outliers: Int
    constant: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Survey:
    """Grids by frequency, the door's faults and notes, and the series that have no frequency of their own."""

    grids: tuple[Grid, ...] = ()
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    lost: tuple[Any, ...] = ()

    @property
    def several(self) -> bool:
        """Whether the series have several frequencies."""
        return len(self.grids) > 1


def survey(frame: pd.DataFrame, schema: Schema, freq: Freq | None = None) -> Survey:
    """Read ``frame`` as the door would, strictly and leniently, and measure what is there. Never raises for the data.

    Series that only fit grids of their own are read frequency by frequency, as ``freq="each"`` does.
    """
    whole = _read(frame, schema, freq)
    if freq is not None or not any(fault.column == schema.time_col for fault in whole.faults):
        return whole
    try:
        series = own_series(frame, schema)
        freqs, owner = own_freqs(frame, schema, series, np.ones(len(series.ids), dtype=bool))
    except (DataError, ConfigError):
        return whole
    if len(freqs) < 2:
        return whole
    pieces = in_pieces((frame, series), {}, Owned(series.ids, owner, tuple(freqs)), schema)
    parts = [_read(piece.rows, schema, piece.freq, piece.moved) for piece in pieces]
    if not all(part.grids for part in parts):
        return whole
    return Survey(
        tuple(grid for part in parts for grid in part.grids),
        tuple(fault for part in parts for fault in part.faults),
        tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        tuple(series.ids[owner < 0]),
    )


def _read(
    frame: pd.DataFrame, schema: Schema, freq: Freq | None, moved: Callable[[Fault], Fault] | None = None
) -> Survey:
    """One frequency, or a frame whose frequency is to be found out; ``moved`` puts faults to the caller's rows."""
    faults: list[Fault] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            freq = read_panel(frame, Terms(schema, freq)).panel.timeline.freq
        except DataError as error:
            faults += error.report
        except ConfigError as error:
            faults.append(Fault("freq", str(error).rstrip("."), "Pass another, or leave it out."))
    notes = [str(one.message) for one in caught if issubclass(one.category, ForecastWarning)]
    grid = None
    if not any(fault.column == "freq" for fault in faults):
        found = Findings()
        try:
            grid = _grid(frame, replace(schema, on_bad_series="fallback"), freq, found)
        except DataError as error:
            faults = _with_others(faults, error.report)
        faults = _with_others(faults, found.all())  # the strict door stops at the first kind of fault
    shown = faults if moved is None else [moved(fault) for fault in faults]
    return Survey(() if grid is None else (grid,), tuple(shown), tuple(dict.fromkeys(notes)))


def _with_others(faults: Sequence[Fault], more: Sequence[Fault]) -> list[Fault]:
    """The strict door's ``faults``, and of the lenient one's those about other cells: it words some differently."""
    seen = {(fault.column, fault.series, fault.rows) for fault in faults}
    return [*faults, *(fault for fault in more if (fault.column, fault.series, fault.rows) not in seen)]


def _grid(frame: pd.DataFrame, schema: Schema, freq: Freq | None, found: Findings) -> Grid:
    """Measure the rows that can be placed; what is wrong with the others goes to ``found``."""
    placed = placed_rows(frame, schema, freq, found)
    rows, tz = placed.rows, placed.tz
    if tz is not None:
        rows = local_rows(rows, tz, freq)
    rows, timeline = on_grid(rows, freq, tz, schema, found)
    return _measured(rows, timeline, schema, tz)


def _measured(rows: Rows, timeline: Timeline, schema: Schema, tz: str | None) -> Grid:
    size = len(rows.ids)
    step = np.diff(timeline.ordinals(rows.stamps)[0])
    own = rows.codes[1:]
    gaps = np.bincount(own, weights=np.where(rows.same, np.maximum(step - 1, 0), 0), minlength=size)
    repeats = np.bincount(own, weights=rows.same & (step == 0), minlength=size)
    merged = merge_duplicates(rows, "last")
    counts = np.bincount(merged.codes, minlength=size)
    starts = np.cumsum(counts) - counts
    known = np.isfinite(merged.values)
    place = np.arange(len(known)) - starts[merged.codes]
    first, last = counts.copy(), np.full(size, -1)
    np.minimum.at(first, merged.codes[known], place[known])
    np.maximum.at(last, merged.codes[known], place[known])
    empty = last < 0
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, merged.codes[known], merged.values[known])
    np.maximum.at(high, merged.codes[known], merged.values[known])
    outliers = np.zeros(size, dtype=np.int64)
    if known.any():
        panel = mended_panel(rows, rows.ids, timeline, schema)
        outliers = find_outliers(panel).counts(panel)
    return Grid(
        timeline.freq,
        tz,
        timeline.season_length,
        rows.ids,
        rows.stamps.min(),
        rows.stamps.max(),
        (counts + gaps).astype(np.int64),
        gaps.astype(np.int64),
        repeats.astype(np.int64),
        np.bincount(merged.codes[~known], minlength=size),
        np.where(empty, 0, first),
        np.where(empty, 0, counts - 1 - last),
        outliers,
        ~empty & (low == high) & (counts > 1),
    )
