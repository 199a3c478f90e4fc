"""The future at the door: covariates of the steps after each series' last row, checked and put to a panel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import DataError, Fault, ForecastWarning, some
from forecast.ingest.columns import ONLY_SERIES, find_columns, id_column
from forecast.ingest.features import feature_columns, header_faults
from forecast.ingest.local import local_rows
from forecast.ingest.read import read
from forecast.ingest.times import time_column
from forecast.ingest.validate import Rows, history_faults, per_series, sort_rows, with_series
from forecast.panel.clock import as_index
from forecast.panel.covariates import Covariates
from forecast.panel.known import Known
from forecast.panel.panel import Panel

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

TABLE = "futr_df"
REMEDY = "Fill in the frame that make_future_frame() gives: it has every row that is needed."


@dataclass(frozen=True)
class Future:
    """What a table of the future tells of the series of a panel.

    Attributes:
        rows: those that can be placed, sorted by series and time; ``codes`` are places in the panel.
        covariates: a row for each of the table's.
        extra: ids of other series.
        faults: of single series: rows that cannot be placed, cells that cannot be read and are missing.
    """

    rows: Rows
    covariates: Covariates
    extra: pd.Index
    faults: tuple[Fault, ...] = ()


def asked_future(panel: Panel, data: Any, h: int, most: int, needed: bool) -> Panel:
    """The panel with what ``data``, perhaps nothing, tells of the next ``h`` steps, see :func:`with_future`.

    Raises ``DataError`` when there is nothing and some model ``needed`` it.
    """
    names = panel.schema.futr_exog
    if data is None and names and needed:
        problem = f"the models forecast from {some(names)}, and no future rows of that were given"
        raise DataError(Fault(TABLE, problem, f"Pass {TABLE}. {REMEDY}"))
    if data is None:
        return panel
    if not names:
        ignored = f"{TABLE} is ignored: the models were fitted without futr_exog, covariates known into the future."
        warnings.warn(ignored, ForecastWarning, stacklevel=4)
        return panel
    return with_future(panel, data, h, most)


def with_future(panel: Panel, data: Any, h: int, most: int | None = None) -> Panel:
    """The panel with what ``data`` tells of the ``h`` steps after the last row of each series.

    ``data`` has a row for each series and step: id, time and the columns of ``schema.futr_exog``, of which cells may be
    missing. What it tells of other series, of rows up to the last one of a series and of more than ``most`` (by default
    ``h``) steps is ignored with a warning. The caller's frame is not changed.

    Raises ``DataError`` listing, series by series, the rows that are missing, those given twice, those off the grid or
    on another clock, and cells that cannot be used.
    """
    future = read_future(panel, data)
    _tell_ignored(panel, future, h if most is None else max(h, most))
    told = put_future(panel, future, h)
    lacking = [fault for fault in told.faults if fault.column == TABLE]
    if len(lacking) > 1:
        problem = f"{told.missing} of {len(panel) * h} rows are missing, in {len(lacking)} of {len(panel)} series"
        lacking.insert(0, Fault(TABLE, problem, REMEDY))
    if future.faults or told.faults:
        raise DataError(future.faults or [*lacking, *(fault for fault in told.faults if fault.column != TABLE)])
    return told.panel


class Told(NamedTuple):
    """A panel that was told the future, how many of its next steps are missing, and faults of single series."""

    panel: Panel
    missing: int
    faults: list[Fault]


def put_future(panel: Panel, future: Future, h: int) -> Told:
    """The panel with what ``future`` tells of the next ``h`` steps.

    Faults are of series of which some step is missing, then nothing is known of it, or there twice, then one counts.
    """
    codes = future.rows.codes
    step = _steps(panel, future.rows)
    wanted = np.flatnonzero((step >= 0) & (step < h))
    place = codes[wanted] * h + step[wanted]
    source = np.full(len(panel) * h, -1, dtype=np.int64)
    source[place] = future.rows.row[wanted]
    lacking = source < 0
    faults = [*_doubled(panel, future.rows, wanted, place), *_missing(panel, lacking.reshape(-1, h))]
    offsets = np.arange(len(panel) + 1, dtype=np.int64) * h
    known = Known(future.covariates.at(source), offsets, panel.last + 1)
    told = replace(panel, futr=known if panel.futr is None else panel.futr.overlaid(known))
    return Told(told, int(lacking.sum()), faults)


def read_future(panel: Panel, data: Any) -> Future:
    """The table's rows of series of the panel.

    Raises ``DataError`` for what is wrong with whole columns: one missing, of a kind that cannot be read or another
    than in the history, times on another clock or grid.
    """
    schema, grid = panel.schema, panel.timeline
    try:
        frame = read(data, schema)
    except DataError as error:
        raise DataError(_of_table(error.report)) from error
    _check_header(panel, frame)
    codes, ids, nameless = id_column(frame, schema.id_col)
    times, tz = time_column(frame[schema.time_col], grid.freq)
    known = None if panel.futr is None else panel.futr.covariates
    columns, wrong = feature_columns(frame, schema.futr_exog, known, f" of {TABLE}")
    whole = _of_table([*nameless, *_other_ids(panel, ids)])
    faults = [*_of_table(with_series(times.faults, codes, ids)), *with_series(tuple(wrong), codes, ids)]
    if whole or times.values is None or len(columns) < len(schema.futr_exog):
        raise DataError([*whole, *faults])
    for note in times.notes:
        warnings.warn(f"{TABLE}: {note}", ForecastWarning, stacklevel=5)
    lost = {row for fault in times.faults for row in fault.rows}
    rows = _own_rows(panel, codes, times.values, ids, lost)
    if len(rows.row):
        rows = rows if tz is None else local_rows(rows, tz, grid.freq, grid)
        off = _of_table(history_faults(rows, tz, panel))
        if any(fault.series is None for fault in off):
            raise DataError([*faults, *off])
        faults += off
        rows = _on_grid(rows, grid.ordinals(rows.stamps)[1]) if off else rows
    extra = ids[~ids.isin(panel.ids)]
    own = tuple(fault for fault in faults if fault.series not in set(extra))
    return Future(rows, Covariates(tuple(columns)), extra, own)


def _check_header(panel: Panel, frame: pd.DataFrame) -> None:
    schema = panel.schema
    nameless = len(panel) == 1 and panel.ids[0] == ONLY_SERIES and schema.id_col not in frame.columns
    roles = (schema.time_col,) if nameless else (schema.id_col, schema.time_col)
    headers = _of_table(find_columns(frame, schema, roles))
    headers += header_faults(frame, schema.futr_exog, schema, f" of {TABLE}", "futr_exog")
    if headers:
        raise DataError(headers)


def _own_rows(panel: Panel, codes: Int, stamps: Any, ids: pd.Index, lost: set[int]) -> Rows:
    """The rows of series of the panel, sorted, but those that are ``lost``."""
    place = panel.ids.get_indexer(ids).astype(np.int64)[codes]
    usable = place >= 0
    usable[list(lost)] = False
    kept = np.flatnonzero(usable)
    rows = sort_rows(place[kept], stamps[kept], np.zeros(len(kept)), panel.ids)
    return replace(rows, row=kept[rows.row])


def _on_grid(rows: Rows, exact: Bool) -> Rows:
    parts = {name: getattr(rows, name)[exact] for name in ("codes", "stamps", "values", "row")}
    return replace(rows, **parts)


def _steps(panel: Panel, rows: Rows) -> Int:
    """How many steps each row is after the first one to forecast; negative up to the last row of its series."""
    return panel.timeline.ordinals(rows.stamps)[0] - panel.last[rows.codes] - 1


def _other_ids(panel: Panel, ids: pd.Index) -> list[Fault]:
    """A fault where no id is one of the panel's because they are of another type."""
    if ids.isin(panel.ids).any() or ids.inferred_type == panel.ids.inferred_type:
        return []
    problem = f"its ids are {ids.inferred_type}, those of the series are {panel.ids.inferred_type}"
    return [Fault(f"{panel.schema.id_col} of {TABLE}", problem, "Convert them to the same type.")]


def _of_table(faults: Any) -> list[Fault]:
    return [replace(fault, column=f"{fault.column} of {TABLE}") for fault in faults]


def _tell_ignored(panel: Panel, future: Future, most: int) -> None:
    """Warn about rows of other series, and about those before the steps that can be forecast or after them."""
    rows, step = future.rows, _steps(panel, future.rows)
    notes = []
    if len(future.extra):
        extra = some(future.extra)
        notes.append(f"rows of {len(future.extra)} series that are not forecast here, which are ignored: {extra}.")
    for ignored, where in ((step < 0, "at or before the end of their series"), (step >= most, f"after step {most}")):
        places = np.flatnonzero(ignored)
        if places.size:
            first = rows.ids[rows.codes[places[0]]], str(as_index(panel.timeline, rows.stamps[places[:1]])[0])
            notes.append(f"{places.size} rows {where}, which are ignored (first: {some(first)}).")
    for note in notes:
        warnings.warn(f"{TABLE} has {note}", ForecastWarning, stacklevel=5)


def _doubled(panel: Panel, rows: Rows, wanted: Int, place: Int) -> list[Fault]:
    """Faults of series with several rows of one step."""
    twice = np.bincount(place, minlength=1)[place] > 1
    bad = np.zeros(len(rows.row), dtype=bool)
    bad[wanted[twice]] = True
    column = f"{panel.schema.time_col} of {TABLE}"
    return per_series(rows, bad, column, "duplicate times (first {first})", "Keep one row of each.")


def _missing(panel: Panel, missing: Bool) -> list[Fault]:
    """A fault for each series of which steps after the last row are ``missing`` (S, h): which, stretch by stretch."""
    lacking = np.flatnonzero(missing.any(1))
    if not lacking.size:
        return []
    series, begin, end = _runs(missing)
    since, until = (
        as_index(panel.timeline, panel.timeline.stamps(panel.last[series] + 1 + step)).astype(str).tolist()
        for step in (begin, end)
    )
    counts, h = missing.sum(1), missing.shape[1]
    bounds = np.searchsorted(series, [lacking, lacking + 1])
    faults = []
    for at, start, stop in zip(lacking.tolist(), *bounds.tolist(), strict=True):
        pairs = zip(since[start:stop], until[start:stop], strict=True)
        listed = ", ".join(one if one == two else f"{one} … {two}" for one, two in pairs)
        faults.append(Fault(TABLE, f"{counts[at]} of {h} rows are missing ({listed})", REMEDY, panel.ids[at]))
    return faults


def _runs(missing: Bool) -> tuple[Int, Int, Int]:
    """Stretches of true cells (S, h): the row, the first column and the last one of each, row by row."""
    fence = np.zeros((len(missing), 1), dtype=bool)
    before = np.concatenate([fence, missing[:, :-1]], axis=1)
    after = np.concatenate([missing[:, 1:], fence], axis=1)
    series, begin = np.nonzero(missing & ~before)
    return series, begin, np.nonzero(missing & ~after)[1]
