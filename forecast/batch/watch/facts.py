"""What the watch is told about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import pandas as pd

from forecast.panel.panel import Panel

Part = Literal["data", "model", "settings"]


@dataclass(frozen=True)
class RunFacts:
    """One run of a job, as far as it got.

    Attributes:
        job, run, slot, version: which run; ``slot`` is aware, in UTC. A run that failed early may have no ``run``.
        frame: the forecasts it committed, see :class:`forecast.batch.form.Form`; ``None`` when it committed none.
        panel: the rows known at the slot; ``None`` when they could not be read.
        season_length: the season in steps, for the scale of MASE.
        state: of the run: "committed", "spooled", "failed" …
        exit: the exit code of the run as far as it is known, alerts not counted.
        error: what went wrong, in words, when it failed.
        cutoff: the latest cutoff of its series.
        data_hash, model_hash, config_hash: see :class:`forecast.batch.key.RunKey`.
        model: plain facts about the model: name, version, trained when, why …
        counts: source of the forecasts -> series.
        reasons: why forecasts are not by the job's own model -> series.
        quarantined: series -> what is wrong with its rows and the way out.
        notes: sentences that the reader should see first.
        timings: part of the run -> seconds.
        settings: the job's settings as nested plain values; secrets are masked again where they are shown.
        held: for telling apart what changed, forecasts like ``frame`` but with one part as in the previous run:
            ``{"data": of the rows it used, "model": of its model, "settings": with its settings}``. May cover some
            series only, may be left out; where just one of the three changed it is not needed.
    """

    job: str
    slot: datetime
    run: str | None = None
    version: int | None = None
    frame: pd.DataFrame | None = None
    panel: Panel | None = None
    season_length: int = 1
    state: str = "committed"
    exit: int = 0
    error: str | None = None
    cutoff: pd.Timestamp | int | None = None
    data_hash: str = ""
    model_hash: str = ""
    config_hash: str = ""
    model: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[Any, object] = field(default_factory=dict)
    notes: Sequence[str] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    held: Mapping[Part, pd.DataFrame] = field(default_factory=dict)
