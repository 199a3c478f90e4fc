"""The gate: a challenger becomes the current model only by forecasting the recent past well enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from forecast.batch.models.exam import METRICS, OUTCOME_METRICS, Exam, Score, set_exam
from forecast.checks import whole_number
from forecast.errors import ConfigError, printable
from forecast.model import Fitted, Task, kind_of
from forecast.models import create
from forecast.panel.panel import Panel

CHALLENGER, INCUMBENT, NAIVE = "challenger", "current", "seasonal_naive"


@dataclass(frozen=True)
class Verdict:
    """What the gate decided.

    Attributes:
        passed: whether the challenger may become the current model.
        reason: in words, with figures.
        scores: contestant -> its score, infinite for one that could not forecast; empty when nothing could be judged.
        metric: which score, lower is better.
        cutoffs, series, cells: on how much it was judged.
    """

    passed: bool
    reason: str
    scores: Mapping[str, float] = field(default_factory=dict)
    metric: str = ""
    cutoffs: int = 0
    series: int = 0
    cells: int = 0

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON; ``None`` for a score that is not finite."""
        scores = {name: value if math.isfinite(value) else None for name, value in self.scores.items()}
        return {
            "passed": self.passed,
            "reason": self.reason,
            "scores": scores,
            "metric": self.metric,
            "cutoffs": self.cutoffs,
            "series": self.series,
            "cells": self.cells,
        }


@dataclass(frozen=True)
class Gate:
    """Compares a challenger with the current model and the seasonal naive one, on rows that none of them has seen.

    What is judged is the recipe: a trial is trained by the challenger's settings on the rows up to the first cutoff,
    and forecasts from every cutoff like the two others. Only if it passes is the challenger itself trained, by the
    same recipe on all rows. Holding rows out is what makes the comparison fair. The trial has not seen the rows judged.
    Nor has the current model: only rows after those that it was trained on are judged (so a warm start from its
    weights carries nothing across either). Right after a refresh that leaves few rows; let ``refresh_after`` be a
    horizon or more where there are only a few series. Where no row is left to judge on, a first model passes and a
    challenger of another does not.

    Args:
        cutoffs: from how many cutoffs to forecast, a horizon apart where there is room.
        metric: ``mase``, ``smape`` or ``mae``, averaged over series; events are judged by the Brier score, classes by
            the share of misses.
        tolerance: by which share the challenger may be worse than either of the others; negative: must be better.

    Raises ``ConfigError`` for an argument that cannot be used.
    """

    cutoffs: int = 3
    metric: str = "mase"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        whole_number("cutoffs", self.cutoffs, 1, 1000)
        if self.metric not in METRICS:
            raise ConfigError(f"metric={printable(self.metric)} of the gate is not one of {', '.join(METRICS)}.")
        number = isinstance(self.tolerance, (int, float)) and not isinstance(self.tolerance, bool)
        if not number or not -1 < self.tolerance < math.inf:
            raise ConfigError(f"tolerance={printable(self.tolerance)} of the gate is a share above -1, 0.02 for 2 %.")

    def exam(self, panel: Panel, task: Task, since: int | None) -> Exam | str:
        """What to judge on; ``since`` is the last ordinal that the current model has seen. In words: why nothing."""
        return set_exam(panel, task, self.cutoffs, self.metric, since)

    def judge(self, exam: Exam, trial: Fitted, incumbent: Fitted | None) -> Verdict:
        """Whether ``trial``, trained on ``exam.past``, does at least as well as the others."""
        exam = replace(exam, metric=OUTCOME_METRICS.get(kind_of(trial), exam.metric))
        naive = create(NAIVE).fit(exam.past, exam.task)
        contestants = {CHALLENGER: trial, **({INCUMBENT: incumbent} if incumbent is not None else {}), NAIVE: naive}
        scores = {name: exam.score(fitted) for name, fitted in contestants.items()}
        own = scores[CHALLENGER]
        beaten_by = [name for name, other in scores.items() if name != CHALLENGER and not self._holds(own, other)]
        passed = math.isfinite(own.value) and not beaten_by
        return Verdict(
            passed,
            _words(passed, scores, beaten_by, exam),
            {name: score.value for name, score in scores.items()},
            exam.metric,
            len(exam.cutoffs),
            exam.series,
            exam.cells,
        )

    def _holds(self, own: Score, other: Score) -> bool:
        """Whether the challenger is at least as good, within the tolerance."""
        return not math.isfinite(other.value) or own.value <= other.value + self.tolerance * abs(other.value)


def unjudged(why: str, first: bool) -> Verdict:
    """The verdict where nothing can be judged: only a first model, with none to lose, passes."""
    if first:
        return Verdict(True, f"not judged: {why}; it is the first model, so it passes")
    return Verdict(False, f"not judged: {why}; the current version stays")


def _words(passed: bool, scores: Mapping[str, Score], beaten_by: list[str], exam: Exam) -> str:
    figures = ", ".join(
        f"{name} {score.value:.4g}" if not score.problem else f"{name} none ({score.problem})"
        for name, score in scores.items()
    )
    cutoffs = f"{len(exam.cutoffs)} cutoff{'s' if len(exam.cutoffs) > 1 else ''}"
    on = f"{exam.metric} on {exam.cells:,} forecasts of {exam.series:,} series from {cutoffs}: {figures}"
    if passed:
        return f"passed ({on})"
    why = f"behind {' and '.join(beaten_by)}" if beaten_by else "it could not forecast"
    return f"refused, {why} ({on})"
