"""Which process this is, so that another on the same machine can tell for sure that it is dead."""

from __future__ import annotations

import os
import socket
from pathlib import Path

UNKNOWN = ""


def owner_name() -> str:
    """``host:pid``, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


def this_process() -> str:
    """Boot, pid namespace, pid and start time of this process: no two processes ever share them.

    Empty where the system does not tell them (no ``/proc``): then only the lease can end a claim.
    """
    place = _place()
    start = _started(os.getpid())
    return UNKNOWN if place is None or start is None else f"{place}/{os.getpid()}/{start}"


def is_gone(process: str) -> bool:
    """Whether the process that :func:`this_process` named has certainly ended. ``False`` in doubt: another machine."""
    place, _, rest = process.rpartition("/")
    place, _, pid = place.rpartition("/")
    if not place or place != _place() or not pid.isdigit():
        return False
    return _started(int(pid)) != rest


def _place() -> str | None:
    """This boot of this machine, and the pid namespace within it: containers number their processes themselves."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """Start time of process ``pid`` in clock ticks since boot; ``None`` when there is none, or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
    return None if state in "ZX" else fields[18]
