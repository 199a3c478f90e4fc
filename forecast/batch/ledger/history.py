"""What happened to a run, attempt by attempt; one row for each state that an attempt reached."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from forecast.batch.ledger.records import STATES, Event, State
from forecast.batch.ledger.tables import events


def upserting(connection: Connection) -> type[postgresql.Insert] | type[sqlite.Insert]:
    """The class of an INSERT … ON CONFLICT in the dialect of ``connection``."""
    return postgresql.Insert if connection.dialect.name == "postgresql" else sqlite.Insert


def note(connection: Connection, run: str, event: Event) -> None:
    """Keep ``event``; said twice (an answer was lost, an attempt began anew), the later word counts."""
    values = {"owner": event.owner, "at": event.at, "seconds": event.seconds, "note": event.note}
    new = upserting(connection)(events).values(run=run, token=event.token, state=event.state, **values)
    connection.execute(new.on_conflict_do_update(index_elements=["run", "token", "state"], set_=values))


def history(connection: Connection, run: str) -> tuple[Event, ...]:
    """All events of ``run``, oldest attempt first."""
    rows = connection.execute(select(events).where(events.c.run == run)).all()
    told = [Event(row.token, row.state, row.owner, row.at, row.seconds, row.note) for row in rows]
    return tuple(sorted(told, key=lambda event: (event.token, event.at, STATES.index(event.state))))


def event_now(token: int, state: State, owner: str, at: datetime, seconds: float | None, text: str | None) -> Event:
    """An event with its text as a table can keep it."""
    from forecast.batch.ledger.tables import storable

    return Event(token, state, owner, at, seconds, None if text is None else storable(text))
