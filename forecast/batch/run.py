"""One run of a job: claim, read, model, forecast, publish, watch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from forecast.batch.delivery import OFFLINE, Delivery
from forecast.batch.inputs import Inputs, check_known
from forecast.batch.interrupts import Interrupts, Stopped
from forecast.batch.key import RunKey
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.masking import masked
from forecast.batch.ledger.records import Claim, Planned
from forecast.batch.making import Making, Plan
from forecast.batch.models.store import ModelStore
from forecast.batch.outcome import ALERTS, DONE, PARTIAL, STORAGE, Outcome, State
from forecast.batch.points import reached
from forecast.batch.preflight import check_home, check_sink
from forecast.batch.product import Product, form_of, latest_cutoff
from forecast.batch.spool import Spool
from forecast.batch.when import instant, latest_slot, now
from forecast.errors import (
    AlreadyRunningError,
    ArtifactError,
    FencedError,
    ForecastError,
    StorageError,
    UnreachableError,
    exit_code,
)

if TYPE_CHECKING:
    from forecast.batch.job import Job

log = logging.getLogger("forecast.batch")
Clock = Callable[[], datetime]


def run(job: Job, as_of: Any = None, *, clock: Clock = now, interrupts: Interrupts | None = None) -> Outcome:
    """Run ``job`` once for the slot ``as_of``, by default the latest of its schedule (or of its steps).

    What is published already, from the same rows by the same model with the same settings, is left alone. Where the
    database of sink or ledger is away, the forecasts are kept on local disk and delivered by the next run.

    Args:
        job: what to run.
        as_of: a time (aware, or on the clock of the job's zone), or text such as "2026-01-31".
        clock: gives the time, aware, in UTC.
        interrupts: where signals are told, see :class:`Interrupts`; ``None`` leaves them to Python.

    Raises ``ConfigError``, ``DataError`` (nothing can be used, or the contract is broken), ``StorageError``,
    ``AlreadyRunningError`` and ``FencedError``; the ledger knows of it then, and nothing is published.
    """
    return _Run(job, slot_of(job, as_of, clock), clock, interrupts or Interrupts(())).outcome()


def attempt(job: Job, as_of: Any = None, *, clock: Clock = now, interrupts: Interrupts | None = None) -> Outcome:
    """:func:`run`, with errors of the package and signals as an outcome instead of an exception."""
    slot = slot_of(job, as_of, clock)
    try:
        return run(job, slot, clock=clock, interrupts=interrupts)
    except ForecastError as error:
        return Outcome(job.name, slot, "failed", exit_code(error), error=error)
    except Stopped as stopped:
        return Outcome(job.name, slot, "interrupted", stopped.code, error=stopped)


def slot_of(job: Job, as_of: Any, clock: Clock = now) -> datetime:
    """The slot that ``as_of`` means. Raises ``ConfigError``."""
    check_known(job)
    return latest_slot(job, clock()) if as_of is None else instant(as_of, job.zone)


class _Run:
    """One run under way."""

    def __init__(self, job: Job, slot: datetime, clock: Clock, interrupts: Interrupts) -> None:
        self.job, self.slot, self.interrupts = job, slot, interrupts
        self.ledger = Ledger(job.ledger_url, clock=clock, patience=job.patience)
        self.sink = job.open_sink()
        self.store = ModelStore(job.home / "models", clock=clock)
        self.spool = Spool(job.home / "spool", job.patience)
        self.delivery = Delivery(self.ledger, self.sink, self.spool, job.home / OFFLINE)
        self.making = Making(job, slot, self.ledger, self.sink, self.store, interrupts, self.say)
        self.timings = self.making.timings
        self.planned: Planned | None = None
        self.notes: list[str] = []

    def outcome(self) -> Outcome:
        """Do all of it."""
        self.interrupts.check()
        check_home(self.job.home)
        with ExitStack() as held:
            claim = self._claimed(held)
            try:
                return self._with_claim(claim)
            except BaseException as error:
                self._note_failure(claim, error)
                raise

    def say(self, text: str, level: int = logging.INFO) -> None:
        """A line for the log, and for the outcome when somebody should see it."""
        line = " ".join(masked(text).split())
        log.log(level, "%s %s: %s", self.job.name, f"{self.slot:%Y-%m-%dT%H:%M}Z", line)
        if level >= logging.WARNING:
            self.notes.append(line)

    def _claimed(self, held: ExitStack) -> Claim | None:
        """The claim on the slot; ``None`` while the ledger is away: then the forecasts are kept for later."""
        try:
            self.ledger.open()
            self._replay()
            claim = held.enter_context(self.ledger.held(self.job.name, self.slot))
            self.making.previous = self.ledger.last(self.job.name, before=self.slot)
        except UnreachableError as error:
            self.say(f"{error} The forecasts will be kept in the local spool.", logging.WARNING)
            return None
        with suppress(StorageError):  # what the dead left behind harms nobody
            self.sink.sweep()
            self.spool.sweep()
        return claim

    def _replay(self) -> None:
        """Deliver what earlier runs could not."""
        with self.timings.part("replay"):
            found = self.delivery.replay()
        for publication in found.delivered:
            self.say(f"run {publication.run} of {publication.slot:%Y-%m-%dT%H:%M}Z was delivered from the spool.")
        for publication in found.fenced:
            self.say(f"run {publication.run} of the spool is out of date and was dropped.")
        for publication, problem in found.left:
            self.say(f"run {publication.run} stays in the spool: {problem}", logging.WARNING)
        for problem in found.damaged:
            self.say(problem, logging.WARNING)

    def _with_claim(self, claim: Claim | None) -> Outcome:
        inputs = self.making.inputs()
        with self.timings.part("preflight"):
            form, rows = form_of(inputs.panel, self.job.asked), len(inputs.panel) * self.job.h
            away = check_sink(self.sink, form, rows, self.job.home)
        if away is not None:
            self.say(f"{away} The forecasts will be kept in the local spool.", logging.WARNING)
        plan = self.making.plan(inputs)
        self.interrupts.check()
        planned = Planned(plan.key.run, 0, "planned")
        if claim is not None:
            planned = self.planned = self.ledger.plan(claim, plan.key, plan.cutoff, plan.facts)
        if planned.state == "committed":
            return self._outcome("unchanged", planned, inputs)
        product = self.making.product(plan)
        self.interrupts.check()
        try:
            if claim is None or away is not None:
                raise away or UnreachableError("the ledger is away")
            self._publish(claim, planned, product)
        except UnreachableError as error:
            self.delivery.keep(claim, planned, product)
            if claim is not None and away is None:  # else it has been said
                self.say(f"kept in the local spool: {error}", logging.WARNING)
            self._tell(planned.run, error)
            return self._outcome("spooled", planned, inputs, product, STORAGE)
        return self._committed(planned, plan, product)

    def _publish(self, claim: Claim, planned: Planned, product: Product) -> None:
        with self.timings.part("stage"):
            self.ledger.advance(claim, planned.run, "computed", counts=product.counts)
            self.interrupts.check()
            staged = self.delivery.stage(claim, planned, product)
        self.interrupts.check()
        with self.timings.part("commit"):
            self.delivery.commit(claim, staged, product)
        reached("run.committed")

    def _committed(self, planned: Planned, plan: Plan, product: Product) -> Outcome:
        """What is left to do when readers have the forecasts."""
        choice = plan.choice
        own = set() if choice.stand_in or choice.error is not None else {choice.name}
        partial = bool(plan.inputs.quarantined) or not set(product.by_source) <= own
        code = PARTIAL if partial else DONE
        alerts: list[str] = []
        self.making.remember(plan)
        self.making.keep_rows(plan.inputs)
        with suppress(ArtifactError, OSError):  # the next run prunes
            self.store.prune(self.job.keep_models)
        if self.job.watch is not None:
            with self.timings.part("watch"):
                alerts, alerted = self._watched(planned, plan, product, code)
            code = ALERTS if alerted and code == DONE else code
        self.say(f"took {self.timings.text}")
        return self._outcome("committed", planned, plan.inputs, product, code, alerts)

    def _watched(self, planned: Planned, plan: Plan, product: Product, code: int) -> tuple[list[str], bool]:
        from forecast.batch.watch.facts import RunFacts
        from forecast.batch.watching import held_back, watched

        inputs, key = plan.inputs, plan.key
        held = held_back(self.making.previous, product, inputs.panel, self.job, plan.choice, self.store)
        facts = RunFacts(
            self.job.name,
            self.slot,
            planned.run,
            planned.version,
            product.frame,
            inputs.panel,
            inputs.season(self.job),
            exit=code,
            cutoff=plan.cutoff,
            data_hash=key.data_hash,
            model_hash=key.model_hash,
            config_hash=key.config_hash,
            model=plan.choice.facts(),
            counts=product.by_source,
            reasons=product.reasons,
            quarantined=inputs.quarantined,
            notes=tuple(self.notes),
            timings=dict(self.timings.seconds),
            settings=self.job.shown(),
            held=held,
        )
        return watched(self.job, facts, self.ledger, self.sink)

    def _note_failure(self, claim: Claim | None, error: BaseException) -> None:
        """Have the ledger know of a run that failed before it was planned (what was planned it marks itself), and
        people of any that failed."""
        if claim is not None and self.planned is None and not isinstance(error, FencedError):
            key = RunKey(self.job.name, self.slot, "", "", self.job.config_hash)
            text = f"{type(error).__name__}: {masked(str(error))}"
            with suppress(ForecastError):
                self.planned = self.ledger.plan(claim, key, "", {"settings": self.job.shown()})
                self.ledger.advance(claim, self.planned.run, "failed", error=text)
        if isinstance(error, ForecastError) and not isinstance(error, (AlreadyRunningError, FencedError)):
            self._tell(self.planned.run if self.planned else None, error)

    def _tell(self, run: str | None, error: ForecastError) -> None:
        """Let people know that nothing was published."""
        if self.job.watch is not None:
            from forecast.batch.watching import tell_of_failure

            tell_of_failure(self.job, self.slot, run, error)

    def _outcome(
        self,
        state: State,
        planned: Planned,
        inputs: Inputs,
        product: Product | None = None,
        code: int = DONE,
        alerts: list[str] | None = None,
    ) -> Outcome:
        facts = {"cutoff": str(latest_cutoff(inputs.panel)), "seconds": self.timings.seconds}
        return Outcome(
            self.job.name,
            self.slot,
            state,
            code,
            planned.run,
            planned.version,
            {} if product is None else product.by_source,
            {series: str(faults[0]) for series, faults in inputs.quarantined.items()},
            tuple(alerts or ()),
            tuple(self.notes),
            facts if product is None else {**facts, "rows": len(product.frame)},
        )
