"""A run as a process of its own, so that nothing it does, or that happens to it, harms the scheduler."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from typing import Protocol


class Child(Protocol):
    """A run that was started."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """Its exit code, minus the signal that killed it, or ``None`` while it goes on."""
        ...

    def ask(self, number: int) -> None:
        """Send it a signal that it may handle; nothing happens when it has ended."""
        ...

    def kill(self) -> None:
        """End it and every process that it started, at once."""
        ...


class Process:
    """A command in a session of its own: a Ctrl-C in the terminal reaches the scheduler only, which passes it on."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, minus the signal that killed it, or ``None`` while it goes on."""
        return self._process.poll()

    def ask(self, number: int) -> None:
        """Send it a signal that it may handle; nothing happens when it has ended."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it and every process that it started, at once."""
        if self._process.poll() is not None:
            return
        if os.name == "nt":
            self._process.kill()
        else:
            os.killpg(self._process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
