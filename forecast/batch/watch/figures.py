"""The pictures of a run report: accuracy and coverage over time, and what the forecasts look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.report.fan import View, date_axis, draw_fan
from forecast.report.style import (
    INK,
    MUTED,
    PALETTE,
    REFERENCE,
    WIDTH,
    drawing,
    label_ends,
    new_figure,
    plain_ticks,
)
from forecast.report.wording import metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Float = npt.NDArray[np.float64]
Times = npt.NDArray[Any]

CUT, COMMON = 2.0, 0.9  # a value above twice what nine in ten stay below leaves the picture
FEW = 30
NOW, BEFORE = "this run", "last run"


def accuracy_lines(table: pd.DataFrame, times: Times, metric: str, changed: Times, usual: float) -> Figure:
    """A metric of each period against time: all forecasts and those one step ahead.

    Args:
        table: one row per period, with ``metric`` and ``metric`` followed by ``-first`` (one step ahead).
        times: the end of each period, shape (P,).
        metric: its column.
        changed: when the model changed; drawn as vertical lines.
        usual: the level that drift is measured from, NaN for none.
    """
    with drawing():
        figure = new_figure(3.3)
        axes = figure.subplots()
        lines = {"all steps": (metric, PALETTE[0]), "one step ahead": (f"{metric}-first", PALETTE[1])}
        curves = {name: table[column].to_numpy(dtype=np.float64) for name, (column, _) in lines.items()}
        known = np.concatenate([values[np.isfinite(values)] for values in curves.values()])
        top = _limit(known)
        for name, values in reversed(curves.items()):
            _line(axes, times, values, lines[name][1], 2.3 if name == "all steps" else 1.4)
        for at in changed:
            axes.axvline(at, color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1.2)
        if len(changed):
            axes.annotate(
                "new model", (changed[-1], 1), (3, -2), ("data", "axes fraction"), "offset points", fontsize=8.5,
                color=MUTED, va="top",
            )  # fmt: skip
        ends = {name: _last(values) for name, values in curves.items()}
        colors = {name: color for name, (_, color) in lines.items()}
        if np.isfinite(usual) and usual < top:
            axes.axhline(usual, color=REFERENCE, linewidth=1, linestyle=(0, (3, 3)), zorder=1.5)
            ends, colors = ends | {"usual": usual}, colors | {"usual": REFERENCE}
        axes.set_ylim(0, top)
        _finish(axes, times, metric_name(metric))
        cut = {name for name, values in curves.items() if np.nanmax(values, initial=0.0) > top}
        label_ends(axes, {name: min(end, top) for name, end in ends.items() if np.isfinite(end)}, colors, cut)
    return figure


def coverage_lines(table: pd.DataFrame, times: Times, levels: Sequence[str]) -> Figure:
    """The coverage of each period against time, a line for each level, with what it promises dashed."""
    with drawing():
        figure = new_figure(2.9)
        axes = figure.subplots()
        ends, colors = {}, {}
        low = 100.0
        for level, color in zip(levels, PALETTE, strict=False):
            values = 100 * table[f"coverage-{level}"].to_numpy(dtype=np.float64)
            axes.axhline(float(level), color=color, linewidth=1, linestyle=(0, (3, 3)), zorder=1.5, alpha=0.8)
            _line(axes, times, values, color, 1.8)
            known = values[np.isfinite(values)]
            low = min(low, float(level), float(known.min(initial=100.0)))
            if known.size:
                ends[f"{level} % interval"], colors[f"{level} % interval"] = float(known[-1]), color
        axes.set_ylim(max(0.0, low - 5), 101.5)
        _finish(axes, times, "actuals held, %")
        label_ends(axes, ends, colors)
    return figure


def bias_bars(table: pd.DataFrame, times: Times) -> Figure:
    """The mean scaled error of each period: above zero where forecasts were too high."""
    with drawing():
        figure = new_figure(2.2)
        axes = figure.subplots()
        values = table["scaled_bias"].to_numpy(dtype=np.float64)
        top = _limit(np.abs(values[np.isfinite(values)]))
        place = _places(times)
        width = 0.7 * float(np.median(np.diff(place))) if place.size > 1 else 0.7
        axes.bar(times, np.nan_to_num(values), width=_span(times, width), color=PALETTE[0], alpha=0.75, zorder=2)
        axes.axhline(0, color=INK, linewidth=0.9)
        axes.set_ylim(-top, top)
        _finish(axes, times, "bias, in scales")
        names = {"too high ↑": 0.75 * top, "too low ↓": -0.75 * top}
        label_ends(axes, names, dict.fromkeys(names, MUTED))
    return figure


def run_fans(views: Sequence[View]) -> Figure:
    """Forecasts of this run, with those of the last run behind them, two pictures in a row."""
    colors = {NOW: PALETTE[0], BEFORE: PALETTE[1]}
    columns = min(2, len(views))
    rows = -(-len(views) // columns)
    with drawing():
        figure = new_figure(2.5 * rows, WIDTH)
        grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
        for axes in grid[len(views) :]:
            axes.remove()
        for axes, view in zip(grid, views, strict=False):
            draw_fan(axes, view, colors)
    return figure


def _limit(sizes: Float) -> float:
    """Where an axis ends: beyond all values, unless a few lie far above the rest."""
    return 1.08 * float(min(sizes.max(initial=0.0), CUT * np.quantile(sizes, COMMON)) if sizes.size else 0.0) or 1.0


def _line(axes: Axes, times: Times, values: Float, color: str, width: float) -> None:
    marker = "o" if times.size <= FEW else None
    axes.plot(times, values, color=color, linewidth=width, marker=marker, markersize=3.5)


def _finish(axes: Axes, times: Times, label: str) -> None:
    axes.margins(x=0.01)
    plain_ticks(axes)
    date_axis(axes, times)
    axes.set_ylabel(label)


def _last(values: Float) -> float:
    known = values[np.isfinite(values)]
    return float(known[-1]) if known.size else np.nan


def _places(times: Times) -> Float:
    return times.astype(np.int64).astype(np.float64)


def _span(times: Times, width: float) -> Any:
    """A width in the unit that ``times`` are drawn in."""
    return np.timedelta64(round(width), "us") if times.dtype.kind == "M" else width
