"""Schedulers and runs as real processes, with a clock that runs fast.

``python -m tests.batch.schedule_process schedule URL OUT SPEED`` schedules a run for every minute of a clock that
makes SPEED seconds in one; its runs are ``… run URL OUT SLOT SECONDS``, which claim their slot, write a line to OUT at
the start and at the end, and commit. ``… stubborn OUT`` ignores SIGTERM, and so does the process that it starts.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forecast.batch import lane, schedule
from forecast.batch.child import Process
from forecast.batch.heartbeat import Heartbeat
from forecast.batch.interrupts import Interrupts, Stopped
from forecast.batch.key import RunKey
from forecast.batch.misfire import Policy
from forecast.batch.slots import Schedule
from forecast.errors import ForecastError, exit_code

ME = [sys.executable, "-m", "tests.batch.schedule_process"]


def say(out: str, *words: object) -> None:
    """One line, whole, at the end of the file ``out``."""
    with open(out, "ab", buffering=0) as file:
        file.write((" ".join(map(str, words)) + "\n").encode())


def run(url: str, out: str, slot: datetime, seconds: float) -> int:
    """What ``forecast batch`` does to the ledger."""
    from forecast.batch.ledger.ledger import Ledger

    ledger = Ledger(url).open()
    try:
        with Interrupts() as interrupts, ledger.held("minutely", slot) as claim:
            say(out, "start", slot.isoformat(), os.getpid(), time.time())
            planned = ledger.plan(claim, RunKey("minutely", slot, "d", "m", "c"), "0", {})
            if planned.state == "committed":
                return 0
            with interrupts.at_once():
                time.sleep(seconds)
            ledger.confirm(claim, planned.run)
            say(out, "end", slot.isoformat(), os.getpid(), time.time())
    except ForecastError as error:
        return exit_code(error)
    except Stopped as stopped:
        say(out, "stopped", slot.isoformat(), os.getpid(), time.time())
        return stopped.code
    return 0


def scheduler(url: str, out: str, speed: float, origin: float, seconds: str) -> int:
    """A scheduler whose clock goes ``speed`` times as fast since ``origin``."""
    from forecast.batch.ledger.slots import SlotBook

    def clock() -> datetime:
        return datetime.fromtimestamp(origin, UTC) + timedelta(seconds=speed * (time.time() - origin))

    def start(slot: datetime) -> Process:
        return Process([*ME, "run", url, out, slot.isoformat(), seconds])

    lane.LOOK_AGAIN = 0.3
    policy = Policy(catchup="all", overlap="queue", stop_grace=60)
    lanes = [lane.Lane("minutely", Schedule("* * * * *"), policy, SlotBook(url), start, random.random)]
    loop = schedule.Scheduler(lanes, Heartbeat(None, 60.0), 4, clock=clock, sleep=lambda _: time.sleep(0.05))
    say(out, "awake", os.getpid())
    return loop.run()


def stubborn(out: str) -> int:
    """A run that does not listen, with a child that does not either."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    say(out, "stubborn", os.getpid(), child.pid)
    time.sleep(600)
    return 0


def watcher(out: str) -> int:
    """A scheduler whose run is stubborn, due at once."""
    from tests.batch.timekeeping import Clock, Diary, utc

    clock = Clock(utc("2026-03-01T00:00"))
    job = lane.Lane(
        "minutely",
        Schedule("* * * * *"),
        Policy(),
        Diary(clock),
        lambda slot: Process([*ME, "stubborn", out]),
        random.random,
    )
    loop = schedule.Scheduler(
        [job],
        Heartbeat(None, 60.0),
        4,
        clock=lambda: clock.at + timedelta(seconds=time.monotonic()),
        sleep=lambda _: time.sleep(0.05),
    )
    clock.at -= timedelta(seconds=time.monotonic())
    loop.step()
    clock.at += timedelta(minutes=1)
    return loop.run()


def main(what: str, *words: str) -> int:
    """Be one of them."""
    if what == "run":
        url, out, slot, seconds = words
        return run(url, out, datetime.fromisoformat(slot), float(seconds))
    if what == "schedule":
        url, out, speed, origin, seconds = words
        return scheduler(url, out, float(speed), float(origin), seconds)
    return {"stubborn": stubborn, "watcher": watcher}[what](*words)


if __name__ == "__main__":
    # a shell that starts the tests in the background has them ignore Ctrl-C, and that is inherited
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Path(sys.argv[3] if sys.argv[1] in ("run", "schedule") else sys.argv[2]).touch()
    sys.exit(main(*sys.argv[1:]))
