"""What the ledger tells about claims and runs, as plain values."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from forecast.errors import ConfigError, FencedError, printable

State = Literal["planned", "computed", "staged", "committed", "failed"]
STATES: tuple[State, ...] = ("planned", "computed", "staged", "committed", "failed")
LONGEST_NAME = 200


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def checked_moment(moment: datetime, name: str) -> datetime:
    """``moment`` in UTC. Raises ``ConfigError`` when it has no zone."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ConfigError(f"{name}={moment!r} must be a time with a zone, such as 2026-03-01T00:00+00:00.")
    return moment.astimezone(UTC)


def checked_name(name: str, what: str) -> str:
    """``name`` as it is. Raises ``ConfigError`` when it is empty, long, or has characters that no table can keep."""
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigError(f"{what}={printable(name)} must be a text of 1 to {LONGEST_NAME} printable characters.")
    return name


class Stopwatch:
    """Seconds between laps, by a clock that never jumps."""

    def __init__(self) -> None:
        self._mark = time.monotonic()

    def lap(self) -> float:
        """Seconds since the lap before, or since the start."""
        now = time.monotonic()
        seconds, self._mark = now - self._mark, now
        return seconds


@dataclass(frozen=True)
class Claim:
    """The right to run ``slot`` of ``job``, for as long as nobody has taken it over.

    Attributes:
        token: fencing token: 1 for the first claim of the slot, one more for each later one, never the same twice.
        nonce: tells this claim from all others, when the answer to the claiming was lost.
        lost: set as soon as a heartbeat finds that another owner has the slot.
    """

    job: str
    slot: datetime
    owner: str
    token: int
    nonce: str = field(repr=False, default="")
    lost: threading.Event = field(repr=False, compare=False, default_factory=threading.Event)
    stopwatch: Stopwatch = field(repr=False, compare=False, default_factory=Stopwatch)

    def check(self) -> None:
        """Raise ``FencedError`` when this claim is known to be lost; asks nobody, so it costs nothing."""
        if self.lost.is_set():
            raise fenced(self)


def fenced(claim: Claim) -> FencedError:
    """The error of an owner that lost its slot."""
    return FencedError(
        f"{claim.owner} lost slot {claim.slot.isoformat()} of job {printable(claim.job)}: it gave no sign of life for "
        "longer than its lease, and another owner took over. Nothing of this run is published; there is nothing to do."
    )


@dataclass(frozen=True)
class Planned:
    """A run as planned: its id, its version of the slot, and ``"committed"`` when there is nothing left to do."""

    run: str
    version: int
    state: State


@dataclass(frozen=True)
class Event:
    """One step of one attempt at a run: the state it reached, when, after how many seconds, and what was noted."""

    token: int
    state: State
    owner: str
    at: datetime
    seconds: float | None
    note: str | None


@dataclass(frozen=True)
class RunRecord:
    """Everything the ledger knows of one run. Times are aware, in UTC; ``cutoff`` is the text of a stamp or step.

    ``facts`` are what the run told of its data, model and settings; ``counts`` its numbers of series, rows and so on.
    ``heartbeat`` is the last sign of life of its owner, ``None`` once another has the slot. ``history`` has all
    attempts, oldest first.
    """

    run: str
    job: str
    slot: datetime
    version: int
    state: State
    cutoff: str
    data_hash: str
    model_hash: str
    config_hash: str
    token: int
    owner: str
    heartbeat: datetime | None
    planned_at: datetime
    computed_at: datetime | None
    staged_at: datetime | None
    committed_at: datetime | None
    failed_at: datetime | None
    seconds: float | None
    error: str | None
    counts: Mapping[str, Any]
    facts: Mapping[str, Any]
    history: tuple[Event, ...] = ()


COLUMNS = tuple(name for name in RunRecord.__dataclass_fields__ if name != "history")
