"""Slots: the planned times of a job's runs, from a cron expression in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import TYPE_CHECKING

from forecast.errors import ConfigError, printable

if TYPE_CHECKING:
    from cronsim import CronSim

LISTED = 10_000
LONGEST = 500
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
EVERY_HOUR = frozenset(range(24))
NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


@dataclass(frozen=True)
class Schedule:
    """When a job is due: ``cron`` read on the clocks of ``zone``.

    A slot is an aware UTC datetime. When clocks change, a schedule that names hours (``30 2 * * *``, ``0 */6 * * *``)
    has exactly one slot for each planned local time: one that the change skips moves to the moment of the change, one
    that comes twice counts the first time. (Several that are skipped at once share that slot; a calendar day that a
    zone leaves out altogether has none.) A schedule of every hour (``0 * * * *``, ``*/15 * * * *``) follows elapsed
    time instead: 23 and 25 hours on those days.

    Attributes:
        cron: the five fields minute, hour, day of month, month and day of week (0 and 7 are Sunday), with lists,
            ranges, steps, names, ``L`` and ``#`` (last and n-th weekday), or @hourly, @daily, @weekly, @monthly,
            @yearly. Days of the month and of the week must both match when either begins with a star, as in Debian.
        zone: a name of the IANA data base such as "Europe/Berlin".

    Raises ``ConfigError`` for a text or a zone that cannot be used.
    """

    cron: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not isinstance(self.zone, str):
            raise ConfigError(f"zone={printable(self.zone)} is not a time zone. Use a name like Europe/Berlin.")
        _zone(self.zone)
        from cronsim import CronSimError

        wrong = f"cron={printable(self.cron)} is not a schedule"
        way_out = "Write five fields: minute hour day month weekday, '30 2 * * *' for half past two every night."
        if not isinstance(self.cron, str) or len(self._fields.split()) != 5 or len(self.cron) > LONGEST:
            raise ConfigError(f"{wrong}: it has to be a text of five fields. {way_out}")
        try:
            found = next(self._simulated(datetime(2000, 1, 1)), None)
        except CronSimError as error:
            raise ConfigError(f"{wrong}: {str(error).lower()}. {way_out}") from error
        if found is None:
            raise ConfigError(f"{wrong}: no day of the next fifty years matches. {way_out}")

    def __str__(self) -> str:
        return f"{self.cron} {self.zone}"

    def due(self, after: datetime, until: datetime, limit: int = LISTED) -> list[datetime]:
        """Every slot later than ``after`` and not later than ``until``, in order.

        Raises ``ConfigError`` when there are more than ``limit``; :meth:`recent` gives the last of them.
        """
        slots = self.recent(after, until, limit + 1)
        if len(slots) > limit:
            raise ConfigError(
                f"{self} has more than {limit} slots after {after.isoformat()} and until {until.isoformat()}. "
                "Take a shorter range, one part after the other."
            )
        return slots

    def recent(self, after: datetime, until: datetime, limit: int = LISTED) -> list[datetime]:
        """The last slots, at most ``limit``, later than ``after`` and not later than ``until``, in order."""
        after, until = _utc(after), _utc(until)
        lowest = self._local(after) - self._margin(after)
        found: set[datetime] = set()
        settled = None  # planned times earlier than this can add no later slot than those found
        for planned in self._simulated(self._local(until) + self._margin(until), reverse=True):
            if planned < lowest or (settled is not None and planned < settled):
                break
            found.update(slot for slot in self._instants(planned) if after < slot <= until)
            if settled is None and len(found) >= limit:
                settled = planned - self._margin(min(found))
        return sorted(found)[-limit:]

    def latest(self, at: datetime) -> datetime | None:
        """The last slot not later than ``at``; ``None`` when the fifty years before it have none."""
        slots = self.recent(datetime(1, 1, 9, tzinfo=UTC), at, 1)
        return slots[-1] if slots else None

    def next(self, after: datetime) -> datetime:
        """The first slot later than ``after``."""
        after = _utc(after)
        first, stop = None, None  # planned times later than the stop can give no earlier slot
        for planned in self._simulated(self._local(after) - self._margin(after)):
            if stop is not None and planned > stop:
                break
            later = [slot for slot in self._instants(planned) if slot > after]
            if later:
                first = min(later if first is None else [first, *later])
                stop = self._local(first) + self._margin(first)
        if first is None:
            raise ConfigError(f"{self} has no slot within fifty years after {after.isoformat()}.")
        return first

    def explain(self) -> str:
        """The schedule in words."""
        return f"{self._cron(datetime(2000, 1, 1)).explain()} ({self.zone})"

    @property
    def _fields(self) -> str:
        return NAMES.get(self.cron.strip().lower(), self.cron)

    def _margin(self, at: datetime) -> timedelta:
        """How far planned local times around ``at`` may lie from their slots: not at all while no clock changes."""
        offsets = {(at + days * DAY).astimezone(_zone(self.zone)).utcoffset() for days in (-2, 0, 2)}
        return SECOND if len(offsets) == 1 else DAY

    def _cron(self, start: datetime, reverse: bool = False) -> CronSim:
        from cronsim import CronSim

        return CronSim(self._fields, start, reverse)

    def _simulated(self, start: datetime, reverse: bool = False) -> Iterator[datetime]:
        """Planned local times, without a zone, later than ``start`` (earlier, backwards)."""
        return iter(self._cron(start, reverse))

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(_zone(self.zone)).replace(tzinfo=None)

    def _instants(self, planned: datetime) -> tuple[datetime, ...]:
        """The slots of the planned local time."""
        zone = _zone(self.zone)
        before = planned.replace(tzinfo=zone)
        after = planned.replace(tzinfo=zone, fold=1)
        first, second = before.astimezone(UTC), after.astimezone(UTC)
        if first == second:
            return (first,)
        elapsed = self._cron(planned).hours == EVERY_HOUR
        if first < second:  # clocks go back: the time comes twice
            return (first, second) if elapsed else (first,)
        if elapsed or first - second >= DAY:
            return ()
        return (_change(second, first, zone),)


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The moment, later than ``low`` and not later than ``high`` (UTC), when the clocks of ``zone`` go forward."""
    wanted = high.astimezone(zone).utcoffset()
    while high - low > SECOND:
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == wanted:
            high = middle
        else:
            low = middle
    return high


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ConfigError(f"{at.isoformat()} has no time zone. Write {at.isoformat()}+00:00, or what zone it is in.")
    return at.astimezone(UTC)


@cache
def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if name == "UTC":  # there even where the data base is not
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"zone={printable(name)} is not a time zone. {_near(name)}") from error


def _near(name: str) -> str:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    known = {zone.lower(): zone for zone in available_timezones()}
    if not known:
        return "This machine has no time zone data: pip install tzdata."
    close = get_close_matches(name[:40].lower(), known, 2)
    if close:
        return f"Did you mean {' or '.join(known[zone] for zone in close)}?"
    return "Use a name like Europe/Berlin or America/New_York."
