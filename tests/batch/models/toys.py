"""Models of our own for the tests: they forecast simply, or fail in the way that they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forecast.model import Prediction
from forecast.panel.panel import Panel


class OutOfMemoryError(RuntimeError):
    """What torch raises, by the same name."""


def last_values(panel: Panel) -> np.ndarray:
    return panel.values[panel.offsets[1:] - 1]


@dataclass
class Toy:
    """The last value plus ``offset``; ``trouble`` may raise, or change the point forecasts, knowing the panel."""

    offset: float = 0.0
    trouble: Callable[[Panel, np.ndarray], np.ndarray | None] | None = None
    calls: list[int] = field(default_factory=list)

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        self.calls.append(len(panel))
        point = np.repeat(last_values(panel)[:, None] + self.offset, h, axis=1)
        if self.trouble is not None:
            changed = self.trouble(panel, point)
            point = point if changed is None else changed
        quantiles = point[..., None] + np.array(probs) if probs else np.empty((*point.shape, 0))
        return Prediction(point, quantiles, probs)

    def describe(self) -> dict[str, Any]:
        return {}
