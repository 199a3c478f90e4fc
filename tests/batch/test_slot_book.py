"""What the ledger tells a scheduler of slots, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forecast.batch.key import RunKey
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.slots import SlotBook
from forecast.batch.ledger.text import runs_text
from forecast.errors import ConfigError, StorageError

FIRST = datetime(2026, 3, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def told(book: SlotBook, job: str = "nightly") -> list[tuple[int, str, str]]:
    return [(r.slot.day, r.state, r.reason) for r in book.slots(job, FIRST - TICK, FIRST + 30 * DAY)]


def test_slots_are_committed_running_dead_ended_or_skipped(database_url: str) -> None:
    now = datetime(2026, 3, 20, tzinfo=UTC)
    ledger = Ledger(database_url, clock=lambda: now)
    book = SlotBook(database_url, clock=lambda: now)
    book.open()
    assert told(book) == [] and book.last("nightly", now) is None
    with ledger.held("nightly", FIRST) as claim:
        planned = ledger.plan(claim, RunKey("nightly", FIRST, "d", "m", "c"), "0", {})
        assert told(book) == [(1, "running", "")]
        ledger.confirm(claim, planned.run)
    with pytest.raises(ZeroDivisionError), ledger.held("nightly", FIRST + DAY):
        raise ZeroDivisionError
    with ledger.held("nightly", FIRST + 2 * DAY):
        pass
    with ledger.held("other", FIRST + 3 * DAY):
        book.skip("nightly", {FIRST + DAY: "is there already", FIRST + 3 * DAY: "missed (catchup=none)"})
        assert told(book) == [
            (1, "committed", ""), (2, "ended", ""), (3, "ended", ""), (4, "skipped", "missed (catchup=none)"),
        ]  # fmt: skip
        assert told(book, "other") == [(4, "running", "")]
    with ledger.held("nightly", FIRST + 4 * DAY):
        later = SlotBook(database_url, clock=lambda: now + timedelta(hours=1))  # the owner is alive, but says nothing
        assert told(later)[-1] == (5, "dead", "")
    last = book.last("nightly", now)
    assert last is not None and (last.slot, last.state) == (FIRST + 4 * DAY, "ended")
    last = book.last("nightly", FIRST + 4 * DAY - TICK)
    assert last is not None and (last.slot, last.state, last.at) == (FIRST + 3 * DAY, "skipped", now)
    assert last.slot.tzinfo is not None


def test_a_slot_that_was_skipped_can_be_run_and_a_reason_stays_the_first(database_url: str) -> None:
    ledger, book = Ledger(database_url), SlotBook(database_url)
    book.open()
    for reason in ("first", "second"):
        book.skip("nightly", {FIRST + day * DAY: reason for day in range(1000)})
    assert {r.reason for r in book.slots("nightly", FIRST - TICK, FIRST + 1000 * DAY)} == {"first"}
    with ledger.held("nightly", FIRST):
        assert told(book)[0] == (1, "running", "")
    assert [(r.slot, r.reason) for r in book.skipped("nightly", 2)] == [
        (FIRST + 999 * DAY, "first"), (FIRST + 998 * DAY, "first"),
    ]  # fmt: skip
    assert len(book.skipped("nightly")) == 999  # not the one that was run after all
    assert book.skipped("other") == []


def test_a_ledger_that_is_not_there_is_no_ledger(tmp_path: Path) -> None:
    book = SlotBook(f"sqlite:///{tmp_path / 'none' / 'ledger.db'}", patience=0.1)
    assert not book.exists
    with pytest.raises(StorageError, match="does not exist"):
        book.last("nightly", FIRST)
    assert list(tmp_path.iterdir()) == []
    book.open()
    assert book.exists and book.last("nightly", FIRST) is None


def test_secrets_in_a_reason_or_an_error_stay_secret() -> None:
    book = SlotBook("postgresql://someone:Canary7f3a9@127.0.0.1:9/nothing", patience=0)
    with pytest.raises(StorageError) as caught:
        book.last("nightly", FIRST)
    assert "Canary7f3a9" not in str(caught.value)


def test_people_can_list_what_was_skipped(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=lambda: FIRST + 9 * DAY).open()
    assert runs_text(ledger, ["list", "job=nightly", "state=skipped"]) == "No slot was skipped.\n"
    ledger.slots().skip("nightly", {FIRST: "missed (catchup=none)", FIRST + DAY: "evil\n\x1b[2Jline"})
    assert runs_text(ledger, ["list", "job=nightly", "state=skipped"]).splitlines() == [
        "2026-03-02 06:00:00Z  noted 2026-03-10 06:00:00Z  evil \\x1b[2Jline",
        "2026-03-01 06:00:00Z  noted 2026-03-10 06:00:00Z  missed (catchup=none)",
    ]
    assert len(runs_text(ledger, ["list", "job=nightly", "state=skipped", "limit=1"]).splitlines()) == 1
    with pytest.raises(ConfigError, match="needs job=NAME"):
        runs_text(ledger, ["list", "state=skipped"])
