"""Which slots of a job are waiting to be run: found by the clock, thinned by the policy, each only once."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from forecast.batch.misfire import Policy, Waiting, Why, choose, stamp
from forecast.batch.slots import LISTED, Schedule

if TYPE_CHECKING:
    from forecast.batch.ledger.slots import SlotRecord

log = logging.getLogger("forecast.batch.schedule")

REMEMBERED = 1000
SHOWN = 5


class Agenda:
    """The slots of ``job`` that wait, oldest first.

    Slots are logical times: a clock that jumps ahead makes several due at once, one that goes back makes none come
    twice.

    Attributes:
        waiting: what is to be run.
        next: the slot that comes due next.
        skipped: slots left out by the policy, and why, until :meth:`noted` says that the ledger has them.
        count: how many were left out so far.
    """

    def __init__(self, job: str, schedule: Schedule, policy: Policy, now: datetime, last: SlotRecord | None) -> None:
        """Go on after ``last``, the last slot that the ledger knows; from now on when it knows none."""
        self.waiting: list[Waiting] = []
        self.skipped: dict[datetime, str] = {}
        self.count = 0
        self._job = job
        self._schedule = schedule
        self._policy = policy
        self._grace = timedelta(seconds=policy.grace)
        self._seen = now if last is None else last.slot
        self._handled: dict[datetime, None] = {}
        self.next = schedule.next(self._seen)
        if last is not None and last.state not in ("committed", "skipped"):
            why: Why = "missed" if now - last.slot > self._grace else "due"
            self._settle([Waiting(last.slot, why, again=last.state != "running")])

    def look(self, now: datetime, busy: bool) -> None:
        """Notice the slots that have come due since the last look. ``busy``: a run of the job is going on."""
        if now < self._seen:
            self._went_back(now)
        elif now >= self.next:
            slots = self._schedule.recent(self._seen, now)
            if len(slots) == LISTED:
                log.error("%s: of the slots since %s only the last %d.", self._job, stamp(self._seen), LISTED)
            self._arrive([slot for slot in slots if slot not in self._handled], now, busy)
            self.next = self._schedule.next(now)
        self._seen = now

    def take(self) -> Waiting:
        """The first that waits; the others stand behind it now."""
        first, *rest = self.waiting
        self._settle([replace(entry, why="blocked") if entry.why == "due" else entry for entry in rest])
        return first

    def put_back(self, slot: datetime, again: bool) -> None:
        """``slot`` waits again, before all others."""
        self.waiting.insert(0, Waiting(slot, "due", again))

    def handled(self, *slots: datetime) -> None:
        """These have been dealt with and do not come again."""
        self._handled.update(dict.fromkeys(slots))
        for slot in list(self._handled)[:-REMEMBERED]:
            del self._handled[slot]

    def noted(self) -> None:
        """The ledger has noted what was skipped."""
        self.skipped = {}

    def _arrive(self, slots: list[datetime], now: datetime, busy: bool) -> None:
        known = {entry.slot for entry in self.waiting}
        for slot in slots:
            if slot not in known:
                blocked = busy or bool(self.waiting)
                why: Why = "missed" if now - slot > self._grace else "blocked" if blocked else "due"
                self.waiting.append(Waiting(slot, why))
        self._settle(sorted(self.waiting, key=lambda entry: entry.slot))

    def _settle(self, waiting: list[Waiting]) -> None:
        """Leave out what the policy does not want to run."""
        self.waiting, skipped = choose(waiting, self._policy)
        for slot, reason in list(skipped.items())[:SHOWN]:
            log.warning("%s %s: skipped, %s.", self._job, stamp(slot), reason)
        if len(skipped) > SHOWN:
            log.warning("%s: %d more until %s, skipped.", self._job, len(skipped) - SHOWN, stamp(max(skipped)))
        self.count += len(skipped)
        self.skipped.update(skipped)
        self.handled(*skipped)

    def _went_back(self, now: datetime) -> None:
        """What was run stays run; what a clock that was wrong has skipped comes again."""
        gap = self._seen - now
        if gap > timedelta(seconds=1):
            log.warning("%s: the clock went back by %.0f s.", self._job, gap.total_seconds())
        self.waiting = [entry for entry in self.waiting if entry.slot <= now]
        if gap > self._grace:
            self._handled = {slot: None for slot in self._handled if slot <= now}
            self.skipped = {slot: reason for slot, reason in self.skipped.items() if slot <= now}
        self.next = self._schedule.next(now)
