"""Who owns a slot: never two at once, and never a dead one for long."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.records import RunRecord
from forecast.batch.ledger.urls import reading, writing
from forecast.errors import AlreadyRunningError, ConfigError, FencedError
from tests.batch.ledger.conftest import Clock, Forks
from tests.batch.ledger_process import ROWS, SLOT, key, make_shop_window, publish, shown

# Payloads of SQL, paths, formats, formulas, logs and templates; as the name of a job each is only a name.
PAYLOADS = [
    "'; DROP TABLE forecast_runs; --",
    '" OR ""="',
    "x'); DELETE FROM forecast_claims; --",
    "%s %(job)s :job ? $1 {0} {moment}",
    "../../etc/passwd",
    "=HYPERLINK(\"http://x\")",
    "Ж—π’s job",
    "\\'; SELECT pg_sleep(9); --",
]  # fmt: skip


def history(record: RunRecord) -> list[tuple[int, str]]:
    return [(event.token, event.state) for event in record.history]


def test_a_slot_has_one_owner_at_a_time_and_the_other_is_told_who(ledger: Ledger) -> None:
    with ledger.held("nightly", SLOT, owner="anna") as claim:
        assert (claim.job, claim.slot, claim.owner, claim.token) == ("nightly", SLOT, "anna", 1)
        with pytest.raises(
            AlreadyRunningError, match="2026-03-01T06:00:00.*'nightly'.*by anna.*free at 2026-03-01T06:32"
        ):
            ledger.held("nightly", SLOT, owner="bert").__enter__()
    with ledger.held("nightly", SLOT, owner="bert") as claim:
        assert (claim.owner, claim.token) == ("bert", 2)


def test_other_slots_and_other_jobs_are_free(ledger: Ledger) -> None:
    with (
        ledger.held("nightly", SLOT),
        ledger.held("nightly", SLOT + timedelta(days=1)) as other_slot,
        ledger.held("weekly", SLOT) as other_job,
    ):
        assert other_slot.token == other_job.token == 1


def test_a_slot_is_an_instant_whatever_zone_it_is_written_in(ledger: Ledger) -> None:
    with ledger.held("nightly", SLOT), pytest.raises(AlreadyRunningError):
        ledger.held("nightly", datetime.fromisoformat("2026-03-01T07:00+01:00")).__enter__()


def test_an_owner_that_gave_no_sign_of_life_for_a_lease_is_taken_over_and_fenced(ledger: Ledger, clock: Clock) -> None:
    make_shop_window(ledger)
    with ledger.held("nightly", SLOT, owner="anna") as anna:
        planned = ledger.plan(anna, key(), SLOT, {})
        ledger.advance(anna, planned.run, "staged")
        clock.pass_by(seconds=120)
        with pytest.raises(AlreadyRunningError):
            ledger.held("nightly", SLOT, owner="bert").__enter__()
        clock.pass_by(seconds=1)
        with ledger.held("nightly", SLOT, owner="bert") as bert:
            assert bert.token == 2
            assert "bert took the slot" in str(ledger.show(planned.run).error)
            refused: list[Callable[[], object]] = [
                lambda: ledger.check(anna),
                lambda: ledger.plan(anna, key(), SLOT, {}),
                lambda: ledger.advance(anna, planned.run, "computed"),
                lambda: ledger.advance(anna, planned.run, "failed", error="too late"),
                lambda: ledger.confirm(anna, planned.run),
                lambda: publish(ledger, anna, planned, "sqlite:///x.db"),
            ]
            for action in refused:
                anna.lost.clear()  # each must find out from the database
                with pytest.raises(FencedError, match="anna lost slot"):
                    action()
            with pytest.raises(FencedError):
                anna.check()
            assert ledger.show(planned.run).state == "failed"
            assert shown(ledger) == []
            ledger.check(bert)
    with ledger.held("nightly", SLOT) as third:  # anna's way out has not freed what was bert's
        assert third.token == 3


def test_the_way_out_of_a_fenced_owner_does_not_free_the_slot(ledger: Ledger, clock: Clock) -> None:
    first = ledger.held("nightly", SLOT)
    first.__enter__()
    clock.pass_by(seconds=121)
    with ledger.held("nightly", SLOT):
        first.__exit__(None, None, None)
        with pytest.raises(AlreadyRunningError):
            ledger.held("nightly", SLOT).__enter__()


@pytest.mark.parametrize("jump", [{"hours": -1}, {"days": 400}])
def test_a_clock_that_jumped_costs_at_most_the_claim_and_never_two_commits(
    ledger: Ledger, clock: Clock, jump: dict[str, float]
) -> None:
    with ledger.held("nightly", SLOT) as first:
        planned = ledger.plan(first, key(), SLOT, {})
        clock.pass_by(**jump)
        with ledger.held("nightly", SLOT) as second:
            ledger.confirm(second, ledger.plan(second, key(), SLOT, {}).run)
        with pytest.raises(FencedError):
            ledger.confirm(first, planned.run)
    assert ledger.committed("nightly")["token"].tolist() == [second.token]


def test_a_small_step_of_the_clock_back_leaves_the_owner_alone(ledger: Ledger, clock: Clock) -> None:
    with ledger.held("nightly", SLOT):
        clock.pass_by(seconds=-60)
        with pytest.raises(AlreadyRunningError, match="last sign of life 0 s ago"):
            ledger.held("nightly", SLOT).__enter__()


def test_signs_of_life_come_from_a_thread_and_end_with_the_block(database_url: str) -> None:
    ticks = [datetime.fromisoformat("2026-03-01T06:30Z")]

    def counting() -> datetime:
        ticks.append(ticks[-1] + timedelta(seconds=1))
        return ticks[-1]

    def heartbeat() -> str:
        with reading(ledger.engine) as connection:
            return str(connection.execute(text("SELECT heartbeat FROM forecast_claims")).scalar())

    ledger = Ledger(database_url, clock=counting, lease=0.2).open()
    with ledger.held("nightly", SLOT):
        at_first = heartbeat()
        while heartbeat() == at_first:
            time.sleep(0.05)
    assert "forecast-heartbeat" not in [thread.name for thread in threading.enumerate()]


def test_the_thread_finds_out_that_the_slot_is_lost(database_url: str, clock: Clock) -> None:
    first = Ledger(database_url, clock=clock, lease=0.2).open()
    with first.held("nightly", SLOT) as claim:
        clock.pass_by(seconds=1)
        # Between the two looks at the clock a sign of life may come: then the slot is not to be had yet.
        while not claim.lost.is_set():
            clock.pass_by(seconds=1)
            try:
                with Ledger(database_url, clock=clock).held("nightly", SLOT):
                    assert claim.lost.wait(timeout=60)
            except AlreadyRunningError:
                continue
        with pytest.raises(FencedError):
            claim.check()


def test_an_exception_in_the_block_is_the_reason_why_its_run_failed(ledger: Ledger) -> None:
    def run(data: str, error: BaseException) -> None:
        with ledger.held("nightly", SLOT) as claim:
            ledger.plan(claim, key(data), SLOT, {})
            raise error

    with pytest.raises(KeyboardInterrupt):
        run("d1", KeyboardInterrupt())
    with pytest.raises(ValueError):
        run("d2", ValueError("postgresql://anna:geheimnis@x/y is gone"))
    told = {record.data_hash: (record.state, record.error) for record in map(ledger.show, ledger.runs()["run"])}
    assert told == {
        "d1": ("failed", "KeyboardInterrupt"),
        "d2": ("failed", "ValueError: postgresql://anna:***@x/y is gone"),
    }


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_name_of_a_job_is_only_a_name(ledger: Ledger, name: str) -> None:
    with ledger.held("other", SLOT) as claim:
        ledger.confirm(claim, ledger.plan(claim, key(job="other"), SLOT, {}).run)
    with ledger.held(name, SLOT, owner=name) as claim:
        ledger.confirm(
            claim,
            ledger.plan(
                claim,
                key(job=name),
                SLOT,
                {name: name},
            ).run,
        )
    assert ledger.committed(name)["job"].tolist() == [name]
    assert len(ledger.runs()) == 2 and len(ledger.committed("other")) == 1


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "\ud800", "\x1b[31m", "x" * 201, None])
def test_a_name_that_no_table_can_keep_is_refused(tmp_path: Path, name: str) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db").open()
    with pytest.raises(ConfigError, match="job=.* must be a text of 1 to 200 printable"):
        ledger.held(name, SLOT).__enter__()
    with pytest.raises(ConfigError, match="slot=.* must be a time with a zone"):
        ledger.held("nightly", SLOT.replace(tzinfo=None)).__enter__()


def test_eight_processes_at_once_commit_once(forks: Forks, database_url: str, tmp_path: Path) -> None:
    ledger = Ledger(database_url).open()
    make_shop_window(ledger)
    pids = [forks.start(database_url, gate=str(tmp_path / "gate")) for _ in range(8)]
    (tmp_path / "gate").touch()
    ends = [forks.wait(pid) for pid in pids]
    assert ends.count("committed") == 1
    others = [end for end in ends if end != "committed"]
    assert all(end == "nothing to do" or end.startswith("AlreadyRunningError: ") for end in others), ends
    assert ledger.runs()["state"].tolist() == ["committed"]
    assert shown(ledger) == [(key().run, n) for n in range(ROWS)]


def test_four_jobs_at_once_in_one_database_all_commit(forks: Forks, database_url: str, tmp_path: Path) -> None:
    ledger = Ledger(database_url).open()
    make_shop_window(ledger)
    pids = [forks.start(database_url, job=f"job {n}", gate=str(tmp_path / "gate")) for n in range(4)]
    (tmp_path / "gate").touch()
    assert [forks.wait(pid) for pid in pids] == ["committed"] * 4
    assert sorted(ledger.runs(state="committed")["job"]) == [f"job {n}" for n in range(4)]
    assert all(len(shown(ledger, f"job {n}")) == ROWS for n in range(4))


LATER = 3600  # seconds: by the clock of the second owner, the lease of the first ran out long ago


@pytest.mark.parametrize("point", ["ledger.after-staged", "sink.before-commit"])
def test_a_stopped_owner_that_wakes_up_late_cannot_commit(forks: Forks, database_url: str, point: str) -> None:
    ledger = Ledger(database_url).open()
    make_shop_window(ledger)
    first = forks.start(database_url, stop_at=point)
    forks.stopped(first)
    assert forks.run(database_url, data="d2").startswith("AlreadyRunningError: ")
    assert forks.run(database_url, data="d2", ahead=LATER) == "committed"
    os.kill(first, signal.SIGCONT)
    assert forks.wait(first).startswith("FencedError: ")
    assert shown(ledger) == [(key("d2").run, n) for n in range(ROWS)]
    assert ledger.show(key("d1").run).state == "failed"
    assert ledger.committed("nightly")["run"].tolist() == [key("d2").run]


@pytest.mark.parametrize("point", ["sink.published", "ledger.after-committed"])
def test_an_owner_stopped_within_the_sinks_transaction_is_thrown_out_by_the_server(
    forks: Forks, postgres_database: str, point: str
) -> None:
    ledger = Ledger(postgres_database).open()
    make_shop_window(ledger)
    first = forks.start(postgres_database, stop_at=point, idle=2)  # it holds the rows of the sink, then the slot too
    forks.stopped(first)
    assert forks.run(postgres_database, data="d2", ahead=LATER) == "committed"
    os.kill(first, signal.SIGCONT)
    assert forks.wait(first).startswith("FencedError: ")
    assert shown(ledger) == [(key("d2").run, n) for n in range(ROWS)]
    assert ledger.committed("nightly")["run"].tolist() == [key("d2").run]


def test_an_owner_stopped_with_the_file_locked_keeps_others_out_and_then_commits(forks: Forks, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db?timeout=0.05"
    ledger = Ledger(url).open()
    make_shop_window(ledger)
    first = forks.start(url, stop_at="ledger.after-committed")
    forks.stopped(first)
    assert forks.run(url, data="d2", ahead=LATER, patience=0.5).startswith("UnreachableError: ")
    os.kill(first, signal.SIGCONT)
    assert forks.wait(first) == "committed"
    assert shown(ledger) == [(key("d1").run, n) for n in range(ROWS)]


def test_the_slot_of_a_process_that_died_on_this_machine_is_free_at_once(forks: Forks, database_url: str) -> None:
    ledger = Ledger(database_url).open()
    make_shop_window(ledger)
    assert forks.run(database_url, kill_at="ledger.after-computed") == "signal 9"
    assert ledger.runs()["state"].tolist() == ["computed"]
    assert forks.run(database_url) == "committed"
    record = ledger.show(key().run)
    assert history(record) == [
        (1, "planned"), (1, "computed"), (1, "failed"), (2, "planned"), (2, "computed"), (2, "staged"), (2, "committed"),
    ]  # fmt: skip
    assert record.error is None and "took the slot" in str(record.history[2].note)


def test_a_run_killed_at_any_point_shows_old_or_new_and_the_next_one_finishes_it(
    forks: Forks, database_url: str
) -> None:
    ledger = Ledger(database_url).open()
    make_shop_window(ledger)
    assert forks.run(database_url, data="d0") == "committed"
    for n in range(1, 50):
        end = forks.run(database_url, data=f"d{n}", kill_at=n)
        current = ledger.committed("nightly")["run"].tolist()
        assert current in ([key(f"d{n - 1}").run], [key(f"d{n}").run])
        assert shown(ledger) == [(current[0], m) for m in range(ROWS)]
        if end == "committed":
            break
        assert end == "signal 9"
        again = forks.run(database_url, data=f"d{n}")
        assert again == ("committed" if current == [key(f"d{n - 1}").run] else "nothing to do")
        assert shown(ledger) == [(key(f"d{n}").run, m) for m in range(ROWS)]
        assert ledger.committed("nightly")["run"].tolist() == [key(f"d{n}").run]
    assert n > 12
    assert set(ledger.runs()["state"]) == {"committed"} and len(ledger.runs()) == n + 1


def test_a_claim_whose_process_cannot_be_told_waits_for_its_lease(ledger: Ledger, clock: Clock) -> None:
    with ledger.held("nightly", SLOT):
        with writing(ledger.engine) as connection:  # as another machine's looks from here
            connection.execute(text("UPDATE forecast_claims SET process = 'elsewhere/4026531836/1/1'"))
        with pytest.raises(AlreadyRunningError):
            ledger.held("nightly", SLOT).__enter__()
        clock.pass_by(seconds=121)
        with ledger.held("nightly", SLOT) as claim:
            assert claim.token == 2
