"""A process that forks runs on command, so that tests can kill, stop and race real processes without waiting for imports.

Started as ``python -m tests.batch.ledger_process``. Each line of its input is an order as JSON; each has one line of
answer: ``{"do": "run", …}`` forks and answers the process id, ``{"do": "wait", "pid": …}`` answers how it ended:
the text that the run returned, the name of its exception and its message, or ``signal 9``.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection

from forecast.batch import points
from forecast.batch.key import RunKey
from forecast.batch.ledger import urls
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.records import Claim, Planned
from forecast.batch.ledger.retry import patiently
from forecast.batch.ledger.urls import reading, writing

SLOT = datetime(2026, 3, 1, 6, tzinfo=UTC)
ROWS = 3
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def key(data: str = "d1", job: str = "nightly", slot: datetime = SLOT) -> RunKey:
    """A key that differs in its data only."""
    return RunKey(job, slot, data, "m1", "c1")


def make_shop_window(ledger: Ledger) -> None:
    """A table that stands for a sink's, in the ledger's database."""
    with writing(ledger.engine) as connection:
        connection.execute(text("CREATE TABLE shown (job TEXT, run TEXT, n INTEGER)"))


def show(connection: Connection, job: str, run: str) -> None:
    """Replace what the shop window has of ``job``, as a sink would."""
    connection.execute(text("DELETE FROM shown WHERE job = :job"), {"job": job})
    rows = [{"job": job, "run": run, "n": n} for n in range(ROWS)]
    connection.execute(text("INSERT INTO shown (job, run, n) VALUES (:job, :run, :n)"), rows)


def shown(ledger: Ledger, job: str = "nightly") -> list[tuple[str, int]]:
    """Run and number of every row of ``job`` in the shop window."""
    with reading(ledger.engine) as connection:
        query = text("SELECT run, n FROM shown WHERE job = :job ORDER BY run, n")
        return [(row.run, row.n) for row in connection.execute(query, {"job": job})]


def publish(ledger: Ledger, claim: Claim, planned: Planned, url: str) -> None:
    """Show and confirm a run in one transaction."""

    def attempt() -> None:
        with writing(ledger.engine) as connection:
            show(connection, claim.job, planned.run)
            points.reached("sink.published")
            ledger.confirm(claim, planned.run, connection)

    points.reached("sink.before-commit")
    patiently(attempt, "The shop window", url, patience=120)
    points.reached("sink.after-commit")


def run(order: dict[str, Any]) -> str:
    """A whole run with a ledger and a sink in one database."""
    if "idle" in order:
        urls.IDLE_SECONDS = order["idle"]
    ahead = timedelta(seconds=order.get("ahead", 0))
    ledger = Ledger(order["url"], clock=lambda: datetime.now(UTC) + ahead, patience=order.get("patience", 120.0)).open()
    while "gate" in order and not Path(order["gate"]).exists():
        time.sleep(0.001)
    job = order.get("job", "nightly")
    with ledger.held(job, SLOT) as claim:
        planned = ledger.plan(claim, key(order.get("data", "d1"), job), SLOT, {"data": {"rows": ROWS}})
        if planned.state == "committed":
            return "nothing to do"
        ledger.advance(claim, planned.run, "computed", counts={"series": 1})
        ledger.advance(claim, planned.run, "staged")
        publish(ledger, claim, planned, order["url"])
    return "committed"


def open_tables(order: dict[str, Any]) -> str:
    """Make the tables."""
    while "gate" in order and not Path(order["gate"]).exists():
        time.sleep(0.001)
    Ledger(order["url"], patience=60.0).open()
    return "open"


def listener(order: dict[str, Any]) -> Any:
    """Kills this process at its ``kill_at``-th point or at the point of that name, stops it at ``stop_at``."""
    passed: list[str] = []

    def listen(point: str) -> None:
        passed.append(point)
        if order.get("kill_at") in (point, len(passed)):
            os.kill(os.getpid(), signal.SIGKILL)
        if order.get("stop_at") == point:
            os.kill(os.getpid(), signal.SIGSTOP)

    return listen


def child(order: dict[str, Any]) -> None:
    """Carry out ``order`` and leave the answer in its file; not even a stopped process outlives the tests."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    points.listener = listener(order)
    try:
        answer = {"run": run, "open": open_tables}[order["do"]](order)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to know
        answer = f"{type(error).__name__}: {error}"
    Path(order["answer"]).write_text(answer)


def serve() -> None:
    """Answer orders until the input ends."""
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "wait":
                _, status = os.waitpid(order["pid"], 0)
                killed = os.WIFSIGNALED(status)
                file = Path(folder, str(order["pid"]))
                reply: Any = f"signal {os.WTERMSIG(status)}" if killed else file.read_text()
            else:
                reply = os.fork()
                if reply == 0:
                    child({**order, "answer": str(Path(folder, str(os.getpid())))})
                    os._exit(0)
            sys.stdout.write(json.dumps(reply) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    serve()
