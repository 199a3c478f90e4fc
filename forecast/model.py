"""What every model is: neural nets, statistical baselines and ensembles all satisfy these protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What is asked of a model.

    Attributes:
        h: steps to forecast.
        season_length: the season in steps, 1 for none.
        val_size: rows cut from the end of each series for validation; ``None`` lets the model choose.
        seed: everything random derives from it.
        progress: whether long work may draw a progress bar or print progress lines.
    """

    h: int
    season_length: int = 1
    val_size: int | None = None
    seed: int = 0
    progress: bool = True


@dataclass(frozen=True)
class Prediction:
    """Forecasts of every series of a panel, in original units.

    Attributes:
        point: shape (S, h).
        quantiles: shape (S, h, Q), non-decreasing along Q; one slice per entry of ``probs``.
        probs: the probabilities of ``quantiles``, ascending.
        reasons: series position -> why another model than the one asked for made its forecast.
    """

    point: Float
    quantiles: Float
    probs: tuple[float, ...] = ()
    reasons: Mapping[int, str] = field(default_factory=dict)


@runtime_checkable
class Fitted(Protocol):
    """A model that can forecast. It holds no history: that comes with the panel."""

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        """Forecast ``h`` steps after the last row of each series, with quantiles at ``probs``.

        A series' forecast depends on that series alone.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Plain facts (JSON types) for ``summary()`` and the report."""
        ...


@runtime_checkable
class Model(Protocol):
    """A model to be fitted: hyper-parameters only, never changed by fitting."""

    def fit(self, panel: Panel, task: Task) -> Fitted:
        """Learn from ``panel`` and return the fitted model."""
        ...
