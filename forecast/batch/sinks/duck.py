"""Tables of a DuckDB file as a sink."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.batch import points
from forecast.batch.form import Form
from forecast.batch.key import Publication
from forecast.batch.protocols import Confirm, Staged
from forecast.batch.sinks.columnar import frame_of, table_of
from forecast.batch.sinks.manifest import refuse_unknown
from forecast.batch.sinks.rows import prepared, together
from forecast.batch.sinks.tables import KEY, Kind, Tables
from forecast.errors import MissingExtraError, StorageError, UnreachableError, printable

if TYPE_CHECKING:
    import duckdb

POLL = 0.1  # seconds
BUSY = ("Could not set lock", "different configuration")
TYPES: Mapping[Kind, str] = {
    "name": "VARCHAR",
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "naive": "TIMESTAMP",
    "aware": "TIMESTAMP WITH TIME ZONE",
    "flag": "BOOLEAN",
}
STAGED = "forecast_staged_rows"
# DuckDB lets one process write, and keeps processes apart itself; threads of one process are kept apart by these.
_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


class DuckSession:
    """See :class:`forecast.batch.sinks.tables.Session`."""

    types = TYPES
    ending = ""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        from sqlalchemy.engine.default import DefaultDialect

        self.connection = connection
        self._preparer = DefaultDialect().identifier_preparer

    def quote(self, name: str) -> str:
        """See the protocol."""
        return self._preparer.quote_identifier(name)

    def run(self, statement: str, **values: Any) -> list[Any]:
        """See the protocol."""
        if not statement.startswith("SELECT"):
            self.connection.execute(_bound(statement), values)
            return []
        # Through Arrow: for rows of Python's own, DuckDB wants pytz as soon as there is a time zone.
        return [tuple(row.values()) for row in self._table(statement, values).to_pylist()]

    def _table(self, statement: str, values: dict[str, Any]) -> Any:
        return self.connection.sql(_bound(statement), params=values).to_arrow_table()

    def columns(self, table: str) -> dict[str, str]:
        """See the protocol."""
        here = "schema_name = current_schema() AND database_name = current_database()"
        listed = f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = :t AND {here}"
        return dict(self.run(f"{listed} ORDER BY column_index", t=table))

    def alone(self, what: str) -> None:
        """See the protocol: the sink lets one transaction at a time write the file."""

    def stamp(self, slot: datetime) -> datetime:
        """See the protocol."""
        return slot.astimezone(UTC)

    def slot_of(self, value: datetime) -> datetime:
        """See the protocol."""
        return value.astimezone(UTC)

    def time(self, value: Any) -> Any:
        """See the protocol."""
        return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value

    def insert(self, table: str, publication: Publication, frame: pd.DataFrame) -> None:
        """See the protocol."""
        self.connection.register(STAGED, table_of(frame))
        names = ", ".join(map(self.quote, frame.columns))
        key = ", ".join(map(self.quote, KEY))
        self.run(
            f"INSERT INTO {self.quote(table)} ({key}, {names}) SELECT :job, :slot, :run, {names} FROM {STAGED}",
            job=publication.job,
            slot=self.stamp(publication.slot),
            run=publication.run,
        )
        self.connection.unregister(STAGED)

    def fetch(self, statement: str, form: Form, **values: Any) -> pd.DataFrame:
        """See the protocol."""
        return frame_of(self._table(statement, values), form)


def _bound(statement: str) -> str:
    return re.sub(r":(\w+)", r"$\1", statement)


class DuckDBSink:
    """Forecasts in the table ``table`` of the DuckDB file ``path``; tables as those of :class:`.sql.SqlSink`.

    The file is open only while a run writes or reads: DuckDB lets no two processes have it at once.

    Args:
        path: the file; made when missing, its folder is not.
        table: its name: letters, digits and ``_``.
        patience: seconds to wait for another process that has the file; then ``UnreachableError``.
    """

    def __init__(self, path: str | os.PathLike[str], table: str = "forecasts", patience: float = 60.0) -> None:
        _duckdb()
        self._tables = Tables(table)
        self.path, self.patience = Path(path).absolute(), patience

    def check(self, form: Form) -> None:
        """See :meth:`forecast.batch.protocols.Sink.check`: does everything that a run would need, and undoes it."""
        with self._session() as session:
            session.run("BEGIN TRANSACTION")
            self._tables.ensure(session, form)
            self._tables.probe(session)
            session.run("ROLLBACK")

    def stage(self, publication: Publication, form: Form, frame: pd.DataFrame) -> Staged:
        """See :meth:`forecast.batch.protocols.Sink.stage`: checks the rows, and makes tables that are missing."""
        frame = prepared(form, frame)
        with self._transaction() as session:
            self._tables.ensure(session, form)
        points.reached("sink.staged")
        return Staged(publication, form, frame)

    def commit(self, staged: Staged, confirm: Confirm) -> None:
        """See :meth:`forecast.batch.protocols.Sink.commit`: one transaction, then ``confirm(None)``."""
        with self._transaction() as session:
            self._tables.publish(session, staged)
            points.reached("sink.published")
        points.reached("sink.committed")
        confirm(None)

    def read(self, job: str, runs: Sequence[str] | None = None, between: tuple[Any, Any] | None = None) -> pd.DataFrame:
        """See :meth:`forecast.batch.protocols.Sink.read`. Raises ``StorageError`` when rows are missing."""
        if not self.path.exists():
            refuse_unknown(job, list(runs or ()), set())
            return together([])
        with self._session(read_only=True) as session:
            return self._tables.read(session, job, runs, between)

    def sweep(self) -> int:
        """See :meth:`forecast.batch.protocols.Sink.sweep`: the database itself undoes what was not committed."""
        return 0

    def describe(self) -> dict[str, Any]:
        """See :meth:`forecast.batch.protocols.Sink.describe`."""
        return {"kind": "duckdb", "path": str(self.path), "table": self._tables.name}

    @contextmanager
    def _transaction(self) -> Iterator[DuckSession]:
        with self._session() as session:  # closing it undoes what was not committed
            session.run("BEGIN TRANSACTION")
            yield session
            session.run("COMMIT")

    @contextmanager
    def _session(self, read_only: bool = False) -> Iterator[DuckSession]:
        duckdb, shown = _duckdb(), printable(str(self.path), 400)
        try:
            with _locks[os.path.realpath(self.path)], self._connected(read_only) as connection:
                yield DuckSession(connection)
        except duckdb.Error as error:
            said = printable(" ".join(str(error).split()), 400)
            kind = UnreachableError if _is_busy(error) else StorageError
            raise kind(
                f"The DuckDB file {shown} failed: {said}. It must be a DuckDB file in a folder that exists, which this "
                "user may write, on a disk with room, and no other program may have it open."
            ) from error

    @contextmanager
    def _connected(self, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        duckdb = _duckdb()
        last = time.monotonic() + self.patience
        while True:
            try:
                connection = duckdb.connect(str(self.path), read_only=read_only)
                break
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if time.monotonic() > last or not _is_busy(error):
                    raise
                # Somebody in this process may have it open for writing; then it cannot be opened for reading only.
                read_only = read_only and BUSY[1] not in str(error)
                time.sleep(POLL)
        try:
            yield connection
        finally:
            connection.close()


def _is_busy(error: Exception) -> bool:
    """Whether somebody else has the file open."""
    return any(sign in str(error) for sign in BUSY)


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError('A DuckDB sink needs DuckDB: pip install "forecast[duckdb]"') from error
    return duckdb
