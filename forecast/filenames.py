"""Names from outside, made safe as names of folders and files."""

from __future__ import annotations

import hashlib
import re
import string

from forecast.errors import ConfigError

SAFE = frozenset(string.ascii_letters + string.digits + "-_.")
LONGEST = 96  # characters of a folder's name; with what is added it stays below the 255 of most file systems
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)  # Windows keeps these for itself


def folder_name(name: str) -> str:
    """``name`` as the name of one folder or file: different names stay different, none leads elsewhere.

    Whatever is not a plain letter, digit, ``-``, ``_`` or ``.`` becomes ``%`` and its UTF-8 bytes in hex, and so does a
    first character that hides a folder or a last one that Windows drops. Long names end in a hash.

    >>> folder_name("sales"), folder_name("../x"), folder_name("CON")
    ('sales', '%2E.%2Fx', '%43ON')
    """
    if not name:
        raise ConfigError("What has a folder of its own needs a name: this one is empty.")
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
