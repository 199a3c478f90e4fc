"""Database URLs: engines for them, and texts about them that never tell a password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecast.batch.ledger.masking import HIDDEN, is_secret_name, masked, remember
from forecast.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.engine import Connection
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

__all__ = ["engine_for", "is_sqlite", "masked", "reading", "same_database", "sqlite_file", "url_for", "writing"]

BUSY_SECONDS = 5.0  # that SQLite itself waits for another writer, before our own retries
LOCK_SECONDS = 30  # that PostgreSQL waits for a row or table held by another transaction
IDLE_SECONDS = 120  # that PostgreSQL lets a client that stopped in a writing transaction hold its locks
BRIEF_SECONDS = 15  # the same for transactions of a few statements: the execution option idle_seconds
CONNECT_SECONDS = 10
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
# A server that went away without a word is noticed within about a minute, not after libpq's two hours.
POSTGRES = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "forecast",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def url_for(url: str | URL) -> URL:
    """``url`` as SQLAlchemy's, with the driver this package uses; passwords among its options become *the* password.

    Raises ``ConfigError``, which shows no password, for what is not a URL of a database that stays.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError, TypeError):
        # From None: the error of a wrong port quotes what stands behind the colon, which may be a password.
        raise ConfigError(
            f"{_shown(str(url))!r} is not the URL of a database. Write sqlite:///folder/file.db or "
            "postgresql://user:password@host:5432/name, with any of @ : / ? # % in a password percent-encoded."
        ) from None
    for password in (parsed.password, _parts(str(url))[1]):  # decoded, and as it is written
        remember(password)
    if parsed.host is not None and "@" in parsed.host:
        raise ConfigError(f"{_shown(str(url))!r}: write an @ within user name or password as %40.")
    parsed = parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigError("A SQLite database in memory is gone with the run. Name a file: sqlite:///folder/file.db.")
    return _with_one_password(parsed)


def engine_for(url: str, *, read_only: bool = False) -> Engine:
    """A SQLAlchemy engine for ``url``; nothing is opened yet. ``postgresql://`` means psycopg 3.

    Every transaction has a connection of its own, closed with it: none can be stale, none is left open, and forks
    and threads share none. Statements in errors come without their values.

    SQLite: write-ahead log, foreign keys, full synchronization, 5 s of waiting for another writer (``?timeout=``
    changes it), and transactions that lock at their start, so that none fails in its middle for want of the lock
    (read with :func:`reading`, which does not lock).
    PostgreSQL: dead servers are noticed, a lock is waited for no longer than 30 s, and who stops in the middle of a
    writing transaction is thrown out after two minutes.

    ``read_only`` is for databases of others: it refuses writes, leaves the journal as it is, and reads one snapshot.

    Raises ``ConfigError`` for what is no URL, ``MissingExtraError`` without the driver.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.pool import NullPool

    parsed = url_for(url)
    backend = parsed.get_backend_name()
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if read_only and backend == "postgresql" else {}
    try:
        engine = create_engine(
            _without_secret_options(parsed),
            poolclass=NullPool,
            hide_parameters=True,
            connect_args=_arguments(parsed, backend),
            **options,
        )
    except NoSuchModuleError:
        raise ConfigError(f"{masked(url)!r}: SQLAlchemy knows no database of this kind.") from None
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{masked(url)!r} needs the package {error.name}: {_remedy(backend)}.") from None
    if backend == "sqlite":
        event.listen(engine, "connect", _prepare_readonly_sqlite if read_only else _prepare_sqlite)
        event.listen(engine, "begin", _begin_deferred if read_only else _begin_immediate)
    elif backend == "postgresql":
        event.listen(engine, "begin", _limit_waiting)
        if read_only:
            engine = engine.execution_options(postgresql_readonly=True)
    return engine


def is_sqlite(url: str) -> bool:
    """Whether ``url`` names a SQLite file."""
    return url_for(url).get_backend_name() == "sqlite"


def sqlite_file(url: str | URL) -> Path | None:
    """The file of a SQLite URL, absolute; ``None`` for other databases and for SQLite's own ``file:`` URIs."""
    parsed = url_for(url)
    name = parsed.database or ""
    if parsed.get_backend_name() != "sqlite" or name.startswith("file:"):
        return None
    return Path(os.path.realpath(name))


def same_database(first: str | URL, second: str | URL) -> bool:
    """Whether one transaction can hold rows of both: same server, port, database, user and options, or same file.

    ``False`` is the answer in doubt (one host under two names): two transactions are right then, too.
    """
    files = sqlite_file(first), sqlite_file(second)
    if files[0] is not None or files[1] is not None:
        return files[0] == files[1]
    left, right = url_for(first), url_for(second)
    return _address(left) == _address(right)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that writes; committed at the end, undone by an exception."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one snapshot, stops no writer and, on SQLite, is stopped by none."""
    options: dict[str, Any] = {"reading": True}
    if engine.dialect.name == "postgresql":
        options |= {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    with engine.execution_options(**options).begin() as connection:
        yield connection


def _parts(text: str) -> tuple[str, str, str]:
    """What stands before the password, the password as it is written (all up to the last @), and what follows."""
    head, _, rest = text.rpartition("@")
    scheme, sign, user = head.rpartition("://")
    name, _, password = user.partition(":")
    return f"{scheme}{sign}{name}" if sign else "", password if sign else head, rest


def _shown(text: str) -> str:
    """What may not be a URL, before an error shows it."""
    before, password, rest = _parts(text)
    return masked(text) if "@" not in text else f"{before}:{HIDDEN}@{masked(rest)}" if password else text


def _address(url: URL) -> tuple[Any, ...]:
    port = url.port or (5432 if url.get_backend_name() == "postgresql" else None)
    options = tuple(sorted((name, value) for name, value in url.query.items() if name in ("host", "port", "options")))
    return url.drivername, url.host, port, url.database, url.username, options


def _with_one_password(url: URL) -> URL:
    """SQLAlchemy hides the password of a URL, but not one among the options behind the ``?``."""
    for name, value in url.query.items():
        if is_secret_name(name):
            for text in [value] if isinstance(value, str) else value:
                remember(text)
    given = url.query.get("password")
    if url.password is None and isinstance(given, str):
        return url.difference_update_query(["password"]).set(password=given)
    return url


def _without_secret_options(url: URL) -> URL:
    return url.difference_update_query([name for name in url.query if is_secret_name(name)])


def _arguments(url: URL, backend: str) -> dict[str, Any]:
    secret = {name: value for name, value in url.query.items() if is_secret_name(name)}
    if backend == "sqlite":
        return {} if "timeout" in url.query else {"timeout": BUSY_SECONDS}
    if backend == "postgresql":
        return {**{name: value for name, value in POSTGRES.items() if name not in url.query}, **secret}
    return secret


def _remedy(backend: str) -> str:
    return 'pip install "forecast[postgres]"' if backend == "postgresql" else "install it beside forecast"


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # None: the driver opens no transactions behind our back, so tables change within ours.
    connection.isolation_level = None
    cursor = connection.cursor()
    mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _prepare_readonly_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _limit_waiting(connection: Connection) -> None:
    options = connection.get_execution_options()
    reads = options.get("postgresql_readonly", False)
    idle = 0 if reads else options.get("idle_seconds", IDLE_SECONDS)
    limits = {"lock_timeout": LOCK_SECONDS, "idle_in_transaction_session_timeout": idle}
    settings = ", ".join(f"set_config('{name}', '{seconds}s', true)" for name, seconds in limits.items())
    connection.exec_driver_sql(f"SELECT {settings}")
