"""Series of several frequencies in one frame: which frequency each series has of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import Freq
from forecast.errors import DataError
from forecast.ingest.columns import find_columns, id_column
from forecast.ingest.local import local_rows, to_wall
from forecast.ingest.repairs import common_freq, keep
from forecast.ingest.times import time_column
from forecast.ingest.validate import Rows, sort_rows, with_series
from forecast.schema import Schema
from forecast.timeline import DAY, LAST_DAY, MICROSECONDS, Stamps

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

# What a series' steps are like, the first number of its signature.
NONE, TICK, MONTH, BUSINESS = range(4)


@dataclass(frozen=True)
class OwnSeries:
    """The series of a frame, in first-seen order: ``codes`` tells the series of each row, shape (N,)."""

    codes: Int
    ids: pd.Index


def own_series(frame: pd.DataFrame, schema: Schema) -> OwnSeries:
    """The series of a frame. Raises ``DataError`` where there is no usable id, or no time column."""
    roles = (schema.id_col, schema.time_col) if schema.id_col in frame.columns else (schema.time_col,)
    faults = find_columns(frame, schema, roles)
    if faults:
        raise DataError(faults)
    codes, ids, wrong = id_column(frame, schema.id_col)
    if wrong:
        raise DataError(list(wrong))
    return OwnSeries(codes, ids)


def own_freqs(frame: pd.DataFrame, schema: Schema, series: OwnSeries, asked: Bool) -> tuple[list[Freq], Int]:
    """The frequencies of the series ``asked`` for (S,), and which of them each series has: -1 for none, or not asked.

    Series of like steps are looked at together, so that many cost little more than one. Raises ``DataError`` for times
    of which none can be read.
    """
    times, tz = time_column(frame[schema.time_col])
    if times.values is None:
        raise DataError(with_series(times.faults, series.codes, series.ids))
    usable = asked[series.codes]
    for fault in times.faults:
        usable[list(fault.rows)] = False
    freqs: list[Freq] = []
    numbers = np.full(len(series.ids), -1, dtype=np.int64)
    if not usable.any():
        return freqs, numbers
    rows = sort_rows(series.codes[usable], times.values[usable], np.zeros(int(usable.sum())), series.ids)
    present, place = np.unique(rows.codes, return_inverse=True)
    rows = replace(rows, codes=place.astype(np.int64).reshape(-1), ids=series.ids[present])
    kinds, group = np.unique(_signatures(rows, tz), axis=0, return_inverse=True)
    group = group.reshape(-1)
    for number, kind in enumerate(kinds.tolist()):
        if kind[0] != NONE:
            alike = keep(rows, group[rows.codes] == number)
            freq = common_freq(alike if tz is None else local_rows(alike, tz, None))
            if freq is not None:
                freqs += [freq] if freq not in freqs else []
                numbers[present[group == number]] = freqs.index(freq)
    return freqs, numbers


def _signatures(rows: Rows, tz: str | None) -> Int:
    """What tells the steps of each series from those of another frequency, shape (S, 4)."""
    starts = np.flatnonzero(np.append(True, ~rows.same))
    own = np.zeros((len(starts), 4), dtype=np.int64)
    if rows.stamps.dtype.kind != "M":
        own[:, 1] = _commonest(rows.stamps, rows)
        own[:, 0] = np.where(own[:, 1] > 0, TICK, NONE)
        return own
    stamps = rows.stamps
    if tz is not None:
        wall = to_wall(rows.stamps, tz)
        steady = _steady(wall, starts)
        own[:, 3] = ~steady
        stamps = np.where(steady[rows.codes], wall, rows.stamps)
    step = _commonest(stamps.astype(np.int64), rows)
    weekday = (stamps[starts].astype("datetime64[D]").astype(np.int64) + 3) % 7
    own[:, 0] = np.where(step > 0, TICK, NONE)
    own[:, 1] = step
    own[:, 2] = np.where(step % MICROSECONDS["W"] == 0, weekday, 0)
    business = _business(stamps, rows, starts)
    own[business] = (BUSINESS, 0, 0, 0)
    months, day, monthly = _monthly(stamps, rows, starts)
    first = stamps[starts].astype("datetime64[M]").astype(np.int64)
    own[monthly] = np.stack([np.full(len(starts), MONTH), months, day, first % np.maximum(months, 1)], axis=1)[monthly]
    return own


def _steady(wall: Stamps, starts: Int) -> Bool:
    """Whether each series keeps to one time of day: then days, not hours, are counted."""
    times = wall.astype(np.int64) % DAY
    return np.asarray(np.maximum.reduceat(times, starts) == np.minimum.reduceat(times, starts))


def _commonest(values: npt.NDArray[Any], rows: Rows) -> Int:
    """The commonest positive difference within each series, the smaller of two; 0 where there is none."""
    steps = np.diff(values.astype(np.int64))
    real = rows.same & (steps > 0)
    codes, steps = rows.codes[1:][real], steps[real]
    found = np.zeros(len(rows.ids), dtype=np.int64)
    if not codes.size:
        return found
    order = np.lexsort((steps, codes))
    codes, steps = codes[order], steps[order]
    runs = np.flatnonzero(np.append(True, (codes[1:] != codes[:-1]) | (steps[1:] != steps[:-1])))
    counts = np.diff(np.append(runs, len(codes)))
    codes, steps = codes[runs], steps[runs]
    order = np.lexsort((-steps, counts, codes))  # the last of each series is the commonest
    last = order[np.append(codes[order][1:] != codes[order][:-1], True)]
    found[codes[last]] = steps[last]
    return found


def _business(stamps: Stamps, rows: Rows, starts: Int) -> Bool:
    """Whether each series has rows on working days alone, and passes over weekends."""
    days = stamps.astype("datetime64[D]").astype(np.int64)
    free = np.maximum.reduceat(((days + 3) % 7 >= 5).astype(np.int64), starts) > 0
    steps = np.diff(days)
    total = np.bincount(rows.codes[1:][rows.same], minlength=len(starts))
    single = np.bincount(rows.codes[1:][rows.same & (steps == 1)], minlength=len(starts))
    over = np.bincount(rows.codes[1:][rows.same & (steps == 3)], minlength=len(starts))
    return np.asarray(~free & (2 * single > total) & (over > 0))


def _monthly(stamps: Stamps, rows: Rows, starts: Int) -> tuple[Int, Int, Bool]:
    """Of each series: months from row to row, the day of the month, and whether it keeps to them."""
    days = stamps.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    begin = months.astype("datetime64[D]")
    day = (days - begin).astype(np.int64) + 1
    longest = ((months + 1).astype("datetime64[D]") - begin).astype(np.int64)
    latest = np.maximum.reduceat(day, starts)
    ends = np.minimum.reduceat((day == longest).astype(np.int64), starts) > 0
    on = np.minimum.reduceat((day == np.minimum(latest[rows.codes], longest)).astype(np.int64), starts) > 0
    again = rows.same & (months[1:] == months[:-1]) & (days[1:] != days[:-1])
    several = np.bincount(rows.codes[1:][again], minlength=len(starts)) > 0
    step = _commonest(months, rows)
    return step, np.where(ends, LAST_DAY, latest), on & ~several & (step > 0)
