"""``forecast schedule`` as an operator calls it: its arguments, its log, and what it would do."""

from __future__ import annotations

import logging
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from forecast.batch.agenda import Agenda
from forecast.batch.commands import log_lines
from forecast.batch.examples import Setup, example
from forecast.batch.heartbeat import Heartbeat
from forecast.batch.lane import Lane
from forecast.batch.ledger.masking import masked
from forecast.batch.misfire import Policy, stamp
from forecast.batch.schedule import Scheduler, cores, lanes_for
from forecast.batch.when import now
from forecast.batch.words import SCHEDULE as USAGE
from forecast.errors import ConfigError, printable

SHOWN = 5
OWN = ("health", "heartbeat", "parallel")

log = logging.getLogger("forecast.batch.schedule")


@dataclass
class Arguments:
    """What ``forecast schedule`` was asked."""

    jobs: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    health: Path | None = None
    heartbeat: float = 60.0
    parallel: int = field(default_factory=cores)
    dry_run: bool = False
    printed: str | None = None


def schedule_command(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Do what ``argv``, the words after ``forecast schedule``, ask; texts go to ``say``. Returns the exit code.

    Raises ``ConfigError`` for what cannot be asked, ``StorageError`` of a dry run without its ledger.
    """
    asked = parsed(argv)
    if asked.printed is not None:
        for job in asked.jobs:
            say(_example(asked.printed, job, asked.overrides))
        return 0
    lanes = lanes_for(asked.jobs, asked.overrides)
    if asked.dry_run:
        from forecast.batch.opening import open_job

        for lane, job in zip(lanes, asked.jobs, strict=True):
            open_job(job, asked.overrides)  # all of it, so that what is wrong is told now and not at night
            say(dry_run_text(lane, now()))
        return 0
    with log_lines(shown=True):
        for lane in lanes:
            log.info("%s: %s; %s.", lane.name, lane.schedule.explain(), _in_words(lane.policy))
        return Scheduler(lanes, Heartbeat(asked.health, asked.heartbeat), asked.parallel).run()


def parsed(argv: Sequence[str]) -> Arguments:
    """The arguments in ``argv``. Raises ``ConfigError`` for what they cannot be."""
    asked, own = Arguments(), {}
    words = iter(argv)
    for word in words:
        key, equals, value = word.partition("=")
        if word == "--dry-run":
            asked.dry_run = True
        elif key == "--print":
            asked.printed = value if equals else next(words, "")
        elif key == "job" and value:
            asked.jobs.append(value)
        elif key in OWN and value:
            own[key] = value
        elif equals and not key.startswith("-"):
            asked.overrides.append(word)
        else:
            raise ConfigError(f"forecast schedule cannot do {printable(masked(word))}.\n{USAGE}")
    if not asked.jobs:
        raise ConfigError(f"job=NAME is missing.\n{USAGE}")
    asked.health = Path(own["health"]) if "health" in own else None
    asked.heartbeat = _number("heartbeat", own.get("heartbeat", str(asked.heartbeat)))
    asked.parallel = int(_number("parallel", own.get("parallel", str(asked.parallel))))
    return asked


def dry_run_text(lane: Lane, at: datetime) -> str:
    """When ``lane`` runs, and what it would do at ``at``. Writes nothing."""
    last = lane.book.last(lane.name, at) if lane.book.exists else None
    with _silence():
        agenda = Agenda(lane.name, lane.schedule, lane.policy, at, last)
        agenda.look(at, busy=False)
    lines = [f"{lane.name}: {lane.schedule.explain()}; {_in_words(lane.policy)}"]
    lines.append(f"  last in the ledger: {'none' if last is None else f'{stamp(last.slot)}, {last.state}'}")
    lines += _listed("would run now:", [stamp(entry.slot) for entry in agenda.waiting])
    lines += _listed("would skip:", [f"{stamp(slot)}, {reason}" for slot, reason in agenda.skipped.items()])
    slots = [agenda.next]
    while len(slots) < SHOWN:
        slots.append(lane.schedule.next(slots[-1]))
    return "\n".join([*lines, *_listed("next:", list(map(stamp, slots)))])


@contextmanager
def _silence() -> Iterator[None]:
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _listed(title: str, entries: list[str]) -> list[str]:
    more = [f"    and {len(entries) - SHOWN} more"] if len(entries) > SHOWN else []
    return [f"  {title}", *(f"    {entry}" for entry in entries[:SHOWN]), *more] if entries else []


def _in_words(policy: Policy) -> str:
    return " ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in policy.facts().items()
    )


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 <= value < math.inf:  # so NaN is none
        raise ConfigError(f"{name}={printable(text)} must be a number, at least 1.")
    return value


def _example(kind: str, given: str, overrides: Sequence[str]) -> str:
    (lane,) = lanes_for([given], overrides)
    beside = Path(sys.argv[0]).resolve()
    program = str(beside) if beside.name == "forecast" else shutil.which("forecast") or "forecast"
    words = (f"job={given}", *overrides)
    return example(kind, Setup(words, lane.name, lane.schedule, lane.policy, program, str(Path.cwd())))
