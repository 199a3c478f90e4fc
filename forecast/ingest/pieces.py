"""Tables cut by the frequency of the series that their rows belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import Freq
from forecast.errors import DataError, Fault
from forecast.ingest.frequencies import OwnSeries
from forecast.ingest.read import read
from forecast.ingest.static import TABLE as STATIC
from forecast.schema import Schema

Int = npt.NDArray[np.int64]
Result = TypeVar("Result")

LONG = "df"


@dataclass(frozen=True)
class Owned:
    """Series and the frequency that each belongs to: ``freqs[owner[s]]``, -1 for none, shape (S,)."""

    ids: pd.Index
    owner: Int
    freqs: tuple[Freq, ...]

    def of(self, ids: pd.Index) -> Int:
        """The owner of each of ``ids``; -1 for strangers."""
        place = self.ids.get_indexer(ids)
        return np.where(place >= 0, self.owner[place] if len(self.ids) else -1, -1).astype(np.int64)

    def placed(self) -> Owned:
        """Those that have a frequency."""
        return Owned(self.ids[self.owner >= 0], self.owner[self.owner >= 0], self.freqs)

    def with_new(self, others: Owned) -> Owned:
        """These series, and after them those of ``others`` (numbered by the same frequencies) that are new."""
        new = ~others.ids.isin(self.ids) & (others.owner >= 0)
        return Owned(self.ids.append(others.ids[new]), np.concatenate([self.owner, others.owner[new]]), self.freqs)


@dataclass(frozen=True)
class Piece:
    """What of a call belongs to one frequency: rows, side tables, and where their rows stood in the caller's."""

    freq: Freq
    rows: Any
    side: Mapping[str, Any]
    places: Mapping[str, Int]

    def moved(self, fault: Fault) -> Fault:
        """``fault`` with the row numbers of the caller's own table."""
        table = next((name for name in self.side if name in fault.column), LONG)
        places = self.places.get(table)
        if places is None or not fault.rows:
            return fault
        return replace(fault, rows=tuple(places[list(fault.rows)].tolist()))


def in_pieces(
    long: tuple[pd.DataFrame, OwnSeries] | None,
    side: Mapping[str, Any],
    owned: Owned,
    schema: Schema,
    known: Owned | None = None,
) -> list[Piece]:
    """A piece for each frequency that has series, in their order; without ``long`` for each of ``owned``.

    Rows of side tables for series that neither ``owned`` nor ``known`` has go to the first piece, which tells of them.
    Raises ``DataError`` for static features of series without rows, whose frequency nobody knows.
    """
    numbers = owned.owner[owned.owner >= 0]
    first = numbers[np.sort(np.unique(numbers, return_index=True)[1])].tolist()
    tables = {name: _side(name, table, owned, schema, known, long is None) for name, table in side.items()}
    row_owner = None if long is None else owned.owner[long[1].codes]
    pieces = []
    for order, number in enumerate(first):
        rows, places, own = None, {}, {}
        if long is not None and row_owner is not None:
            places[LONG] = np.flatnonzero(row_owner == number)
            rows = long[0].iloc[places[LONG]]
        for name, (table, owner) in tables.items():
            own[name] = table
            if owner is not None:
                places[name] = np.flatnonzero((owner == number) | ((owner < 0) & (order == 0)))
                own[name] = table.iloc[places[name]]
        if long is None or known is not None:  # when fitting, a frequency without a row of static_df is a fault
            own = {n: table for n, table in own.items() if n not in places or places[n].size}
        pieces.append(Piece(owned.freqs[number], rows, own, places))
    return pieces


def _side(
    name: str, table: Any, owned: Owned, schema: Schema, known: Owned | None, asking: bool
) -> tuple[Any, Int | None]:
    """A side table and the owner of each of its rows; ``None`` where the parts are to say what is wrong with it."""
    try:
        frame = read(table, schema)
    except DataError:
        return table, None
    if list(frame.columns).count(schema.id_col) != 1:
        return frame, None
    ids = pd.Index(frame[schema.id_col])
    owner = owned.of(ids)
    if known is not None:
        owner = np.where(owner < 0, known.of(ids), owner)
    strangers = np.flatnonzero(owner < 0)
    if name == STATIC and (asking or known is not None) and strangers.size and strangers.size < len(ids):
        remedy = "Forecast it with the Forecaster of its frequency: forecaster.parts['D'].predict(static_df=…), say."
        problem = f"its frequency is not known: there are no rows of it, only those of {STATIC}"
        raise DataError([Fault(STATIC, problem, remedy, ids[at], (int(at),)) for at in strangers.tolist()])
    return frame, owner


def collected(pieces: Sequence[Piece], act: Callable[[Piece], Result]) -> list[Result]:
    """What ``act`` gives for each piece. Raises ``DataError`` with the faults of all of them."""
    results: list[Result] = []
    faults: dict[Fault, None] = {}
    for piece in pieces:
        try:
            results.append(act(piece))
        except DataError as error:
            faults |= dict.fromkeys(piece.moved(fault) for fault in error.report)
    if faults:
        raise DataError(list(faults))
    return results
