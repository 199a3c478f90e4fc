"""A cross-validation frame, checked once and put in order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import SHOWN_ROWS, ConfigError, DataError, Fault
from forecast.panel.panel import Panel
from forecast.report.columns import ModelColumns, Outcome, find_models, outcome_of
from forecast.report.metrics import check_season
from forecast.report.outcome_checks import check_outcomes
from forecast.report.scale import Scales, insample_scales
from forecast.schema import Schema
from forecast.timeline import Stamps, Timeline

CUTOFF = "cutoff"
Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Folds:
    """Forecast rows sorted by series, cutoff and step. A *fold* is what one series got at one cutoff.

    Attributes:
        frame: the caller's frame, in its own order.
        order: positions in ``frame`` of the sorted rows, shape (N,); ``None`` when it was sorted already.
        models: the forecast columns.
        history: what was known, and later too.
        step: steps after the cutoff of each sorted row, from 1, shape (N,).
        starts: first sorted row of each fold, shape (F,).
        series: position in ``history.ids`` of each fold, shape (F,), ascending.
        cutoff: ordinal of each fold's cutoff, shape (F,).
        scales: the scales of MASE and RMSSE of each fold, shape (F,).
    """

    frame: pd.DataFrame
    order: Int | None
    schema: Schema
    models: tuple[ModelColumns, ...]
    history: Panel
    season_length: int
    step: Int
    starts: Int
    series: Int
    cutoff: Int
    scales: Scales

    def column(self, name: str) -> Float:
        """A numeric column in sorted order, NaN where unknown, shape (N,)."""
        values: Float = self.frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        return values if self.order is None else values[self.order]

    @cached_property
    def y(self) -> Float:
        """The actuals, shape (N,)."""
        return self.column(self.schema.target_col)

    @property
    def outcome(self) -> Outcome:
        """Whether numbers, events or classes are forecast."""
        return outcome_of(self.models)

    @property
    def lengths(self) -> Int:
        """Rows of each fold, shape (F,)."""
        return np.diff(np.append(self.starts, self.step.size))

    def rows(self, fold: int) -> slice:
        """The sorted rows of one fold."""
        start = int(self.starts[fold])
        return slice(start, start + int(self.lengths[fold]))

    def cutoff_labels(self, folds: Int) -> pd.Series:
        """The cutoffs of ``folds`` as the caller wrote them."""
        rows = self.starts[folds] if self.order is None else self.order[self.starts[folds]]
        return self.frame[CUTOFF].iloc[rows].reset_index(drop=True)


def read_folds(cv: pd.DataFrame, history: Panel, season_length: int, schema: Schema | None = None) -> Folds:
    """Check a cross-validation frame and put it in order, without touching it.

    ``cv`` has one row per series, cutoff and time: the columns of ``schema``, ``cutoff``, and one column per
    model. ``history`` reaches each series' last cutoff at least. Raises ``DataError`` with every fault found,
    ``ConfigError`` for a bad ``season_length``.
    """
    schema = schema or Schema()
    season_length = check_season(season_length)
    roles = (schema.id_col, schema.time_col, CUTOFF, schema.target_col)
    if len(set(roles)) < len(roles):
        raise ConfigError(f"'cutoff' is the column of cutoffs here, so no other role can have that name, got {roles}.")
    models = find_models(cv, roles)
    _check_rows(cv, roles)
    check_outcomes(cv, schema.target_col, models)
    series = _series_positions(cv, history, schema)
    cutoff = grid_ordinals(cv[CUTOFF], history.timeline)
    step = grid_ordinals(cv[schema.time_col], history.timeline) - cutoff
    order = _order(series, cutoff, step)
    if order is not None:
        series, cutoff, step = series[order], cutoff[order], step[order]
    new = np.append(True, (series[1:] != series[:-1]) | (cutoff[1:] != cutoff[:-1]))
    starts = np.flatnonzero(new).astype(np.int64)
    _check_steps(cv, schema, order, new, step)
    _check_history(history, series[starts], cutoff[starts])
    scales = insample_scales(history, series[starts], cutoff[starts], season_length)
    return Folds(
        cv, order, schema, models, history, season_length, step, starts, series[starts], cutoff[starts], scales
    )


def _check_rows(cv: pd.DataFrame, roles: tuple[str, ...]) -> None:
    if len(cv) == 0:
        raise DataError(Fault("forecasts", "the frame has no rows", "Pass the result of cross_validation()."))
    faults = []
    for role in roles[:3]:
        rows = np.flatnonzero(cv[role].isna().to_numpy())
        if rows.size:
            faults.append(Fault(role, f"{rows.size} values are missing", "Fill or drop these rows.", rows=_few(rows)))
    target = cv[roles[3]].dtype
    if not pd.api.types.is_numeric_dtype(target) or pd.api.types.is_complex_dtype(target):
        faults.append(Fault(roles[3], f"actuals are numbers, but this is {target}", "Turn the column into numbers."))
    if faults:
        raise DataError(faults)


def _series_positions(cv: pd.DataFrame, history: Panel, schema: Schema) -> Int:
    codes, names = pd.factorize(cv[schema.id_col])
    positions = history.ids.get_indexer(pd.Index(names))
    unknown = np.flatnonzero(positions < 0)
    if unknown.size:
        problem = f"{unknown.size} of {len(names)} series are not in the history, whose ids are {history.ids.dtype}"
        remedy = "Pass the history these forecasts were made from, with ids of the same type."
        rows = np.flatnonzero(codes == unknown[0])
        raise DataError(Fault(schema.id_col, problem, remedy, series=names[unknown[0]], rows=_few(rows)))
    return positions[codes].astype(np.int64)


def as_stamps(column: pd.Series, timeline: Timeline) -> Stamps:
    """A column of times in the units of ``timeline``: datetime64[us] (wall time or UTC, as it counts) or int64."""
    zoned = isinstance(column.dtype, pd.DatetimeTZDtype)
    if timeline.kind == "step" and pd.api.types.is_integer_dtype(column.dtype):
        return column.to_numpy(dtype=np.int64)
    if timeline.kind != "step" and zoned:
        column = (column if timeline.local else column.dt.tz_convert("UTC")).dt.tz_localize(None)
    if timeline.kind != "step" and column.dtype.kind == "M":
        return column.to_numpy(dtype="datetime64[us]")
    expected = "integers" if timeline.kind == "step" else "dates"
    remedy = "Convert the column, or pass the history these forecasts were made from."
    raise DataError(Fault(str(column.name), f"the history counts in {expected}, this is {column.dtype}", remedy))


def grid_ordinals(column: pd.Series, timeline: Timeline) -> Int:
    """The last grid point at or before each time; worked out once per distinct time."""
    codes, distinct = pd.factorize(as_stamps(column, timeline))
    ordinals, exact = timeline.ordinals(distinct)
    if not exact.all():
        late = timeline.stamps(ordinals) > distinct  # a month's end, or Monday for a Saturday, lies ahead
        ordinals = ordinals - late
    return ordinals[codes]


def _order(series: Int, cutoff: Int, step: Int) -> Int | None:
    """How to sort the rows; ``None`` when they are sorted (the usual case, so it is looked at first)."""
    same_series, same_cutoff = series[1:] == series[:-1], cutoff[1:] == cutoff[:-1]
    rising = same_series & same_cutoff & (step[1:] >= step[:-1])
    rising |= same_series & (cutoff[1:] > cutoff[:-1])
    rising |= series[1:] > series[:-1]
    if rising.all():
        return None
    return np.lexsort((step, cutoff, series)).astype(np.int64)


def _check_steps(cv: pd.DataFrame, schema: Schema, order: Int | None, new: Bool, step: Int) -> None:
    faults = []
    early = np.flatnonzero(step < 1)
    if early.size:
        problem = f"{early.size} forecasts are not later than their cutoff"
        faults.append((early, problem, "A forecast lies after the last time its model knew: check the cutoffs."))
    twice = np.flatnonzero(~new[1:] & (step[1:] == step[:-1])) + 1
    if twice.size:
        problem = f"{twice.size} rows repeat the time and cutoff of another row"
        faults.append((twice, problem, "Keep one row for each series, cutoff and time."))
    if faults:
        raise DataError([_fault_at(cv, schema, order, *fault) for fault in faults])


def _fault_at(cv: pd.DataFrame, schema: Schema, order: Int | None, rows: Int, problem: str, remedy: str) -> Fault:
    rows = rows if order is None else np.sort(order[rows])
    return Fault(schema.time_col, problem, remedy, series=cv[schema.id_col].iloc[int(rows[0])], rows=_few(rows))


def _check_history(history: Panel, series: Int, cutoff: Int) -> None:
    short = np.flatnonzero(history.last[series] < cutoff)
    if short.size:
        problem = f"the history of {np.unique(series[short]).size} series ends before a cutoff"
        remedy = "Pass all rows up to the last cutoff: the scales of MASE and RMSSE come from them."
        raise DataError(Fault("history", problem, remedy, series=history.ids[series[short[0]]]))


def _few(rows: Int) -> tuple[int, ...]:
    return tuple(int(row) for row in rows[: SHOWN_ROWS + 1])
