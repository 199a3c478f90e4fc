"""The pictures of the report, and of ``Forecaster.plot()``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ConfigError, DataError, Fault, some
from forecast.panel.panel import Panel
from forecast.report.columns import ModelColumns, find_models, outcome_of
from forecast.report.fan import View, draw_fan
from forecast.report.folds import CUTOFF, as_stamps
from forecast.report.ranking import Ranking
from forecast.report.style import INK, PAPER, REFERENCE, drawing, label_ends, model_colors, new_figure, plain_ticks
from forecast.report.views import line_of, view_of
from forecast.report.wording import label, metric_name, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_BARS = 24
FEW_STEPS = 18
CUT = 2.5  # times the median: where a value far above the others leaves the picture


def accuracy_bars(ranking: Ranking) -> Figure:
    """One bar per model, best on top, with a line at the naive reference."""
    models = [model for model in ranking.models if np.isfinite(ranking.value(model))][:SHOWN_BARS]
    values = np.array([ranking.value(model) for model in models])
    colors = model_colors(ranking.models)
    with drawing():
        figure = new_figure(0.55 + 0.34 * len(models))
        axes = figure.subplots()
        places = np.arange(len(models))
        # A model far behind would squeeze the others: its bar is cut, its number is not.
        limit = _top(values)
        axes.barh(places, np.minimum(values, limit), height=0.62, zorder=2, color=[colors[m] for m in models])
        for place, value in zip(places, values, strict=True):
            cut = " (bar cut)" if value > limit else ""
            axes.annotate(
                f"{number(float(value))}{cut}", (min(value, limit), place), xytext=(6, 0), textcoords="offset points",
                va="center", fontsize=9, fontweight="bold" if place == 0 else "normal", zorder=4,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.2},
            )  # fmt: skip
        if ranking.reference in models:
            axes.axvline(
                ranking.value(ranking.reference), color=REFERENCE, linewidth=1, linestyle=(0, (3, 3)), zorder=1.5
            )
        axes.set_yticks(places, [label(model) for model in models], color=INK, fontsize=9.5)
        axes.set_xlim(0, limit * 1.1)
        axes.invert_yaxis()
        axes.grid(False)
        axes.grid(axis="x")
        axes.set_xlabel(f"{metric_name(ranking.metric)}, lower is better")
    return figure


def horizon_lines(by_step: pd.DataFrame, metric: str, models: Sequence[str], colored: Sequence[str]) -> Figure:
    """A metric against the forecast step: a line for each of ``models``, the first on top, its name at its end.

    ``by_step`` has columns ``model``, ``key`` (the step) and ``metric``; ``colored`` are the models that the
    other pictures show, so that each keeps its colour.
    """
    from matplotlib.ticker import MaxNLocator

    colors = model_colors(colored)
    names = by_step["model"].to_numpy()
    curves = {model: by_step.loc[names == model, metric].to_numpy(dtype=np.float64) for model in models}
    steps = by_step.loc[names == models[0], "key"].to_numpy()
    top = _top(np.concatenate(list(curves.values())))
    with drawing():
        figure = new_figure(3.3)
        axes = figure.subplots()
        for model in reversed(models):
            width = 2.3 if model == models[0] else 1.5
            marker = "o" if steps.size <= FEW_STEPS else None
            axes.plot(steps, curves[model], color=colors[model], linewidth=width, marker=marker, markersize=4)
        axes.set_ylim(0, top)
        axes.margins(x=0.01)
        plain_ticks(axes)
        axes.xaxis.set_major_locator(MaxNLocator(13, integer=True))
        axes.set_xlabel("steps after the cutoff")
        axes.set_ylabel(metric_name(metric))
        known = {model: values[np.isfinite(values)] for model, values in curves.items()}
        ends = {model: min(float(values[-1]), top) for model, values in known.items() if values.size}
        label_ends(axes, ends, colors, cut={model for model in ends if known[model].max() > top})
    return figure


def _top(values: npt.NDArray[np.float64]) -> float:
    """Upper limit of an axis from zero: all values, unless a few lie far above the rest."""
    known = values[np.isfinite(values)]
    return 1.06 * float(min(known.max(), CUT * np.median(known))) or 1.0


def fans(views: Sequence[View], models: Sequence[str], columns: int = 1) -> Figure:
    """One picture of forecast against actual per view; ``models`` sets the colours."""
    colors = model_colors(models)
    rows = -(-len(views) // columns)
    with drawing():
        figure = new_figure(2.5 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
        for axes in grid[len(views) :]:
            axes.remove()
        for axes, view in zip(grid, views, strict=False):
            draw_fan(axes, view, colors)
    return figure


def plot(
    history: Panel,
    forecasts: pd.DataFrame,
    models: Sequence[str] | None = None,
    level: Sequence[float] | float | None = None,
    max_series: int = 4,
) -> Figure:
    """History and forecasts of the first series.

    Args:
        history: the series up to where the forecasts start.
        forecasts: what ``predict`` returned: id, time, one column per model, and their interval columns.
        models: which to draw, the first on top; all by default.
        level: interval levels in percent to shade; all that the frame has by default.
        max_series: how many series to draw at most.

    Returns a matplotlib figure that no backend owns: show it in a notebook by its value, or ``savefig`` it.
    Raises ``ConfigError`` for unknown models and ``DataError`` for a frame without the columns it needs.
    """
    schema = history.schema
    spare = [column for column in (schema.target_col, CUTOFF) if column in forecasts.columns]
    found = {model.name: model for model in find_models(forecasts, [schema.id_col, schema.time_col, *spare])}
    chosen = list(found) if models is None else list(models)
    unknown = [model for model in chosen if model not in found]
    if unknown or not chosen:
        raise ConfigError(f"models={chosen!r}: name at least one of {some(found)}.")
    if max_series < 1:
        raise ConfigError(f"max_series={max_series!r}: draw at least one series.")
    levels = None if level is None else {float(one) for one in np.atleast_1d(np.asarray(level, dtype=np.float64))}
    codes, names = pd.factorize(forecasts[schema.id_col])
    views = []
    for number_, name in enumerate(names[:max_series]):
        rows = forecasts[codes == number_].sort_values(schema.time_col)
        views.append(_forecast_view(history, name, rows, [found[model] for model in chosen], levels))
    figure = fans(views, chosen, columns=1 if len(views) < 3 else 2)
    figure.set_facecolor("white")  # a report has a page behind its pictures, a dark notebook does not
    return figure


def _forecast_view(
    history: Panel, name: object, rows: pd.DataFrame, models: Sequence[ModelColumns], levels: set[float] | None
) -> View:
    position = int(history.ids.get_indexer(pd.Index([name]))[0])
    if position < 0:
        remedy = "Pass the history that these forecasts continue."
        raise DataError(Fault(history.schema.id_col, "forecasts of a series that is not in the history", remedy, name))
    lines = [line_of(model, lambda c: rows[c].to_numpy(dtype=np.float64, na_value=np.nan), levels) for model in models]
    times = as_stamps(rows[history.schema.time_col], history.timeline)
    cutoff = int(history.last[position])
    return view_of(label(name), history, position, cutoff, times, np.zeros(0), lines, outcome_of(models))
