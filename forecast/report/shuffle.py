"""Covariates put out of order: each series gets the cells of another one, moved in time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError
from forecast.panel.calendar_features import PREFIX
from forecast.panel.covariates import Covariates
from forecast.panel.panel import Panel

Int = npt.NDArray[np.int64]

FIELDS = {"static": "static", "hist": "hist", "futr": "futr", "calendar": "futr"}  # role -> where a panel holds it


def columns_of(panel: Panel, role: str) -> tuple[str, ...]:
    """The columns that a panel has of a role; what time alone tells is the role ``calendar``, and not in ``futr``."""
    table = getattr(panel, FIELDS[role])
    if table is None:
        return ()
    if FIELDS[role] != "futr":
        return tuple(table.names)
    return tuple(name for name in table.names if name.startswith(PREFIX) == (role == "calendar"))


def shuffled(panel: Panel, role: str, names: Collection[str], h: int, rng: np.random.Generator) -> Panel:
    """The panel with the columns ``names`` of a role out of order, all of them in the same way.

    Static features go from series to series. Covariates that change over time go, whole series at once, to another
    series (drawn without replacement) and are moved in time by a number of steps drawn for each, the end following on
    the beginning: so they keep their distribution and, from row to row, their course, but tell nothing of the target.
    Moving them is needed as well as exchanging: holidays are the same for all series. Only cells of the rows up to
    ``h`` steps after the last of each series are used. The panel itself is not changed.
    """
    if role not in FIELDS:
        raise ConfigError(f"role={role!r} is not one of {', '.join(FIELDS)}.")
    if role == "static" and panel.static is not None:
        donors = rng.permutation(len(panel)).astype(np.int64)
        return replace(panel, static=_replaced(panel.static, names, donors))
    if role == "hist" and panel.hist is not None:
        return replace(panel, hist=_replaced(panel.hist, names, moved_rows(panel.offsets, rng)))
    if role in ("futr", "calendar") and panel.futr is not None:
        known = panel.futr.between(panel.first, panel.lengths + h)
        rows = moved_rows(known.offsets, rng)
        return replace(panel, futr=replace(known, covariates=_replaced(known.covariates, names, rows)))
    return panel


def moved_rows(offsets: Int, rng: np.random.Generator) -> Int:
    """For each row the one whose cells it gets, (R,): of another series, moved in time; -1 where that has no rows."""
    lengths = np.diff(offsets)
    donors = rng.permutation(len(lengths)).astype(np.int64)
    shifts = (rng.random(len(lengths)) * lengths[donors]).astype(np.int64)
    series = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    step = np.arange(int(offsets[-1]), dtype=np.int64) - offsets[:-1][series]
    size = lengths[donors][series]
    place = (step + shifts[series]) % np.maximum(size, 1)
    return np.where(size > 0, offsets[:-1][donors][series] + place, -1)


def _replaced(table: Covariates, names: Collection[str], rows: Int) -> Covariates:
    return Covariates(tuple(column.at(rows) if column.name in names else column for column in table.columns))
