"""The slots of the past, one after the other, each from the rows that were known then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from forecast.batch.interrupts import Interrupts
from forecast.batch.outcome import Outcome, worst
from forecast.batch.run import Clock, attempt, slot_of
from forecast.batch.when import instant, now, slots_between
from forecast.errors import ConfigError
from forecast.progress import progress

if TYPE_CHECKING:
    from forecast.batch.job import Job

Tell = Callable[[Outcome], object]


def backfill(
    job: Job,
    first: Any,
    last: Any = None,
    *,
    clock: Clock = now,
    interrupts: Interrupts | None = None,
    tell: Tell | None = None,
) -> list[Outcome]:
    """Run every slot of ``job`` from ``first`` to ``last``, both included; gives what became of each.

    It equals the runs of those times: each uses the rows and the models known at its slot. A slot that fails does not
    stop the others; a signal does.

    Args:
        job: what to run.
        first, last: times as ``as_of`` of :func:`forecast.batch.run.run`; ``last`` is the latest slot by default.
        clock, interrupts: as there.
        tell: is given each outcome when it is there; without it the job's progress is shown.

    Raises ``ConfigError`` when there are no slots between them.
    """
    stop = slot_of(job, None, clock) if last is None else instant(last, job.zone, "to")
    start = instant(first, job.zone, "from")
    if start > stop:
        raise ConfigError(f"from {start.isoformat()} is after to {stop.isoformat()}. Give the earlier one first.")
    slots = slots_between(job, start, stop)
    outcomes: list[Outcome] = []
    with progress(f"backfill {job.name}", len(slots), job.progress and tell is None) as advance:
        for slot in slots:
            outcome = attempt(job, slot, clock=clock, interrupts=interrupts)
            outcomes.append(outcome)
            if tell is not None:
                tell(outcome)
            advance(1)
            if outcome.state == "interrupted":
                break
    return outcomes


def summary(outcomes: list[Outcome]) -> str:
    """A backfill in words: how many slots ended how, and which failed."""
    states: dict[str, int] = {}
    for outcome in outcomes:
        states[outcome.state] = states.get(outcome.state, 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    left = [outcome for outcome in outcomes if outcome.state in ("failed", "interrupted", "spooled")]
    lines = [f"  {one.slot:%Y-%m-%dT%H:%M}Z {one.state}{f': {one.error}' if one.error else ''}" for one in left]
    return "\n".join([f"{len(outcomes)} slots: {told}. Exit code {worst(outcomes)}.", *lines])
