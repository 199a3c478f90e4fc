"""Covariates that change over time, at the door: from columns of the long frame to the rows of a panel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import Fault, ForecastWarning, some
from forecast.ingest.columns import id_column
from forecast.ingest.features import feature_columns, header_faults
from forecast.ingest.validate import Rows, with_series
from forecast.panel.covariates import Column, Covariates, Numbers
from forecast.panel.known import Known
from forecast.panel.panel import Panel
from forecast.schema import Schema

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Exogenous:
    """Covariates as they stand in a long frame, one cell for each of its rows.

    Attributes:
        hist: known up to the cutoff.
        futr: known into the future.
        header: columns that are not there, or twice: nothing can be read.
        faults: of the cells, each of one series; the cells are missing in ``hist`` and ``futr``. Those that belong to
            no series are of a whole column.
    """

    hist: tuple[Column, ...] = ()
    futr: tuple[Column, ...] = ()
    header: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()


def read_exogenous(frame: pd.DataFrame, schema: Schema, known: Panel | None = None) -> Exogenous:
    """The columns of ``schema.hist_exog`` and ``schema.futr_exog``; faults are collected, not raised.

    They are of the kinds, numbers or labels, that they have in the panel ``known``, where there is one.
    """
    if not (schema.hist_exog or schema.futr_exog):
        return Exogenous()
    header = [
        *header_faults(frame, schema.hist_exog, schema, role="hist_exog"),
        *header_faults(frame, schema.futr_exog, schema, role="futr_exog"),
    ]
    if header:
        return Exogenous(header=tuple(header))
    before = None if known is None else known.hist
    ahead = None if known is None or known.futr is None else known.futr.covariates
    hist, wrong = feature_columns(frame, schema.hist_exog, before)
    futr, more = feature_columns(frame, schema.futr_exog, ahead)
    faults = (*wrong, *more)
    if faults:
        codes, ids, _ = id_column(frame, schema.id_col)
        faults = tuple(with_series(faults, codes, ids))
    return Exogenous(tuple(hist), tuple(futr), (), faults)


def with_exogenous(panel: Panel, rows: Rows, given: Exogenous, how: str) -> Panel:
    """The panel with covariates for each of its rows, from the frame's ``rows`` that it was laid out from.

    Of several rows of one series and time, which the panel holds merged, the first known cell counts, or the last with
    ``how="last"``. Rows that are in the panel only, gaps, have none. Warns where such cells differ.
    """
    if not (given.hist or given.futr):
        return panel
    place = _places(panel, rows)
    merged = _Merge(place, rows.row, len(panel.values), how)
    hist = Covariates(tuple(merged.column(column) for column in given.hist)) if given.hist else None
    futr = Covariates(tuple(merged.column(column) for column in given.futr)) if given.futr else None
    merged.tell()
    known = None if futr is None else Known(futr, panel.offsets, panel.first)
    return replace(panel, hist=hist, futr=known)


def _places(panel: Panel, rows: Rows) -> Int:
    """The panel's row of each of the frame's rows, (N,); -1 where it was trimmed, or has no place in the frame."""
    series = panel.ids.get_indexer(rows.ids).astype(np.int64)[rows.codes]
    step = panel.timeline.ordinals(rows.stamps)[0] - panel.first[series]
    inside = (series >= 0) & (step >= 0) & (step < panel.lengths[series])
    return np.where(inside, panel.offsets[:-1][series] + step, -1)


class _Merge:
    """Cells of a frame's rows put to the ``size`` rows of a panel, each frame row ``row`` to its ``place``."""

    def __init__(self, place: Int, row: Int, size: int, how: str) -> None:
        kept = place >= 0
        order = slice(None) if how == "last" else slice(None, None, -1)  # of equal places the one written last stays
        self.place, self.row = place[kept][order], row[kept][order]
        self.source = np.full(size, -1, dtype=np.int64)
        self.source[self.place] = self.row
        self.several = len(self.place) > int((self.source >= 0).sum())
        self.differ: dict[str, int] = {}

    def column(self, column: Column) -> Column:
        """``column``, a cell for each row of the panel."""
        if not self.several:
            return column.at(self.source)
        cells = column.values if isinstance(column, Numbers) else column.codes
        known: Bool = ~np.isnan(cells) if isinstance(column, Numbers) else cells >= 0
        known = known[self.row]
        source = np.full(len(self.source), -1, dtype=np.int64)
        source[self.place[known]] = self.row[known]
        other = int((cells[self.row[known]] != cells[source[self.place[known]]]).sum())
        if other:
            self.differ[column.name] = other
        return column.at(source)

    def tell(self) -> None:
        """Warn about cells that differ from the one that counts."""
        if self.differ:
            warnings.warn(
                f"rows of one series and time were merged though their covariates differ ({some(self.differ)}; "
                f"{sum(self.differ.values())} cells): one of them counts. Merge them before, to choose which.",
                ForecastWarning,
                stacklevel=6,
            )
