"""Frames of sample paths, and of how probable it is that a threshold is crossed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.bad_series import Bad, bad_places
from forecast.baselines.naive import SeasonalNaive
from forecast.forecasts import future_frame
from forecast.model import Fitted, Task
from forecast.panel.panel import Panel
from forecast.paths import crossings, sample_paths

Float = npt.NDArray[np.float64]
# (panel, model name -> paths (S, samples, h)) -> frame
Framed = Callable[[Panel, Mapping[str, Float]], pd.DataFrame]


class Query(NamedTuple):
    """What a forecast is asked of, as the caller gave it."""

    df: Any = None
    futr_df: Any = None
    static_df: Any = None
    h: int | None = None


@dataclass(frozen=True)
class Question:
    """What a forecast is asked of, read and checked.

    Attributes:
        panel: the series, for the stamps of the forecast.
        seen: the same as models see them.
        bad: the series with faults.
        h: steps to forecast.
        season_length: of the series.
    """

    panel: Panel
    seen: Panel
    bad: Bad
    h: int
    season_length: int

    def paths(self, fitted: Fitted, samples: int, seed: int | None) -> Float:
        """Futures (S, samples, h), of the bad series those of the seasonal naive forecast."""
        places = bad_places(self.seen, self.bad)
        if not places.size:
            return sample_paths(fitted, self.seen, self.h, samples, seed)
        rest = np.delete(np.arange(len(self.seen), dtype=np.int64), places)
        naive = SeasonalNaive().fit(self.seen, Task(self.h, self.season_length, progress=False))
        paths = np.full((len(self.seen), samples, self.h), np.nan)
        for model, chosen in ((fitted, rest), (naive, places)):
            if chosen.size:
                paths[chosen] = sample_paths(model, self.seen.take(chosen), self.h, samples, seed)
        return paths


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
