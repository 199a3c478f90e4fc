"""Names from outside, made safe as names of folders, files and database tables."""

from __future__ import annotations

import hashlib
import re
import string
from datetime import UTC, datetime

from forecast.errors import ConfigError, printable

SAFE = frozenset(string.ascii_letters + string.digits + "-_.")
LONGEST = 96  # characters of a folder's name; with what is added it stays below the 255 of most file systems
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)  # Windows keeps these for itself
TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}\Z")  # PostgreSQL cuts at 63 bytes, and _current is added
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]{0,62}\Z")


def folder_name(name: str) -> str:
    """``name`` as the name of one folder or file: different names stay different, none leads elsewhere.

    Whatever is not a plain letter, digit, ``-``, ``_`` or ``.`` becomes ``%`` and its UTF-8 bytes in hex, and so does a
    first character that hides a folder or a last one that Windows drops. Long names end in a hash.

    >>> folder_name("sales"), folder_name("../x"), folder_name("CON")
    ('sales', '%2E.%2Fx', '%43ON')
    """
    if not name:
        raise ConfigError("A job needs a name: it is the name of the folder of its forecasts.")
    parts = [letter if letter in SAFE else _hex(letter) for letter in name]
    if name[0] in "-_." or DEVICE.match(name):
        parts[0] = _hex(name[0])
    if name[-1] == ".":
        parts[-1] = _hex(name[-1])
    encoded = "".join(parts)
    if len(encoded) <= LONGEST:
        return encoded
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{encoded[:LONGEST]}~{digest}"


def _hex(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))


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
