"""What is in a table: which column plays which part, what is wrong with it, and how to go on from there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import Freq
from forecast.errors import DataError, Fault, some
from forecast.ingest.columns import target_column
from forecast.ingest.inspection_recipe import Recipe
from forecast.ingest.keys import Choice, find_ids, find_target, find_time, ids_of, time_codes
from forecast.ingest.portraits import NUMBER, Portrait, Table
from forecast.ingest.proposals import FUTR, HIST, ID, STATIC, TARGET, TIME_ROLE, Proposal, Setting, proposals
from forecast.ingest.read import PARQUET, read
from forecast.ingest.survey import Survey, survey
from forecast.ingest.wide import wide_to_long
from forecast.schema import Schema

Int = npt.NDArray[np.int64]
SEPARATORS = ("/", "|", " / ", "::")


@dataclass(frozen=True)
class Asked:
    """Roles that the caller knows already."""

    id_col: str | None = None
    time_col: str | None = None
    target_col: str | None = None
    freq: Freq | None = None


@dataclass(frozen=True)
class Inspection:
    """What :func:`inspect` found. Printed, it is a page of plain text.

    Attributes:
        source: the file, or ``frame``.
        rows: rows of the table as it came.
        proposals: a role for each column, and why.
        survey: frequencies, lengths, gaps, and what the door says.
        recipe: how to go on: yaml, command line, Python.
        faults: everything that the door would refuse, and what keeps a schema from being proposed.
    """

    source: str
    rows: int
    proposals: tuple[Proposal, ...] = ()
    survey: Survey = field(default_factory=Survey)
    recipe: Recipe | None = None
    faults: tuple[Fault, ...] = ()

    def schema(self) -> Schema:
        """The schema proposed. Raises ``DataError`` with the faults where there is none."""
        if self.recipe is None:
            raise DataError(self.faults)
        return self.recipe.schema

    @property
    def yaml(self) -> str:
        """A file for ``data/`` of a configuration folder. Raises ``DataError`` where no schema can be proposed."""
        self.schema()
        return "" if self.recipe is None else self.recipe.yaml

    @property
    def text(self) -> str:
        """The page."""
        from forecast.ingest.inspection_text import page

        return page(self)

    def __str__(self) -> str:
        return self.text


def inspect(
    data: Any,
    *,
    id_col: str | None = None,
    time_col: str | None = None,
    target_col: str | None = None,
    freq: Freq | None = None,
) -> Inspection:
    """Look at a frame (pandas, polars, Arrow …) or a CSV or Parquet file and propose what its columns mean.

    Times are told by dtype and name; ids are the fewest columns that tell rows of one time apart; the target is told
    by name, else it is what varies most within series. Of the others, what has one value in each series is static,
    what a calendar tells, a flag or a planned thing (a price, a promotion) is likely known into the future, the rest is
    taken as known up to the cutoff. Nothing of this is certain unless said so: look at the reasons. A table with one
    column per series is turned into a long one first. Roles that are given are taken as they are.

    Faults are those of the door itself (see :func:`forecast.ingest.door.read_panel`) and are listed, never raised. The
    frame is not changed.

    Raises ``DataError`` for a file that cannot be read at all and ``ConfigError`` for what is no frame.

    >>> from forecast import inspect, load_dataset
    >>> inspect(load_dataset("airpassengers")).schema().target_col
    'y'
    """
    asked = Asked(id_col, time_col, target_col, freq)
    source = str(data) if isinstance(data, (str, Path)) else "frame"
    try:
        table = _opened(data, asked)
    except DataError as error:
        if any(fault.column == "file" for fault in error.report):
            raise
        return Inspection(source, 0, faults=error.report)
    return _inspected(table, asked, source)


def as_data_set(found: Inspection, name: str) -> Inspection:
    """The same of a frame that is the data set ``name``."""
    recipe = None if found.recipe is None else replace(found.recipe, source=name, data_set=True)
    return replace(found, source=name, recipe=recipe)


def _opened(data: Any, asked: Asked) -> Table:
    """The table; a CSV file is read again once its ids are known, because those are text as written."""
    usual = Schema()
    table = Table.of(read(data, replace(usual, id_col=asked.id_col or usual.id_col)))
    if not isinstance(data, (str, Path)) or str(data).lower().endswith(PARQUET):
        return table
    time = find_time(table, asked.time_col)
    if not time.columns:
        return table
    found = find_ids(table, time.columns[0], _times(table, time)[0], asked.id_col)
    name = table.seen[found.columns[0]].name if len(found.columns) == 1 else usual.id_col
    if name in (asked.id_col, usual.id_col):
        return table
    time_name = table.seen[time.columns[0]].name
    return Table.of(read(data, Schema(id_col=name, time_col=time_name, target_col=f"{name} {time_name}")))


def _times(table: Table, time: Choice) -> tuple[Int, npt.NDArray[Any] | None]:
    return time_codes(table.frame.iloc[:, time.columns[0]])


def _inspected(table: Table, asked: Asked, source: str) -> Inspection:
    rows = len(table.frame)
    wrong = _not_there(table, asked)
    time = find_time(table, asked.time_col)
    if wrong or not time.columns:
        faults = wrong or [_timeless(table)]
        return Inspection(source, rows, _bare(table), faults=tuple(faults))
    times, stamps = _times(table, time)
    ids = find_ids(table, time.columns[0], times, asked.id_col)
    wide = _is_wide(table, time, ids, asked)
    if wide:
        name = table.seen[time.columns[0]].name
        try:
            long = wide_to_long(table.frame[[name, *wide]], time_col=name)
        except DataError as error:
            return Inspection(source, rows, _bare(table), faults=error.report)
        inner = _inspected(Table.of(long), Asked(freq=asked.freq), source)
        recipe = None if inner.recipe is None else replace(inner.recipe, wide=str(name))
        return replace(inner, rows=rows, recipe=recipe)
    target = find_target(table, (*time.columns, *ids.columns), ids_of(table, ids.columns), asked.target_col)
    if not target.columns:
        names = some([one.name for one in table.seen], 8)
        remedy = "Say which it is by target_col; text has to become numbers first (pandas.to_numeric)."
        fault = Fault("target", f"no column of numbers is left for it among {names}", remedy)
        return Inspection(source, rows, _bare(table), faults=(fault,))
    return _proposed(table, asked, source, (ids, time, target), (times, stamps))


def _not_there(table: Table, asked: Asked) -> list[Fault]:
    names = [one.name for one in table.seen]
    roles = {"id_col": asked.id_col, "time_col": asked.time_col, "target_col": asked.target_col}
    return [
        Fault(name, f"no such column among {some(names, 8)}", f"Pass another {role}, or leave it out.")
        for role, name in roles.items()
        if name is not None and name not in names
    ]


def _timeless(table: Table) -> Fault:
    names = [one.name for one in table.seen]
    lower = {str(name).lower(): name for name in names}
    numbered = [name for name in names if str(name).strip("vVdDtT_ ").isdecimal()]
    if "year" in lower and ("month" in lower or "quarter" in lower):
        remedy = f"Join its parts: pandas.to_datetime(dict(year=frame[{lower['year']!r}], month=…, day=1))."
    elif isinstance(table.frame.index, pd.DatetimeIndex):
        remedy = "The index holds times but has no name: frame.rename_axis('ds')."
    elif 2 * len(numbered) > len(names):
        remedy = "If there is a column for each time, turn the table: forecast.wide_to_long(frame.set_index('id').T)."
    else:
        remedy = "Say which it is by time_col, or add one: dates, or whole numbers that count the steps."
    return Fault("time", f"no column holds times among {some(names, 8)}", remedy)


def _bare(table: Table) -> tuple[Proposal, ...]:
    return tuple(Proposal(one, "?", "no roles without times and a target", sure=False) for one in table.seen)


def _is_wide(table: Table, time: Choice, ids: Choice, asked: Asked) -> list[Any]:
    """The series of a table that has one column for each; nothing where it is another kind of table."""
    if ids.columns or asked.id_col is not None or asked.target_col is not None:
        return []
    rest = [one for at, one in enumerate(table.seen) if at not in time.columns]
    numbers = [one for one in rest if one.kind == NUMBER and not one.flag and one.distinct > 1]
    if len(numbers) < 2 or len(numbers) < len(rest) or find_target(table, time.columns, ids_of(table, ())).sure:
        return []
    unique = len({one.name for one in table.seen}) == len(table.seen)
    return [one.name for one in numbers] if unique else []


def _proposed(
    table: Table,
    asked: Asked,
    source: str,
    keys: tuple[Choice, Choice, Choice],
    when: tuple[Int, npt.NDArray[Any] | None],
) -> Inspection:
    ids, time, target = keys
    taken = {at: Proposal(table.seen[at], ID, ids.why) for at in ids.columns}
    taken[time.columns[0]] = Proposal(table.seen[time.columns[0]], TIME_ROLE, time.why)
    taken[target.columns[0]] = Proposal(table.seen[target.columns[0]], TARGET, target.why, target.sure)
    numbers = target_column(table.frame.iloc[:, target.columns[0]])
    name = str(table.seen[target.columns[0]].name)
    setting = Setting(ids_of(table, ids.columns), *when, numbers.values, name)
    found = proposals(table, taken, setting)
    odd = [one for one in taken.values() if not isinstance(one.column.name, str)]
    if odd:
        faults = [Fault(str(one.column.name), f"the name of the {one.role} is no text", "Rename it.") for one in odd]
        return Inspection(source, len(table.frame), found, faults=tuple(faults))
    frame, id_col, separator = _joined(table.frame, [table.seen[at] for at in ids.columns])
    schema = Schema(
        id_col=id_col,
        time_col=table.seen[time.columns[0]].name,
        target_col=name,
        stat_exog=_named(found, STATIC) or None,
        hist_exog=_named(found, HIST),
        futr_exog=_named(found, FUTR),
    )
    seen = survey(frame, schema, asked.freq)
    joined = tuple(table.seen[at].name for at in ids.columns) if separator else ()
    recipe = Recipe(source, schema, seen, joined, separator)
    return Inspection(source, len(table.frame), found, seen, recipe, seen.faults)


def _named(found: tuple[Proposal, ...], role: str) -> tuple[str, ...]:
    return tuple(one.column.name for one in found if one.role == role)


def _joined(frame: pd.DataFrame, ids: list[Portrait]) -> tuple[pd.DataFrame, str, str]:
    """The frame with one column of ids, what it is called, and what stands between the parts of an id."""
    if len(ids) < 2:
        return frame, ids[0].name if ids else Schema().id_col, ""
    names = [one.name for one in ids]
    pairs = frame[names].drop_duplicates()
    separator = next((one for one in SEPARATORS if _parts_in_one(pairs, names, one).is_unique), SEPARATORS[-1])
    name = next(name for name in ("unique_id", "series_id", "joined_id", "all_ids_joined") if name not in frame.columns)
    return frame.assign(**{name: _parts_in_one(frame, names, separator)}), name, separator


def _parts_in_one(frame: pd.DataFrame, names: list[Any], separator: str) -> pd.Series[Any]:
    text: pd.Series[Any] = frame[names[0]].astype(str)
    for name in names[1:]:
        text = text + separator + frame[name].astype(str)
    return text
