"""Patience with a database that is down, starting or busy: try again with growing pauses, then say what is wrong."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from forecast.batch.ledger.masking import masked
from forecast.batch.ledger.urls import sqlite_file
from forecast.errors import StorageError, UnreachableError

if TYPE_CHECKING:
    from sqlalchemy.exc import SQLAlchemyError

T = TypeVar("T")

PATIENCE = 60.0  # seconds: a large sink in the same SQLite file may write for that long
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 3.0
SHOWN = 300
# SQLite's primary codes for "somebody else has it": BUSY, LOCKED, PROTOCOL (a race for the write-ahead log).
BUSY_CODES = (5, 6, 15)
# Classes and codes of PostgreSQL: connection lost, serialization, deadlock, lock timeout, shutdown, too many clients.
LOST, BUSY_STATES = ("08", "57P"), ("40001", "40P01", "55P03", "53300", "53400")
# Seen while connecting, where PostgreSQL's driver gives no code: these do not pass with time.
HOPELESS = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "invalid connection option",
    "no password",
)


def patiently(action: Callable[[], T], what: str, url: str, *, patience: float = PATIENCE) -> T:
    """The result of ``action``, tried again for ``patience`` seconds while the database cannot be reached or is busy.

    An action must be safe to repeat: it may have been done although its answer was lost. Pauses double from 50 ms to
    3 s, each a random part of it, so that many waiting processes do not come back together. ``what`` names the
    action in a message ("The ledger"). Raises ``UnreachableError`` when it is still away or busy then, ``StorageError``
    at once for what will not pass; errors that are not the database's pass unchanged.
    """
    from sqlalchemy.exc import SQLAlchemyError

    give_up = time.monotonic() + patience
    tries = 0
    while True:
        tries += 1
        try:
            return action()
        except SQLAlchemyError as error:
            pause = random.uniform(0.5, 1.0) * min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 10))
            if not is_transient(error) or time.monotonic() + pause > give_up:
                # From None: what the driver said is in the message, without passwords.
                raise storage_error(error, what, url, tries) from None
        time.sleep(pause)


def is_transient(error: SQLAlchemyError) -> bool:
    """Whether trying again may help: connection refused or lost, server starting, lock held, deadlock."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError

    if isinstance(error, TimeoutError):
        return True
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in BUSY_CODES
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state.startswith(LOST) or state in BUSY_STATES
    if type(error.orig).__module__.startswith("sqlite3"):
        return False
    text = str(error.orig)
    return isinstance(error, OperationalError | InterfaceError) and not any(sign in text for sign in HOPELESS)


def storage_error(error: SQLAlchemyError, what: str, url: str, tries: int = 1) -> StorageError:
    """What the database said, as one line without passwords, and what can be done."""
    said = " ".join(str(getattr(error, "orig", None) or error).split())
    said = masked(said.encode("utf-8", "backslashreplace").decode())
    said = said if len(said) <= SHOWN else said[: SHOWN - 1] + "…"
    after = f" after {tries} tries" if tries > 1 else ""
    kind = UnreachableError if is_transient(error) else StorageError
    return kind(f"{what} at {masked(url)} failed{after}: {said}. {_remedy(error, url)}")


def _remedy(error: SQLAlchemyError, url: str) -> str:
    file = sqlite_file(url) if url.startswith("sqlite") else None
    if is_transient(error):
        return "Another program holds it." if file else "Is the server up and the URL right? Then run this again."
    if file and not file.parent.is_dir():
        return f"The folder {str(file.parent)!r} does not exist: make it, or name another."
    if file:
        return f"Check that {str(file)!r} is a SQLite database which this user may write, on a disk with room."
    return "Check the URL, the rights of its user, and the tables there."
