"""Rows from a database query, on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from forecast import Schema
from forecast.batch import points, tables
from forecast.batch.ledger.urls import engine_for
from forecast.batch.protocols import Source
from forecast.batch.tables import QuerySource
from forecast.errors import ConfigError, StorageError
from forecast.ingest.door import to_panel

NOW = datetime(2024, 1, 3, 12, tzinfo=UTC)
ALL = "SELECT unique_id, ds, y FROM sales ORDER BY unique_id, ds"
SECRET = "hunter2-geheim"


def filled(url: str, kind: str = "TIMESTAMP") -> str:
    with engine_for(url).begin() as connection:
        connection.execute(text(f"CREATE TABLE sales (unique_id TEXT, ds {kind}, y DOUBLE PRECISION)"))
        for name, day, y in (("a", 1, 1.5), ("a", 2, None), ("a", 4, 4.5), ("001", 1, 7.0), ("NA", 3, 9.0)):
            values = {"name": name, "ds": f"2024-01-0{day} 00:00:00.000000", "y": y}
            connection.execute(text("INSERT INTO sales VALUES (:name, :ds, :y)"), values)
    return url


def rows(url: str, query: str = ALL, **options: object) -> pd.DataFrame:
    return QuerySource(url, query, **{"patience": 0, **options}).read(NOW)  # type: ignore[arg-type]


def test_rows_come_with_the_types_a_forecaster_wants(database_url):
    read = rows(filled(database_url))
    assert read["unique_id"].tolist() == ["001", "NA", "a", "a", "a"]
    assert read["ds"].dtype.kind == "M" and read["ds"].dt.tz is None
    assert read["y"].dtype == np.float64 and read["y"].isna().tolist() == [False, False, False, True, False]
    assert isinstance(QuerySource(database_url, ALL), Source)
    assert to_panel(read, freq="D").lengths.tolist() == [1, 1, 4]


def test_the_slot_and_other_values_are_bound_in_the_query(database_url):
    query = "SELECT unique_id, ds, y FROM sales WHERE ds <= :as_of AND unique_id = :shop ORDER BY ds"
    assert len(rows(filled(database_url), query, params={"shop": "a"})) == 2
    hostile = "a'; DROP TABLE sales; --"
    assert len(rows(database_url, query, params={"shop": hostile})) == 0
    assert len(rows(database_url)) == 5


def test_a_query_in_many_chunks_is_the_same_table(database_url, monkeypatch):
    url = filled(database_url)
    whole = rows(url)
    monkeypatch.setattr(tables, "CHUNK", 2)  # one of them without any value
    pd.testing.assert_frame_equal(rows(url), whole)


def test_a_query_without_rows_gives_a_table_without_rows(database_url):
    empty = rows(filled(database_url), "SELECT unique_id, ds, y FROM sales WHERE y > 100")
    assert len(empty) == 0 and empty.columns.tolist() == ["unique_id", "ds", "y"]


def test_the_source_can_write_nothing(database_url):
    url = filled(database_url)
    for statement in (
        "DELETE FROM sales RETURNING unique_id, ds, y",
        "UPDATE sales SET y = 0 RETURNING unique_id, ds, y",
    ):
        with pytest.raises(StorageError, match="refuses the query"):
            rows(url, statement)
    assert rows(url)["y"].sum() == 22


def test_a_wrong_query_is_told_at_once_however_patient_the_source_is(database_url):
    with pytest.raises(StorageError, match="refuses the query: .*sail"):
        rows(filled(database_url), ALL.replace("sales", "sail"), patience=600)


def test_names_without_values_and_values_without_names_are_named(database_url):
    with pytest.raises(ConfigError, match="has no value for 'shop'"):
        QuerySource(database_url, "SELECT 1 WHERE unique_id = :shop")
    with pytest.raises(ConfigError, match="does not use 'shop'"):
        QuerySource(database_url, ALL, {"shop": "a"})
    with pytest.raises(ConfigError, match="as_of is the slot"):
        QuerySource(database_url, "SELECT :as_of", {"as_of": 1})
    with pytest.raises(ConfigError, match="not the URL of a database"):
        QuerySource("what?", ALL)


def test_a_missing_file_is_named_and_not_made(tmp_path):
    with pytest.raises(StorageError, match=r"there is no file '.*no\.db'"):
        rows(f"sqlite:///{tmp_path}/no.db")
    assert not list(tmp_path.iterdir())


def test_a_database_that_comes_late_is_waited_for(tmp_path):
    url = f"sqlite:///{tmp_path}/late.db"
    made = threading.Timer(0.3, lambda: filled(url))
    made.start()
    source = QuerySource(url, "SELECT unique_id, ds, y FROM sales", patience=30)
    made.join()
    assert len(source.read(NOW)) == 5


def test_a_locked_database_is_waited_for_and_given_up_in_time(tmp_path):
    path = tmp_path / "locked.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sales (unique_id, ds, y)")
        connection.execute("INSERT INTO sales VALUES ('a', '2024-01-01', 1.0)")
    connection.close()
    url = f"sqlite:///{path}?timeout=0.05"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match=r"could not be read for 0\.2 s: .*locked"):
        rows(url, patience=0.2)
    release = threading.Timer(0.3, lambda: writer.execute("ROLLBACK"))
    release.start()
    assert len(rows(url, patience=30)) == 1
    release.join()
    writer.close()


def test_sqlite_gives_dates_as_text_and_they_are_dates(tmp_path):
    path = tmp_path / "text.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sales (ds, y)")
        connection.execute("INSERT INTO sales VALUES ('2024-01-01', 1.0), ('2024-01-02', 'n/a')")
    connection.close()
    read = rows(f"sqlite:///{path}", "SELECT * FROM sales")
    assert read["ds"].dtype.kind == "M" and read["y"].tolist() == [1.0, "n/a"]


def test_a_server_out_of_reach_is_named_without_its_password(caplog):
    # Port 1 of this machine: nobody listens there.
    url = f"postgresql://ann:{SECRET}@127.0.0.1:1/sales"
    source = QuerySource(url, ALL, patience=0.3)
    with pytest.raises(StorageError, match=r"ann:\*\*\*@127\.0\.0\.1:1/sales could not be read for 0\.3 s") as raised:
        source.read(NOW)
    told = [str(raised.value), repr(raised.value), repr(source), str(source.describe()), caplog.text]
    chain = raised.value
    while chain.__cause__ is not None:
        chain = chain.__cause__
        told.append(repr(chain))
    assert not any(SECRET in words or quote(SECRET) in words for words in told)


def test_facts_tell_one_source_from_another_but_no_values(database_url):
    query = "SELECT :token"
    one, two = (QuerySource(database_url, query, {"token": SECRET + end}) for end in "ab")
    assert (
        one.describe() != two.describe()
        and one.describe() == QuerySource(database_url, query, dict(one.params)).describe()
    )
    assert SECRET not in str(one.describe()) and SECRET not in repr(one)


# PostgreSQL alone.


def test_instants_are_read_in_the_zone_of_the_source_whatever_the_server_shows(postgres_database):
    filled(postgres_database, "TIMESTAMPTZ")
    with engine_for(postgres_database).begin() as connection:
        connection.execute(text("ALTER ROLE postgres SET timezone TO 'America/New_York'"))
        connection.execute(text("UPDATE sales SET ds = ds AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin'"))
    try:
        read = rows(postgres_database, zone="Europe/Berlin")
        assert str(read["ds"].dt.tz) == "Europe/Berlin"
        assert str(rows(postgres_database)["ds"].dt.tz) == "UTC"
        query = "SELECT unique_id, ds, y FROM sales WHERE ds < :as_of"
        cut = QuerySource(postgres_database, query, patience=0).read(datetime(2024, 1, 2, tzinfo=UTC))
        assert (cut["ds"] < pd.Timestamp("2024-01-02", tz="UTC")).all() and 0 < len(cut) < 5
    finally:
        with engine_for(postgres_database).begin() as connection:
            connection.execute(text("ALTER ROLE postgres RESET timezone"))


def test_numerics_and_dates_of_postgresql_are_numbers_and_dates(postgres_database):
    with engine_for(postgres_database).begin() as connection:
        connection.execute(text("CREATE TABLE sales (unique_id BIGINT, ds DATE, y NUMERIC(12, 3))"))
        connection.execute(
            text("INSERT INTO sales VALUES (9007199254740993, '2024-01-01', 1.25), (7, '2024-01-02', NULL)")
        )
    read = rows(postgres_database)
    assert read["unique_id"].tolist() == [7, 9007199254740993] and read["unique_id"].dtype == np.int64
    assert read["ds"].dtype.kind == "M" and read["y"].dtype == np.float64


def test_a_connection_cut_in_the_middle_is_made_again_and_the_whole_query_read(postgres_database, monkeypatch):
    monkeypatch.setattr(tables, "CHUNK", 1000)
    query = "SELECT 'a' AS unique_id, n AS ds, n AS y FROM generate_series(1, 50000) AS n"
    cuts = []

    def cut(point: str) -> None:
        if len(cuts) < 2:
            cuts.append(point)
            with engine_for(postgres_database).begin() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )

    points.listener = cut
    read = rows(postgres_database, query, patience=60)
    assert cuts == ["source.chunk"] * 2
    assert read["y"].tolist() == list(range(1, 50001))


def test_all_chunks_are_of_one_moment(database_url, monkeypatch):
    url = filled(database_url)
    monkeypatch.setattr(tables, "CHUNK", 1)
    first = []

    def write(point: str) -> None:
        if not first:
            first.append(point)
            with engine_for(url).begin() as connection:
                connection.execute(text("UPDATE sales SET y = -1"))

    points.listener = write
    assert rows(url)["y"].sum() == 22
    assert rows(url)["y"].sum() == -5


def test_a_schema_with_other_names_finds_its_times(tmp_path):
    url = filled(f"sqlite:///{Path(tmp_path) / 'a.db'}")
    query = "SELECT unique_id AS shop, ds AS day, y AS sales FROM sales"
    assert rows(url, query, schema=Schema("shop", "day", "sales"))["day"].dtype.kind == "M"
