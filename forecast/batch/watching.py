"""The watch over a run that has ended: what it is told, where its alerts and its report go."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.records import RunRecord
from forecast.batch.models.failures import FAILURES
from forecast.batch.models.refresh import Choice
from forecast.batch.models.store import ModelStore
from forecast.batch.product import Product, forecast_table
from forecast.batch.protocols import Sink
from forecast.batch.sinks.names import slot_name
from forecast.batch.watch.alerts import Alert, by_severity, deliver, exit_code
from forecast.batch.watch.facts import RunFacts
from forecast.batch.watch.report import write_run_report
from forecast.batch.watch.settings import WatchSettings
from forecast.batch.watch.watch import Findings, watch
from forecast.errors import ArtifactError, ConfigError
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.batch.job import Job
    from forecast.batch.watch.webhook import Webhook

log = logging.getLogger("forecast.batch.watch")
REPORTS = "reports"
COMPARED = 1000  # series that are forecast again to tell a new model from new data


def watched(job: Job, facts: RunFacts, ledger: Ledger, sink: Sink) -> tuple[list[str], bool]:
    """Look at a run that has ended; gives the alerts in words, and whether one is more than good to know.

    Whatever fails here is a line in the log: the forecasts are out.
    """
    findings = watch(facts, ledger, sink, job.watch)
    tell(job, facts, findings)
    return [alert.text for alert in findings.alerts], exit_code(findings.alerts) != 0


def tell_of_failure(job: Job, slot: datetime, run: str | None, error: BaseException) -> None:
    """Alert and report of a run that published nothing."""
    words = f"{type(error).__name__}: {error}"
    alert = Alert("run", "critical", f"nothing was published for this slot: {words}")
    facts = RunFacts(job.name, slot, run=run, state="failed", error=words, settings=job.shown())
    tell(job, facts, Findings(alerts=(alert,)))


def tell(job: Job, facts: RunFacts, findings: Findings) -> None:
    """Log lines, the webhook, the report."""
    deliver(by_severity(findings.alerts), facts, _webhook(job))
    if not job.report:
        return
    path = report_path(job.home, facts.slot, facts.version)
    try:
        write_run_report(path, facts, findings, job.watch or WatchSettings())
    except OSError as error:
        log.warning("%s: the report could not be written: %s", path, error.strerror or error)


def report_path(home: Path, slot: datetime, version: int | None) -> Path:
    """Where the report of a run is: one file for each version of a slot."""
    return home / REPORTS / f"{slot_name(slot)}{'' if version is None else f'-v{version}'}.html"


def held_back(
    previous: RunRecord | None, product: Product, panel: Panel, job: Job, choice: Choice, store: ModelStore
) -> Mapping[Any, pd.DataFrame]:
    """Forecasts from today's rows by the model of the run before, to tell what the new model changed.

    Of an even spread of series; nothing where the model is the same, or the earlier one cannot be used.
    """
    version = None if previous is None else previous.facts.get("model", {}).get("version")
    if version is None or version == choice.version:
        return {}
    from forecast.batch.models.chain import Link
    from forecast.batch.models.fallback import forecasts_with_fallbacks

    chosen = np.linspace(0, len(panel) - 1, min(COMPARED, len(panel))).astype(np.int64)
    part = panel.take(chosen)
    try:
        earlier = store.load(str(version))
    except (ArtifactError, ConfigError, OSError) as error:
        log.info("the model of the run before is not there to compare with: %s", error)
        return {}
    try:
        made = forecasts_with_fallbacks([Link(earlier.name, lambda: earlier.fitted)], part, job.h, job.asked)
    except FAILURES as error:
        log.info("the model of the run before cannot be compared with: %s", error)
        return {}
    return {"model": forecast_table(part, made, job.asked, choice.name, product.form)}


def _webhook(job: Job) -> Webhook | None:
    if job.webhook is None:
        return None
    from forecast.batch.watch.webhook import Webhook

    return Webhook(job.webhook)
