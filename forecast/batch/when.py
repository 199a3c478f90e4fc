"""Which slots a job has: what ``as_of`` means, the latest slot of now, the slots of a backfill."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from forecast.aliases import Freq
from forecast.errors import ConfigError, printable
from forecast.timeline import Timeline, fit_timeline

if TYPE_CHECKING:
    from forecast.batch.slots import Schedule

MOST_SLOTS = 100_000


class Timed(Protocol):
    """What of a job matters here: its grid, its zone and when it runs."""

    @property
    def freq(self) -> Freq: ...
    @property
    def zone(self) -> str: ...
    @property
    def schedule(self) -> Schedule | None: ...


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def zone_named(zone: str) -> ZoneInfo:
    """The time zone. Raises ``ConfigError`` for one that is not known."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        raise ConfigError(f"zone={printable(zone)} is not a time zone. Use a name such as 'Europe/London'.") from error


def instant(value: Any, zone: str, argument: str = "as_of") -> datetime:
    """A point in time, aware, in UTC. Text and datetimes without a zone are wall time in ``zone``.

    A wall time that a change of clocks skips or repeats means the first instant at or after it. Raises
    ``ConfigError`` for what is no time.

    >>> instant("2026-03-01", "Europe/Rome").isoformat()
    '2026-02-28T23:00:00+00:00'
    """
    wrong = f"{argument}={printable(value)} is not a time. Use 2026-01-31 or 2026-01-31T06:00."
    if isinstance(value, (bool, int, float)) or value is pd.NaT:
        raise ConfigError(wrong)
    try:
        stamp = pd.Timestamp(value)
        there = stamp == stamp  # NaT, which text may mean, too, differs from itself
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(wrong) from error
    if not there:
        raise ConfigError(wrong)
    if stamp.tz is None:
        stamp = stamp.tz_localize(zone_named(zone), ambiguous=True, nonexistent="shift_forward")
    result: datetime = stamp.tz_convert("UTC").floor("us").to_pydatetime(warn=False)
    return result.replace(tzinfo=UTC)


def latest_slot(job: Timed, at: datetime) -> datetime:
    """The slot that a run started ``at`` is for: the schedule's latest, else the start of the current step."""
    if job.schedule is not None:
        slot = job.schedule.latest(at)
        if slot is None:
            raise ConfigError(f"The schedule {job.schedule} has no slot before {at:%Y-%m-%d}. Pass as_of=TIME.")
        return slot
    grid, ordinal = _grid(job, at)
    return _slot(job, grid, ordinal)


def slots_between(job: Timed, first: datetime, last: datetime) -> list[datetime]:
    """The slots from ``first`` to ``last``, both included, oldest first: of the schedule, else every step.

    Raises ``ConfigError`` when there are none, or absurdly many.
    """
    if job.schedule is not None:
        from datetime import timedelta

        found = job.schedule.due(first - timedelta(microseconds=1), last)
    else:
        grid, start = _grid(job, first)
        _, stop = _grid(job, last)
        if stop - start > MOST_SLOTS:
            raise ConfigError(f"from {first:%Y-%m-%d} to {last:%Y-%m-%d} there are {stop - start:,} steps; at most ")
        found = [_slot(job, grid, ordinal) for ordinal in range(start, stop + 1)]
        found = [slot for slot in found if first <= slot <= last]
    if not found:
        raise ConfigError(f"there is no slot of {job} from {first.isoformat()} to {last.isoformat()}.")
    return found


def _grid(job: Timed, at: datetime) -> tuple[Timeline, int]:
    """The job's grid in wall time and the latest step on it at or before ``at``; integer times count days."""
    freq = "D" if isinstance(job.freq, int) else job.freq
    grid = fit_timeline(freq, np.array(["1970-01-01"], dtype="datetime64[us]"))
    wall = pd.Timestamp(at).tz_convert(job.zone).tz_localize(None) if grid.local else pd.Timestamp(at).tz_convert(None)
    stamp = np.array([wall.to_datetime64()], dtype="datetime64[us]")
    ordinal = int(grid.ordinals(stamp)[0][0])
    return grid, ordinal - int(grid.stamps(np.array([ordinal]))[0] > stamp[0])


def _slot(job: Timed, grid: Timeline, ordinal: int) -> datetime:
    stamp = pd.Timestamp(grid.stamps(np.array([ordinal]))[0])
    return instant(stamp if grid.local else stamp.tz_localize("UTC"), job.zone)
