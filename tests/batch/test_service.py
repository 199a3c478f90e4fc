"""``forecast schedule`` as an operator types it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from forecast.batch.heartbeat import Heartbeat
from forecast.batch.ledger.slots import SlotBook
from forecast.batch.service import parsed
from forecast.cli import main
from forecast.errors import ConfigError

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = Path("conf", "batch", "nightly.yaml")
    path.parent.mkdir(parents=True)
    schedule = {"cron": "30 2 * * *", "zone": "Europe/Berlin", "catchup": "all", "max_runtime": 3600}
    path.write_text(yaml.safe_dump({"h": 7, "freq": "D", "source": {"files": "sales.csv"}, "schedule": schedule}))
    return path


def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecast.batch.service.now", lambda: NOW)
    assert main(["schedule", "job=nightly", "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "nightly: At 02:30 every day (Europe/Berlin); catchup=all overlap=latest max_runtime=3600 retries=3 "
        "backoff=30 grace=60 stop_grace=60\n"
        "  last in the ledger: none\n"
        "  next:\n"
        "    2026-03-05T01:30Z\n    2026-03-06T01:30Z\n    2026-03-07T01:30Z\n    2026-03-08T01:30Z\n"
        "    2026-03-09T01:30Z\n"
    )
    assert [str(path) for path in Path().rglob("*") if path.is_file()] == ["conf/batch/nightly.yaml"]
    book = SlotBook("sqlite:///batch/nightly/batch.db", clock=lambda: NOW)
    book.open()
    book.skip("nightly", {datetime(2026, 3, 1, 1, 30, tzinfo=UTC): "by hand"})
    for catchup, run, skip in (("all", 3, 0), ("latest", 1, 2), ("none", 0, 3)):
        assert main(["schedule", "job=nightly", "--dry-run", f"schedule.catchup={catchup}"]) == 0
        text = capsys.readouterr().out
        assert "last in the ledger: 2026-03-01T01:30Z, skipped" in text
        assert ("would run now:" in text) == (run > 0) and ("would skip:" in text) == (skip > 0)
        assert text.count("Z, missed") == skip and text.count("\n    2026") == 5 + run + skip


@pytest.mark.parametrize("kind", ["cron", "systemd", "service", "airflow", "kubernetes"])
def test_examples_are_printed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "job=nightly", "h=14", f"--print={kind}"]) == 0
    text = capsys.readouterr().out
    assert " job=nightly h=14" in text and len(text) > 100


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "job=NAME is missing"),
        (["nightly"], "cannot do 'nightly'"),
        (["job=nightly", "--now"], "cannot do '--now'"),
        (["job=nightly", "parallel=0"], "parallel='0' must be a number, at least 1"),
        (["job=nightly", "heartbeat=nan"], "heartbeat='nan' must be"),
        (["job=nightly", "--print", "launchd"], "the kinds are cron"),
        (["job=nightly", "job=nightly"], "named twice"),
        (["job=nowhere"], "no job 'nowhere'"),
        (["job=nightly", "schedule.cron=null"], "job nightly has no schedule. Add schedule.cron"),
        (["job=nightly", "schedule.cron=every night"], "cron='every night' is not a schedule"),
        (["job=nightly", "schedule.zone=Berlin"], "zone='Berlin' is not a time zone. Did you mean Europe/Berlin"),
        (["job=nightly", "schedule.catchup=some"], "catchup='some' is not one of none, latest, all"),
        (["job=nightly", "schedule.sometimes=1"], "no setting 'schedule.sometimes'"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schedule", *words]) == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error


def test_a_password_in_an_argument_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(["job=nightly", "--ledger=postgresql://someone:Canary7f3a9@host/db"])
    assert "Canary7f3a9" not in str(caught.value)


def test_the_command_keeps_going_until_it_is_told_to_stop() -> None:
    health = Path("health.json")
    command = [sys.executable, "-m", "forecast.cli", "schedule", "job=nightly", f"health={health}"]
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    end = time.monotonic() + 300
    while not health.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 143, error
    lines = error.splitlines()
    assert "INFO nightly: At 02:30 every day (Europe/Berlin); catchup=all" in lines[0]
    assert "INFO Alive. nightly waits for " in lines[1]
    assert [line.split(" ", 2)[2] for line in lines[-2:]] == [
        "SIGTERM: no more runs are started, 0 are stopped.",
        "Ended.",
    ]
    assert "forecast_skipped" in Path("batch/nightly/batch.db").read_bytes().decode("latin-1")


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_of_the_start_of_life_and_of_the_end(tmp_path: Path, abstract: bool) -> None:
    name = f"@forecast-{os.getpid()}-{threading.get_ident()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name[1:] if abstract else name)
        channel.settimeout(10)
        heartbeat = Heartbeat(None, 60.0, {"NOTIFY_SOCKET": name})
        told = []
        for elapsed in (0.0, 59.0, 60.0):
            if heartbeat.due(elapsed):
                heartbeat.beat(elapsed, NOW, {})
                told.append(channel.recv(100))
        heartbeat.stopping()
        assert [*told, channel.recv(100)] == [b"READY=1\nWATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]
    heartbeat.beat(120.0, NOW, {})  # nobody listens any more: no harm
