"""Inputs made of the rows of the run before and new files are exactly those made of all files."""

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
from forecast.batch.inputs import Inputs, read_inputs
from forecast.batch.opening import job_of
from forecast.batch.settings import from_mapping
from forecast.batch.snapshot import Snapshots
from forecast.schema import Schema
from tests.batch.drops import BEGUN, SHOPS, Drops, job_on, night, rows_of, slot, story


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
    "a row for a gap": lambda d, day: d.put(
        f"day-{day:04d}", pd.concat([rows_of(day), rows_of(day - 2, shops=("shop 0",))])
    ),
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
