"""Regular time grids: frequencies, ordinals and future stamps.

A :class:`Timeline` maps time stamps to whole numbers (ordinals) and back, so that everything above it works on
integers: the next step is always ``+ 1``, whatever the calendar says. Stamps are ``datetime64[us]`` (UTC for
zoned series finer than a day, wall time for the rest) or ``int64`` for integer time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.aliases import EACH, MONTHS, WEEKDAYS, Freq, as_freq, split_alias
from forecast.calendars import CustomBusiness, month_days
from forecast.errors import ConfigError

Int = npt.NDArray[np.int64]
Stamps = npt.NDArray[Any]  # datetime64[us] or int64

MICROSECONDS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "D": 86_400_000_000,
    "W": 7 * 86_400_000_000,
}
DAY = MICROSECONDS["D"]
MONTHS_PER_STEP = {"M": 1, "Q": 3, "Y": 12}
SEASONS = {"us": 1, "ms": 1, "s": 60, "min": 60, "h": 24, "D": 7, "W": 52}
LAST_STAMP = np.datetime64("9999-12-31T23:59:59.999999", "us")
# A grid this many times longer than the rows on it points to a wrong stamp, not to missing rows.
SPARSEST = 50
LAST_DAY = 31  # of a month; shorter months end earlier
WORKING_DAYS = CustomBusiness()
MONDAY = -3 * DAY  # 1969-12-29, the Monday before the epoch


@dataclass(frozen=True)
class Timeline:
    """A regular grid of time stamps.

    ``freq`` is a canonical alias, an integer step or a calendar of working days; ``kind`` is ``step`` (integers),
    ``tick`` (a fixed number of microseconds), ``month`` (a number of months, anchored at day ``day`` of the month, or
    at its end) or ``business`` (working days). ``phase`` is where the grid lies within one step: its unit follows the
    kind.
    """

    freq: Freq
    kind: str
    step: int
    phase: int = 0
    time_of_day: int = 0
    at_end: bool = False
    tz: str | None = None
    day: int = 1

    @property
    def local(self) -> bool:
        """Whether zoned stamps are counted in wall time (days and longer) rather than in UTC: 24 hours are no day."""
        return self.kind != "tick" or split_alias(str(self.freq))[1] in ("D", "W")

    @property
    def calendar(self) -> CustomBusiness:
        """The days that a grid of kind ``business`` counts."""
        return self.freq if isinstance(self.freq, CustomBusiness) else WORKING_DAYS

    @property
    def _month_day(self) -> int:
        return LAST_DAY if self.at_end else self.day

    @property
    def season_length(self) -> int:
        """The usual season in steps: 24 for hours, 7 for days, 52 for weeks, 12 for months, 4 for quarters."""
        if self.kind == "step":
            return 1
        if self.kind == "month":
            return max(1, 12 // self.step)
        if self.kind == "business":
            return max(1, self.calendar.week // self.step)
        count, unit, _ = split_alias(str(self.freq))
        if unit in ("s", "min") and MICROSECONDS["min"] < self.step < DAY:
            return DAY // self.step  # minutes seldom repeat within the hour: the day is their season
        if self.step % DAY == 0 and unit != "W":
            count, unit = self.step // DAY, "D"  # 24 hours repeat after a week
        if unit == "D" and count == 7:
            return 52
        return max(1, SEASONS[unit] // count)

    @property
    def seasons(self) -> tuple[int, ...]:
        """Season lengths in steps worth looking for, shortest first: the usual one, and the week within the day."""
        usual = self.season_length
        lengths = [usual] if usual > 1 else []
        if self.kind == "tick" and self.step < DAY and MICROSECONDS["W"] % self.step == 0:
            lengths.append(MICROSECONDS["W"] // self.step)
        return tuple(lengths)

    def ordinals(self, stamps: Stamps) -> tuple[Int, npt.NDArray[np.bool_]]:
        """Whole-number positions of ``stamps`` on the grid, and whether each lies exactly on it."""
        if self.kind == "business":
            return self._business_ordinals(stamps)
        if self.kind == "month":
            return self._month_ordinals(stamps)
        raw = stamps.astype(np.int64)
        raw -= self.phase
        found = raw // self.step
        return found, np.remainder(raw, self.step, out=raw) == 0

    def stamps(self, ordinals: Int) -> Stamps:
        """The inverse of :meth:`ordinals`; any shape.

        Raises ``ConfigError`` for dates after the year 9999, which most programs downstream cannot read.
        """
        if self.kind == "step":
            return ordinals * self.step + self.phase
        if self.kind == "month":
            months = (ordinals * self.step + self.phase).astype("datetime64[M]")
            days = month_days(months, self._month_day)
            result = days.astype("datetime64[us]") + np.timedelta64(self.time_of_day, "us")
        elif self.kind == "business":
            days = self.calendar.days(ordinals * self.step + self.phase)
            result = days.astype("datetime64[us]") + np.timedelta64(self.time_of_day, "us")
        else:
            result = (ordinals * self.step + self.phase).astype("datetime64[us]")
        if result.size and result.max() > LAST_STAMP:
            raise ConfigError(f"With freq={self.freq!r} the horizon reaches past the year 9999. Use a smaller h.")
        return result

    def _month_ordinals(self, stamps: Stamps) -> tuple[Int, npt.NDArray[np.bool_]]:
        days = stamps.astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        expected = month_days(months, self._month_day)
        raw = months.astype(np.int64) - self.phase
        exact = (days == expected) & (raw % self.step == 0)
        exact &= (stamps - days.astype("datetime64[us]")).astype(np.int64) == self.time_of_day
        return raw // self.step, exact

    def _business_ordinals(self, stamps: Stamps) -> tuple[Int, npt.NDArray[np.bool_]]:
        days = stamps.astype("datetime64[D]")
        raw = self.calendar.count(days) - self.phase
        exact = self.calendar.working(days) & (raw % self.step == 0)
        exact &= (stamps - days.astype("datetime64[us]")).astype(np.int64) == self.time_of_day
        return raw // self.step, exact


def fit_timeline(freq: Any, first: Stamps, tz: str | None = None) -> Timeline:
    """The grid of frequency ``freq`` that passes through ``first`` (one stamp, shape (1,)), as far as it can.

    ``freq`` is anything that :func:`~forecast.aliases.as_freq` takes. One with an anchor of its own (``W-SUN``, ``MS``,
    ``MS-15``, ``QE-DEC``) keeps it: stamps off the grid are then reported by :meth:`Timeline.ordinals`, not bent.
    Raises ``ConfigError`` for an unknown frequency.
    """
    freq = as_freq(freq)
    if isinstance(freq, int):
        return _integer_timeline(freq, first)
    if first.dtype.kind != "M":
        raise ConfigError(f"freq={freq!r} is for dates, but the time column holds integers. Pass an integer freq.")
    if isinstance(freq, CustomBusiness):
        return _business_timeline(freq, 1, freq, first, tz)
    count, unit, anchor = split_alias(freq)
    if count < 1:
        raise ConfigError(f"freq={freq!r}: the step must be at least 1.")
    if unit in MICROSECONDS:
        return _tick_timeline(count, unit, anchor, int(first.astype(np.int64)[0]), tz)
    if unit == "B" and not anchor:
        return _business_timeline(f"{count}B" if count > 1 else "B", count, WORKING_DAYS, first, tz)
    if unit[0] in MONTHS_PER_STEP and unit[1:] in ("S", "E") and len(unit) == 2:
        return _month_timeline(count, unit, anchor, first, tz)
    if unit == "C":
        raise ConfigError(
            f"freq={freq!r} does not say which days are free: pass forecast.CustomBusiness(holidays=[…])."
        )
    if freq == EACH:
        raise ConfigError("freq='each', a model for each frequency, is for Forecaster alone. Name one frequency here.")
    raise ConfigError(
        f"freq={freq!r} is not supported. Known: us, ms, s, min, h, D, B, W[-SUN], MS[-15], ME, QS[-JAN], QE[-DEC], "
        "YS[-JAN], YE[-DEC], with a count in front, an integer step, or forecast.CustomBusiness(…)."
    )


def _integer_timeline(step: int, first: Stamps) -> Timeline:
    if first.dtype.kind == "M":
        raise ConfigError(f"freq={step} is an integer step, but the time column holds dates. Pass an alias like 'D'.")
    if step < 1:
        raise ConfigError(f"freq={step}: the integer step must be at least 1.")
    return Timeline(step, "step", step, phase=int(first[0]) % step)


def _business_timeline(freq: Freq, step: int, days: CustomBusiness, first: Stamps, tz: str | None) -> Timeline:
    phase = int(days.count(first.astype("datetime64[D]"))[0]) % step
    return Timeline(freq, "business", step, phase, int(first.astype(np.int64)[0]) % DAY, tz=tz)


def _tick_timeline(count: int, unit: str, anchor: str, origin: int, tz: str | None) -> Timeline:
    step = count * MICROSECONDS[unit]
    prefix = str(count) if count > 1 else ""
    if unit != "W":
        if anchor:
            raise ConfigError(f"freq='{unit}-{anchor}': {unit} takes no anchor.")
        return Timeline(f"{prefix}{unit}", "tick", step, phase=origin % step, tz=tz)
    anchor = anchor or "SUN"
    if anchor not in WEEKDAYS:
        raise ConfigError(f"freq='W-{anchor}': the day is one of {', '.join(WEEKDAYS)}.")
    weekday = MONDAY + WEEKDAYS.index(anchor) * DAY + origin % DAY
    skipped = ((origin - weekday) // MICROSECONDS["W"]) % count * MICROSECONDS["W"]
    return Timeline(f"{prefix}W-{anchor}", "tick", step, phase=(weekday + skipped) % step, tz=tz)


def _month_timeline(count: int, unit: str, anchor: str, first: Stamps, tz: str | None) -> Timeline:
    base = MONTHS_PER_STEP[unit[0]]
    at_end = unit[1] == "E"
    prefix = str(count) if count > 1 else ""
    time_of_day = int(first.astype(np.int64)[0]) % DAY
    month = int(first.astype("datetime64[M]").astype(np.int64)[0])
    if base == 1:
        day = _anchor_day(unit, anchor)
        at_end = at_end or day == LAST_DAY
        name = "ME" if at_end else "MS" if day == 1 else f"MS-{day}"
        return Timeline(f"{prefix}{name}", "month", count, month % count, time_of_day, at_end, tz, 1 if at_end else day)
    anchor = anchor or ("DEC" if at_end else "JAN")
    if anchor not in MONTHS:
        raise ConfigError(f"freq='{unit}-{anchor}': the month is one of {', '.join(MONTHS)}.")
    step = base * count
    anchored = MONTHS.index(anchor) % base
    skipped = ((month - anchored) // base) % count * base
    return Timeline(f"{prefix}{unit}-{anchor}", "month", step, (anchored + skipped) % step, time_of_day, at_end, tz)


def _anchor_day(unit: str, anchor: str) -> int:
    """The day of ``MS-15``, from 1 to 31; 1 without one."""
    if not anchor:
        return 1
    if unit != "MS" or not anchor.isdigit() or not 1 <= int(anchor) <= LAST_DAY:
        raise ConfigError(f"freq='{unit}-{anchor}': months take a day as their anchor, MS-1 to MS-31, and no other.")
    return int(anchor)
