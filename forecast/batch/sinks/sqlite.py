"""Forecasts in a SQLite file: stamps as text that sorts, aware ones in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd

from forecast.batch import points
from forecast.batch.form import Form
from forecast.batch.key import Publication
from forecast.batch.sinks.alchemy import AlchemySession
from forecast.batch.sinks.tables import KEY, Kind

CHUNK = 50_000  # rows
TYPES: Mapping[Kind, str] = {
    "name": "TEXT",
    "text": "TEXT",
    "integer": "INTEGER",
    "number": "REAL",
    "naive": "TEXT",
    "aware": "TEXT",
    "flag": "INTEGER",
}


class SqliteSession(AlchemySession):
    """See :class:`forecast.batch.sinks.tables.Session`."""

    types = TYPES
    ending = ""

    def columns(self, table: str) -> dict[str, str]:
        """See the protocol."""
        return {
            str(name): str(kind) for name, kind in self.run("SELECT name, type FROM pragma_table_info(:t)", t=table)
        }

    def alone(self, what: str) -> None:
        """See the protocol: a SQLite transaction that writes is alone from its start."""

    def stamp(self, slot: datetime) -> str:
        """See the protocol."""
        return f"{slot.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'microseconds')}Z"

    def slot_of(self, value: str) -> datetime:
        """See the protocol."""
        return datetime.fromisoformat(value)

    def time(self, value: Any) -> Any:
        """See the protocol."""
        return _values(pd.Series([value]))[0]

    def insert(self, table: str, publication: Publication, frame: pd.DataFrame) -> None:
        """See the protocol."""
        names = [*KEY, *frame.columns]
        places = ", ".join("?" * len(names))
        statement = f"INSERT INTO {self.quote(table)} ({', '.join(map(self.quote, names))}) VALUES ({places})"
        key = [repeat(value) for value in (publication.job, self.stamp(publication.slot), publication.run)]
        with self.driver() as driver:
            for start in range(0, len(frame), CHUNK):
                piece = frame.iloc[start : start + CHUNK]
                driver.executemany(statement, zip(*key, *(_values(piece[name]) for name in piece), strict=False))
                points.reached("sink.rows.chunk")

    def fetch(self, statement: str, form: Form, **values: Any) -> pd.DataFrame:
        """See the protocol."""
        with self.driver() as driver:
            cursor = driver.execute(statement, values)
            pieces = [_frame(rows, form) for rows in iter(lambda: cursor.fetchmany(CHUNK), [])]
        return pd.concat(pieces, ignore_index=True) if pieces else _frame([], form)


def _values(column: pd.Series[Any]) -> list[Any]:
    """Plain values to bind; the driver makes NaN null."""
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column.tolist()
    aware = isinstance(column.dtype, pd.DatetimeTZDtype)
    stamps = column.dt.tz_convert("UTC").dt.tz_localize(None) if aware else column
    codes, uniques = pd.factorize(stamps.to_numpy())  # a few stamps stand in many rows
    texts = np.datetime_as_string(uniques.astype("datetime64[us]"), unit="us")
    named = [text.replace("T", " ") + ("Z" if aware else "") for text in texts.tolist()]
    return [named[code] for code in codes.tolist()]


def _frame(rows: list[Any], form: Form) -> pd.DataFrame:
    values = list(zip(*rows, strict=True)) if rows else [()] * len(form.columns)
    data = {name: _column(column, name, form) for name, column in zip(form.columns, values, strict=True)}
    return form.conform(pd.DataFrame(data))


def _column(values: tuple[Any, ...], name: str, form: Form) -> Any:
    if name in form.outputs:
        return np.array(values, dtype=np.float64)
    if name == "step" or (name == "unique_id" and form.ids == "integer"):
        return np.array(values, dtype=np.int64)
    if name not in ("cutoff", "ds"):
        return pd.array(values, dtype="str")
    if form.times == "integer":
        return np.array(values, dtype=np.int64)
    codes, uniques = pd.factorize(np.array(values, dtype=object))
    stamps = np.array([text.rstrip("Z") for text in uniques], dtype="datetime64[us]")
    return stamps[codes] if len(codes) else np.array([], dtype="datetime64[us]")
