"""Reading and writing the watch's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.ledger.retry import patiently
from forecast.batch.ledger.urls import reading, writing
from forecast.batch.watch.actuals import TARGET, Digests
from forecast.batch.watch.alerts import Alert
from forecast.batch.watch.data_drift import Profile
from forecast.batch.watch.scores import CELL, LEVEL_SUMS, POINT_SUMS, QUANTILE_SUMS, Tally

if TYPE_CHECKING:
    from sqlalchemy import Engine, Select, Table
    from sqlalchemy.engine import Connection

T = TypeVar("T")
Int = npt.NDArray[np.int64]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AT_ONCE = 500  # bound values in one statement
WATCHED = ("run", "slot", "cutoff", "first_target", "last_target", "scored_at")


def microseconds(moment: datetime) -> int:
    """A point in time as a whole number."""
    passed = moment - EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


class Store:
    """The tables of one ledger's database. Every method raises ``StorageError`` when the database fails."""

    def __init__(self, engine: Engine, patience: float = 30.0) -> None:
        self._engine = engine
        self._patience = patience

    def watched(self, job: str) -> pd.DataFrame:
        """The runs that were looked at, columns :data:`WATCHED`, by slot."""
        from forecast.batch.watch.tables import runs

        return self._frame(_select(runs, WATCHED).where(runs.c.job == job).order_by(runs.c.slot), WATCHED)

    def known(self, job: str) -> pd.DataFrame:
        """``target, n, digest`` (as hexadecimal text) and ``since`` of every stamp that was looked at."""
        from forecast.batch.watch.tables import actuals

        names = (TARGET, "n", "digest", "since")
        return self._frame(_select(actuals, names).where(actuals.c.job == job), names)

    def note_known(self, job: str, found: Digests, since: Int, before: int) -> None:
        """Replace what is known of the stamps in ``found``; forget the stamps earlier than ``before``."""
        from sqlalchemy import delete, insert

        from forecast.batch.watch.tables import actuals

        rows = [
            {"job": job, TARGET: int(target), "n": int(n), "digest": digest_text(digest), "since": int(at)}
            for target, n, digest, at in zip(found.target, found.n, found.digest, since, strict=True)
        ]

        def write(connection: Connection) -> None:
            for some in _slices([row[TARGET] for row in rows]):
                connection.execute(delete(actuals).where(actuals.c.job == job, actuals.c.target.in_(some)))
            connection.execute(delete(actuals).where(actuals.c.job == job, actuals.c.target < before))
            if rows:
                connection.execute(insert(actuals), rows)

        self._write(write)

    def replace_cells(self, job: str, run: Mapping[str, Any], targets: Sequence[int] | None, sums: Tally) -> None:
        """Put ``sums`` in the place of all cells of a run for ``targets``, and note ``run`` (:data:`WATCHED`), in one.

        ``None`` for ``targets`` are all there are.

        Nothing happens when the run has been scored with what later slots know.
        """
        from sqlalchemy import delete, insert, select

        from forecast.batch.watch import tables

        parts = ((tables.points, sums.points), (tables.levels, sums.levels), (tables.quantiles, sums.quantiles))

        def write(connection: Connection) -> None:
            found = select(tables.runs.c.scored_at).where(tables.runs.c.run == run["run"])
            scored_at = connection.execute(found).scalar()
            if scored_at is not None and scored_at > run["scored_at"]:
                return
            connection.execute(delete(tables.runs).where(tables.runs.c.run == run["run"]))
            connection.execute(insert(tables.runs), [{"job": job, **run}])
            for table, cells in parts:
                gone = delete(table).where(table.c.run == run["run"])
                for some in [None] if targets is None else _slices(list(targets)):
                    connection.execute(gone if some is None else gone.where(table.c.target.in_(some)))
                if len(cells):
                    connection.execute(insert(table), _rows(cells.assign(run=run["run"])))

        self._write(write)

    def cells(self, runs: Sequence[str]) -> Tally:
        """The sums of ``runs``, with a column ``run``."""
        from forecast.batch.watch import tables

        wanted = [
            (tables.points, ("run", *CELL, "model", *POINT_SUMS)),
            (tables.levels, ("run", *CELL, "level", *LEVEL_SUMS)),
            (tables.quantiles, ("run", *CELL, "q", *QUANTILE_SUMS)),
        ]
        return Tally(*(self._of_runs(table, names, runs) for table, names in wanted))

    def profiles(self, job: str, before: int, limit: int) -> list[Profile]:
        """The profiles of the latest ``limit`` slots earlier than ``before``."""
        from forecast.batch.watch.tables import profiles

        names = ("series", "lag", "stale", "missing")
        query = _select(profiles, names).where(profiles.c.job == job, profiles.c.slot < before)
        found = self._frame(query.order_by(profiles.c.slot.desc()).limit(limit), names)
        return [
            Profile(int(series), None if pd.isna(lag) else int(lag), float(stale), float(missing))
            for series, lag, stale, missing in found.itertuples(index=False)
        ]

    def note(self, job: str, slot: int, run: str | None, profile: Profile | None, alerts: Sequence[Alert]) -> None:
        """Replace what is kept of a slot: its profile and its alerts."""
        from sqlalchemy import delete, insert

        from forecast.batch.ledger.tables import storable
        from forecast.batch.watch import tables

        said = [
            {"job": job, "slot": slot, "number": number, "run": run, "kind": alert.kind, "severity": alert.severity,
             "message": storable(alert.message), "place": storable(alert.where), "value": alert.value,
             "bound": alert.limit}
            for number, alert in enumerate(alerts)
        ]  # fmt: skip

        def write(connection: Connection) -> None:
            if profile is not None:
                connection.execute(_of_slot(delete(tables.profiles), tables.profiles, job, slot))
                values = {"series": profile.series, "lag": profile.lag, "stale": profile.stale}
                row = {"job": job, "slot": slot, **values, "missing": profile.missing}
                connection.execute(insert(tables.profiles), [row])
            connection.execute(_of_slot(delete(tables.alerts), tables.alerts, job, slot))
            if said:
                connection.execute(insert(tables.alerts), said)

        self._write(write)

    def alerts(self, job: str, since: int) -> pd.DataFrame:
        """``slot, kind, severity, message`` of the alerts from slot ``since`` on."""
        from forecast.batch.watch.tables import alerts

        names = ("slot", "kind", "severity", "message")
        query = _select(alerts, names).where(alerts.c.job == job, alerts.c.slot >= since)
        return self._frame(query.order_by(alerts.c.slot, alerts.c.number), names)

    def _of_runs(self, table: Table, names: Sequence[str], runs: Sequence[str]) -> pd.DataFrame:
        parts = [self._frame(_select(table, names).where(table.c.run.in_(some)), names) for some in _slices(list(runs))]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(names))

    def _frame(self, query: Select[Any], names: Sequence[str]) -> pd.DataFrame:
        def read() -> list[Any]:
            with reading(self._engine) as connection:
                return [tuple(row) for row in connection.execute(query)]

        return pd.DataFrame(self._patiently(read), columns=list(names))

    def _write(self, write: Callable[[Connection], None]) -> None:
        def transaction() -> None:
            with writing(self._engine) as connection:
                write(connection)

        self._patiently(transaction)

    def _patiently(self, action: Callable[[], T]) -> T:
        return patiently(action, "The watch", str(self._engine.url), patience=self._patience)


def digest_text(digest: np.uint64) -> str:
    """A digest as it is stored: neither database has unsigned numbers of this size."""
    return f"{int(digest):016x}"


def _select(table: Table, names: Sequence[str]) -> Select[Any]:
    from sqlalchemy import select

    return select(*(table.c[name] for name in names))


def _of_slot(statement: Any, table: Table, job: str, slot: int) -> Any:
    return statement.where(table.c.job == job, table.c.slot == slot)


def _slices(values: list[Any]) -> list[list[Any]]:
    return [values[at : at + AT_ONCE] for at in range(0, len(values), AT_ONCE)]


def _rows(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of plain Python values, NaN as they are: what drivers take."""
    columns = {str(name): cells[name].tolist() for name in cells.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
