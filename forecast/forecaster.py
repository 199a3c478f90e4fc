"""Fit, predict, backtest, save and load on data frames: the notebook's front door."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast import artifact, persist
from forecast.aliases import Freq
from forecast.arguments import budgeted, named_models
from forecast.asking import Query, Question, asked_panel, question, steps_of
from forecast.backtest import backtest
from forecast.bad_series import Bad, good_series, in_words, listed, noted
from forecast.checks import truth, whole_number
from forecast.errors import ConfigError, NotFittedError, some
from forecast.forecasts import Wanted, check_reach, future_frame, wanted
from forecast.frequencies import Frequencies, by_frequency, is_several, refuse_parts
from forecast.ingest.door import Reading, read_panel
from forecast.ingest.like import check_ids
from forecast.ingest.terms import Terms
from forecast.intervals.calibrated import with_intervals
from forecast.intervals.settings import Intervals
from forecast.model import Advancing, Fitted, Task, check_features, tell_short
from forecast.models import LARGEST_SIZE, plain
from forecast.panel.calendar import calendar_of, with_calendar
from forecast.panel.fill import as_models_learn, as_models_see, given_to
from forecast.panel.panel import Panel
from forecast.panel.split import rolling_cutoffs
from forecast.panel.time_functions import TimeFunction, checked_functions
from forecast.report.outliers import outlier_frame, tell_outliers
from forecast.restored import restored
from forecast.scenarios import crossing_frame, path_frame
from forecast.schema import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from forecast.training.settings import Training

DEFAULT_MODEL = "segrnn"
LARGEST_SEED = 2**31 - 1


class Forecaster:
    """One or several models over many series.

    Args:
        model: a name under conf/model or conf/baseline, an object of :mod:`forecast.models`, either of them behind
            transforms (:class:`forecast.Transformed`), a list of these (one column each), or a mapping from column name
            to one. The default is ``segrnn``.
        h: steps to forecast.
        freq: pandas alias, integer step or :class:`~forecast.calendars.CustomBusiness`; inferred when left out. For
            series of several frequencies a mapping from series to frequency, or ``"each"``: then each frequency found
            has models of its own, in :attr:`parts`.
        season_length: steps in a season; from the frequency when left out.
        max_steps, max_time: budget of each net in optimiser steps and seconds; shorthand for those of ``training``.
        seed: everything random derives from it.
        training: the rarer knobs, or the name of a yaml under conf/trainer: ``stateful`` carries the state of a net
            along whole series, so that :meth:`update` reads new rows alone.
        intervals: conformal intervals in place of each model's own: ``"split"``, ``"cross"``, ``"adaptive"`` or a
            :class:`forecast.Intervals` object. Models are fitted once more, or several times, to be judged on rows that
            they have not seen; ``"adaptive"`` ones learn from what comes in by :meth:`update`.
        missing, duplicates, on_bad_series, outliers: what to do with faulty data, see :class:`forecast.Schema`.
        stat_exog: the static features: columns of ``static_df``, all by default, or of the long frame.
        hist_exog: covariates known up to the cutoff: columns of the long frame.
        futr_exog: covariates known into the future: columns of the long frame, and of ``futr_df`` when forecasting.
        calendar: ``"auto"`` tells nets the time of day, week, month and year, as far as the frequency resolves them; or
            a list of features, see :data:`~forecast.panel.calendar_features.FEATURES`.
        holidays: country, subdivision or stock exchange whose holidays nets are told: ``"DE"``, ``"DE-BY"``,
            ``"XNYS"``.
        holidays_col: the static feature, or column of ``futr_exog``, that names the place of each series instead.
        time_features: functions of time by name, from a ``DatetimeIndex`` to a number or text for each time. They are
            not saved: :meth:`load` asks for them again.
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
        freq: Freq | Mapping[Any, Freq] | None = None,
        *,
        season_length: int | None = None,
        max_steps: int | None = None,
        max_time: float | None = None,
        seed: int = 0,
        training: Training | str | None = None,
        intervals: Intervals | str | None = None,
        missing: str = "mask",
        duplicates: str = "raise",
        on_bad_series: str = "raise",
        outliers: str | None = None,
        stat_exog: Sequence[str] | None = None,
        hist_exog: Sequence[str] = (),
        futr_exog: Sequence[str] = (),
        calendar: str | Sequence[str] | None = None,
        holidays: str | None = None,
        holidays_col: str | None = None,
        time_features: Mapping[str, TimeFunction] | None = None,
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
        # checked by the schema, which keeps tuples
        features: dict[str, Any] = {"stat_exog": stat_exog, "hist_exog": hist_exog, "futr_exog": futr_exog}
        policies: dict[str, Any] = {"missing": missing, "duplicates": duplicates, "on_bad_series": on_bad_series}
        dates: dict[str, Any] = {"calendar": calendar, "holidays": holidays, "holidays_col": holidays_col}
        dates["time_features"] = tuple(checked_functions(time_features))
        self.schema = Schema(id_col, time_col, target_col, outliers=outliers, **features, **policies, **dates)
        calendar_of(self.schema)  # refuses what cannot be
        self._functions = time_features
        self.models = with_intervals(named_models(model, budgeted(training, max_steps, max_time)), intervals)
        taken = {id_col, time_col, target_col, "cutoff"} & set(self.models)
        if taken:
            raise ConfigError(f"a model cannot be called {some(taken)}: that is a column of the frame.")
        self._fitted: dict[str, Fitted] = {}
        self._panel: Panel | None = None
        self._task: Task | None = None
        self._bad: Bad = {}
        self._several = Frequencies(freq, self.schema, self._alike, season) if is_several(freq) else None

    @by_frequency
    def __repr__(self) -> str:
        state = f"fitted on {len(self._panel)} series" if self._panel is not None else "not fitted"
        return f"Forecaster({', '.join(self.models)}, h={self.h}, freq={self.freq!r}, {state})"

    @by_frequency
    def fit(self, df: Any, *, static_df: Any = None, val_size: int | None = None) -> Forecaster:
        """Learn from a long frame (or a path to one) and remember it as history.

        ``static_df`` has one row for each series: id, and features that do not change, numbers or labels.
        ``val_size`` rows at the end of each series choose the best weights and calibrate intervals; by default the
        horizon. Raises ``DataError`` with every fault of every series before anything is trained.
        """
        panel, bad = self._read(df, static_df)
        task = self._new_task(panel, val_size)
        check_reach(panel, task.h)
        dated = self._dated(panel)
        check_features(self.models, dated)
        tell_outliers(panel)
        good = good_series(dated, bad)
        taught = as_models_learn(good, task.h, task.val_size, task.season_length)
        self._fitted = {name: model.fit(given_to(model, good, taught), task) for name, model in self.models.items()}
        tell_short(panel, self._fitted)
        self._panel, self._task, self._bad = panel, task, bad
        return self

    @by_frequency
    def predict(
        self,
        df: Any = None,
        *,
        futr_df: Any = None,
        static_df: Any = None,
        h: int | None = None,
        level: Sequence[float] | float | None = None,
        quantiles: Sequence[float] | float | None = None,
        samples: int | None = None,
        statistics: Sequence[str] | str | None = None,
    ) -> pd.DataFrame:
        """Forecast after the last row of each series of the history, or of ``df``, whose series may be new.

        Returns id, time and one column a model, with ``-lo-90``/``-hi-90`` for each ``level`` in percent and
        ``-q-0.1`` for each of ``quantiles``; ``-mean`` and ``-median`` where ``statistics`` names them. Events and
        classes have ``-p-1``, the probability of 1, and so on. ``h`` may be shorter than the fitted horizon.
        ``static_df`` has the static features of series that are new; those of the history have theirs already, unless
        it gives others. ``futr_df`` has the covariates of ``futr_exog`` for the steps to forecast;
        :meth:`make_future_frame` gives its rows. Nets that read them cannot do without.

        With ``samples`` the forecasts are that many coherent futures of each series: one row per series, ``sample`` and
        time, see :func:`forecast.paths.sample_paths`. :meth:`simulate` draws other ones.
        """
        asked = wanted(level, quantiles, statistics)
        if samples is not None:
            if asked != Wanted():
                raise ConfigError("samples and level, quantiles or statistics: a frame has one of the two. Call twice.")
            return self._question(Query(df, futr_df, static_df, h)).futures(path_frame, samples)
        return self._question(Query(df, futr_df, static_df, h)).forecasts(asked)

    @by_frequency
    def simulate(
        self,
        df: Any = None,
        *,
        futr_df: Any = None,
        static_df: Any = None,
        h: int | None = None,
        samples: int = 100,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """Independent random futures of each series, the same for the same ``seed``; by default that of the Forecaster.

        The arguments are those of :meth:`predict`, whose ``samples`` are spread evenly instead: better for means and
        quantiles, while these are what chance would bring. One row per series, ``sample`` and time.
        """
        chance = self.seed if seed is None else whole_number("seed", seed, least=0, most=LARGEST_SEED)
        return self._question(Query(df, futr_df, static_df, h)).futures(path_frame, samples, chance)

    @by_frequency
    def crossing(
        self,
        df: Any = None,
        *,
        threshold: float,
        above: bool = True,
        futr_df: Any = None,
        static_df: Any = None,
        h: int | None = None,
        samples: int = 1000,
    ) -> pd.DataFrame:
        """How probable it is that the series is beyond ``threshold``: at each step, and by that step at least once.

        Returns id, time and for each model ``<model>-at`` and ``<model>-by``, shares of ``samples`` coherent futures.
        Beyond is above, or below with ``above=False``. The other arguments are those of :meth:`predict`.
        """
        threshold = plain(threshold)
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not math.isfinite(threshold):
            raise ConfigError(f"threshold={threshold!r}: a finite number is needed.")
        framed = partial(crossing_frame, threshold=float(threshold), above=truth("above", above))
        return self._question(Query(df, futr_df, static_df, h)).futures(framed, samples)

    @by_frequency
    def make_future_frame(self, df: Any = None, h: int | None = None, *, static_df: Any = None) -> pd.DataFrame:
        """The rows that ``futr_df`` needs, for you to add the columns of ``futr_exog``: id and time of ``h`` steps.

        The arguments are those of :meth:`predict`.
        """
        saved = self._saved()
        panel, _ = asked_panel(saved, df, static_df)
        return future_frame(panel, steps_of(saved, h))

    @by_frequency
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
        panel, bad = self._read(df, static_df)
        task = self._new_task(panel, val_size)
        rows = None if test_size is None else whole_number("test_size", test_size)
        cutoffs = rolling_cutoffs(panel, self.h, n_windows, step_size, rows)
        asked = wanted(level, quantiles)
        return noted(backtest(self.models, self._dated(panel), task, cutoffs, asked, refit=refit, bad=bad).frame, bad)

    @by_frequency
    def update(self, new_rows: Any, *, static_df: Any = None) -> Forecaster:
        """Add rows that came after the history, without training again. New series are welcome.

        ``static_df`` has the static features of the new series, as in :meth:`predict`.
        Rows without a value tell that time has passed. Raises ``DataError`` when a row is not later than the history
        of its series, or not on the history's grid or in its time zone.
        """
        from forecast.panel.append import append

        history, task = self._ready()
        new = read_panel(new_rows, Terms(self.schema, known=history, onward=True), static_df)
        check_ids(new.panel, history)
        panel = append(history, new.panel)
        bad = {**self._bad, **in_words(new.bad)}
        if any(isinstance(fitted, Advancing) for fitted in self._fitted.values()):
            good = good_series(self._dated(panel), bad)
            seen = as_models_see(good, task.season_length)
            before = good_series(history, bad)
            self._fitted = {
                name: fitted.advanced(given_to(fitted, good, seen), before) if isinstance(fitted, Advancing) else fitted
                for name, fitted in self._fitted.items()
            }
        self._panel, self._bad = panel, bad
        return self

    def save(self, folder: str | Path) -> Path:
        """Write models and history to ``folder``: safetensors and JSON, atomically, replacing an older save."""
        return artifact.write(folder, self._artifact())

    @classmethod
    def load(cls, folder: str | Path, *, time_features: Mapping[str, TimeFunction] | None = None) -> Forecaster:
        """A fitted Forecaster from what :meth:`save` wrote. Runs no code from the folder.

        ``time_features`` has the functions of time that it was fitted with, if any, by the same names.
        Raises ``ArtifactError`` for a missing, damaged, foreign or newer model, ``ConfigError`` for missing functions.
        """
        return restored(artifact.read(folder), cls, time_features)

    def _resume(self, saved: persist.Saved) -> None:
        """Go on with what was fitted before."""
        self._fitted, self._panel, self._task, self._bad = saved.fitted, saved.panel, saved.task, saved.bad

    @by_frequency
    def _artifact(self) -> artifact.Artifact:
        return persist.to_artifact(self._saved())

    def _options(self) -> dict[str, Any]:
        """What it was told of the data."""
        return {**self.schema.options(), "time_features": self._functions}

    def _dated(self, panel: Panel) -> Panel:
        """The panel with what is known of its times because they are times."""
        return with_calendar(panel, self.h, self._functions)

    def _alike(self, freq: Freq) -> Forecaster:
        """An unfitted Forecaster of one frequency, otherwise like this one."""
        season, seed = self.season_length, self.seed
        options = {**self._options(), "season_length": season, "seed": seed, "progress": self.progress}
        return Forecaster(self.models, self.h, freq, **options)

    @property
    def parts(self) -> dict[Freq, Forecaster]:
        """The fitted Forecaster of each frequency; this one alone where there is one frequency."""
        return dict(self._several.fitted()) if self._several else {self._ready()[0].timeline.freq: self}

    @property
    @by_frequency
    def bad_series(self) -> pd.DataFrame:
        """The series of the history that had faults: id, ``treatment`` (``skip`` or ``fallback``) and ``reason``.

        A frame that ``predict`` or ``cross_validation`` returns has those of its data in ``attrs["bad_series"]``.
        """
        self._ready()
        return listed(self._bad, self.schema)

    @property
    @by_frequency
    def outliers(self) -> pd.DataFrame:
        """Values absurdly far from their series: id, time, target, ``plausible`` (seen with ``outliers="clip"``)."""
        return outlier_frame(self._ready()[0])

    @by_frequency
    def summary(self) -> pd.DataFrame:
        """The layers of every fitted net with shapes and parameter counts; one row for a model without layers."""
        self._ready()
        rows = []
        for name, fitted in self._fitted.items():
            told, kind = fitted.describe(), type(getattr(self.models[name], "inner", self.models[name])).__name__
            layers = list(told.get("layers") or [{"kind": kind, "parameters": 0}])
            if "intervals" in told:
                how = f"{told['intervals']['method']} conformal"
                layers.append({"layer": "intervals", "kind": how, "parameters": 0})
            rows += [{"model": name, "layer": "", "shape": "", **layer} for layer in layers]
        return pd.DataFrame(rows, columns=["model", "layer", "kind", "shape", "parameters"])

    def plot(
        self,
        df: Any = None,
        *,
        futr_df: Any = None,
        static_df: Any = None,
        level: Sequence[float] = (80,),
        max_series: int = 4,
    ) -> Figure:
        """History and forecasts of the first series as a matplotlib figure."""
        from forecast.report.figures import plot

        panel, _ = asked_panel(self._saved(), df, static_df)
        frame = self.predict(df, futr_df=futr_df, static_df=static_df, level=level)
        return plot(panel, frame, tuple(self.models), level=tuple(level), max_series=max_series)

    def _read(self, df: Any, static_df: Any) -> tuple[Panel, Bad]:
        freq: Any = self.freq  # one frequency: several have a Forecaster each
        reading = df if isinstance(df, Reading) else read_panel(df, Terms(self.schema, freq), static_df)
        return reading.panel, in_words(reading.bad)

    def _new_task(self, panel: Panel, val_size: int | None) -> Task:
        season = self.season_length or panel.timeline.season_length
        size = None if val_size is None else whole_number("val_size", val_size, least=0)
        return Task(self.h, season, size, self.seed, self.progress)

    def _saved(self) -> persist.Saved:
        """Everything that fitting left behind. Raises ``NotFittedError`` before."""
        panel, task = self._ready()
        return persist.Saved(self.models, self._fitted, task, panel, self._bad)

    def _question(self, query: Query) -> Question:
        return question(self._saved(), query, self._dated)

    def _ready(self) -> tuple[Panel, Task]:
        if self._several is not None:
            refuse_parts(self._several.fitted())
        if self._panel is None or self._task is None:
            raise NotFittedError("This Forecaster has not been fitted. Call fit(df) first, or load a saved one.")
        return self._panel, self._task
