"""Scores of forecasts of events and classes, vectorised over all rows.

A model without probabilities, such as a naive forecast beside a net, is judged by its point forecast: of an event that
is the probability, cut to 0 … 1; of classes it is told with certainty, and a number that is no class is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from forecast.report.columns import ModelColumns
from forecast.report.folds import Folds
from forecast.report.outcomes import EPS, HALF
from forecast.report.units import Units, counts, sums

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Scores = dict[str, Float | Int]

EVENT_METRICS = ("brier", "log_loss", "auc", "accuracy")
CLASS_METRICS = ("brier", "log_loss", "macro_f1", "accuracy")


def event_scores(folds: Folds, units: Units, model: ModelColumns) -> Scores:
    """Brier score, log loss and accuracy by series, AUC over all points of a row; then the counts."""
    p = probability(folds, model)
    known = np.isfinite(folds.y)
    scored = known & np.isfinite(p)
    y, p = np.where(scored, folds.y, 0.0), np.where(scored, p, 0.0)
    told = np.maximum(np.where(y == 1, p, 1 - p), EPS)
    average = _average(units, scored)
    row = units.row_of(y.size)[scored]
    return {
        "brier": average((p - y) ** 2),
        "log_loss": average(np.abs(np.log(told))),
        "auc": grouped_auc(row, y[scored] == 1, p[scored], units.keys.size),
        "accuracy": average((p >= HALF) == (y == 1)),
        **_counts(folds, units, known, scored),
    }


def probability(folds: Folds, model: ModelColumns) -> Float:
    """The probability of 1 by ``model``, shape (N,)."""
    told = folds.column(model.happens)
    return told if model.shares else np.clip(told, 0.0, 1.0)


def grouped_auc(groups: Int, event: Bool, p: Float, size: int) -> Float:
    """:func:`forecast.report.outcomes.auc` of each group, shape (size,), by ranks (Mann and Whitney 1947)."""
    order = np.lexsort((p, groups))
    groups, event, p = groups[order], event[order], p[order]
    new = np.append(True, (groups[1:] != groups[:-1]) | (p[1:] != p[:-1]))[: p.size]
    starts = np.flatnonzero(new)
    lengths = np.diff(np.append(starts, p.size))
    middle = np.repeat(starts + (lengths + 1) / 2, lengths)  # mean rank of forecasts that are equal, over all groups
    total, events = sums(groups, np.ones(p.size), size), sums(groups, event, size)
    before = np.cumsum(total) - total
    ranks = sums(groups, np.where(event, middle - before[groups], 0.0), size)
    pairs = events * (total - events)
    area: Float = (ranks - events * (events + 1) / 2) / np.where(pairs > 0, pairs, 1.0)
    return np.where(pairs > 0, area, np.nan)


@dataclass(frozen=True)
class ClassForecast:
    """What a model says of classes, as places in ``labels``; -1 for a number that is none of them.

    Attributes:
        labels: every class that occurs or that a model knows, ascending, shape (K,).
        actual: shape (N,); 0 where unknown.
        named: the class forecast, shape (N,).
        scored: where both are known, shape (N,).
        shares: the column of each label; ``None`` for one that the model does not know. Empty without probabilities.
    """

    folds: Folds
    labels: Float
    actual: Int
    named: Int
    scored: Bool
    shares: Sequence[str | None]

    @cached_property
    def squares(self) -> Float:
        """What the Brier score charges each point, 0 to 2, shape (N,); NaN where not scored."""
        if not self.shares:
            return np.where(self.scored, 2.0 * (self.named != self.actual), np.nan)
        total = np.zeros(self.actual.size)
        for place, column in enumerate(self.shares):
            told = 0.0 if column is None else self.folds.column(column)
            total += (told - (self.actual == place)) ** 2
        return np.where(self.scored, total, np.nan)

    @cached_property
    def told(self) -> Float:
        """The probability told of what came, shape (N,)."""
        if not self.shares:
            return np.where(self.named == self.actual, 1.0, 0.0)
        came = np.zeros(self.actual.size)
        for place, column in enumerate(self.shares):
            if column is not None:
                here = self.actual == place
                came[here] = self.folds.column(column)[here]
        return came


def labels_of(folds: Folds) -> Float:
    """Every class that a model knows or that came, ascending."""
    told = [float(value) for model in folds.models for value in model.shares]
    return np.unique(np.concatenate([np.array(told, dtype=np.float64), np.unique(folds.y[np.isfinite(folds.y)])]))


def class_forecast(folds: Folds, model: ModelColumns) -> ClassForecast:
    """What ``model`` says of classes; one without any probability column is certain of its point forecast."""
    labels = labels_of(folds)
    shares = {float(value): column for value, column in model.shares.items()}
    columns = [shares.get(float(label)) for label in labels] if shares else []
    forecast = folds.column(model.name)
    scored = np.isfinite(folds.y) & np.isfinite(forecast)
    for column in shares.values():
        scored &= np.isfinite(folds.column(column))
    actual = np.searchsorted(labels, np.where(scored, folds.y, labels[0]))
    place = np.minimum(np.searchsorted(labels, forecast), labels.size - 1)
    named = np.where(labels[place] == forecast, place, -1)
    return ClassForecast(folds, labels, actual, named, scored, columns)


def class_scores(folds: Folds, units: Units, model: ModelColumns) -> Scores:
    """Brier score, log loss and accuracy by series, macro F1 over all points of a row; then the counts."""
    told = class_forecast(folds, model)
    average = _average(units, told.scored)
    rows = units.row_of(folds.y.size)[told.scored]
    actual, named = told.actual[told.scored], told.named[told.scored]
    return {
        "brier": average(np.where(told.scored, told.squares, 0.0)),
        "log_loss": average(np.abs(np.log(np.maximum(np.where(told.scored, told.told, 1.0), EPS)))),
        "macro_f1": _macro_f1(rows, actual, named, units.keys.size, told.labels.size),
        "accuracy": average(told.named == told.actual),
        **_counts(folds, units, np.isfinite(folds.y), told.scored),
    }


def _macro_f1(rows: Int, actual: Int, named: Int, size: int, classes: int) -> Float:
    """Per row: ``2 tp / (came + named)`` averaged over the classes that came or were named, shape (size,)."""
    cells = size * (classes + 1)
    # A number that is no class is one class more, whose F1 is 0, as in sklearn.
    named = np.where(named < 0, classes, named)
    came, said = (sums(rows * (classes + 1) + values, np.ones(rows.size), cells) for values in (actual, named))
    right = sums(rows * (classes + 1) + actual, named == actual, cells)
    met = (came + said > 0).reshape(size, -1)
    f1 = (2 * right / np.where(came + said > 0, came + said, 1.0)).reshape(size, -1)
    mean: Float = f1.sum(1) / np.where(met.any(1), met.sum(1), np.nan)
    return mean


def _average(units: Units, scored: Bool) -> Callable[[Float | Bool], Float]:
    """Means per series over its scored points, then over series, shape (R,)."""
    n = units.total(scored)
    return lambda points: units.mean(units.total(np.where(scored, points, 0.0)) / n)


def _counts(folds: Folds, units: Units, known: Bool, scored: Bool) -> dict[str, Int]:
    n = units.total(scored)
    return counts(folds, units, known, scored, n, n)
