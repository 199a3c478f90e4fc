"""The ledger's tables: made once, whole or not at all, and never those of another version."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from forecast.batch.ledger import migrations
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.migrations import MIGRATIONS
from forecast.batch.ledger.tables import metadata
from forecast.batch.ledger.urls import engine_for, reading, writing
from forecast.errors import ConfigError, StorageError
from tests.batch.ledger.conftest import Forks

TABLES = {"forecast_claims", "forecast_runs", "forecast_run_events", "forecast_migrations"}


def tables_in(url: str) -> set[str]:
    return set(inspect(engine_for(url)).get_table_names())


def run_sql(url: str, *statements: str) -> None:
    with writing(engine_for(url)) as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_the_migrations_make_the_tables_that_the_code_declares(database_url: str) -> None:
    Ledger(database_url).open()
    made = inspect(engine_for(database_url))
    assert tables_in(database_url) >= TABLES
    for table in metadata.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in made.get_columns(table.name)}
        assert columns == {column.name: column.nullable for column in table.columns}
        assert made.get_pk_constraint(table.name)["constrained_columns"] == [
            column.name for column in table.primary_key
        ]


def test_opening_again_changes_nothing(database_url: str) -> None:
    def noted() -> list[tuple[object, ...]]:
        with reading(engine_for(database_url)) as connection:
            return [tuple(row) for row in connection.execute(text("SELECT * FROM forecast_migrations"))]

    Ledger(database_url).open()
    before = noted()
    assert [row[0] for row in before] == list(range(1, len(MIGRATIONS) + 1))
    assert [row[1] for row in before] == [migration.__name__ for migration in MIGRATIONS]
    Ledger(database_url).open()
    assert noted() == before


def test_processes_that_open_an_empty_database_at_once_all_get_it(
    forks: Forks, database_url: str, tmp_path: Path
) -> None:
    pids = [forks.start(database_url, "open", gate=str(tmp_path / "gate")) for _ in range(6)]
    (tmp_path / "gate").touch()
    assert [forks.wait(pid) for pid in pids] == ["open"] * 6
    with reading(engine_for(database_url)) as connection:
        assert connection.execute(text("SELECT count(*) FROM forecast_migrations")).scalar() == len(MIGRATIONS)


def test_a_process_killed_between_two_migrations_leaves_no_half_of_a_ledger(forks: Forks, database_url: str) -> None:
    assert forks.run(database_url, "open", kill_at="ledger.migration-1") == "signal 9"
    assert tables_in(database_url) == set()
    assert forks.run(database_url, "open") == "open"
    assert tables_in(database_url) >= TABLES


def test_a_database_of_an_older_version_gets_what_it_lacks(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:1])
        Ledger(database_url)  # an older package knew the first only
        with writing(engine_for(database_url)) as connection:
            migrations._upgrade(connection, 0)
    run_sql(
        database_url,
        "INSERT INTO forecast_claims VALUES ('j', '2026-01-01 00:00:00', 7, 'n', NULL, '', 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    )
    Ledger(database_url).open()
    with reading(engine_for(database_url)) as connection:
        assert connection.execute(text("SELECT max(number) FROM forecast_migrations")).scalar() == len(MIGRATIONS)
        assert connection.execute(text("SELECT token FROM forecast_claims")).scalar() == 7


def test_a_migration_that_fails_undoes_those_before_it(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: object) -> None:
        migrations.statement(connection, "CREATE TABLE forecast_claims (x INTEGER)")  # type: ignore[arg-type]

    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(StorageError, match=r"could not go from version 0 to .*forecast_claims.* already exists"):
        Ledger(database_url).open()
    assert tables_in(database_url) == set()


def test_a_ledger_of_a_newer_version_is_left_alone(database_url: str) -> None:
    Ledger(database_url).open()
    newer = len(MIGRATIONS) + 1
    run_sql(database_url, f"INSERT INTO forecast_migrations VALUES ({newer}, 'of_tomorrow', '2030-01-01 00:00:00')")
    with pytest.raises(StorageError, match=rf"newer version of forecast: .* version {newer}, this one knows .*Upgrade"):
        Ledger(database_url).open()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (["DROP TABLE forecast_run_events"], "has lost its table forecast_run_events"),
        (["DROP TABLE forecast_migrations"], "already exists.*Nothing was changed"),
        (["ALTER TABLE forecast_runs DROP COLUMN error"], "forecast_runs .* lacks 'error'"),
        (["DELETE FROM forecast_migrations WHERE number = 1",
          "INSERT INTO forecast_migrations VALUES (2, 'x', '2026-01-01 00:00:00') ON CONFLICT DO NOTHING"],
         "has had migrations 2.*with some missing"),
    ],
)  # fmt: skip
def test_half_a_ledger_is_told_and_not_mended(database_url: str, damage: list[str], message: str) -> None:
    Ledger(database_url).open()
    run_sql(database_url, *damage)
    before = tables_in(database_url)
    with pytest.raises(StorageError, match=message):
        Ledger(database_url).open()
    assert tables_in(database_url) == before


def test_columns_that_others_added_do_no_harm(database_url: str) -> None:
    Ledger(database_url).open()
    run_sql(database_url, "ALTER TABLE forecast_runs ADD COLUMN remark TEXT")
    ledger = Ledger(database_url).open()
    assert ledger.runs().empty


def test_a_ledger_that_was_not_opened_says_what_is_missing(database_url: str) -> None:
    ledger = Ledger(database_url, patience=5)
    ledger.engine.connect().close()
    with pytest.raises(StorageError, match="forecast_runs"):
        ledger.runs()


def test_who_only_looks_makes_no_ledger(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no ledger at .* yet"):
        Ledger(database_url).open(create=False)
    assert not list(tmp_path.iterdir())
    assert tables_in(database_url) == set()
    Ledger(database_url).open()
    assert Ledger(database_url).open(create=False).runs().empty


def test_missing_folders_of_a_file_are_made(tmp_path: Path) -> None:
    Ledger(f"sqlite:///{tmp_path}/new/folder/ledger.db").open()
    assert (tmp_path / "new" / "folder" / "ledger.db").is_file()


def test_a_file_that_is_no_database_is_told_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(b"remember the milk\n" * 100)
    with pytest.raises(StorageError, match=rf"not a database.*Check that '{re.escape(str(file))}' is a SQLite"):
        Ledger(f"sqlite:///{file}").open()
    assert file.read_bytes() == b"remember the milk\n" * 100


def test_a_ledger_is_a_file_or_a_server(tmp_path: Path) -> None:
    for url in ["sqlite://", "sqlite:///:memory:"]:
        with pytest.raises(ConfigError, match="in memory is gone"):
            Ledger(url)
    with pytest.raises(ConfigError, match="lease=0"):
        Ledger(f"sqlite:///{tmp_path}/ledger.db", lease=0)


def test_a_ledger_written_in_sqlite_can_be_read_without_this_package(tmp_path: Path) -> None:
    Ledger(f"sqlite:///{tmp_path}/ledger.db").open()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    assert connection.execute("SELECT count(*) FROM forecast_runs").fetchone() == (0,)
    connection.close()
