"""Which frequency stamps have."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecast.aliases import MONTHS, WEEKDAYS
from forecast.calendars import month_days
from forecast.timeline import LAST_DAY, MICROSECONDS, Stamps, fit_timeline

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


def infer_freq(stamps: Stamps, series: Int, elapsed: bool = False) -> str | int | None:
    """The frequency of sorted ``stamps`` (``series`` numbers the series each belongs to), or ``None``.

    The commonest step decides, so that gaps do no harm; ``None`` when no step is commoner than chance or when
    stamps lie off the grid that it gives. ``elapsed`` says that a zone's stamps are in UTC because no wall clock fits
    them: then the longest step is in hours.
    """
    same = series[1:] == series[:-1]
    steps = np.diff(stamps.view(np.int64) if stamps.dtype.kind == "M" else stamps)
    steps = steps[same & (steps > 0)]
    if steps.size == 0:
        return None
    if (steps == steps[0]).all():
        steps = steps[:1].copy()  # spares sorting them all
    values, counts = np.unique(steps, return_counts=True)
    common = int(values[counts.argmax()])
    if stamps.dtype.kind != "M":
        return common if bool((values % common == 0).all()) else None
    candidates = [] if elapsed else _calendar_candidates(stamps, same)
    for alias in [*candidates, *_tick_candidates(stamps, common, elapsed)]:
        _, exact = fit_timeline(alias, stamps[:1]).ordinals(stamps)
        if exact.all():
            return alias
    return None


def _calendar_candidates(stamps: Stamps, same: Bool) -> list[str]:
    few = stamps[:1000].astype("datetime64[D]")
    if not common_day(few) and _weekend(few).any():
        return []
    days = stamps.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    day = common_day(days)
    if day:
        return _monthly(months.astype(np.int64), same, day)
    steps = np.diff(days).astype(np.int64)[same]
    if not _weekend(days).any() and (steps == 1).sum() * 2 > steps.size and (steps == 3).any():
        return ["B"]
    return []


def _weekend(days: npt.NDArray[np.datetime64]) -> Bool:
    return np.asarray((days.astype(np.int64) + 3) % 7 >= 5)


def common_day(days: npt.NDArray[np.datetime64]) -> int:
    """The day of the month that all ``days`` (datetime64[D]) are on, or as near as their month is long; 0 for none.

    Last days alone are the 31st: those of June and September say no more.
    """
    months = days.astype("datetime64[M]")
    for day in (LAST_DAY, int((days - months.astype("datetime64[D]")).astype(np.int64).max()) + 1):
        if bool((days == month_days(months, day)).all()):
            return day
    return 0


def _monthly(numbers: Int, same: Bool, day: int) -> list[str]:
    """Aliases of months ``numbers`` (since 1970) on day ``day``; none where a series has several rows in one month."""
    steps = np.diff(numbers)[same]
    values, counts = np.unique(steps[steps > 0], return_counts=True)
    if values.size == 0:
        return []
    common = int(values[counts.argmax()])
    prefix = str(common) if common > 1 else ""
    if day not in (1, LAST_DAY):
        return [f"{prefix}MS-{day}"]
    letter = "S" if day == 1 else "E"
    anchor = MONTHS[int(numbers[0]) % 12]
    if common % 12 == 0:
        return [f"{common // 12 if common > 12 else ''}Y{letter}-{anchor}"]
    if common % 3 == 0:
        # One name for the same quarters, whichever comes first: pandas' own default among them.
        anchor = MONTHS[int(numbers[0]) % 3 + (9 if letter == "E" else 0)]
        return [f"{common // 3 if common > 3 else ''}Q{letter}-{anchor}"]
    return [f"{prefix}M{letter}"]


def _tick_candidates(stamps: Stamps, common: int, elapsed: bool) -> list[str]:
    if common % MICROSECONDS["W"] == 0 and not elapsed:
        day = WEEKDAYS[int((stamps[:1].astype("datetime64[D]").astype(np.int64)[0] + 3) % 7)]
        count = common // MICROSECONDS["W"]
        return [f"{count if count > 1 else ''}W-{day}"]
    for unit in ("h", "min", "s", "ms", "us") if elapsed else ("D", "h", "min", "s", "ms", "us"):
        if common % MICROSECONDS[unit] == 0:
            count = common // MICROSECONDS[unit]
            return [f"{count if count > 1 else ''}{unit}"]
    return []
