"""The door: any frame in, one panel out, or one error that lists everything wrong with it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from forecast.errors import DataError, Fault, ForecastWarning, some
from forecast.ingest.columns import find_columns, id_column, target_column
from forecast.ingest.local import local_rows
from forecast.ingest.normalize import drop_series, lay_out, merge_duplicates, trim_leading
from forecast.ingest.read import read
from forecast.ingest.static import read_static, static_columns, with_static
from forecast.ingest.times import time_column
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


def to_panel(
    data: Any,
    schema: Schema | None = None,
    freq: str | int | None = None,
    history: Panel | None = None,
    *,
    static: Any = None,
    known: Panel | None = None,
) -> Panel:
    """Check ``data`` once and lay it out as a panel.

    ``data`` is a long frame (pandas, polars, Arrow …) or a path; id and time may be in the index; without an id
    column it is one series. ``freq`` is checked when given, inferred when not. Rows that are to follow ``history``
    go on its grid, whatever ``freq`` says. The caller's frame is not changed.

    ``static`` is a table of static features with a row for each series; without it those that the schema names are
    taken from the long frame. Series that are ``known`` already keep the features they have there, unless given anew.

    Raises ``DataError`` listing every fault of every series, ``ConfigError`` for an unknown frequency. Warns with
    ``ForecastWarning`` about conversions and, with ``on_bad_series="skip"``, about the series left out.
    """
    schema = schema or Schema()
    features = known.static if known is not None else None
    data = read(data, schema)
    table = static_columns(data, schema, features) if static is None else read_static(static, schema, features)
    try:
        panel = _target_panel(data, schema, freq, history)
    except DataError as error:
        if table is None or not table.faults:
            raise
        raise DataError([*error.report, *table.faults]) from error
    return with_static(panel, table, known)


def _target_panel(data: Any, schema: Schema, freq: str | int | None, history: Panel | None) -> Panel:
    """The panel of ids, times and target."""
    grid = None if history is None else history.timeline
    freq = freq if grid is None else grid.freq
    rows, tz, faults = _typed(data, schema, freq)
    rows = _without_bad(rows, faults, schema)
    if tz is not None:
        rows = local_rows(rows, tz, freq, grid)
    if history is not None:
        rows = _without_bad(rows, history_faults(rows, tz, history), schema)
    faults = duplicate_faults(rows, schema)
    timeline = grid or choose_timeline(rows, freq, tz, schema)
    if isinstance(timeline, Fault):
        raise DataError([*faults, timeline])
    begun = np.zeros(len(rows.ids), dtype=bool) if history is None else np.asarray(rows.ids.isin(history.ids))
    faults += grid_faults(rows, timeline, schema) + value_faults(rows, schema, begun)
    if not faults:
        faults = gap_faults(rows, timeline, schema)
    kept = _without_bad(rows, faults, schema)
    merged = merge_duplicates(kept, schema.duplicates)
    return lay_out(trim_leading(merged, begun[rows.ids.get_indexer(kept.ids)]), timeline, schema)


def _typed(data: Any, schema: Schema, freq: str | int | None) -> tuple[Rows, str | None, list[Fault]]:
    frame = read(data, schema)
    roles = [schema.time_col, schema.target_col]
    if schema.id_col in frame.columns:
        roles.insert(0, schema.id_col)
    header = find_columns(frame, schema, tuple(roles))
    if header:
        raise DataError(header)
    codes, ids, id_faults = id_column(frame, schema.id_col)
    times, tz = time_column(frame[schema.time_col], freq)
    target = target_column(frame[schema.target_col])
    faults = [*id_faults, *with_series((*times.faults, *target.faults), codes, ids)]
    if times.values is None or target.values is None or (faults and schema.on_bad_series == "raise") or id_faults:
        raise DataError(faults)
    for note in (*times.notes, *target.notes):
        warnings.warn(note, ForecastWarning, stacklevel=5)
    return sort_rows(codes, times.values, target.values, ids), tz, faults


def _without_bad(rows: Rows, faults: list[Fault], schema: Schema) -> Rows:
    """Raise the faults, or leave their series out where that was asked for and something remains."""
    if not faults:
        return rows
    bad = {fault.series for fault in faults}
    if schema.on_bad_series == "raise" or None in bad or len(bad) == len(rows.ids):
        raise DataError(faults)
    warnings.warn(
        f"{len(bad)} of {len(rows.ids)} series left out for their faults: {some(bad)}. First: {faults[0]}",
        ForecastWarning,
        stacklevel=5,
    )
    return drop_series(rows, bad)
