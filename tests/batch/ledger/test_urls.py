"""URLs of databases: what they open, and that their passwords are shown nowhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from forecast.batch.ledger.masking import masked, remember, scrubbed
from forecast.batch.ledger.urls import engine_for, is_sqlite, reading, same_database, sqlite_file, url_for, writing
from forecast.errors import ConfigError, MissingExtraError

# A password of these has no part that could stand in a message by chance.
PASSWORDS = st.text("QXZ@:/?#%&+ \"'\\=é€0", min_size=8, max_size=20).filter(lambda text: not text.isspace())


@given(PASSWORDS)
def test_no_text_about_a_database_shows_its_password(password: str) -> None:
    url = f"postgresql://anna:{quote(password, safe='')}@db.example:5432/sales"
    engine = engine_for(url)
    for told in (masked(url), repr(engine), str(engine.url), repr(engine.url), masked(f"cannot reach {url}, sorry")):
        assert quote(password, safe="") not in told and password not in told
        assert "anna:***@db.example" in told
    assert engine.url.password == password


@given(PASSWORDS)
def test_a_password_that_was_not_encoded_is_hidden_too(password: str) -> None:
    url = f"postgresql://anna:{password}@db/sales"
    try:
        told = [repr(engine_for(url)), masked(url)]
    except ConfigError as error:
        told = [str(error)]
    assert all(password not in text for text in told)


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("postgresql://ann:geheim@db/x", "postgresql://ann:***@db/x"),
        ("postgresql+psycopg://ann:ge@h/ei:m@db/x?a=b", "postgresql+psycopg://ann:***@db/x?a=b"),
        ("redis://:geheim@db", "redis://:***@db"),
        ("host=db password=geheim dbname=x", "host=db password=*** dbname=x"),
        ("host=db password='ge heim' dbname=x", "host=db password=*** dbname=x"),
        ("/x?sslpassword=geheim&user=ann", "/x?sslpassword=***&user=ann"),
        ('{"db_password": "geheim", "n": 1}', '{"db_password": ***, "n": 1}'),
        ("PGPASSWORD=geheim forecast batch", "PGPASSWORD=*** forecast batch"),
        ("api-key: geheim", "api-key: ***"),
        ("token 3 of slot 2026-03-01T06:00, passwords are not shown", "token 3 of slot 2026-03-01T06:00, passwords are not shown"),
        ("mail ann@example.org: http://example.org:8080/x", "mail ann@example.org: http://example.org:8080/x"),
    ],
)  # fmt: skip
def test_passwords_are_masked_and_nothing_else(given_text: str, shown: str) -> None:
    assert masked(given_text) == shown


def test_a_password_once_seen_is_hidden_wherever_it_stands() -> None:
    remember("Rosinante7")
    remember("ab")  # would hide ordinary words
    assert masked('FATAL: no entry for "Rosinante7", able') == 'FATAL: no entry for "***", able'
    assert masked("Rosinante77") == "Rosinante77"  # another word


def test_plain_data_is_scrubbed_at_any_depth() -> None:
    data = {"sink": [{"password": "x", "url": "a://b:c@d"}], "secret": {"n": 1}, "password": None, "n": 3}
    assert scrubbed(data) == {
        "sink": [{"password": "***", "url": "a://b:***@d"}],
        "secret": {"n": 1},
        "password": None,
        "n": 3,
    }


@pytest.mark.parametrize(
    "url",
    ["postgresql://anna:kanarienvogel@db:port/x", "anna:kanarienvogel@db/x", "postgresql://anna:x@kanarienvogel@db/x",
     "host=db password=kanarienvogel", "", "/tmp/ledger.db"],
)  # fmt: skip
def test_what_is_no_url_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is not the URL of a database|write an @ within") as caught:
        engine_for(url)
    assert "kanarienvogel" not in repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_password_among_the_options_is_used_and_not_shown() -> None:
    engine = engine_for("postgresql://anna@db/x?password=kanarienvogel&sslpassword=kanarienhahn&sslmode=require")
    assert engine.url.password == "kanarienvogel" and engine.url.query == {"sslmode": "require"}
    assert "kanarien" not in repr(engine)
    assert masked("kanarienvogel and kanarienhahn") == "*** and ***"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_means_psycopg_3(scheme: str) -> None:
    assert engine_for(f"{scheme}://anna@db/x").url.drivername == "postgresql+psycopg"


def test_a_database_without_its_driver_names_the_package() -> None:
    with pytest.raises(MissingExtraError, match=r"'mysql://anna:\*\*\*@db/x' needs the package MySQLdb"):
        engine_for("mysql://anna:geheim@db/x")
    with pytest.raises(ConfigError, match="knows no database of this kind"):
        engine_for("tintenfass://anna@db/x")


def test_same_database_is_the_same_file_or_server(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    file = f"sqlite:///{tmp_path}/a.db"
    assert same_database(file, f"sqlite:///{tmp_path}/link/a.db?timeout=1")
    assert not same_database(file, f"sqlite:///{tmp_path}/b.db")
    assert not same_database(file, "postgresql://anna@db/x")
    assert same_database("postgresql://anna:a@db/x", "postgres://anna:b@db:5432/x?sslmode=require")
    for other in ("anna@db/y", "anna@db2/x", "bert@db/x", "anna@db:5433/x", "anna@db/x?options=-csearch_path%3Dy"):
        assert not same_database("postgresql://anna@db/x", f"postgresql://{other}")
    assert sqlite_file(file) == tmp_path / "a.db" and is_sqlite(file)
    assert sqlite_file("postgresql://anna@db/x") is None
    assert url_for(file).database == str(tmp_path / "a.db")


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    engine = engine_for(f"sqlite:///{tmp_path}/a.db")
    with writing(engine) as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_a_sqlite_transaction_that_writes_has_the_lock_from_its_start(tmp_path: Path) -> None:
    engine = engine_for(f"sqlite:///{tmp_path}/a.db?timeout=0")

    def second() -> None:
        with writing(engine):
            pass

    with writing(engine), pytest.raises(DBAPIError, match="locked"):
        second()


def test_tables_change_within_the_transaction(database_url: str) -> None:
    def broken() -> None:
        with writing(engine_for(database_url)) as connection:
            connection.execute(text("CREATE TABLE t (x INTEGER)"))
            connection.execute(text("SELECT * FROM nowhere"))

    with pytest.raises(DBAPIError):
        broken()
    with writing(engine_for(database_url)) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))


def test_reading_sees_one_snapshot_and_stops_no_writer(database_url: str) -> None:
    engine = engine_for(database_url)
    count = text("SELECT count(*) FROM t")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    with reading(engine) as reader:
        assert reader.execute(count).scalar() == 0
        with writing(engine) as writer:
            writer.execute(text("INSERT INTO t VALUES (1)"))
        assert reader.execute(count).scalar() == 0
    with reading(engine) as reader:
        assert reader.execute(count).scalar() == 1


def test_a_read_only_engine_cannot_write(database_url: str) -> None:
    with writing(engine_for(database_url)) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))

    def write() -> None:
        with engine_for(database_url, read_only=True).begin() as connection:
            connection.execute(text("INSERT INTO t VALUES (1)"))

    with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
        write()


def test_reading_the_database_of_others_leaves_its_journal_as_it_is(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "theirs.db") as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
    connection.close()
    before = (tmp_path / "theirs.db").read_bytes()
    with engine_for(f"sqlite:///{tmp_path}/theirs.db", read_only=True).begin() as reader:
        assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 0
    assert (tmp_path / "theirs.db").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["theirs.db"]


def test_values_of_a_failed_statement_are_not_in_its_error(database_url: str) -> None:
    with pytest.raises(DBAPIError) as caught, reading(engine_for(database_url)) as connection:
        connection.execute(text("SELECT * FROM nowhere WHERE x = :x"), {"x": "kanarienvogel"})
    assert "kanarienvogel" not in str(caught.value)
