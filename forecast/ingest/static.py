"""Static features at the door: a table with a row for each series, or columns of the long frame, put to a panel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import DataError, Fault, ForecastWarning, some
from forecast.ingest.columns import id_column, rows_where
from forecast.ingest.features import feature_columns, header_faults
from forecast.ingest.read import read
from forecast.ingest.validate import with_series
from forecast.panel.covariates import Column, Covariates, Numbers
from forecast.panel.panel import Panel
from forecast.schema import Schema

Int = npt.NDArray[np.int64]
TABLE = "static_df"


@dataclass(frozen=True)
class Table:
    """Static features as given: one row for each of ``ids``. Nothing in ``covariates`` where there are faults."""

    ids: pd.Index
    covariates: Covariates | None
    faults: tuple[Fault, ...] = ()


def read_static(data: Any, schema: Schema, known: Covariates | None = None) -> Table | None:
    """A table with one row for each series, checked; faults are collected, not raised.

    Its columns are those of ``known``, features that models were fitted with, else those that ``schema.stat_exog``
    names, else all but the id. Nothing when that leaves no column.
    """
    try:
        frame = read(data, schema)
    except DataError as error:
        return Table(pd.Index([]), None, tuple(replace(f, column=f"{f.column} of {TABLE}") for f in error.report))
    names = known.names if known is not None else schema.stat_exog
    if names is None:
        names = tuple(column for column in frame.columns if column != schema.id_col)
    if not names:
        return None
    headers = header_faults(frame, names, schema, f" of {TABLE}")
    if schema.id_col not in frame.columns and len(frame) > 1:
        remedy = "Name each row's series there: id_col says what the column is called."
        headers.append(Fault(f"{schema.id_col} of {TABLE}", f"no such column among {some(frame.columns, 8)}", remedy))
    if headers:
        return Table(pd.Index([]), None, tuple(headers))
    codes, ids, faults = id_column(frame, schema.id_col)
    twice = np.bincount(codes[codes >= 0], minlength=len(ids)) > 1
    repeats = with_series((_repeated(rows_where((codes >= 0) & twice[codes])),), codes, ids) if twice.any() else []
    columns, wrong = feature_columns(frame, names, known, f" of {TABLE}")
    nameless = [replace(fault, column=f"{fault.column} of {TABLE}") for fault in faults]
    found = (*nameless, *repeats, *with_series(tuple(wrong), codes, ids))
    return Table(ids, None if found else Covariates(tuple(columns)), found)


def static_columns(data: Any, schema: Schema, known: Covariates | None = None) -> Table | None:
    """The static features that stand as columns in the long frame itself, where ``schema.stat_exog`` names them.

    They must not vary within a series. Nothing where the frame has none of them and ``known`` stands in.
    """
    names = schema.stat_exog
    if not names:
        return None
    frame = read(data, schema)
    if known is not None and not set(names) & set(frame.columns):
        return None
    headers = header_faults(frame, names, schema, "")
    if headers:
        return Table(pd.Index([]), None, tuple(headers))
    codes, ids, faults = id_column(frame, schema.id_col)
    columns, wrong = feature_columns(frame, names, known, "")
    first = np.unique(codes, return_index=True)[1][-len(ids) :] if len(ids) else np.empty(0, dtype=np.int64)
    wrong += [fault for column in columns if (fault := _varying(column, first[codes])) is not None]
    found = (*faults, *with_series(tuple(wrong), codes, ids))
    return Table(ids, None if found else Covariates(tuple(columns)).take(first), found)


def with_static(panel: Panel, table: Table | None, known: Panel | None = None) -> Panel:
    """The panel with a row of static features for each series: its own in ``table``, else that of ``known``.

    Raises ``DataError`` with every fault of the table and every series without a row (or leaves such series out with a
    warning, where the schema says so). Warns about rows that belong to no series.
    """
    standby = None if known is None else known.static
    if known is not None and standby is None:
        if table is not None:
            warnings.warn(
                f"{TABLE} is ignored: the models were fitted without static features.", ForecastWarning, stacklevel=4
            )
        return panel
    if table is not None and table.faults:
        raise DataError(table.faults)
    sources = [] if table is None or table.covariates is None else [(table.ids, table.covariates)]
    if known is not None and standby is not None:
        sources.append((known.ids, standby))
    if not sources:
        return panel
    place, rows = _places(panel.ids, sources)
    lacking = np.flatnonzero(place < 0)
    if lacking.size:
        panel = _without(panel, lacking, _lacking_faults(panel, lacking, sources[0][0]))
        place = place[place >= 0]
    if known is None and table is not None:
        _tell_extra(table.ids, panel)
    return replace(panel, static=rows.take(place))


def with_newborn(panel: Panel, table: Table | None, known: Panel) -> Panel:
    """The panel and, after its series, those that only ``table`` has: no rows yet, static features alone.

    Rows of ``table`` for series that are ``known``, but not asked for here, ask for nothing. The first row of the new
    series is taken to be the one after the latest row of the panel. Raises ``DataError`` for ids of another type.
    """
    if table is None or table.covariates is None or panel.static is None:
        return panel
    new = np.flatnonzero(~(table.ids.isin(panel.ids) | table.ids.isin(known.ids)))
    if not new.size:
        return panel
    ids = table.ids[new]
    if ids.inferred_type != known.ids.inferred_type:
        raise DataError(_other_ids(ids, known))
    offsets = np.concatenate([panel.offsets, np.full(len(new), panel.offsets[-1])])
    first = np.concatenate([panel.first, np.full(len(new), panel.last.max() + 1)])
    static = panel.static.followed_by(table.covariates.take(new))
    futr = None if panel.futr is None else panel.futr.at(np.append(np.arange(len(panel)), np.full(len(new), -1)))
    return replace(panel, ids=panel.ids.append(ids), offsets=offsets, first=first, static=static, futr=futr)


def _places(ids: pd.Index, sources: list[tuple[pd.Index, Covariates]]) -> tuple[Int, Covariates]:
    """Each series' row in all tables put one after the other, the first that has it, and those tables as one."""
    place = np.full(len(ids), -1, dtype=np.int64)
    rows, start = sources[0][1], 0
    for number, (own, covariates) in enumerate(sources):
        found = own.get_indexer(ids).astype(np.int64)
        place = np.where((place < 0) & (found >= 0), start + found, place)
        start += len(own)
        rows = rows.followed_by(covariates) if number else rows
    return place, rows


def _lacking_faults(panel: Panel, lacking: Int, ids: pd.Index) -> list[Fault]:
    if len(lacking) == len(panel) and ids.inferred_type != panel.ids.inferred_type:
        return [_other_ids(ids, panel)]
    remedy = f"Add its row to {TABLE}."
    return [Fault(TABLE, "no row of static features", remedy, panel.ids[at]) for at in lacking.tolist()]


def _other_ids(ids: pd.Index, panel: Panel) -> Fault:
    problem = f"its ids are {ids.inferred_type}, those of the series are {panel.ids.inferred_type}"
    return Fault(f"{panel.schema.id_col} of {TABLE}", problem, "Convert them to the same type.")


def _without(panel: Panel, bad: Int, faults: list[Fault]) -> Panel:
    """Raise the faults, or leave the series out where that was asked for and something remains."""
    if panel.schema.on_bad_series == "raise" or len(bad) == len(panel):
        raise DataError(faults)
    warnings.warn(
        f"{len(bad)} of {len(panel)} series left out for their faults: {some(panel.ids[bad])}. First: {faults[0]}",
        ForecastWarning,
        stacklevel=5,
    )
    return panel.take(np.delete(np.arange(len(panel), dtype=np.int64), bad))


def _tell_extra(ids: pd.Index, panel: Panel) -> None:
    extra = ids[~ids.isin(panel.ids)]
    if len(extra):
        warnings.warn(
            f"{TABLE} has rows of {len(extra)} series that the data do not have, which are ignored: {some(extra)}.",
            ForecastWarning,
            stacklevel=5,
        )


def _repeated(rows: tuple[int, ...]) -> Fault:
    remedy = "Keep one row for each series. Features that change over time are not static."
    return Fault(TABLE, "several rows of static features", remedy, None, rows)


def _varying(column: Column, first: Int) -> Fault | None:
    """A fault at the rows that differ from the ``first`` one of their series, (N,)."""
    cells = column.values if isinstance(column, Numbers) else column.codes
    same = (cells == cells[first]) | ((cells != cells) & (cells[first] != cells[first]))
    if same.all():
        return None
    remedy = "A static feature has one value for each series: mend it, or take it out of stat_exog."
    return Fault(column.name, "the static feature varies", remedy, None, rows_where(~same))
