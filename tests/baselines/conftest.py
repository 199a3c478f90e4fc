"""Panels from plain lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from forecast.model import Model, Prediction, Task
from forecast.panel.panel import Panel
from forecast.timeline import fit_timeline

Series = Sequence[Sequence[float]]


def _panel(series: Series) -> Panel:
    lengths = [len(values) for values in series]
    return Panel(
        ids=pd.Index([f"s{number}" for number in range(len(series))]),
        values=np.array([value for values in series for value in values], dtype=np.float64),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        first=np.zeros(len(series), dtype=np.int64),
        timeline=fit_timeline("MS", np.array(["2020-01-01"], dtype="datetime64[us]")),
    )


def _predict(model: Model, series: Series, h: int, season: int = 1, probs: tuple[float, ...] = ()) -> Prediction:
    panel = _panel(series)
    return model.fit(panel, Task(h, season, progress=False)).predict(panel, h, probs)


def _wave(n: int = 60, season: int = 12, seed: int = 0) -> np.ndarray:
    t = np.arange(n)
    noise = np.random.default_rng(seed).standard_normal(n)
    return 10.0 + 0.02 * t + 2.0 * np.sin(2 * np.pi * t / season) + 0.3 * noise


@pytest.fixture(scope="session")
def make_panel() -> Callable[[Series], Panel]:
    """``make_panel([[1.0, 2.0], [3.0]])``: one inner list per series."""
    return _panel


@pytest.fixture(scope="session")
def predict() -> Callable[..., Prediction]:
    """``predict(model, series, h, season, probs)``: fit and predict on the same series."""
    return _predict


@pytest.fixture(scope="session")
def wave() -> Callable[..., np.ndarray]:
    """A positive seasonal series with a trend and noise."""
    return _wave
