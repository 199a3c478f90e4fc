"""A job that has run for years: ten thousand slots behind it make a night no different."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import insert

from forecast.batch import commands
from forecast.batch.job import Job
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.tables import claims, events, runs
from forecast.batch.ledger.urls import writing
from forecast.batch.run import attempt
from forecast.batch.sinks import columnar, manifest
from forecast.batch.sinks.folder import FolderSink
from forecast.batch.sinks.manifest import Manifest, Slot
from forecast.batch.sinks.names import slot_name
from tests.batch.shop import SLOT, sales, sales_job, table

YEARS = 10_000  # slots in the ledger, every hour of the fourteen months before the last
KEPT = 2_000  # of them, the latest, also in the folder: making files takes long
ENOUGH = 60.0  # seconds of this processor for what takes one or two: whatever grows with the square of it takes more


def filled(folder: Path) -> Job:
    """A job with so many runs in its ledger and its folder, all alike; made by hand, for running them takes hours."""
    job = sales_job(folder, sales(days=120, series=2))
    assert attempt(job, SLOT).exit_code == 0
    ledger = Ledger(job.ledger_url).open()
    record = ledger.show(ledger.runs()["run"].iloc[0])
    path = folder / "out" / "sales" / manifest.NAME
    told = manifest.load(path)
    (slot,) = told.slots.values()
    version = slot.versions[slot.current]
    rows = folder / "out" / version.file
    moments = [SLOT - timedelta(hours=number) for number in range(1, YEARS + 1)]
    ids = [f"{number:016x}" for number in range(1, YEARS + 1)]
    slots = dict(told.slots)
    for run, moment in zip(ids[:KEPT], moments[:KEPT], strict=True):
        name = slot_name(moment)
        file = rows.parents[1] / name / f"{run}{rows.suffix}"
        public = path.parent / f"slot={name}" / "forecasts.parquet"
        for place in (file, public):
            place.parent.mkdir()
            os.link(rows, place)
        facts = {**vars(version), "run": run, "slot": moment.isoformat(), "file": str(file.relative_to(folder / "out"))}
        slots[name] = Slot(run, 1, {run: manifest.Version(**facts)})
    path.write_text(Manifest("sales", slots).text())
    _note(ledger, record, ids, moments)
    return job


def _note(ledger: Ledger, record: Any, ids: list[str], moments: list[datetime]) -> None:
    names = {column.name for column in runs.c}
    base = {name: getattr(record, name) for name in names if hasattr(record, name)} | {"repeat": 1}
    claim = {"job": "sales", "token": 1, "nonce": "", "owner": None, "process": "", "lease": 1.0}
    pairs = list(zip(ids, moments, strict=True))
    steps = ("planned", "computed", "staged", "committed")
    with writing(ledger.engine) as connection:
        connection.execute(
            insert(claims), [{**claim, "slot": at, "claimed_at": at, "heartbeat": at} for _, at in pairs]
        )
        connection.execute(insert(runs), [{**base, "run": run, "slot": at} for run, at in pairs])
        known = [
            {"run": run, "token": 1, "state": state, "owner": "x", "at": at, "seconds": 1.0, "note": None}
            for run, at in pairs
            for state in steps
        ]
        connection.execute(insert(events), known)


@pytest.fixture(scope="module")
def veteran(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return filled(tmp_path_factory.mktemp("years"))


def test_the_list_of_runs_is_short_and_quick(veteran: Job, capsys: pytest.CaptureFixture[str]) -> None:
    start = time.process_time()
    assert commands.runs(["list", "job=sales", f"ledger={veteran.ledger_url}"]) == 0
    assert time.process_time() - start < ENOUGH / 4
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21 and max(map(len, lines)) < 400
    assert commands.runs(["list", "job=sales", "limit=3", "as_of=2030-01-01", f"ledger={veteran.ledger_url}"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_night_reads_no_forecasts_of_long_ago(veteran: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    real = columnar.Parquet.read

    def counted(self: Any, path: Path, *rest: Any, **more: Any) -> pd.DataFrame:
        read.append(path)
        return real(self, path, *rest, **more)

    monkeypatch.setattr(columnar.Parquet, "read", counted)
    before = len(manifest.load(Path(veteran.open_sink().path) / "sales" / manifest.NAME).slots)
    start = time.process_time()
    outcome = attempt(veteran, SLOT + timedelta(days=1))
    assert outcome.exit_code == 0, outcome.text
    assert time.process_time() - start < ENOUGH
    assert len(read) <= 4
    after = manifest.load(Path(veteran.open_sink().path) / "sales" / manifest.NAME)
    assert len(after.slots) == before + 1
    assert len(Ledger(veteran.ledger_url).open().runs("sales")) == YEARS + 2


def test_the_same_night_again_is_nothing_to_do(veteran: Job) -> None:
    start = time.process_time()
    assert attempt(veteran, SLOT).exit_code == 0
    assert time.process_time() - start < ENOUGH
    assert len(Ledger(veteran.ledger_url).open().committed("sales", datetime(2030, 1, 1, tzinfo=UTC))) >= YEARS + 1


def test_a_job_with_many_runs_is_watched_within_the_same_bounds(veteran: Job) -> None:
    from dataclasses import replace

    from forecast.batch.watch.settings import WatchSettings

    watched = replace(veteran, watch=WatchSettings(), report=False, source=table(sales(days=120, series=2)))
    start = time.process_time()
    outcome = attempt(watched, SLOT + timedelta(days=2))
    assert outcome.exit_code in (0, 10), outcome.text
    assert time.process_time() - start < ENOUGH
    assert isinstance(veteran.open_sink(), FolderSink)
