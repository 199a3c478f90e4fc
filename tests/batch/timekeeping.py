"""A world for schedulers: a clock that can be set, a ledger in memory, and runs that only pass time.

A run is a function of its number of attempts that gives ``(seconds, exit code)``. What it does to the ledger is what
``forecast batch`` does: claim at its start, commit or let go at its end, nothing when it is killed.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forecast.batch.heartbeat import Heartbeat
from forecast.batch.lane import Lane
from forecast.batch.ledger.slots import SlotRecord
from forecast.batch.misfire import Policy
from forecast.batch.schedule import Scheduler
from forecast.batch.slots import Schedule
from forecast.errors import StorageError

Behaviour = Callable[[datetime, int], tuple[float, int]]


@dataclass
class Clock:
    """A wall clock that can be set, and seconds that only go on."""

    at: datetime
    elapsed: float = 0.0

    def now(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.elapsed += seconds


@dataclass
class Diary:
    """A ledger in memory. ``away`` is what it says while it cannot be reached."""

    clock: Clock
    records: dict[datetime, SlotRecord] = field(default_factory=dict)
    away: str = ""
    exists: bool = True
    asked: int = 0

    def open(self) -> None:
        self._reach()

    def last(self, job: str, until: datetime) -> SlotRecord | None:
        self._reach()
        return max((r for r in self.records.values() if r.slot <= until), key=lambda r: r.slot, default=None)

    def slots(self, job: str, after: datetime, until: datetime) -> list[SlotRecord]:
        self._reach()
        return sorted((r for r in self.records.values() if after < r.slot <= until), key=lambda r: r.slot)

    def skip(self, job: str, reasons: Mapping[datetime, str]) -> None:
        self._reach()
        for slot, reason in reasons.items():
            self.records.setdefault(slot, SlotRecord(slot, "skipped", self.clock.at, reason))

    def note(self, slot: datetime, state: str) -> None:
        self.records[slot] = SlotRecord(slot, state, self.clock.at)  # type: ignore[arg-type]

    def of(self, state: str) -> list[datetime]:
        return [slot for slot in sorted(self.records) if self.records[slot].state == state]

    def _reach(self) -> None:
        self.asked += 1
        if self.away:
            raise StorageError(self.away)


class Run:
    """A run that passes time. ``deaf``: it does not stop when asked."""

    def __init__(self, diary: Diary, clock: Clock, slot: datetime, seconds: float, code: int, deaf: bool) -> None:
        self.pid = 4711
        self.slot, self.code, self.deaf = slot, code, deaf
        self.started, self.ends = clock.elapsed, clock.elapsed + seconds
        self.signals: list[int] = []
        self._diary, self._clock = diary, clock
        self._result: int | None = None
        before = diary.records.get(slot)
        if before is not None and before.state == "running":
            self._result = 9
        elif code != 8:
            diary.note(slot, "running")

    def poll(self) -> int | None:
        if self._result is None and self._clock.elapsed >= self.ends:
            self._end(self.code)
        return self._result

    def ask(self, number: int) -> None:
        self.signals.append(number)
        if not self.deaf and self._result is None:
            self._end(128 + number)

    def kill(self) -> None:
        self.signals.append(signal.SIGKILL)
        if self._result is None:
            self._end(-signal.SIGKILL)

    def _end(self, code: int) -> None:
        self._result = code
        self.ends = min(self.ends, self._clock.elapsed)
        if code < 0:
            self._diary.note(self.slot, "dead")
        elif code in (0, 3, 10):
            self._diary.note(self.slot, "committed")
        elif code != 8:
            self._diary.note(self.slot, "ended")


class World:
    """One machine: a clock, a ledger, and what was started on it. Schedulers come and go."""

    def __init__(self, start: str, behaviour: Behaviour | None = None, deaf: bool = False) -> None:
        self.clock = Clock(utc(start))
        self.diary = Diary(self.clock)
        self.behaviour = behaviour or (lambda slot, attempt: (20.0, 0))
        self.deaf = deaf
        self.runs: list[Run] = []

    def scheduler(
        self,
        cron: str = "30 2 * * *",
        zone: str = "UTC",
        health: Path | None = None,
        diary: Diary | None = None,
        **policy: object,
    ) -> Scheduler:
        book = diary or self.diary
        lane = Lane("nightly", Schedule(cron, zone), Policy(**policy), book, self.start, lambda: 0.5)  # type: ignore[arg-type]
        clock = self.clock
        return Scheduler(
            [lane], Heartbeat(health, 60.0, {}), 4, clock=clock.now, elapsed=clock.seconds, sleep=clock.sleep
        )

    def start(self, slot: datetime) -> Run:
        attempt = sum(run.slot == slot for run in self.runs) + 1
        run = Run(self.diary, self.clock, slot, *self.behaviour(slot, attempt), self.deaf)
        self.runs.append(run)
        return run

    def pass_time(self, *schedulers: Scheduler, step: float = 10.0, **duration: float) -> None:
        """Let time go by, with these schedulers awake."""
        end = self.clock.elapsed + timedelta(**duration).total_seconds()
        while self.clock.elapsed < end:
            self.clock.sleep(step)
            for run in self.runs[-9:]:
                run.poll()  # it ends by itself, whoever looks
            for scheduler in schedulers:
                scheduler.step()

    @property
    def slots(self) -> list[str]:
        """What was started, in order."""
        return [run.slot.strftime("%m-%dT%H:%M") for run in self.runs]

    @property
    def overlaps(self) -> int:
        """How many runs began before the one before had ended."""
        runs = sorted(self.runs, key=lambda run: run.started)
        return sum(late.started < early.ends for early, late in itertools.pairwise(runs))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
