"""From what a caller asks of a fitted Forecaster to the frame that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.bad_series import Bad, bad_places, in_words, noted, predicted
from forecast.baselines.naive import SeasonalNaive
from forecast.checks import whole_number
from forecast.errors import ConfigError, some
from forecast.forecasts import Wanted, forecast_frame
from forecast.ingest.future import asked_future
from forecast.ingest.like import read_like
from forecast.ingest.static import read_static, with_newborn, with_static
from forecast.model import Fitted, Prediction, Task, check_newborn, kind_of, tell_short
from forecast.panel.fill import as_models_see
from forecast.panel.panel import Panel
from forecast.paths import MOST_SAMPLES, sample_paths
from forecast.persist import Saved
from forecast.scenarios import Framed

Float = npt.NDArray[np.float64]
MEAN_SAMPLES = 200


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
        fitted: the models, by name.
        panel: the series, for the stamps of the forecast.
        seen: the same as models see them.
        bad: the series with faults.
        h: steps to forecast.
        season_length: of the series.
    """

    fitted: Mapping[str, Fitted]
    panel: Panel
    seen: Panel
    bad: Bad
    h: int
    season_length: int

    def forecasts(self, asked: Wanted) -> pd.DataFrame:
        """The frame of forecasts, with the columns ``asked`` for."""
        made = {
            name: predicted(fitted, self.seen, self.h, asked.probs, self.bad, self.season_length)
            for name, fitted in self.fitted.items()
        }
        if asked.statistics:
            self._refuse_classes("statistics")
        if "mean" in asked.statistics:
            made = {name: self._with_mean(self.fitted[name], prediction) for name, prediction in made.items()}
        return noted(forecast_frame(self.panel, made, asked), self.bad)

    def futures(self, framed: Framed, samples: int, seed: int | None = None) -> pd.DataFrame:
        """Sample paths of every model, made a frame. Raises ``ConfigError`` for a number that cannot be drawn."""
        count = whole_number("samples", samples, least=2, most=MOST_SAMPLES)
        paths = {name: self.paths(fitted, count, seed) for name, fitted in self.fitted.items()}
        return noted(framed(self.panel, paths), self.bad)

    def _refuse_classes(self, what: str) -> None:
        names = [name for name, fitted in self.fitted.items() if kind_of(fitted) == "class"]
        if names:
            raise ConfigError(
                f"{what}: {some(names)} forecast classes, whose codes are no numbers. Use the -p- columns."
            )

    def _with_mean(self, fitted: Fitted, made: Prediction) -> Prediction:
        """``made`` with the mean of its futures where the model tells no mean."""
        return made if made.mean is not None else replace(made, mean=self.paths(fitted, MEAN_SAMPLES, None).mean(1))

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


def question(saved: Saved, query: Query, dated: Callable[[Panel], Panel]) -> Question:
    """``query`` of what was ``saved``, read and checked; ``dated`` adds what is known of times because they are times.

    Raises ``DataError`` for data that cannot be forecast, ``ConfigError`` for a horizon beyond the fitted one.
    """
    panel, bad = asked_panel(saved, query.df, query.static_df)
    check_newborn(panel, saved.fitted)
    steps = steps_of(saved, query.h)
    needed = any(getattr(model, "reads_futr", False) for model in saved.models.values())
    panel = asked_future(panel, query.futr_df, steps, saved.task.h, needed)
    if query.df is not None:
        tell_short(panel, saved.fitted)
    season = saved.task.season_length
    return Question(saved.fitted, panel, as_models_see(dated(panel), season), bad, steps, season)


def asked_panel(saved: Saved, df: Any, static_df: Any) -> tuple[Panel, Bad]:
    """The series to forecast, the history or new data of its frequency, id type and kind of time; the bad ones."""
    history = saved.panel
    table = None if static_df is None else read_static(static_df, history.schema, history.static)
    if df is None:
        return with_newborn(with_static(history, table, history), table, history), saved.bad
    reading = read_like(df, history.schema, history, static_df)
    return with_newborn(reading.panel, table, history), in_words(reading.bad)


def steps_of(saved: Saved, h: int | None) -> int:
    """Steps to forecast, ``h`` or all of the fitted horizon. Raises ``ConfigError`` for more."""
    steps = saved.task.h if h is None else whole_number("h", h)
    if steps > saved.task.h:
        raise ConfigError(f"h={steps} is beyond the fitted horizon of {saved.task.h}. Fit again with a larger h.")
    return steps
