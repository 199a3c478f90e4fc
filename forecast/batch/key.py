"""What makes a run the same run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

import pandas as pd


@dataclass(frozen=True)
class RunKey:
    """Two runs with equal keys give equal forecasts, so the second has nothing to do.

    Attributes:
        job: name of the job.
        slot: the planned time of the run, aware, in UTC; what was known then is what the run may use.
        data_hash, model_hash, config_hash: of the rows used, the saved model and the job's settings; hex.
    """

    job: str
    slot: datetime
    data_hash: str
    model_hash: str
    config_hash: str

    @property
    def run(self) -> str:
        """The id of the run: 16 hex digits."""
        parts = [self.job, self.slot.isoformat(), self.data_hash, self.model_hash, self.config_hash]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Publication:
    """A run's forecasts on their way to a sink.

    Attributes:
        run: its id, see :attr:`RunKey.run`.
        job, slot: what it is a run of.
        version: 1 for the first run of the slot, one more for each with other data, model or settings.
        token: the fencing token of the claim; a sink refuses one lower than what it has seen for this job and slot.
        cutoff: the latest cutoff of its series: a stamp of the data's kind, or an integer step.
    """

    run: str
    job: str
    slot: datetime
    version: int
    token: int
    cutoff: pd.Timestamp | int
