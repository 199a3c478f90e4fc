"""How the forecasts of a run are made: its rows, its model, its key, its table. Nothing here is seen by readers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.batch.grown import why_not
from forecast.batch.idsets import keep_ids, kept_ids
from forecast.batch.inputs import Inputs, read_inputs
from forecast.batch.interrupts import Interrupts
from forecast.batch.key import RunKey
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.records import RunRecord
from forecast.batch.marks import Growing
from forecast.batch.models.adapting import Adapting, adapting
from forecast.batch.models.chain import fallback_chain
from forecast.batch.models.fallback import Forecasts, forecasts_with_fallbacks
from forecast.batch.models.memory import Memory, Remembering
from forecast.batch.models.refresh import Choice
from forecast.batch.models.store import ModelStore
from forecast.batch.points import reached
from forecast.batch.product import Product, counted, forecast_table, form_of, latest_cutoff
from forecast.batch.protocols import Sink
from forecast.batch.snapshot import Recalled, Snapshots
from forecast.batch.timing import Timings
from forecast.errors import ArtifactError, StorageError
from forecast.model import Task
from forecast.panel.newest import newest_known

if TYPE_CHECKING:
    from forecast.batch.job import Job
    from forecast.batch.models.earlier import Earlier
    from forecast.panel.panel import Panel

NAMED = 5  # quarantined series with a line of their own
DRIFTS = ("accuracy", "coverage", "bias")
Say = Callable[[str, int], None]


@dataclass(frozen=True)
class Plan:
    """What a run will forecast, and by which model, before it does.

    Attributes:
        inputs: the rows.
        choice, task: the model and what is asked of it.
        key: the key of the run.
        cutoff: the latest cutoff.
        facts: of data, model and settings, for the ledger.
    """

    inputs: Inputs
    choice: Choice
    task: Task
    key: RunKey
    cutoff: pd.Timestamp | int
    facts: dict[str, Any]


@dataclass
class Making:
    """The making of one run's forecasts.

    Attributes:
        job, slot: of the run.
        ledger, sink, store: of the job.
        interrupts: where signals are told.
        say: writes a line of the log.
        previous: the run of the slot before; ``None`` where there is none, or the ledger is away.
        timings: seconds by part.
        remembering: the model of the run while it forecasts, where it remembers the series; else ``None``.
        adapting: the model of the run with its intervals as misses have moved them, where these adapt; else ``None``.
    """

    job: Job
    slot: datetime
    ledger: Ledger
    sink: Sink
    store: ModelStore
    interrupts: Interrupts
    say: Say
    previous: RunRecord | None = None
    timings: Timings = field(default_factory=Timings)
    remembering: Remembering | None = field(init=False, default=None)
    adapting: Adapting | None = field(init=False, default=None)

    def inputs(self) -> Inputs:
        """The rows known at the slot."""
        name = self._before("data", "ids")
        before = kept_ids(self._ids_folder, name if isinstance(name, str) else None)
        with self.timings.part("recall"):
            kept = self._kept_rows()
        with self.timings.part("read"), self.interrupts.at_once():
            inputs = read_inputs(self.job, self.slot, before, kept)
        for note in (*(kept.notes if kept else ()), *inputs.notes):
            self.say(note, logging.WARNING)
        for number, (series, faults) in enumerate(inputs.quarantined.items()):
            if number == NAMED:
                self.say(f"{len(inputs.quarantined) - NAMED} more series are quarantined", logging.WARNING)
                break
            self.say(f"quarantined {series!r}: {faults[0]}", logging.WARNING)
        return inputs

    def plan(self, inputs: Inputs) -> Plan:
        """The model of this run, trained now when that is due, and with it the key."""
        job = self.job
        task = Task(job.h, inputs.season(job), None, job.seed, job.progress)
        with self.timings.part("model"), self.interrupts.at_once():
            choice = job.model.choose(
                self.store,
                inputs.panel,
                task,
                self.slot,
                quarantined=list(inputs.quarantined),
                drift=self._drift(),
            )
        for reason in choice.reasons:
            self.say(f"model: {reason}", logging.INFO if choice.error is None else logging.WARNING)
        reached("run.model")
        key = RunKey(job.name, self.slot, inputs.digest, choice.model_hash, job.config_hash)
        facts = {"data": self._data_facts(inputs), "model": choice.facts(), "settings": job.shown()}
        return Plan(inputs, choice, task, key, latest_cutoff(inputs.panel), facts)

    def product(self, plan: Plan) -> Product:
        """Forecasts of every series, each by the first model that can, as a table."""
        job, inputs, choice = self.job, plan.inputs, plan.choice
        panel = inputs.panel
        with self.timings.part("forecast"), self.interrupts.at_once():
            own = self._recalled(choice, inputs)
            chain = fallback_chain(own, self.store, panel, plan.task, self.slot, self._earlier(inputs))
            made = forecasts_with_fallbacks(chain, panel, job.h, job.asked, dict(inputs.quarantined), chunk=job.chunk)
        with self.timings.part("table"):
            form, counts, reasons = form_of(panel, job.asked), self._counts(inputs, made), counted(made.reason)
            frame = forecast_table(panel, made, job.asked, choice.name, form)
        reached("run.computed")
        return Product(plan.key, plan.cutoff, plan.facts, form, frame, counts, reasons)

    def _counts(self, inputs: Inputs, made: Forecasts) -> dict[str, Any]:
        series, own = len(inputs.panel), self.remembering
        return {
            "series": series,
            "rows": series * self.job.h,
            "quarantined": len(inputs.quarantined),
            "by": made.counts(),
            **({} if own is None else {"states": own.counts(inputs.quarantined)}),
            **({} if self.adapting is None else {"intervals": self.adapting.counts()}),
            **({"reading": dict(inputs.reading)} if inputs.reading else {}),
        }

    def remember(self, plan: Plan) -> None:
        """Keep the states that the model has got to, for the next run to go on from. Readers have the forecasts."""
        own, inputs = self.remembering, plan.inputs
        if plan.choice.version is None:
            return
        if self.adapting is not None:
            with self.timings.part("states"):
                note = self.adapting.keep(self.job.home, plan.choice.version, self.slot, inputs.panel.timeline)
            if note:
                self.say(note, logging.WARNING)
        if own is None:
            return
        with self.timings.part("states"):
            try:
                states, grid = own.states(inputs.quarantined), inputs.panel.timeline
                Memory.of(self.job.home).keep(states, plan.choice.version, self.slot, grid)
            except (ArtifactError, OSError) as error:
                self.say(
                    f"the states of the series are not kept, the next run reads all rows: {error}", logging.WARNING
                )

    def keep_rows(self, inputs: Inputs) -> None:
        """Keep the rows as they were read, for the next run to read new ones alone. Readers have the forecasts."""
        if inputs.snapshot is None or inputs.reading.get("new_rows") == 0:
            return
        with self.timings.part("keep"):
            try:
                Snapshots.of(self.job.home).keep(inputs.snapshot, self.job, self.slot)
            except (ArtifactError, OSError) as error:
                self.say(f"the rows are not kept, the next run reads them all: {error}", logging.WARNING)

    def _kept_rows(self) -> Recalled | None:
        """The rows that runs before have read; ``None`` where they would be of no use."""
        source = self.job.source
        if not isinstance(source, Growing) or not source.incremental:
            return None
        why = why_not(self.job)  # then nothing is kept either
        return Recalled(None, why) if why else Snapshots.of(self.job.home).recall(self.job, self.slot)

    def _recalled(self, choice: Choice, inputs: Inputs) -> Choice:
        """``choice`` with a model that remembers gone on from where the runs before got to."""
        panel = inputs.panel
        if choice.model is None or choice.version is None:
            return choice
        self.adapting = adapting(self.job.home, choice.model.fitted, choice.version, self.slot, self._trusted(inputs))
        if self.adapting is not None:
            for note in self.adapting.notes:
                self.say(note, logging.WARNING)
            return replace(choice, model=replace(choice.model, fitted=self.adapting.fitted))
        memory = Memory.of(self.job.home)
        self.remembering = memory.recall(choice.model.fitted, choice.version, self.slot, panel)
        if self.remembering is None:
            return choice
        for note in self.remembering.notes:
            self.say(note, logging.WARNING)
        return replace(choice, model=replace(choice.model, fitted=self.remembering))

    def _trusted(self, inputs: Inputs) -> Panel:
        """The series that are not quarantined."""
        panel = inputs.panel
        return panel.take(np.flatnonzero(~panel.ids.isin(list(inputs.quarantined)))) if inputs.quarantined else panel

    @property
    def _ids_folder(self) -> Path:
        return self.job.home / "ids"

    def _data_facts(self, inputs: Inputs) -> dict[str, Any]:
        try:
            name = keep_ids(self._ids_folder, inputs.panel.ids)
        except OSError as error:
            raise StorageError(f"{self._ids_folder}: {error.strerror or error}. Make room, or mend it.") from error
        return {**inputs.facts, "ids": name}

    def _before(self, part: str, name: str) -> Any:
        """A fact of the run before."""
        facts = {} if self.previous is None else self.previous.facts.get(part, {})
        return facts.get(name) if isinstance(facts, dict) else None

    def _drift(self) -> str:
        """What the watch has said of the run before, in words."""
        if self.previous is None or not self.job.model.refresh_on_drift:
            return ""
        from forecast.batch.watch.store import Store, microseconds

        said = Store(self.ledger.engine, self.job.patience).alerts(self.job.name, microseconds(self.previous.slot))
        said = said[(said["slot"] < microseconds(self.slot)) & (said["severity"] != "info")]
        return "; ".join(said.loc[said["kind"].isin(DRIFTS), "message"].unique())

    def _earlier(self, inputs: Inputs) -> Earlier | None:
        """The forecasts published last, for series of which nothing is known any more."""
        panel = inputs.panel
        if self.previous is None or (newest_known(panel) >= 0).all():
            return None
        from forecast.batch.models.earlier import Earlier

        try:
            frame = self.sink.read(self.job.name, [self.previous.run])
        except StorageError as error:
            self.say(f"the forecasts of the run before cannot be read: {error}", logging.WARNING)
            return None
        return Earlier.of(frame, panel.timeline, self.job.asked)
