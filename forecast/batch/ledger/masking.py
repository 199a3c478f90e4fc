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
# How settings refer to the environment: the name is no secret, what may stand after the comma is the value itself.
VARIABLE = re.compile(r"\$\{oc\.env:([A-Za-z_][A-Za-z0-9_]*)(?:,([^}]*))?\}")
ADDRESS_NAMES = ("webhook",)  # addresses whose path is a secret, too
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


def scrubbed(value: Any, name: str = "") -> Any:
    """Plain data (mappings, lists, texts, numbers) with every password in it masked, whatever its depth.

    ``name`` is what ``value`` is called: under the name of a secret all is hidden but ``None``, truth values and
    mappings, which have names of their own; of a webhook's address only the host is left.
    """
    if isinstance(value, Mapping):
        return {masked(str(key)): scrubbed(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(item, name) for item in value]
    if is_secret_name(name) and isinstance(value, int | float) and not isinstance(value, bool):
        return HIDDEN
    return _scrubbed_text(value, name) if isinstance(value, str) else value


def _scrubbed_text(text: str, name: str) -> str:
    variable = VARIABLE.fullmatch(text)
    if variable is not None:
        default = variable[2]
        return text if not default else f"${{oc.env:{variable[1]},{_scrubbed_text(default, name)}}}"
    if name in ADDRESS_NAMES:
        return re.sub(r"://(?:\S*@)?([^/?#@\s]*).*", rf"://\1/{HIDDEN}", text, flags=re.DOTALL)
    return HIDDEN if text and is_secret_name(name) else masked(text)
