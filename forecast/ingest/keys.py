"""Which columns of an unknown table tell the time, the series and the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import some
from forecast.ingest.column_names import (
    ID_WORDS,
    IDS,
    OBSERVED,
    PLANNED,
    SPLIT,
    TARGETS,
    TIMES,
    first_word,
    named,
    rank,
    words,
)
from forecast.ingest.local import to_wall
from forecast.ingest.portraits import LABEL, NUMBER, TIME, Portrait, Table, count, joint
from forecast.ingest.times import time_column

Int = npt.NDArray[np.int64]

MOST_ID_COLUMNS = 4
FEW_REPEATS = 0.01  # share of rows that repeat a series' time below which they are taken for faults, not for series


@dataclass(frozen=True)
class Choice:
    """Columns, by position, that play a part together, and why they do; ``sure`` where a name or the data say so."""

    columns: tuple[int, ...] = ()
    why: str = ""
    sure: bool = True


def find_time(table: Table, asked: str | None = None) -> Choice:
    """The column of times: by its dtype, else its name."""
    if asked is not None:
        at = table.place(asked)
        return Choice() if at is None else Choice((at,), "as asked")
    found = sorted((_time_order(one), at) for at, one in enumerate(table.seen) if _may_be_time(one))
    if not found:
        return Choice()
    at = found[0][1]
    one = table.seen[at]
    if one.kind == TIME:
        others = [table.seen[other].name for _, other in found[1:] if table.seen[other].kind == TIME]
        more = f"; {some(others)} would do, too" if others else ""
        return Choice((at,), ("dates" if not _is_text(one) else "dates written as text") + more)
    return Choice((at,), "whole numbers under the name of a time" if one.whole else "by its name")


def _may_be_time(one: Portrait) -> bool:
    if one.kind == TIME:
        return True
    exact = rank(one.name, TIMES) < len(TIMES)
    return exact and (one.kind == LABEL or one.whole) and not one.flag


def _time_order(one: Portrait) -> tuple[bool, bool, int]:
    return one.name != "ds", one.kind != TIME, rank(one.name, TIMES)


def _is_text(one: Portrait) -> bool:
    return not any(kind in one.dtype for kind in ("datetime", "period", "date", "timestamp"))


def time_codes(column: pd.Series[Any]) -> tuple[Int, npt.NDArray[Any] | None]:
    """Numbers of the different times in order (N,), -1 for unreadable ones, and those times, ascending.

    Times of a zone are what its clocks show, but told apart as they are. ``None`` where none can be read.
    """
    read, tz = time_column(column)
    if read.values is None:
        return pd.factorize(column.astype(str))[0].astype(np.int64), None
    unread = np.zeros(len(column), dtype=bool)
    for fault in read.faults:
        unread[list(fault.rows)] = True
    codes, distinct = pd.factorize(read.values, sort=True)
    stamps = np.asarray(distinct)
    return np.where(unread, -1, codes.astype(np.int64)), stamps if tz is None else to_wall(stamps, tz)


def find_ids(table: Table, time: int, times: Int, asked: str | None = None) -> Choice:
    """The fewest columns that tell rows of one time apart; none where every time is there once."""
    if asked is not None:
        at = table.place(asked)
        return Choice() if at is None else Choice((at,), "as asked")
    usual = sorted((rank(one.name, IDS), at) for at, one in enumerate(table.seen) if _is_usual_id(one, at, time))
    start = (usual[0][1],) if usual else ()
    total = int((times >= 0).sum())
    repeats = _repeats(table, start, times)
    if repeats <= FEW_REPEATS * total:
        return Choice(start, "by its name" if start else "no time is there twice, so it is one series")
    candidates = [at for at, one in enumerate(table.seen) if at not in (time, *start) and _may_be_id(one)]
    chosen = _extended(table, start, candidates, times, repeats)
    if not chosen:
        return Choice((), "no column tells rows of one time apart")
    names = " and ".join(f"{table.seen[at].name}" for at in chosen)
    left = _repeats(table, chosen, times)
    how = f"{left:,} rows still repeat a time of their series" if left else "no time is there twice within a series"
    return Choice(chosen, f"by {names} {how}" if not (len(chosen) == 1 and chosen == start) else f"by its name; {how}")


def _is_usual_id(one: Portrait, at: int, time: int) -> bool:
    exact = rank(one.name, IDS) < len(IDS)
    return at != time and exact and (one.kind == LABEL or one.whole) and one.missing < one.rows


def _may_be_id(one: Portrait) -> bool:
    if one.flag or one.missing or one.distinct < 2 or one.name == SPLIT or named(one.name, TARGETS):
        return False
    if 2 * one.distinct > one.rows or first_word(one.name, PLANNED | OBSERVED):
        return False
    if one.kind == LABEL:
        return True
    return one.kind == NUMBER and one.whole and bool(first_word(one.name, ID_WORDS))


def _repeats(table: Table, columns: tuple[int, ...], times: Int) -> int:
    """Rows that repeat a time of their series, if ``columns`` tell the series."""
    return _repeated(ids_of(table, columns), times)


def _repeated(ids: Int, times: Int) -> int:
    return int(((ids >= 0) & (times >= 0)).sum()) - count(joint(ids, times))


def ids_of(table: Table, columns: tuple[int, ...]) -> Int:
    """Numbers of the series that some columns tell apart, (N,), in first-seen order."""
    ids = np.zeros(len(table.frame), dtype=np.int64)
    for at in columns:
        ids = joint(ids, table.cells(at).codes)
    return ids


def _extended(table: Table, start: tuple[int, ...], candidates: list[int], times: Int, repeats: int) -> tuple[int, ...]:
    """``start`` and, one by one, the columns that leave the fewest repeats; then without those that were not needed."""
    chosen = start
    ids = ids_of(table, chosen)
    while repeats > FEW_REPEATS * len(times) and candidates and len(chosen) < MOST_ID_COLUMNS:
        tried = []
        for at in candidates:
            finer = joint(ids, table.cells(at).codes)
            if 2 * count(finer) <= len(times):
                tried.append((_repeated(finer, times), count(finer), at))
        if not tried or min(tried)[0] >= repeats:
            break
        repeats, _, best = min(tried)
        chosen, candidates = (*chosen, best), [at for at in candidates if at != best]
        ids = joint(ids, table.cells(best).codes)
    for at in chosen:
        rest = tuple(other for other in chosen if other != at)
        if rest and _repeats(table, rest, times) <= repeats:
            chosen = rest
    return chosen


def find_target(table: Table, taken: tuple[int, ...], ids: Int, asked: str | None = None) -> Choice:
    """The numbers to forecast: by name, else those that vary most within series."""
    if asked is not None:
        at = table.place(asked)
        return Choice() if at is None else Choice((at,), "as asked")
    free = [(at, one) for at, one in enumerate(table.seen) if at not in taken]
    exact = [at for at, one in free if one.name == "y"]
    if exact:
        return Choice((exact[0],), "by its name")
    numbers = [(at, one) for at, one in free if one.kind == NUMBER and one.distinct > 1 and not one.flag]
    by_name = sorted((rank(one.name, TARGETS), at) for at, one in numbers if _may_be_target(one))
    if by_name:
        return Choice((by_name[0][1],), "numbers under the name of something to forecast")
    best, most = None, 0
    for at, one in numbers:
        if first_word(one.name, PLANNED | ID_WORDS) and len(numbers) > 1:
            continue
        moves = count(joint(ids, table.cells(at).codes))
        if moves >= most:  # of equals the last: a target often stands at the end
            best, most = at, moves
    if best is None:
        return Choice()
    sole = len(numbers) == 1
    why = (
        "the only column of numbers left" if sole else f"no name tells; it varies most within series ({most:,} values)"
    )
    return Choice((best,), why, sure=sole)


def _may_be_target(one: Portrait) -> bool:
    """Named as a target, and not as something that goes with one, such as ``sales_price``."""
    return named(one.name, TARGETS) and not first_word(one.name, PLANNED) and "id" not in words(one.name)
