"""Holidays as columns: which day is one, how near the next and the last one are, how many a step holds."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt

from forecast.errors import ForecastWarning
from forecast.panel.calendar_features import PREFIX
from forecast.panel.clock import step_size, wall_times
from forecast.panel.covariates import Covariates, Labels, Numbers
from forecast.panel.holidays import Holidays, Place, holidays_of
from forecast.timeline import DAY, Timeline

Int = npt.NDArray[np.int64]

NEAR = 7  # days: a holiday farther off than a week is as good as none
NONE = "none"  # the label of an ordinary day, so that it is told from a holiday that was not there in training
COUNT, IS, TO, SINCE, NAME = (
    PREFIX + name for name in ("holidays", "holiday", "to_holiday", "since_holiday", "holiday_name")
)


def holiday_features(timeline: Timeline, ordinals: Int, place: Place) -> Covariates:
    """Columns of the holidays of ``place`` at grid ``ordinals`` (U,), functions of the local date alone.

    On grids of a day or less: ``calendar.holiday`` (1 or 0), ``calendar.to_holiday`` and ``calendar.since_holiday``
    (days to the next and since the last one, within a week, as parts of it: 0 on the day itself, 1 from seven days on)
    and the labels ``calendar.holiday_name``. On coarser ones ``calendar.holidays``, how many lie in the step.

    Raises ``ConfigError`` for integer time. Warns about years for which the place's holidays are not known.
    """
    daily = step_size(timeline) <= DAY
    start, stop = _local_days(timeline, ordinals, daily)
    if not ordinals.size:
        return _columns(holidays_of(place, 0, 0), start, stop, daily)
    ends = np.array([start.min() - NEAR, start.min(), stop.max() - 1, stop.max() + NEAR]).astype("datetime64[D]")
    before, first, last, after = (ends.astype("datetime64[Y]").astype(np.int64) + 1970).tolist()
    found = holidays_of(place, before, after)
    if first < found.years[0] or last > found.years[1]:
        warnings.warn(
            f"holidays of {place} are known from {found.years[0]} to {found.years[1]} only; the data and their horizon "
            f"run from {first} to {last}, and the other years have none.",
            ForecastWarning,
            stacklevel=3,
        )
    return _columns(found, start, stop, daily)


def holiday_features_of(timeline: Timeline, ordinals: Int, rows: Int, places: Sequence[Place], of: Int) -> Covariates:
    """The columns of :func:`holiday_features` for rows of many ``places``, shape (R,).

    ``rows`` (R,) is each row's place among ``ordinals`` (U,), ``of`` (R,) the one of ``places`` that it lies in, -1 for
    none of them: everything is missing there.
    """
    tables = [holiday_features(timeline, ordinals, place) for place in places]
    if not tables:
        nothing = np.zeros(0, dtype=np.int64)
        tables = [_columns(NOWHERE, nothing, nothing, step_size(timeline) <= DAY)]
    stacked = reduce(Covariates.followed_by, tables)
    return stacked.at(np.where(of >= 0, of * len(ordinals) + rows, -1))


def _local_days(timeline: Timeline, ordinals: Int, daily: bool) -> tuple[Int, Int]:
    """The local days of each step, the first one and the one after the last, as days since 1970-01-01.

    Steps are what pandas' ``resample`` takes them for: anchored weeks and month ends name the last day of a step, all
    others the first.
    """

    def day(at: Int) -> Int:
        result: Int = wall_times(timeline, at).astype("datetime64[D]").astype(np.int64)
        return result

    own = day(ordinals)
    if daily:
        return own, own + 1
    if timeline.at_end or re.match(r"\d*W-", str(timeline.freq)):
        return day(ordinals - 1) + 1, own + 1
    return own, day(ordinals + 1)


def _columns(found: Holidays, start: Int, stop: Int, daily: bool) -> Covariates:
    """What there is to say of the steps that begin on days ``start`` (U,) and end before days ``stop`` (U,)."""
    if not daily:
        count = np.searchsorted(found.days, stop) - np.searchsorted(found.days, start)
        return Covariates((Numbers(COUNT, count.astype(np.float64)),))
    far = 2**40
    padded = np.concatenate([[-far], found.days, [far]])
    place = np.searchsorted(padded, start)  # of the first holiday that is not before the day
    to = np.minimum(padded[place] - start, NEAR)
    since = np.where(to == 0, 0, np.minimum(start - padded[place - 1], NEAR))
    labels = (NONE, *dict.fromkeys(found.names))
    code = {label: number for number, label in enumerate(labels)}
    codes = np.array([0, *(code[name] for name in found.names), 0], dtype=np.int64)
    return Covariates(
        (
            Numbers(IS, (to == 0).astype(np.float64)),
            Numbers(TO, to / NEAR),
            Numbers(SINCE, since / NEAR),
            Labels(NAME, np.where(to == 0, codes[place], 0), labels),
        )
    )


NOWHERE = Holidays(Place(""), np.zeros(0, dtype=np.int64), (), (0, 0))
