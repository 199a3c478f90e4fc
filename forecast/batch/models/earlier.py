"""Forecasts that were published before, as a model: better than nothing where nothing is known any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.forecasts import Wanted, interval_probs
from forecast.model import Prediction
from forecast.panel.panel import Panel
from forecast.timeline import Timeline

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Earlier:
    """Satisfies :class:`forecast.model.Fitted`: repeats what an earlier run said about each step.

    Steps that lie beyond the end of those forecasts take the last of them.

    Attributes:
        ids: the series, each once.
        first: ordinal of the first step of each, (S,).
        point: (S, H), NaN where there was no forecast.
        quantiles: (S, H, Q) at ``probs``, which ascend.
        probs: probabilities.
    """

    ids: pd.Index
    first: Int
    point: Float
    quantiles: Float
    probs: tuple[float, ...]
    takes_newborn: ClassVar[bool] = True

    @classmethod
    def of(cls, frame: pd.DataFrame, grid: Timeline, asked: Wanted) -> Earlier:
        """From a frame of forecasts as sinks give it: ``unique_id``, ``ds``, ``mean`` and the columns of ``asked``.

        ``grid`` is that of the panel to come. A quantile that the frame lacks is its ``mean``.
        """
        codes, ids = pd.factorize(frame["unique_id"])
        ordinals = _ordinals(frame["ds"], grid)
        first = np.full(len(ids), np.iinfo(np.int64).max)
        np.minimum.at(first, codes, ordinals)
        step = ordinals - first[codes]
        shape = (len(ids), int(step.max(initial=-1)) + 1)
        names = {prob: f"q-{prob:g}" for prob in asked.quantiles}
        for level in asked.level:
            low, high = interval_probs(level)
            names |= {low: f"lo-{level:g}", high: f"hi-{level:g}"}

        def laid_out(name: str) -> Float:
            column = frame[name if name in frame.columns else "mean"]
            grid_of = np.full(shape, np.nan)
            grid_of[codes, step] = column.to_numpy(np.float64)
            return grid_of

        quantiles = [laid_out(names[prob]) for prob in asked.probs]
        stacked = np.stack(quantiles, axis=-1) if quantiles else np.empty((*shape, 0))
        return cls(pd.Index(ids), first, laid_out("mean"), stacked, asked.probs)

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        """What was said of the ``h`` steps after the last row of each series; NaN for series that were not there.

        Raises ``ValueError`` for other probabilities than the frame had.
        """
        if not set(probs) <= set(self.probs):
            raise ValueError(f"earlier forecasts have no quantiles at {sorted(set(probs) - set(self.probs))}")
        place = self.ids.get_indexer(panel.ids).astype(np.int64)
        rows = np.maximum(place, 0)
        wanted = panel.last[:, None] + 1 + np.arange(h) - self.first[rows][:, None]
        columns = np.clip(wanted, 0, self.point.shape[1] - 1)
        point = self.point[rows[:, None], columns]
        chosen = [self.probs.index(prob) for prob in probs]
        quantiles = self.quantiles[rows[:, None], columns][..., chosen]
        point[place < 0], quantiles[place < 0] = np.nan, np.nan
        stale = (wanted >= self.point.shape[1]).sum(axis=1)
        reasons = {
            at: _words(int(late), h) if there else "none was published before"
            for at, (there, late) in enumerate(zip((place >= 0).tolist(), stale.tolist(), strict=True))
        }
        return Prediction(point, quantiles, tuple(probs), reasons)

    def describe(self) -> dict[str, object]:
        """Plain facts."""
        return {"kind": "Earlier", "series": len(self.ids), "steps": int(self.point.shape[1])}


def _words(stale: int, h: int) -> str:
    repeated = f", whose last step is repeated for {stale} of {h}" if stale else ""
    return f"the forecast published before{repeated}"


def _ordinals(stamps: pd.Series[Any], grid: Timeline) -> Int:
    """Places on ``grid`` of the stamps of a frame."""
    if grid.kind == "step":
        return grid.ordinals(stamps.to_numpy(np.int64))[0]
    if isinstance(stamps.dtype, pd.DatetimeTZDtype):
        stamps = stamps.dt.tz_convert(grid.tz if grid.local and grid.tz is not None else "UTC").dt.tz_localize(None)
    return grid.ordinals(stamps.to_numpy("datetime64[us]"))[0]
