"""What was known when: the rule that keeps the future out of every run, today's and a backfill's alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import Freq
from forecast.calendars import month_days
from forecast.errors import ConfigError, DataError, Fault, printable
from forecast.ingest.columns import id_column
from forecast.ingest.local import to_wall
from forecast.ingest.times import time_column
from forecast.schema import Schema
from forecast.timeline import DAY, LAST_DAY, Stamps, Timeline, fit_timeline

Bool = npt.NDArray[np.bool_]
Int = npt.NDArray[np.int64]
EPOCH = np.array(["1970-01-01"], dtype="datetime64[us]")
SLACK = np.timedelta64(3 * DAY, "us")  # more than any two clocks on earth are apart
LARGEST_DELAY = 10_000  # steps
LONGEST_DELAY = pd.Timedelta(days=36525)


@dataclass(frozen=True)
class Arrival:
    """When rows become known, and the moment that it is asked of.

    Attributes:
        freq: alias, integer step or calendar of the grid; may be left out where ``delay`` is a duration.
        as_of: the moment: aware; with integer time, the last whole number that has begun by then.
        zone: the clock of times without a zone.
        delay: how long after its stamp a row is known: a number of steps, a duration (``"2h"``, a timedelta), or
            ``None`` for one step: stamps mark the start of what they cover. Those of a frequency at the end of months
            (``ME``, ``QE``, ``YE``) name its last day: they are known when that day is over.

    Steps of a day or more, and durations on such a grid, are counted on the wall clock of the data (Monday's row is
    known when Tuesday begins there, however long Monday was), shorter ones in elapsed time. A wall time that a change
    of clocks repeats is taken for its second time, so nothing is known too early.

    Raises ``ConfigError`` for what cannot be used.
    """

    freq: Freq | None
    as_of: datetime | int
    zone: str = "UTC"
    delay: timedelta | str | int | None = None

    def __post_init__(self) -> None:
        if not _is_whole(self.as_of) and (not isinstance(self.as_of, datetime) or self.as_of.tzinfo is None):
            raise ConfigError(
                f"as_of={self.as_of!r}: a time with a zone is needed, or a whole number for integer time."
            )
        try:
            ZoneInfo(self.zone)
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise ConfigError(f"zone={printable(self.zone)} is not a time zone such as 'Europe/London'.") from error
        if self.freq is None and not isinstance(self.lag, np.timedelta64):
            raise ConfigError("Without freq nobody knows when a row is complete. Give freq, or delay as a duration.")
        if self.grid is not None and self.grid.kind != "step" and _is_whole(self.as_of):
            raise ConfigError(f"as_of={self.as_of!r} is a whole number, freq={self.freq!r} is for dates. Give a time.")

    @cached_property
    def lag(self) -> int | np.timedelta64 | None:
        """The delay as a number of steps or a duration; ``None`` for the default."""
        delay = self.delay
        if delay is None:
            return None
        if _is_whole(delay):
            if not 0 <= int(delay) <= LARGEST_DELAY:  # type: ignore[arg-type]
                raise ConfigError(
                    f"delay={delay!r}: 0 to {LARGEST_DELAY} steps, or a duration such as '2h', is needed."
                )
            return int(delay)  # type: ignore[arg-type]
        try:
            duration = pd.Timedelta(delay) if isinstance(delay, (str, timedelta)) else pd.NaT
        except (ValueError, OverflowError):
            duration = pd.NaT
        if not pd.Timedelta(0) <= duration <= LONGEST_DELAY:
            raise ConfigError(f"delay={printable(delay)}: a number of steps or a duration such as '2h' is needed.")
        return np.timedelta64(int(duration // pd.Timedelta(microseconds=1)), "us")

    @cached_property
    def grid(self) -> Timeline | None:
        """A grid of the frequency; where it lies within a step does not matter here."""
        if self.freq is None:
            return None
        return fit_timeline(self.freq, EPOCH.astype(np.int64) if isinstance(self.freq, int) else EPOCH)

    @property
    def moment(self) -> np.datetime64:
        """``as_of`` in UTC, without a zone; ``ConfigError`` where it is a whole number."""
        if not isinstance(self.as_of, datetime):
            raise ConfigError(f"as_of={self.as_of!r} is a whole number, the times are dates. Give a time with a zone.")
        stamp = pd.Timestamp(self.as_of).tz_convert("UTC").tz_localize(None)
        moment: np.datetime64 = stamp.floor("us").to_datetime64().astype("datetime64[us]")
        return moment

    def known(self, stamps: Stamps, tz: str | None = None) -> Bool:
        """Whether rows at ``stamps`` are known, same shape; one without a stamp is not.

        Stamps are UTC where ``tz`` names their zone, else wall time in :attr:`zone`, or whole numbers.
        """
        if stamps.dtype.kind != "M":
            return self._known_numbers(stamps)
        moment = self.moment
        known: Bool = stamps <= moment - SLACK - self._longest
        near = ~known & (stamps <= moment + SLACK)
        if near.any():
            known[near] = self._instants(stamps[near], tz) <= moment
        return known

    def latest(self, grid: Timeline) -> int | None:
        """The last ordinal of ``grid`` whose row is known; ``None`` where integer time is asked about a date."""
        if grid.kind == "step":
            if isinstance(self.as_of, datetime):
                return None
            lag = self.lag
            steps = 1 if lag is None else int(lag)
            return int((self.as_of - grid.phase) // grid.step) - steps
        zone, tz = (grid.tz, None) if grid.tz is not None and grid.local else (self.zone, grid.tz)
        clock = Arrival(self.freq, self.as_of, zone or self.zone, self.delay)
        ends = (self.moment - SLACK - self._longest, self.moment + SLACK)
        low, high = (int(grid.ordinals(np.array([at]))[0][0]) for at in ends)
        low -= 1
        while high - low > 1:  # the row at low is known, that at high is not
            middle = (low + high) // 2
            if clock.known(grid.stamps(np.array([middle], dtype=np.int64)), tz)[0]:
                low = middle
            else:
                high = middle
        return low

    @property
    def _longest(self) -> np.timedelta64:
        """No row of the grid takes longer than this."""
        lag, grid = self.lag, self.grid
        if isinstance(lag, np.timedelta64):
            return lag
        steps = 1 if lag is None else lag
        if grid is None or grid.kind == "step":
            return np.timedelta64(0, "us")
        days = {"month": 31 * grid.step * steps + 31, "business": grid.calendar.longest * grid.step * steps + 7}.get(
            grid.kind
        )
        return np.timedelta64(grid.step * steps if days is None else days * DAY, "us")

    def _known_numbers(self, stamps: Stamps) -> Bool:
        if isinstance(self.as_of, datetime):
            raise ConfigError(
                f"The times are whole numbers (first {printable(stamps[:1].tolist())}), as_of={self.as_of} is a date. "
                "Give as_of as a whole number of that count, or name by known_col a column that tells when rows came."
            )
        if isinstance(self.lag, np.timedelta64):
            raise ConfigError(
                f"delay={self.delay!r} is a duration, the times are whole numbers. Give a number of steps."
            )
        steps = 1 if self.lag is None else self.lag
        limit = int(self.as_of) - steps * (self.freq if isinstance(self.freq, int) else 1)
        return np.asarray(stamps <= limit)

    def _instants(self, stamps: Stamps, tz: str | None) -> Stamps:
        """When rows at ``stamps`` become known, in UTC."""
        lag, grid = self.lag, self.grid
        if grid is not None and grid.kind == "step":
            raise ConfigError(
                f"freq={self.freq!r} is an integer step, but the times are dates. Give an alias like 'D'."
            )
        if grid is not None and grid.local:
            wall = stamps if tz is None else to_wall(stamps, tz)
            return _to_utc(_later(wall, grid, lag), tz or self.zone)
        begun = stamps if tz is not None else _to_utc(stamps, self.zone)
        if isinstance(lag, np.timedelta64):
            return begun + lag
        step = 0 if grid is None else grid.step
        return begun + np.timedelta64((1 if lag is None else lag) * step, "us")


def known_rows(
    frame: pd.DataFrame,
    schema: Schema,
    freq: Freq | None,
    as_of: datetime | int,
    zone: str = "UTC",
    delay: timedelta | str | int | None = None,
    known_col: str | None = None,
) -> pd.DataFrame:
    """The rows of a long frame that were known at ``as_of``; see :class:`Arrival` for when a row is.

    Where ``known_col`` names a column that says when each row came to be known (a bitemporal table: corrections are
    rows of their own), that counts instead of ``delay``: of each series and time the latest version known then. Two
    versions of one moment are both kept, for the door to name as duplicates.

    Rows that cannot be placed, because time or ``known_col`` cannot be read, are kept: :func:`inspect_rows` reports
    them and uses none of them. Columns, their types and the order of rows stay; the frame given is not changed. What
    stands in rows that were not known makes no difference to the result.

    Raises ``ConfigError`` for what cannot be used, ``DataError`` for a column that is not there or unreadable.
    """
    arrival = Arrival(freq, as_of, zone, delay)
    if not len(frame):
        return frame
    if known_col is not None:
        return _latest_versions(frame, schema, arrival, known_col)
    stamps, tz, unread = read_times(frame, schema.time_col, freq)
    known = arrival.known(stamps, tz) | unread
    return frame if known.all() else frame[known]


def read_times(frame: pd.DataFrame, name: str, freq: Freq | None = None) -> tuple[Stamps, str | None, Bool]:
    """A column of times: stamps (UTC where zoned), their zone, and which rows cannot be read.

    Raises ``DataError`` when the column is not there or nothing in it can be read.
    """
    count = list(frame.columns).count(name)
    if count != 1:
        problem = f"{count} columns have this name" if count else "no such column"
        raise DataError(Fault(name, problem, "Rename it, or say what the column is called."))
    times, tz = time_column(frame[name], freq)
    if times.values is None:
        raise DataError(times.faults)
    unread = np.zeros(len(frame), dtype=bool)
    for fault in times.faults:
        unread[list(fault.rows)] = True
    return times.values, tz, unread


def _latest_versions(frame: pd.DataFrame, schema: Schema, arrival: Arrival, known_col: str) -> pd.DataFrame:
    came, tz, undated = read_times(frame, known_col)
    if came.dtype.kind == "M":
        moments = came if tz is not None else _to_utc(came, arrival.zone)
        known = np.asarray(moments <= arrival.moment)
    elif isinstance(arrival.as_of, datetime):
        raise ConfigError(f"{known_col} holds whole numbers, as_of={arrival.as_of} is a date. Give a whole number.")
    else:
        moments, known = came, np.asarray(came <= arrival.as_of)
    known |= undated
    rows = frame[known]
    if not len(rows):
        return rows
    stamps, _, unread = read_times(rows, schema.time_col, arrival.freq)
    codes, _, faults = id_column(rows, schema.id_col)
    placed = ~(unread | undated[known] | (codes < 0))
    if faults and not (codes < 0).any():
        raise DataError(faults)
    outdated = _outdated(codes, stamps.astype(np.int64), moments[known].astype(np.int64), np.flatnonzero(placed))
    return rows[~outdated] if outdated.any() else rows


def _outdated(codes: Int, stamps: Int, came: Int, placed: Int) -> Bool:
    """Rows, among those ``placed``, of which a later version is there too."""
    outdated = np.zeros(len(codes), dtype=bool)
    cells = pd.DataFrame({"code": codes[placed], "stamp": stamps[placed]})
    again = placed[cells.duplicated(keep=False).to_numpy()]
    if again.size:
        versions = pd.DataFrame({"code": codes[again], "stamp": stamps[again], "came": came[again]})
        latest = versions.groupby(["code", "stamp"])["came"].transform("max").to_numpy()
        outdated[again] = came[again] < latest
    return outdated


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, timedelta))


def _later(wall: Stamps, grid: Timeline, lag: int | np.timedelta64 | None) -> Stamps:
    """Wall times ``lag`` after those given: a duration, a number of steps of the grid, or the default."""
    if isinstance(lag, np.timedelta64):
        return np.asarray(wall + lag)
    steps = 1 if lag is None else lag
    if grid.kind == "tick":
        return np.asarray(wall + np.timedelta64(grid.step * steps, "us"))
    days = wall.astype("datetime64[D]")
    time_of_day = wall - days
    if grid.kind == "business":
        return np.asarray(grid.calendar.later(days, steps * grid.step).astype("datetime64[us]") + time_of_day)
    months = days.astype("datetime64[M]")
    if grid.at_end and steps:
        return np.asarray((months + ((steps - 1) * grid.step + 1)).astype("datetime64[us]"))
    later = months + steps * grid.step
    moved = np.minimum(month_days(later, 1) + (days - month_days(months, 1)), month_days(later, LAST_DAY))
    on_grid = days == month_days(months, grid.day)  # the 30th that February cut short is the 30th again in March
    moved = np.where(on_grid, month_days(later, grid.day), moved)
    return np.asarray(moved.astype("datetime64[us]") + time_of_day)


def _to_utc(wall: Stamps, zone: str) -> Stamps:
    """The instant of each wall time: the second of two, the first after a jump of the clock."""
    if zone == "UTC":
        return wall
    dates = pd.DatetimeIndex(wall)
    aware = dates.tz_localize(zone, ambiguous=np.zeros(len(dates), dtype=bool), nonexistent="shift_forward")
    return aware.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
