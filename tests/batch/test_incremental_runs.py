"""Runs that read new files alone publish what runs that read all files do, whatever becomes of the rows kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecast.batch import points
from forecast.batch.contract import Contract
from forecast.batch.job import Job
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.run import run
from forecast.batch.snapshot import KEPT
from forecast.schema import Schema
from tests.batch.drops import BEGUN, SHOPS, Drops, job_on, night, rows_of, slot, story
from tests.batch.shop import published


def outcomes(drops: Drops, folder: Path, incremental: bool) -> tuple[list[Any], pd.DataFrame, Job]:
    """Runs of five nights in which all sorts of things happen."""
    drops.begin()
    job = job_on(drops, folder, incremental)
    told = []
    for day in range(BEGUN, BEGUN + 5):
        shops = {BEGUN + 1: SHOPS[1:], BEGUN + 4: (*SHOPS, "shop 9")}.get(day, SHOPS)
        rows = rows_of(day, shops=shops)
        if day == BEGUN + 3:  # the row that was lacking two nights before
            rows = pd.concat([rows, rows_of(BEGUN + 1, shops=SHOPS[:1])])
        drops.put(f"day-{day:04d}", rows)
        outcome = run(job, slot(day + 1))
        record = Ledger(job.ledger_url).open().show(outcome.run)
        counts = {key: value for key, value in record.counts.items() if key != "reading"}
        facts = {**record.facts, "settings": None}
        told.append((outcome.run, outcome.exit_code, outcome.quarantined, record.data_hash, facts, counts))
    return told, published(job), job


def test_runs_publish_the_same_whether_they_read_new_files_or_all(tmp_path):
    drops = Drops(tmp_path / "drops")
    one, frame, job = outcomes(drops, tmp_path / "new", True)
    for path in drops.folder.glob("day*"):
        path.unlink()
    two, other, _ = outcomes(drops, tmp_path / "all", False)
    assert one == two
    pd.testing.assert_frame_equal(frame, other, check_exact=True)
    whys = [Ledger(job.ledger_url).open().show(told[0]).counts["reading"]["why"] for told in one]
    assert [bool(why) for why in whys] == [True, False, False, True, False] and "shop 0" in whys[3]
    assert not (tmp_path / "all" / "job" / "rows").exists()
    assert len(list((tmp_path / "new" / "job" / "rows").iterdir())) == KEPT


@pytest.fixture
def two_nights(tmp_path) -> tuple[Drops, Job]:
    """A job that has kept the rows of two nights, and the file of the third."""
    drops = Drops(tmp_path / "drops")
    drops.begin()
    job = job_on(drops, tmp_path)
    for day in (BEGUN, BEGUN + 1):
        drops.day(day)
        run(job, slot(day + 1))
    drops.day(BEGUN + 2)
    return drops, job


def golden(drops: Drops, folder: Path, day: int) -> pd.DataFrame:
    """What a job publishes that has never run before."""
    job = job_on(drops, folder, incremental=False)
    run(job, slot(day))
    return published(job).drop(columns="run")


def of_day(job: Job, day: int) -> pd.DataFrame:
    frame = published(job)
    return frame[frame["slot"] == slot(day)].drop(columns="run").reset_index(drop=True)


def harm(place: Path, how: str, part: str = "more") -> None:
    manifest, (arrays,) = place / "model.json", list(place.glob(f"{part}-*.safetensors"))
    if how == "no manifest":
        manifest.unlink()
    elif how == "half of the rows":
        arrays.write_bytes(arrays.read_bytes()[: arrays.stat().st_size // 2])
    elif how == "another value":
        content = bytearray(arrays.read_bytes())
        content[-9] ^= 1
        arrays.write_bytes(content)
    else:
        manifest.write_text(manifest.read_text().replace('"new_rows"', "").replace("a-history", "b-history"))


@pytest.mark.parametrize("how", ["no manifest", "half of the rows", "another value", "another manifest"])
@pytest.mark.parametrize("every", [True, False])
def test_a_damaged_snapshot_is_named_and_changes_no_forecast(two_nights, tmp_path, how, every):
    drops, job = two_nights
    places = sorted((job.home / "rows").iterdir())
    for place in places if every else places[-1:]:
        harm(place, how)
    outcome = run(job, slot(BEGUN + 3))
    assert any("are not used" in note for note in outcome.notes)
    reading = Ledger(job.ledger_url).open().show(outcome.run).counts["reading"]
    assert bool(reading["why"]) == every and (reading["new_rows"] == (BEGUN + 3) * 3 if every else 6)
    pd.testing.assert_frame_equal(of_day(job, BEGUN + 3), golden(drops, tmp_path / "other", BEGUN + 3))


def test_nights_share_the_file_of_old_rows_which_may_be_damaged_for_all_of_them(two_nights, tmp_path):
    drops, job = two_nights
    places = sorted((job.home / "rows").iterdir())
    files = [next(place.glob("rows-*.safetensors")) for place in places]
    assert len(files) == KEPT and files[0].samefile(files[1])
    harm(places[0], "another value", "rows")
    outcome = run(job, slot(BEGUN + 3))
    assert sum("are not used" in note for note in outcome.notes) == KEPT
    pd.testing.assert_frame_equal(of_day(job, BEGUN + 3), golden(drops, tmp_path / "other", BEGUN + 3))


def test_rows_are_written_as_a_whole_again_once_many_have_come(tmp_path, monkeypatch):
    drops = Drops(tmp_path / "drops")
    drops.begin()
    job = job_on(drops, tmp_path)
    night(job, BEGUN - 1)
    files = []
    for day in range(BEGUN, BEGUN + 9):
        drops.day(day)
        assert story(night(job, day))["why"] == ""  # and the same to the last bit as all rows read at once
        newest = max((job.home / "rows").iterdir())
        files.append(next(newest.glob("rows-*.safetensors")).name)
    assert 1 < len(set(files)) < len(files)


@pytest.mark.parametrize("point", ["run.read", "run.committed", "rows.save", "rows.saved", "rows.pruned"])
def test_a_run_that_dies_while_it_keeps_rows_leaves_the_next_one_right(two_nights, tmp_path, point):
    drops, job = two_nights

    def strike(reached: str) -> None:
        if reached == point:
            raise KeyboardInterrupt

    points.listener = strike
    try:
        with pytest.raises(KeyboardInterrupt):
            run(job, slot(BEGUN + 3))
    finally:
        points.listener = None
    drops.day(BEGUN + 3)
    outcome = run(job, slot(BEGUN + 4))
    reading = Ledger(job.ledger_url).open().show(outcome.run).counts["reading"]
    assert reading["why"] == "" and reading["new_rows"] == (3 if point in ("rows.saved", "rows.pruned") else 6)
    pd.testing.assert_frame_equal(of_day(job, BEGUN + 4), golden(drops, tmp_path / "other", BEGUN + 4))


def test_a_slot_of_the_past_uses_no_rows_kept_later(two_nights, tmp_path):
    drops, job = two_nights
    early = run(job, slot(BEGUN - 5))
    reading = Ledger(job.ledger_url).open().show(early.run).counts["reading"]
    assert reading["since"] == "" and reading["why"] == "no rows of a run before are kept"
    pd.testing.assert_frame_equal(of_day(job, BEGUN - 5), golden(drops, tmp_path / "other", BEGUN - 5))
    again = run(job, slot(BEGUN + 3))  # and what it did is in nobody's way
    assert Ledger(job.ledger_url).open().show(again.run).counts["reading"]["new_rows"] == 3


@pytest.mark.parametrize(
    "changes", [{"level": (90,)}, {"contract": Contract(min_series=2)}, {"schema": Schema(missing="zero")}]
)
def test_other_settings_read_everything(two_nights, tmp_path, changes):
    drops, _ = two_nights
    other = job_on(drops, tmp_path, **changes)
    assert "have changed" in story(night(other, BEGUN + 2))["why"]


def test_another_version_of_a_package_reads_everything(two_nights, monkeypatch):
    _, job = two_nights
    monkeypatch.setattr("forecast.batch.snapshot.versions", lambda: {"forecast": "0", "numpy": "9"})
    assert "have changed" in story(night(job, BEGUN + 2))["why"]


def test_nights_without_anything_new_keep_nothing_anew(two_nights):
    _, job = two_nights
    run(job, slot(BEGUN + 3))
    written = {path: path.stat().st_mtime_ns for path in (job.home / "rows").rglob("*")}
    run(job, slot(BEGUN + 4))
    assert {path: path.stat().st_mtime_ns for path in (job.home / "rows").rglob("*")} == written
