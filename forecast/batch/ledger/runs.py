"""The runs of one database: planning, advancing, committing, and what is known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pandas as pd
from sqlalchemy import ColumnElement, Engine, Select, and_, desc, func, insert, select, tuple_, update
from sqlalchemy.engine import Connection, Row

from forecast.batch.key import RunKey
from forecast.batch.ledger.claims import hold
from forecast.batch.ledger.history import event_now, history, note
from forecast.batch.ledger.records import COLUMNS, STATES, Claim, Planned, RunRecord, State
from forecast.batch.ledger.tables import claims, events, plain, runs, storable
from forecast.batch.ledger.urls import reading, writing
from forecast.errors import ConfigError, printable, some

T = TypeVar("T")
SHORTEST_PREFIX = 4
TIMES = [name for name in COLUMNS if name in ("slot", "heartbeat") or name.endswith("_at")]


class Runs:
    """The runs of one database. The methods that end in -ing give actions that are safe to repeat."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def in_transaction(self, action: Callable[[Connection], T]) -> T:
        """``action`` in a transaction of its own."""
        with writing(self._engine) as connection:
            return action(connection)

    def planning(self, claim: Claim, key: RunKey, cutoff: object, facts: Mapping[str, Any]) -> Callable[[], Planned]:
        """Note a run as planned, see :meth:`.Ledger.plan`."""
        seconds = claim.stopwatch.lap()
        told = {"cutoff": str(plain(cutoff)), "facts": facts, "counts": {}, "error": None}

        def plan(connection: Connection) -> Planned:
            hold(connection, claim)
            slot = _of_slot(connection, key)
            known = [row for row in slot if _hashes(row) == (key.data_hash, key.model_hash, key.config_hash)]
            latest = max((row.version for row in slot), default=0)
            current = max((row.version for row in slot if row.state == "committed"), default=0)
            same = max(known, key=lambda row: row.repeat, default=None)
            if same is not None and same.state == "committed" and same.version == current:
                return Planned(same.run, same.version, "committed")
            now = self._clock()
            times = {"planned_at": now, "computed_at": None, "staged_at": None, "failed_at": None}
            values = {"state": "planned", "token": claim.token, "owner": claim.owner, **times, **told}
            if same is None or same.state == "committed":
                repeat = 1 if same is None else same.repeat + 1
                run, version = _run_id(key, repeat), latest + 1
                connection.execute(insert(runs), {**_identity(key, run, repeat), "version": version, **values})
            else:
                # What comes to be committed later must have the higher version, whenever it was tried first.
                run, version = same.run, same.version if same.version == latest else latest + 1
                connection.execute(update(runs).where(runs.c.run == run).values(version=version, **values))
            note(connection, run, event_now(claim.token, "planned", claim.owner, now, seconds, None))
            return Planned(run, version, "planned")

        return lambda: self.in_transaction(plan)

    def advancing(
        self,
        claim: Claim,
        run: str,
        state: State,
        error: str | None,
        counts: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> Callable[[], None]:
        """Note how far a run got, see :meth:`.Ledger.advance`."""
        seconds = claim.stopwatch.lap()

        def advance(connection: Connection) -> None:
            hold(connection, claim)
            row = _owned(connection, claim, run)
            now = self._clock()
            if row.state != "committed":
                values = _progress(row, claim, state, now, counts, facts)
                values["error"] = None if error is None else storable(error)
                connection.execute(update(runs).where(runs.c.run == run).values(values))
            elif state != "failed":
                raise ConfigError(f"Run {run} is committed: it cannot become {state} again. Plan it anew.")
            note(connection, run, event_now(claim.token, state, claim.owner, now, seconds, error))

        return lambda: self.in_transaction(advance)

    def confirming(
        self, claim: Claim, run: str, counts: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> Callable[[Connection], None]:
        """Note that a run is committed, see :meth:`.Ledger.confirm`."""
        seconds = claim.stopwatch.lap()

        def confirm(connection: Connection) -> None:
            hold(connection, claim)
            row = _owned(connection, claim, run)
            if row.state == "committed":
                return
            # A clock that was set back must not make this version older than the one it supersedes.
            last = connection.execute(select(func.max(runs.c.committed_at)).where(_slot_of(row))).scalar()
            now = self._clock()
            now = now if last is None else max(now, last + timedelta(microseconds=1))
            values = {**_progress(row, claim, "committed", now, counts, facts), "failed_at": None, "error": None}
            connection.execute(update(runs).where(runs.c.run == run).values(values))
            note(connection, run, event_now(claim.token, "committed", claim.owner, now, seconds, None))

        return confirm

    def committed(self, job: str, as_of: datetime | None) -> pd.DataFrame:
        """The current version of every slot, see :meth:`.Ledger.committed`."""
        with reading(self._engine) as connection:
            rows = connection.execute(_records().where(_current(job, as_of)).order_by(runs.c.slot)).all()
        return _frame(rows)

    def last(self, job: str, before: datetime | None) -> RunRecord | None:
        """The current version of the latest slot earlier than ``before``."""
        wanted = _records().where(_current(job, None)).order_by(desc(runs.c.slot)).limit(1)
        if before is not None:
            wanted = wanted.where(runs.c.slot < before)
        with reading(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
            return None if row is None else RunRecord(**row._mapping, history=history(connection, row.run))

    def table(self, job: str | None, state: State | None, limit: int | None) -> pd.DataFrame:
        """Runs, the latest first."""
        if state is not None and state not in STATES:
            raise ConfigError(f"state={printable(state)} is not one of {', '.join(STATES)}.")
        if limit is not None and limit < 1:
            raise ConfigError(f"limit={limit} must be at least 1.")
        wanted = _records().order_by(desc(runs.c.slot), runs.c.job, desc(runs.c.version))
        wanted = wanted if job is None else wanted.where(runs.c.job == job)
        wanted = wanted if state is None else wanted.where(runs.c.state == state)
        with reading(self._engine) as connection:
            return _frame(connection.execute(wanted if limit is None else wanted.limit(limit)).all())

    def record(self, run: str) -> RunRecord:
        """One run by its id or the beginning of it."""
        if not isinstance(run, str) or len(run) < SHORTEST_PREFIX or not run.isalnum() or not run.isascii():
            raise ConfigError(
                f"{printable(run)} is not the id of a run, nor its first {SHORTEST_PREFIX} digits or more."
            )
        with reading(self._engine) as connection:
            rows = connection.execute(_records().where(runs.c.run.startswith(run)).limit(5)).all()
            if len(rows) != 1:
                found = f"stands for several: {some(row.run for row in rows)}" if rows else "is not in the ledger"
                raise ConfigError(f"Run {printable(run)} {found}. `forecast runs list` shows them.")
            return RunRecord(**rows[0]._mapping, history=history(connection, rows[0].run))


def _run_id(key: RunKey, repeat: int) -> str:
    """The key's own id; for a key that comes back after another was committed, one made from it."""
    return key.run if repeat == 1 else hashlib.sha256(f"{key.run}:{repeat}".encode()).hexdigest()[:16]


def _identity(key: RunKey, run: str, repeat: int) -> dict[str, Any]:
    hashes = {"data_hash": key.data_hash, "model_hash": key.model_hash, "config_hash": key.config_hash}
    return {"run": run, "job": key.job, "slot": key.slot, "repeat": repeat, **hashes}


def _hashes(row: Row[Any]) -> tuple[str, str, str]:
    return row.data_hash, row.model_hash, row.config_hash


def _of_slot(connection: Connection, key: RunKey) -> Sequence[Row[Any]]:
    names = ("run", "version", "repeat", "state", "data_hash", "model_hash", "config_hash")
    return connection.execute(select(*[runs.c[name] for name in names]).where(_slot_of(key))).all()


def _slot_of(place: RunKey | Claim | Row[Any]) -> ColumnElement[bool]:
    return and_(runs.c.job == place.job, runs.c.slot == place.slot)


def _owned(connection: Connection, claim: Claim, run: str) -> Row[Any]:
    row = connection.execute(select(runs).where(_slot_of(claim), runs.c.run == run).with_for_update()).one_or_none()
    if row is None:
        where = f"slot {claim.slot.isoformat()} of job {printable(claim.job)}"
        raise ConfigError(f"Run {printable(run)} was not planned for {where}.")
    return row


def _progress(
    row: Row[Any], claim: Claim, state: State, now: datetime, counts: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    told = {"counts": {**row.counts, **counts}, "facts": {**row.facts, **facts}}
    return {"state": state, f"{state}_at": now, "token": claim.token, "owner": claim.owner, **told}


def _records() -> Select[Any]:
    """The columns of :class:`RunRecord` but for its history; ``seconds`` are those of the latest attempt."""
    took = select(func.sum(events.c.seconds)).where(events.c.run == runs.c.run, events.c.token == runs.c.token)
    columns: dict[str, ColumnElement[Any]] = {
        **{column.name: column for column in runs.c},
        "heartbeat": claims.c.heartbeat,
    }
    columns["seconds"] = took.scalar_subquery().label("seconds")
    own = and_(claims.c.job == runs.c.job, claims.c.slot == runs.c.slot, claims.c.token == runs.c.token)
    return select(*(columns[name] for name in COLUMNS)).select_from(runs.outerjoin(claims, own))


def _current(job: str, as_of: datetime | None) -> ColumnElement[bool]:
    """Committed runs that no later version of their slot supersedes, by what was committed at ``as_of``."""
    beside = runs.alias("beside")
    known = [beside.c.job == job, beside.c.state == "committed"]
    if as_of is not None:
        known.append(beside.c.committed_at <= as_of)
    newest = select(beside.c.slot, func.max(beside.c.version)).where(*known).group_by(beside.c.slot)
    return and_(runs.c.job == job, tuple_(runs.c.slot, runs.c.version).in_(newest))


def _frame(rows: Sequence[Row[Any]]) -> pd.DataFrame:
    # As objects at first: a column of texts and None would become one of texts and NaN.
    frame = pd.DataFrame([tuple(row) for row in rows], columns=list(COLUMNS), dtype=object)
    for name in TIMES:
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    whole = {"version": "int64", "token": "int64", "seconds": "float64"}
    return frame.astype(whole)
