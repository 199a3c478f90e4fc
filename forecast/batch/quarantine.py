"""From the rows of a run to a panel that has every series: good ones as they are, bad ones named and mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.contract import Contract, Problem
from forecast.batch.demands import NO_DEMANDS, NO_TABLES, Demands, SideTables
from forecast.batch.known import read_times
from forecast.batch.observed import Observed
from forecast.batch.steps import Steps
from forecast.errors import ConfigError, DataError, Fault
from forecast.ingest.exogenous import Exogenous, read_exogenous, with_exogenous
from forecast.ingest.future import put_future, read_future
from forecast.ingest.local import local_rows
from forecast.ingest.mend import Findings, mended_panel, on_grid, placed_rows
from forecast.ingest.read import read
from forecast.ingest.terms import Terms
from forecast.ingest.traits import with_traits
from forecast.ingest.validate import Rows, gap_faults, per_series, value_faults
from forecast.panel.newest import newest_known
from forecast.panel.panel import Panel
from forecast.schema import Schema

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
        steps: how far apart the rows of each series are, where there is nothing to say about any row.
    """

    panel: Panel
    quarantined: Mapping[Any, tuple[Fault, ...]]
    problems: tuple[Problem, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    steps: Steps | None = None

    @property
    def good(self) -> Int:
        """Positions in the panel of the series that are not quarantined."""
        return np.flatnonzero(~np.asarray(self.panel.ids.isin(list(self.quarantined)))).astype(np.int64)

    @property
    def blank(self) -> Int:
        """Positions in the panel of the series of which no value is known at all."""
        return np.flatnonzero(newest_known(self.panel) < 0).astype(np.int64)

    def refuse(self) -> None:
        """Raise ``DataError`` with the problems that stop the run, if there are any."""
        fatal = [problem.fault for problem in self.problems if problem.fails]
        if fatal:
            raise DataError(fatal)


def inspect_rows(
    frame: pd.DataFrame, terms: Terms, demands: Demands = NO_DEMANDS, side: SideTables = NO_TABLES
) -> Inspection:
    """Read the rows that were known at the moment of a run (see :func:`known_rows`) into a panel.

    ``terms`` have the frequency, and ``known``, where there is one, is the history of a model that was fitted before:
    its features stand in where rows and ``side`` lack them. The frame is not changed.

    Raises ``DataError`` for a frame of which no series can be read (columns missing or of a wrong kind, no readable
    time or number at all, another frequency throughout), ``ConfigError`` without a frequency. What breaks other rules
    of the contract is listed: call :meth:`Inspection.refuse`.
    """
    frame = _columns_there(frame, terms, demands)
    exogenous = read_exogenous(frame, terms.schema, terms.known)
    if exogenous.header:
        raise DataError(exogenous.header)
    found = Noticed()
    panel, steps = _mended(frame, terms, demands, exogenous, found)
    panel, faults = with_traits(panel, frame, side.static, terms.known, set(found.faults))
    found.add(faults)
    if side.future is not None:
        ahead = read_future(panel, side.future)
        told = put_future(panel, ahead, side.h)
        panel = told.panel
        found.add([*ahead.faults, *told.faults])
    return replace(judged(panel, len(frame), demands, found), steps=steps)


def judged(panel: Panel, rows: int, demands: Demands, found: Noticed | None = None) -> Inspection:
    """What is to be said of a panel read from ``rows`` rows, of which ``found`` was noticed on the way."""
    found = Noticed() if found is None else found
    arrival, contract = demands.arrival, demands.contract
    due = None if arrival is None else arrival.latest(panel.timeline)
    seen = Observed(panel, rows, len(found.faults), due, demands.previous_ids)
    quarantined = (
        {name: tuple(found.faults[name]) for name in panel.ids if name in found.faults} if found.faults else {}
    )
    return Inspection(panel, quarantined, (*contract.problems(seen), *found.problems), seen.facts(), tuple(found.notes))


@dataclass
class Noticed(Findings):
    """What is wrong with single series, and with the data as the contract sees it."""

    problems: list[Problem] = field(default_factory=list)


def _columns_there(frame: pd.DataFrame, terms: Terms, demands: Demands) -> pd.DataFrame:
    """The frame as the door reads it, with rows in it and the columns that the contract names."""
    if terms.freq is None:
        raise ConfigError(
            "A job needs the freq of its data ('h', 'D', 'MS' …, or an int step): inferred, it could change."
        )
    if isinstance(frame, pd.DataFrame) and not len(frame):
        moment = "" if demands.arrival is None else f" that was known at {demands.arrival.as_of}"
        raise DataError(Fault("frame", f"there is no row{moment}", "Check the source, its query, and the delay."))
    frame = read(frame, terms.schema)
    demands.contract.check_columns(frame)
    return frame


def _mended(
    frame: pd.DataFrame, terms: Terms, demands: Demands, exogenous: Exogenous, found: Noticed
) -> tuple[Panel, Steps | None]:
    """Every series of the frame, mended as far as a naive forecast needs, and how far apart its rows are where there is
    nothing to say about any."""
    schema, freq = terms.schema, terms.freq
    placed = placed_rows(frame, schema, freq, found, _undated(frame, demands.known_col))
    found.problems += [Problem("id", fault, False) for fault in placed.nameless]
    found.add(exogenous.faults)
    tz, rows = placed.tz, placed.rows
    rows, timeline = on_grid(rows if tz is None else local_rows(rows, tz, freq), freq, tz, schema, found)
    rows = _in_range(rows, schema, demands.contract, found)
    found.add(value_faults(rows, schema, np.zeros(len(rows.ids), dtype=bool)))
    found.add(gap_faults(rows, timeline, schema))
    plain = not (found.faults or found.problems or found.notes)
    steps = Steps.of(rows, timeline.ordinals(rows.stamps)[0]) if plain else None
    how = "last" if schema.duplicates == "raise" else schema.duplicates  # as mended_panel merges
    return with_exogenous(mended_panel(rows, placed.ids, timeline, schema), rows, exogenous, how), steps


def _undated(frame: pd.DataFrame, known_col: str | None) -> tuple[Fault, ...]:
    """Rows of which nobody can say when they became known."""
    if known_col is None:
        return ()
    unread = np.flatnonzero(read_times(frame, known_col)[2])
    if not unread.size:
        return ()
    remedy = "Fill it in: without it the row is not used."
    return (Fault(known_col, "when the row became known cannot be read", remedy, None, tuple(unread.tolist())),)


def _in_range(rows: Rows, schema: Schema, contract: Contract, found: Noticed) -> Rows:
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
