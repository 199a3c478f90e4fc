"""From the rows of a run to a panel that has every series: good ones as they are, bad ones named and mended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.contract import Contract, Problem
from forecast.batch.known import Arrival, read_times
from forecast.batch.observed import Observed
from forecast.batch.repairs import common_grid, keep, longest_stretches, usable_rows, with_lost
from forecast.batch.traits import with_traits
from forecast.errors import ConfigError, DataError, Fault
from forecast.ingest.columns import find_columns, id_column, target_column
from forecast.ingest.local import local_rows
from forecast.ingest.normalize import lay_out, merge_duplicates, trim_leading
from forecast.ingest.read import read
from forecast.ingest.times import time_column
from forecast.ingest.validate import (
    Rows,
    duplicate_faults,
    gap_faults,
    grid_faults,
    jump_faults,
    per_series,
    value_faults,
    with_series,
)
from forecast.panel.panel import Panel
from forecast.schema import Schema
from forecast.timeline import Timeline

Bool = npt.NDArray[np.bool_]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Inspection:
    """What the rows of a run are good for.

    Attributes:
        panel: every series of the data, in first-seen order, none without a row. Series that are not quarantined are
            exactly as a Forecaster would read them.
        quarantined: series -> everything wrong with it. In the panel they are mended as far as a naive forecast needs:
            cells that are no number, infinite or out of range are unknown, of several rows of one time the last known
            value counts, rows off the grid or without a readable time are gone, beyond a jump in time the longest
            stretch is kept. Nothing known may remain: then all rows are unknown.
        problems: breaches of the contract, and rows that belong to no series.
        facts: plain values for the ledger, see :meth:`Observed.facts`.
        notes: conversions worth a line in the log.
    """

    panel: Panel
    quarantined: Mapping[Any, tuple[Fault, ...]]
    problems: tuple[Problem, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> Int:
        """Positions in the panel of the series that are not quarantined."""
        return np.flatnonzero(~np.asarray(self.panel.ids.isin(list(self.quarantined)))).astype(np.int64)

    @property
    def blank(self) -> Int:
        """Positions in the panel of the series of which no value is known at all."""
        known = np.add.reduceat(np.isfinite(self.panel.values).astype(np.int64), self.panel.offsets[:-1])
        return np.flatnonzero(known == 0).astype(np.int64)

    def refuse(self) -> None:
        """Raise ``DataError`` with the problems that stop the run, if there are any."""
        fatal = [problem.fault for problem in self.problems if problem.fails]
        if fatal:
            raise DataError(fatal)


def inspect_rows(
    frame: pd.DataFrame,
    schema: Schema,
    freq: str | int,
    contract: Contract | None = None,
    as_of: datetime | int | None = None,
    *,
    zone: str = "UTC",
    delay: timedelta | str | int | None = None,
    known_col: str | None = None,
    previous_ids: pd.Index | None = None,
    static: Any = None,
    known: Panel | None = None,
) -> Inspection:
    """Read the rows known at ``as_of`` (see :func:`known_rows`, which takes the same arguments) into a panel.

    ``previous_ids`` are those of the run before. ``static`` is a table of static features, as :meth:`Forecaster.fit`
    takes it; ``known`` is the history of a model that was fitted before, whose features stand in where rows lack them.
    The frame is not changed.

    Raises ``DataError`` for a frame of which no series can be read (columns missing or of a wrong kind, no readable
    time or number at all, another frequency throughout), ``ConfigError`` without a frequency. What breaks other rules
    of the contract is listed: call :meth:`Inspection.refuse`.
    """
    contract = contract or Contract()
    if freq is None:
        raise ConfigError(
            "A job needs the freq of its data ('h', 'D', 'MS' …, or an int step): inferred, it could change."
        )
    if isinstance(frame, pd.DataFrame) and not len(frame):
        moment = "" if as_of is None else f" that was known at {as_of}"
        raise DataError(Fault("frame", f"there is no row{moment}", "Check the source, its query, and the delay."))
    frame = read(frame, schema)
    contract.check_columns(frame)
    found = _Findings()
    rows, tz, ids = _typed(frame, schema, freq, known_col, found)
    rows, timeline = _on_grid(rows if tz is None else local_rows(rows, tz, freq), freq, tz, schema, found)
    rows = _in_range(rows, schema, contract, found)
    found.add(value_faults(rows, schema, np.zeros(len(rows.ids), dtype=bool)))
    found.add(gap_faults(rows, timeline, schema))
    panel = _laid_out(rows, ids, timeline, schema)
    panel, faults = with_traits(panel, frame, static, known, set(found.faults))
    found.add(faults)
    due = None if as_of is None else Arrival(freq, as_of, zone, delay).latest(timeline)
    seen = Observed(panel, len(frame), len(found.faults), due, previous_ids)
    quarantined = {name: tuple(found.faults[name]) for name in panel.ids if name in found.faults}
    return Inspection(panel, quarantined, (*contract.problems(seen), *found.problems), seen.facts(), tuple(found.notes))


@dataclass
class _Findings:
    """Everything noticed on the way."""

    faults: dict[Any, list[Fault]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, faults: Iterable[Fault]) -> None:
        """Put faults to their series. One that belongs to none is of the whole frame: raises ``DataError``."""
        faults = list(faults)
        whole = [fault for fault in faults if fault.series is None]
        if whole:
            raise DataError(whole)
        for fault in faults:
            self.faults.setdefault(fault.series, []).append(fault)


def _typed(
    frame: pd.DataFrame, schema: Schema, freq: str | int, known_col: str | None, found: _Findings
) -> tuple[Rows, str | None, pd.Index]:
    """The rows that can be placed, the zone of their times, and all ids."""
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
    undated = _undated(frame, known_col)
    faults = with_series((*times.faults, *undated, *target.faults), codes, ids)
    found.add(fault for fault in faults if fault.series is not None)
    found.problems += [Problem("id", fault, False) for fault in nameless]
    found.notes += [*times.notes, *target.notes]
    usable = owned & ~_marked((*times.faults, *undated), len(frame))
    if not usable.any():
        raise DataError([*nameless, *faults])
    values = np.where(np.isfinite(target.values), target.values, np.nan) if target.faults else target.values
    return usable_rows(codes, times.values, values, ids, usable), tz, ids


def _undated(frame: pd.DataFrame, known_col: str | None) -> tuple[Fault, ...]:
    """Rows of which nobody can say when they became known."""
    if known_col is None:
        return ()
    unread = np.flatnonzero(read_times(frame, known_col)[2])
    if not unread.size:
        return ()
    remedy = "Fill it in: without it the row is not used."
    return (Fault(known_col, "when the row became known cannot be read", remedy, None, tuple(unread.tolist())),)


def _marked(faults: Iterable[Fault], rows: int) -> Bool:
    marked = np.zeros(rows, dtype=bool)
    for fault in faults:
        marked[list(fault.rows)] = True
    return marked


def _on_grid(rows: Rows, freq: str | int, tz: str | None, schema: Schema, found: _Findings) -> tuple[Rows, Timeline]:
    """The rows that lie on the grid of most of them, without absurd jumps."""
    found.add(duplicate_faults(rows, schema))
    timeline, exact = common_grid(rows, freq, tz, schema)
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


def _in_range(rows: Rows, schema: Schema, contract: Contract, found: _Findings) -> Rows:
    """The rows with values out of the contract's range unknown."""
    low, high = contract.min_value, contract.max_value
    wild = np.zeros(len(rows.values), dtype=bool)
    if low is not None:
        wild |= rows.values < low
    if high is not None:
        wild |= rows.values > high
    if not wild.any():
        return rows
    bounds = " … ".join("" if bound is None else f"{bound:g}" for bound in (low, high))
    problem = f"values outside the contract's range {bounds} (first at {{first}})"
    found.add(per_series(rows, wild, schema.target_col, problem, "Mend them, or widen min_value and max_value."))
    return replace(rows, values=np.where(wild, np.nan, rows.values))


def _laid_out(rows: Rows, ids: pd.Index, timeline: Timeline, schema: Schema) -> Panel:
    """The panel of all ``ids``; a series without any known value keeps its rows, one without any row gets one."""
    merged = merge_duplicates(rows, "last" if schema.duplicates == "raise" else schema.duplicates)
    finite = np.isfinite(merged.values)
    if not finite.any():
        problem = "no series has any known value"
        raise DataError(Fault(schema.target_col, problem, "Check the source: every value is missing or unusable."))
    blank = np.bincount(merged.codes[finite], minlength=len(ids)) == 0
    return lay_out(with_lost(trim_leading(merged, blank), ids), timeline, schema)
