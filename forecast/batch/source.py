"""What all sources share: patience with a place that does not answer, tables joined, dates read; and functions."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import pandas as pd

from forecast.errors import StorageError, printable
from forecast.ingest.read import read, with_dates
from forecast.schema import Schema

T = TypeVar("T")
OFFSET = re.compile(r"(?:Z|[+-]\d\d(?::?\d\d)?)\s*\Z")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds between attempts; doubled each time
Failures = tuple[type[Exception], ...]


def persistently(action: Callable[[], T], failures: Failures, patience: float, pause: float = FIRST_PAUSE) -> T:
    """What ``action`` returns, tried again after each of ``failures`` until ``patience`` seconds are over.

    Pauses double from ``pause`` seconds up to ten, each made longer or shorter by chance so that many jobs that wait
    for one server do not come back at the same moment. The last failure is raised.
    """
    chance = random.Random()  # its own: the global generator belongs to the user
    until = time.monotonic() + patience
    while True:
        try:
            return action()
        except failures:
            rest = until - time.monotonic()
            if rest <= 0:
                raise
        time.sleep(min(rest, pause * chance.uniform(0.5, 1.5)))
        pause = min(2 * pause, LONGEST_PAUSE)


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables with the same columns, one after the other.

    A column of which one table knows nothing has the type that the others give it.
    """
    if len(tables) == 1:
        return tables[0]
    kept = [table for table in tables if len(table)] or list(tables[:1])
    for name in dict.fromkeys(kept[0].columns):
        types = [table.dtypes[name] for table in kept]
        if isinstance(types[0], pd.Series) or all(dtype == types[0] for dtype in types):
            continue  # the column is there twice, which the door refuses; or nothing needs to be done
        blank = [bool(table[name].isna().all()) for table in kept]
        known = next((dtype for dtype, empty in zip(types, blank, strict=True) if not empty), None)
        if known is not None and any(blank):
            known = known if known.kind not in "iub" else pd.Series([], dtype="float64").dtype
            kept = [t.astype({name: known}) if empty else t for t, empty in zip(kept, blank, strict=True)]
    return pd.concat(kept, ignore_index=True)


def with_zone(frame: pd.DataFrame, schema: Schema, zone: str | None) -> pd.DataFrame:
    """The time column as dates where all of it can be read so; times with an offset from UTC in ``zone``, if given."""
    frame = with_dates(frame, schema)
    if zone is None or list(frame.columns).count(schema.time_col) != 1:
        return frame
    times = frame[schema.time_col]
    if times.dtype.kind == "O":  # several offsets, or objects that a database made
        try:
            read_as = pd.to_datetime(times, format="ISO8601", errors="coerce", utc=True)
        except (ValueError, TypeError):
            return frame
        if not all(map(_has_offset, times.dropna())) or not (read_as.notna() == times.notna()).all():
            return frame
        times = read_as
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        return frame.assign(**{schema.time_col: times.dt.tz_convert(zone)})
    return frame


def _has_offset(time: object) -> bool:
    if isinstance(time, str):
        return OFFSET.search(time) is not None
    return getattr(time, "tzinfo", None) is not None


@dataclass(frozen=True)
class FunctionSource:
    """Rows from a Python function of the slot: ``function(as_of)`` returns a frame of any kind that ``fit`` takes.

    The frame is copied, so that nobody can change it during the run. ``OSError`` (which connection errors and
    time-outs are) is tried again for ``patience`` seconds, then raised as ``StorageError``; other errors of the
    function are its own.
    """

    function: Callable[[datetime], Any]
    schema: Schema = Schema()
    patience: float = 60.0

    def read(self, as_of: datetime) -> pd.DataFrame:
        """What the function returns for ``as_of``, a copy. Raises ``StorageError``; ``DataError`` without any rows."""
        try:
            frame = persistently(lambda: self.function(as_of), (OSError,), self.patience)
        except OSError as error:
            raise StorageError(f"The source {self._name} could not be read: {printable(str(error), 300)}.") from error
        return read(frame, self.schema).copy()

    def describe(self) -> dict[str, Any]:
        """Plain facts for the ledger and the hash of the settings."""
        return {"kind": "function", "function": self._name}

    @property
    def _name(self) -> str:
        made = self.function
        return f"{getattr(made, '__module__', '')}.{getattr(made, '__qualname__', type(made).__name__)}"
