"""The scheduler: a loop that starts each job's runs at their slots, and looks after them."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from types import FrameType, TracebackType
from typing import Any

from forecast.batch.child import Process
from forecast.batch.heartbeat import Heartbeat
from forecast.batch.lane import Lane, facts_of
from forecast.batch.misfire import stamp
from forecast.batch.when import now
from forecast.errors import ConfigError

log = logging.getLogger("forecast.batch.schedule")

STEP = 1.0  # seconds between looks at the clock, which may jump and may stand still while a machine sleeps
LAST_STEP = 0.2
SAID_EVERY = 3600.0


class Scheduler:
    """Runs the jobs of ``lanes`` until SIGTERM or Ctrl-C.

    Args:
        lanes: the jobs.
        heartbeat: signs of life.
        parallel: how many runs may go on at once, of all jobs together.
        clock: gives the time, aware, in UTC.
        elapsed: seconds of a clock that never jumps.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        heartbeat: Heartbeat,
        parallel: int,
        *,
        clock: Callable[[], datetime] = now,
        elapsed: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.lanes = list(lanes)
        self.parallel = parallel
        self._heartbeat = heartbeat
        self._clock = clock
        self._elapsed = elapsed
        self._sleep = sleep
        self._said: float | None = None

    def run(self) -> int:
        """Returns the exit code: 128 plus the signal that ended it.

        The first signal is passed on to the runs that go on, and they are waited for; a second one kills them.
        """
        with _Signals() as signals:
            try:
                while not signals.received:
                    self.step()
                    self._sleep(STEP)
            except BaseException:
                signals.received.append(signal.SIGTERM)
                raise
            finally:
                self._end(signals.received)
        return 128 + signals.received[0]

    def step(self) -> None:
        """One look at the clock and at every job; the job that waits longest comes first."""
        for lane in sorted(self.lanes, key=_longest_waiting):
            at, elapsed = self._clock(), self._elapsed()
            lane.step(at, elapsed, may_start=self.running < self.parallel)
            if self._heartbeat.due(elapsed):  # here, for every ledger that is away can take some seconds
                self._heartbeat.beat(elapsed, at, {"jobs": [facts_of(other) for other in self.lanes]})
        if self._said is None or self._elapsed() - self._said >= SAID_EVERY:
            self._said = self._elapsed()
            log.info("Alive. %s", "; ".join(map(_in_words, self.lanes)))

    @property
    def running(self) -> int:
        """How many runs are going on."""
        return sum(lane.child is not None for lane in self.lanes)

    def _end(self, received: list[int]) -> None:
        """Pass the signal on, and wait."""
        log.info("%s: no more runs are started, %d are stopped.", signal.Signals(received[0]).name, self.running)
        self._heartbeat.stopping()
        for lane in self.lanes:
            lane.stop(received[0], self._elapsed())
        while self.running:
            if len(received) > 1:
                for lane in self.lanes:
                    if lane.child is not None:
                        lane.child.kill()
            self._sleep(LAST_STEP)
            for lane in self.lanes:
                lane.step(self._clock(), self._elapsed())
        log.info("Ended.")


class _Signals:
    """Collects signals instead of dying of them. Nothing is done in the handler: the loop looks often enough."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread handle signals
            numbers = [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
            for number in numbers:
                if signal.getsignal(number) != signal.SIG_IGN:  # nohup
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)


def lanes_for(names: Sequence[str], overrides: Sequence[str] = ()) -> list[Lane]:
    """A lane for each job, a name or the path of a yaml file; ``overrides`` are key=value settings of all of them.

    Only what matters here is read of a job. Raises ``ConfigError`` when that cannot be, when there is no schedule, or
    when a job is named twice.
    """
    from forecast.batch.ledger.slots import SlotBook
    from forecast.batch.opening import times_of
    from forecast.batch.settings import job_settings

    lanes: dict[str, Lane] = {}
    for given in names:
        times = times_of(job_settings(given, overrides))
        if times.schedule is None:
            raise ConfigError(f"job {times.name} has no schedule. Add schedule.cron to it, '30 2 * * *' for example.")
        if times.name in lanes:
            raise ConfigError(f"job {times.name} is named twice. Two schedules of one job would overlap.")
        book, start = SlotBook(times.ledger_url), _starter(given, overrides)
        lanes[times.name] = Lane(times.name, times.schedule, times.misfire, book, start, random.random)
    return list(lanes.values())


def command(job: str, slot: datetime, overrides: Sequence[str] = ()) -> list[str]:
    """The command that runs ``slot`` of ``job``."""
    return [sys.executable, "-m", "forecast.cli", "batch", f"job={job}", f"as_of={slot.isoformat()}", *overrides]


def cores() -> int:
    """How many runs may go on at once by default."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _starter(job: str, overrides: Sequence[str]) -> Callable[[datetime], Process]:
    return lambda slot: Process(command(job, slot, overrides))


def _longest_waiting(lane: Lane) -> str:
    waiting = [] if lane.agenda is None else lane.agenda.waiting
    return waiting[0].slot.isoformat() if waiting else "~"  # after every year


def _in_words(lane: Lane) -> str:
    if lane.attempt is not None:
        return f"{lane.name} runs {stamp(lane.attempt.slot)}"
    return f"{lane.name} waits for {'its ledger' if lane.agenda is None else stamp(lane.agenda.next)}"
