"""Which columns of a forecast frame belong to which model.

Of a model ``m``: ``m`` is its point forecast, ``m-lo-90`` and ``m-hi-90`` an interval, ``m-q-0.1`` a quantile,
``m-median`` and ``m-mean`` what they say, and ``m-p-1`` the probability that the actual is 1. A model's name may hold
dashes: ``m-mean`` is a model of its own where there is no column ``m``, or where columns such as ``m-mean-lo-90`` are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import pandas as pd

from forecast.errors import DataError, Fault, some

NUMBER = r"\d*\.?\d+(?:e[-+]?\d+)?"
INTERVAL = re.compile(rf"(?P<model>.+)-(?P<side>lo|hi)-(?P<level>{NUMBER})", re.DOTALL)
QUANTILE = re.compile(rf"(?P<model>.+)-q-(?P<q>{NUMBER})", re.DOTALL)
SHARE = re.compile(rf"(?P<model>.+)-p-(?P<value>-?{NUMBER})", re.DOTALL)
STATISTIC = re.compile(r"(?P<model>.+)-(?P<statistic>mean|median)", re.DOTALL)

Outcome = Literal["number", "event", "class"]


@dataclass(frozen=True)
class ModelColumns:
    """One model's columns: its name is the column of its point forecast.

    ``intervals`` maps a level as it was written ("90") to its (lower, upper) columns, ascending by level;
    ``quantiles`` maps a probability as it was written ("0.1") to its column, ascending; ``shares`` maps a value of the
    target ("1") to the column of its probability, ascending. ``mean`` and ``median`` are columns, or ``None``.
    """

    name: str
    intervals: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    quantiles: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, str] = field(default_factory=dict)
    mean: str | None = None
    median: str | None = None

    @cached_property
    def bands(self) -> dict[str, tuple[str, str]]:
        """The intervals, and those between quantiles as far from 0 as from 1: ``q-0.1`` and ``q-0.9`` make 80 %.

        Ascending by level; where a level is there as an interval, that is the one.
        """
        columns = {float(q): column for q, column in self.quantiles.items()}
        mirrored = {q: columns.get(round(1 - q, 10)) for q in columns if q < 0.5}
        levels = {q: round(100 * (1 - 2 * q), 8) for q, upper in mirrored.items() if upper is not None}
        given = {float(level) for level in self.intervals}
        found = {f"{level:g}": (columns[q], str(mirrored[q])) for q, level in levels.items() if level not in given}
        return dict(sorted({**found, **self.intervals}.items(), key=lambda item: float(item[0])))

    @cached_property
    def grid(self) -> dict[float, str]:
        """Probability -> the column of its quantile, ascending: quantiles, the median and the ends of intervals."""
        known: dict[float, str] = {}
        for level, (lower, upper) in self.intervals.items():
            tail = (1 - float(level) / 100) / 2
            known |= {round(tail, 10): lower, round(1 - tail, 10): upper}
        if self.median is not None:
            known[0.5] = self.median
        known |= {float(q): column for q, column in self.quantiles.items()}
        return dict(sorted(known.items()))

    @cached_property
    def outcome(self) -> Outcome:
        """What is forecast: numbers, whether an event happens (1 or 0), or which class comes."""
        if not self.shares:
            return "number"
        return "event" if {float(value) for value in self.shares} <= {0.0, 1.0} else "class"

    @property
    def happens(self) -> str:
        """The column of the probability of 1, of a model of events; of one without probabilities its point forecast."""
        return next((column for value, column in self.shares.items() if float(value) == 1), self.name)


def find_models(frame: pd.DataFrame, roles: Sequence[str]) -> tuple[ModelColumns, ...]:
    """The models of ``frame``, in column order; ``roles`` are the columns that are no forecasts (id, time, ...).

    Raises ``DataError`` for missing or repeated columns, columns that hold no numbers, half an interval, an interval,
    quantile or probability without its model's point forecast, and models of which some forecast events and others
    classes: every fault at once.
    """
    faults = _missing(frame, roles) or _repeated(frame)
    if faults:
        raise DataError(faults)
    columns = [column for column in frame.columns if column not in roles]
    faults = _not_numbers(frame, columns)
    owners = _owners(columns)
    points = [column for column in columns if owners.get(column) is None]
    owned: dict[str, list[str]] = {point: [] for point in points}
    for column, owner in owners.items():
        faults += _orphans(column, owner, columns, points)
        owned.setdefault(owner, []).append(column)
    models = [_model(str(point), owned[point]) for point in points]
    if not columns:
        faults.append(Fault("models", "the frame holds no forecasts", "Add one numeric column for each model."))
    faults += _mixed(models)
    if faults:
        raise DataError(faults)
    return tuple(models)


def outcome_of(models: Sequence[ModelColumns]) -> Outcome:
    """What the models of one frame forecast: numbers unless any of them has probabilities of events or classes."""
    return next((model.outcome for model in models if model.outcome != "number"), "number")


def _owners(columns: Sequence[object]) -> dict[str, str]:
    """Every column that is part of a model -> the name of that model."""
    texts = [column for column in columns if isinstance(column, str)]
    owners = {column: owner for column in texts if (owner := _owner(column)) is not None}
    others = set(texts) - set(owners)
    having = set(owners.values())
    for column in texts:
        match = STATISTIC.fullmatch(column)
        if match and column in others and match["model"] in others and column not in having:
            owners[column] = match["model"]
    return owners


def _owner(column: str) -> str | None:
    """The model that an interval, quantile or probability is part of."""
    match = INTERVAL.fullmatch(column) or QUANTILE.fullmatch(column) or SHARE.fullmatch(column)
    return match["model"] if match else None


def _model(name: str, columns: Sequence[str]) -> ModelColumns:
    rest = {column: column[len(name) + 1 :] for column in columns}
    levels = {part[3:] for part in rest.values() if part.startswith("lo-")}
    intervals = {level: (f"{name}-lo-{level}", f"{name}-hi-{level}") for level in sorted(levels, key=float)}
    statistics = {part: column for column, part in rest.items() if part in ("mean", "median")}
    return ModelColumns(name, intervals, _numbered(rest, "q-"), _numbered(rest, "p-"), **statistics)


def _numbered(rest: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Number as it was written -> column, ascending, of the columns that go on with ``prefix``."""
    found = {part[len(prefix) :]: column for column, part in rest.items() if part.startswith(prefix)}
    return {number: found[number] for number in sorted(found, key=float)}


def _orphans(column: str, owner: str, columns: Sequence[str], points: Sequence[str]) -> list[Fault]:
    """What keeps a column that is part of a model from being used."""
    if owner not in points:
        return [Fault(column, "its model has no point forecast", f"Add a column {owner!r}, or drop this one.")]
    interval, quantile = INTERVAL.fullmatch(column), QUANTILE.fullmatch(column)
    if quantile is not None and not 0 < float(quantile["q"]) < 1:
        return [Fault(column, "not a probability", "Use one between 0 and 1.")]
    if interval is None:
        return []
    other = f"{owner}-{'hi' if interval['side'] == 'lo' else 'lo'}-{interval['level']}"
    if other not in columns:
        return [Fault(column, "half an interval", f"Add a column {other!r}, or drop this one.")]
    if not 0 < float(interval["level"]) < 100:
        return [Fault(column, "its level is no percentage", "Use a level between 0 and 100.")]
    return []


def _mixed(models: Sequence[ModelColumns]) -> list[Fault]:
    """What keeps probabilities from being scored together."""
    kinds = {model.outcome: model for model in models if model.shares}
    faults = []
    if len(kinds) > 1:
        event, other = kinds["event"], kinds["class"]
        problem = f"{event.name!r} forecasts an event (0 or 1), {other.name!r} the classes {', '.join(other.shares)}"
        faults.append(Fault(next(iter(event.shares.values())), problem, "Score them in two frames."))
    for model in models:
        if len(model.shares) == 1 and float(next(iter(model.shares))) != 1:
            value, column = next(iter(model.shares.items()))
            remedy = f"Add a column '{model.name}-p-…' for every other class, or name the column of an event -p-1."
            faults.append(Fault(column, f"the probability of {value} alone", remedy))
    return faults


def _missing(frame: pd.DataFrame, roles: Sequence[str]) -> list[Fault]:
    present = some(frame.columns)
    return [
        Fault(role, f"no such column; the frame has {present}", "Rename a column, or name yours in the schema.")
        for role in roles
        if role not in frame.columns
    ]


def _repeated(frame: pd.DataFrame) -> list[Fault]:
    names = frame.columns[frame.columns.duplicated()].unique()
    return [Fault(str(name), "two columns have this name", "Rename or drop one.") for name in names]


def _not_numbers(frame: pd.DataFrame, columns: Sequence[object]) -> list[Fault]:
    faults = []
    for column in columns:
        if not isinstance(column, str):
            faults.append(Fault(str(column), "a column name that is not text", "Name the column after its model."))
            continue
        dtype = frame[column].dtype
        numeric = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)
        if not numeric or pd.api.types.is_bool_dtype(dtype):
            remedy = "Drop the column, or turn it into numbers: every further column is read as a model."
            faults.append(Fault(str(column), f"forecasts are numbers, but this is {dtype}", remedy))
    return faults
