"""What is settled before a frame is read: its columns, its frequency, and what is known of its series already."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from forecast.aliases import Freq
from forecast.ingest.validate import Bool, Rows
from forecast.panel.covariates import Covariates
from forecast.panel.panel import Panel
from forecast.schema import Schema
from forecast.timeline import Timeline


@dataclass(frozen=True)
class Terms:
    """On what terms a frame comes in.

    Attributes:
        schema: what its columns are, and what becomes of faulty data.
        freq: its frequency, checked when given, inferred when not.
        known: series read before: they keep the features they have there, unless given anew, and covariates are of the
            kinds that they have there.
        onward: whether the rows are to follow those of ``known``, on its grid, whatever ``freq`` says.
    """

    schema: Schema = field(default_factory=Schema)
    freq: Freq | None = None
    known: Panel | None = None
    onward: bool = False

    @property
    def history(self) -> Panel | None:
        """The rows that those to come are to follow."""
        return self.known if self.onward else None

    @property
    def grid(self) -> Timeline | None:
        """The grid that the rows must be on, where there is one already."""
        return None if self.history is None else self.history.timeline

    @property
    def step(self) -> Freq | None:
        """The frequency of the grid, else the one given."""
        return self.freq if self.grid is None else self.grid.freq

    @property
    def features(self) -> Covariates | None:
        """The static features known already."""
        return None if self.known is None else self.known.static

    def begun(self, rows: Rows) -> Bool:
        """Which series of ``rows`` have rows in the history, shape (S,)."""
        if self.history is None:
            return np.zeros(len(rows.ids), dtype=bool)
        return np.asarray(rows.ids.isin(self.history.ids))
