"""Slots as a scheduler sees them: which were run, are being run, were given up, or were left out and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from forecast.batch.ledger import urls
from forecast.batch.ledger.records import checked_moment, utc_now
from forecast.batch.ledger.retry import patiently

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Row

T = TypeVar("T")

PATIENCE = 3.0  # a scheduler comes back anyway
SlotState = Literal["committed", "running", "dead", "ended", "skipped"]


@dataclass(frozen=True)
class SlotRecord:
    """What the ledger knows of a slot.

    Attributes:
        slot: the planned time, aware, in UTC.
        state: ``committed`` (it has forecasts), ``running`` (its owner is alive), ``dead`` (its owner died before the
            end), ``ended`` (its run ended in order without forecasts), ``skipped`` (nobody ran it, on purpose).
        at: when the state was reached, or the last sign of life was given.
        reason: why it was skipped; empty otherwise.
    """

    slot: datetime
    state: SlotState
    at: datetime
    reason: str = ""


class SlotBook:
    """The slots in the ledger at ``url``, see :class:`~forecast.batch.ledger.ledger.Ledger` for its arguments.

    Every method raises ``StorageError`` when the database fails.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] = utc_now, patience: float = PATIENCE) -> None:
        self._engine = urls.engine_for(url)
        self._url: Callable[[], str] = lambda: url  # whatever lists an object's attributes would show a password
        self._clock = clock
        self._patience = patience

    def open(self) -> None:
        """Make or update the tables."""
        from forecast.batch.ledger.ledger import Ledger

        Ledger(self._url(), clock=self._clock, patience=self._patience).open()

    @property
    def exists(self) -> bool:
        """``False`` when there certainly is no ledger yet: its file is missing."""
        file = urls.sqlite_file(self._url())
        return file is None or file.exists()

    def slots(self, job: str, after: datetime, until: datetime) -> list[SlotRecord]:
        """What is known of the slots later than ``after`` and not later than ``until``, in order."""
        from forecast.batch.ledger.tables import claims, runs, skipped

        low, high = checked_moment(after, "after"), checked_moment(until, "until")

        def look() -> list[SlotRecord]:
            from sqlalchemy import and_, func, select

            with urls.reading(self._engine) as connection:
                done = select(func.max(runs.c.committed_at)).where(
                    and_(runs.c.job == claims.c.job, runs.c.slot == claims.c.slot)
                )
                wanted = select(claims, done.scalar_subquery().label("committed_at"))
                wanted = wanted.where(claims.c.job == job, claims.c.slot > low, claims.c.slot <= high)
                found = {row.slot: self._record(row) for row in connection.execute(wanted)}
                left = select(skipped).where(skipped.c.job == job, skipped.c.slot > low, skipped.c.slot <= high)
                for row in connection.execute(left):
                    found.setdefault(row.slot, SlotRecord(row.slot, "skipped", row.noted_at, row.reason))
            return [found[slot] for slot in sorted(found)]

        return self._patiently(look)

    def last(self, job: str, until: datetime) -> SlotRecord | None:
        """What is known of the last slot not later than ``until`` of which anything is known."""
        from forecast.batch.ledger.tables import claims, skipped

        moment = checked_moment(until, "until")

        def latest() -> datetime | None:
            from sqlalchemy import func, select

            with urls.reading(self._engine) as connection:
                found = [
                    connection.execute(
                        select(func.max(table.c.slot)).where(table.c.job == job, table.c.slot <= moment)
                    ).scalar()
                    for table in (claims, skipped)
                ]
            return max((slot for slot in found if slot is not None), default=None)

        slot = self._patiently(latest)
        if slot is None:
            return None
        records = self.slots(job, slot - timedelta(microseconds=1), slot)
        return records[-1] if records else None

    def skipped(self, job: str, limit: int | None = None) -> list[SlotRecord]:
        """The slots that nobody ran on purpose, the latest first; without those that were run after all."""
        from forecast.batch.ledger.tables import claims, skipped

        def look() -> list[SlotRecord]:
            from sqlalchemy import desc, exists, select

            claimed = exists().where(claims.c.job == skipped.c.job, claims.c.slot == skipped.c.slot)
            wanted = select(skipped).where(skipped.c.job == job, ~claimed).order_by(desc(skipped.c.slot)).limit(limit)
            with urls.reading(self._engine) as connection:
                rows = connection.execute(wanted).all()
            return [SlotRecord(row.slot, "skipped", row.noted_at, row.reason) for row in rows]

        return self._patiently(look)

    def skip(self, job: str, reasons: Mapping[datetime, str]) -> None:
        """Note for each slot why it is not run. One that somebody has claimed is left as it is."""
        if not reasons:
            return
        moments = {checked_moment(slot, "slot"): reason for slot, reason in reasons.items()}

        def note() -> None:
            from forecast.batch.ledger.history import upserting
            from forecast.batch.ledger.tables import skipped, storable

            with urls.writing(self._engine) as connection:
                taken = _claimed(connection, job, list(moments))
                now = self._clock()
                rows = [
                    {"job": job, "slot": slot, "reason": storable(reason), "noted_at": now}
                    for slot, reason in moments.items()
                    if slot not in taken
                ]
                if rows:
                    connection.execute(upserting(connection)(skipped).on_conflict_do_nothing(), rows)

        self._patiently(note)

    def _record(self, row: Row[Any]) -> SlotRecord:
        """A claim as a slot."""
        from forecast.batch.ledger.claims import is_alive

        if is_alive(row, self._clock()):
            return SlotRecord(row.slot, "running", row.heartbeat)
        if row.committed_at is not None:
            return SlotRecord(row.slot, "committed", row.committed_at)
        return SlotRecord(row.slot, "ended" if row.owner is None else "dead", row.heartbeat)

    def _patiently(self, action: Callable[[], T]) -> T:
        return patiently(action, "The ledger", self._url(), patience=self._patience)


def _claimed(connection: Connection, job: str, slots: Sequence[datetime]) -> set[datetime]:
    from sqlalchemy import select

    from forecast.batch.ledger.tables import claims

    span = claims.c.slot.between(min(slots), max(slots))
    return set(connection.execute(select(claims.c.slot).where(claims.c.job == job, span)).scalars())
