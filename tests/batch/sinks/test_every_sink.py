"""What all sinks promise."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.batch.form import Form
from forecast.batch.protocols import Sink
from forecast.errors import FencedError, StorageError
from tests.batch.publications import FORM, SLOT, expected, frame, publication, publish, sink_of

LATER = SLOT + timedelta(days=1)
A, B, C = "a" * 16, "b" * 16, "c" * 16
TWISTED = ["001", "NA", "null", "None", "nan", "1e5", "", " ", "a,b", 'q"u', "l\nn", "c\rr", "c\r\nd", "Å", "Å", "💥", "\\.", "\\N",
           "=1+1", "+1", "-1", "@x", "\tx", "'=1", "''=1", "'", "'; DROP TABLE sentinel;--", "%s", ":run", "$run", "{x}", "../x"]  # fmt: skip
ZONES = ["UTC", "Europe/London", "America/St_Johns", "Asia/Kathmandu"]
turns = itertools.count()
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def equal(first: pd.DataFrame, second: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_it_is_a_sink(sink: Any) -> None:
    assert isinstance(sink, Sink)
    assert sink.describe()["kind"] in ("folder", "sql", "duckdb")


def test_what_was_published_is_what_is_read(sink: Any) -> None:
    sink.check(FORM)
    rows, first = frame(), publication()
    assert len(publish(sink, first, rows)) == 1
    equal(sink.read("sales"), expected(rows, first))


@pytest.mark.parametrize(
    "form",
    [
        Form("integer", "naive", None, ("mean", "q-0.1")),
        Form("text", "integer", None, ("mean", "lo-80")),
        *[Form("text", "aware", zone, ("mean", "hi-99.5")) for zone in ZONES],
    ],
    ids=lambda form: f"{form.ids}-{form.times}-{form.zone}",
)
def test_types_ids_and_zones_survive(sink: Any, form: Form) -> None:
    ids = (2**53 + 1, -7, 100100037) if form.ids == "integer" else ("x", "007")
    rows, first = frame(ids, form), publication()
    publish(sink, first, rows, form)
    read = sink.read("sales")
    equal(read, expected(rows, first))
    assert read["ds"].dtype == rows["ds"].dtype


@pytest.mark.parametrize(
    "form",
    [FORM, Form("text", "integer", None, ("mean",)), *[Form("integer", "aware", zone, ("mean",)) for zone in ZONES]],
    ids=lambda form: f"{form.times}-{form.zone}",
)
def test_rows_between_two_times_can_be_read_alone(sink: Any, form: Form) -> None:
    rows, first = frame((3, 1, 2) if form.ids == "integer" else ("c", "a", "b"), form, h=5), publication()
    publish(sink, first, rows, form)
    times = rows["ds"].iloc[:5].tolist()
    whole = expected(rows, first)
    for between in ((times[1], times[3]), (times[2], times[2]), (times[0], times[4])):
        equal(sink.read("sales", [first.run], between), whole[whole["ds"].between(*between)].reset_index(drop=True))
    assert sink.read("sales", None, (times[3], times[1])).empty


def test_a_night_of_two_equal_hours_survives(sink: Any) -> None:
    form = Form("text", "aware", "Europe/London", ("mean",))
    rows = frame(("x",), form, h=3)
    rows["ds"] = pd.date_range("2026-10-25T00:00", periods=3, freq="h", tz="Europe/London").as_unit("us")
    publish(sink, publication(), rows, form)
    equal(sink.read("sales")[["ds"]], rows[["ds"]])


@settings(max_examples=25)
@given(
    ids=st.lists(st.sampled_from(TWISTED) | texts, min_size=1, max_size=8, unique=True),
    reason=st.sampled_from(TWISTED) | texts,
    number=st.floats(allow_nan=True, allow_infinity=True),
)
def test_any_text_and_any_number_survives(sink: Any, ids: list[str], reason: str, number: float) -> None:
    turn = next(turns)
    rows, it = frame(ids), publication(f"{turn:016d}", slot=SLOT + timedelta(hours=turn))
    rows["reason"], rows["lo-80"] = reason, number
    publish(sink, it, rows)
    equal(sink.read("sales", [it.run]), expected(rows, it))


def test_a_form_without_rows_survives(sink: Any) -> None:
    rows = frame().iloc[:0]
    publish(sink, publication(), rows)
    equal(sink.read("sales"), expected(rows, publication()))


def test_nothing_published_reads_as_nothing(sink: Any) -> None:
    read = sink.read("sales")
    assert len(read) == 0
    assert read.columns.tolist()[:5] == ["run", "slot", "unique_id", "cutoff", "ds"]


def test_a_run_that_was_not_published_is_named(sink: Any) -> None:
    with pytest.raises(StorageError, match=f"No run '{B}' of job 'sales'"):
        sink.read("sales", [B])
    publish(sink, publication(), frame())
    with pytest.raises(StorageError, match=f"No run '{B}' of job 'sales'"):
        sink.read("sales", [A, B])


def test_the_same_publication_again_changes_nothing(sink: Any) -> None:
    publish(sink, publication(), frame())
    assert len(publish(sink, publication(), frame())) == 1
    equal(sink.read("sales"), expected(frame(), publication()))


def test_a_staged_publication_can_be_committed_twice(sink: Any) -> None:
    staged = sink.stage(publication(), FORM, frame())
    for _ in range(2):
        sink.commit(staged, lambda connection: None)
    equal(sink.read("sales"), expected(frame(), publication()))


def test_nobody_sees_what_is_only_staged(sink: Any) -> None:
    publish(sink, publication(), frame())
    sink.stage(publication(B, version=2, token=2), FORM, frame(level=5))
    equal(sink.read("sales"), expected(frame(), publication()))


def test_a_new_version_replaces_the_old_which_stays_readable(sink: Any) -> None:
    first, second = publication(), publication(B, version=2, token=2)
    old, new = frame(), frame(level=100)
    publish(sink, first, old)
    publish(sink, second, new)
    equal(sink.read("sales"), expected(new, second))
    equal(sink.read("sales", [A]), expected(old, first))
    both = [expected(old, first), expected(new, second)]
    equal(sink.read("sales", [B, A]), pd.concat(both, ignore_index=True))


def test_a_vanished_series_is_gone_from_the_current_version(sink: Any) -> None:
    publish(sink, publication(), frame(("a", "b", "c")))
    publish(sink, publication(B, version=2, token=2), frame(("b",)))
    assert sink.read("sales")["unique_id"].unique().tolist() == ["b"]


def test_slots_and_jobs_stay_apart(sink: Any) -> None:
    one, two = publication(), publication(B, slot=LATER)
    other = publication(C, job="sales/../x")
    for it, level in ((two, 2.0), (one, 1.0), (other, 3.0)):
        publish(sink, it, frame(level=level))
    slots = [expected(frame(level=1), one), expected(frame(level=2), two)]
    equal(sink.read("sales"), pd.concat(slots, ignore_index=True))
    equal(sink.read("sales/../x"), expected(frame(level=3), other))


def test_slots_with_microseconds_stay_apart(sink: Any) -> None:
    early = publication(B, slot=SLOT.replace(microsecond=1))
    publish(sink, publication(), frame())
    publish(sink, early, frame(level=1))
    assert sink.read("sales")["slot"].unique().tolist() == [pd.Timestamp(SLOT), pd.Timestamp(early.slot)]


def test_a_lower_token_is_fenced_and_changes_nothing(sink: Any) -> None:
    publish(sink, publication(B, version=2, token=5), frame(level=5))
    confirmed: list[Any] = []
    for late in (publication(token=4), publication(B, version=2, token=4)):
        staged = sink.stage(late, FORM, frame())
        with pytest.raises(FencedError, match="fencing token 4, and one with 5"):
            sink.commit(staged, confirmed.append)
    assert confirmed == []
    equal(sink.read("sales"), expected(frame(level=5), publication(B)))
    publish(sink, publication(C, slot=LATER, token=1), frame())


def test_the_token_of_a_repetition_counts(sink: Any) -> None:
    publish(sink, publication(token=1), frame())
    publish(sink, publication(token=3), frame())
    staged = sink.stage(publication(B, version=2, token=2), FORM, frame())
    with pytest.raises(FencedError):
        sink.commit(staged, lambda connection: None)


def test_a_version_of_before_becomes_current_again(sink: Any) -> None:
    publish(sink, publication(), frame())
    publish(sink, publication(B, version=2, token=2), frame(level=1))
    publish(sink, publication(token=3), frame())
    equal(sink.read("sales"), expected(frame(), publication()))


def test_many_threads_publish_different_slots_at_once(sink: Any, kind: str, place: str) -> None:
    all_there = threading.Barrier(6)
    failed: list[BaseException] = []

    def one(number: int) -> None:
        own = sink_of(kind, place)
        it = publication(f"{number:016d}", slot=SLOT + timedelta(days=number % 3), job=f"job {number // 3}")
        all_there.wait()
        try:
            publish(own, it, frame(level=number))
        except BaseException as error:  # noqa: BLE001 - the test's own thread has to know
            failed.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for job in range(2):
        read = sink.read(f"job {job}")
        assert read["run"].unique().tolist() == [f"{number:016d}" for number in range(job * 3, job * 3 + 3)]


def test_two_processes_publish_different_jobs_at_once(publishers: Any, kind: str, place: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first = publishers.start(kind=kind, place=place, wait_at="sink.staged", gate=str(gate))
    second = publishers.start(kind=kind, place=place, publication={"run": B, "job": "costs"}, frame={"level": 1.0})
    assert publishers.wait(second) == "done"
    gate.touch()
    assert publishers.wait(first) == "done"
    sink = sink_of(kind, place)
    equal(sink.read("sales"), expected(frame(), publication()))
    equal(sink.read("costs"), expected(frame(level=1), publication(B)))


def test_many_processes_with_the_same_publication_leave_it_once(publishers: Any, kind: str, place: str) -> None:
    started = [publishers.start(kind=kind, place=place) for _ in range(4)]
    assert [publishers.wait(pid) for pid in started] == ["done"] * 4
    equal(sink_of(kind, place).read("sales"), expected(frame(), publication()))


def test_an_owner_that_comes_back_to_life_is_fenced(publishers: Any, kind: str, place: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    frozen = publishers.start(kind=kind, place=place, wait_at="sink.staged", gate=str(gate))
    while not Path(f"{gate}.there").exists():
        time.sleep(0.01)
    second = {"run": B, "version": 2, "token": 2}
    assert publishers.run(kind=kind, place=place, publication=second, frame={"level": 1.0}) == "done"
    gate.touch()
    assert publishers.wait(frozen).startswith("FencedError: ")
    sink = sink_of(kind, place)
    equal(sink.read("sales"), expected(frame(level=1), publication(B)))
    with pytest.raises(StorageError, match="No run"):
        sink.read("sales", [A])


def test_an_error_of_confirm_is_passed_on(sink: Any) -> None:
    staged = sink.stage(publication(), FORM, frame())

    def confirm(connection: object) -> None:
        raise FencedError("lost it")

    with pytest.raises(FencedError, match="lost it"):
        sink.commit(staged, confirm)


def test_the_frame_given_is_not_changed(sink: Any) -> None:
    rows = frame()
    publish(sink, publication(), rows)
    equal(rows, frame())


def test_a_frame_with_another_column_is_refused(sink: Any) -> None:
    with pytest.raises(StorageError, match="'extra'"):
        sink.stage(publication(), FORM, frame().assign(extra=1))


def test_integer_cutoffs_are_kept(sink: Any) -> None:
    form = replace(FORM, times="integer")
    publish(sink, publication(cutoff=17), frame(form=form), form)
    assert sink.read("sales")["ds"].dtype == np.int64


def test_checking_shows_readers_nothing(sink: Any) -> None:
    sink.check(FORM)
    assert len(sink.read("sales")) == 0
    assert sink.sweep() == 0


def test_slots_are_the_same_whatever_their_zone(sink: Any) -> None:
    publish(sink, publication(slot=SLOT.astimezone()), frame())
    publish(sink, publication(B, version=2, token=2, slot=datetime(2026, 3, 1, 4, tzinfo=UTC)), frame(level=1))
    assert sink.read("sales")["run"].unique().tolist() == [B]
