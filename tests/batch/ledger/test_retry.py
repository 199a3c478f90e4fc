"""Patience with databases that are down or busy, and an end to it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine, text

from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.retry import patiently
from forecast.batch.ledger.urls import engine_for, reading, writing
from forecast.errors import ConfigError, StorageError
from tests.batch.ledger_process import SLOT, key
from tests.batch.proxy import Proxy


def test_a_file_that_another_program_holds_is_waited_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db?timeout=0.05"
    Ledger(url).open()
    holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.5, lambda: holder.execute("ROLLBACK"))
    timer.start()
    with Ledger(url, patience=60).held("nightly", SLOT) as claim:
        assert claim.token == 1
    timer.join()
    holder.close()


def test_a_file_that_is_never_let_go_ends_in_a_clear_error_and_nothing_is_changed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db?timeout=0.05"
    ledger = Ledger(url, patience=0.5).open()
    with ledger.held("nightly", SLOT) as claim:
        planned = ledger.plan(claim, key(), SLOT, {})
        holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            StorageError, match=r"The ledger at sqlite:.* failed after \d+ tries: database is locked\. Another"
        ):
            ledger.confirm(claim, planned.run)
        assert ledger.show(planned.run).state == "planned"  # readers are not kept waiting
        holder.execute("ROLLBACK")
        holder.close()
        ledger.confirm(claim, planned.run)
    assert ledger.show(planned.run).state == "committed"


def test_while_a_long_write_goes_on_a_living_owner_is_still_seen(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db?timeout=0.05"
    ledger = Ledger(url, patience=0).open()
    with ledger.held("nightly", SLOT), writing(ledger.engine):
        with pytest.raises(Exception, match="is being run by") as caught:
            ledger.held("nightly", SLOT).__enter__()
        assert type(caught.value).__name__ == "AlreadyRunningError"


def test_a_server_that_comes_up_late_is_waited_for(postgres_database: str) -> None:
    socket = engine_for(postgres_database).url.query["host"]
    assert isinstance(socket, str)
    with TemporaryDirectory(prefix="forecast-wire-") as folder:
        opened: list[Ledger] = []
        late = Ledger(postgres_database.replace(socket, folder), patience=120)
        thread = threading.Thread(target=lambda: opened.append(late.open()))
        thread.start()
        time.sleep(0.3)
        assert not opened
        with Proxy(socket, Path(folder)):
            thread.join()
        assert opened == [late]


def test_a_server_that_stays_away_ends_in_a_clear_error_without_the_password(tmp_path: Path) -> None:
    ledger = Ledger(f"postgresql://anna:kanarienvogel@/sales?host={tmp_path}", patience=0.3)
    start = time.monotonic()
    with pytest.raises(
        StorageError, match=r"anna:\*\*\*@/sales.* failed after \d+ tries: .*Is the server up"
    ) as caught:
        ledger.open()
    assert 0.1 < time.monotonic() - start < 60
    assert "kanarienvogel" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("query", "message"),
    [("SELECT * FROM nowhere", "nowhere"), ("SELEKT", "syntax error")],
)
def test_what_does_not_pass_with_time_is_not_tried_twice(database_url: str, query: str, message: str) -> None:
    engine, tries = engine_for(database_url), []

    def action() -> None:
        tries.append(1)
        with reading(engine) as connection:
            connection.execute(text(query))

    with pytest.raises(StorageError, match=f"The table at .* failed: .*{message}"):
        patiently(action, "The table", database_url, patience=600)
    assert len(tries) == 1


def test_a_database_that_does_not_exist_is_not_waited_for(postgres_database: str) -> None:
    with pytest.raises(StorageError, match=r'failed: .*"absent" does not exist.*Check the URL'):
        Ledger(postgres_database.replace("/test?", "/absent?"), patience=600).open()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/no/such.db"
    with pytest.raises(StorageError, match=r"The folder '.*no' does not exist: make it"):
        patiently(lambda: engine_for(url).connect(), "The sink", url, patience=600)


def test_errors_that_are_not_the_databases_pass(tmp_path: Path) -> None:
    def action() -> None:
        raise ConfigError("mine")

    with pytest.raises(ConfigError, match="mine"):
        patiently(action, "The ledger", f"sqlite:///{tmp_path}/x.db")


def test_of_two_transactions_in_each_others_way_both_get_through(postgres_database: str) -> None:
    engine = engine_for(postgres_database)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (1, 0), (2, 0)"))
    barrier, tries = threading.Barrier(2), []

    def crossing(first: int, second: int) -> Callable[[], None]:
        def action() -> None:
            tries.append(first)
            with writing(engine) as connection:
                connection.execute(text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": first})
                if tries.count(first) == 1:
                    barrier.wait()  # now each has what the other wants
                connection.execute(text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": second})

        return action

    threads = [
        threading.Thread(
            target=patiently, args=(crossing(*rows), "The table", postgres_database), kwargs={"patience": 120}
        )
        for rows in ((1, 2), (2, 1))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(engine) == 4
    assert len(tries) == 3


def total(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.execute(text("SELECT sum(n) FROM t")).scalar_one())
