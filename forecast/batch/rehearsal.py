"""What a run would do, told without doing it: nothing is written, no model is trained."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from forecast.batch.inputs import Inputs, read_inputs
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.masking import masked
from forecast.batch.ledger.urls import sqlite_file
from forecast.batch.models.store import ModelStore
from forecast.batch.outcome import Outcome
from forecast.batch.product import form_of, latest_cutoff
from forecast.batch.run import Clock, slot_of
from forecast.batch.when import now
from forecast.errors import ArtifactError, StorageError

if TYPE_CHECKING:
    import pandas as pd

    from forecast.batch.job import Job


def check(job: Job, as_of: Any = None, *, clock: Clock = now) -> Outcome:
    """Read the data that a run for ``as_of`` would use and hold them against the contract; nothing else.

    Raises ``StorageError`` and ``DataError`` as :func:`forecast.batch.run.run` does.
    """
    slot = slot_of(job, as_of, clock)
    return _told(job, slot, "checked", read_inputs(job, slot), [])


def rehearse(job: Job, as_of: Any = None, *, clock: Clock = now) -> Outcome:
    """:func:`check`, and what the run would do with them: its model, its version, its rows, where they would go."""
    slot = slot_of(job, as_of, clock)
    inputs = read_inputs(job, slot)
    rows = len(inputs.panel) * job.h
    columns = ", ".join(form_of(inputs.panel, job.asked).outputs)
    notes = [
        f"model: {_model(job, slot)}",
        f"would make {rows:,} forecasts ({len(inputs.panel):,} series, {job.h} steps: {columns})",
        f"for {_place(job)}",
        _version(job, slot, inputs),
    ]
    return _told(job, slot, "planned", inputs, notes)


def _told(job: Job, slot: datetime, state: Any, inputs: Inputs, notes: list[str]) -> Outcome:
    facts = inputs.facts
    data = f"data: {facts['rows']:,} rows of {facts['series']:,} series, up to {latest_cutoff(inputs.panel)}"
    quarantined = {series: str(faults[0]) for series, faults in inputs.quarantined.items()}
    lines = [data, *inputs.notes, *notes]
    return Outcome(job.name, slot, state, quarantined=quarantined, notes=tuple(map(masked, lines)), facts=facts)


def _model(job: Job, slot: datetime) -> str:
    """Which model would forecast."""
    store = ModelStore(job.home / "models")
    try:
        found = store.current(slot)
    except (ArtifactError, OSError) as error:
        return str(error)
    name = job.model.model if isinstance(job.model.model, str) else None
    asked = f"the saved one in {job.model.saved}" if job.model.saved is not None else name or repr(job.model.model)
    if found is None:
        return f"{asked}; none is kept for this slot, so it would be " + ("copied" if job.model.saved else "trained")
    return f"version {found.version} ({found.model.name}), unless a refresh is due"


def _place(job: Job) -> str:
    facts = job.open_sink().describe()
    return " ".join(str(facts[key]) for key in ("kind", "url", "path", "table", "format") if key in facts)


def _version(job: Job, slot: datetime, inputs: Inputs) -> str:
    """Which version of the slot it would be."""
    file = sqlite_file(job.ledger_url)
    if file is not None and not file.exists():
        return "it would be version 1: there is no ledger yet"
    try:
        runs: pd.DataFrame = Ledger(job.ledger_url, patience=job.patience).open(create=False).committed(job.name)
    except StorageError as error:
        return f"what was published before is not known: {error}"
    current = runs[runs["slot"] == slot]
    if not len(current):
        return "nothing is published for this slot yet"
    row = current.iloc[0]
    same = row["data_hash"] == inputs.digest and row["config_hash"] == job.config_hash
    if same:
        return f"run {row['run']} (version {row['version']}) is published from the same data with the same settings"
    changed = "the data" if row["data_hash"] != inputs.digest else "the settings"
    return (
        f"run {row['run']} (version {row['version']}) is published; {changed} changed since, so a new version follows"
    )
