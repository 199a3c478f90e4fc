"""``forecast batch``, ``runs`` and ``rollback``: their words turned into jobs and runs."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from forecast.allocator import keep_freed_memory
from forecast.errors import ConfigError, ForecastWarning, StorageError, printable

if TYPE_CHECKING:
    from forecast.batch.ledger.ledger import Ledger
    from forecast.batch.outcome import Outcome

FLAGS = ("--check-only", "--dry-run")
VALUED = ("--from", "--to")
LOOKING = 3.0  # seconds to keep trying while somebody waits for an answer


@dataclass
class Words:
    """The words of a command, sorted: ``named`` are those that mean something to it, ``others`` settings of the job."""

    named: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    others: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, argv: Sequence[str], names: Sequence[str]) -> Words:
        """Sort ``argv``. Raises ``ConfigError`` for an option that does not exist."""
        words = cls()
        rest = iter(argv)
        for word in rest:
            key, sign, value = word.partition("=")
            if word in FLAGS:
                words.flags.add(word)
            elif key in VALUED:
                words.named[key] = value if sign else next(rest, "")
            elif word.startswith("-"):
                raise ConfigError(f"there is no option {printable(key)}. Known: {', '.join((*FLAGS, *VALUED))}.")
            elif sign and key in names:
                words.named[key] = value
            else:
                words.others.append(word)
        return words

    def job(self) -> str:
        """The job that is named. Raises ``ConfigError`` when none is."""
        if not self.named.get("job"):
            raise ConfigError("which job? Add job=NAME, or job=PATH.yaml.")
        return self.named["job"]


def batch(argv: Sequence[str], debug: bool = False) -> int:
    """Run a job, or the slots of a backfill; returns the exit code."""
    keep_freed_memory()  # of a large table every column is allocated several times over
    from forecast.batch.interrupts import Interrupts, Stopped
    from forecast.batch.opening import open_job
    from forecast.batch.rehearsal import check, rehearse
    from forecast.batch.run import attempt, run

    words = Words.of(argv, ("job", "as_of"))
    past = "--from" in words.named
    _check_words(words, past)
    job = open_job(words.job(), words.others)
    as_of = words.named.get("as_of") or None
    with log_lines(job.progress):
        if words.flags:
            return _told((check if "--check-only" in words.flags else rehearse)(job, as_of))
        try:
            with Interrupts() as interrupts:
                if past:
                    return _backfilled(job, words, interrupts)
                return _told((run if debug else attempt)(job, as_of, interrupts=interrupts))
        except Stopped as stopped:  # a second signal, which waits for nothing
            sys.stderr.write(f"forecast: {stopped}.\n")
            return stopped.code


def _check_words(words: Words, past: bool) -> None:
    if "--to" in words.named and not past:
        raise ConfigError("--to needs --from: the first slot of a backfill.")
    if len(words.flags) + past > 1 or (past and words.named.get("as_of")):
        raise ConfigError("--check-only, --dry-run, --from and as_of= do not go together: give one of them.")
    plain = [word for word in words.others if "=" not in word]
    if plain:
        from forecast.batch.ledger.masking import masked

        shown = printable(masked(plain[0]))
        raise ConfigError(f"{shown} is not a setting. Settings are key=value; forecast batch --help.")


def _backfilled(job: Any, words: Words, interrupts: Any) -> int:
    from forecast.batch.backfill import backfill, summary
    from forecast.batch.outcome import worst

    first, last = words.named["--from"], words.named.get("--to")
    outcomes = backfill(job, first, last, interrupts=interrupts, tell=_told)
    sys.stdout.write(summary(outcomes) + "\n")
    return worst(outcomes)


def _told(outcome: Outcome) -> int:
    """Say what became of a run: failures on standard error, the rest on standard output."""
    from forecast.batch.ledger.masking import masked

    failed = outcome.state in ("failed", "interrupted", "spooled")
    stream = sys.stderr if failed else sys.stdout
    stream.write(f"{'forecast: ' if failed else ''}{masked(outcome.text)}\n")
    stream.flush()
    return outcome.exit_code


def runs(argv: Sequence[str]) -> int:
    """Print what the ledger of a job tells; returns the exit code."""
    from forecast.batch.ledger.text import runs_text

    words = Words.of(argv, ("job", "ledger"))
    verbs = words.others or ["list"]
    url, job = words.named.get("ledger"), words.named.get("job")
    if url is None:
        from forecast.batch.opening import times_of
        from forecast.batch.settings import job_settings

        times = times_of(job_settings(words.job()))
        url, job = times.ledger_url, times.name
    if job is not None and verbs[0] == "list":
        verbs = [*verbs, f"job={job}"]
    sys.stdout.write(runs_text(_existing(url), verbs))
    return 0


def _existing(url: str) -> Ledger:
    """The ledger at ``url``; looking at one must not make one."""
    from forecast.batch.ledger.ledger import Ledger
    from forecast.batch.ledger.urls import sqlite_file

    file = sqlite_file(url)
    if file is not None and not file.is_file():
        raise StorageError(f"there is no ledger {printable(str(file), 300)} yet: the job has not run.")
    return Ledger(url, patience=LOOKING).open()


def rollback(argv: Sequence[str]) -> int:
    """Withdraw the current model of a job; returns the exit code."""
    from forecast.batch.job import home_of
    from forecast.batch.models.store import ModelStore
    from forecast.batch.settings import job_settings

    words = Words.of(argv, ("job", "reason"))
    settings = job_settings(words.job(), words.others)
    store = ModelStore(home_of(settings.name, settings.values["folder"]) / "models")
    version = store.rollback(words.named.get("reason", ""))
    sys.stdout.write(f"{settings.name}: version {version} is the current model again; the next run uses it.\n")
    return 0


@contextmanager
def log_lines(shown: bool) -> Iterator[None]:
    """Lines of the log on standard error; with ``shown`` false only what somebody should look at."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ"))
    logger = logging.getLogger("forecast.batch")
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO if shown else logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


class _Formatter(logging.Formatter):
    """One line for each record, with the time in UTC and without passwords."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        from forecast.batch.ledger.masking import masked

        text = masked(super().format(record))
        return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as a line of the log."""
    where = "" if issubclass(category, ForecastWarning) else f" ({category.__name__}, {filename}:{lineno})"
    logging.getLogger("forecast.batch").warning("%s%s", " ".join(str(message).split()), where)
