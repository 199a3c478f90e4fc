"""Names of slots in files, and names from outside that may be those of database tables and columns."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from forecast.errors import ConfigError, printable

TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}\Z")  # PostgreSQL cuts at 63 bytes, and _current is added
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]{0,62}\Z")


def slot_name(slot: datetime) -> str:
    """The slot in UTC as part of a file's name; microseconds only where there are any.

    >>> slot_name(datetime(2026, 3, 1, 2, 30, tzinfo=UTC))
    '20260301T023000Z'
    """
    if slot.tzinfo is None:
        raise ConfigError(f"slot={slot.isoformat()!r} has no time zone. Give an aware time, in UTC.")
    fraction = f".{slot.microsecond:06d}" if slot.microsecond else ""
    at = slot.astimezone(UTC)
    return f"{at.year:04d}{at:%m%dT%H%M%S}{fraction}Z"


def checked_table(name: str) -> str:
    """``name`` if it may be a table's; else ``ConfigError``."""
    if not TABLE.match(name):
        raise ConfigError(
            f"table={printable(name)}: a letter or _, then at most 49 letters, digits or _ are allowed. For another "
            "schema, set the search path in the URL."
        )
    return name


def checked_column(name: str) -> str:
    """``name`` if it may be a column's; else ``ConfigError``."""
    if not COLUMN.match(name):
        raise ConfigError(f"{printable(name)} cannot be a column: a letter or _, then letters, digits, _ . + or -.")
    return name
