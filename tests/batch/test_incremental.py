"""A run that reads new files alone comes to exactly what it would come to by reading all of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.batch import points
from forecast.batch.contract import Contract
from forecast.batch.files import FileSource
from forecast.batch.inputs import Inputs, read_inputs
from forecast.batch.job import Job
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.opening import job_of
from forecast.batch.run import run
from forecast.batch.settings import from_mapping
from forecast.batch.snapshot import KEPT, Snapshots
from forecast.errors import DataError
from forecast.schema import Schema
from tests.batch.shop import published, sales_job

FIRST = pd.Timestamp("2026-01-01")
BEGUN = 30  # days in the first file
SHOPS = ("shop 0", "shop 1", "shop 2")


def slot(day: int) -> datetime:
    """The night after ``day`` days have passed."""
    return (FIRST + pd.Timedelta(days=day)).to_pydatetime().replace(tzinfo=UTC)


def rows_of(*days: int, shops: tuple[str, ...] = SHOPS, zone: str | None = None) -> pd.DataFrame:
    """A row for each shop and day, the same whenever it is asked for."""
    stamps = FIRST + pd.to_timedelta(days, unit="D")
    frames = []
    for shop in shops:
        level = 10.0 * (1 + int(shop.split()[1]))
        frames.append(pd.DataFrame({"unique_id": shop, "ds": stamps, "y": level + np.sin(np.array(days))}))
    frame = pd.concat(frames, ignore_index=True)
    return frame if zone is None else frame.assign(ds=frame["ds"].dt.tz_localize(zone))


class Drops:
    """A folder that a file is put into every day."""

    def __init__(self, folder: Path, ending: str = "parquet") -> None:
        self.folder, self.ending = folder, ending
        folder.mkdir(exist_ok=True)

    def put(self, name: str, frame: pd.DataFrame) -> Path:
        path = self.folder / f"{name}.{self.ending}"
        if self.ending == "parquet":
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False)
        return path

    def begin(self, **options: Any) -> None:
        self.put("a-history", rows_of(*range(BEGUN), **options))

    def day(self, day: int, **options: Any) -> Path:
        """What arrives in the night after ``day``."""
        return self.put(f"day-{day:04d}", rows_of(day, **options))

    def source(self, **options: Any) -> FileSource:
        return FileSource(f"{self.folder}/*.{self.ending}", patience=0.0, **options)


def job_on(drops: Drops, folder: Path, incremental: bool = True, **changes: Any) -> Job:
    return sales_job(folder, source=drops.source(incremental=incremental, zone=changes.get("zone")), **changes)


def same_inputs(one: Inputs, two: Inputs) -> None:
    """To the last bit, apart from how they were read."""
    a, b = one.panel, two.panel
    assert a.ids.equals(b.ids) and a.ids.dtype == b.ids.dtype and a.ids.name == b.ids.name
    assert a.timeline == b.timeline and a.schema == b.schema
    for name in ("values", "offsets", "first"):
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype and left.tobytes() == right.tobytes(), name
    assert (one.digest, one.facts, one.notes) == (two.digest, two.facts, two.notes)
    assert one.quarantined == two.quarantined
    if a.static is not None or b.static is not None:
        assert a.static.names == b.static.names


def told_or_raised(read: Callable[[], Inputs]) -> Inputs | str:
    try:
        return read()
    except DataError as error:
        return str(error)


def night(job: Job, day: int, previous: pd.Index | None = None) -> Inputs | str:
    """The inputs of a run after ``day`` by what is kept, which are checked against those of a run that reads all.

    What the next run needs is kept. A fault of the whole frame is given in words, the same for both.
    """
    when, snapshots = slot(day + 1), Snapshots.of(job.home)
    kept = snapshots.recall(job, when)
    whole = told_or_raised(lambda: read_inputs(job, when, previous))
    inputs = told_or_raised(lambda: read_inputs(job, when, previous, kept))
    if isinstance(whole, str) or isinstance(inputs, str):
        assert whole == inputs
        return str(whole)
    same_inputs(inputs, whole)
    if inputs.snapshot is not None:
        snapshots.keep(inputs.snapshot, job, when)
    return inputs


def story(inputs: Inputs | str) -> dict[str, Any]:
    assert isinstance(inputs, Inputs)
    return dict(inputs.reading)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_day_after_day_only_the_new_file_is_read(tmp_path, ending, zone):
    drops = Drops(tmp_path / "drops", ending)
    options = {"zone": zone} if ending == "parquet" else {}
    drops.begin(**options)
    job = job_on(drops, tmp_path, **({"zone": zone} if zone else {}))
    assert story(night(job, BEGUN - 1))["why"] == "no rows of a run before are kept"
    opened = []
    for day in range(BEGUN, BEGUN + 4):
        drops.day(day, **options)
        points.listener = opened.append
        inputs = night(job, day)
        points.listener = None
        told = story(inputs)
        assert (told["new_rows"], told["why"]) == (3, "") and told["since"].startswith(f"{slot(day):%Y%m%d}")
    # each night all files for comparison, and one alone
    assert opened.count("source.file") == sum(2 + n for n in range(4)) + 4


def later(day: int, hours: float) -> pd.DataFrame:
    return rows_of(day).assign(ds=lambda f: f["ds"] + pd.Timedelta(hours=hours))


def changed(drops: Drops, day: int) -> None:
    """An older file with another value, its size and time of change as before."""
    path = drops.folder / "a-history.parquet"
    before = path.stat()
    frame = pd.read_parquet(path)
    frame.loc[5, "y"] += 1.0
    frame.to_parquet(path, index=False)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    drops.day(day)


def touched(drops: Drops, day: int) -> None:
    os.utime(drops.folder / "a-history.parquet")
    drops.day(day)


def removed(drops: Drops, day: int) -> None:
    drops.day(day)
    sorted(drops.folder.glob("day-*"))[0].unlink()


def nothing(drops: Drops, day: int) -> None:
    """No file at all."""


EVENTS: dict[str, Callable[[Drops, int], Any]] = {
    "a plain day": lambda d, day: d.day(day),
    "a shop without a row": lambda d, day: d.day(day, shops=SHOPS[1:]),
    "a new shop": lambda d, day: d.day(day, shops=(*SHOPS, f"shop {day}")),
    "new shops first": lambda d, day: d.day(day, shops=(f"shop {day}", "shop 99", *SHOPS)),
    "two days at once": lambda d, day: d.put(f"day-{day:04d}", rows_of(day - 1, day, shops=("shop 7", "shop 0"))),
    "a late row": lambda d, day: d.put(f"day-{day:04d}", rows_of(day - 1, day)),
    "the same row twice": lambda d, day: d.put(f"day-{day:04d}", pd.concat([rows_of(day)] * 2)),
    "unknown values": lambda d, day: d.put(f"day-{day:04d}", rows_of(day).assign(y=np.nan)),
    "an unknown value of a new shop": lambda d, day: d.put(
        f"day-{day:04d}", rows_of(day, shops=("shop 50",)).assign(y=np.nan)
    ),
    "an infinite value": lambda d, day: d.put(f"day-{day:04d}", rows_of(day).assign(y=np.inf)),
    "whole numbers": lambda d, day: d.put(f"day-{day:04d}", rows_of(day).assign(y=[1, 2, 3])),
    "text among the values": lambda d, day: d.put(f"day-{day:04d}", rows_of(day).assign(y=["1", "n/a", "3"])),
    "no time": lambda d, day: d.put(f"day-{day:04d}", rows_of(day).assign(ds=lambda f: f["ds"].where(f.index > 0))),
    "no id": lambda d, day: d.put(f"day-{day:04d}", rows_of(day).assign(unique_id=["shop 0", None, "shop 2"])),
    "off the grid": lambda d, day: d.put(f"day-{day:04d}", later(day, -3)),
    "a day to come": lambda d, day: d.put(f"day-{day:04d}", rows_of(day, day + 1)),
    "far ahead": lambda d, day: d.put(f"day-{day:04d}", rows_of(day, day + 2000)),
    "long ago": lambda d, day: d.put(f"day-{day:04d}", rows_of(-4000, day, shops=("shop 0", "shop 60"))),
    "every fifth day": lambda d, day: d.put(f"day-{day:04d}", rows_of(*range(day - 25, day, 5), shops=("shop 70",))),
    "an empty file": lambda d, day: d.put(f"day-{day:04d}", rows_of(day).iloc[:0]),
    "another column": lambda d, day: d.put(f"day-{day:04d}", rows_of(day).assign(more=1)),
    "a file before the others": lambda d, day: d.put(f"a-{day:04d}", rows_of(day)),
    "an old file changed": changed,
    "an old file touched": touched,
    "a file removed": removed,
    "no file": nothing,
}  # fmt: skip
FAST = {
    "a plain day", "a shop without a row", "a new shop", "new shops first", "two days at once", "unknown values",
    "whole numbers", "an empty file", "an old file touched", "no file",
}  # fmt: skip


@pytest.mark.parametrize("event", EVENTS)
def test_whatever_a_day_brings_the_result_is_that_of_reading_everything(tmp_path, event):
    drops = Drops(tmp_path / "drops")
    drops.begin()
    job = job_on(drops, tmp_path)
    night(job, BEGUN - 1)
    drops.day(BEGUN)
    assert story(night(job, BEGUN))["why"] == ""
    if event == "two days at once":  # of shops that the day before had no rows of
        (drops.folder / f"day-{BEGUN:04d}.parquet").unlink()
        drops.day(BEGUN, shops=SHOPS[1:])
        night(job, BEGUN)
    EVENTS[event](drops, BEGUN + 1)
    inputs = night(job, BEGUN + 1)
    if isinstance(inputs, Inputs):
        assert (inputs.reading["why"] == "") == (event in FAST), inputs.reading
    drops.day(BEGUN + 2)
    night(job, BEGUN + 2)


@settings(max_examples=25)
@given(
    days=st.lists(st.sampled_from(sorted(EVENTS)), min_size=2, max_size=6),
    missing=st.sampled_from(["mask", "raise", "ffill"]),
    duplicates=st.sampled_from(["raise", "mean", "last"]),
    top=st.sampled_from([None, 35.0]),
)
def test_over_any_days_the_result_is_that_of_reading_everything(days, missing, duplicates, top):
    with tempfile.TemporaryDirectory() as folder:
        drops = Drops(Path(folder) / "drops")
        drops.begin()
        policies = {"schema": Schema(missing=missing, duplicates=duplicates), "contract": Contract(max_value=top)}
        job = job_on(drops, Path(folder), **policies)
        previous = None
        for day, event in enumerate(days, BEGUN):
            EVENTS[event](drops, day)
            inputs = night(job, day, previous)
            previous = inputs.panel.ids if isinstance(inputs, Inputs) else previous


def outcomes(drops: Drops, folder: Path, incremental: bool) -> tuple[list[Any], pd.DataFrame, Job]:
    """Runs of five nights in which all sorts of things happen."""
    drops.begin()
    job = job_on(drops, folder, incremental)
    told = []
    for day in range(BEGUN, BEGUN + 5):
        event = {BEGUN + 2: "a late row", BEGUN + 3: "a new shop"}.get(day, "a plain day")
        EVENTS[event](drops, day)
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
    assert [bool(why) for why in whys] == [True, False, True, True, False]  # after the late row two runs read all
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


def harm(place: Path, how: str) -> None:
    manifest, (arrays,) = place / "model.json", list(place.glob("*.safetensors"))
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


def test_static_features_are_read_anew_each_night(tmp_path):
    drops = Drops(tmp_path / "drops")
    drops.begin()
    features = pd.DataFrame({"unique_id": SHOPS, "size": [1.0, 2.0, 3.0]})
    job = job_on(drops, tmp_path, static=features)
    night(job, BEGUN - 1)
    drops.day(BEGUN)
    bigger = job_on(drops, tmp_path, static=features.assign(size=[4.0, 5.0, 6.0]))
    inputs = night(bigger, BEGUN)
    assert story(inputs)["why"] == "" and inputs.panel.static.columns[0].values.tolist() == [4.0, 5.0, 6.0]


def test_nights_without_anything_new_keep_nothing_anew(two_nights):
    _, job = two_nights
    run(job, slot(BEGUN + 3))
    written = {path: path.stat().st_mtime_ns for path in (job.home / "rows").rglob("*")}
    run(job, slot(BEGUN + 4))
    assert {path: path.stat().st_mtime_ns for path in (job.home / "rows").rglob("*")} == written


def test_a_job_file_can_ask_for_all_rows_each_time():
    given = {"h": 7, "freq": "D", "source": {"files": "*.csv", "incremental": False}}
    assert job_of(from_mapping(given, "nightly")).source.incremental is False
    assert job_of(from_mapping({**given, "source": {"files": "*.csv"}}, "nightly")).source.incremental is True


def test_old_files_are_not_even_opened_once_their_times_can_be_trusted(tmp_path, monkeypatch):
    drops = Drops(tmp_path / "drops")
    drops.begin()
    ages_ago = (datetime.now(UTC) - timedelta(hours=2)).timestamp()
    os.utime(drops.folder / "a-history.parquet", (ages_ago, ages_ago))
    monkeypatch.setattr("forecast.batch.marks.FRESH", 0)  # the time of the last change of any kind is now
    job = job_on(drops, tmp_path)
    night(job, BEGUN - 1)
    drops.day(BEGUN)
    kept = Snapshots.of(job.home).recall(job, slot(BEGUN + 1))
    opened = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or read(path))
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("an old file was read"))
    assert read_inputs(job, slot(BEGUN + 1), None, kept).reading["new_rows"] == 3
    assert opened == [f"day-{BEGUN:04d}.parquet"]
