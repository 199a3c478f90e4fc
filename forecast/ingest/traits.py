"""Static features for a panel with bad series in it: a series whose features cannot be read is bad, not the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from forecast.errors import DataError, Fault
from forecast.ingest.read import read
from forecast.ingest.static import Table, read_static, static_columns, with_static
from forecast.panel.covariates import Column, Covariates, Labels, Numbers
from forecast.panel.panel import Panel


def with_traits(
    panel: Panel, frame: pd.DataFrame, static: Any, known: Panel | None, bad: set[Any]
) -> tuple[Panel, list[Fault]]:
    """The panel with static features for every series, and the faults of single series among them.

    Features come from the table ``static``, else from the long ``frame``, else from the history ``known``. Series in
    ``bad``, and those that get a fault here, have unknown features where theirs cannot be read.

    Raises ``DataError`` for faults of the whole table.
    """
    table, faults = _table(panel, frame, static, known)
    if table is None and known is None:
        return panel, faults
    lacking = {fault.series for fault in faults}
    asked = _without(panel, lacking)
    try:
        given = with_static(asked, table, known)
    except DataError as error:
        _whole(error)
        faults += [fault for fault in error.report if fault.series not in bad]
        lacking |= {fault.series for fault in error.report}
        asked = _without(panel, lacking)
        if not len(asked):
            raise
        given = with_static(asked, table, known)
    if given.static is None:
        return panel, faults
    place = given.ids.get_indexer(panel.ids).astype(np.int64)
    static_rows = given.static.followed_by(_unknown(given.static)).take(place)  # -1 is the last row, the unknown one
    return replace(panel, static=static_rows), [fault for fault in faults if fault.series not in bad]


def _table(panel: Panel, frame: pd.DataFrame, static: Any, known: Panel | None) -> tuple[Table | None, list[Fault]]:
    """The features of the series that have readable ones, and the faults of the others."""
    features = None if known is None else known.static
    schema = panel.schema
    source = frame if static is None else read(static, schema)
    reader = static_columns if static is None else read_static
    table = reader(source, schema, features)
    if table is None or not table.faults:
        return table, []
    faults = list(table.faults)
    _whole(DataError(faults))
    column = source[schema.id_col] if schema.id_col in source.columns else pd.Series(panel.ids[0], index=source.index)
    rest = source[~column.isin([fault.series for fault in faults]).to_numpy()]
    if not len(rest):
        raise DataError(faults)
    return reader(rest, schema, features), faults


def _without(panel: Panel, lacking: set[Any]) -> Panel:
    strict = replace(panel, schema=replace(panel.schema, on_bad_series="raise"))  # "skip" would not say which, and why
    return strict.take(np.flatnonzero(~np.asarray(panel.ids.isin(list(lacking)))))


def _whole(error: DataError) -> None:
    """Raise it again if any of its faults belongs to no series."""
    if any(fault.series is None for fault in error.report):
        raise error


def _unknown(covariates: Covariates) -> Covariates:
    """One row of which nothing is known."""
    columns: list[Column] = []
    for column in covariates.columns:
        if isinstance(column, Numbers):
            columns.append(Numbers(column.name, np.array([np.nan])))
        else:
            columns.append(Labels(column.name, np.array([-1], dtype=np.int64), column.labels))
    return Covariates(tuple(columns))
