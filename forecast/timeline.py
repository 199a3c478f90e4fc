"""Regular time grids: frequencies, ordinals and future stamps.

A :class:`Timeline` maps time stamps to whole numbers (ordinals) and back, so that everything above it works on
integers: the next step is always ``+ 1``, whatever the calendar says. Stamps are ``datetime64[us]`` (UTC for
zoned series finer than a day, wall time for the rest) or ``int64`` for integer time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# Aliases that pandas no longer takes, or that people type; pandas' own are the values.
OLD_ALIASES = {
    "M": "ME", "Q": "QE", "A": "YE", "Y": "YE", "AS": "YS", "H": "h", "T": "min", "S": "s", "L": "ms", "U": "us",
    "BM": "BME", "d": "D", "w": "W", "b": "B", "hourly": "h", "daily": "D", "weekly": "W", "monthly": "MS",
    "quarterly": "QS", "yearly": "YS",
}  # fmt: skip
MONTHS_PER_STEP = {"M": 1, "Q": 3, "Y": 12}
SEASONS = {"us": 1, "ms": 1, "s": 60, "min": 60, "h": 24, "D": 7, "W": 52, "B": 5}
LAST_STAMP = np.datetime64("9999-12-31T23:59:59.999999", "us")
# A grid this many times longer than the rows on it points to a wrong stamp, not to missing rows.
SPARSEST = 50
MONDAY = -3 * DAY  # 1969-12-29, the Monday before the epoch


def _split(alias: str) -> tuple[int, str, str]:
    """``"2W-SUN"`` -> ``(2, "W", "SUN")``; old spellings are translated.

    >>> _split("M"), _split("15T"), _split("Q-DEC")
    ((1, 'ME', ''), (15, 'min', ''), (1, 'QE', 'DEC'))
    """
    match = re.fullmatch(r"\s*(\d*)\s*([A-Za-z]+)(?:-([A-Za-z0-9]+))?\s*", alias)
    if match is None:
        raise ConfigError(f"freq={alias!r} is not a frequency. Use 'h', 'D', 'W-SUN', 'MS', 'QS', 'YS' or an int step.")
    count, unit, anchor = match.groups()
    return int(count or 1), OLD_ALIASES.get(unit, unit), (anchor or "").upper()


@dataclass(frozen=True)
class Timeline:
    """A regular grid of time stamps.

    ``freq`` is a canonical alias or an integer step; ``kind`` is ``step`` (integers), ``tick`` (a fixed number
    of microseconds), ``month`` (a number of months, anchored at a month's start or end) or ``business``
    (Monday to Friday). ``phase`` is where the grid lies within one step: its unit follows the kind.
    """

    freq: str | int
    kind: str
    step: int
    phase: int = 0
    time_of_day: int = 0
    at_end: bool = False
    tz: str | None = None

    @property
    def local(self) -> bool:
        """Whether zoned stamps are counted in wall time (a day or more a step) rather than in UTC."""
        return self.kind != "tick" or self.step % DAY == 0

    @property
    def season_length(self) -> int:
        """The usual season in steps: 24 for hours, 7 for days, 52 for weeks, 12 for months, 4 for quarters."""
        if self.kind == "step":
            return 1
        if self.kind == "month":
            return max(1, 12 // self.step)
        count, unit, _ = _split(str(self.freq))
        if unit in ("s", "min") and self.step > MICROSECONDS["min"]:
            return max(1, DAY // self.step)  # minutes seldom repeat within the hour: the day is their season
        if unit == "h":
            return max(1, 24 // count)
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
        raw = stamps.astype(np.int64) - self.phase
        return raw // self.step, raw % self.step == 0

    def stamps(self, ordinals: Int) -> Stamps:
        """The inverse of :meth:`ordinals`; any shape.

        Raises ``ConfigError`` for dates after the year 9999, which most programs downstream cannot read.
        """
        if self.kind == "step":
            return ordinals * self.step + self.phase
        if self.kind == "month":
            months = (ordinals * self.step + self.phase).astype("datetime64[M]")
            if self.at_end:
                days = (months + 1).astype("datetime64[D]") - 1
            else:
                days = months.astype("datetime64[D]")
            result = days.astype("datetime64[us]") + np.timedelta64(self.time_of_day, "us")
        elif self.kind == "business":
            origin = np.datetime64("1970-01-01", "D")  # a Thursday
            days = np.busday_offset(origin, ordinals, roll="forward")
            result = days.astype("datetime64[us]") + np.timedelta64(self.time_of_day, "us")
        else:
            result = (ordinals * self.step + self.phase).astype("datetime64[us]")
        if result.size and result.max() > LAST_STAMP:
            raise ConfigError(f"With freq={self.freq!r} the horizon reaches past the year 9999. Use a smaller h.")
        return result

    def _month_ordinals(self, stamps: Stamps) -> tuple[Int, npt.NDArray[np.bool_]]:
        days = stamps.astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        if self.at_end:
            expected = (months + 1).astype("datetime64[D]") - 1
        else:
            expected = months.astype("datetime64[D]")
        raw = months.astype(np.int64) - self.phase
        exact = (days == expected) & (raw % self.step == 0)
        exact &= (stamps - days.astype("datetime64[us]")).astype(np.int64) == self.time_of_day
        return raw // self.step, exact

    def _business_ordinals(self, stamps: Stamps) -> tuple[Int, npt.NDArray[np.bool_]]:
        days = stamps.astype("datetime64[D]")
        exact = np.is_busday(days)
        exact &= (stamps - days.astype("datetime64[us]")).astype(np.int64) == self.time_of_day
        return np.busday_count(np.datetime64("1970-01-01", "D"), days).astype(np.int64), exact


def fit_timeline(freq: str | int, first: Stamps, tz: str | None = None) -> Timeline:
    """The grid of frequency ``freq`` that passes through ``first`` (one stamp, shape (1,)), as far as it can.

    A frequency with an anchor of its own (``W-SUN``, ``MS``, ``QE-DEC``) keeps it: stamps off the grid are then
    reported by :meth:`Timeline.ordinals`, not bent. Raises ``ConfigError`` for an unknown frequency.
    """
    if isinstance(freq, bool) or not isinstance(freq, (int, np.integer, str)):
        raise ConfigError(f"freq must be an alias such as 'h', 'D', 'MS' or an integer step, got {freq!r}.")
    if not isinstance(freq, str):
        return _integer_timeline(int(freq), first)
    if first.dtype.kind != "M":
        raise ConfigError(f"freq={freq!r} is for dates, but the time column holds integers. Pass an integer freq.")
    count, unit, anchor = _split(freq)
    if count < 1:
        raise ConfigError(f"freq={freq!r}: the step must be at least 1.")
    origin = int(first.astype(np.int64)[0])
    if unit in MICROSECONDS:
        return _tick_timeline(count, unit, anchor, origin, tz)
    if unit == "B" and count == 1:
        return Timeline("B", "business", 1, time_of_day=origin % DAY, tz=tz)
    if unit[0] in MONTHS_PER_STEP and unit[1:] in ("S", "E") and len(unit) == 2:
        return _month_timeline(count, unit, anchor, first, tz)
    raise ConfigError(
        f"freq={freq!r} is not supported. Known: us, ms, s, min, h, D, B, W[-SUN], MS, ME, QS[-JAN], QE[-DEC], "
        "YS[-JAN], YE[-DEC], with a count in front, or an integer step."
    )


def _integer_timeline(step: int, first: Stamps) -> Timeline:
    if first.dtype.kind == "M":
        raise ConfigError(f"freq={step} is an integer step, but the time column holds dates. Pass an alias like 'D'.")
    if step < 1:
        raise ConfigError(f"freq={step}: the integer step must be at least 1.")
    return Timeline(step, "step", step, phase=int(first[0]) % step)


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
        if anchor:
            raise ConfigError(f"freq='{unit}-{anchor}': months take no anchor.")
        return Timeline(f"{prefix}{unit}", "month", count, month % count, time_of_day, at_end, tz)
    anchor = anchor or ("DEC" if at_end else "JAN")
    if anchor not in MONTHS:
        raise ConfigError(f"freq='{unit}-{anchor}': the month is one of {', '.join(MONTHS)}.")
    step = base * count
    anchored = MONTHS.index(anchor) % base
    skipped = ((month - anchored) // base) % count * base
    return Timeline(f"{prefix}{unit}-{anchor}", "month", step, (anchored + skipped) % step, time_of_day, at_end, tz)


def infer_freq(stamps: Stamps, series: Int) -> str | int | None:
    """The frequency of sorted ``stamps`` (``series`` numbers the series each belongs to), or ``None``.

    The commonest step decides, so that gaps do no harm; ``None`` when no step is commoner than chance or when
    stamps lie off the grid that it gives.
    """
    same = series[1:] == series[:-1]
    steps = (stamps[1:].astype(np.int64) - stamps[:-1].astype(np.int64))[same]
    steps = steps[steps > 0]
    if steps.size == 0:
        return None
    values, counts = np.unique(steps, return_counts=True)
    common = int(values[counts.argmax()])
    if stamps.dtype.kind != "M":
        return common if bool((values % common == 0).all()) else None
    candidates = [*_calendar_candidates(stamps, same), *_tick_candidates(stamps, common)]
    for alias in candidates:
        _, exact = fit_timeline(alias, stamps[:1]).ordinals(stamps)
        if exact.all():
            return alias
    return None


def _calendar_candidates(stamps: Stamps, same: npt.NDArray[np.bool_]) -> list[str]:
    days = stamps.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    starts = bool((days == months.astype("datetime64[D]")).all())
    ends = bool((days == (months + 1).astype("datetime64[D]") - 1).all())
    if starts or ends:
        letter = "S" if starts else "E"
        numbers = months.astype(np.int64)
        steps = np.diff(numbers)[same]
        values, counts = np.unique(steps[steps > 0], return_counts=True)
        if values.size == 0:
            return []
        common = int(values[counts.argmax()])
        anchor = MONTHS[int(numbers[0]) % 12]
        if common % 12 == 0:
            return [f"{common // 12 if common > 12 else ''}Y{letter}-{anchor}"]
        if common % 3 == 0:
            # Pandas' own default anchor where it describes the same quarters.
            default = "DEC" if letter == "E" else "JAN"
            same_quarters = (MONTHS.index(anchor) - MONTHS.index(default)) % 3 == 0
            return [f"{common // 3 if common > 3 else ''}Q{letter}-{default if same_quarters else anchor}"]
        return [f"{common if common > 1 else ''}M{letter}"]
    steps_days = np.diff(days).astype(np.int64)[same]
    weekend = (days.astype(np.int64) + 3) % 7 >= 5
    if not weekend.any() and (steps_days == 1).sum() * 2 > steps_days.size and (steps_days == 3).any():
        return ["B"]
    return []


def _tick_candidates(stamps: Stamps, common: int) -> list[str]:
    if common % MICROSECONDS["W"] == 0:
        day = WEEKDAYS[int((stamps[:1].astype("datetime64[D]").astype(np.int64)[0] + 3) % 7)]
        count = common // MICROSECONDS["W"]
        return [f"{count if count > 1 else ''}W-{day}"]
    for unit in ("D", "h", "min", "s", "ms", "us"):
        if common % MICROSECONDS[unit] == 0:
            count = common // MICROSECONDS[unit]
            return [f"{count if count > 1 else ''}{unit}"]
    return []
