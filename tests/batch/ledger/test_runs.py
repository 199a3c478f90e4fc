"""The life of a run in the ledger: planned, computed, staged, committed; and what was known when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.records import COLUMNS, Claim, Planned
from forecast.batch.ledger.retry import is_transient
from forecast.batch.ledger.urls import engine_for, reading, writing
from forecast.errors import ConfigError, FencedError, StorageError
from tests.batch.ledger.conftest import Clock
from tests.batch.ledger_process import ROWS, SLOT, key, make_shop_window, publish, show, shown
from tests.batch.proxy import Proxy

DAY = timedelta(days=1)


def commit(ledger: Ledger, data: str = "d1", slot: datetime = SLOT) -> Planned:
    """One whole run."""
    with ledger.held("nightly", slot) as claim:
        planned = ledger.plan(claim, key(data, slot=slot), slot, {"data": {"name": data}})
        if planned.state != "committed":
            ledger.confirm(claim, planned.run)
        return planned


def fail(ledger: Ledger, data: str = "d1", slot: datetime = SLOT) -> Planned:
    """A run that comes to nothing."""
    with ledger.held("nightly", slot) as claim:
        planned = ledger.plan(claim, key(data, slot=slot), slot, {})
        ledger.advance(claim, planned.run, "failed", error="no rows")
        return planned


def test_a_run_goes_from_planned_to_committed_and_every_step_is_kept(ledger: Ledger, clock: Clock) -> None:
    start = clock.now
    with ledger.held("nightly", SLOT, owner="anna") as claim:
        planned = ledger.plan(claim, key(), pd.Timestamp("2026-02-28"), {"data": {"rows": 7}, "model": "segrnn"})
        assert planned == Planned(key().run, 1, "planned")
        clock.pass_by(seconds=10)
        ledger.advance(claim, planned.run, "computed", counts={"series": 2}, chunks=3)
        clock.pass_by(seconds=10)
        ledger.advance(claim, planned.run, "staged", place="here")
        clock.pass_by(seconds=10)
        ledger.confirm(claim, planned.run, counts={"rows": 14}, late=False)
    record = ledger.show(planned.run)
    assert (record.run, record.job, record.slot, record.version, record.state) == (
        key().run,
        "nightly",
        SLOT,
        1,
        "committed",
    )
    assert (record.data_hash, record.model_hash, record.config_hash) == ("d1", "m1", "c1")
    assert (record.owner, record.token, record.cutoff, record.error) == ("anna", 1, "2026-02-28T00:00:00", None)
    times = [record.planned_at, record.computed_at, record.staged_at, record.committed_at, record.failed_at]
    assert times == [
        start,
        start + timedelta(seconds=10),
        start + timedelta(seconds=20),
        start + timedelta(seconds=30),
        None,
    ]
    assert record.counts == {"series": 2, "rows": 14}
    assert record.facts == {"data": {"rows": 7}, "model": "segrnn", "chunks": 3, "place": "here", "late": False}
    assert [event.state for event in record.history] == ["planned", "computed", "staged", "committed"]
    seconds = [event.seconds for event in record.history]
    assert all(second is not None and second >= 0 for second in seconds)
    assert record.seconds == pytest.approx(sum(filter(None, seconds)))


def test_the_same_key_again_has_nothing_to_do(ledger: Ledger) -> None:
    first = commit(ledger)
    before = ledger.show(first.run)
    assert commit(ledger) == Planned(first.run, 1, "committed")
    assert ledger.runs().shape[0] == 1
    after = ledger.show(first.run)
    assert (after.token, after.committed_at, after.history) == (before.token, before.committed_at, before.history)


def test_a_changed_input_makes_a_new_version_and_keeps_the_old(ledger: Ledger) -> None:
    first, second = commit(ledger), commit(ledger, "d2")
    assert (first.version, second.version) == (1, 2)
    assert ledger.committed("nightly")["run"].tolist() == [second.run]
    assert ledger.show(first.run).state == "committed"


def test_a_correction_that_is_taken_back_makes_the_old_forecasts_current_again(ledger: Ledger) -> None:
    first, second, third = commit(ledger), commit(ledger, "d2"), commit(ledger)
    assert third.version == 3 and third.state == "planned"
    assert len({first.run, second.run, third.run}) == 3  # what was published as version 1 stays as it was
    assert ledger.committed("nightly")["run"].tolist() == [third.run]
    assert commit(ledger) == Planned(third.run, 3, "committed")
    assert commit(ledger, "d2").version == 4


def test_a_failed_run_is_tried_again_under_its_own_id(ledger: Ledger) -> None:
    first, second = fail(ledger), commit(ledger)
    assert first == second
    record = ledger.show(first.run)
    assert record.state == "committed" and record.error is None and record.failed_at is None
    assert [(event.token, event.state, event.note) for event in record.history] == [
        (1, "planned", None), (1, "failed", "no rows"), (2, "planned", None), (2, "committed", None),
    ]  # fmt: skip


def test_what_is_committed_later_has_the_higher_version_though_it_was_tried_first(ledger: Ledger) -> None:
    assert fail(ledger).version == 1
    assert commit(ledger, "d2").version == 2
    assert commit(ledger).version == 3
    assert ledger.committed("nightly")["data_hash"].tolist() == ["d1"]


def test_as_of_tells_what_was_known_then(ledger: Ledger, clock: Clock) -> None:
    moments = {}
    for step, (data, slot) in enumerate([("d1", SLOT), ("e1", SLOT + DAY), ("d2", SLOT)]):
        moments[step] = clock.now
        commit(ledger, data, slot)
        clock.pass_by(hours=1)
    assert ledger.committed("nightly", moments[0] - timedelta(microseconds=1)).empty
    assert ledger.committed("nightly", moments[0])["data_hash"].tolist() == ["d1"]
    assert ledger.committed("nightly", moments[1])["data_hash"].tolist() == ["d1", "e1"]
    assert ledger.committed("nightly", moments[2])["data_hash"].tolist() == ["d2", "e1"]
    assert ledger.committed("nightly")["data_hash"].tolist() == ["d2", "e1"]
    assert ledger.committed("weekly").empty


Happening = tuple[int, str, str, int]


@settings(max_examples=10)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.sampled_from(["commit", "fail"]), st.integers(-90, 90)),
        max_size=6,
    )
)
@example([(0, "a", "commit", 0), (0, "b", "commit", -90), (1, "a", "fail", 5), (0, "a", "commit", 5)])
def test_whatever_happened_the_ledger_agrees_with_a_list_of_commits(happenings: list[Happening]) -> None:
    clock = Clock()
    with TemporaryDirectory() as folder:
        ledger = Ledger(f"sqlite:///{folder}/ledger.db", clock=clock).open()
        commits: list[tuple[int, str, str, datetime]] = []
        for day, data, what, minutes in happenings:
            clock.pass_by(minutes=minutes)
            current = [c for c in commits if c[0] == day][-1:]
            if what == "fail" and not (current and current[0][1] == data):
                fail(ledger, data, SLOT + day * DAY)
            elif what == "commit":
                planned = commit(ledger, data, SLOT + day * DAY)
                assert (planned.state == "committed") == bool(current and current[0][1] == data)
                if planned.state != "committed":
                    at = ledger.show(planned.run).committed_at
                    assert at is not None and all(at > c[3] for c in commits if c[0] == day)
                    commits.append((day, data, planned.run, at))
        for moment in [None, *(c[3] for c in commits)]:
            known = {day: run for day, _, run, at in commits if moment is None or at <= moment}
            found = ledger.committed("nightly", moment)
            assert dict(zip(found["slot"], found["run"], strict=True)) == {
                pd.Timestamp(SLOT + day * DAY): run for day, run in known.items()
            }


def test_a_clock_that_was_set_back_makes_no_version_older_than_the_one_before(ledger: Ledger, clock: Clock) -> None:
    first = commit(ledger)
    clock.pass_by(hours=-5)
    second = commit(ledger, "d2")
    before, after = ledger.show(first.run).committed_at, ledger.show(second.run).committed_at
    assert before is not None and after == before + timedelta(microseconds=1)
    assert ledger.committed("nightly", before)["run"].tolist() == [first.run]
    assert ledger.committed("nightly", after)["run"].tolist() == [second.run]


def test_a_run_is_committed_with_the_sinks_transaction_or_not_at_all(ledger: Ledger) -> None:
    make_shop_window(ledger)

    def undone() -> None:
        with writing(ledger.engine) as connection:
            show(connection, "nightly", planned.run)
            ledger.confirm(claim, planned.run, connection)
            raise ZeroDivisionError

    with ledger.held("nightly", SLOT) as claim:
        planned = ledger.plan(claim, key(), SLOT, {})
        with pytest.raises(ZeroDivisionError):
            undone()
        assert ledger.show(planned.run).state == "planned" and shown(ledger) == []
        with writing(ledger.engine) as connection:
            show(connection, "nightly", planned.run)
            ledger.confirm(claim, planned.run, connection)
        assert ledger.show(planned.run).state == "committed" and len(shown(ledger)) == ROWS


def test_confirming_twice_changes_nothing(ledger: Ledger, clock: Clock) -> None:
    with ledger.held("nightly", SLOT) as claim:
        planned = ledger.plan(claim, key(), SLOT, {})
        ledger.confirm(claim, planned.run)
        once = ledger.show(planned.run)
        clock.pass_by(seconds=5)
        ledger.confirm(claim, planned.run, late=True)
        assert ledger.show(planned.run) == once


def test_what_fails_after_the_commit_is_told_and_the_run_stays_committed(ledger: Ledger) -> None:
    with ledger.held("nightly", SLOT) as claim:
        planned = ledger.plan(claim, key(), SLOT, {})
        ledger.confirm(claim, planned.run)
        ledger.advance(claim, planned.run, "failed", error="the report could not be written")
        with pytest.raises(ConfigError, match="is committed"):
            ledger.advance(claim, planned.run, "computed")
    record = ledger.show(planned.run)
    assert (record.state, record.error) == ("committed", None)
    assert record.history[-1].note == "the report could not be written"
    assert ledger.committed("nightly")["run"].tolist() == [planned.run]


def test_steps_that_make_no_sense_are_refused(ledger: Ledger) -> None:
    with ledger.held("nightly", SLOT) as claim, ledger.held("weekly", SLOT) as other:
        planned = ledger.plan(claim, key(), SLOT, {})
        with pytest.raises(ConfigError, match="The key is of 'weekly'"):
            ledger.plan(claim, key(job="weekly"), SLOT, {})
        with pytest.raises(ConfigError, match="not to 'committed'"):
            ledger.advance(claim, planned.run, "committed")
        with pytest.raises(ConfigError, match="was not planned for slot"):
            ledger.advance(other, planned.run, "computed")
        with pytest.raises(ConfigError, match="was not planned for slot"):
            ledger.confirm(other, planned.run)
    with pytest.raises(FencedError):
        ledger.plan(claim, key(), SLOT, {})  # the block is over


def test_facts_are_kept_as_plain_data_and_without_passwords(ledger: Ledger) -> None:
    facts = {
        "n": np.int64(3), "share": np.float32(0.5), "missing": float("nan"), "at": pd.Timestamp("2026-01-01", tz="UTC"),
        "day": np.datetime64("2026-01-01"), "ids": ("a", 1), "array": np.arange(2), "flag": np.bool_(True),
        "sink": {"url": "postgresql://anna:geheimnis@db/sales", "password": "geheimnis", "password_file": "x"},
        "odd": "nul \0 and surrogate \ud800", 5: None, "path": Path("a"),
    }  # fmt: skip
    with ledger.held("nightly", SLOT) as claim:
        planned = ledger.plan(claim, key(), 17, facts)
        ledger.advance(claim, planned.run, "failed", error="nul \0, surrogate \ud800, password=geheimnis\nsecond line")
    record = ledger.show(planned.run)
    assert record.facts == {
        "n": 3, "share": 0.5, "missing": None, "at": "2026-01-01T00:00:00+00:00", "day": "2026-01-01", "ids": ["a", 1],
        "array": [0, 1], "flag": True, "odd": "nul \0 and surrogate \ud800", "5": None, "path": "a",
        "sink": {"url": "postgresql://anna:***@db/sales", "password": "***", "password_file": "x"},
    }  # fmt: skip
    assert record.error == "nul \\x00, surrogate \\ud800, password=***\nsecond line"
    assert record.cutoff == "17"


def test_a_very_long_error_is_cut(ledger: Ledger) -> None:
    with ledger.held("nightly", SLOT) as claim:
        planned = ledger.plan(claim, key(), SLOT, {})
        ledger.advance(claim, planned.run, "failed", error="x" * 1_000_000)
    assert len(str(ledger.show(planned.run).error)) == 4000


def test_lists_have_the_latest_first_and_can_be_narrowed(ledger: Ledger) -> None:
    commit(ledger), fail(ledger, "d2"), commit(ledger, "e1", SLOT + DAY)
    runs = ledger.runs()
    assert tuple(runs.columns) == COLUMNS
    assert runs["data_hash"].tolist() == ["e1", "d2", "d1"]
    assert str(runs["slot"].dtype) == str(runs["committed_at"].dtype) == "datetime64[us, UTC]"
    assert runs["error"].tolist() == [None, "no rows", None]
    assert ledger.runs(state="failed")["data_hash"].tolist() == ["d2"]
    assert ledger.runs(limit=1)["data_hash"].tolist() == ["e1"]
    assert ledger.runs(job="weekly").empty and tuple(ledger.runs(job="weekly").columns) == COLUMNS
    with pytest.raises(ConfigError, match="state='gone' is not one of"):
        ledger.runs(state="gone")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="limit=0"):
        ledger.runs(limit=0)


def test_the_last_committed_run_is_that_of_the_latest_slot_before(ledger: Ledger) -> None:
    assert ledger.last("nightly") is None
    commit(ledger), commit(ledger, "d2"), commit(ledger, "e1", SLOT + DAY), fail(ledger, "f1", SLOT + 2 * DAY)
    latest, earlier = ledger.last("nightly"), ledger.last("nightly", before=SLOT + DAY)
    assert latest is not None and latest.data_hash == "e1" and latest.facts == {"data": {"name": "e1"}}
    assert earlier is not None and earlier.data_hash == "d2"
    assert ledger.last("nightly", before=SLOT) is None


def test_the_first_digits_of_an_id_suffice_and_others_are_told_apart(ledger: Ledger) -> None:
    run = commit(ledger).run
    assert ledger.show(run[:5]).run == run
    for wrong in ["0000000000", "%", "____", run[:3], "'; --", ""]:
        with pytest.raises(ConfigError, match="Run .* is not in the ledger|is not the id of a run"):
            ledger.show(wrong)


def test_a_difference_is_split_into_data_model_and_settings(ledger: Ledger) -> None:
    with ledger.held("nightly", SLOT) as claim:
        first = ledger.plan(claim, key(), SLOT, {"data": {"rows": 7, "ids": {"new": 0}}, "model": {"name": "a"}})
        ledger.confirm(claim, first.run, counts={"series": 2})
        second = ledger.plan(
            claim, key("d2"), SLOT, {"data": {"rows": 8, "ids": {"new": 1}}, "model": {"name": "a"}, "h": 3}
        )
    difference = ledger.diff(first.run, second.run)
    assert (difference.new_data, difference.new_model, difference.new_settings) == (True, False, False)
    assert difference.part("data") == {"rows": (7, 8), "ids.new": (0, 1)}
    assert difference.part("model") == difference.part("settings") == {}
    assert {"h": (None, 3), "counts.series": (2, None)}.items() <= difference.part("").items()


@pytest.fixture
def wire(postgres_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Proxy]]:
    """A PostgreSQL database behind a wire that can be cut, and the wire."""
    socket = engine_for(postgres_database).url.query["host"]
    assert isinstance(socket, str)
    with TemporaryDirectory(prefix="forecast-wire-") as folder, Proxy(socket, Path(folder)) as proxy:
        yield postgres_database.replace(socket, folder), proxy


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["claim", "plan", "computed", "publish", "confirm"])
def test_a_wire_cut_at_the_commit_doubles_nothing_and_loses_nothing(
    wire: tuple[str, Proxy], step: str, when: str
) -> None:
    url, proxy = wire
    ledger = Ledger(url).open()
    make_shop_window(ledger)

    def cut(name: str, commits_before: int = 0) -> None:
        if name == step:
            proxy.cut_commit(commits_before, when)

    cut("claim", 1)  # the first is that of looking who has it
    with ledger.held("nightly", SLOT) as claim:
        cut("plan")
        planned = ledger.plan(claim, key(), SLOT, {})
        cut("computed")
        ledger.advance(claim, planned.run, "computed")
        if step == "confirm":
            cut("confirm")
            ledger.confirm(claim, planned.run)
        cut("publish")
        publish(ledger, claim, planned, url)
    assert proxy.cuts == 1
    assert claim.token == 1 and planned == Planned(key().run, 1, "planned")
    assert [event.state for event in ledger.show(planned.run).history] == ["planned", "computed", "committed"]
    assert shown(ledger) == [(planned.run, n) for n in range(ROWS)]
    assert ledger.runs()["state"].tolist() == ["committed"]


def test_a_connection_that_the_server_ends_in_the_middle_leaves_nothing(postgres_database: str) -> None:
    ledger = Ledger(postgres_database).open()
    make_shop_window(ledger)

    def cut_off() -> None:
        with writing(ledger.engine) as connection:
            show(connection, "nightly", planned.run)
            ledger.confirm(claim, planned.run, connection)
            end_connection(ledger, int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one()))

    with ledger.held("nightly", SLOT) as claim:
        planned = ledger.plan(claim, key(), SLOT, {})
        with pytest.raises(DBAPIError) as caught:
            cut_off()
        assert is_transient(caught.value)
        assert shown(ledger) == [] and ledger.show(planned.run).state == "planned"
        publish(ledger, claim, planned, postgres_database)
    assert len(shown(ledger)) == ROWS and ledger.show(planned.run).state == "committed"


def end_connection(ledger: Ledger, server_process: int) -> None:
    """Have the server drop another client, and wait until it has."""
    with writing(ledger.engine) as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": server_process})


def test_passwords_are_nowhere(database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    canary = "kanarien/v@gel:%1"
    encoded = "kanarien%2Fv%40gel%3A%251"
    secret_url = database_url.replace("postgres@", f"postgres:{encoded}@")
    ledger = Ledger(secret_url).open()
    texts = [repr(ledger), repr(ledger.engine), str(ledger.engine.url), str(vars(ledger))]
    sink = {"url": f"postgresql://anna:{canary}@db/x", "dsn": f"host=db password='{canary}'", "api_key": canary}
    with ledger.held("nightly", SLOT) as claim:
        planned = ledger.plan(claim, key(), SLOT, {"sink": sink, "as_written": f"postgresql://a:{encoded}@db/x"})
        ledger.advance(claim, planned.run, "failed", error=f"could not reach postgresql://anna:{canary}@db/x")
        texts += [repr(claim), repr(planned)]
    texts += [repr(ledger.show(planned.run)), ledger.runs().to_string(), caplog.text]
    away = f"postgresql://anna:{encoded}@/x?host={tmp_path}"
    with pytest.raises(StorageError) as caught:
        Ledger(away, patience=0).open()
    texts += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    with reading(ledger.engine) as connection:
        for table in ("forecast_runs", "forecast_run_events", "forecast_claims"):
            texts += [str(tuple(row)) for row in connection.execute(text(f"SELECT * FROM {table}"))]
    told = "\n".join(texts)
    assert "kanarien" not in told
    assert told.count("***") > 5


def test_what_is_in_the_tables_is_json_that_others_can_read(ledger: Ledger) -> None:
    run = commit(ledger).run
    with reading(ledger.engine) as connection:
        row = connection.execute(text("SELECT facts, counts FROM forecast_runs WHERE run = :run"), {"run": run}).one()
    assert json.loads(row.facts) == {"data": {"name": "d1"}} and json.loads(row.counts) == {}


def test_a_claim_of_another_ledger_is_none_of_this_one(ledger: Ledger) -> None:
    claim = Claim("nightly", datetime(2026, 3, 1, 6, tzinfo=UTC), "anna", 1)
    with pytest.raises(FencedError):
        ledger.confirm(claim, key().run)
    with pytest.raises(FencedError):
        ledger.check(claim)
