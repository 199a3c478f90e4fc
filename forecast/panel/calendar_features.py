"""Where a step lies within hour, day, week, month and year, as numbers that a net can read.

A cycle becomes a point on a circle, two columns (sine and cosine), so that its end lies next to its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError, printable
from forecast.panel.clock import MONTH, YEAR, step_size, wall_times
from forecast.panel.covariates import Numbers
from forecast.timeline import DAY, MICROSECONDS, Stamps, Timeline

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

PREFIX = "calendar."  # of every column made from time, so that none is taken for a column of the user's
AUTO = "auto"
HOUR, WEEK = MICROSECONDS["h"], MICROSECONDS["W"]
DIGITS = 12  # sines are rounded to these, so that no machine's last bit depends on how many steps were asked for


@dataclass(frozen=True)
class Feature:
    """A reading of the clock.

    Attributes:
        period: microseconds after which it starts again; it says nothing on grids whose step is as long.
        read: wall times (U,) to numbers (U,); of a ``cycle`` the part of the period that has passed, from 0 to below 1.
        cycle: whether it becomes sine and cosine.
        steps: "auto" takes it for steps from the first of these to below the second, in microseconds.
        repeats: how often the period must have passed in the rows trained on before "auto" believes in it. A feature
            that comes round a few times tells days apart rather than seasons (taxi, November: day of month and year of
            five months of half hours cost 12 % of accuracy; time of day and week gained 4 %).
    """

    period: int
    read: Callable[[Stamps], Float]
    cycle: bool = True
    steps: tuple[int, int] = (0, YEAR)
    repeats: int = 4


def _days(wall: Stamps) -> npt.NDArray[np.datetime64]:
    return wall.astype("datetime64[D]")


def _of(period: int) -> Callable[[Stamps], Float]:
    return lambda wall: wall.astype(np.int64) % period / period


def _weekday(wall: Stamps) -> Int:
    """0 for Monday … 6 for Sunday."""
    return (_days(wall).astype(np.int64) + 3) % 7


def _passed(wall: Stamps, unit: str) -> tuple[Int, Int]:
    """Days since the month or year (``unit`` M or Y) began, and the days that it has."""
    begun = wall.astype(f"datetime64[{unit}]")
    start = begun.astype("datetime64[D]")
    return (_days(wall) - start).astype(np.int64), ((begun + 1).astype("datetime64[D]") - start).astype(np.int64)


def _share(unit: str) -> Callable[[Stamps], Float]:
    def read(wall: Stamps) -> Float:
        passed, days = _passed(wall, unit)
        return passed / days

    return read


def _to_month_end(wall: Stamps) -> Float:
    passed, days = _passed(wall, "M")
    return (days - 1 - passed).astype(np.float64)


def _month(wall: Stamps) -> Int:
    """0 for January … 11 for December."""
    return wall.astype("datetime64[M]").astype(np.int64) % 12


def _rounded(values: Float) -> Float:
    result: Float = np.round(values, DIGITS) + 0.0  # no negative zeros
    return result


def _iso_week(wall: Stamps) -> Float:
    """Weeks of the ISO year that are over, of the 52 or 53 that it has: a week belongs to the year of its Thursday."""

    def week(days: npt.NDArray[np.datetime64]) -> tuple[npt.NDArray[np.datetime64], Int]:
        thursday = days - _weekday(days) + 3
        year = thursday.astype("datetime64[Y]")
        return year, (thursday - year.astype("datetime64[D]")).astype(np.int64) // 7

    year, number = week(_days(wall))
    _, last = week((year + 1).astype("datetime64[D]") - 4)  # 28 December is always in the last week
    return number / (last + 1)


def _weekend(wall: Stamps) -> Float:
    return (_weekday(wall) >= 5).astype(np.float64)


FEATURES = {
    "minute_of_hour": Feature(HOUR, _of(HOUR)),
    "hour_of_day": Feature(DAY, _of(DAY)),
    "day_of_week": Feature(WEEK, lambda wall: _weekday(wall) / 7),
    "weekend": Feature(WEEK, _weekend, cycle=False),
    "day_of_month": Feature(MONTH, _share("M"), repeats=12),
    "days_to_month_end": Feature(MONTH, _to_month_end, cycle=False, repeats=12),
    # One of the following tells the time of year: the finest that the step resolves.
    "day_of_year": Feature(YEAR, _share("Y"), steps=(0, MONTH), repeats=2),
    "week_of_year": Feature(
        YEAR, _iso_week, steps=(0, 0), repeats=2
    ),  # the day says the same without a jump at New Year
    "month_of_year": Feature(YEAR, lambda wall: _month(wall) / 12, steps=(MONTH, 3 * MONTH), repeats=2),
    "quarter_of_year": Feature(YEAR, lambda wall: _month(wall) // 3 / 4, steps=(3 * MONTH, YEAR), repeats=2),
}


def feature_names(timeline: Timeline, names: str | Sequence[str]) -> tuple[str, ...]:
    """The features that ``names`` stands for on this grid; ``"auto"`` is those whose period is longer than its step.

    Time of day is the grid's own local time; of the readings of the year the one that suits the step is taken.

    Raises ``ConfigError`` for unknown names, for features that are the same at every step and for integer time.
    """
    step = step_size(timeline)
    if names == AUTO:
        idle = {"weekend"} if timeline.kind == "business" and isinstance(timeline.freq, str) else set()
        return tuple(
            name
            for name, feature in FEATURES.items()
            if feature.period > step and feature.steps[0] <= step < feature.steps[1] and name not in idle
        )
    chosen = check_names(names)
    still = [name for name in chosen if FEATURES[name].period <= step]
    if still:
        raise ConfigError(
            f"calendar={printable(list(chosen))}: {', '.join(still)} would be the same at every step of "
            f"freq={timeline.freq!r}. Take it out, or use calendar='auto'."
        )
    return chosen


def seldom(timeline: Timeline, rows: int) -> tuple[str, ...]:
    """The columns of features that come round too seldom in ``rows`` steps of this grid to be told from chance."""
    span = rows * step_size(timeline)
    return tuple(
        PREFIX + name + part
        for name, feature in FEATURES.items()
        if span < feature.repeats * feature.period
        for part in ((".sin", ".cos") if feature.cycle else ("",))
    )


def check_names(names: str | Sequence[str]) -> tuple[str, ...]:
    """Names of features as a tuple. Raises ``ConfigError`` where one is unknown or named twice."""
    if not isinstance(names, (list, tuple)):
        raise ConfigError(f"calendar={printable(names)} must be 'auto' or a list of {', '.join(FEATURES)}.")
    unknown = [name for name in names if name not in FEATURES]
    if unknown or len(set(names)) < len(names):
        problem = f"{printable(unknown[0])} is not known" if unknown else "a feature is named twice"
        raise ConfigError(f"calendar={printable(list(names))}: {problem}. There are {', '.join(FEATURES)}.")
    return tuple(names)


def calendar_features(timeline: Timeline, ordinals: Int, names: str | Sequence[str] = AUTO) -> tuple[Numbers, ...]:
    """The columns of ``names`` (see :func:`feature_names`) at grid ``ordinals`` (U,), each a function of time alone.

    A cycle gives ``calendar.NAME.sin`` and ``calendar.NAME.cos``; ``weekend`` is 1 on Saturday and Sunday, else 0;
    ``days_to_month_end`` counts days, 0 on the last one.
    """
    chosen = feature_names(timeline, names)
    wall = wall_times(timeline, ordinals)
    columns: list[Numbers] = []
    for name in chosen:
        feature = FEATURES[name]
        values = feature.read(wall)
        if not feature.cycle:
            columns.append(Numbers(PREFIX + name, values))
            continue
        angle: Float = 2 * np.pi * values
        for part, height in (("sin", np.sin(angle)), ("cos", np.cos(angle))):
            columns.append(Numbers(f"{PREFIX}{name}.{part}", _rounded(height)))
    return tuple(columns)
