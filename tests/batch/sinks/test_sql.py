"""What is special about databases: one transaction, tables that others changed, servers that go away."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from sqlalchemy import text

from forecast.batch import points
from forecast.batch.ledger.urls import engine_for, reading, writing
from forecast.batch.sinks import DuckDBSink, SqlSink
from forecast.errors import ConfigError, FencedError, StorageError, UnreachableError
from tests.batch.proxy import Proxy
from tests.batch.publications import FORM, expected, frame, publication, publish, sink_of

A, B = "a" * 16, "b" * 16
WICKED = "x'; DROP TABLE sentinel; --"
SECOND = publication(B, version=2, token=2)


@pytest.fixture
def sink(database_url: str) -> SqlSink:
    return SqlSink(database_url)


def ask(url: str, statement: str) -> list[Any]:
    with reading(engine_for(url)) as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def tell(url: str, statement: str) -> None:
    with writing(engine_for(url)) as connection:
        connection.execute(text(statement))


def strike(point: str, action: Any, times: int = 1) -> None:
    left = [times]

    def listen(reached: str) -> None:
        if reached == point and left[0]:
            left[0] -= 1
            action()

    points.listener = listen


def test_confirm_is_part_of_the_transaction(sink: SqlSink, database_url: str) -> None:
    tell(database_url, "CREATE TABLE ledger (run TEXT)")

    def confirm(connection: Any) -> None:
        connection.execute(text("INSERT INTO ledger VALUES (:run)"), {"run": A})

    sink.commit(sink.stage(publication(), FORM, frame()), confirm)
    assert ask(database_url, "SELECT run FROM ledger") == [(A,)]


def test_an_error_of_confirm_undoes_everything(sink: SqlSink, database_url: str) -> None:
    publish(sink, publication(), frame())
    tell(database_url, "CREATE TABLE ledger (run TEXT)")

    def confirm(connection: Any) -> None:
        connection.execute(text("INSERT INTO ledger VALUES ('b')"))
        raise FencedError("lost it")

    staged = sink.stage(SECOND, FORM, frame(level=1))
    with pytest.raises(FencedError, match="lost it"):
        sink.commit(staged, confirm)
    assert ask(database_url, "SELECT * FROM ledger") == []
    assert ask(database_url, "SELECT DISTINCT run FROM forecasts") == [(A,)]
    pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(), publication()))


def test_a_fenced_run_does_not_confirm(sink: SqlSink) -> None:
    publish(sink, replace(SECOND, token=9), frame())
    called: list[Any] = []
    with pytest.raises(FencedError):
        sink.commit(sink.stage(publication(token=8), FORM, frame()), called.append)
    assert called == []


def test_operators_find_the_current_versions_in_a_view(sink: SqlSink, database_url: str) -> None:
    publish(sink, publication(), frame(("a", "b")))
    publish(sink, SECOND, frame(("b",), level=1))
    assert ask(database_url, "SELECT DISTINCT job, run, unique_id FROM forecasts_current") == [("sales", B, "b")]
    assert ask(database_url, "SELECT count(*) FROM forecasts") == [(9,)]
    runs = ask(database_url, "SELECT run, version, token, rows, cutoff FROM forecasts_runs ORDER BY version")
    assert runs == [(A, 1, 1, 6, "2026-02-28T00:00:00"), (B, 2, 2, 3, "2026-02-28T00:00:00")]


def test_nan_is_null_for_others(sink: SqlSink, database_url: str) -> None:
    publish(sink, publication(), frame())
    assert ask(database_url, "SELECT unique_id, step FROM forecasts WHERE mean IS NULL") == [("b", 1)]


def test_stamps_are_of_the_databases_own_kind(sink: SqlSink, database_url: str) -> None:
    form = replace(FORM, times="aware", zone="America/St_Johns")
    publish(sink, publication(), frame(("a",), form, h=1), form)
    ((ds, slot),) = ask(database_url, "SELECT ds, slot FROM forecasts")
    wanted = frame(("a",), form, h=1)["ds"].iloc[0].tz_convert("UTC")
    assert pd.Timestamp(ds).tz_convert("UTC") == wanted
    assert pd.Timestamp(slot) == pd.Timestamp("2026-03-01T04:00Z")


DRIFTS = [
    (
        'ALTER TABLE forecasts DROP COLUMN "lo-80"',
        r"lacks the column 'lo-80'.*ALTER TABLE .forecasts. ADD COLUMN .lo-80.",
    ),
    ("ALTER TABLE forecasts ADD COLUMN mine TEXT", "has a column 'mine' that these forecasts do not. Drop it"),
    ("ALTER TABLE forecasts_runs DROP COLUMN version", "forecasts_runs lacks the column 'version'"),
]


@pytest.mark.parametrize(("change", "message"), DRIFTS)
def test_a_table_that_others_changed_is_refused_and_left_alone(
    sink: SqlSink, database_url: str, change: str, message: str
) -> None:
    publish(sink, publication(), frame())
    tell(database_url, "DROP VIEW forecasts_current")
    tell(database_url, change)
    for attempt in (lambda: sink.check(FORM), lambda: sink.stage(SECOND, FORM, frame())):
        with pytest.raises(StorageError, match=message):
            attempt()
    assert ask(database_url, "SELECT count(*) FROM forecasts") == [(6,)]


def test_a_column_of_another_type_is_refused(sink: SqlSink, database_url: str) -> None:
    tell(database_url, "CREATE TABLE forecasts (job TEXT, slot TEXT, run TEXT, unique_id INTEGER)")
    with pytest.raises(StorageError, match="Column '(slot|unique_id)' of table forecasts is '.*', .* is needed"):
        sink.check(FORM)


@pytest.mark.parametrize(
    "other",
    [{"times": "integer"}, {"times": "aware", "zone": "UTC"}, {"ids": "integer"}],
    ids=["steps", "aware", "ids"],
)
def test_a_table_keeps_one_kind_of_ids_and_times(sink: SqlSink, other: dict[str, Any]) -> None:
    publish(sink, publication(), frame())
    with pytest.raises(StorageError, match="is needed|Name another table"):
        sink.check(replace(FORM, **other))


def test_two_zones_may_share_a_table(sink: SqlSink) -> None:
    for zone, job in (("UTC", "a"), ("Asia/Kathmandu", "b")):
        form = replace(FORM, times="aware", zone=zone)
        publish(sink, publication(job=job), frame(form=form), form)
        assert str(sink.read(job)["ds"].dtype) == f"datetime64[us, {zone}]"


def test_a_column_that_was_added_as_the_message_says_is_used(sink: SqlSink, database_url: str) -> None:
    publish(sink, publication(), frame())
    wider = replace(FORM, outputs=(*FORM.outputs, "q-0.9"))
    with pytest.raises(StorageError, match="lacks the column 'q-0.9'") as caught:
        sink.check(wider)
    tell(database_url, str(caught.value).partition("(")[2].partition(")")[0])
    publish(sink, SECOND, frame(form=wider), wider)
    assert sink.read("sales")["q-0.9"].notna().all()
    pd.testing.assert_frame_equal(sink.read("sales", [A]), expected(frame(), publication()))
    assert ask(database_url, 'SELECT count(c."q-0.9") FROM forecasts_current c') == [(6,)]


def test_checking_makes_no_table(sink: SqlSink, database_url: str) -> None:
    sink.check(FORM)
    with pytest.raises(Exception, match="forecasts"):
        ask(database_url, "SELECT * FROM forecasts")


def test_rows_that_somebody_deleted_are_missed(sink: SqlSink, database_url: str) -> None:
    publish(sink, publication(), frame())
    tell(database_url, "DELETE FROM forecasts WHERE step = 2")
    with pytest.raises(StorageError, match="has 4 rows of run a+ of 'sales', 6 were published"):
        sink.read("sales")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "duckdb"])
def test_statements_in_names_and_texts_are_only_text(place: str, kind: str) -> None:
    sink = sink_of(kind, place, table="forecasts")
    publish(sink, publication(job="sentinel"), frame())
    rows = frame((WICKED, 'y"; DROP TABLE sentinel; --', "%(x)s", "$1", ":x", "?"))
    rows["reason"] = WICKED
    wicked = publication(WICKED, job=WICKED)
    publish(sink, wicked, rows)
    pd.testing.assert_frame_equal(sink.read(WICKED), expected(rows, wicked))
    pd.testing.assert_frame_equal(sink.read("sentinel"), expected(frame(), publication()))


@pytest.mark.parametrize("table", ["x; DROP TABLE sentinel", 'x"; DROP TABLE sentinel; --', "a.b", "", "x" * 51])
def test_a_table_name_that_is_none_is_refused(tmp_path: Path, table: str) -> None:
    with pytest.raises(ConfigError, match="table="):
        SqlSink(f"sqlite:///{tmp_path}/x.db", table=table)
    with pytest.raises(ConfigError, match="table="):
        DuckDBSink(tmp_path / "x.duckdb", table=table)


def test_an_output_that_is_a_statement_is_refused(sink: SqlSink) -> None:
    with pytest.raises(ConfigError, match="cannot be a column"):
        sink.check(replace(FORM, outputs=('mean" TEXT); DROP TABLE sentinel; --',)))


def test_another_database_is_refused() -> None:
    with pytest.raises((ConfigError, ImportError)):
        SqlSink("mysql://u:canary-secret@host/x")


@pytest.mark.parametrize("url", ["postgresql://ann:canary-secret@127.0.0.1:1/x", "sqlite:////nowhere/at/all/x.db"])
def test_a_database_that_is_away_is_named_without_its_password(url: str) -> None:
    sink = SqlSink(url, patience=0.2)
    for attempt in (lambda: sink.check(FORM), lambda: sink.read("sales"), lambda: sink.stage(SECOND, FORM, frame())):
        with pytest.raises(StorageError, match="The sink at") as caught:
            attempt()
        assert "canary-secret" not in "".join(
            map(str, (caught.value, repr(caught.value.__cause__), sink, sink.describe()))
        )


@pytest.mark.parametrize("point", ["sink.rows.deleted", "sink.rows.chunk", "sink.rows.inserted", "sink.published"])
def test_a_connection_lost_in_the_middle_leaves_nothing_and_is_made_good(postgres_database: str, point: str) -> None:
    sink = SqlSink(postgres_database)
    publish(sink, publication(), frame())
    staged = sink.stage(SECOND, FORM, frame(level=1))
    everyone_else = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()"
    )
    confirmed: list[Any] = []
    strike(point, lambda: ask(postgres_database, everyone_else))
    sink.commit(staged, confirmed.append)
    pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(level=1), SECOND))

    impatient = SqlSink(postgres_database, patience=0.0)
    third = publication("c" * 16, version=3, token=3)
    staged = impatient.stage(third, FORM, frame(level=2))
    strike(point, lambda: ask(postgres_database, everyone_else))
    with pytest.raises(StorageError, match="The sink at"):
        impatient.commit(staged, lambda connection: None)
    assert ask(postgres_database, "SELECT DISTINCT run FROM forecasts ORDER BY run") == [(A,), (B,)]
    pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(level=1), SECOND))


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_lost_on_its_way_neither_loses_nor_doubles(postgres_database: str, tmp_path: Path, when: str) -> None:
    sink = SqlSink(postgres_database)
    staged = sink.stage(publication(), FORM, frame())
    upstream = parse_qs(urlsplit(postgres_database).query)["host"][0]
    with Proxy(upstream, tmp_path) as proxy:
        behind = SqlSink(postgres_database.replace(upstream, str(tmp_path)))
        proxy.cut_commit(0, when)
        behind.commit(staged, lambda connection: None)
        assert proxy.cuts == 1
    pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(), publication()))
    assert ask(postgres_database, "SELECT count(*) FROM forecasts") == [(6,)]


def test_an_error_within_the_rows_leaves_zero_of_them_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    sink = SqlSink(url)
    publish(sink, publication(), frame())
    staged = sink.stage(SECOND, FORM, frame(level=1))
    full = "CREATE TRIGGER full BEFORE INSERT ON forecasts WHEN NEW.step = 3 BEGIN SELECT RAISE(FAIL, 'no more'); END"
    tell(url, full)
    with pytest.raises(StorageError, match="no more"):
        sink.commit(staged, lambda connection: None)
    tell(url, "DROP TRIGGER full")
    assert ask(url, "SELECT DISTINCT run FROM forecasts") == [(A,)]
    sink.commit(staged, lambda connection: None)
    pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(level=1), SECOND))


def test_a_file_that_another_holds_is_waited_for(tmp_path: Path) -> None:
    sink = SqlSink(f"sqlite:///{tmp_path}/x.db?timeout=0.1")
    publish(sink, publication(), frame())
    staged = sink.stage(SECOND, FORM, frame(level=1))
    other = sqlite3.connect(tmp_path / "x.db", check_same_thread=False, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(), publication()))
    with pytest.raises(StorageError, match="Another program holds it"):
        replace_patience(sink, 0.3).commit(staged, lambda connection: None)
    letting_go = threading.Timer(0.5, other.rollback)
    letting_go.start()
    replace_patience(sink, 60).commit(staged, lambda connection: None)
    letting_go.join()
    other.close()
    pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(level=1), SECOND))


def replace_patience(sink: SqlSink, patience: float) -> SqlSink:
    return SqlSink(sink.url, patience=patience)


def test_a_row_that_another_locks_on_postgres_is_waited_for(postgres_database: str) -> None:
    sink = SqlSink(postgres_database)
    publish(sink, publication(), frame())
    staged = sink.stage(SECOND, FORM, frame(level=1))
    with engine_for(postgres_database).connect() as other:
        other.execute(text("SELECT * FROM forecasts_runs FOR UPDATE"))
        waiting = threading.Thread(target=sink.commit, args=(staged, lambda connection: None))
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive()
        other.rollback()
        waiting.join()
    pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(level=1), SECOND))


def test_a_user_without_the_right_to_write_is_refused_before_anything_is_done(postgres_database: str) -> None:
    sink = SqlSink(postgres_database)
    publish(sink, publication(), frame())
    name = f"reader_{uuid.uuid4().hex[:8]}"
    tell(postgres_database, f"CREATE ROLE {name} LOGIN")
    tell(postgres_database, f"GRANT USAGE ON SCHEMA public TO {name}")
    tell(postgres_database, f"GRANT SELECT ON forecasts, forecasts_runs, forecasts_current TO {name}")
    reader = SqlSink(postgres_database.replace("postgres@", f"{name}@"))
    pd.testing.assert_frame_equal(reader.read("sales"), expected(frame(), publication()))
    with pytest.raises(StorageError, match="permission denied"):
        reader.check(FORM)
    tell(postgres_database, f"DROP OWNED BY {name}")
    tell(postgres_database, f"DROP ROLE {name}")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("hello " * 1000)
    with pytest.raises(StorageError, match="not a database"):
        SqlSink(f"sqlite:///{tmp_path}/x.db").check(FORM)
    with pytest.raises(StorageError, match="not a valid DuckDB database"):
        DuckDBSink(tmp_path / "x.db").check(FORM)
    assert (tmp_path / "x.db").read_text() == "hello " * 1000


def test_duckdb_says_what_to_install_when_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ImportError, match=r'pip install "forecast\[duckdb\]"'):
        DuckDBSink(tmp_path / "x.duckdb")


def test_duckdb_can_be_read_while_this_process_has_it_open(tmp_path: Path) -> None:
    import duckdb

    sink = DuckDBSink(tmp_path / "x.duckdb")
    publish(sink, publication(), frame())
    with duckdb.connect(str(tmp_path / "x.duckdb")) as mine:
        pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(), publication()))
        assert mine.execute("SELECT count(*) FROM forecasts_current").fetchall() == [(6,)]


def test_duckdb_refuses_a_changed_table(tmp_path: Path) -> None:
    import duckdb

    sink = DuckDBSink(tmp_path / "x.duckdb")
    publish(sink, publication(), frame())
    with duckdb.connect(str(tmp_path / "x.duckdb")) as mine:
        mine.execute("DROP VIEW forecasts_current")
        mine.execute("ALTER TABLE forecasts ADD COLUMN mine TEXT")
    with pytest.raises(StorageError, match="has a column 'mine'"):
        sink.check(FORM)


def test_duckdb_waits_for_another_process_and_then_says_so(publishers: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    pid = publishers.start(kind="duckdb", place=str(tmp_path), wait_at="sink.published", gate=str(gate))
    while not Path(f"{gate}.there").exists():
        time.sleep(0.01)
    with pytest.raises(UnreachableError, match="no other program may have it open"):
        DuckDBSink(tmp_path / "forecasts.duckdb", patience=0.2).read("sales")
    threading.Timer(0.3, gate.touch).start()
    publish(DuckDBSink(tmp_path / "forecasts.duckdb"), publication(B, job="costs"), frame())
    assert publishers.wait(pid) == "done"
    pd.testing.assert_frame_equal(
        DuckDBSink(tmp_path / "forecasts.duckdb").read("sales"), expected(frame(), publication())
    )
