"""Which of the slots that could not be started in time still run, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, get_args

from forecast.errors import ConfigError, printable

Catchup = Literal["none", "latest", "all"]
Overlap = Literal["skip", "latest", "queue"]
Why = Literal["due", "blocked", "missed"]
DURATIONS = ("max_runtime", "backoff", "grace", "stop_grace")


@dataclass(frozen=True)
class Policy:
    """What a scheduler does when things do not go to plan. Durations are in seconds.

    Attributes:
        catchup: of the slots that passed while no scheduler was awake, run ``none``, the ``latest`` or ``all``, oldest
            first.
        overlap: of the slots that come due while a run of the job is still going, ``skip`` them, run the ``latest``
            afterwards, or ``queue`` them all. Two runs of a job never overlap.
        max_runtime: a run that takes longer is told to stop (SIGTERM), then killed; ``None`` for no limit.
        retries: how often a run is started again that ended because storage could not be reached (exit code 8) or
            was killed by somebody else, after ``backoff`` that doubles each time, spread by half either way.
        grace: a slot found at most this late counts as found in time.
        stop_grace: how long a run may take to stop after SIGTERM before it is killed.
    """

    catchup: Catchup = "latest"
    overlap: Overlap = "latest"
    max_runtime: float | None = None
    retries: int = 3
    backoff: float = 30.0
    grace: float = 60.0
    stop_grace: float = 60.0

    def __post_init__(self) -> None:
        for name, known in (("catchup", get_args(Catchup)), ("overlap", get_args(Overlap))):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name}={printable(getattr(self, name))} is not one of {', '.join(known)}.")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise ConfigError(f"retries={printable(self.retries)} must be a whole number, 0 for none.")
        for name in DURATIONS:
            value = getattr(self, name)
            if name == "max_runtime" and value is None:
                continue
            # NaN fails both comparisons.
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise ConfigError(f"{name}={printable(value)} must be a number of seconds, 0 or more.")
        if self.max_runtime == 0:
            raise ConfigError("max_runtime=0 would let no run end. Leave it out for no limit.")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(field.name for field in fields(cls))

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.names()}


@dataclass(frozen=True)
class Waiting:
    """A slot that has not been started yet.

    Attributes:
        slot: the planned time, aware, in UTC.
        why: ``due`` (found in time, nothing in its way), ``blocked`` (came due while another run was going) or
            ``missed`` (found too late).
        again: whether it is to be run although the ledger knows of a run that ended without forecasts.
    """

    slot: datetime
    why: Why
    again: bool = False


def choose(waiting: Sequence[Waiting], policy: Policy) -> tuple[list[Waiting], dict[datetime, str]]:
    """Which of ``waiting`` (in order of their slots) shall still run, and the reason for each that shall not.

    >>> from datetime import UTC
    >>> days = [Waiting(datetime(2026, 3, day, tzinfo=UTC), "missed") for day in (1, 2, 3)]
    >>> kept, skipped = choose(days, Policy(catchup="latest"))
    >>> [entry.slot.day for entry in kept], list(skipped.values())[0]
    ([3], 'missed, and 2026-03-03T00:00Z runs instead (catchup=latest)')
    """
    possible = [entry for entry in waiting if _rule(entry, policy) not in ("none", "skip")]
    last = possible[-1].slot if possible else None
    kept = [entry for entry in possible if entry.slot == last or _rule(entry, policy) != "latest"]
    running = {entry.slot for entry in kept}
    return kept, {entry.slot: _reason(entry, last, policy) for entry in waiting if entry.slot not in running}


def _rule(entry: Waiting, policy: Policy) -> str:
    return {"due": "queue", "blocked": policy.overlap, "missed": policy.catchup}[entry.why]


def _reason(entry: Waiting, last: datetime | None, policy: Policy) -> str:
    """Why ``entry`` does not run."""
    rule = _rule(entry, policy)
    setting = f"catchup={rule}" if entry.why == "missed" else f"overlap={rule}"
    found = "missed" if entry.why == "missed" else "the run before it was still going"
    instead = f", and {stamp(last)} runs instead" if rule == "latest" and last is not None else ""
    return f"{found}{instead} ({setting})"


def stamp(slot: datetime) -> str:
    """A slot as logs and tables show it."""
    return f"{slot:%Y-%m-%dT%H:%M}Z"
