"""A process that forks publishers on command, so that tests can kill and race real ones without waiting for imports.

Started as ``python -m tests.batch.sink_process``. Each line of its input is an order as JSON; ``{"do": "start", …}``
forks and answers the process id, ``{"do": "wait", "pid": …}`` answers how it ended: ``done``, the name of its error and
its message, or ``signal 9``.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from forecast.batch import points
from forecast.batch.spool import Spool
from tests.batch.publications import FORM, frame, publication, publish, sink_of

# Imported before the fork, and not used, so that no thread of theirs is lost by it.
EARLY = ("pyarrow.csv", "pyarrow.compute", "pyarrow.parquet", "sqlalchemy", "sqlite3", "psycopg", "duckdb")


def deliver(order: dict[str, Any]) -> None:
    """What a batch run does with its sink: sweep what the dead left, check, stage, commit."""
    sink = sink_of(order["kind"], order["place"], **order.get("options", {}))
    sink.check(FORM)
    sink.sweep()
    publish(sink, publication(**order.get("publication", {})), frame(**order.get("frame", {})))


def keep(order: dict[str, Any]) -> None:
    """What it does when the sink is away."""
    Spool(order["place"]).keep(publication(**order.get("publication", {})), FORM, frame(**order.get("frame", {})))


def replay(order: dict[str, Any]) -> None:
    """What it does when the sink is back."""

    @contextmanager
    def claimed(of: Any) -> Any:
        yield of, lambda connection: None

    sink = sink_of(order["kind"], order["sink_place"])
    left = Spool(order["place"]).replay(sink, claimed).left
    if left:
        raise RuntimeError(left)


def strike(order: dict[str, Any]) -> None:
    """Have this process killed at the ``kill_at``-th point, replacement or sync, or at the point of that name."""
    passed: list[str] = []

    def listen(point: str) -> None:
        passed.append(point)
        if order.get("kill_at") in (point, len(passed)):
            os.kill(os.getpid(), signal.SIGKILL)
        if order.get("wait_at") == point:
            Path(order["gate"] + ".there").touch()
            while not Path(order["gate"]).exists():
                time.sleep(0.005)

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def struck(*args: Any, **kwargs: Any) -> Any:
            listen(f"before {function.__name__}")
            return function(*args, **kwargs)

        return struck

    points.listener = listen
    os.replace, os.fsync, os.link = watched(os.replace), watched(os.fsync), watched(os.link)


def child(order: dict[str, Any]) -> None:
    """Carry out ``order`` and leave the answer in its file."""
    answer = "done"
    if "largest_file" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"], resource.RLIM_INFINITY))
    if "user" in order:
        os.setuid(order["user"])
    strike(order)
    try:
        {"deliver": deliver, "keep": keep, "replay": replay}[order["do"]](order)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to know
        answer = f"{type(error).__name__}: {error}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.write(order["answer"], answer.encode())


def serve() -> None:
    """Answer orders until the input ends."""
    for name in EARLY:
        importlib.import_module(name)
    answers = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer = answers.pop(order["wait"])
            told = os.pread(answer, 100_000, 0).decode()
            os.close(answer)
            reply: Any = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else told
        else:
            answer, name = tempfile.mkstemp()
            os.unlink(name)
            reply = os.fork()
            if reply == 0:
                child({**order, "answer": answer})
                os._exit(0)
            answers[reply] = answer
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
