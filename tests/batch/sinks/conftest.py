"""Fixtures for sinks: every kind of them, and publishers in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.batch.publications import KINDS, sink_of

ROOT = Path(__file__).parents[3]


class Publishers:
    """Orders for :mod:`tests.batch.sink_process`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.batch.sink_process"]
        self._server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._alive: set[int] = set()

    def start(self, do: str = "deliver", **order: Any) -> int:
        """Fork a process that carries out an order; returns its id."""
        pid: int = self._ask({"do": do, **order})
        self._alive.add(pid)
        return pid

    def wait(self, pid: int) -> str:
        """How the process ended."""
        self._alive.discard(pid)
        answer: str = self._ask({"wait": pid})
        return answer

    def run(self, do: str = "deliver", **order: Any) -> str:
        """Carry out an order in a process of its own."""
        return self.wait(self.start(do, **order))

    def kill(self) -> None:
        """Let no process live on."""
        for pid in list(self._alive):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.wait(pid)

    def end(self) -> None:
        """Stop them, and what starts them."""
        self.kill()
        self._server.communicate()

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())


@pytest.fixture(scope="session")
def publisher_server() -> Iterator[Publishers]:
    """One for all tests: starting it takes seconds."""
    server = Publishers()
    yield server
    server.end()


@pytest.fixture
def publishers(publisher_server: Publishers) -> Iterator[Publishers]:
    """Publishers in processes of their own; none outlives the test."""
    yield publisher_server
    publisher_server.kill()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every kind of sink, one after the other."""
    return str(request.param)


@pytest.fixture
def place(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Where a sink of ``kind`` can be: a folder or the URL of an empty database."""
    return str(request.getfixturevalue("postgres_database")) if kind == "postgresql" else str(tmp_path)


@pytest.fixture
def sink(kind: str, place: str) -> Any:
    """An empty sink of ``kind``."""
    return sink_of(kind, place)
