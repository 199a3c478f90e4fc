"""Every error that this package raises on purpose.

::

    ForecastError
    ├── DataError           (also ValueError)       the data frame; lists every fault
    ├── ConfigError         (also ValueError)       an argument, a yaml key, a name
    ├── NotFittedError      (also ValueError, AttributeError)   fit() has not run
    ├── TrainingError       (also RuntimeError)     training could not go on
    ├── ArtifactError       (also ValueError)       a saved model that cannot be trusted
    ├── DownloadError       (also OSError)          a data set that could not be fetched
    ├── StorageError        (also OSError)          a source, sink or ledger that cannot be reached, read or written
    │   └── UnreachableError                        a database that was away or busy for longer than the patience
    ├── AlreadyRunningError (also RuntimeError)     somebody else runs this slot of this job now
    └── FencedError         (also RuntimeError)     this run lost its slot to another owner

    MissingExtraError       (ImportError)           an optional package is not installed
    ForecastWarning         (UserWarning)           something worth knowing, nothing lost
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHOWN_FAULTS = 10
SHOWN_ROWS = 5
SHOWN_CHARACTERS = 80


def printable(value: object, limit: int = SHOWN_CHARACTERS) -> str:
    """``repr`` cut to ``limit`` characters; control characters arrive escaped, so logs stay one line."""
    text = ascii(value) if isinstance(value, bytes) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def some(values: Iterable[object], limit: int = SHOWN_ROWS) -> str:
    """The first few values, comma separated, and how many more there are."""
    items = list(values)
    shown = ", ".join(printable(item) for item in items[:limit])
    more = len(items) - limit
    return f"{shown} and {more} more" if more > 0 else shown


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a data frame: where it is and the way out.

    ``rows`` are positions (0-based) in the frame as it was given; ``series`` is ``None`` when the fault
    does not belong to one series.
    """

    column: str
    problem: str
    remedy: str
    series: object = None
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f" in series {printable(self.series)}" if self.series is not None else ""
        rows = f" at row{'s' if len(self.rows) > 1 else ''} {some(self.rows)}" if self.rows else ""
        return f"{self.column}: {self.problem}{where}{rows}. {self.remedy}"


class ForecastError(Exception):
    """Root of the tree: catch this to catch them all."""


class DataError(ForecastError, ValueError):
    """The data cannot be used as it is. ``report`` holds every fault; the message shows the first ten."""

    def __init__(self, faults: Fault | Sequence[Fault]) -> None:
        self.report: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__(self._message())

    def _message(self) -> str:
        if len(self.report) == 1:
            return str(self.report[0])
        lines = [f"  {number}. {fault}" for number, fault in enumerate(self.report[:SHOWN_FAULTS], 1)]
        hidden = len(self.report) - SHOWN_FAULTS
        if hidden > 0:
            lines.append(f"  … and {hidden} more: see the exception's .report")
        return "\n".join([f"{len(self.report)} faults in the data:", *lines])

    def __reduce__(self) -> tuple[type[DataError], tuple[tuple[Fault, ...]]]:
        return type(self), (self.report,)


class ConfigError(ForecastError, ValueError):
    """An argument, a configuration key or a name that cannot be used."""


class NotFittedError(ForecastError, ValueError, AttributeError):
    """``predict``, ``save`` or ``update`` was called before ``fit``."""


class TrainingError(ForecastError, RuntimeError):
    """Training stopped because going on would have given a useless model."""


class ArtifactError(ForecastError, ValueError):
    """A saved model that is missing, damaged, foreign or of another format version."""


class DownloadError(ForecastError, OSError):
    """A data set could not be fetched, or what arrived was not what the card promises."""


class StorageError(ForecastError, OSError):
    """A source, sink or ledger of a batch job that cannot be reached, read or written, or does not look as it must."""


class UnreachableError(StorageError):
    """A database that was away or busy for as long as was waited; nothing else is known to be wrong with it."""


class AlreadyRunningError(ForecastError, RuntimeError):
    """Another process runs this slot of this job and shows signs of life."""


class FencedError(ForecastError, RuntimeError):
    """This run was taken for dead and another owner took its slot; nothing of it is published."""


class MissingExtraError(ImportError):
    """A feature needs an optional dependency: the message says which extra to install."""


class ForecastWarning(UserWarning):
    """Something the user should know, though nothing was lost."""


EXIT_CODES: dict[type[BaseException], int] = {
    ConfigError: 2,
    MissingExtraError: 2,
    NotFittedError: 2,
    DataError: 4,
    TrainingError: 5,
    ArtifactError: 6,
    DownloadError: 7,
    StorageError: 8,
    AlreadyRunningError: 9,
    FencedError: 9,
}


def exit_code(error: BaseException) -> int:
    """What the command exits with for ``error``: 1 for one that nobody foresaw.

    >>> exit_code(ConfigError("h=0"))
    2
    """
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), 1)


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out, here or on a device: less at a time might work."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        sign in str(error).lower() for sign in ("out of memory", "can't allocate memory", "not enough memory")
    )
