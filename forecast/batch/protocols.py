"""What a source and a sink are, so that a job can have any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from forecast.batch.form import Form
from forecast.batch.key import Publication

Confirm = Callable[[Any], None]


@runtime_checkable
class Source(Protocol):
    """Where the rows come from."""

    def read(self, as_of: datetime) -> pd.DataFrame:
        """The rows as they stand: one consistent snapshot, a long frame. Rows not known at ``as_of`` may be among them.

        Raises ``StorageError`` when it cannot be reached or read, ``DataError`` for a damaged file.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Plain facts for the ledger and the hash of the settings; no secrets."""
        ...


@dataclass(frozen=True)
class Staged:
    """Forecasts that a sink holds ready, invisible to readers. ``place`` is the sink's own note of where."""

    publication: Publication
    form: Form
    frame: pd.DataFrame
    place: Any = None


@runtime_checkable
class Sink(Protocol):
    """Where forecasts go. A reader sees the version before or the whole new one, never a mix."""

    def check(self, form: Form) -> None:
        """Before anything is computed: can it be reached and written, and does what is there fit ``form``?

        Raises ``StorageError`` saying what is wrong and the way out. Writes nothing a reader could see.
        """
        ...

    def stage(self, publication: Publication, form: Form, frame: pd.DataFrame) -> Staged:
        """Do all the slow work that can fail, out of readers' sight: temporary files, fsync, verification."""
        ...

    def commit(self, staged: Staged, confirm: Confirm) -> None:
        """Make it the current version of its job and slot, at once, and call ``confirm``.

        A database calls ``confirm(connection)`` inside its transaction, just before it commits, so that a ledger in
        the same database is committed with it; others call ``confirm(None)`` after. An error of ``confirm`` in a
        transaction undoes everything. The same publication again changes nothing. A token lower than one seen for
        this job and slot raises ``FencedError``. Earlier versions stay readable by run.
        """
        ...

    def read(self, job: str, runs: Sequence[str] | None = None, between: tuple[Any, Any] | None = None) -> pd.DataFrame:
        """Committed forecasts of ``job`` with columns ``run``, ``slot`` (UTC) and those of its form.

        By default the current version of every slot; with ``runs`` exactly those versions. With ``between`` only the
        rows whose ``ds`` lies between these two, both included: stamps or steps, as the form has them.
        """
        ...

    def sweep(self) -> int:
        """Remove what dead runs left behind (temporary files); returns how many."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain facts for the ledger; no secrets."""
        ...
