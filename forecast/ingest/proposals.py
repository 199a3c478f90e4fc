"""What each column besides id, time and target may be good for, and why: a proposal, to be looked at by somebody."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.ingest.column_names import ID_WORDS, OBSERVED, PLANNED, SPLIT, first_word
from forecast.ingest.portraits import LABEL, NUMBER, OTHER, TIME, Cells, Portrait, Table, constant_within, count
from forecast.timeline import DAY

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

ID, TIME_ROLE, TARGET, STATIC, FUTR, HIST, IGNORED = "id", "time", "target", "static", "futr", "hist", "ignored"
ALIKE = 0.99  # correlation with the target from which on a column may be the target in disguise


@dataclass(frozen=True)
class Proposal:
    """A column, the role proposed for it and the reason; ``sure`` where the data leave no doubt."""

    column: Portrait
    role: str
    why: str
    sure: bool = True


@dataclass(frozen=True)
class Setting:
    """What is known of the rows when covariates are judged.

    Attributes:
        ids: the series of each row (N,), -1 for none.
        times: the number of each row's time, ascending in time (N,), -1 for none.
        stamps: those times, (T,), as clocks show them; ``None`` where they cannot be read.
        target: the values to forecast (N,), NaN where unknown; ``None`` where there are none.
        name: what the target is called.
    """

    ids: Int
    times: Int
    stamps: npt.NDArray[Any] | None
    target: Float | None
    name: str

    @property
    def series(self) -> int:
        """How many series there are."""
        return count(self.ids)

    def later(self) -> Bool:
        """Rows after the last known target of their series, (N,)."""
        placed = (self.ids >= 0) & (self.times >= 0)
        if self.target is None or not placed.any():
            return np.zeros(len(self.ids), dtype=bool)
        known = placed & np.isfinite(self.target)
        last = np.full(self.series, -1, dtype=np.int64)
        np.maximum.at(last, self.ids[known], self.times[known])
        return placed & (last[self.ids] >= 0) & (self.times > last[self.ids])


def proposals(table: Table, taken: dict[int, Proposal], setting: Setting) -> tuple[Proposal, ...]:
    """A proposal for every column of ``table``, in its order; those ``taken`` have theirs already."""
    names = Counter(str(one.name) for one in table.seen)
    later = setting.later()
    found = []
    for at, one in enumerate(table.seen):
        if at in taken:
            found.append(taken[at])
        elif not isinstance(one.name, str):
            found.append(Proposal(one, IGNORED, "its name is no text: rename it"))
        elif names[one.name] > 1:
            found.append(Proposal(one, IGNORED, f"{names[one.name]} columns have this name: rename all but one"))
        else:
            found.append(_proposal(one, table.cells(at), setting, later))
    return tuple(found)


def _proposal(one: Portrait, cells: Cells, setting: Setting, later: Bool) -> Proposal:
    nothing = _useless(one)
    if nothing:
        return Proposal(one, IGNORED, nothing)
    same, alike = _likeness(cells.values, setting.target)
    if same:
        return Proposal(one, IGNORED, f"{setting.name} in other words: it would give the answer away")
    fixed = _fixed(one, cells, setting) if setting.series > 1 else None
    if fixed is not None:
        return fixed
    if one.kind == LABEL and 2 * one.distinct > one.rows - one.missing:
        return Proposal(one, IGNORED, "text that hardly ever repeats")
    timely = _timely(one, cells, setting)
    proposal = timely or _changing(one, cells, setting, later)
    if alike >= ALIKE and proposal.role in (FUTR, HIST):
        why = f"{proposal.why}. It moves with {setting.name} (correlation {alike:.3f}): is it a part of it?"
        return Proposal(one, proposal.role, why, sure=False)
    return proposal


def _useless(one: Portrait) -> str:
    if one.name == SPLIT and one.kind == LABEL:
        return "marks rows to train and to test on: forecast backtest obeys it"
    if one.kind == OTHER or not one.distinct:
        return one.why or "every cell is missing"
    if one.kind == TIME:
        return "a second time: make a number of it, such as days until then"
    if one.distinct == 1:
        return (
            "the same value everywhere"
            if not one.missing
            else "one value or none: write 0 where there is none to make it a flag"
        )
    return ""


def _fixed(one: Portrait, cells: Cells, setting: Setting) -> Proposal | None:
    """A column with one value in each series."""
    fixed, holes = constant_within(cells.codes, setting.ids)
    if not fixed:
        return None
    if holes:
        why = (
            "one value in each series, but not in every row: static once it is filled in, with groupby and 'first' say"
        )
        return Proposal(one, IGNORED, why)
    labelled = one.kind == LABEL or (one.whole and bool(first_word(one.name, ID_WORDS)))
    if labelled and one.distinct == setting.series:
        return Proposal(one, IGNORED, "another name for each series")
    return Proposal(one, STATIC, "one value in each series")


def _timely(one: Portrait, cells: Cells, setting: Setting) -> Proposal | None:
    """A column that time alone tells, whatever the series."""
    if setting.stamps is None or len(setting.stamps) < 3 or not constant_within(cells.codes, setting.times)[0]:
        return None
    rows = (cells.codes >= 0) & (setting.times >= 0)
    first = np.full(len(setting.stamps), -1, dtype=np.int64)
    first[setting.times[rows][::-1]] = np.flatnonzero(rows)[::-1]
    seen = np.flatnonzero(first >= 0)
    stamps = setting.stamps[seen]
    if cells.values is not None and one.distinct > 2 and _counts_time(cells.values[first[seen]], stamps):
        why = "counts time: rows to come would have values that no row had. calendar=auto tells the time"
        return Proposal(one, IGNORED, why)
    codes = cells.codes[first[seen]]
    for key, groups in _calendar(stamps).items():
        if 2 * count(groups) <= len(stamps) and constant_within(codes, groups)[0]:
            return Proposal(one, FUTR, f"told by {key}: known of any time")
    return None


def _counts_time(values: Float, stamps: npt.NDArray[Any]) -> bool:
    clocks = [np.arange(len(values), dtype=np.float64)]
    if stamps.dtype.kind == "M":
        clocks += [stamps.astype(f"datetime64[{unit}]").astype(np.float64) for unit in ("us", "D", "M", "Y")]
    else:
        clocks.append(stamps.astype(np.float64))
    return any(_likeness(clock, values)[0] for clock in clocks)


def _calendar(stamps: npt.NDArray[Any]) -> dict[str, Int]:
    """What a calendar says of times, numbered, (T,) each; nothing of integers."""
    if stamps.dtype.kind != "M":
        return {}
    days = stamps.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    month = months.astype(np.int64) % 12
    weekday = (days.astype(np.int64) + 3) % 7
    clock = np.unique(stamps.astype("datetime64[us]").astype(np.int64) % DAY, return_inverse=True)[1]
    day = (days - months.astype("datetime64[D]")).astype(np.int64)
    keys = {
        "the month": month,
        "the day of the week": weekday,
        "the time of day": clock,
        "the day of the month": day,
        "the time of the week": weekday * (int(clock.max(initial=0)) + 1) + clock,
        "the day of the year": month * 31 + day,
    }
    return {key: np.unique(codes, return_inverse=True)[1].astype(np.int64) for key, codes in keys.items()}


def _changing(one: Portrait, cells: Cells, setting: Setting, later: Bool) -> Proposal:
    """A column that changes over time in a way that no calendar tells."""
    rows = int(later.sum())
    if rows:
        known = int((cells.codes[later] >= 0).sum())
        if known == rows:
            return Proposal(one, FUTR, f"known in all {rows:,} rows after the last known {setting.name}")
        if known == 0:
            return Proposal(one, HIST, f"unknown in all {rows:,} rows after the last known {setting.name}")
    observed, planned = first_word(one.name, OBSERVED), first_word(one.name, PLANNED)
    if observed:
        return Proposal(one, HIST, f"called {observed!r}: likely seen only afterwards", sure=False)
    if planned:
        return Proposal(one, FUTR, f"called {planned!r}: likely planned ahead; if not, hist", sure=False)
    if one.flag:
        why = "a flag, likely of something planned; if it is seen only afterwards, hist"
        return Proposal(one, FUTR, why, sure=False)
    if setting.series > 1 and constant_within(cells.codes, setting.times)[0]:
        why = "the same for all series, but told by no calendar: likely measured; if known ahead, futr"
        return Proposal(one, HIST, why, sure=False)
    kind = "numbers" if one.kind == NUMBER else "labels"
    return Proposal(one, HIST, f"{kind} that change over time: likely measured; if known ahead, futr", sure=False)


def _likeness(values: Float | None, target: Float | None) -> tuple[bool, float]:
    """Whether ``target`` is ``a + b * values`` with ``b`` not 0, to rounding, and their absolute correlation."""
    if values is None or target is None:
        return False, 0.0
    known = np.isfinite(values) & np.isfinite(target)
    x, y = values[known], target[known]
    if x.size < 3:
        return False, 0.0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x, y = x - x.mean(), y - y.mean()
        across, down = float(np.sqrt(x @ x)), float(np.sqrt(y @ y))
        if not (0.0 < across < np.inf and 0.0 < down < np.inf):
            return False, 0.0
        x, y = x / across, y / down
        together = float(x @ y)
        return bool(np.abs(y - together * x).max() <= 1e-9 * np.abs(y).max()), abs(together)
