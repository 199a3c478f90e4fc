"""Local models: nothing is learned from the panel as a whole, each series is fitted when it is forecast.

So new history and unseen series need no refitting, and a series' forecast cannot depend on its neighbours.
"""

from __future__ import annotations

import dataclasses
import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.baselines.segments import first_seen
from forecast.errors import ConfigError
from forecast.model import Prediction, Task
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ask:
    """One request to a local model: ``h`` steps, quantiles at ``probs``, and what the task says of the data.

    Raises ``ConfigError`` unless ``h`` is a positive whole number and ``probs`` ascend strictly between 0 and 1.
    """

    h: int
    probs: tuple[float, ...] = ()
    season_length: int = 1
    seed: int = 0
    progress: bool = False

    def __post_init__(self) -> None:
        if not is_whole(self.h, 1):
            raise ConfigError(f"h={self.h!r}: the horizon must be a whole number of steps, at least 1.")
        inside = all(0.0 < prob < 1.0 for prob in self.probs)
        if not inside or any(low >= high for low, high in itertools.pairwise(self.probs)):
            raise ConfigError(
                f"probs={self.probs!r} must ascend strictly between 0 and 1, for example (0.1, 0.5, 0.9)."
            )


class LocalModel(ABC):
    """Hyper-parameters of a local model; the subclasses are frozen dataclasses with JSON-able fields."""

    def fit(self, panel: Panel, task: Task) -> LocalFitted:
        """Remember ``task``; ``panel`` is not looked at, because series are fitted when they are forecast."""
        return LocalFitted(self, task)

    @abstractmethod
    def forecast(self, panel: Panel, ask: Ask) -> Prediction:
        """Forecast every series of ``panel``, none of which starts with an unknown value."""


@dataclass(frozen=True)
class LocalFitted:
    """A local model and the task it was fitted for; satisfies :class:`~forecast.model.Fitted`."""

    model: LocalModel
    task: Task

    @property
    def season_length(self) -> int:
        """The season in steps: the model's own where it has one, otherwise the task's."""
        own: int | None = getattr(self.model, "season_length", None)
        return self.task.season_length if own is None else own

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        """Fit each series of ``panel`` on its own rows and forecast the ``h`` steps after its last row.

        Unknown values before the first known one are left out. A series without any known value gets NaN and a
        reason. Raises ``ConfigError`` for an impossible ``h`` or ``probs``.
        """
        ask = Ask(h, tuple(probs), self.season_length, self.task.seed, self.task.progress)
        return self.model.forecast(_without_leading_unknowns(panel), ask)

    def describe(self) -> dict[str, Any]:
        """The model's name, its hyper-parameters and the season in use."""
        fields: dict[str, Any] = dataclasses.asdict(self.model) if dataclasses.is_dataclass(self.model) else {}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
        return {"model": type(self.model).__name__, **plain, "season_length": self.season_length}


def normal_quantiles(point: Float, deviation: Float, probs: tuple[float, ...]) -> Float:
    """Quantiles of normal distributions around ``point`` (...), shape (..., Q); ``deviation`` is not negative."""
    scores = np.array([NormalDist().inv_cdf(prob) for prob in probs])
    return np.asarray(point[..., None] + deviation[..., None] * scores)


def is_whole(value: object, least: int) -> bool:
    """Whether ``value`` is a whole number (a bool is none) and not below ``least``."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= least


def check_season(season_length: int | None) -> None:
    """Raise ``ConfigError`` unless ``season_length`` is a positive whole number, or ``None`` for the task's."""
    if season_length is not None and not is_whole(season_length, 1):
        raise ConfigError(
            f"season_length={season_length!r} must be a whole number, at least 1, or None for the task's."
        )


def check_choice(name: str, value: object, known: tuple[object, ...]) -> None:
    """Raise ``ConfigError`` unless ``value`` is one of ``known``."""
    # The type matters too: 1 equals True, but is no answer to a yes-or-no question.
    if not any(value == option and type(value) is type(option) for option in known):
        raise ConfigError(f"{name}={value!r} is not one of {', '.join(repr(option) for option in known)}.")


def _without_leading_unknowns(panel: Panel) -> Panel:
    first = first_seen(panel.values, panel.offsets)
    return panel.slice(first, panel.lengths) if first.any() else panel
