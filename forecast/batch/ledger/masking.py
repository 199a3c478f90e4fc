"""Passwords stay out of every text: messages, logs, the ledger, saved settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
SECRET_NAMES = r"[\w-]*(?:passw(?:or)?d|passwort|passphrase|pwd|secret|api[_-]?key|access[_-]?key|access[_-]?token)"
# Up to the last @ before a blank or a quote: a password that was not percent-encoded may hold any other sign.
_IN_URL = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@\"'<>]*):[^\s\"'<>]*@")
_IN_PAIR = re.compile(rf"(?i)(\b{SECRET_NAMES}[\"']?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s&;,'\"{{}}\[\]]+)")
_NAME = re.compile(rf"(?i){SECRET_NAMES}")
SHORTEST, UNMISTAKABLE = 6, 12
_known: set[str] = set()


def is_secret_name(name: str) -> bool:
    """Whether what is called ``name`` (``password``, ``sslpassword``, ``api_key`` …) must not be shown."""
    return _NAME.fullmatch(name) is not None


def remember(secret: str | None) -> None:
    """Have :func:`masked` hide ``secret`` wherever it stands. Very short ones would hide ordinary words: not kept."""
    if secret and len(secret) >= SHORTEST:
        _known.add(secret)


def masked(text: str) -> str:
    """``text`` with ``***`` for passwords: those in URLs and ``password=…`` pairs, and all of databases in use.

    >>> masked("postgresql://ann:geheim@db.example/sales")
    'postgresql://ann:***@db.example/sales'
    """
    for secret in sorted(_known, key=len, reverse=True):
        bare = re.escape(secret)
        pattern = bare if len(secret) >= UNMISTAKABLE else rf"(?<!\w){bare}(?!\w)"
        text = re.sub(pattern, HIDDEN, text)
    return _IN_PAIR.sub(rf"\g<1>{HIDDEN}", _IN_URL.sub(rf"\g<1>:{HIDDEN}@", text))


def scrubbed(value: Any) -> Any:
    """Plain data (mappings, lists, texts, numbers) with every password in it masked, whatever its depth."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {masked(str(key)): HIDDEN if _hides(key, item) else scrubbed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(item) for item in value]
    return value


def _hides(name: object, value: object) -> bool:
    return isinstance(value, str) and bool(value) and is_secret_name(str(name))
