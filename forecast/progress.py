"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere, nothing when silenced."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

Advance = Callable[[int], None]
LINE_SECONDS = 10.0


def progress(
    label: str,
    total: int,
    enabled: bool = True,
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AbstractContextManager[Advance]:
    """Show how far a job of ``total`` units has come: ``with progress("ets", 414) as advance: advance(8)``.

    On a terminal a bar is drawn; elsewhere (a log file, a notebook, cron) a plain line such as
    ``ets: 120/414 (29 %), 12 s`` is written at most every ten seconds, so that a short job writes none.

    Args:
        label: what is being done, a word or two.
        total: units of work; ``advance(n)`` says that ``n`` more are done.
        enabled: ``False`` shows nothing.
        stream: where to write; ``None`` means standard error, so that piped output stays clean.
        clock: seconds from any origin.
    """
    if not enabled or total < 1:
        return nullcontext(_ignore)
    stream = sys.stderr if stream is None else stream
    return _bar(label, total, stream) if stream.isatty() else _lines(label, total, stream, clock)


def _ignore(_: int) -> None:
    """Advance of a silenced job."""


@contextmanager
def _bar(label: str, total: int, stream: TextIO) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def _lines(label: str, total: int, stream: TextIO, clock: Callable[[], float]) -> Iterator[Advance]:
    start = written = clock()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, written
        done += count
        now = clock()
        if now - written >= LINE_SECONDS:
            written = now
            stream.write(f"{label}: {done}/{total} ({100 * done // total} %), {now - start:.0f} s\n")
            stream.flush()

    yield advance
