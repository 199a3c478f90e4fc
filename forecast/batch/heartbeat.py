"""Signs of life of a scheduler: a file for a monitor, and systemd's watchdog where there is one."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from forecast.atomic import write_text

log = logging.getLogger("forecast.batch.schedule")


class Heartbeat:
    """Tells now and then that the scheduler is alive, and what it is doing.

    Args:
        path: a JSON file, replaced as a whole at each beat; ``None`` for none. A monitor looks at its age.
        every: seconds between beats.
        environ: where systemd says how to reach it (``NOTIFY_SOCKET``).

    A beat that cannot be written is logged once and never ends the scheduler.
    """

    def __init__(self, path: Path | None, every: float, environ: Mapping[str, str] = os.environ) -> None:
        self.path = path
        self.every = every
        self._socket = environ.get("NOTIFY_SOCKET", "")
        self._last: float | None = None
        self._broken = False

    def due(self, elapsed: float) -> bool:
        """Whether a beat is due at ``elapsed``, in seconds of a clock that never jumps."""
        return self._last is None or elapsed - self._last >= self.every

    def beat(self, elapsed: float, at: datetime, facts: Mapping[str, Any]) -> None:
        """Say that the scheduler is alive at ``at``; ``facts`` are what it is doing."""
        first, self._last = self._last is None, elapsed
        self._notify("READY=1\nWATCHDOG=1" if first else "WATCHDOG=1")
        if self.path is None:
            return
        facts = {"alive": at.isoformat(), "pid": os.getpid(), "host": socket.gethostname(), **facts}
        try:
            write_text(self.path, json.dumps(facts, indent=1, default=str) + "\n")
            self._broken = False
        except OSError as error:
            if not self._broken:
                log.error("The health file %s cannot be written: %s.", self.path, error.strerror or error)
            self._broken = True

    def stopping(self) -> None:
        """Say that the scheduler is on its way out."""
        self._notify("STOPPING=1")

    def _notify(self, text: str) -> None:
        """systemd's protocol: a datagram to the socket that it names, "@" for one without a file."""
        if not self._socket or not hasattr(socket, "AF_UNIX"):
            return
        address = "\0" + self._socket[1:] if self._socket.startswith("@") else self._socket
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.sendto(text.encode(), address)
        except OSError as error:
            log.debug("systemd cannot be reached: %s", error)
