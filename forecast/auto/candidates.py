"""Who takes part in the race: nets and baselines that suit the panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from forecast.model import Model, Task
from forecast.models import as_model, create, entries
from forecast.panel.panel import Panel
from forecast.training.settings import Training

FEW_SERIES = 50
LONG = 300
MOST_SMOOTHED = 5_000  # series; each has parameters of its own, which take several visits to learn


@dataclass(frozen=True)
class Candidate:
    """One entrant: a name, what it is, and how its training differs from the settings given.

    Attributes:
        name: unique in the race.
        spec: an architecture, or a baseline.
        changes: training settings of its own.
        costly: worth a look on a few series before it runs on all; how much of the time that a series takes by itself
            it takes among many. 0 for what needs no look.
        slow: how much better than a quick net a long training makes it: by what its loss after a short heat is divided.
    """

    name: str
    spec: Any
    changes: Mapping[str, Any] = field(default_factory=dict)
    costly: float = 0.0
    slow: float = 1.0

    @property
    def is_net(self) -> bool:
        """Whether it is trained on windows."""
        return hasattr(self.spec, "build")

    def model(self, training: Training) -> Model:
        """The candidate as a model."""
        settings = replace(training, **self.changes) if self.is_net else training
        return as_model(self.spec, self.name, settings)


def named(names: tuple[str, ...]) -> list[Candidate]:
    """Candidates by the names of their yaml files. Raises ``ConfigError`` for an unknown name."""
    return [Candidate(name, create(name), costly=_costly(name)) for name in dict.fromkeys(names)]


def _costly(name: str) -> float:
    if name == "batched_ets":
        return 0.15  # seen on monthly and hourly panels: most of the time for a few series is spent once
    return 1.0 if entries()[name].target.startswith("forecast.baselines.statistical.") else 0.0


def baselines(panel: Panel, task: Task) -> list[Candidate]:
    """Baselines that suit the panel, quick ones first; the seasonal naive model leads, everything is measured by it."""
    season = task.season_length > 1
    names = ["seasonal_naive", "naive", "drift"] if season else ["naive", "drift"]
    names += ["naive2"] if season else []
    names += ["batched_ets", "dynamic_theta", "theta"]
    if season and np.median(panel.lengths) >= 4 * task.season_length:
        names.append("stl_ets")
    if len(panel) <= FEW_SERIES:
        names.append("ets")
    longer = [m for m in panel.timeline.seasons if m > task.season_length and 3 * m <= np.median(panel.lengths)]
    return [*named(tuple(names)), *_on_longer_seasons(longer)]


def _on_longer_seasons(seasons: list[int]) -> list[Candidate]:
    """The quick ones once more with the week within the day, say, as their season."""
    chosen = ("seasonal_naive", "batched_ets", "dynamic_theta")
    return [
        Candidate(f"{name}_{m}", create(name, season_length=m), costly=_costly(name))
        for m in seasons[-1:]
        for name in chosen
    ]


def nets(panel: Panel, task: Task) -> list[Candidate]:
    """Nets that suit the panel, the likeliest first."""
    # what draws windows, or keeps several nets, has no place along whole series
    stream = {"stateful": True, "snapshots": 1, "sampling": "windows", "recency": None}
    if np.median(panel.lengths) < LONG:
        return [
            Candidate("lstm_stateful", create("lstm"), stream),
            Candidate("gru_stateful", create("gru"), stream),
            *named(("segrnn", "mlp")),
        ]
    return [
        Candidate("lstm_stateful", create("lstm"), stream),
        *_smoothed(panel, task),
        Candidate("segrnn_lstm", create("segrnn", cell="lstm")),
        Candidate("segrnn_wide", create("segrnn", cell="lstm", hidden_size=256), slow=1.1),
    ]


def _smoothed(panel: Panel, task: Task) -> list[Candidate]:
    """ES-RNN, for seasonal series that are positive throughout: its errors differ most from the other nets'."""
    if task.season_length == 1 or len(panel) > MOST_SMOOTHED or not np.nanmin(panel.values, initial=np.inf) > 0.0:
        return []
    return [Candidate("es_rnn", create("es_rnn"), {"learning_rate": 1e-2}, slow=1.35)]
