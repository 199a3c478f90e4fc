"""SIGTERM and Ctrl-C: the first asks the run to stop after the step it is in, the second stops it there and then."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Stopped(BaseException):
    """The operator, or the machine, asked the run to stop. ``code`` is what the process should exit with."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.code = 128 + number


class Interrupts:
    """While entered, remembers a signal for :meth:`check` to raise; a second one raises at once.

    A run is made of steps that are each all or nothing, so that either is safe. Training and backing off can take
    long and lose nothing that was durable: within :meth:`at_once` the first signal raises already. Outside the main
    thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self, numbers: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)) -> None:
        self.numbers = numbers
        self.pending: int | None = None
        self._eager = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in self.numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self.pending = self.pending is None, number
        if self._eager or not first:
            raise Stopped(number)

    def check(self) -> None:
        """Raise :class:`Stopped` when a signal has come."""
        if self.pending is not None:
            raise Stopped(self.pending)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Work that may be broken off anywhere."""
        self.check()
        self._eager = True
        try:
            yield
        finally:
            self._eager = False
