"""Recent cutoffs to judge models on, with rows that none of them was trained on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from forecast.batch.models.failures import FAILURES, in_words
from forecast.model import Fitted, Task
from forecast.panel.panel import Panel
from forecast.panel.split import actuals, known_at
from forecast.report.metrics import symmetric_errors
from forecast.report.scale import insample_scales

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

METRICS = ("mase", "smape", "mae")
OUTCOME_METRICS = {"event": "brier", "class": "misses"}  # whatever metric was asked for
LEAST_ROWS = 4
MOST_SERIES = 5000


@dataclass(frozen=True)
class Score:
    """How well one model did: the lower, the better; infinite, with the ``problem``, for one that could not."""

    value: float
    problem: str = ""


@dataclass(frozen=True)
class Exam:
    """Some series, cut off K times, and what followed.

    Attributes:
        past: what may be trained on: every series as it was known at the first cutoff.
        panel: the series that are judged, whole; of very many an even spread.
        cutoffs: ordinals of the last row known, (K, S), oldest first.
        actual: what followed, (K, S, h); NaN where unknown, or not yet there.
        metric: ``mase``, ``smape`` or ``mae``, of each series and averaged over series.
        task: horizon and season.
    """

    past: Panel
    panel: Panel
    cutoffs: Int
    actual: Float
    metric: str
    task: Task

    @property
    def cells(self) -> int:
        """How many forecasts are compared with what followed."""
        return int(np.isfinite(self.actual).sum())

    @property
    def series(self) -> int:
        """Of how many series."""
        return int(np.isfinite(self.actual).any(axis=(0, 2)).sum())

    @cached_property
    def scale(self) -> Float:
        """What the errors of each series are divided by, (S,): MASE's scale at the first cutoff, NaN for none."""
        if self.metric != "mase":
            return np.ones(len(self.panel))
        everyone = np.arange(len(self.panel), dtype=np.int64)
        return insample_scales(self.panel, everyone, self.cutoffs[0], self.task.season_length).absolute

    def score(self, fitted: Fitted) -> Score:
        """Forecast from every cutoff, from the rows known then, and compare."""
        errors = np.full(self.actual.shape, np.nan)
        for number, cutoff in enumerate(self.cutoffs):
            known = np.isfinite(self.actual[number])
            try:
                point = fitted.predict(known_at(self.panel, cutoff).panel, self.task.h).point
            except FAILURES as error:
                return Score(np.inf, in_words(error))
            missing = known & ~np.isfinite(point)
            if missing.any():
                return Score(np.inf, f"{int(missing.sum())} of its forecasts are not finite")
            errors[number] = np.where(known, self._errors(self.actual[number], point), np.nan)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
            per_series = np.nanmean(errors, axis=(0, 2)) / self.scale
            return Score(float(np.nanmean(per_series)))

    def _errors(self, actual: Float, point: Float) -> Float:
        with np.errstate(over="ignore"):
            if self.metric == "smape":
                return symmetric_errors(actual, point)
            if self.metric == "misses":
                missed: Float = (point != actual).astype(np.float64)
                return missed
            away: Float = np.abs(point - actual)
            return away * away if self.metric == "brier" else away


def set_exam(panel: Panel, task: Task, count: int, metric: str, since: int | None) -> Exam | str:
    """Cut ``panel`` off ``count`` times, for models none of which has seen a row after ordinal ``since``.

    The rows judged are the last ``count * h``, fewer where the incumbent has been trained on some of them or where
    too little would be left to train on; the horizons of late cutoffs reach to the end of the data and no further.
    Gives the reason in words where nothing can be judged.
    """
    span = count * task.h
    if since is not None:
        span = min(span, int(panel.last.max()) - since)
        if span < 1:
            return "there is no row that the current version has not been trained on"
    span = _affordable(panel, task, span, count)
    if span < 1:
        return "the series are too short to hold any rows out"
    step = max(1, span // count)
    backs = [span - step * number for number in range(count) if span - step * number > 0]
    cutoffs = np.stack([panel.last - back for back in backs])
    if since is not None:
        cutoffs = np.minimum(np.maximum(cutoffs, since), panel.last)
    first = known_at(panel, cutoffs[0])
    spread = np.linspace(0, len(first.chosen) - 1, min(len(first.chosen), MOST_SERIES)).astype(np.int64)
    chosen = first.chosen[spread]
    judged, cutoffs = panel.take(chosen), cutoffs[:, chosen]
    actual = np.stack([actuals(judged, cutoff, task.h) for cutoff in cutoffs])
    exam = Exam(first.panel, judged, cutoffs, actual, metric, task)
    if not exam.cells:
        return "no value is known after the cutoffs"
    if np.isfinite(exam.scale).any():
        return exam
    return Exam(first.panel, judged, cutoffs, actual, "mae", task)  # nothing moves: there is no scale


def _affordable(panel: Panel, task: Task, span: int, count: int) -> int:
    """How many rows can be held out so that half of the series keep enough: as many, a season, a horizon, four."""
    median = int(np.median(panel.lengths))
    left = median - span
    if left >= max(LEAST_ROWS, span, task.h, task.season_length):
        return span
    shorter = min(span, median - max(LEAST_ROWS, task.h, task.season_length), median // 2)
    return max(0, shorter)
