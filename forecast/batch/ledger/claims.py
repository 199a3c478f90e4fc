"""Who owns a slot: claiming, signs of life, taking over from the dead, letting go."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, null, select, update
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import SQLAlchemyError

from forecast.batch.ledger.history import event_now, note, upserting
from forecast.batch.ledger.process import is_gone, owner_name, this_process
from forecast.batch.ledger.records import Claim, checked_name, fenced
from forecast.batch.ledger.retry import storage_error
from forecast.batch.ledger.tables import claims, runs, storable
from forecast.batch.ledger.urls import reading, writing
from forecast.errors import AlreadyRunningError, printable

log = logging.getLogger(__name__)
UNFINISHED = ("planned", "computed", "staged")


class Claims:
    """The claims of one database."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime], lease: float) -> None:
        self._engine = engine
        self._clock = clock
        self.lease = lease
        self.url = engine.url.render_as_string(hide_password=True)

    def attempt(self, job: str, slot: datetime, owner: str | None) -> Callable[[], Claim]:
        """An action, safe to repeat, that claims ``slot`` or raises ``AlreadyRunningError``."""
        name = owner_name() if owner is None else checked_name(owner, "owner")
        nonce = uuid.uuid4().hex

        def claim() -> Claim:
            # First a look that needs no lock: an owner at work may be writing for minutes.
            with reading(self._engine) as connection:
                self._refuse_living(_row(connection, job, slot), nonce)
            with writing(self._engine) as connection:
                token = self._first(connection, job, slot, name, nonce) or self._next(
                    connection, job, slot, name, nonce
                )
            return Claim(job, slot, name, token, nonce)

        return claim

    def beat(self, claim: Claim) -> None:
        """Give a sign of life; marks ``claim`` as lost when another has the slot. May raise SQLAlchemy's errors."""
        with writing(self._engine) as connection:
            changed = connection.execute(update(claims).where(_mine(claim)).values(heartbeat=self._clock()))
            if changed.rowcount == 0:
                claim.lost.set()

    def release(self, claim: Claim, reason: BaseException | None) -> None:
        """Let go of the slot; after an exception, runs that were not finished have failed for that ``reason``.

        When the database is away the lease, or the end of this process, does it.
        """
        try:
            with writing(self._engine) as connection:
                freed = connection.execute(update(claims).where(_mine(claim)).values(owner=null(), process=""))
                if freed.rowcount == 1 and reason is not None:
                    self._abandon(connection, claim, ": ".join(filter(None, (type(reason).__name__, str(reason)))))
        except SQLAlchemyError as error:
            log.warning("A claim is left to its lease. %s", storage_error(error, "The ledger", self.url))

    def check(self, claim: Claim) -> None:
        """Raise ``FencedError`` when another owner has the slot."""
        with reading(self._engine) as connection:
            row = _row(connection, claim.job, claim.slot)
        if row is None or (row.token, row.nonce, row.owner) != (claim.token, claim.nonce, claim.owner):
            claim.lost.set()
            raise fenced(claim)

    def _first(self, connection: Connection, job: str, slot: datetime, owner: str, nonce: str) -> int | None:
        """The token of the first claim ever on this slot; ``None`` when there was one before."""
        values = {"job": job, "slot": slot, "token": 1, **self._signs(owner, nonce)}
        new = upserting(connection)(claims).values(values).on_conflict_do_nothing()
        return 1 if connection.execute(new).rowcount == 1 else None

    def _next(self, connection: Connection, job: str, slot: datetime, owner: str, nonce: str) -> int:
        row = _row(connection, job, slot, lock=True)
        if row is None:
            raise AlreadyRunningError(f"Slot {slot.isoformat()} of job {printable(job)} is being claimed by another.")
        if row.nonce == nonce:
            return int(row.token)  # claimed already: only the answer was lost
        self._refuse_living(row, nonce)
        token = int(row.token) + 1
        values = {"token": token, **self._signs(owner, nonce)}
        connection.execute(update(claims).where(_slot(job, slot)).values(values))
        self._abandon(connection, row, f"Its owner did not finish it; {owner} took the slot.")
        return token

    def _signs(self, owner: str, nonce: str) -> dict[str, Any]:
        now = self._clock()
        process = {"process": this_process(), "lease": self.lease}
        return {"owner": owner, "nonce": nonce, "claimed_at": now, "heartbeat": now, **process}

    def _refuse_living(self, row: Row[Any] | None, nonce: str) -> None:
        now = self._clock()
        if row is None or row.nonce == nonce or not is_alive(row, now):
            return
        ago = max(0.0, (now - row.heartbeat).total_seconds())
        raise AlreadyRunningError(
            f"Slot {row.slot.isoformat()} of job {printable(row.job)} is being run by {row.owner} since "
            f"{row.claimed_at.isoformat(timespec='seconds')}; last sign of life {ago:.0f} s ago. Let it finish. "
            f"If it is dead, the slot is free at {_expiry(row).isoformat(timespec='seconds')}."
        )

    def _abandon(self, connection: Connection, place: Row[Any] | Claim, reason: str) -> None:
        """Whatever was left unfinished in this slot has failed, and says why."""
        left = and_(runs.c.job == place.job, runs.c.slot == place.slot, runs.c.state.in_(UNFINISHED))
        now, text = self._clock(), storable(reason)
        for run in connection.execute(select(runs.c.run, runs.c.token, runs.c.owner).where(left)).all():
            values = {"state": "failed", "failed_at": now, "error": text}
            connection.execute(update(runs).where(runs.c.run == run.run).values(values))
            note(connection, run.run, event_now(run.token, "failed", run.owner, now, None, text))


def is_alive(row: Row[Any], now: datetime) -> bool:
    """Whether a claim has an owner that shows signs of life."""
    if row.owner is None or is_gone(row.process):
        return False
    # A sign of life from further ahead than a lease tells of a clock that was wrong, not of life.
    return bool(abs(now - row.heartbeat) <= timedelta(seconds=row.lease))


def hold(connection: Connection, claim: Claim) -> None:
    """Lock the slot of ``claim`` for this transaction. Raises ``FencedError`` when another owner has it."""
    row = _row(connection, claim.job, claim.slot, lock=True)
    if row is None or (row.token, row.nonce, row.owner) != (claim.token, claim.nonce, claim.owner):
        claim.lost.set()
        raise fenced(claim)


def _row(connection: Connection, job: str, slot: datetime, *, lock: bool = False) -> Row[Any] | None:
    wanted = select(claims).where(_slot(job, slot))
    return connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()


def _expiry(row: Row[Any]) -> datetime:
    free: datetime = row.heartbeat + timedelta(seconds=row.lease)
    return free


def _slot(job: str, slot: datetime) -> ColumnElement[bool]:
    return and_(claims.c.job == job, claims.c.slot == slot)


def _mine(claim: Claim) -> ColumnElement[bool]:
    mine = and_(claims.c.token == claim.token, claims.c.nonce == claim.nonce, claims.c.owner == claim.owner)
    return and_(_slot(claim.job, claim.slot), mine)
