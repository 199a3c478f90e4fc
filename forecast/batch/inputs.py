"""What a run knows: the rows of its source as they were known at its slot, checked, and their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.batch.demands import Demands, SideTables
from forecast.batch.grown import RefusedError, grown, snapshot_of
from forecast.batch.hashing import RowSums, row_sums, table_hash
from forecast.batch.known import Arrival, known_rows
from forecast.batch.marks import Growing, Reading
from forecast.batch.points import reached
from forecast.batch.quarantine import Inspection, inspect_rows, judged
from forecast.batch.snapshot import Recalled, Snapshot
from forecast.errors import ConfigError, Fault
from forecast.ingest.read import read
from forecast.ingest.terms import Terms
from forecast.ingest.traits import with_traits
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.batch.job import Job


@dataclass(frozen=True)
class Inputs:
    """The data of a run.

    Attributes:
        panel: every series, the bad ones mended as far as a naive forecast needs.
        quarantined: series -> what is wrong with it.
        digest: the hash of the rows used, of the static features and of the table of the future.
        facts: plain values for the ledger.
        notes: what is worth a line: conversions, breaches of the contract that do not stop the run.
        snapshot: what the next run can go on from; ``None`` where it must read everything.
        reading: of a source that grows: since which slot rows were read (all, if empty), how many, why all, and why
            the next run will have to do so again.
    """

    panel: Panel
    quarantined: Mapping[Any, tuple[Fault, ...]]
    digest: str
    facts: Mapping[str, Any]
    notes: tuple[str, ...]
    snapshot: Snapshot | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    def season(self, job: Job) -> int:
        """Steps in a season."""
        return job.season_length or self.panel.timeline.season_length


def read_inputs(job: Job, slot: datetime, previous_ids: pd.Index | None = None, kept: Recalled | None = None) -> Inputs:
    """Read the source of ``job`` once and cut it to what was known at ``slot``.

    ``previous_ids`` are the series of the run before. ``kept`` are rows that runs before have read: with them a source
    that grows is asked for new rows alone, and what comes of it is the same to the last bit.

    Raises ``StorageError`` for a source that cannot be reached, ``DataError`` for data of which nothing can be used or
    that break the contract.
    """
    if kept is None or not isinstance(job.source, Growing):
        frame = job.source.read(slot)
        reached("run.read")
        rows, read_rows = _known(job, slot, frame), len(frame)
        del frame  # the rows of the future are let go of
        return _all_rows(job, slot, previous_ids, rows, read_rows)[0]
    mark = None if kept.snapshot is None else kept.snapshot.mark
    reading = job.source.read_since(slot, mark)
    why = reading.why or kept.why
    if kept.snapshot is not None and reading.added:
        try:
            return _new_rows(job, slot, previous_ids, kept.snapshot, reading)
        except RefusedError as error:
            why, reading = str(error), job.source.read_since(slot, None)
    reached("run.read")
    rows, read_rows, mark = _known(job, slot, reading.frame), len(reading.frame), reading.mark
    del reading
    inputs, sums, inspection = _all_rows(job, slot, previous_ids, rows, read_rows)
    story = {"since": "", "new_rows": read_rows, "why": why}
    try:
        if read_rows > sums.rows:
            raise RefusedError("some rows were not known yet")
        return replace(inputs, reading=story, snapshot=snapshot_of(inspection, mark, sums, job))
    except RefusedError as error:
        return replace(inputs, reading={**story, "not_kept": str(error)})


def _known(job: Job, slot: datetime, frame: pd.DataFrame) -> pd.DataFrame:
    return known_rows(frame, job.schema, job.freq, slot, job.zone, job.delay, job.known_col)


def _all_rows(
    job: Job, slot: datetime, previous_ids: pd.Index | None, rows: pd.DataFrame, read_rows: int
) -> tuple[Inputs, RowSums, Inspection]:
    """From all rows that were known among ``read_rows``."""
    static, future = _static(job), None if job.future is None else read(job.future, job.schema)
    sums = row_sums(rows, job.schema)
    terms, side = Terms(job.schema, job.freq), SideTables(static, future, job.h)
    inspection = inspect_rows(rows, terms, _demands(job, slot, previous_ids), side)
    return _inputs(job, inspection, sums, static, read_rows, future), sums, inspection


def _new_rows(job: Job, slot: datetime, previous_ids: pd.Index | None, snapshot: Snapshot, reading: Reading) -> Inputs:
    """From ``snapshot`` and the rows that came after it. Raises :class:`RefusedError`."""
    now = grown(snapshot, reading, job, slot)
    reached("run.read")
    static, panel = _static(job), now.panel
    if static is not None:
        panel, faults = with_traits(panel, reading.frame, static, None, set())
        if faults:
            raise RefusedError(f"the features of a series have a fault: {faults[0]}")
    inspection = judged(panel, now.sums.rows, _demands(job, slot, previous_ids))
    inputs = _inputs(job, inspection, now.sums, static, now.sums.rows)
    story = {"since": snapshot.slot, "new_rows": len(reading.frame), "why": ""}
    return replace(inputs, snapshot=now, reading=story)


def _demands(job: Job, slot: datetime, previous_ids: pd.Index | None) -> Demands:
    return Demands(job.contract, Arrival(job.freq, slot, job.zone, job.delay), job.known_col, previous_ids)


def _inputs(
    job: Job,
    inspection: Inspection,
    sums: RowSums,
    static: pd.DataFrame | None,
    read_rows: int,
    future: pd.DataFrame | None = None,
) -> Inputs:
    """What a run knows. Raises ``DataError`` when the contract is broken."""
    inspection.refuse()
    facts = {**inspection.facts, "rows_read": read_rows, "source": job.source.describe()}
    breaches = tuple(str(problem) for problem in inspection.problems)
    reached("run.inspected")
    notes = (*inspection.notes, *breaches)
    return Inputs(inspection.panel, inspection.quarantined, _digest(sums, static, future), facts, notes)


def _static(job: Job) -> pd.DataFrame | None:
    return None if job.static is None else read(job.static, job.schema)


def check_known(job: Job) -> None:
    """Raise ``ConfigError`` when nobody could tell which rows were known at a slot."""
    if isinstance(job.freq, int) and job.known_col is None:
        raise ConfigError(
            f"freq={job.freq} counts steps, and nothing says when a step was known. Name by known_col a column of the "
            "source with the time at which each row came, or use dates."
        )


def _digest(sums: RowSums, static: pd.DataFrame | None, future: pd.DataFrame | None) -> str:
    digest = sums.digest
    for table in (static, future):
        if table is not None:
            digest = hashlib.sha256(f"{digest}:{table_hash(table)}".encode()).hexdigest()
    return digest
