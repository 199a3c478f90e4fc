"""One job of a scheduler: what its run is doing, what comes after it, and when to try again."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from forecast.batch.agenda import SHOWN, Agenda
from forecast.batch.misfire import Policy, Waiting, stamp
from forecast.batch.slots import Schedule
from forecast.errors import StorageError

if TYPE_CHECKING:
    from forecast.batch.child import Child
    from forecast.batch.ledger.slots import SlotRecord

log = logging.getLogger("forecast.batch.schedule")

TICK = timedelta(microseconds=1)
LOOK_AGAIN = 5.0  # seconds between looks at a run of somebody else, or at a ledger that was away
DONE = {0: "done", 3: "done, some series by fallback", 10: "done, with alerts"}
STORAGE, RUNNING_ELSEWHERE = 8, 9


class Book(Protocol):
    """What a lane asks of the ledger, see :class:`~forecast.batch.ledger.slots.SlotBook`."""

    @property
    def exists(self) -> bool:
        """``False`` when there certainly is no ledger yet."""
        ...

    def open(self) -> None:
        """Make or update its tables."""
        ...

    def last(self, job: str, until: datetime) -> SlotRecord | None:
        """The last slot not later than ``until`` of which anything is known."""
        ...

    def slots(self, job: str, after: datetime, until: datetime) -> list[SlotRecord]:
        """What is known of the slots later than ``after`` and not later than ``until``."""
        ...

    def skip(self, job: str, reasons: Mapping[datetime, str]) -> None:
        """Note why slots are not run."""
        ...


@dataclass
class Attempt:
    """A slot that is being run. ``child`` is ``None`` while it waits to be tried again, at ``again_at``."""

    slot: datetime
    again: bool = False
    number: int = 1
    child: Child | None = None
    started: float = 0.0
    again_at: float = 0.0
    asked: float | None = None


class Lane:
    """The runs of one job, never two at a time.

    It claims nothing: that a slot is run once, whoever starts it, is for the run and the ledger to see to. The ledger
    is asked before each start, so that a slot which another scheduler ran is not started at all. ``elapsed`` is a
    time in seconds by a clock that never jumps; ``now``, which may, decides only which slots are due.

    Args:
        name: the job.
        schedule, policy: when it runs, and what happens when that does not go to plan.
        book: the ledger.
        start: starts the run of a slot; ``OSError`` when it cannot.
        draw: random numbers between 0 and 1, which keep retries of many jobs apart.
    """

    def __init__(
        self,
        name: str,
        schedule: Schedule,
        policy: Policy,
        book: Book,
        start: Callable[[datetime], Child],
        draw: Callable[[], float],
    ) -> None:
        self.name = name
        self.schedule = schedule
        self.policy = policy
        self.agenda: Agenda | None = None
        self.attempt: Attempt | None = None
        self.outcome: dict[str, Any] | None = None
        self.failures = 0
        self.book = book
        self._start = start
        self._draw = draw
        self.trouble = False
        self._untold: dict[datetime, str] = {}
        self._elsewhere = False
        self._pause_until = 0.0
        self._stopping = False

    @property
    def child(self) -> Child | None:
        """The run that is going on."""
        return self.attempt.child if self.attempt is not None else None

    def step(self, now: datetime, elapsed: float, may_start: bool = True) -> None:
        """Look at the clock, at the run, and at what waits; start what is due unless ``may_start`` forbids it."""
        if self.attempt is not None and self.attempt.child is not None:
            self._watch(self.attempt, self.attempt.child, elapsed)
        agenda = self.agenda or self._begin(now, elapsed)
        if agenda is None or self._stopping:
            return
        if self._elsewhere and now >= agenda.next:  # the other may be done by now
            self._elsewhere = bool(agenda.waiting) and self._verdict(agenda.waiting[0], now, elapsed) == "wait"
        agenda.look(now, busy=self.attempt is not None or self._elsewhere)
        if self.child is None and may_start and elapsed >= self._pause_until:
            self._start_next(agenda, now, elapsed)
        self._note(agenda, elapsed)

    def stop(self, number: int, elapsed: float) -> None:
        """Start nothing any more, and pass the signal on to the run."""
        self._stopping = True
        if self.attempt is not None and self.attempt.child is not None:
            self.attempt.asked = elapsed
            self.attempt.child.ask(number)

    def _begin(self, now: datetime, elapsed: float) -> Agenda | None:
        if elapsed < self._pause_until:
            return None
        try:
            self.book.open()
            last = self.book.last(self.name, now)
        except StorageError as error:
            self._complain(error, elapsed)
            return None
        self.trouble = False
        self.agenda = Agenda(self.name, self.schedule, self.policy, now, last)
        return self.agenda

    def _start_next(self, agenda: Agenda, now: datetime, elapsed: float) -> None:
        attempt = self.attempt
        if elapsed < attempt.again_at if attempt is not None else not agenda.waiting:
            return
        entry = agenda.waiting[0] if attempt is None else Waiting(attempt.slot, "due", again=True)
        verdict = self._verdict(entry, now, elapsed)
        if verdict == "wait":
            self._pause_until = elapsed + LOOK_AGAIN
            return
        if attempt is None:
            agenda.take()
        agenda.handled(entry.slot)
        if verdict == "drop":
            log.info("%s %s: dealt with by another process.", self.name, stamp(entry.slot))
            self.attempt = None
        else:
            self.attempt = attempt or Attempt(entry.slot, entry.again)
            self._launch(self.attempt, elapsed)

    def _verdict(self, entry: Waiting, now: datetime, elapsed: float) -> Literal["go", "wait", "drop"]:
        """Whether to start ``entry``, by what the ledger knows of it and of other runs of the job that may be going."""
        before = self.schedule.latest(entry.slot - TICK) or entry.slot
        try:
            records = self.book.slots(self.name, before - TICK, now)
        except StorageError as error:
            self._complain(error, elapsed)
            return "go"  # the run says the same, and is tried again
        self.trouble = False
        going = [record.slot for record in records if record.state == "running"]
        if going and not self._elsewhere:
            log.info("%s %s: waits, another process runs %s.", self.name, stamp(entry.slot), stamp(going[0]))
        self._elsewhere = bool(going)
        if going:
            return "wait"
        known = next((record for record in records if record.slot == entry.slot), None)
        if known is None or known.state == "dead":
            return "go"
        # What was noted in the future was noted by a clock that was wrong.
        wrong = known.at > now + timedelta(seconds=self.policy.grace)
        return "go" if known.state != "committed" and (entry.again or wrong) else "drop"

    def _launch(self, attempt: Attempt, elapsed: float) -> None:
        attempt.started, attempt.asked = elapsed, None
        try:
            attempt.child = self._start(attempt.slot)
        except OSError as error:
            self._again_or_give_up(attempt, f"it cannot be started: {error.strerror or error}", elapsed, None)
        else:
            log.info("%s %s: started, process %d.", self.name, stamp(attempt.slot), attempt.child.pid)

    def _watch(self, attempt: Attempt, child: Child, elapsed: float) -> None:
        """Look after the run: has it ended, must it be stopped?"""
        code, limit = child.poll(), self.policy.max_runtime
        if code is not None:
            attempt.child = None
            self._ended(attempt, code, elapsed)
        elif attempt.asked is not None:
            if elapsed - attempt.asked > self.policy.stop_grace:
                log.error("%s %s: does not stop, killed.", self.name, stamp(attempt.slot))
                child.kill()
        elif limit is not None and elapsed - attempt.started > limit:
            log.error("%s %s: takes longer than max_runtime=%g s, stopped.", self.name, stamp(attempt.slot), limit)
            attempt.asked = elapsed
            child.ask(signal.SIGTERM)

    def _ended(self, attempt: Attempt, code: int, elapsed: float) -> None:
        took, limit = f"after {elapsed - attempt.started:.0f} s", self.policy.max_runtime
        if code in DONE:
            self._finish(attempt, f"{DONE[code]} {took}", code)
        elif attempt.asked is not None:
            why = "the scheduler ends" if self._stopping else f"it took longer than max_runtime={limit} s"
            self._finish(attempt, f"stopped {took}, {why}", code)
        elif code == RUNNING_ELSEWHERE and self.agenda is not None:
            self.attempt, self._elsewhere = None, True
            self._pause_until = elapsed + LOOK_AGAIN
            self.agenda.put_back(attempt.slot, attempt.again or attempt.number > 1)
        elif code == STORAGE or code < 0:
            what = "storage could not be reached" if code == STORAGE else f"it was killed by {_signal_name(-code)}"
            self._again_or_give_up(attempt, f"{what} {took}", elapsed, code)
        else:
            self._finish(attempt, f"failed {took}, exit code {code}", code)

    def _again_or_give_up(self, attempt: Attempt, what: str, elapsed: float, code: int | None) -> None:
        if attempt.number > self.policy.retries:
            self._finish(attempt, f"given up after {attempt.number} of {self.policy.retries + 1} tries, {what}", code)
            return
        pause = self.policy.backoff * 2 ** (attempt.number - 1) * (0.5 + self._draw())
        attempt.number += 1
        attempt.again_at = elapsed + pause
        log.warning("%s %s: %s; try %d in %.0f s.", self.name, stamp(attempt.slot), what, attempt.number, pause)

    def _finish(self, attempt: Attempt, words: str, code: int | None) -> None:
        """The slot is dealt with, well or not. A failure that left no trace in the ledger is noted there."""
        good = code in DONE
        log.log(logging.INFO if good else logging.ERROR, "%s %s: %s.", self.name, stamp(attempt.slot), words)
        self.failures = 0 if good else self.failures + 1
        self.outcome = {"slot": stamp(attempt.slot), "exit_code": code, "text": words}
        self.attempt = None
        if not good and not self._stopping:
            self._untold[attempt.slot] = words

    def _note(self, agenda: Agenda, elapsed: float) -> None:
        """Tell the ledger what was left out, unless it has something about it already."""
        reasons = {**self._untold, **agenda.skipped}
        if not reasons or elapsed < self._pause_until:
            return
        try:
            self.book.skip(self.name, reasons)
        except StorageError as error:
            self._complain(error, elapsed)
            return
        self.trouble, self._untold = False, {}
        agenda.noted()

    def _complain(self, error: StorageError, elapsed: float) -> None:
        """Say once that the ledger is away, and leave it alone for a while."""
        if not self.trouble:
            log.error("%s: %s", self.name, error)
        self.trouble = True
        self._pause_until = elapsed + LOOK_AGAIN


def facts_of(lane: Lane) -> dict[str, Any]:
    """What ``lane`` is doing, as plain values for a monitor."""
    attempt, child = lane.attempt, lane.child
    waiting = [] if lane.agenda is None else lane.agenda.waiting
    return {
        "job": lane.name,
        "next": None if lane.agenda is None else stamp(lane.agenda.next),
        "running": stamp(attempt.slot) if attempt is not None and child is not None else None,
        "pid": None if child is None else child.pid,
        "to_be_tried_again": stamp(attempt.slot) if attempt is not None and child is None else None,
        "waiting": [stamp(entry.slot) for entry in waiting[:SHOWN]],
        "waiting_count": len(waiting),
        "skipped": 0 if lane.agenda is None else lane.agenda.count,
        "failures_in_a_row": lane.failures,
        "last": lane.outcome,
        "ledger": "unreachable" if lane.trouble else "ok",
    }


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
