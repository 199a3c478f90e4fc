"""How the ledger's tables came to be, step by step. A step that was released is never changed: add another.

Each step is a function of a connection and has the number of its place in :data:`MIGRATIONS`. The table
``forecast_migrations`` says which ones a database has had. All that are missing run in one transaction, so a database
has all of their changes or none, and a lock lets one process do it while the others wait.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forecast.batch.ledger.masking import masked
from forecast.batch.ledger.urls import reading, writing
from forecast.batch.points import reached
from forecast.batch.watch.migration import watch_tables
from forecast.errors import StorageError, some

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import Connection

Migration = Callable[["Connection"], None]
TABLE = "forecast_migrations"
LOCK = 4_067_115_091_833  # of PostgreSQL's advisory locks; any number, but always this one
TYPES = {
    "sqlite": {"moment": "DATETIME", "double": "FLOAT"},
    "postgresql": {"moment": "TIMESTAMP WITH TIME ZONE", "double": "DOUBLE PRECISION"},
}


def statement(connection: Connection, sql: str) -> None:
    """Run ``sql`` with ``{moment}`` and ``{double}`` replaced by what the database calls these types."""
    connection.exec_driver_sql(sql.format(**TYPES[connection.dialect.name]))


def first_tables(connection: Connection) -> None:
    """Claims on slots, runs, and what happened to each run."""
    statement(
        connection,
        """CREATE TABLE forecast_claims (
            job TEXT NOT NULL, slot {moment} NOT NULL, token BIGINT NOT NULL CHECK (token > 0), nonce TEXT NOT NULL,
            owner TEXT, process TEXT NOT NULL, lease {double} NOT NULL CHECK (lease > 0),
            claimed_at {moment} NOT NULL, heartbeat {moment} NOT NULL,
            PRIMARY KEY (job, slot))""",
    )
    statement(
        connection,
        """CREATE TABLE forecast_runs (
            run TEXT NOT NULL PRIMARY KEY, job TEXT NOT NULL, slot {moment} NOT NULL,
            version INTEGER NOT NULL CHECK (version > 0), repeat INTEGER NOT NULL CHECK (repeat > 0),
            cutoff TEXT NOT NULL, data_hash TEXT NOT NULL, model_hash TEXT NOT NULL, config_hash TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('planned', 'computed', 'staged', 'committed', 'failed')),
            token BIGINT NOT NULL, owner TEXT NOT NULL, planned_at {moment} NOT NULL, computed_at {moment},
            staged_at {moment}, committed_at {moment}, failed_at {moment},
            counts TEXT NOT NULL, facts TEXT NOT NULL, error TEXT,
            CHECK ((state = 'committed') = (committed_at IS NOT NULL)),
            UNIQUE (job, slot, version),
            UNIQUE (job, slot, data_hash, model_hash, config_hash, repeat),
            FOREIGN KEY (job, slot) REFERENCES forecast_claims (job, slot))""",
    )
    statement(
        connection,
        """CREATE TABLE forecast_run_events (
            run TEXT NOT NULL REFERENCES forecast_runs (run), token BIGINT NOT NULL, state TEXT NOT NULL,
            owner TEXT NOT NULL, at {moment} NOT NULL, seconds {double}, note TEXT,
            PRIMARY KEY (run, token, state))""",
    )


def skipped_slots(connection: Connection) -> None:
    """Slots that a scheduler left out, and why."""
    statement(
        connection,
        """CREATE TABLE forecast_skipped (
            job TEXT NOT NULL, slot {moment} NOT NULL, reason TEXT NOT NULL, noted_at {moment} NOT NULL,
            PRIMARY KEY (job, slot))""",
    )


MIGRATIONS: tuple[Migration, ...] = (first_tables, watch_tables, skipped_slots)


def migrate(engine: Engine, *, create: bool = True) -> None:
    """Bring the database of ``engine`` to the latest version; does nothing, and writes nothing, when it is there.

    Raises ``StorageError`` for a database of a newer version, or whose tables are not what its version says; without
    ``create`` also for one that has no ledger.
    """
    from sqlalchemy.exc import DBAPIError

    from forecast.batch.ledger.retry import is_transient

    with reading(engine) as connection:
        done = _version(connection)
        if done == len(MIGRATIONS):
            _verify(connection)
            return
    if done == 0 and not create:
        raise StorageError(f"There is no ledger at {_where(engine)} yet: the first run of a job makes it.")
    reached("ledger.before-migrate")
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        done = _version(connection)
        try:
            _upgrade(connection, done)
        except DBAPIError as error:
            if is_transient(error):
                raise
            said = " ".join(masked(str(error.orig)).split())
            raise StorageError(
                f"The ledger at {_where(engine)} could not go from version {done} to {len(MIGRATIONS)}: {said}. "
                "Nothing was changed. If tables of half a ledger are left from elsewhere, restore the rest or "
                "use an empty database."
            ) from None
        _verify(connection)
    reached("ledger.after-migrate")


def _version(connection: Connection) -> int:
    from sqlalchemy import inspect

    if not inspect(connection).has_table(TABLE):
        return 0
    numbers = sorted(row[0] for row in connection.exec_driver_sql(f"SELECT number FROM {TABLE}"))
    if numbers and numbers[-1] > len(MIGRATIONS):
        raise StorageError(
            f"The ledger at {_where(connection.engine)} was made by a newer version of forecast: its tables have "
            f"version {numbers[-1]}, this one knows {len(MIGRATIONS)}. Upgrade forecast, or use another database."
        )
    if numbers != list(range(1, len(numbers) + 1)):
        raise StorageError(
            f"The ledger at {_where(connection.engine)} has had migrations {some(numbers)}, with some missing between: "
            "it was put together by hand or restored in part. Restore it whole."
        )
    return len(numbers)


def _upgrade(connection: Connection, done: int) -> None:
    from forecast.batch.ledger.tables import migrations

    if done == 0:
        statement(
            connection,
            f"CREATE TABLE IF NOT EXISTS {TABLE} (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, "
            "applied_at {moment} NOT NULL)",
        )
    for number, migration in enumerate(MIGRATIONS[done:], done + 1):
        migration(connection)
        row = {"number": number, "name": migration.__name__, "applied_at": datetime.now(UTC)}
        connection.execute(migrations.insert(), row)
        reached(f"ledger.migration-{number}")


def _verify(connection: Connection) -> None:
    """Before anything relies on it: the columns that this version reads and writes are there."""
    from sqlalchemy import inspect

    from forecast.batch.ledger.tables import metadata

    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        if not inspector.has_table(table.name):
            raise StorageError(
                f"The ledger at {_where(connection.engine)} has lost its table {table.name}. Restore it."
            )
        missing = {column.name for column in table.columns} - {c["name"] for c in inspector.get_columns(table.name)}
        if missing:
            raise StorageError(
                f"Table {table.name} of the ledger at {_where(connection.engine)} lacks {some(sorted(missing))}: "
                "somebody changed it. Restore these columns, or use another database."
            )


def _where(engine: Engine) -> str:
    return masked(engine.url.render_as_string(hide_password=True))
