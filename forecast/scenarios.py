"""Frames of sample paths, and of how probable it is that a threshold is crossed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.forecasts import future_frame
from forecast.panel.panel import Panel
from forecast.paths import crossings

Float = npt.NDArray[np.float64]
# (panel, model name -> paths (S, samples, h)) -> frame
Framed = Callable[[Panel, Mapping[str, Float]], pd.DataFrame]


def path_frame(panel: Panel, paths: Mapping[str, Float]) -> pd.DataFrame:
    """One row per series, sample and step: id, ``sample`` from 0, time, then a column for each model's paths.

    ``paths`` are of shape (S, samples, h).
    """
    samples, h = next(iter(paths.values())).shape[1:]
    steps = future_frame(panel, h)
    rows = np.arange(len(steps)).reshape(len(panel), 1, h).repeat(samples, axis=1).ravel()
    frame = steps.take(rows).reset_index(drop=True)
    frame.insert(1, "sample", np.tile(np.arange(samples).repeat(h), len(panel)))
    return pd.concat([frame, pd.DataFrame({name: drawn.ravel() for name, drawn in paths.items()})], axis=1)


def crossing_frame(panel: Panel, paths: Mapping[str, Float], threshold: float, *, above: bool) -> pd.DataFrame:
    """One row per series and step: for each model the share of paths beyond ``threshold`` then (``<model>-at``), and by
    then at least once (``<model>-by``)."""
    columns: dict[str, Any] = {}
    h = next(iter(paths.values())).shape[2]
    for name, drawn in paths.items():
        then, once = crossings(drawn, threshold, above=above)
        columns |= {f"{name}-at": then.ravel(), f"{name}-by": once.ravel()}
    return pd.concat([future_frame(panel, h), pd.DataFrame(columns)], axis=1)
