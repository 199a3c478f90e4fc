"""Forecasts on their way to readers: staged, committed together with the ledger, or kept until that can be done."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from forecast.atomic import write_text
from forecast.batch.key import Publication, RunKey
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.masking import scrubbed
from forecast.batch.ledger.records import Claim, Planned
from forecast.batch.points import reached
from forecast.batch.product import Product
from forecast.batch.protocols import Confirm, Sink
from forecast.batch.spool import Replayed, Spool
from forecast.errors import ConfigError, FencedError, StorageError, printable

OFFLINE = "offline"
FRESH = 3600.0  # seconds
NOTED = ("data_hash", "model_hash", "config_hash", "cutoff", "facts", "counts")


@dataclass(frozen=True)
class Delivery:
    """Where the forecasts of one job go.

    Attributes:
        ledger, sink: of the job.
        spool: forecasts that wait for them.
        notes: folder of what the ledger must still be told of runs that were made while it was away.
    """

    ledger: Ledger
    sink: Sink
    spool: Spool
    notes: Path

    @property
    def together(self) -> bool:
        """Whether one transaction commits forecasts and ledger."""
        url = getattr(self.sink, "url", None)
        return isinstance(url, str) and self.ledger.same_database(url)

    def stage(self, claim: Claim, planned: Planned, product: Product) -> Any:
        """Do all that can fail, out of readers' sight."""
        publication = publication_of(product, planned, claim.token)
        staged = self.sink.stage(publication, product.form, product.frame)
        self.ledger.advance(claim, planned.run, "staged")
        return staged

    def commit(self, claim: Claim, staged: Any, product: Product) -> None:
        """Show the staged forecasts to readers and put them down in the ledger: at once where both share a database,
        else the forecasts first, so that the ledger never tells of what is not there."""
        run = staged.publication.run
        self.ledger.check(claim)
        if self.together:
            self.sink.commit(staged, lambda connection: self._confirm(claim, run, product.counts, connection))
        else:
            self.sink.commit(staged, _later)
            self._confirm(claim, run, product.counts)

    def _confirm(self, claim: Claim, run: str, counts: Mapping[str, Any], connection: Any = None) -> None:
        self.ledger.confirm(claim, run, connection, counts=counts)

    def keep(self, claim: Claim | None, planned: Planned, product: Product) -> None:
        """Keep the forecasts on local disk, and what the ledger should know of them. Raises ``StorageError``."""
        note = {**vars(product.key), "slot": product.key.slot.isoformat(), "counts": product.counts}
        facts = {**note, "cutoff": _plain_cutoff(product.cutoff), "facts": product.facts}
        try:
            write_text(self._note(planned.run), json.dumps(scrubbed(facts), default=str))
        except OSError as error:
            where = printable(str(self.notes), 300)
            raise StorageError(f"{where}: the forecasts cannot be kept: {error.strerror or error}.") from error
        reached("delivery.noted")
        self.spool.keep(publication_of(product, planned, claim.token if claim else 0), product.form, product.frame)

    def replay(self) -> Replayed:
        """Deliver what waits in the spool; what the sink still does not take stays."""
        waiting = self.spool.waiting()
        if waiting:
            try:
                self.sink.check(waiting[0].form)
            except StorageError as error:
                return Replayed(left=tuple((entry.publication, str(error)) for entry in waiting))
        found = self.spool.replay(self.sink, self._claimed)  # of damaged notes, too, is worth a word
        self._forget_notes({publication.run for publication, _ in found.left})
        return found

    def _forget_notes(self, left: set[str]) -> None:
        """Remove the notes of what waits no longer; a new one may belong to forecasts that are just being kept."""
        left |= {entry.publication.run for entry in self.spool.waiting()}
        for path in self.notes.glob("*.json"):
            with suppress(OSError):
                if path.stem not in left and time.time() - path.stat().st_mtime > FRESH:
                    path.unlink(missing_ok=True)

    @contextmanager
    def _claimed(self, publication: Publication) -> Iterator[tuple[Publication, Confirm]]:
        """The slot of a publication that waited, this process's within the block."""
        note = self._known(publication.run)
        with self.ledger.held(publication.job, publication.slot) as claim:
            self._refuse_outdated(publication)
            *hashes, cutoff, facts, counts = (note[name] for name in NOTED)
            planned = self.ledger.plan(claim, RunKey(publication.job, publication.slot, *hashes), cutoff, facts)
            publication = replace(publication, run=planned.run, version=planned.version, token=claim.token)
            if self.together:
                yield publication, lambda connection: self._confirm(claim, planned.run, counts, connection)
            else:
                yield publication, _later
                self._confirm(claim, planned.run, counts)

    def _refuse_outdated(self, publication: Publication) -> None:
        """Raise ``FencedError`` when a later version of the slot has been published: the older must not replace it."""
        current = self.ledger.committed(publication.job)
        current = current[current["slot"] == pd.Timestamp(publication.slot)]
        if len(current) and publication.version and int(current["version"].iloc[0]) > publication.version:
            raise FencedError(f"Version {publication.version} of {publication.slot.isoformat()} is out of date.")

    def _note(self, run: str) -> Path:
        if not run.isalnum():
            raise ConfigError(f"{printable(run)} is not the id of a run.")
        return self.notes / f"{run}.json"

    def _known(self, run: str) -> dict[str, Any]:
        """What ``run`` used and counted: from its note, or else from the ledger."""
        path = self._note(run)
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            return {name: note[name] for name in NOTED}
        except (OSError, ValueError, LookupError, TypeError) as error:
            problem = error
        try:
            known = self.ledger.show(run)
            return {name: getattr(known, name) for name in NOTED}
        except ConfigError:
            raise StorageError(
                f"{printable(str(path), 300)}, which says what run {run} used, cannot be read "
                f"({printable(str(problem))}). Run that slot again, and remove the run from the spool."
            ) from problem


def publication_of(product: Product, planned: Planned, token: int) -> Publication:
    """The publication of ``product``."""
    key = product.key
    return Publication(planned.run, key.job, key.slot, planned.version, token, product.cutoff)


def _later(_: Any) -> None:
    """The ledger is told after the sink has committed."""


def _plain_cutoff(cutoff: pd.Timestamp | int) -> str | int:
    return cutoff.isoformat() if isinstance(cutoff, pd.Timestamp) else int(cutoff)
