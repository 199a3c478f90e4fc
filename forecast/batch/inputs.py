"""What a run knows: the rows of its source as they were known at its slot, checked, and their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.batch.hashing import data_hash, table_hash
from forecast.batch.known import known_rows
from forecast.batch.points import reached
from forecast.batch.quarantine import inspect_rows
from forecast.errors import ConfigError, Fault
from forecast.ingest.read import read
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.batch.job import Job


@dataclass(frozen=True)
class Inputs:
    """The data of a run.

    Attributes:
        panel: every series, the bad ones mended as far as a naive forecast needs.
        quarantined: series -> what is wrong with it.
        digest: the hash of the rows used, and of the static features.
        facts: plain values for the ledger.
        notes: what is worth a line: conversions, breaches of the contract that do not stop the run.
    """

    panel: Panel
    quarantined: Mapping[Any, tuple[Fault, ...]]
    digest: str
    facts: Mapping[str, Any]
    notes: tuple[str, ...]

    def season(self, job: Job) -> int:
        """Steps in a season."""
        return job.season_length or self.panel.timeline.season_length


def read_inputs(job: Job, slot: datetime, previous_ids: pd.Index | None = None) -> Inputs:
    """Read the source of ``job`` once and cut it to what was known at ``slot``.

    ``previous_ids`` are the series of the run before. Raises ``StorageError`` for a source that cannot be reached,
    ``DataError`` for data of which nothing can be used or that break the contract.
    """
    frame = job.source.read(slot)
    reached("run.read")
    rows = known_rows(frame, job.schema, job.freq, slot, job.zone, job.delay, job.known_col)
    read_rows, frame = len(frame), rows  # the rows of the future are let go of
    static = None if job.static is None else read(job.static, job.schema)
    digest = _digest(rows, static, job)
    inspection = inspect_rows(
        rows,
        job.schema,
        job.freq,
        job.contract,
        slot,
        zone=job.zone,
        delay=job.delay,
        known_col=job.known_col,
        previous_ids=previous_ids,
        static=static,
    )
    inspection.refuse()
    facts = {**inspection.facts, "rows_read": read_rows, "source": job.source.describe()}
    breaches = tuple(str(problem) for problem in inspection.problems)
    reached("run.inspected")
    return Inputs(inspection.panel, inspection.quarantined, digest, facts, (*inspection.notes, *breaches))


def check_known(job: Job) -> None:
    """Raise ``ConfigError`` when nobody could tell which rows were known at a slot."""
    if not isinstance(job.freq, str) and job.known_col is None:
        raise ConfigError(
            f"freq={job.freq} counts steps, and nothing says when a step was known. Name by known_col a column of the "
            "source with the time at which each row came, or use dates."
        )


def _digest(rows: pd.DataFrame, static: pd.DataFrame | None, job: Job) -> str:
    own = data_hash(rows, job.schema)
    if static is None:
        return own
    return hashlib.sha256(f"{own}:{table_hash(static)}".encode()).hexdigest()
