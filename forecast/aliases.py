"""The names of frequencies: pandas' aliases, older spellings, pandas' own objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from forecast.calendars import CustomBusiness
from forecast.errors import ConfigError, printable

Freq = str | int | CustomBusiness

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# Aliases that pandas no longer takes, or that people type; pandas' own are the values.
OLD_ALIASES = {
    "M": "ME", "Q": "QE", "A": "YE", "Y": "YE", "AS": "YS", "H": "h", "T": "min", "S": "s", "L": "ms", "U": "us",
    "d": "D", "w": "W", "b": "B", "hourly": "h", "daily": "D", "weekly": "W", "monthly": "MS",
    "quarterly": "QS", "yearly": "YS",
}  # fmt: skip
EACH = "each"
CALENDAR_KEYS = {"weekmask", "holidays"}


def split_alias(alias: str) -> tuple[int, str, str]:
    """``"2W-SUN"`` -> ``(2, "W", "SUN")``; old spellings are translated.

    >>> split_alias("M"), split_alias("15T"), split_alias("Q-DEC"), split_alias("MS-15")
    ((1, 'ME', ''), (15, 'min', ''), (1, 'QE', 'DEC'), (1, 'MS', '15'))
    """
    match = re.fullmatch(r"\s*(\d*)\s*([A-Za-z]+)(?:-([A-Za-z0-9]+))?\s*", alias)
    if match is None:
        raise ConfigError(f"freq={alias!r} is not a frequency. Use 'h', 'D', 'W-SUN', 'MS', 'QS', 'YS' or an int step.")
    count, unit, anchor = match.groups()
    return int(count or 1), OLD_ALIASES.get(unit, unit), (anchor or "").upper()


def as_freq(freq: Any) -> Freq:
    """A frequency as an alias, an integer step or a calendar of working days.

    It may also be an offset of pandas (``pd.offsets.MonthEnd()``, ``CustomBusinessDay(holidays=…)``), or a calendar
    written down as a mapping of ``weekmask`` and ``holidays``. Raises ``ConfigError`` for what is none of these.
    """
    if isinstance(freq, (str, CustomBusiness)):
        return freq
    if isinstance(freq, (int, np.integer)) and not isinstance(freq, bool):
        return int(freq)
    if isinstance(freq, Mapping) and freq and set(freq) <= CALENDAR_KEYS:
        return CustomBusiness(**freq)
    if isinstance(freq, Mapping):
        raise ConfigError(
            f"freq={printable(dict(freq))}: several frequencies at once are for Forecaster(freq=…) alone."
        )
    alias, calendar = getattr(freq, "freqstr", None), getattr(freq, "calendar", None)
    if alias == "C" and isinstance(calendar, np.busdaycalendar):
        return CustomBusiness("".join("01"[int(works)] for works in calendar.weekmask), tuple(calendar.holidays))
    if isinstance(alias, str):
        return alias
    raise ConfigError(f"freq must be an alias such as 'h', 'D', 'MS' or an integer step, got {printable(freq)}.")


def plain_freq(freq: Freq) -> str | int | dict[str, Any]:
    """A frequency as JSON can hold it, for :func:`as_freq` to read again."""
    if isinstance(freq, CustomBusiness):
        return {"weekmask": freq.weekmask, "holidays": list(freq.holidays)}
    return freq
