"""How the report shows forecasts of events and classes: tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.report.calibration_view import square
from forecast.report.folds import Folds
from forecast.report.outcome_scores import ClassForecast, class_forecast, probability
from forecast.report.outcomes import auc, brier, brier_parts, event_accuracy, event_bins, log_loss, roc
from forecast.report.style import INK, MUTED, PAPER, WIDTH, drawing, model_colors, new_figure
from forecast.report.wording import label, metric_value, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

SHOWN_MODELS = 6
SHOWN_MATRICES = 3
SHOWN_CLASSES = 12
CURVE_POINTS = 400
FAINT, FULL = 0.06, 0.56  # how opaque cells are: the number on the darkest can be read on a light and a dark page


def event_rows(folds: Folds, models: Sequence[str]) -> list[tuple[str, ...]]:
    """Per model: the Brier score and its parts, log loss, AUC, accuracy, and how often it told the event, as text.

    Over all points at once; the ranking averages over series.
    """
    rows = []
    for model in _chosen(folds, models):
        y, p = folds.y, probability(folds, model)
        parts = brier_parts(y, p)
        numbers = (brier(y, p), parts.reliability, parts.resolution, parts.uncertainty, parts.within, log_loss(y, p))
        told, came = p[np.isfinite(p) & np.isfinite(y)], y[np.isfinite(p) & np.isfinite(y)]
        shares = (event_accuracy(y, p), *(float(v.mean()) if v.size else np.nan for v in (told, came)))
        texts = [number(auc(y, p)), *(metric_value("accuracy", share) for share in shares)]
        rows.append(
            (model.name, *(f"{value:.4f}" if np.isfinite(value) else number(value) for value in numbers), *texts)
        )
    return rows


def event_figure(folds: Folds, models: Sequence[str], colored: Sequence[str]) -> Figure | None:
    """Reliability of the probabilities, and the ROC curve, of the first six of ``models``; ``None`` without actuals."""
    if not np.isfinite(folds.y).any():
        return None
    colors = model_colors(colored)
    with drawing():
        figure = new_figure(4.1, 0.86 * WIDTH)
        left, right = figure.subplots(1, 2)
        shown = _chosen(folds, models)[:SHOWN_MODELS]
        for model in reversed(shown):
            y, p = folds.y, probability(folds, model)
            _event_bins(left, y, p, colors[model.name])
            false, true = _thinned(*roc(y, p))
            right.plot(false, true, color=colors[model.name], zorder=3)
        for axes in (left, right):
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)), zorder=1.5)
            square(axes)
        names = [(label(model.name, 24), auc(folds.y, probability(folds, model)), model.name) for model in shown]
        for place, (text, area, name) in enumerate(reversed(names)):
            right.annotate(
                f"{text}  {number(area)}", (1, 0), (-8, 8 + 13 * place), "axes fraction", "offset points", ha="right",
                color=colors[name], fontsize=9, fontweight="bold", zorder=5,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
        left.set_title("Reliability")
        left.set_xlabel("probability told")
        left.set_ylabel("how often the event came")
        right.set_title("ROC curve, and the area below it")
        right.set_xlabel("share of non-events told at least as much")
        right.set_ylabel("share of events")
    return figure


def class_rows(folds: Folds, model: str) -> list[tuple[str, ...]]:
    """Per class: its code, how often it came and was forecast, precision, recall and F1 of ``model``, as text."""
    told = class_forecast(folds, _chosen(folds, [model])[0])
    matrix = _counts(told)
    came, named, right = matrix.sum(1), matrix[:, : told.labels.size].sum(0), np.diag(matrix)
    rows = []
    for place, code in enumerate(told.labels):
        precision, recall = (_share(right[place], total[place]) for total in (named, came))
        f1 = _share(2 * right[place], came[place] + named[place])
        counts = f"{came[place]:,}", f"{named[place]:,}"
        rows.append(
            (f"{code:g}", *counts, *(metric_value("accuracy", share) for share in (precision, recall)), number(f1))
        )
    return rows


def class_figure(folds: Folds, models: Sequence[str], colored: Sequence[str]) -> Figure | None:
    """Confusion matrices of the first three of ``models``, and the reliability of the probabilities that they tell.

    ``None`` without actuals. Of more than twelve classes, the twelve that came most often are shown.
    """
    if not np.isfinite(folds.y).any():
        return None
    colors = model_colors(colored)
    found = [(model, class_forecast(folds, model)) for model in _chosen(folds, models)[:SHOWN_MATRICES]]
    probable = [(model.name, told) for model, told in found if told.shares]
    with drawing():
        panels = len(found) + bool(probable)
        figure = new_figure(3.5, WIDTH * min(1.0, 0.34 * max(panels, 2)))
        grid = figure.subplots(1, panels, squeeze=False)[0]
        for axes, (model, told) in zip(grid, found, strict=False):
            _matrix(axes, told, colors[model.name])
            axes.set_title(label(model.name, 26))
        grid[0].set_ylabel("class that came")
        if probable:
            for name, told in reversed(probable):
                _event_bins(grid[-1], *_pooled(told), colors[name])
            grid[-1].plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)), zorder=1.5)
            square(grid[-1])
            grid[-1].set_title("Reliability, all classes")
            grid[-1].set_xlabel("probability told")
            grid[-1].set_ylabel("how often the class came")
    return figure


def _chosen(folds: Folds, models: Sequence[str]) -> list[Any]:
    found = {model.name: model for model in folds.models}
    return [found[name] for name in models]


def _event_bins(axes: Axes, y: Float, p: Float, color: str) -> None:
    """What was told against how often it came; the area of a dot is its share of forecasts."""
    bins = event_bins(y, p)
    axes.plot(bins.told, bins.frequency, color=color, linewidth=1.3, alpha=0.8, zorder=3)
    sizes = 14 + 260 * bins.n / max(int(bins.n.sum()), 1)
    axes.scatter(bins.told, bins.frequency, s=sizes, color=color, alpha=0.85, linewidth=0, zorder=4, clip_on=False)


def _thinned(x: Float, y: Float) -> tuple[Float, Float]:
    """At most so many points of a curve, its ends among them: a page is no place for a million."""
    kept = np.unique(np.linspace(0, max(x.size - 1, 0), min(x.size, CURVE_POINTS)).round().astype(np.int64))
    return x[kept], y[kept]


def _counts(told: ClassForecast) -> Int:
    """How often each class (row) was forecast as each (column; the last: as no class), shape (K, K + 1)."""
    k = told.labels.size
    named = np.where(told.named < 0, k, told.named)[told.scored]
    cells = np.bincount(told.actual[told.scored] * (k + 1) + named, minlength=k * (k + 1))
    return cells.reshape(k, k + 1).astype(np.int64)


def _pooled(told: ClassForecast) -> tuple[Float, Float]:
    """Whether each class came, and the probability told of it, one after the other."""
    came, shares = [], []
    for place, column in enumerate(told.shares):
        if column is not None:
            came.append((told.actual == place)[told.scored].astype(np.float64))
            shares.append(told.folds.column(column)[told.scored])
    return np.concatenate(came), np.concatenate(shares)


def _matrix(axes: Axes, told: ClassForecast, color: str) -> None:
    """Cells shaded by their share of the row, with that share, and the counts where there is room."""
    from matplotlib.colors import to_rgba

    matrix = _counts(told)
    most = np.sort(np.argsort(-matrix.sum(1), kind="stable")[:SHOWN_CLASSES])
    shares = (matrix / np.maximum(matrix.sum(1, keepdims=True), 1))[np.ix_(most, most)]
    small = most.size > 6
    for row, column in np.ndindex(*shares.shape):
        share = float(shares[row, column])
        shade = to_rgba(color, FAINT + (FULL - FAINT) * share)
        axes.bar(column, 0.94, 0.94, row - 0.47, facecolor=shade, edgecolor="none")
        text = f"{100 * share:.0f}" if small else f"{percent(share)}\n{matrix[most[row], most[column]]:,}"
        axes.text(column, row, text, ha="center", va="center", color=INK, fontsize=8 if small else 9, linespacing=1.35)
    codes = [f"{told.labels[place]:g}" for place in most]
    axes.set_xticks(range(most.size), codes)
    axes.set_yticks(range(most.size), codes)
    axes.set_xlim(-0.5, most.size - 0.5)
    axes.set_ylim(most.size - 0.5, -0.5)
    axes.set_aspect("equal", adjustable="box")
    axes.grid(False)
    axes.set_xlabel("class forecast")


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan
