"""Pictures of intervals and quantiles: how much they hold at each step, and where the actuals fell among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.report.calibration import SURE, histogram, pit_ends, shares_below
from forecast.report.evaluate import KEY
from forecast.report.folds import Folds
from forecast.report.ranking import levels_of
from forecast.report.style import GRID, INK, MUTED, WIDTH, drawing, label_ends, model_colors, new_figure, plain_ticks
from forecast.report.wording import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Float = npt.NDArray[np.float64]

SHOWN_LEVELS = 3
SHOWN_MODELS = 4
FEWEST_PROBABILITIES = 2
FEW_STEPS = 18


def interval_lines(by_step: pd.DataFrame, models: Sequence[str], colored: Sequence[str]) -> Figure | None:
    """Coverage and mean width against the step: a row for each of the widest three levels, a line for each model.

    ``by_step`` are scores by step; ``colored`` are the models that the other pictures show, so that each keeps its
    colour. ``None`` where there is one step only, or no interval.
    """
    names = by_step["model"].to_numpy()
    curves = {model: by_step[names == model] for model in models}
    levels = levels_of(by_step)[::-1][:SHOWN_LEVELS]
    if not levels or by_step[KEY].nunique() < 2:
        return None
    colors = model_colors(colored)
    with drawing():
        figure = new_figure(0.5 + 1.75 * len(levels))
        grid = figure.subplots(len(levels), 2, squeeze=False, sharex=True)
        for level, (held, wide) in zip(levels, grid, strict=True):
            _level_line(held, curves, f"coverage-{level}", colors)
            held.axhline(float(level) / 100, color=INK, linewidth=1, linestyle=(0, (3, 3)), zorder=1.5)
            held.set_title(f"Actuals held by {float(level):g} % intervals")
            _percent_axis(held)
            ends = _level_line(wide, curves, f"width-{level}", colors)
            wide.set_title(f"Mean width of {float(level):g} % intervals")
            wide.set_ylim(bottom=0)
            plain_ticks(wide)
            label_ends(wide, ends, colors)
        for axes in grid[-1]:
            axes.set_xlabel("steps after the cutoff")
    return figure


def _level_line(
    axes: Axes, curves: Mapping[str, pd.DataFrame], column: str, colors: Mapping[str, str]
) -> dict[str, float]:
    """A line for each model that has the level; the last known value of each."""
    from matplotlib.ticker import MaxNLocator

    ends = {}
    for model, rows in reversed(list(curves.items())):
        steps, values = rows[KEY].to_numpy(), rows[column].to_numpy(dtype=np.float64)
        known = values[np.isfinite(values)]
        if known.size:
            marker = "o" if steps.size <= FEW_STEPS else None
            axes.plot(steps, np.where(np.isfinite(values), values, np.nan), color=colors[model], marker=marker, ms=3.5)
            ends[model] = float(known[-1])
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    return ends


def _percent_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = axes.get_ylim()
    axes.set_ylim(max(low - 0.02, 0.0), min(high + 0.02, 1.015))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))


def calibration_figure(folds: Folds, models: Sequence[str], colored: Sequence[str]) -> Figure | None:
    """The PIT histogram and the reliability of the quantiles of the first four of ``models`` that have any.

    ``None`` where none has two quantiles, or nothing is known of the actuals.
    """
    found = {model.name: model for model in folds.models if len(model.grid) >= FEWEST_PROBABILITIES}
    shown = [found[name] for name in models if name in found][:SHOWN_MODELS]
    if not shown or not np.isfinite(folds.y).any():
        return None
    colors = model_colors(colored)
    alone = len(shown) == 1
    with drawing():
        figure = new_figure(2.9 if alone else 5.0, WIDTH * (0.76 if alone else min(1.0, 0.36 * len(shown))))
        grid = figure.subplots(1 if alone else 2, 2 if alone else len(shown), squeeze=False)
        for place, model in enumerate(shown):
            probs = np.array(list(model.grid))
            ends = pit_ends(folds.y, (folds.column(column) for column in model.grid.values()), probs)
            upper, lower = grid.ravel() if alone else grid[:, place]
            draw_pit(upper, *ends, probs, colors[model.name])
            n = int((~np.isnan(ends[0])).sum())
            draw_reliability(lower, probs, shares_below(*ends, probs), np.full(probs.size, n), colors[model.name])
            upper.set_title(label(model.name, 30))
        grid[0, 0].set_ylabel("density of actuals")
        (grid[0, 1] if alone else grid[1, 0]).set_ylabel("share of actuals below")
    return figure


def draw_pit(axes: Axes, lower: Float, upper: Float, probs: Float, color: str) -> None:
    """Bars over the probability that forecasts gave to smaller values, and the band they should keep to."""
    found = histogram(lower, upper, probs)
    widths = np.diff(found.edges)
    gap = np.minimum(0.004, 0.1 * widths)
    axes.bar(found.edges[:-1] + gap, found.density, widths - 2 * gap, align="edge", color=color, alpha=0.75, zorder=2)
    edges = np.repeat(found.edges, 2)[1:-1]
    axes.fill_between(edges, np.repeat(found.low, 2), np.repeat(found.high, 2), color=INK, alpha=0.16, zorder=3, lw=0)
    axes.axhline(1.0, color=INK, linewidth=1, linestyle=(0, (3, 3)), zorder=4)
    tallest = float(np.nanmax(found.density, initial=1.0))
    axes.set_ylim(0, 1.1 * max(tallest, 1.5))
    axes.set_xlim(0, 1)
    plain_ticks(axes)
    axes.set_xlabel("probability told of smaller values")


def draw_reliability(axes: Axes, told: Float, seen: Float, n: npt.NDArray[np.int64], color: str) -> None:
    """What was told against what came, the diagonal, and the band that right forecasts keep to at 95 %."""
    error = SURE * np.sqrt(told * (1 - told) / np.maximum(n, 1))
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)), zorder=1.5)
    axes.fill_between(told, np.maximum(told - error, 0), np.minimum(told + error, 1), color=INK, alpha=0.12, lw=0)
    axes.plot(told, seen, color=color, marker="o", markersize=4, zorder=3)
    square(axes)
    axes.set_xlabel("probability told")


def square(axes: Axes) -> None:
    """Shares to both sides, on equal scales."""
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal", adjustable="box")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.grid(True, color=GRID)
