"""Which columns of a forecast frame belong to which model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from forecast.errors import DataError, Fault, some

NUMBER = r"\d*\.?\d+(?:e[-+]?\d+)?"
INTERVAL = re.compile(rf"(?P<model>.+)-(?P<side>lo|hi)-(?P<level>{NUMBER})", re.DOTALL)
QUANTILE = re.compile(rf"(?P<model>.+)-q-(?P<q>{NUMBER})", re.DOTALL)


@dataclass(frozen=True)
class ModelColumns:
    """One model's columns: its name is the column of its point forecast.

    ``intervals`` maps a level as it was written ("90") to its (lower, upper) columns, ascending by level;
    ``quantiles`` maps a probability as it was written ("0.1") to its column, ascending.
    """

    name: str
    intervals: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    quantiles: Mapping[str, str] = field(default_factory=dict)


def find_models(frame: pd.DataFrame, roles: Sequence[str]) -> tuple[ModelColumns, ...]:
    """The models of ``frame``, in column order; ``roles`` are the columns that are no forecasts (id, time, ...).

    Raises ``DataError`` for missing or repeated columns, columns that hold no numbers, half an interval, and an
    interval or quantile without its model's point forecast: every fault at once.
    """
    faults = _missing(frame, roles) or _repeated(frame)
    if faults:
        raise DataError(faults)
    columns = [column for column in frame.columns if column not in roles]
    faults = _not_numbers(frame, columns)
    points = [column for column in columns if _owner(column) is None]
    models = [ModelColumns(str(name), _intervals(name, columns), _quantiles(name, columns)) for name in points]
    for column in columns:
        faults += _orphans(column, columns, points)
    if not columns:
        faults.append(Fault("models", "the frame holds no forecasts", "Add one numeric column for each model."))
    if faults:
        raise DataError(faults)
    return tuple(models)


def _owner(column: object) -> str | None:
    """The model that an interval or quantile column is part of; ``None`` for a point forecast."""
    match = (INTERVAL.fullmatch(column) or QUANTILE.fullmatch(column)) if isinstance(column, str) else None
    return match["model"] if match else None


def _intervals(model: str, columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    matches = (INTERVAL.fullmatch(column) for column in columns if _owner(column) == model)
    levels = {match["level"] for match in matches if match}
    return {level: (f"{model}-lo-{level}", f"{model}-hi-{level}") for level in sorted(levels, key=float)}


def _quantiles(model: str, columns: Sequence[str]) -> dict[str, str]:
    matches = (QUANTILE.fullmatch(column) for column in columns if _owner(column) == model)
    probabilities = {match["q"]: match[0] for match in matches if match}
    return {q: probabilities[q] for q in sorted(probabilities, key=float)}


def _orphans(column: str, columns: Sequence[str], points: Sequence[str]) -> list[Fault]:
    """What keeps an interval or quantile column from being used."""
    owner = _owner(column)
    if owner is None:
        return []
    if owner not in points:
        return [Fault(column, "its model has no point forecast", f"Add a column {owner!r}, or drop this one.")]
    interval = INTERVAL.fullmatch(column)
    if interval is None:
        probable = 0 < float(column[len(owner) + len("-q-") :]) < 1
        return [] if probable else [Fault(column, "not a probability", "Use one between 0 and 1.")]
    other = f"{owner}-{'hi' if interval['side'] == 'lo' else 'lo'}-{interval['level']}"
    if other not in columns:
        return [Fault(column, "half an interval", f"Add a column {other!r}, or drop this one.")]
    if not 0 < float(interval["level"]) < 100:
        return [Fault(column, "its level is no percentage", "Use a level between 0 and 100.")]
    return []


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
