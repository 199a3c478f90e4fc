"""Fit, predict, backtest, save and load on data frames: the notebook's front door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast import artifact, persist
from forecast.backtest import backtest
from forecast.errors import ConfigError, DataError, Fault, NotFittedError, some
from forecast.forecasts import forecast_frame, wanted
from forecast.ingest.door import to_panel
from forecast.model import Fitted, Model, Task
from forecast.models import create, name_of
from forecast.panel.panel import Panel
from forecast.panel.split import rolling_cutoffs
from forecast.schema import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from forecast.training.settings import Training

DEFAULT_MODEL = "segrnn"


class Forecaster:
    """One or several models over many series.

    Args:
        model: a name under conf/model or conf/baseline, an object of :mod:`forecast.models`, a list of either
            (one column each), or a mapping from column name to either. The default is ``segrnn``.
        h: steps to forecast.
        freq: pandas alias or integer step; inferred when left out.
        season_length: steps in a season; from the frequency when left out.
        max_steps, max_time: budget of each net in optimiser steps and seconds; shorthand for those of ``training``.
        seed: everything random derives from it.
        training: the rarer knobs.
        missing, duplicates, on_bad_series: what to do with faulty data, see :class:`forecast.Schema`.
        id_col, time_col, target_col: the columns of the frames.
        progress: show progress of long work.

    Raises ``ConfigError`` for an argument that cannot be used.

    >>> from forecast import Forecaster
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"ds": range(1, 9), "y": [3.0, 5, 3, 5, 3, 5, 3, 5]})
    >>> Forecaster("seasonal_naive", h=2, season_length=2).fit(frame).predict()["seasonal_naive"].tolist()
    [3.0, 5.0]
    """

    def __init__(
        self,
        model: Any = DEFAULT_MODEL,
        h: int = 1,
        freq: str | int | None = None,
        *,
        season_length: int | None = None,
        max_steps: int | None = None,
        max_time: float | None = None,
        seed: int = 0,
        training: Training | None = None,
        missing: str = "mask",
        duplicates: str = "raise",
        on_bad_series: str = "raise",
        id_col: str = "unique_id",
        time_col: str = "ds",
        target_col: str = "y",
        progress: bool = True,
    ) -> None:
        self.h = whole_number("h", h)
        self.freq = freq
        self.season_length = None if season_length is None else whole_number("season_length", season_length)
        self.seed = seed
        self.progress = progress
        self.schema = Schema(id_col, time_col, target_col, missing, duplicates, on_bad_series)
        self.models = named_models(model, budgeted(training, max_steps, max_time))
        taken = {id_col, time_col, target_col, "cutoff"} & set(self.models)
        if taken:
            raise ConfigError(f"a model cannot be called {some(taken)}: that is a column of the frame.")
        self._fitted: dict[str, Fitted] = {}
        self._panel: Panel | None = None
        self._task: Task | None = None

    def __repr__(self) -> str:
        state = f"fitted on {len(self._panel)} series" if self._panel is not None else "not fitted"
        return f"Forecaster({', '.join(self.models)}, h={self.h}, freq={self.freq!r}, {state})"

    def fit(self, df: Any, *, val_size: int | None = None) -> Forecaster:
        """Learn from a long frame (or a path to one) and remember it as history.

        ``val_size`` rows at the end of each series choose the best weights and calibrate intervals; by default the
        horizon. Raises ``DataError`` with every fault of every series before anything is trained.
        """
        panel = self._read(df)
        task = self._new_task(panel, val_size)
        self._fitted = {name: model.fit(panel, task) for name, model in self.models.items()}
        self._panel, self._task = panel, task
        return self

    def predict(
        self,
        df: Any = None,
        *,
        h: int | None = None,
        level: Sequence[float] | float | None = None,
        quantiles: Sequence[float] | float | None = None,
    ) -> pd.DataFrame:
        """Forecast after the last row of each series of the history, or of ``df``, whose series may be new.

        Returns id, time and one column a model, with ``-lo-90``/``-hi-90`` for each ``level`` in percent and
        ``-q-0.1`` for each of ``quantiles``. ``h`` may be shorter than the fitted horizon.
        """
        history, task = self._ready()
        panel = history if df is None else self._read_like(df, history)
        steps = task.h if h is None else whole_number("h", h)
        if steps > task.h:
            raise ConfigError(f"h={steps} is beyond the fitted horizon of {task.h}. Fit again with a larger h.")
        asked = wanted(level, quantiles)
        predictions = {name: fitted.predict(panel, steps, asked.probs) for name, fitted in self._fitted.items()}
        return forecast_frame(panel, predictions, asked)

    def cross_validation(
        self,
        df: Any,
        n_windows: int = 1,
        step_size: int | None = None,
        *,
        refit: bool = False,
        val_size: int | None = None,
        level: Sequence[float] | float | None = None,
        quantiles: Sequence[float] | float | None = None,
    ) -> pd.DataFrame:
        """Forecast from ``n_windows`` cutoffs, ``step_size`` (default ``h``) apart, the last ending with the data.

        Returns id, time, ``cutoff``, target and the columns of :meth:`predict`. Models are fitted once, before the
        first cutoff, or at every cutoff with ``refit``. The Forecaster itself is left as it was.
        """
        panel = self._read(df)
        task = self._new_task(panel, val_size)
        cutoffs = rolling_cutoffs(panel, self.h, n_windows, step_size)
        return backtest(self.models, panel, task, cutoffs, wanted(level, quantiles), refit=refit).frame

    def update(self, new_rows: Any) -> Forecaster:
        """Add rows that came after the history, without training again. New series are welcome.

        Raises ``DataError`` when a row is not later than the history of its series.
        """
        from forecast.panel.append import append

        history, _ = self._ready()
        self._panel = append(history, self._read_like(new_rows, history))
        return self

    def save(self, folder: str | Path) -> Path:
        """Write models and history to ``folder``: safetensors and JSON, atomically, replacing an older save."""
        panel, task = self._ready()
        return artifact.write(folder, persist.to_artifact(persist.Saved(self.models, self._fitted, task, panel)))

    @classmethod
    def load(cls, folder: str | Path) -> Forecaster:
        """A fitted Forecaster from what :meth:`save` wrote. Runs no code from the folder.

        Raises ``ArtifactError`` for a missing, damaged, foreign or newer model.
        """
        saved = persist.from_artifact(artifact.read(folder))
        schema = saved.panel.schema
        loaded = cls(
            saved.models,
            saved.task.h,
            saved.panel.timeline.freq,
            season_length=saved.task.season_length,
            seed=saved.task.seed,
            progress=saved.task.progress,
            **schema.__dict__,
        )
        loaded._fitted, loaded._panel, loaded._task = saved.fitted, saved.panel, saved.task
        return loaded

    def summary(self) -> pd.DataFrame:
        """The layers of every fitted net with shapes and parameter counts; one row for a model without layers."""
        self._ready()
        rows = []
        for name, fitted in self._fitted.items():
            layers = fitted.describe().get("layers") or [{"kind": type(self.models[name]).__name__, "parameters": 0}]
            rows += [{"model": name, "layer": "", "shape": "", **layer} for layer in layers]
        return pd.DataFrame(rows, columns=["model", "layer", "kind", "shape", "parameters"])

    def plot(self, df: Any = None, *, level: Sequence[float] = (80,), max_series: int = 4) -> Figure:
        """History and forecasts of the first series as a matplotlib figure."""
        from forecast.report.figures import plot

        history, _ = self._ready()
        panel = history if df is None else self._read_like(df, history)
        frame = self.predict(df, level=level)
        return plot(panel, frame, tuple(self.models), level=tuple(level), max_series=max_series)

    def _read(self, df: Any) -> Panel:
        return to_panel(df, self.schema, self.freq)

    def _read_like(self, df: Any, history: Panel) -> Panel:
        """New data on the grid and with the id type that the models were fitted on."""
        panel = to_panel(df, self.schema, history.timeline.freq)
        fitted, given = (index.inferred_type for index in (history.ids, panel.ids))
        if fitted != given:
            problem = f"ids were {fitted} when fitting and are {given} now"
            raise DataError(Fault(self.schema.id_col, problem, "Convert them to the type used in fit."))
        return panel

    def _new_task(self, panel: Panel, val_size: int | None) -> Task:
        season = self.season_length or panel.timeline.season_length
        size = None if val_size is None else whole_number("val_size", val_size, least=0)
        return Task(self.h, season, size, self.seed, self.progress)

    def _ready(self) -> tuple[Panel, Task]:
        if self._panel is None or self._task is None:
            raise NotFittedError("This Forecaster has not been fitted. Call fit(df) first, or load a saved one.")
        return self._panel, self._task


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """``value`` as an int. Raises ``ConfigError`` unless it is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ConfigError(f"{name}={value!r} must be a whole number of at least {least}.")
    return int(value)


def budgeted(training: Training | None, max_steps: int | None, max_time: float | None) -> Training:
    """``training`` (or the defaults) with the budget that was given directly."""
    from forecast.training.settings import Training

    given = {key: value for key, value in (("max_steps", max_steps), ("max_time", max_time)) if value is not None}
    return replace(training or Training(), **given)  # type: ignore[arg-type]


def named_models(model: Any, training: Training) -> dict[str, Model]:
    """Column name -> model, for everything the ``model`` argument of :class:`Forecaster` may be."""
    if isinstance(model, Mapping):
        named = {str(name): _as_model(spec, str(name), training) for name, spec in model.items()}
    else:
        specs = list(model) if isinstance(model, (list, tuple)) else [model]
        named = {}
        for spec in specs:
            base = spec if isinstance(spec, str) else name_of(spec)
            name, number = base, 2
            while name in named:
                name, number = f"{base}{number}", number + 1
            named[name] = _as_model(spec, name, training)
    if not named:
        raise ConfigError("model is empty: name at least one.")
    return named


def _as_model(spec: Any, name: str, training: Training) -> Model:
    from forecast.training.neural import Neural

    built = create(spec) if isinstance(spec, str) else spec
    if isinstance(built, Model):
        return built
    if hasattr(built, "build"):
        return Neural(built, training, name)
    raise ConfigError(f"model={built!r} is neither a model's name nor an object of forecast.models.")
