"""Schedulers as real processes: several at once, signals, and ``forecast batch`` itself."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml

from forecast.batch.heartbeat import Heartbeat
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.slots import SlotBook
from forecast.batch.schedule import Scheduler, lanes_for
from tests.batch.shop import sales
from tests.batch.timekeeping import Clock, utc

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds; a busy machine may take long to start a process

Started = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Starts processes, and ends those that are left, with the runs that they started."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*words: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.batch.schedule_process", *map(str, words)]
        processes.append(subprocess.Popen(command, cwd=ROOT))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
    for line in [*lines(tmp_path / "out", "start"), *lines(tmp_path / "out", "stubborn")]:
        for word in line[-2:] if line[0] == "stubborn" else line[2:3]:
            if not gone(int(word)):
                os.kill(int(word), signal.SIGKILL)


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def lines(out: Path, first: str) -> list[list[str]]:
    text = out.read_text() if out.exists() else ""
    return [line.split() for line in text.splitlines() if line.startswith(first + " ")]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_two_schedulers_at_once_make_one_run_of_each_slot(tmp_path: Path, started: Started) -> None:
    out, url = tmp_path / "out", f"sqlite:///{tmp_path / 'ledger.db'}"
    both = [started("schedule", url, out, 60, time.time(), 0.2) for _ in range(2)]
    until(lambda: len(lines(out, "end")) >= 4, "four runs")
    for process in both:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(PATIENCE) for process in both] == [143, 143]
    runs = Ledger(url).runs("minutely")
    done = sorted(runs.loc[runs["state"] == "committed", "slot"])
    assert len(done) >= 4 and len(set(runs["slot"])) == len(runs) and set(runs["version"]) == {1}
    assert {late - early for early, late in itertools.pairwise(done)} == {timedelta(minutes=1)}
    spans = sorted(
        (float(start[3]), float(end[3]))
        for start in lines(out, "start")
        for end in lines(out, "end")
        if start[1:3] == end[1:3]
    )
    assert len(spans) == len(done)
    assert all(late[0] >= early[1] for early, late in itertools.pairwise(spans)), "runs overlap"


def test_the_death_of_a_scheduler_costs_no_slot(tmp_path: Path, started: Started) -> None:
    """kill -9, its run with it; a new scheduler begins the slot again, and goes on."""
    out, url, origin = tmp_path / "out", f"sqlite:///{tmp_path / 'ledger.db'}", time.time()
    first = started("schedule", url, out, 60, origin, 3600)
    until(lambda: len(lines(out, "start")) == 1, "a run")
    first.kill()
    first.wait()
    os.kill(int(lines(out, "start")[0][2]), signal.SIGKILL)
    second = started("schedule", url, out, 60, origin, 0)
    until(lambda: len(lines(out, "end")) >= 3, "three runs")
    second.send_signal(signal.SIGTERM)
    assert second.wait(PATIENCE) == 143
    ended = [datetime.fromisoformat(line[1]) for line in lines(out, "end")]
    assert ended[0].isoformat() == lines(out, "start")[0][1]
    assert ended == [ended[0] + timedelta(minutes=minute) for minute in range(len(ended))]


def test_a_signal_is_passed_on_and_the_run_waited_for(tmp_path: Path, started: Started) -> None:
    out, url = tmp_path / "out", f"sqlite:///{tmp_path / 'ledger.db'}"
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = started("schedule", url, out, 60, time.time(), 3600)
        count = len(lines(out, "start"))
        until(lambda before=count: len(lines(out, "start")) > before, "a run")
        process.send_signal(number)
        assert process.wait(PATIENCE) == code
        begun, stopped = lines(out, "start")[-1], lines(out, "stopped")[-1]
        assert begun[1:3] == stopped[1:3] and gone(int(begun[2]))
        slot = datetime.fromisoformat(begun[1])  # the minute may have changed meanwhile
        second = timedelta(seconds=1)
        (record,) = SlotBook(url).slots("minutely", slot - second, slot + second)
        assert record.state == "ended"


def test_a_second_signal_kills_the_run_and_all_that_it_started(tmp_path: Path, started: Started) -> None:
    out = tmp_path / "out"
    process = started("watcher", out)
    until(lambda: len(lines(out, "stubborn")) == 1, "a run")
    pids = [int(pid) for pid in lines(out, "stubborn")[0][1:]]
    process.send_signal(signal.SIGTERM)
    time.sleep(1.0)
    assert process.poll() is None and not any(map(gone, pids))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    until(lambda: all(map(gone, pids)), "both are dead")


def test_forecast_batch_is_run_for_due_and_missed_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sales().to_csv("sales.csv", index=False)
    settings = {
        "h": 7, "freq": "D", "source": {"files": "sales.csv"}, "model": {"name": "seasonal_naive"},
        "sink": {"folder": "out"}, "watch": {"enabled": False}, "zone": "Europe/Berlin",
        "schedule": {"cron": "0 6 * * *", "catchup": "latest"},
    }  # fmt: skip
    Path("nightly.yaml").write_text(yaml.safe_dump(settings))
    clock = Clock(utc("2026-04-01T00:00"))
    (lane,) = lanes_for(["nightly.yaml"], ["progress=false"])
    scheduler = Scheduler(
        [lane], Heartbeat(None, 60.0, {}), 1, clock=clock.now, elapsed=time.monotonic, sleep=time.sleep
    )

    def pass_time(**duration: float) -> None:
        clock.at += timedelta(**duration)
        scheduler.step()
        until(lambda: (scheduler.step(), lane.attempt is None)[1], "the run")  # type: ignore[func-returns-value]

    scheduler.step()
    pass_time(hours=4, seconds=5)  # six o'clock in Berlin
    assert lane.outcome is not None and lane.outcome["exit_code"] == 0, lane.outcome
    pass_time(days=3, hours=5)
    assert lane.outcome["exit_code"] == 0 and lane.failures == 0
    table = pd.read_parquet("out/nightly")
    slots = [pd.Timestamp(f"2026-04-0{day}T04:00Z") for day in (1, 4)]
    assert len(table) == 2 * 7 * table["unique_id"].nunique()
    records = SlotBook("sqlite:///batch/nightly/batch.db").slots("nightly", utc("2026-03-01"), utc("2026-05-01"))
    assert [(record.slot.day, record.state) for record in records] == [
        (1, "committed"), (2, "skipped"), (3, "skipped"), (4, "committed"),
    ]  # fmt: skip
    assert list(Ledger("sqlite:///batch/nightly/batch.db").committed("nightly")["slot"]) == slots
