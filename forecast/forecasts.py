"""From predictions to the long forecast frame."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ConfigError, ForecastWarning, some
from forecast.model import Prediction
from forecast.models import plain
from forecast.panel.clock import as_index, skipped
from forecast.panel.panel import Panel
from forecast.timeline import DAY, Timeline

Int = npt.NDArray[np.int64]
STATISTICS = ("mean", "median")
# How far from the origin a stamp may be, in the unit of each kind of timeline; keeps the arithmetic within 64 bits.
FARTHEST = {"step": 2**62, "tick": 10_000 * 366 * DAY, "month": 12 * 10_000, "business": 262 * 10_000}


@dataclass(frozen=True)
class Wanted:
    """Which columns besides the point forecast: interval levels in percent, quantiles, ``mean`` and ``median``."""

    level: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = ()
    statistics: tuple[str, ...] = ()

    @property
    def probs(self) -> tuple[float, ...]:
        """All probabilities needed, ascending."""
        sides = [side for level in self.level for side in interval_probs(level)]
        middle = (0.5,) if "median" in self.statistics else ()
        return tuple(sorted({*sides, *self.quantiles, *middle}))


def interval_probs(level: float) -> tuple[float, float]:
    """Lower and upper probability of the central interval that covers ``level`` percent.

    >>> interval_probs(90)
    (0.05, 0.95)
    """
    return round(0.5 - level / 200, 10), round(0.5 + level / 200, 10)


def wanted(
    level: Sequence[float] | float | None = None,
    quantiles: Sequence[float] | float | None = None,
    statistics: Sequence[str] | str | None = None,
) -> Wanted:
    """Checked and sorted.

    Raises ``ConfigError`` for a level outside 0 … 100, a quantile outside 0 … 1, or a statistic other than the two.
    """
    named = (statistics,) if isinstance(statistics, str) else tuple(statistics or ())
    unknown = [name for name in named if name not in STATISTICS]
    if unknown:
        raise ConfigError(f"statistics={some(unknown)}: there are {', '.join(STATISTICS)}.")
    return Wanted(_numbers("level", level, 100.0), _numbers("quantiles", quantiles, 1.0), tuple(dict.fromkeys(named)))


def _numbers(name: str, values: Sequence[float] | float | None, top: float) -> tuple[float, ...]:
    if values is None:
        return ()
    if isinstance(values, (np.ndarray, np.generic)):
        values = values.tolist()
    items: list[Any] = [plain(v) for v in values] if isinstance(values, Iterable) else [values]
    if isinstance(values, (str, bytes)):
        items = [values]
    bad = [v for v in items if isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 < v < top]
    if bad:
        raise ConfigError(f"{name}={bad!r}: numbers strictly between 0 and {top:g} are needed.")
    return tuple(sorted({float(v) for v in items}))


def check_reach(panel: Panel, h: int) -> None:
    """Raise ``ConfigError`` when the last of ``h`` steps after some series has no time stamp any more."""
    if len(panel):
        check_ordinals(panel.timeline, int(panel.last.max()) + h)


def check_ordinals(timeline: Timeline, *ordinals: int) -> None:
    """Raise ``ConfigError`` unless every ordinal has a time stamp: dates from year 1 to 9999, 64-bit whole numbers."""
    for ordinal in ordinals:
        if abs(ordinal * timeline.step) > FARTHEST.get(timeline.kind, 0):
            raise ConfigError(f"freq={timeline.freq!r}: step {ordinal:,} has no time stamp. Use a smaller h.")
    timeline.stamps(np.array(ordinals, dtype=np.int64))


def future_stamps(panel: Panel, cutoff: Int, h: int) -> pd.Index:
    """The ``h`` stamps after each cutoff, series by series, shape (S * h,)."""
    ordinals = cutoff[:, None] + 1 + np.arange(h, dtype=np.int64)
    return as_index(panel.timeline, panel.timeline.stamps(ordinals.ravel()))


def model_columns(name: str, prediction: Prediction, asked: Wanted) -> dict[str, npt.NDArray[np.float64]]:
    """The columns of one model, each (S * h,): ``name``, ``name-lo-90`` …, ``name-hi-90`` …, ``name-q-0.1`` …, those of
    statistics asked for, and of events and classes always the probabilities: ``name-p-1`` …."""
    columns = {name: prediction.point.ravel()}
    place = {prob: i for i, prob in enumerate(prediction.probs)}
    for level in reversed(asked.level):
        columns[f"{name}-lo-{level:g}"] = prediction.quantiles[..., place[interval_probs(level)[0]]].ravel()
    for level in asked.level:
        columns[f"{name}-hi-{level:g}"] = prediction.quantiles[..., place[interval_probs(level)[1]]].ravel()
    for q in asked.quantiles:
        columns[f"{name}-q-{q:g}"] = prediction.quantiles[..., place[q]].ravel()
    if "mean" in asked.statistics and prediction.mean is not None:
        columns[f"{name}-mean"] = prediction.mean.ravel()
    if "median" in asked.statistics:
        columns[f"{name}-median"] = prediction.quantiles[..., place[0.5]].ravel()
    if prediction.shares is not None:
        for number, column in enumerate(share_columns(name, prediction.classes)):
            columns[column] = prediction.shares[..., number].ravel()
    return columns


def with_all_shares(frame: pd.DataFrame, models: Iterable[str]) -> pd.DataFrame:
    """``frame`` put together of several, where a class that a model had not met in one of them is impossible there."""
    for name in models:
        columns = [column for column in frame.columns if str(column).startswith(f"{name}-p-")]
        if columns and frame[columns].isna().any(axis=None):
            told = frame[columns].notna().any(axis=1)
            frame[columns] = frame[columns].where(frame[columns].notna() | ~told.to_numpy()[:, None], 0.0)
    return frame


def share_columns(name: str, classes: Iterable[float]) -> list[str]:
    """The columns of the probabilities of ``classes``.

    >>> share_columns("lstm", (0.0, 2.0))
    ['lstm-p-0', 'lstm-p-2']
    """
    return [f"{name}-p-{value:.0f}" for value in classes]  # classes are whole numbers


def future_frame(panel: Panel, h: int) -> pd.DataFrame:
    """One row per series and step after each series' last row: id and time."""
    stamps = future_stamps(panel, panel.last, h)
    return pd.DataFrame({panel.schema.id_col: panel.ids.repeat(h), panel.schema.time_col: stamps})


def forecast_frame(panel: Panel, predictions: Mapping[str, Prediction], asked: Wanted) -> pd.DataFrame:
    """One row per series and step after each series' last row: id, time, then the columns of each model."""
    h = next(iter(predictions.values())).point.shape[1]
    _tell_skipped(panel, h)
    columns: dict[str, Any] = {}
    for name, prediction in predictions.items():
        columns |= model_columns(name, prediction, asked)
    return pd.concat([future_frame(panel, h), pd.DataFrame(columns)], axis=1)


def _tell_skipped(panel: Panel, h: int) -> None:
    """Warn about forecasts for wall times that do not exist, because the clock jumps over them."""
    ends = np.unique(panel.last)
    times = skipped(panel.timeline, (ends[:, None] + 1 + np.arange(h, dtype=np.int64)).ravel())
    if times.size:
        warnings.warn(
            f"{some(times.astype('datetime64[m]').astype(str).tolist())} do not exist in {panel.timeline.tz}, whose "
            "clock jumps over them: these forecasts are given at the first time after the jump.",
            ForecastWarning,
            stacklevel=3,
        )
