"""Tables of SQLite and PostgreSQL as a sink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from forecast.batch import points
from forecast.batch.form import Form
from forecast.batch.key import Publication
from forecast.batch.ledger.retry import patiently
from forecast.batch.ledger.urls import engine_for, masked, reading, writing
from forecast.batch.protocols import Confirm, Staged
from forecast.batch.sinks.postgres import PostgresSession
from forecast.batch.sinks.rows import prepared
from forecast.batch.sinks.sqlite import SqliteSession
from forecast.batch.sinks.tables import Session, Tables
from forecast.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

T = TypeVar("T")
SESSIONS: dict[str, type[SqliteSession | PostgresSession]] = {"sqlite": SqliteSession, "postgresql": PostgresSession}


class SqlSink:
    """Forecasts in the table ``table`` of the database at ``url``.

    ``TABLE`` has every version of every run (job, slot, run, then the columns of the forecasts), ``TABLE_runs`` says
    which run each slot shows, and the view ``TABLE_current`` has only those. A run comes in one transaction.

    Args:
        url: ``sqlite:///folder/file.db`` or ``postgresql://user:password@host/name``; shown nowhere with its password.
        table: its name: letters, digits and ``_``.
        patience: seconds to go on trying while the database is away or busy.
    """

    def __init__(self, url: str, table: str = "forecasts", patience: float = 60.0) -> None:
        self._tables = Tables(table)
        self.url, self.patience = url, patience
        self._engine = engine_for(url)
        if self._engine.dialect.name not in SESSIONS:
            raise ConfigError(f"{masked(url)!r}: a sink needs SQLite, PostgreSQL, DuckDB or a folder.")

    def __repr__(self) -> str:
        return f"SqlSink({masked(self.url)!r}, table={self._tables.name!r})"

    def check(self, form: Form) -> None:
        """See :meth:`forecast.batch.protocols.Sink.check`: does everything that a run would need, and undoes it."""

        def attempt() -> None:
            with self._engine.connect() as connection:  # closed without a commit
                session = _session(connection)
                self._tables.ensure(session, form)
                self._tables.probe(session)

        self._patiently(attempt)

    def stage(self, publication: Publication, form: Form, frame: pd.DataFrame) -> Staged:
        """See :meth:`forecast.batch.protocols.Sink.stage`: checks the rows, and makes tables that are missing."""
        frame = prepared(form, frame)

        def attempt() -> None:
            with writing(self._engine) as connection:
                self._tables.ensure(_session(connection), form)

        self._patiently(attempt)
        points.reached("sink.staged")
        return Staged(publication, form, frame)

    def commit(self, staged: Staged, confirm: Confirm) -> None:
        """See :meth:`forecast.batch.protocols.Sink.commit`; ``confirm`` gets the SQLAlchemy connection.

        When an answer was lost it is all done again, ``confirm`` too: it must take that.
        """

        def attempt() -> None:
            with writing(self._engine) as connection:
                self._tables.publish(_session(connection), staged)
                points.reached("sink.published")
                confirm(connection)
                points.reached("sink.confirmed")

        self._patiently(attempt)
        points.reached("sink.committed")

    def read(self, job: str, runs: Sequence[str] | None = None, between: tuple[Any, Any] | None = None) -> pd.DataFrame:
        """See :meth:`forecast.batch.protocols.Sink.read`. Raises ``StorageError`` when rows are missing."""

        def attempt() -> pd.DataFrame:
            with reading(self._engine) as connection:
                return self._tables.read(_session(connection), job, runs, between)

        return self._patiently(attempt)

    def sweep(self) -> int:
        """See :meth:`forecast.batch.protocols.Sink.sweep`: the database itself undoes what was not committed."""
        return 0

    def describe(self) -> dict[str, Any]:
        """See :meth:`forecast.batch.protocols.Sink.describe`."""
        return {"kind": "sql", "url": masked(self.url), "table": self._tables.name}

    def _patiently(self, attempt: Callable[[], T]) -> T:
        return patiently(attempt, "The sink", self.url, patience=self.patience)


def _session(connection: Connection) -> Session:
    return SESSIONS[connection.dialect.name](connection)
