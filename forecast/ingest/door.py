"""The door: any frame in, one panel out, or one error that lists everything wrong with it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from forecast.aliases import Freq
from forecast.errors import DataError, Fault, ForecastWarning, some
from forecast.ingest.columns import find_columns, id_column, target_column
from forecast.ingest.exogenous import Exogenous, read_exogenous, with_exogenous
from forecast.ingest.local import local_rows
from forecast.ingest.mend import Findings, mended_rows, on_grid, placed_rows
from forecast.ingest.normalize import lay_out, merge_duplicates, trim_leading
from forecast.ingest.notes import row_notes, tell_unused
from forecast.ingest.read import read
from forecast.ingest.static import read_static, static_columns, with_static
from forecast.ingest.terms import Terms
from forecast.ingest.times import time_column
from forecast.ingest.traits import with_traits
from forecast.ingest.validate import (
    Rows,
    choose_timeline,
    duplicate_faults,
    gap_faults,
    grid_faults,
    history_faults,
    sort_rows,
    value_faults,
    with_series,
)
from forecast.panel.panel import Panel
from forecast.schema import Schema
from forecast.timeline import Timeline

Bad = Mapping[Any, tuple[Fault, ...]]


@dataclass(frozen=True)
class Reading:
    """What came in through the door.

    Attributes:
        panel: the series. With ``on_bad_series="fallback"`` the bad ones are in it, mended as far as a naive forecast
            needs (see :mod:`forecast.ingest.mend`), with ``"skip"`` they are not.
        bad: each series with faults, and what they are; empty with ``on_bad_series="raise"``.
    """

    panel: Panel
    bad: Bad = field(default_factory=dict)


def to_panel(data: Any, schema: Schema | None = None, freq: Freq | None = None, *, static: Any = None) -> Panel:
    """The panel of :func:`read_panel` for a frame of which nothing is known yet."""
    return read_panel(data, Terms(schema or Schema(), freq), static).panel


def read_panel(data: Any, terms: Terms, static: Any = None) -> Reading:
    """Check ``data`` once and lay it out as a panel, on ``terms``.

    ``data`` is a long frame (pandas, polars, Arrow …) or a path; id and time may be in the index; without an id
    column it is one series. The caller's frame is not changed.

    ``static`` is a table of static features with a row for each series; without it those that the schema names are
    taken from the long frame. Covariates that change over time (``schema.hist_exog``, ``schema.futr_exog``) are columns
    of ``data``.

    Raises ``DataError`` listing every fault of every series, ``ConfigError`` for an unknown frequency. Warns with
    ``ForecastWarning`` about conversions and, with another ``on_bad_series`` than ``"raise"``, about the bad series;
    then only faults that belong to no single series, or that leave no good one, raise.
    """
    schema = terms.schema
    frame = read(data, schema)
    if terms.known is None:
        tell_unused(frame, schema)
    exogenous = read_exogenous(frame, schema, terms.known)
    if schema.on_bad_series != "raise":
        return _lenient(frame, terms, static, exogenous)
    features = terms.features
    table = static_columns(frame, schema, features) if static is None else read_static(static, schema, features)
    try:
        given, rows, timeline = _checked_rows(frame, terms, exogenous)
    except DataError as error:
        if table is None or not table.faults:
            raise
        raise DataError([*error.report, *table.faults]) from error
    panel = with_exogenous(lay_out(rows, timeline, schema), given, exogenous, schema.duplicates)
    return Reading(with_static(panel, table, terms.known))


def _checked_rows(frame: pd.DataFrame, terms: Terms, exogenous: Exogenous) -> tuple[Rows, Rows, Timeline]:
    """The rows of a frame without any fault, sorted: all of them, and one for each series and time."""
    schema, freq, history = terms.schema, terms.step, terms.history
    rows, tz = _typed(frame, schema, freq, exogenous)
    if tz is not None:
        rows = local_rows(rows, tz, freq, terms.grid)
    if history is not None:
        _refuse(history_faults(rows, tz, history))
    faults = duplicate_faults(rows, schema)
    timeline = terms.grid or choose_timeline(rows, freq, tz, schema)
    if isinstance(timeline, Fault):
        raise DataError([*faults, timeline])
    begun = terms.begun(rows)
    faults += grid_faults(rows, timeline, schema) + value_faults(rows, schema, begun)
    _refuse(faults or gap_faults(rows, timeline, schema))
    merged = merge_duplicates(rows, schema.duplicates)
    trimmed = trim_leading(merged, begun)
    _tell(row_notes(merged, trimmed, schema, begun))
    return rows, trimmed, timeline


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise DataError(faults)


def _typed(frame: pd.DataFrame, schema: Schema, freq: Freq | None, exogenous: Exogenous) -> tuple[Rows, str | None]:
    roles = [schema.time_col, schema.target_col]
    if schema.id_col in frame.columns:
        roles.insert(0, schema.id_col)
    _refuse([*find_columns(frame, schema, tuple(roles)), *exogenous.header])
    codes, ids, id_faults = id_column(frame, schema.id_col)
    times, tz = time_column(frame[schema.time_col], freq)
    target = target_column(frame[schema.target_col])
    faults = [*id_faults, *with_series((*times.faults, *target.faults), codes, ids), *exogenous.faults]
    if faults or times.values is None or target.values is None:
        raise DataError(faults)
    _tell((*times.notes, *target.notes))
    return sort_rows(codes, times.values, target.values, ids), tz


def _lenient(frame: pd.DataFrame, terms: Terms, static: Any, exogenous: Exogenous) -> Reading:
    """The series of ``frame`` with the bad ones mended, or left out, and named either way."""
    schema, freq, history = terms.schema, terms.step, terms.history
    found = Findings()
    _refuse(list(exogenous.header))
    placed = placed_rows(frame, schema, freq, found)
    if placed.nameless:
        raise DataError([*placed.nameless, *found.all()])
    found.add(exogenous.faults)
    rows, tz = placed.rows, placed.tz
    if tz is not None:
        rows = local_rows(rows, tz, freq, terms.grid)
    if history is not None:
        _refuse([fault for fault in history_faults(rows, tz, history) if fault.series is None])
    rows, timeline = on_grid(rows, freq, tz, schema, found, terms.grid)
    found.add(value_faults(rows, schema, terms.begun(rows)))
    found.add(gap_faults(rows, timeline, schema))
    if len(found.faults) == len(placed.ids):
        raise DataError(found.all())
    mended = mended_rows(rows, placed.ids, schema, None if history is None else history.ids, found)
    _tell(found.notes)
    how = "last" if schema.duplicates == "raise" else schema.duplicates  # as mended_rows merges
    panel = with_exogenous(lay_out(mended, timeline, schema), rows, exogenous, how)
    panel, faults = with_traits(panel, frame, static, terms.known, set(found.faults))
    found.add(faults)
    return _sorted_out(panel, found)


def _sorted_out(panel: Panel, found: Findings) -> Reading:
    """The panel with or without its bad series, as the schema says."""
    if len(found.faults) == len(panel):
        raise DataError(found.all())
    bad = {name: tuple(found.faults[name]) for name in panel.ids if name in found.faults}
    if not bad:
        return Reading(panel)
    skip = panel.schema.on_bad_series == "skip"
    fate = "left out for their faults" if skip else "have faults and get a naive forecast"
    _tell([f"{len(bad)} of {len(panel)} series {fate}: {some(bad)}. First: {next(iter(bad.values()))[0]}"])
    if skip:
        panel = panel.take(np.flatnonzero(~np.asarray(panel.ids.isin(list(bad)))).astype(np.int64))
    return Reading(panel, bad)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        warnings.warn(note, ForecastWarning, stacklevel=6)
