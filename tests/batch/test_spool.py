"""Forecasts that wait on local disk while the database is down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecast.batch.form import Form
from forecast.batch.protocols import Confirm
from forecast.batch.sinks import SqlSink
from forecast.batch.spool import Spool
from forecast.errors import AlreadyRunningError, StorageError
from tests.batch.publications import FORM, SLOT, expected, frame, publication, publish, sink_of
from tests.batch.sinks.conftest import Publishers

A, B = "a" * 16, "b" * 16
FIRST, SECOND = publication(), publication(B, version=2, token=2)
MANY = 40


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture(scope="module")
def publisher_server() -> Iterator[Publishers]:
    server = Publishers()
    yield server
    server.end()


@pytest.fixture
def publishers(publisher_server: Publishers) -> Iterator[Publishers]:
    yield publisher_server
    publisher_server.kill()


@contextmanager
def as_it_is(of: Any) -> Iterator[tuple[Any, Confirm]]:
    """For sinks without a ledger: the token of the run that spooled it."""
    yield of, lambda connection: None


def equal(first: pd.DataFrame, second: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def golden(place: Path, *publications: Any) -> pd.DataFrame:
    sink = sink_of("parquet", str(place / "golden"))
    for it, rows in publications:
        publish(sink, it, rows)
    return sink.read("sales")


def test_what_could_not_be_delivered_is_delivered_later_and_equal(tmp_path: Path, spool: Spool) -> None:
    away = SqlSink(f"sqlite:///{tmp_path}/away/x.db", patience=0.1)
    with pytest.raises(StorageError):
        away.stage(FIRST, FORM, frame())
    spool.keep(FIRST, FORM, frame())
    (tmp_path / "away").mkdir()
    replayed = Spool(tmp_path / "spool").replay(away, as_it_is)
    assert replayed.delivered == (FIRST,) and replayed.left == replayed.fenced == replayed.damaged == ()
    equal(away.read("sales"), golden(tmp_path, (FIRST, frame())))
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_staged_publication_can_be_kept(tmp_path: Path, spool: Spool) -> None:
    sink = sink_of("sqlite", str(tmp_path))
    spool.keep_staged(sink.stage(FIRST, FORM, frame()))
    assert spool.replay(sink, as_it_is).delivered == (FIRST,)
    equal(sink.read("sales"), expected(frame(), FIRST))


def test_a_server_that_is_down_loses_nothing(postgres_database: str, tmp_path: Path, spool: Spool) -> None:
    sink = SqlSink(postgres_database)
    staged = sink.stage(FIRST, FORM, frame())
    down = SqlSink("postgresql://ann:canary-secret@127.0.0.1:1/x", patience=0.1)
    with pytest.raises(StorageError) as caught:
        down.commit(staged, lambda connection: None)
    assert "canary-secret" not in str(caught.value)
    waiting = spool.keep_staged(staged)
    assert "canary" not in waiting.note.read_text()
    spool.keep(SECOND, FORM, frame(level=1))
    left = spool.replay(down, as_it_is).left
    assert [it for it, _ in left] == [FIRST, SECOND] and left[0][1] == left[1][1]
    assert spool.replay(sink, as_it_is).delivered == (FIRST, SECOND)
    equal(sink.read("sales"), golden(tmp_path, (FIRST, frame()), (SECOND, frame(level=1))))


@pytest.mark.parametrize(
    "form",
    [
        Form("integer", "integer", None, ("mean",)),
        Form("text", "aware", "Europe/London", ("mean", "lo-80")),
    ],
)
def test_types_survive_the_wait(tmp_path: Path, spool: Spool, form: Form) -> None:
    cutoff = 17 if form.times == "integer" else pd.Timestamp("2026-02-28T23:00:00.000001", tz=form.zone)
    it = publication(cutoff=cutoff)
    rows = frame((3, 2) if form.ids == "integer" else ("001", "NA"), form)
    spool.keep(it, form, rows)
    (waiting,) = Spool(tmp_path / "spool").waiting()
    assert waiting.publication == it and waiting.form == form
    sink = sink_of("sqlite", str(tmp_path))
    spool.replay(sink, as_it_is)
    equal(sink.read("sales"), expected(rows, it))


def test_versions_and_slots_are_delivered_in_their_order(tmp_path: Path, spool: Spool) -> None:
    later = publication("c" * 16, slot=SLOT + timedelta(days=1))
    for it, level in ((later, 3), (SECOND, 2), (FIRST, 1)):
        spool.keep(it, FORM, frame(level=level))
    sink = sink_of("parquet", str(tmp_path))
    assert spool.replay(sink, as_it_is).delivered == (FIRST, SECOND, later)
    equal(
        sink.read("sales"), golden(tmp_path, (FIRST, frame(level=1)), (SECOND, frame(level=2)), (later, frame(level=3)))
    )
    equal(sink.read("sales", [A]), expected(frame(level=1), FIRST))


def test_the_same_publication_waits_once(spool: Spool) -> None:
    for _ in range(2):
        spool.keep(FIRST, FORM, frame())
    assert len(spool.waiting()) == 1


def test_a_slot_published_since_is_not_published_over(tmp_path: Path, spool: Spool) -> None:
    spool.keep(FIRST, FORM, frame())
    sink = sink_of("sqlite", str(tmp_path))
    publish(sink, SECOND, frame(level=2))
    replayed = spool.replay(sink, as_it_is)
    assert replayed.fenced == (FIRST,) and replayed.delivered == ()
    equal(sink.read("sales"), expected(frame(level=2), SECOND))
    assert spool.waiting() == []


def test_delivering_happens_in_a_claim_with_its_token_and_confirm(tmp_path: Path, spool: Spool) -> None:
    spool.keep(FIRST, FORM, frame())
    events: list[Any] = []

    @contextmanager
    def claimed(of: Any) -> Iterator[tuple[Any, Confirm]]:
        events.append("claimed")
        yield replace(of, token=7), lambda connection: events.append("confirmed")
        events.append("released")

    assert spool.replay(sink_of("parquet", str(tmp_path)), claimed).delivered == (replace(FIRST, token=7),)
    assert events == ["claimed", "confirmed", "released"]


def test_one_that_cannot_be_delivered_does_not_stop_the_others(tmp_path: Path, spool: Spool) -> None:
    other = publication(B, job="costs")
    spool.keep(other, FORM, frame())
    spool.keep(FIRST, FORM, frame())

    @contextmanager
    def claimed(of: Any) -> Iterator[tuple[Any, Confirm]]:
        if of.job == "costs":
            raise AlreadyRunningError("being run by another")
        yield of, lambda connection: None

    replayed = spool.replay(sink_of("sqlite", str(tmp_path)), claimed)
    assert replayed.left == ((other, "being run by another"),) and replayed.delivered == (FIRST,)
    assert [waiting.publication for waiting in spool.waiting()] == [other]


def test_damaged_rows_are_never_delivered(tmp_path: Path, spool: Spool) -> None:
    waiting = spool.keep(FIRST, FORM, frame())
    data = bytearray(waiting.rows.read_bytes())
    data[len(data) // 2] ^= 1
    waiting.rows.unlink()
    waiting.rows.write_bytes(data)
    sink = sink_of("sqlite", str(tmp_path))
    ((_, why),) = spool.replay(sink, as_it_is).left
    assert "missing or damaged" in why and "2026-03-01T04:00" in why
    assert len(sink.read("sales")) == 0 and waiting.note.exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "deep", "null"])
def test_a_damaged_note_is_told_and_does_not_stop_the_others(tmp_path: Path, spool: Spool, damage: str) -> None:
    broken = spool.keep(publication(B, job="costs"), FORM, frame()).note
    spool.keep(FIRST, FORM, frame())
    text = broken.read_text()
    broken.write_text(
        {"cut": text[:40], "changed": text.replace("costs", "sales"), "deep": "[" * 99_999, "null": "null"}[damage]
    )
    replayed = spool.replay(sink_of("parquet", str(tmp_path)), as_it_is)
    assert replayed.delivered == (FIRST,)
    assert len(replayed.damaged) == 1 and broken.name in replayed.damaged[0]
    assert broken.exists()


@pytest.mark.parametrize("job", ["../../x", "a/b", "CON", "x" * 300, "…", "a~b"])
def test_no_job_leaves_the_folder(tmp_path: Path, spool: Spool, job: str) -> None:
    spool.keep(publication(job=job), FORM, frame())
    assert {path.name for path in tmp_path.iterdir()} == {"spool"}
    assert spool.waiting()[0].publication.job == job


def test_an_empty_spool_has_nothing_to_do(tmp_path: Path, spool: Spool) -> None:
    assert spool.waiting() == [] and spool.sweep() == 0
    assert spool.replay(sink_of("parquet", str(tmp_path)), as_it_is).delivered == ()


def test_a_full_disk_is_named_and_leaves_nothing(publishers: Publishers, tmp_path: Path) -> None:
    for room in (0, 2000):
        end = publishers.run("keep", place=str(tmp_path / "spool"), frame={"h": 500}, largest_file=room)
        assert end.startswith("StorageError") and "no room" in end and "bytes are needed" in end
        assert list((tmp_path / "spool").iterdir()) == []


def test_a_run_killed_while_it_keeps_forecasts_has_kept_them_or_not(publishers: Publishers, tmp_path: Path) -> None:
    place, spool = str(tmp_path / "spool"), Spool(tmp_path / "spool")
    kept = []
    for number in range(1, MANY):
        end = publishers.run("keep", place=place, kill_at=number)
        waiting = spool.waiting()
        kept.append(len(waiting))
        if waiting:
            equal(waiting[0].frame(), frame().sort_values(["unique_id", "step"], ignore_index=True))
        if end == "done":
            break
        assert end == "signal 9"
    assert kept[0] == 0 and kept[-1] == 1 and kept == sorted(kept)
    spool.sweep()
    assert sorted(path.suffix for path in (tmp_path / "spool").iterdir()) == [".json", ".parquet"]


@pytest.mark.parametrize("kind", ["parquet", "sqlite"])
def test_a_replay_that_is_killed_delivers_once_in_the_end(publishers: Publishers, tmp_path: Path, kind: str) -> None:
    place, spool = str(tmp_path / "spool"), Spool(tmp_path / "spool")
    sink = sink_of(kind, str(tmp_path))
    for number in range(1, MANY):
        spool.keep(FIRST, FORM, frame())
        end = publishers.run("replay", place=place, kind=kind, sink_place=str(tmp_path), kill_at=number)
        read = sink.read("sales")
        assert len(read) == 0 or read.equals(expected(frame(), FIRST))
        assert spool.waiting() or read.equals(expected(frame(), FIRST))
        if end == "done":
            break
        assert end == "signal 9"
    sink.sweep()
    spool.sweep()
    equal(sink.read("sales"), golden(tmp_path, (FIRST, frame())))
    assert list((tmp_path / "spool").iterdir()) == []
