"""What is known of any time because it is a time: calendar features, holidays and functions of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError, DataError, Fault, printable, some
from forecast.panel.calendar_features import (
    AUTO,
    FEATURES,
    PREFIX,
    calendar_features,
    check_names,
    feature_names,
    seldom,
)
from forecast.panel.clock import YEAR, distinct, step_size
from forecast.panel.covariates import Column, Covariates, Labels
from forecast.panel.encoding import labels_in_use
from forecast.panel.holiday_features import COUNT, IS, NAME, SINCE, TO, holiday_features, holiday_features_of
from forecast.panel.holidays import Place, find_place
from forecast.panel.known import Known
from forecast.panel.panel import Panel
from forecast.panel.spans import offsets_of
from forecast.panel.time_functions import TimeFunction, check_functions, function_features
from forecast.schema import Schema
from forecast.timeline import Timeline

Int = npt.NDArray[np.int64]
OWN_NAMES = {*FEATURES, *(name.removeprefix(PREFIX) for name in (COUNT, IS, NAME, SINCE, TO))}


@dataclass(frozen=True)
class Calendar:
    """Which columns of time a panel gets, as plain values. The functions themselves come with each call.

    Attributes:
        features: ``"auto"`` for the calendar features that suit the frequency, a list of their names (see
            :data:`~forecast.panel.calendar_features.FEATURES`), or ``None``.
        holidays: country, subdivision or stock exchange whose holidays count for every series: ``"DE"``, ``"DE-BY"``,
            ``"XNYS"``.
        holidays_col: a static feature, or a column known into the future, that names the place of each series instead.
        functions: names of functions of time.

    Raises ``ConfigError`` for a feature or place that is not known and for names that clash.
    """

    features: str | tuple[str, ...] | None = None
    holidays: str | None = None
    holidays_col: str | None = None
    functions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.features is not None and self.features != AUTO:
            object.__setattr__(self, "features", check_names(self.features))
        for name, value in (("holidays", self.holidays), ("holidays_col", self.holidays_col)):
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"{name}={printable(value)} must be text.")
        if self.holidays is not None and self.holidays_col is not None:
            raise ConfigError(
                f"holidays={self.holidays!r} and holidays_col={self.holidays_col!r}: give one of the two, a place for "
                "all series or the column that names the place of each."
            )
        if self.holidays is not None:
            find_place(self.holidays)
        functions: Any = self.functions
        if not isinstance(functions, (list, tuple)) or not all(isinstance(name, str) and name for name in functions):
            raise ConfigError(f"names of functions of time must be text, got {printable(functions)}.")
        taken = sorted(OWN_NAMES & set(functions))
        if taken or len(set(functions)) < len(functions):
            raise ConfigError(
                f"time_features: {some(taken or functions)} is a calendar feature's name. Choose another."
            )
        object.__setattr__(self, "functions", tuple(functions))

    def __bool__(self) -> bool:
        return self != Calendar()

    def check(self, timeline: Timeline) -> None:
        """Raise ``ConfigError`` when the features cannot be had on this grid: integer time, steps too long."""
        if self.features is not None:
            feature_names(timeline, self.features)
        if self.holidays is not None or self.holidays_col is not None:
            step_size(timeline)

    def covariates(
        self,
        timeline: Timeline,
        first: Int,
        lengths: Int,
        *,
        places: Labels | None = None,
        functions: Mapping[str, TimeFunction] | None = None,
    ) -> Covariates | None:
        """The columns for series that begin at ordinals ``first`` (S,) and have ``lengths`` (S,) steps: a row for each.

        Each is worked out once for each step, whatever the number of series. ``places`` (R,) says where each row lies,
        for ``holidays_col``; ``functions`` has those called :attr:`functions`. ``None`` where nothing was asked for.

        Raises ``ConfigError`` for functions that are missing or do not do, and for integer time.
        """
        if self.holidays_col is not None and places is None:
            raise ConfigError(f"holidays_col={self.holidays_col!r}: nothing says where the rows lie.")
        ordinals, rows = distinct(first, lengths)
        columns: list[Column] = []
        if self.features is not None:
            columns += calendar_features(timeline, ordinals, self.features)
        if self.holidays is not None:
            columns += holiday_features(timeline, ordinals, find_place(self.holidays)).columns
        columns += function_features(timeline, ordinals, check_functions(functions, self.functions))
        spread = Covariates(tuple(columns)).take(rows).columns if columns else ()
        if places is not None:
            known, of = _numbered(places)
            spread += holiday_features_of(timeline, ordinals, rows, known, of).columns
        return Covariates(spread) if spread else None


def calendar_of(schema: Schema) -> Calendar:
    """The calendar that a schema asks for. Raises ``ConfigError`` for what cannot be."""
    return Calendar(schema.calendar, schema.holidays, schema.holidays_col, schema.time_features)


def with_calendar(panel: Panel, h: int, functions: Mapping[str, TimeFunction] | None = None) -> Panel:
    """The panel as models see it: what its schema's calendar asks for is among what is known into the future, up to
    ``h`` steps after the last row of each series.

    Panels themselves hold nothing that time alone tells. These columns depend on time (and on the place of a series)
    alone, so they may be added before or after anything is cut. ``functions`` has those that the schema names.

    Raises ``ConfigError`` when a column of the user's has one of their names or ``holidays_col`` cannot be found, and
    ``DataError`` naming every series that lies in a place that is not known.
    """
    calendar = calendar_of(panel.schema)
    if not calendar:
        return panel
    known, first, lengths = _reach(panel, h)
    places = None if calendar.holidays_col is None else _place_column(panel, known, calendar.holidays_col, lengths)
    if places is not None:
        _check_places(places, panel, np.repeat(np.arange(len(panel)), lengths))
    added = calendar.covariates(panel.timeline, first, lengths, places=places, functions=functions)
    if added is None:
        return panel
    others = [c.names for c in (panel.static, panel.hist, panel.futr) if c is not None]
    clash = sorted(set(added.names) & {name for names in others for name in names})
    if clash:
        raise ConfigError(f"{some(clash)} is a column of the data and one made from time, too. Rename the data's.")
    if known is not None:
        return replace(panel, futr=known.beside(added))
    return replace(panel, futr=Known(added, offsets_of(lengths), first))


def _reach(panel: Panel, h: int) -> tuple[Known | None, Int, Int]:
    """Ordinals that every series needs: its rows, ``h`` steps more, and all that is known of it already."""
    first, last = panel.first, panel.last + h
    if panel.futr is None:
        return None, first, last - first + 1
    empty = panel.futr.lengths == 0
    first = np.where(empty, first, np.minimum(first, panel.futr.first))
    last = np.where(empty, last, np.maximum(last, panel.futr.last))
    return panel.futr.between(first, last - first + 1), first, last - first + 1


def _place_column(panel: Panel, known: Known | None, name: str, lengths: Int) -> Labels:
    """Where each row lies, from a static feature or from what is known into the future."""
    tables: list[tuple[Covariates, Int | None]] = []
    if panel.static is not None:
        tables.append((panel.static, np.repeat(np.arange(len(panel), dtype=np.int64), lengths)))
    if known is not None:
        tables.append((known.covariates, None))
    for table, rows in tables:
        if name not in table.names:
            continue
        column = table.column(name)
        if not isinstance(column, Labels):
            raise ConfigError(f"holidays_col={name!r} holds numbers: give codes of countries, such as 'DE'.")
        return column if rows is None else column.take(rows)
    have = [column for table, _ in tables for column in table.names]
    raise ConfigError(
        f"holidays_col={name!r} is neither a static feature nor known into the future (there {'are' if have else 'is'} "
        f"{some(have) or 'nothing of the kind'}). Name it in stat_exog or futr_exog, or give it in static_df."
    )


def _check_places(places: Labels, panel: Panel, series: Int) -> None:
    """Raise ``DataError`` naming the first series of every place that is not known."""
    faults = []
    for label in labels_in_use(places):
        try:
            find_place(label)
        except ConfigError as error:
            row = int(np.argmax(places.codes == places.labels.index(label)))
            problem, _, remedy = str(error).partition(". ")
            faults.append(Fault(places.name, problem, remedy, panel.ids[series[row]]))
    if faults:
        raise DataError(faults)


def _numbered(column: Labels) -> tuple[Sequence[Place], Int]:
    """The places in use, each once, and the one of each row (R,), -1 where missing."""
    used = labels_in_use(column)
    found = {label: find_place(label) for label in used}
    places = tuple(dict.fromkeys(found.values()))
    number = {place: at for at, place in enumerate(places)}
    of = np.array([number[found[label]] if label in found else -1 for label in column.labels] + [-1], dtype=np.int64)
    return places, of[column.codes]


def unproven(panel: Panel) -> frozenset[str]:
    """Columns of time that the rows of ``panel``, those trained on, are too few to learn from: what ``"auto"`` brought
    and comes round too seldom; before the second year the names of holidays and the days around them, which until then
    tell one week from the others and no more (taxi, November: 15 % worse on ordinary days)."""
    if panel.timeline.kind == "step":
        return frozenset()
    longest = int(panel.lengths.max(initial=0))
    names = set(seldom(panel.timeline, longest)) if panel.schema.calendar == AUTO else set()
    if longest * step_size(panel.timeline) < 2 * YEAR:
        names |= {NAME, SINCE, TO}
    return frozenset(names)
