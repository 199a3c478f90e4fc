"""Fixtures for the ledger: runs in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from forecast.batch.ledger.ledger import Ledger

ROOT = Path(__file__).parents[3]


class Forks:
    """Orders for :mod:`tests.batch.ledger_process`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.batch.ledger_process"]
        self._server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.alive: set[int] = set()

    def start(self, url: str, do: str = "run", **order: Any) -> int:
        """Fork a process that carries out an order; returns its id."""
        pid: int = self._ask({"do": do, "url": url, **order})
        self.alive.add(pid)
        return pid

    def wait(self, pid: int) -> str:
        """How the process ended."""
        answer: str = self._ask({"do": "wait", "pid": pid})
        self.alive.discard(pid)
        return answer

    def run(self, url: str, do: str = "run", **order: Any) -> str:
        """Carry out an order in a process of its own."""
        return self.wait(self.start(url, do, **order))

    def stopped(self, pid: int) -> None:
        """Wait until the process has been stopped by SIGSTOP."""
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def end(self) -> None:
        """Let nobody live on."""
        self.kill()
        self._server.communicate()

    def kill(self) -> None:
        """End the processes that a test has left."""
        for pid in list(self.alive):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.wait(pid)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[Forks]:
    """One for all tests: starting it takes seconds."""
    server = Forks()
    yield server
    server.end()


@pytest.fixture
def forks(fork_server: Forks) -> Iterator[Forks]:
    """Runs in processes of their own; none outlives the test."""
    yield fork_server
    fork_server.kill()


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 6, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        """Go on (or back) by ``seconds=`` or ``hours=`` …"""
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    """A clock for the test to set."""
    return Clock()


@pytest.fixture
def ledger(database_url: str, clock: Clock) -> Ledger:
    """An empty ledger, once on SQLite and once on PostgreSQL."""
    return Ledger(database_url, clock=clock).open()
