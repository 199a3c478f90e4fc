"""What a job asks of the rows of a run, and what it gives beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from forecast.batch.contract import Contract
from forecast.batch.known import Arrival


@dataclass(frozen=True)
class Demands:
    """What the rows of a run are measured by, once they can be read.

    Attributes:
        contract: the rules that they must keep.
        arrival: when rows become known and the moment of the run: which are due; ``None`` where that cannot be said.
        known_col: the column that tells when each row became known; rows of which it cannot be read are not used.
        previous_ids: the series of the run before; ``None`` where there was none.
    """

    contract: Contract = field(default_factory=Contract)
    arrival: Arrival | None = None
    known_col: str | None = None
    previous_ids: pd.Index | None = None


@dataclass(frozen=True)
class SideTables:
    """The tables that come with the rows.

    Attributes:
        static: static features, as :meth:`Forecaster.fit` takes them.
        future: covariates of the steps to forecast, as :meth:`Forecaster.predict` takes them.
        h: how many steps those are.
    """

    static: Any = None
    future: Any = None
    h: int = 0


NO_DEMANDS = Demands()
NO_TABLES = SideTables()
