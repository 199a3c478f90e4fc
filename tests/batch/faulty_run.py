"""A process that forks runs of jobs on command and strikes them at a point, without waiting for imports each time.

Started as ``python -m tests.batch.faulty_run``. Each line of its input is an order as JSON: ``job`` and ``overrides``
as :func:`forecast.batch.opening.open_job` takes them, ``as_of``, and a strike: ``kill`` (SIGKILL at the n-th point),
``kill_at`` (at the first point of that name) or ``signals`` (SIGTERM at those points). Each has one line of answer:
``code`` and ``points`` of a run that ended, or ``signal`` of one that was killed. ``slots`` instead of ``as_of`` runs
all of them at the same time, and is answered by their ``codes``. What a run has imported is imported
here, too, so that the next one need not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from forecast.batch import points
from forecast.cli import main


def striking(order: dict[str, Any], reached: list[str]) -> Callable[[str], None]:
    """Notes every point, and strikes at the ones ordered."""

    def listener(point: str) -> None:
        reached.append(point)
        number = len(reached)
        if number == order.get("kill") or point == order.get("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if number in order.get("signals", ()):
            os.kill(os.getpid(), signal.SIGTERM)

    return listener


def run(order: dict[str, Any], answer: Path) -> int:
    """In the forked process: the command, struck as ordered."""
    reached: list[str] = []
    points.listener = striking(order, reached)
    words = ["batch", f"job={order['job']}", f"as_of={order['as_of']}", *order.get("overrides", ())]
    code = main(words)
    answer.write_text(json.dumps({"code": code, "points": reached, "modules": sorted(sys.modules)}))
    return code


def forked(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The answer to an order."""
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            with (folder / "log").open("ab", buffering=0) as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                code = run(order, answer)
                sys.stdout.flush()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    if not answer.exists():
        return {"code": os.WEXITSTATUS(status), "log": (folder / "log").read_text()[-3000:]}
    told: dict[str, Any] = json.loads(answer.read_text())
    for name in told.pop("modules"):
        if name not in sys.modules and not name.startswith("__"):
            with suppress(ImportError):
                import_module(name)
    return told


def together(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The exit codes of runs that start at one moment, in the order of their slots."""
    ready, go = os.pipe()
    processes = []
    for number, slot in enumerate(order["slots"]):
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.close(go)
                with (folder / f"log{number}").open("ab", buffering=0) as log:
                    os.dup2(log.fileno(), 1)
                    os.dup2(log.fileno(), 2)
                    os.read(ready, 1)  # until the other end is closed
                    code = run({**order, "as_of": slot}, folder / f"answer{number}.json")
            finally:
                os._exit(code)
        processes.append(pid)
    os.close(ready)
    os.close(go)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in processes]
    return {"codes": codes, "log": [(folder / f"log{number}").read_text() for number in range(len(codes))]}


def serve() -> None:
    """Answer orders until the input ends."""
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            order = json.loads(line)
            answer = together(order, Path(folder)) if "slots" in order else forked(order, Path(folder))
            print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
