"""Grid steps as people's clocks show them: wall times, the stamps of a frame, how long a step is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ConfigError
from forecast.panel.spans import ranges
from forecast.timeline import DAY, Stamps, Timeline

Int = npt.NDArray[np.int64]

MONTH = int(30.436875 * DAY)  # a twelfth of the mean Gregorian year
YEAR = 12 * MONTH
WEEK = 7 * DAY
WORKING_DAYS = 5


def step_size(timeline: Timeline) -> int:
    """Microseconds from one step to the next; the mean where steps differ, a day from one working day to the
    next.

    Raises ``ConfigError`` for integer time, which has no calendar.
    """
    if timeline.kind == "step":
        raise ConfigError(
            "calendar features and holidays need dates, and the time column holds integers. "
            "Leave them out, give functions of the integers in time_features, or fit on dates."
        )
    if timeline.kind == "tick":
        return timeline.step
    if timeline.kind == "month":
        return timeline.step * MONTH
    return DAY if timeline.step == 1 else timeline.step * WEEK // WORKING_DAYS


def wall_times(timeline: Timeline, ordinals: Int) -> Stamps:
    """What a clock on the wall shows at each step, datetime64[us]: local time of the grid's zone, if it has one."""
    stamps = timeline.stamps(ordinals)
    if timeline.tz is None or timeline.local:
        return stamps
    zoned = pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(timeline.tz)
    return zoned.tz_localize(None).to_numpy().astype("datetime64[us]")


def as_index(timeline: Timeline, stamps: Stamps) -> pd.Index:
    """Stamps as users see them: integers, dates, or zoned dates (a wall time that does not exist moves forward)."""
    if timeline.kind == "step":
        return pd.Index(stamps)
    dates = pd.DatetimeIndex(stamps)
    if timeline.tz is None:
        return dates
    if not timeline.local:
        return dates.tz_localize("UTC").tz_convert(timeline.tz)
    return dates.tz_localize(timeline.tz, nonexistent="shift_forward", ambiguous=np.ones(len(dates), dtype=bool))


def skipped(timeline: Timeline, ordinals: Int) -> Stamps:
    """The wall times among ``ordinals`` that the clock of the grid's zone jumps over, ascending; mostly none."""
    if timeline.tz is None or not timeline.local:
        return np.empty(0, dtype="datetime64[us]")
    stamps = timeline.stamps(np.unique(ordinals))
    shown = pd.DatetimeIndex(as_index(timeline, stamps)).tz_localize(None).to_numpy().astype("datetime64[us]")
    return np.asarray(stamps[shown != stamps])


def distinct(first: Int, lengths: Int) -> tuple[Int, Int]:
    """The different ordinals, ascending (U,), of series that run from ``first`` for ``lengths`` steps, and each row's
    place among them (R,): what depends on time alone is worked out once for each."""
    ordinals = ranges(first, lengths)
    if not ordinals.size:
        return ordinals, ordinals
    low, high = int(ordinals.min()), int(ordinals.max())
    if high - low >= 2 * ordinals.size + 1000:  # too far apart for a table of every step between
        found, places = np.unique(ordinals, return_inverse=True)
        return found, places.astype(np.int64).reshape(-1)
    ordinals -= low
    there = np.zeros(high - low + 1, dtype=bool)
    there[ordinals] = True
    place = np.cumsum(there) - 1
    return np.flatnonzero(there) + low, place[ordinals]
