"""Fit, predict, backtest, save and load on data frames: the notebook's front door."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast import artifact, persist
from forecast.arguments import budgeted, named_models
from forecast.backtest import backtest
from forecast.checks import truth, whole_number
from forecast.errors import ConfigError, DataError, Fault, NotFittedError, some
from forecast.forecasts import check_reach, forecast_frame, wanted
from forecast.ingest.door import to_panel
from forecast.ingest.static import read_static, with_newborn, with_static
from forecast.ingest.validate import zone_problem
from forecast.model import Advancing, Fitted, Task, check_features, check_newborn
from forecast.models import LARGEST_SIZE
from forecast.panel.fill import as_models_see
from forecast.panel.panel import Panel
from forecast.panel.split import rolling_cutoffs
from forecast.schema import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from forecast.training.settings import Training

DEFAULT_MODEL = "segrnn"
LARGEST_SEED = 2**31 - 1


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
        training: the rarer knobs, or the name of a yaml under conf/trainer: ``stateful`` carries the state of a net
            along whole series, so that :meth:`update` reads new rows alone.
        missing, duplicates, on_bad_series: what to do with faulty data, see :class:`forecast.Schema`.
        stat_exog: the static features: columns of ``static_df``, all by default, or of the long frame.
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
        training: Training | str | None = None,
        missing: str = "mask",
        duplicates: str = "raise",
        on_bad_series: str = "raise",
        stat_exog: Sequence[str] | None = None,
        id_col: str = "unique_id",
        time_col: str = "ds",
        target_col: str = "y",
        progress: bool = True,
    ) -> None:
        self.h = whole_number("h", h, most=LARGEST_SIZE)
        self.freq = freq
        season = (
            season_length if season_length is None else whole_number("season_length", season_length, 1, LARGEST_SIZE)
        )
        self.season_length = season
        self.seed = whole_number("seed", seed, least=0, most=LARGEST_SEED)
        self.progress = truth("progress", progress)
        features: Any = stat_exog  # checked by the schema, which keeps a tuple
        self.schema = Schema(id_col, time_col, target_col, missing, duplicates, on_bad_series, features)
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

    def fit(self, df: Any, *, static_df: Any = None, val_size: int | None = None) -> Forecaster:
        """Learn from a long frame (or a path to one) and remember it as history.

        ``static_df`` has one row for each series: id, and features that do not change, numbers or labels.
        ``val_size`` rows at the end of each series choose the best weights and calibrate intervals; by default the
        horizon. Raises ``DataError`` with every fault of every series before anything is trained.
        """
        panel = self._read(df, static_df)
        task = self._new_task(panel, val_size)
        check_reach(panel, task.h)
        check_features(self.models, panel)
        seen = as_models_see(panel)
        self._fitted = {name: model.fit(seen, task) for name, model in self.models.items()}
        self._panel, self._task = panel, task
        return self

    def predict(
        self,
        df: Any = None,
        *,
        static_df: Any = None,
        h: int | None = None,
        level: Sequence[float] | float | None = None,
        quantiles: Sequence[float] | float | None = None,
    ) -> pd.DataFrame:
        """Forecast after the last row of each series of the history, or of ``df``, whose series may be new.

        Returns id, time and one column a model, with ``-lo-90``/``-hi-90`` for each ``level`` in percent and
        ``-q-0.1`` for each of ``quantiles``. ``h`` may be shorter than the fitted horizon. ``static_df`` has the static
        features of series that are new; those of the history have theirs already, unless it gives others.
        """
        _, task = self._ready()
        panel = self._asked(df, static_df)
        check_newborn(panel, self._fitted)
        steps = task.h if h is None else whole_number("h", h)
        if steps > task.h:
            raise ConfigError(f"h={steps} is beyond the fitted horizon of {task.h}. Fit again with a larger h.")
        asked = wanted(level, quantiles)
        seen = as_models_see(panel)
        predictions = {name: fitted.predict(seen, steps, asked.probs) for name, fitted in self._fitted.items()}
        return forecast_frame(panel, predictions, asked)

    def cross_validation(
        self,
        df: Any,
        n_windows: int = 1,
        step_size: int | None = None,
        *,
        test_size: int | None = None,
        static_df: Any = None,
        refit: bool = False,
        val_size: int | None = None,
        level: Sequence[float] | float | None = None,
        quantiles: Sequence[float] | float | None = None,
    ) -> pd.DataFrame:
        """Forecast from ``n_windows`` cutoffs, ``step_size`` (default ``h``) apart, the last ending with the data.

        ``test_size`` says instead how many rows at the end to test on; ``n_windows`` is then as many as fit.
        Returns id, time, ``cutoff``, target and the columns of :meth:`predict`. Models are fitted once, before the
        first cutoff, or at every cutoff with ``refit``. The Forecaster itself is left as it was.
        """
        panel = self._read(df, static_df)
        task = self._new_task(panel, val_size)
        rows = None if test_size is None else whole_number("test_size", test_size)
        cutoffs = rolling_cutoffs(panel, self.h, n_windows, step_size, rows)
        return backtest(self.models, panel, task, cutoffs, wanted(level, quantiles), refit=refit).frame

    def update(self, new_rows: Any, *, static_df: Any = None) -> Forecaster:
        """Add rows that came after the history, without training again. New series are welcome.

        ``static_df`` has the static features of the new series, as in :meth:`predict`.
        Rows without a value tell that time has passed. Raises ``DataError`` when a row is not later than the history
        of its series, or not on the history's grid or in its time zone.
        """
        from forecast.panel.append import append

        history, _ = self._ready()
        new = to_panel(new_rows, self.schema, history=history, static=static_df, known=history)
        self._check_ids(new, history)
        panel = append(history, new)
        if any(isinstance(fitted, Advancing) for fitted in self._fitted.values()):
            seen = as_models_see(panel)
            self._fitted = {
                name: fitted.advanced(seen, history) if isinstance(fitted, Advancing) else fitted
                for name, fitted in self._fitted.items()
            }
        self._panel = panel
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

    def plot(
        self, df: Any = None, *, static_df: Any = None, level: Sequence[float] = (80,), max_series: int = 4
    ) -> Figure:
        """History and forecasts of the first series as a matplotlib figure."""
        from forecast.report.figures import plot

        panel = self._asked(df, static_df)
        frame = self.predict(df, static_df=static_df, level=level)
        return plot(panel, frame, tuple(self.models), level=tuple(level), max_series=max_series)

    def _read(self, df: Any, static_df: Any) -> Panel:
        return to_panel(df, self.schema, self.freq, static=static_df)

    def _asked(self, df: Any, static_df: Any) -> Panel:
        """The series to forecast: the history, or new data of its frequency, id type and kind of time."""
        history, _ = self._ready()
        table = None if static_df is None else read_static(static_df, self.schema, history.static)
        panel = with_static(history, table, history) if df is None else self._read_like(df, static_df, history)
        return with_newborn(panel, table, history)

    def _read_like(self, df: Any, static_df: Any, history: Panel) -> Panel:
        panel = to_panel(df, self.schema, history.timeline.freq, static=static_df, known=history)
        self._check_ids(panel, history)
        new, old = panel.timeline.tz, history.timeline.tz
        if (new is None) != (old is None):
            remedy = f"Use .dt.tz_localize({old!r}), or fit again on times of this kind."
            raise DataError(Fault(self.schema.time_col, zone_problem(new, old), remedy))
        return panel

    def _check_ids(self, panel: Panel, history: Panel) -> None:
        fitted, given = (index.inferred_type for index in (history.ids, panel.ids))
        if fitted != given:
            problem = f"ids were {fitted} when fitting and are {given} now"
            raise DataError(Fault(self.schema.id_col, problem, "Convert them to the type used in fit."))

    def _new_task(self, panel: Panel, val_size: int | None) -> Task:
        season = self.season_length or panel.timeline.season_length
        size = None if val_size is None else whole_number("val_size", val_size, least=0)
        return Task(self.h, season, size, self.seed, self.progress)

    def _ready(self) -> tuple[Panel, Task]:
        if self._panel is None or self._task is None:
            raise NotFittedError("This Forecaster has not been fitted. Call fit(df) first, or load a saved one.")
        return self._panel, self._task
