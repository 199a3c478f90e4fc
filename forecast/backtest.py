"""Backtests: models times cutoffs, each forecast made from what was known then."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.bad_series import Bad, good_series, predicted
from forecast.errors import DataError, Fault, ForecastWarning, some
from forecast.forecasts import Wanted, future_stamps, model_columns, with_all_shares
from forecast.model import Advancing, Fitted, Model, Prediction, Task, check_features
from forecast.panel.clock import as_index
from forecast.panel.fill import as_models_learn, as_models_see, given_to
from forecast.panel.panel import Panel
from forecast.panel.split import Past, actuals, past_at

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Backtest:
    """What a backtest gave.

    Attributes:
        frame: id, time, ``cutoff``, target, then the columns of each model.
        fitted: the models as they were at the last cutoff.
        seconds: time spent on each model, fitting and forecasting.
        reasons: for each model, why other models stood in for it, and how often.
    """

    frame: pd.DataFrame
    fitted: dict[str, Fitted]
    seconds: dict[str, float]
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)


def backtest(
    models: Mapping[str, Model],
    panel: Panel,
    task: Task,
    cutoffs: Int,
    asked: Wanted,
    *,
    refit: bool = False,
    bad: Bad = MappingProxyType({}),
) -> Backtest:
    """Forecast ``task.h`` steps from each cutoff (ordinals, shape (K, S), oldest first).

    Without ``refit`` a model is fitted once, on what was known at the first cutoff; the later forecasts see more
    history but the same weights. Rows of the horizon that the panel does not have are left out. ``bad`` series teach
    nothing and get naive forecasts, see :mod:`forecast.bad_series`.
    """
    check_features(models, panel)
    fitted: dict[str, Fitted] = {}
    seconds = dict.fromkeys(models, 0.0)
    reasons: dict[str, dict[str, int]] = {name: {} for name in models}
    frames = []
    for number, cutoff in enumerate(cutoffs):  # one past at a time: with many cutoffs they would fill the memory
        past = past_at(panel, cutoff)
        if number == 0:
            _tell_left_out(panel, past)
        seen = as_models_see(past.panel, task.season_length)
        good = good_series(past.panel, bad)
        taught = _taught(good, past.panel, task) if refit or number == 0 else None
        predictions = {}
        for name, model in models.items():
            started = time.monotonic()
            if taught is not None:
                fitted[name] = model.fit(given_to(model, good, taught), task)
            else:
                fitted[name] = _kept_up(fitted[name], good)
            predictions[name] = predicted(fitted[name], seen, task.h, asked.probs, bad, task.season_length)
            seconds[name] += time.monotonic() - started
            for reason in predictions[name].reasons.values():
                reasons[name][reason] = reasons[name].get(reason, 0) + 1
        frames.append(forecast_frame(panel, past, cutoff[past.chosen], predictions, task.h, asked))
    return Backtest(with_all_shares(pd.concat(frames, ignore_index=True), models), fitted, seconds, reasons)


def _kept_up(fitted: Fitted, panel: Panel) -> Fitted:
    """``fitted`` as it stands after the rows of ``panel``, where it says by ``adapts`` that it learns from such."""
    return fitted.advanced(panel) if getattr(fitted, "adapts", False) and isinstance(fitted, Advancing) else fitted


def _taught(good: Panel, past: Panel, task: Task) -> Panel:
    """What models learn from."""
    if not len(good):
        problem = "every series with a known value before the first cutoff has faults"
        raise DataError(Fault(past.schema.target_col, problem, "Use fewer windows, a smaller h, or mend the series."))
    return as_models_learn(good, task.h, task.val_size, task.season_length)


def forecast_frame(
    panel: Panel, past: Past, cutoff: Int, predictions: Mapping[str, Prediction], h: int, asked: Wanted
) -> pd.DataFrame:
    """The rows of one cutoff: the ``h`` steps after ``cutoff`` (those of ``past.chosen``) that ``panel`` has."""
    schema = panel.schema
    whole = panel.take(past.chosen)
    columns = {
        schema.id_col: whole.ids.repeat(h),
        schema.time_col: future_stamps(whole, cutoff, h),
        "cutoff": as_index(panel.timeline, panel.timeline.stamps(cutoff)).repeat(h),
        schema.target_col: actuals(whole, cutoff, h).ravel(),
    }
    for name, prediction in predictions.items():
        columns |= model_columns(name, prediction, asked)
    inside = (cutoff[:, None] + 1 + np.arange(h) <= whole.last[:, None]).ravel()
    return pd.DataFrame(columns)[inside]


def _tell_left_out(panel: Panel, oldest: Past) -> None:
    """Warn about series that had no history yet at the oldest cutoff: no more are without one later."""
    gone = panel.ids.delete(oldest.chosen)
    if len(gone):
        warnings.warn(
            f"{len(gone)} of {len(panel)} series have no known value before some cutoff and are left out there: "
            f"{some(gone)}. Use fewer windows or a smaller h to score them.",
            ForecastWarning,
            stacklevel=3,
        )
