"""Steps of time that are no fixed number of days: working days, and months counted from one of their days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError, printable

Int = npt.NDArray[np.int64]
Days = npt.NDArray[Any]  # datetime64[D]

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EPOCH = np.datetime64("1970-01-01", "D")
SHOWN_HOLIDAYS = 3
ROLLS: tuple[Literal["backward"], Literal["forward"]] = ("backward", "forward")


@dataclass(frozen=True)
class CustomBusiness:
    """Working days as a frequency: one step from each to the next, over free weekdays and holidays.

    Args:
        weekmask: the weekdays worked, ``"Mon Tue Wed Thu Sat"``, or seven digits from Monday on, ``"1111010"``.
        holidays: the dates not worked: texts, dates, stamps, or a mapping from dates such as the ``holidays`` package
            gives. Name those of the horizon too.

    Raises ``ConfigError`` for days that cannot be read, and for a week without a working day.

    >>> CustomBusiness(holidays=["2024-05-01"])
    CustomBusiness('Mon Tue Wed Thu Fri' but 2024-05-01)
    """

    weekmask: str = "Mon Tue Wed Thu Fri"
    holidays: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        days = _dates(self.holidays)
        try:
            calendar = np.busdaycalendar(weekmask=self.weekmask, holidays=days)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"weekmask={printable(self.weekmask)}: days such as 'Mon Tue Wed Thu Sat' or seven digits such as "
                "'1111010' are needed, at least one of them worked."
            ) from error
        worked = " ".join(name for name, works in zip(WEEKDAYS, calendar.weekmask, strict=True) if works)
        object.__setattr__(self, "weekmask", worked)
        # numpy has sorted them and left out those of free weekdays: equal calendars compare equal
        object.__setattr__(self, "holidays", tuple(calendar.holidays.astype(str).tolist()))

    def __repr__(self) -> str:
        if not self.holidays:
            return f"CustomBusiness({self.weekmask!r})"
        count = len(self.holidays)
        shown = ", ".join(self.holidays) if count <= SHOWN_HOLIDAYS else f"{count} holidays from {self.holidays[0]} on"
        return f"CustomBusiness({self.weekmask!r} but {shown})"

    @property
    def week(self) -> int:
        """Working days in a week without holidays."""
        return len(self.weekmask.split())

    @property
    def longest(self) -> int:
        """Days from one working day to the next, at most."""
        ends = [np.busday_offset(_dates(self.holidays), 0, roll=way, busdaycal=_calendar(self)) for way in ROLLS]
        return max(7, int((ends[1] - ends[0]).astype(np.int64).max(initial=0)))

    def working(self, days: Days) -> npt.NDArray[np.bool_]:
        """Whether each day is worked, same shape."""
        return np.asarray(np.is_busday(days, busdaycal=_calendar(self)))

    def count(self, days: Days) -> Int:
        """Working days from the first since 1970 to each of ``days``; of a free day that of the next working one."""
        return np.asarray(np.busday_count(_first(self), days, busdaycal=_calendar(self)), dtype=np.int64)

    def days(self, counts: Int) -> Days:
        """The inverse of :meth:`count`; any shape."""
        return np.asarray(np.busday_offset(_first(self), counts, busdaycal=_calendar(self)))

    def later(self, days: Days, steps: int) -> Days:
        """``steps`` working days after each of ``days``, or after the last working day before a free one."""
        return np.asarray(np.busday_offset(days, steps, roll="backward", busdaycal=_calendar(self)))


@cache
def _calendar(business: CustomBusiness) -> np.busdaycalendar:
    return np.busdaycalendar(weekmask=business.weekmask, holidays=np.array(business.holidays, dtype="datetime64[D]"))


@cache
def _first(business: CustomBusiness) -> np.datetime64:
    """The first working day since 1970: counting from a free day is not the same forwards and backwards."""
    first: np.datetime64 = np.busday_offset(EPOCH, 0, roll="forward", busdaycal=_calendar(business))
    return first


def _dates(holidays: Any) -> Days:
    """Dates in any of their makes. Raises ``ConfigError`` naming the first that is none."""
    if isinstance(holidays, (str, bytes)) or not isinstance(holidays, Iterable):
        raise ConfigError(f"holidays={printable(holidays)}: a list of dates such as ['2024-12-25'] is needed.")
    days = np.empty(len(given := list(holidays)), dtype="datetime64[D]")
    for place, value in enumerate(given):
        try:
            days[place] = np.datetime64(value).astype("datetime64[D]")
        except (TypeError, ValueError) as error:
            raise ConfigError(f"holidays: {printable(value)} is not a date such as '2024-12-25'.") from error
    if np.isnat(days).any():
        raise ConfigError("holidays: one of the dates is missing. Leave it out.")
    return days


def month_days(months: npt.NDArray[Any], day: int) -> Days:
    """Day ``day`` of each month (datetime64[M], any shape): its last day where it has fewer.

    >>> month_days(np.array(["2024-01", "2024-02"], dtype="datetime64[M]"), 30).astype(str).tolist()
    ['2024-01-30', '2024-02-29']
    """
    first = months.astype("datetime64[D]")
    if day <= 28:
        return np.asarray(first + (day - 1))
    return np.asarray(np.minimum(first + (day - 1), (months + 1).astype("datetime64[D]") - 1))
