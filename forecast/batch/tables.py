"""Rows from a database query."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.batch.ledger.urls import engine_for, masked, sqlite_file, url_for
from forecast.batch.points import reached
from forecast.batch.source import joined, persistently, with_zone
from forecast.errors import ConfigError, StorageError, printable, some
from forecast.schema import Schema

if TYPE_CHECKING:
    from sqlalchemy import Engine, TextClause
    from sqlalchemy.exc import SQLAlchemyError

CHUNK = 250_000  # rows held as Python objects at a time
AS_OF = "as_of"
PASSING_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PROTOCOL")


class _Passing(Exception):
    """A failure of the database that may be over in a moment."""


@dataclass(frozen=True)
class QuerySource:
    """The rows of an SQL query, read in one read-only transaction.

    ``:as_of`` in the query is the slot of the run: with a zone (UTC) in PostgreSQL; elsewhere, in SQLite too, the UTC
    time without one, written ``2026-01-31 06:00:00.000000``. Other ``:names`` are bound from ``params``, never
    pasted into the text; a colon that is none of them is written ``\\:``. Say ORDER BY where rows may be doubled, so
    that their order is the same each time.

    Args:
        url: the database: ``sqlite:///folder/file.db``, ``postgresql://user@host/name`` …
        query: one SELECT.
        params: values of its ``:names``.
        schema: what the columns are called.
        zone: times that the database gives with an offset from UTC are read in this zone: a database keeps none.
        patience: seconds to go on trying while it cannot be reached or is locked.

    Raises ``ConfigError`` for a url that cannot be used and for names without a value.
    """

    url: str = field(repr=False)
    query: str
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    schema: Schema = Schema()
    zone: str = "UTC"
    patience: float = 60.0

    def __post_init__(self) -> None:
        url_for(self.url)
        object.__setattr__(self, "params", dict(self.params))
        names = set(self._names())
        if AS_OF in self.params:
            raise ConfigError(f"params: {AS_OF} is the slot of the run; give the parameter another name.")
        lacking, idle = sorted(names - {AS_OF} - set(self.params)), sorted(set(self.params) - names)
        if lacking or idle:
            problem = f"has no value for {some(lacking)}" if lacking else f"does not use {some(idle)}"
            raise ConfigError(f"The query {problem}. Its :names and params must agree; write \\: for a plain colon.")

    def read(self, as_of: datetime) -> pd.DataFrame:
        """The rows that the query returns now.

        Raises ``StorageError``, which never shows a password, when the database cannot be reached for ``patience``
        seconds or refuses the query.
        """
        file = sqlite_file(self.url)
        engine = engine_for(self.url, read_only=True)

        def attempt() -> pd.DataFrame:
            if file is not None and not file.is_file():  # connecting would make an empty one
                raise _Passing(f"there is no file {printable(str(file), 300)}")
            return self._rows(engine, as_of)

        try:
            return persistently(attempt, (_Passing,), self.patience)
        except _Passing as error:
            problem = f"{masked(self.url)} could not be read for {self.patience:g} s: {masked(str(error))}"
            # From None: what the driver says may quote the address, password and all.
            raise StorageError(f"{problem}. Check that the database is up and reachable.") from None
        finally:
            engine.dispose()

    def describe(self) -> dict[str, Any]:
        """Plain facts for the ledger and the hash of the settings; of the parameters only a digest."""
        values = json.dumps(sorted((name, repr(value)) for name, value in self.params.items()))
        digest = hashlib.sha256(values.encode()).hexdigest()[:16]
        return {"kind": "query", "url": masked(self.url), "query": self.query, "params": digest, "zone": self.zone}

    def _statement(self) -> TextClause:
        from sqlalchemy import DateTime, bindparam, text

        statement = text(self.query)
        if AS_OF in self._names():
            statement = statement.bindparams(bindparam(AS_OF, type_=DateTime(timezone=True)))
        # The server hands the rows over in portions: all at once they would take several times the room of the frame.
        return statement.execution_options(stream_results=True)

    def _names(self) -> list[str]:
        from sqlalchemy import text

        return list(text(self.query).compile().params)

    def _rows(self, engine: Engine, as_of: datetime) -> pd.DataFrame:
        from sqlalchemy.exc import SQLAlchemyError

        values = dict(self.params)
        if AS_OF in self._names():
            values[AS_OF] = as_of.astimezone(UTC)
        try:
            with engine.connect() as connection, closing(connection.execute(self._statement(), values)) as result:
                names, chunks = list(result.keys()), []
                while rows := result.fetchmany(CHUNK):
                    reached("source.chunk")
                    chunks.append(pd.DataFrame.from_records(list(map(tuple, rows)), columns=names, coerce_float=True))
        except SQLAlchemyError as error:
            raise self._failure(error) from None
        return with_zone(joined(chunks or [pd.DataFrame(columns=names)]), self.schema, self.zone)

    def _failure(self, error: SQLAlchemyError) -> Exception:
        """The error to raise: one that may pass, or the end."""
        from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

        origin = error.orig if isinstance(error, DBAPIError) else error
        said = printable(str(origin), 300)
        passing = isinstance(error, (OperationalError, InterfaceError))
        passing = passing or (isinstance(error, DBAPIError) and error.connection_invalidated)
        code = getattr(origin, "sqlite_errorname", None)
        if passing and (code is None or code.startswith(PASSING_SQLITE)):
            return _Passing(said)
        return StorageError(f"{masked(self.url)} refuses the query: {masked(said)}. Correct the query of the source.")
