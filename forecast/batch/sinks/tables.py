"""The tables of forecasts in a database: what they look like, whether they fit, and how a run gets into them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

import pandas as pd

from forecast.batch import points
from forecast.batch.form import NOTES, Form
from forecast.batch.key import Publication
from forecast.batch.protocols import Staged
from forecast.batch.sinks.manifest import cutoff_fact, fenced_text, refuse_unknown
from forecast.batch.sinks.names import checked_column, checked_table
from forecast.batch.sinks.rows import Piece, check_outputs, together
from forecast.errors import FencedError, StorageError, printable

Kind = Literal["name", "text", "integer", "number", "naive", "aware", "flag"]
KEY = ("job", "slot", "run")


@dataclass(frozen=True)
class Column:
    """A column of a table; only numbers may be null."""

    name: str
    kind: Kind


RUN_KINDS: Mapping[str, Kind] = {
    "job": "name",
    "slot": "aware",
    "run": "name",
    "version": "integer",
    "token": "integer",
    "current": "flag",
    "cutoff": "text",
    "rows": "integer",
    "form": "text",
}
RUNS = tuple(Column(name, kind) for name, kind in RUN_KINDS.items())


class Session(Protocol):
    """A transaction on one kind of database.

    Attributes:
        types: kind of column -> its type here, as it is declared and, but for a collation, as it is listed.
    """

    types: Mapping[Kind, str]
    ending: str

    def quote(self, name: str) -> str:
        """``name`` quoted as an identifier."""
        ...

    def run(self, statement: str, **values: Any) -> list[Any]:
        """The rows, if any, of ``statement`` with ``:name`` for values."""
        ...

    def columns(self, table: str) -> dict[str, str]:
        """Columns of a table or view and their types; none when it is not there."""
        ...

    def alone(self, what: str) -> None:
        """Wait until no other transaction is ``alone`` with ``what``, and keep others out until the end of this."""
        ...

    def stamp(self, slot: datetime) -> Any:
        """``slot`` as a value to bind."""
        ...

    def slot_of(self, value: Any) -> datetime:
        """The slot, in UTC, of a value read."""
        ...

    def time(self, value: Any) -> Any:
        """A ``ds``, a stamp or a step, as a value to bind."""
        ...

    def insert(self, table: str, publication: Publication, frame: pd.DataFrame) -> None:
        """Add the rows of ``frame``, with job, slot and run in front."""
        ...

    def fetch(self, statement: str, form: Form, **values: Any) -> pd.DataFrame:
        """What a SELECT of the columns of ``form`` gives, typed."""
        ...


class Tables:
    """``NAME`` with all forecasts, ``NAME_runs`` saying which run of each slot is current, ``NAME_current`` a view."""

    def __init__(self, name: str) -> None:
        self.name = checked_table(name)
        self.runs, self.view = f"{name}_runs", f"{name}_current"

    def check(self, session: Session, form: Form) -> None:
        """Raise ``StorageError`` where the tables that exist do not fit ``form``."""
        check_outputs(form)
        for table, wanted in ((self.name, columns(form)), (self.runs, RUNS)):
            found = session.columns(table)
            if found:
                _compare(table, wanted, found, session)
        if session.columns(self.runs):
            self._check_kinds(session, form)

    def _check_kinds(self, session: Session, form: Form) -> None:
        # SQLite keeps stamps with and without a zone in columns of one type, so what is recorded of the runs decides.
        for (text,) in session.run(f"SELECT DISTINCT form FROM {session.quote(self.runs)}"):
            other = Form.from_facts(json.loads(text))
            if (other.times, other.ids) != (form.times, form.ids):
                raise StorageError(
                    f"Table {self.name} holds forecasts with {other.times} times and {other.ids} ids, these have "
                    f"{form.times} times and {form.ids} ids. Name another table for them."
                )

    def ensure(self, session: Session, form: Form) -> None:
        """:meth:`check`, then make what is missing."""
        session.alone(self.name)
        self.check(session, form)
        wanted = columns(form)
        for table, parts, key in ((self.name, wanted, (*KEY, "unique_id", "step")), (self.runs, RUNS, KEY)):
            if not session.columns(table):
                session.run(_create(session, table, parts, key))
        names = [column.name for column in wanted]
        found = list(session.columns(self.view))
        if found != names:
            if found:
                session.run(f"DROP VIEW {session.quote(self.view)}")
            session.run(self._create_view(session, names))

    def _create_view(self, session: Session, names: Sequence[str]) -> str:
        q = session.quote
        chosen = ", ".join(f"f.{q(name)}" for name in names)
        same = " AND ".join(f"r.{q(name)} = f.{q(name)}" for name in KEY)
        return (
            f"CREATE VIEW {q(self.view)} AS SELECT {chosen} FROM {q(self.name)} f JOIN {q(self.runs)} r ON {same} "
            f"WHERE r.{q('current')}"
        )

    def probe(self, session: Session) -> None:
        """Write nothing in a way that fails where something could not be written."""
        for table in (self.name, self.runs):
            quoted = session.quote(table)
            session.run(f"INSERT INTO {quoted} SELECT * FROM {quoted} WHERE 1 = 0")
            session.run(f"DELETE FROM {quoted} WHERE 1 = 0")

    def publish(self, session: Session, staged: Staged) -> None:
        """Make ``staged`` the current version of its slot; see :meth:`forecast.batch.protocols.Sink.commit`."""
        publication, runs = staged.publication, session.quote(self.runs)
        at = {"job": publication.job, "slot": session.stamp(publication.slot)}
        session.alone(f"{self.name} {publication.job} {publication.slot.isoformat()}")
        seen = session.run(f"SELECT run, token, current FROM {runs} WHERE job = :job AND slot = :slot", **at)
        newest = max((int(token) for _, token, _ in seen), default=publication.token)
        if publication.token < newest:
            raise FencedError(fenced_text(publication, newest))
        state = {run: (int(token), bool(current)) for run, token, current in seen}
        if publication.run not in state:
            self._insert(session, staged, at)
        if state.get(publication.run) == (publication.token, True):
            return
        session.run(
            f"UPDATE {runs} SET current = (run = :run) WHERE job = :job AND slot = :slot", run=publication.run, **at
        )
        session.run(
            f"UPDATE {runs} SET token = :token WHERE job = :job AND slot = :slot AND run = :run",
            run=publication.run, token=publication.token, **at,
        )  # fmt: skip

    def _insert(self, session: Session, staged: Staged, at: dict[str, Any]) -> None:
        publication, q = staged.publication, session.quote
        gone = f"DELETE FROM {q(self.name)} WHERE job = :job AND slot = :slot AND run = :run"
        session.run(gone, run=publication.run, **at)
        points.reached("sink.rows.deleted")
        session.insert(self.name, publication, staged.frame)
        points.reached("sink.rows.inserted")
        names = [column.name for column in RUNS]
        values = {
            **at,
            "run": publication.run,
            "version": publication.version,
            "token": publication.token,
            "current": False,
            "cutoff": str(cutoff_fact(publication)),
            "rows": len(staged.frame),
            "form": json.dumps(staged.form.facts(), sort_keys=True),
        }
        places = ", ".join(f":{name}" for name in names)
        session.run(f"INSERT INTO {q(self.runs)} ({', '.join(map(q, names))}) VALUES ({places})", **values)

    def read(
        self, session: Session, job: str, runs: Sequence[str] | None, between: tuple[Any, Any] | None = None
    ) -> pd.DataFrame:
        """See :meth:`forecast.batch.protocols.Sink.read`."""
        if not session.columns(self.runs):
            refuse_unknown(job, list(runs or ()), set())
            return together([])
        chosen = f"SELECT run, slot, current, form, rows FROM {session.quote(self.runs)} WHERE job = :job"
        every = session.run(f"{chosen} ORDER BY slot, version", job=job)
        refuse_unknown(job, list(runs or ()), {row[0] for row in every})
        wanted = {row[0] for row in every if row[2]} if runs is None else set(runs)
        return together([self._piece(session, job, row, between) for row in every if row[0] in wanted])

    def _piece(self, session: Session, job: str, row: Sequence[Any], between: tuple[Any, Any] | None) -> Piece:
        run, slot, _, form, rows = row
        shape, q = Form.from_facts(json.loads(form)), session.quote
        names = ", ".join(q(checked_column(name)) for name in shape.columns)
        order = f"{q('unique_id')}{session.ending if shape.ids == 'text' else ''}, {q('step')}"
        where, values = "job = :job AND slot = :slot AND run = :run", {"job": job, "slot": slot, "run": run}
        if between is not None:
            where += f" AND {q('ds')} BETWEEN :first AND :last"
            values |= {"first": session.time(between[0]), "last": session.time(between[1])}
        frame = session.fetch(f"SELECT {names} FROM {q(self.name)} WHERE {where} ORDER BY {order}", shape, **values)
        if between is None and len(frame) != rows:
            raise StorageError(
                f"Table {self.name} has {len(frame):,} rows of run {run} of {printable(job)}, {rows:,} were published. "
                "Somebody changed it: put back a copy, or read other runs with runs=[…]."
            )
        return Piece(run, session.slot_of(slot), shape, frame)


def columns(form: Form) -> tuple[Column, ...]:
    """The columns of the table of forecasts of ``form``."""
    kinds: dict[str, Kind] = {"job": "name", "run": "name", "slot": "aware", "step": "integer"}
    kinds |= {"model": "text", **dict.fromkeys(NOTES, "text"), "cutoff": form.times, "ds": form.times}
    kinds["unique_id"] = "name" if form.ids == "text" else "integer"
    names = (*KEY, *form.columns)
    return tuple(Column(checked_column(name), kinds.get(name, "number")) for name in names)


def _create(session: Session, table: str, wanted: Sequence[Column], key: Sequence[str]) -> str:
    lines = [
        f"{session.quote(column.name)} {session.types[column.kind]}{'' if column.kind == 'number' else ' NOT NULL'}"
        for column in wanted
    ]
    primary = ", ".join(session.quote(name) for name in key)
    return f"CREATE TABLE {session.quote(table)} ({', '.join(lines)}, PRIMARY KEY ({primary}))"


def _compare(table: str, wanted: Sequence[Column], found: Mapping[str, str], session: Session) -> None:
    """Raise ``StorageError`` for the first column that is missing, extra or of another type."""
    another = "or name another table in the sink's settings"
    quoted = session.quote(table)
    for column in wanted:
        kind = session.types[column.kind].split(" COLLATE ")[0]
        if column.name not in found:
            raise StorageError(
                f"Table {table} lacks the column {column.name!r}. Add it (ALTER TABLE {quoted} ADD COLUMN "
                f"{session.quote(column.name)} {kind}), {another}."
            )
        if found[column.name].lower() != kind.lower():
            raise StorageError(
                f"Column {column.name!r} of table {table} is {printable(found[column.name])}, {kind} is needed. Change "
                f"its type, {another}."
            )
    names = {column.name for column in wanted}
    extra = next((name for name in found if name not in names), None)
    if extra is not None:
        raise StorageError(
            f"Table {table} has a column {printable(extra)} that these forecasts do not. Drop it, ask for that output, "
            f"{another}."
        )
