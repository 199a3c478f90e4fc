"""The ledger: which runs there were, who owns what, and which forecasts are the current ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from forecast.batch.key import RunKey
from forecast.batch.ledger import urls
from forecast.batch.ledger.compare import Difference
from forecast.batch.ledger.records import Claim, Planned, RunRecord, State, checked_moment, checked_name, utc_now
from forecast.batch.ledger.retry import PATIENCE, patiently
from forecast.batch.points import reached
from forecast.errors import ConfigError, StorageError

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy.engine import Connection

    from forecast.batch.ledger.slots import SlotBook

T = TypeVar("T")

LEASE = 120.0


class Ledger:
    """The book of runs of all jobs, in tables of a SQLite file or a PostgreSQL database.

    Args:
        url: ``sqlite:///folder/ledger.db`` or ``postgresql://user:password@host/name``.
        clock: gives the time, aware, in UTC. Only signs of life and notes depend on it; a clock that jumps can cost
            an owner its claim, never a forecast: whoever lost the slot cannot commit.
        lease: seconds without a sign of life after which an owner counts as dead. One that died on this machine is
            known to be dead at once.
        patience: seconds to keep trying while the database is down or busy.

    Raises ``ConfigError`` for a URL of another kind, and in every method ``StorageError`` when the database fails.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        lease: float = LEASE,
        patience: float = PATIENCE,
    ) -> None:
        from forecast.batch.ledger.claims import Claims
        from forecast.batch.ledger.runs import Runs

        if not lease > 0 or not patience >= 0:
            raise ConfigError(f"lease={lease!r} must be positive and patience={patience!r} not negative (seconds).")
        self.engine = urls.engine_for(url)
        if self.engine.dialect.name not in ("sqlite", "postgresql"):
            raise ConfigError(f"A ledger is a SQLite or PostgreSQL database, not {urls.masked(url)!r}.")
        self.clock = clock
        self._shown = urls.masked(url)
        self._url: Callable[[], str] = lambda: url  # whatever lists an object's attributes would show a password
        self._patience = patience
        # An owner that is stopped just while it gives a sign of life must not keep others from taking over.
        brief = self.engine.execution_options(idle_seconds=urls.BRIEF_SECONDS)
        self._claims = Claims(brief, clock, lease)
        self._runs = Runs(brief, clock)

    def __repr__(self) -> str:
        return f"Ledger({self._shown!r})"

    def open(self, *, create: bool = True) -> Ledger:
        """Make or update the tables; returns the ledger. Safe when many processes do it at once.

        Raises ``StorageError`` when the tables are newer than this version of the package, or are not whole; without
        ``create``, for those who only look, also when there are none.
        """
        from forecast.batch.ledger.migrations import migrate

        file = urls.sqlite_file(self.engine.url)
        if file is not None and create:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif file is not None and not file.exists():
            raise StorageError(f"There is no ledger at {self._shown} yet: the first run of a job makes it.")
        self._patiently(lambda: migrate(self.engine, create=create))
        return self

    @contextmanager
    def held(self, job: str, slot: datetime, owner: str | None = None) -> Iterator[Claim]:
        """Own ``slot`` of ``job`` within the block; signs of life are given from a thread, every quarter of a lease.

        Runs that a dead owner of the slot left unfinished become ``failed`` first; so do this owner's when the block
        ends with an exception. Raises ``AlreadyRunningError``
        when a live owner has it.
        """
        from forecast.batch.ledger.heartbeat import Heartbeat

        name, moment = checked_name(job, "job"), checked_moment(slot, "slot")
        reached("ledger.before-claim")
        claim = self._patiently(self._claims.attempt(name, moment, owner))
        reached("ledger.after-claim")
        reason: BaseException | None = None
        try:
            with Heartbeat(self._claims, claim):
                yield claim
        except BaseException as error:
            reason = error
            raise
        finally:
            reached("ledger.before-release")
            self._claims.release(claim, reason)
            reached("ledger.after-release")

    def check(self, claim: Claim) -> None:
        """Ask the database whether ``claim`` still holds; before what cannot be undone. Raises ``FencedError``."""
        self._patiently(lambda: self._claims.check(claim))

    def plan(self, claim: Claim, key: RunKey, cutoff: object, facts: Mapping[str, Any]) -> Planned:
        """Note what is going to be run: state ``planned``, or ``committed`` when this key is the current version.

        A run of this key that failed is tried again under its own id. A key that was committed, and superseded by
        another since (data corrected back), gets a new id and version. ``facts`` are plain data for people and for
        :meth:`diff`, which looks for them under ``data``, ``model`` and ``settings``; passwords in them are masked.
        ``cutoff`` is the latest stamp (or step) used. Raises ``FencedError``.
        """
        if (key.job, key.slot) != (claim.job, claim.slot):
            raise ConfigError(f"The key is of {key.job!r} at {key.slot}, the claim of {claim.job!r} at {claim.slot}.")
        claim.check()
        reached("ledger.before-planned")
        planned = self._patiently(self._runs.planning(claim, key, cutoff, facts))
        reached("ledger.after-planned")
        return planned

    def advance(
        self,
        claim: Claim,
        run: str,
        state: State,
        *,
        error: str | None = None,
        counts: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        """Note that ``run`` is ``computed``, ``staged`` or ``failed`` (then with ``error``), and more facts.

        A committed run stays committed: what failed after is only kept in its history. Raises ``FencedError``,
        ``ConfigError`` for a run that was not planned for this slot.
        """
        if state not in ("computed", "staged", "failed"):
            raise ConfigError(f"A run can advance to computed, staged or failed, not to {state!r}; see confirm().")
        if state != "failed":
            claim.check()
        reached(f"ledger.before-{state}")
        self._patiently(self._runs.advancing(claim, run, state, error, counts or {}, facts))
        reached(f"ledger.after-{state}")

    def confirm(
        self,
        claim: Claim,
        run: str,
        connection: Connection | None = None,
        *,
        counts: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        """Note that ``run`` is committed, unless it is already.

        With ``connection``, a transaction of a sink in the same database, it becomes true with that transaction's
        commit, and the slot is locked against other owners until then; errors of the database pass as they are, for
        the sink to try again. Without, it has its own transaction. Raises ``FencedError``: nothing is changed then.
        """
        claim.check()
        confirming = self._runs.confirming(claim, run, counts or {}, facts)
        reached("ledger.before-committed")
        if connection is not None:
            confirming(connection)
        else:
            self._patiently(lambda: self._runs.in_transaction(confirming))
        reached("ledger.after-committed")

    def committed(self, job: str, as_of: datetime | None = None) -> pd.DataFrame:
        """The current run of every slot of ``job``, by slot; with ``as_of``, what was current at that time.

        Columns as in :meth:`runs`.
        """
        moment = None if as_of is None else checked_moment(as_of, "as_of")
        return self._patiently(lambda: self._runs.committed(job, moment))

    def last(self, job: str, before: datetime | None = None) -> RunRecord | None:
        """The current run of the latest slot of ``job`` that has one, among slots earlier than ``before``."""
        moment = None if before is None else checked_moment(before, "before")
        return self._patiently(lambda: self._runs.last(job, moment))

    def runs(self, job: str | None = None, state: State | None = None, limit: int | None = None) -> pd.DataFrame:
        """All runs, the latest slot and version first, with the columns of :class:`~.records.RunRecord`."""
        return self._patiently(lambda: self._runs.table(job, state, limit))

    def show(self, run: str) -> RunRecord:
        """One run with its history; the first digits of its id suffice. Raises ``ConfigError`` when there is none."""
        return self._patiently(lambda: self._runs.record(run))

    def diff(self, first: str, second: str) -> Difference:
        """What changed between two runs, split into data, model and settings. Raises ``ConfigError``."""
        return Difference.of(self.show(first), self.show(second))

    def slots(self) -> SlotBook:
        """The slots of its jobs, as a scheduler sees them."""
        from forecast.batch.ledger.slots import SlotBook

        return SlotBook(self._url(), clock=self.clock, patience=self._patience)

    def same_database(self, url: str) -> bool:
        """Whether a sink at ``url`` can commit its rows and the ledger's in one transaction."""
        return urls.same_database(self.engine.url, url)

    def _patiently(self, action: Callable[[], T]) -> T:
        return patiently(action, "The ledger", self._shown, patience=self._patience)
