"""The watch over one run, from joining what came true to the alerts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.batch.points import reached
from forecast.batch.protocols import Sink
from forecast.batch.watch.accuracy import Known, update
from forecast.batch.watch.actuals import join_actuals
from forecast.batch.watch.alerts import Alert, by_severity
from forecast.batch.watch.changes import PARTS, Changes, changes
from forecast.batch.watch.data_drift import Profile, data_drift, profile
from forecast.batch.watch.drift import drift, with_periods
from forecast.batch.watch.facts import Part, RunFacts
from forecast.batch.watch.scores import Tally, metrics
from forecast.batch.watch.settings import WatchSettings
from forecast.batch.watch.store import Store, microseconds
from forecast.errors import ForecastError, printable

if TYPE_CHECKING:
    from forecast.batch.ledger.ledger import Ledger

HISTORY = 400  # runs of the ledger that are looked through
HASHES: dict[Part, str] = {"data": "data_hash", "model": "model_hash", "settings": "config_hash"}
LONGEST_PROBLEM = 300


@dataclass(frozen=True)
class Findings:
    """What the watch found.

    Attributes:
        alerts: the worst first.
        sums: the scores of the current runs, with columns ``run`` and ``period``.
        runs: the current run of each slot that was scored: ``run, slot, cutoff`` (a whole number, see
            :func:`forecast.batch.watch.actuals.whole`).
        history: the ledger's latest runs up to this slot, the latest first, with ``mase`` so far and ``alerts``.
        changes: what changed since the last run.
        previous: the forecasts of the last run, ``None`` where there was none.
    """

    alerts: tuple[Alert, ...] = ()
    sums: Tally = field(default_factory=lambda: Tally(pd.DataFrame(), pd.DataFrame(), pd.DataFrame()))
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    changes: Changes = field(default_factory=Changes)
    previous: pd.DataFrame | None = None


def watch(facts: RunFacts, ledger: Ledger, sink: Sink, settings: WatchSettings | None = None) -> Findings:
    """Join what has come true, score it, and look for drift; everything as known at the slot of ``facts``.

    A ledger or a sink that fails here does not make the run fail, whose forecasts are out: it becomes an alert, and
    the next watch catches up.
    """
    look = _Look(facts, ledger, sink, settings or WatchSettings())
    for part in (look.find_runs, look.score, look.data, look.compare, look.remember, look.tell_history):
        look.safely(part)
    return replace(look.findings, alerts=tuple(by_severity(look.alerts)))


class _Look:
    """One watch under way: each part adds to what was found."""

    def __init__(self, facts: RunFacts, ledger: Ledger, sink: Sink, settings: WatchSettings) -> None:
        self.facts, self.ledger, self.sink, self.settings = facts, ledger, sink, settings
        self.store = Store(ledger.engine)
        self.at = microseconds(facts.slot)
        self.committed = pd.DataFrame()
        self.profile = None if facts.panel is None else self._profile()
        self.alerts: list[Alert] = []
        self.findings = Findings()

    def safely(self, part: Callable[[], None]) -> None:
        """Do one part; what fails in it becomes an alert."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            part()
        except (ForecastError, OSError, SQLAlchemyError) as error:
            problem = printable(str(error), LONGEST_PROBLEM)
            message = f"the watch could not {part.__name__.replace('_', ' ')}: {problem}. The next run catches up."
            self.alerts.append(Alert("watch", "warning", message))

    def find_runs(self) -> None:
        """The current run of every slot up to this one, and the forecasts of the last run before."""
        found = self.ledger.committed(self.facts.job)
        found = found[found["slot"] <= self.facts.slot].sort_values("slot")
        self.committed = found.tail(self.settings.runs)
        before = found[found["slot"] < self.facts.slot]
        if len(before):
            previous = str(before["run"].iloc[-1])
            self.findings = replace(self.findings, previous=self._read(previous), changes=Changes(previous))

    def score(self) -> None:
        """Scores brought up to date, then drift."""
        facts, runs = self.facts, self.committed
        if facts.panel is None or not len(runs):
            return
        pairs = [(str(run), microseconds(slot)) for run, slot in zip(runs["run"], runs["slot"], strict=True)]
        previous = self.findings.previous
        familiar = None if previous is None else pd.Index(previous["unique_id"].unique())
        known = Known(self.at, facts.panel, facts.season_length)
        update(self.store, facts.job, pairs, known, self._read, familiar)
        seen = self.store.watched(facts.job)
        seen = seen[seen["run"].isin([run for run, _ in pairs])]
        sums = with_periods(self.store.cells([run for run, _ in pairs]), seen["cutoff"].to_numpy(dtype=np.int64))
        self.findings = replace(self.findings, sums=sums, runs=seen)
        self.alerts += drift(sums, self.settings, self._named)

    def data(self) -> None:
        """What the rows look like, against those of earlier runs."""
        if self.profile is not None:
            before = self.store.profiles(self.facts.job, self.at, self.settings.reference)
            self.alerts += data_drift(self.facts, self.profile, before, self.findings.previous, self.settings)

    def compare(self) -> None:
        """What changed since the last run."""
        facts, previous = self.facts, self.findings.changes.previous
        if previous is None or facts.frame is None or facts.panel is None:
            return
        row = self.committed[self.committed["run"] == previous]
        which = tuple(part for part in PARTS if len(row) and row[HASHES[part]].iloc[0] != getattr(facts, HASHES[part]))
        first = facts.frame[facts.frame["step"].to_numpy() == facts.frame["step"].min()]
        joined = join_actuals(first, facts.panel, facts.season_length)
        scales = pd.Series(joined["scale"].to_numpy(), index=pd.Index(joined["unique_id"]))
        found = changes(previous, self.findings.previous, facts.frame, which, facts.held, scales)
        self.findings = replace(self.findings, changes=found)

    def remember(self) -> None:
        """Profile and alerts, for later runs and the history."""
        facts = self.facts
        self.store.note(facts.job, self.at, facts.run, self.profile, by_severity(self.alerts))
        reached("watch.noted")

    def tell_history(self) -> None:
        """The ledger's runs with their scores so far and their alerts."""
        table = self.ledger.runs(self.facts.job, limit=HISTORY)
        table = table[table["slot"] <= self.facts.slot]
        sums = self.findings.sums
        if len(sums.points):
            scored = metrics(sums, ["run"]).set_index("run")
            table = table.assign(mase=table["run"].map(scored["mase"]))
        if len(table):
            said = self.store.alerts(self.facts.job, microseconds(table["slot"].min()))
            loud = said[said["severity"] != "info"].groupby("slot").size()
            slots = [microseconds(slot) for slot in table["slot"]]
            table = table.assign(alerts=loud.reindex(slots).fillna(0).to_numpy(dtype=np.int64))
        self.findings = replace(self.findings, history=table)

    def _profile(self) -> Profile | None:
        facts = self.facts
        if facts.panel is None:
            return None
        return profile(facts.panel, facts.slot, facts.season_length, self.settings.stale_steps)

    def _read(self, run: str, between: tuple[Any, Any] | None = None) -> pd.DataFrame:
        if run == self.facts.run and self.facts.frame is not None:
            return self.facts.frame
        if run == self.findings.changes.previous and self.findings.previous is not None:
            return self.findings.previous
        return self.sink.read(self.facts.job, [run], between)

    def _named(self, target: int) -> str:
        """A stamp in words."""
        panel = self.facts.panel
        return str(target) if panel is None else stamp_text(target, panel.timeline.kind)


def stamp_text(target: int, kind: str) -> str:
    """A target as text: ``2026-03-05``, ``2026-03-05 06:00`` or a step, by the kind of the timeline."""
    if kind == "step":
        return f"step {target:,}"
    stamp = pd.Timestamp(target, unit="us")
    return f"{stamp:%Y-%m-%d}" if stamp == stamp.normalize() else f"{stamp:%Y-%m-%d %H:%M}"
