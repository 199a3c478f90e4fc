"""How training went: losses and gradient norms against the optimiser step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.report.style import (
    MUTED,
    PALETTE,
    PAPER,
    REFERENCE,
    WIDTH,
    drawing,
    label_ends,
    new_figure,
    plain_ticks,
)
from forecast.report.wording import label, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Float = npt.NDArray[np.float64]
Curve = Sequence[Mapping[str, Any]]  # points: step, seconds, train_loss, validation_loss, gradient_norm, layer_norms
COLUMNS = 3
WITH_LAYERS = 2  # columns: names of layers need room
ALONE = 0.6  # of the page: a lone curve is not stretched over all of it
WIDE_RANGE = 30.0


def learning_curves(curves: Mapping[str, Curve], colors: Mapping[str, str]) -> Figure:
    """Training and validation loss against the step, one small picture per model; the best point is marked.

    ``curves`` and ``colors`` are by model; a point may lack a value, or have ``None`` or NaN there.
    """
    with drawing():
        figure, grid = _grid(len(curves), 2.5, COLUMNS)
        for axes, (model, points) in zip(grid, curves.items(), strict=True):
            _learning_curve(axes, points, colors[model])
            axes.set_title(label(model))
            axes.set_xlabel("optimiser step")
        grid[0].set_ylabel("loss")
    return figure


def gradient_norms(curves: Mapping[str, Curve], colors: Mapping[str, str]) -> Figure:
    """Norm of the gradient against the step, one small picture per model, logarithmic where it spans decades.

    Where it is known layer by layer, each layer has a line with its name, and the whole one in grey.
    """
    layered = any(_layers(points) for points in curves.values())
    with drawing():
        figure, grid = _grid(len(curves), 2.9 if layered else 1.9, WITH_LAYERS if layered else COLUMNS)
        for axes, (model, points) in zip(grid, curves.items(), strict=True):
            steps, values = _known(points, "gradient_norm")
            axes.set_title(label(model))
            axes.set_xlabel("optimiser step")
            if _layers(points):
                _layer_lines(axes, points)
            else:
                axes.plot(steps, values, color=colors[model], **_marks(steps))
                _scale(axes, values)
        grid[0].set_ylabel("gradient norm")
    return figure


def _layers(points: Curve) -> list[str]:
    """The layers whose norms are known, in the net's own order."""
    return list(dict.fromkeys(layer for point in points for layer in point.get("layer_norms") or ()))


def _layer_lines(axes: Axes, points: Curve) -> None:
    lines = {"whole net": _known(points, "gradient_norm")}
    flat = [{**(point.get("layer_norms") or {}), "step": point["step"]} for point in points]
    lines |= {layer: _known(flat, layer) for layer in _layers(points)}
    colors = dict.fromkeys(lines, MUTED) | dict(zip(list(lines)[1:], PALETTE, strict=False)) | {"whole net": REFERENCE}
    for name, (steps, values) in lines.items():
        axes.plot(steps, values, color=colors[name], **_marks(steps))
    drawn = {name: values for name, (_, values) in lines.items() if values.size}
    everything = np.concatenate([*drawn.values(), np.zeros(0)])
    _scale(axes, everything[everything > 0])
    floor = float(everything[everything > 0].min(initial=np.inf))
    logarithmic = axes.get_yscale() == "log"
    ends = {name: max(float(values[-1]), floor) if logarithmic else float(values[-1]) for name, values in drawn.items()}
    label_ends(axes, ends, colors)


def _grid(pictures: int, height: float, most: int) -> tuple[Figure, list[Axes]]:
    columns = min(most, pictures)
    rows = -(-pictures // columns)
    figure = new_figure(height * rows, WIDTH if columns > 1 else ALONE * WIDTH)
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in grid[pictures:]:
        axes.remove()
    return figure, grid[:pictures]


def _learning_curve(axes: Axes, points: Curve, color: str) -> None:
    ends = []
    everything = []
    for key, name, shade in (("train_loss", "train", REFERENCE), ("validation_loss", "validation", color)):
        steps, values = _known(points, key)
        if values.size == 0:
            continue
        axes.plot(steps, values, color=shade, **_marks(steps))
        everything.append(values)
        ends.append((name, shade))
        if key == "validation_loss":
            best = int(values.argmin())
            axes.plot(steps[best], values[best], "o", color=color, markersize=6.5, markeredgecolor=PAPER, zorder=4)
            text = f"best {number(float(values[best]))} at step {steps[best]:,.0f}"
            axes.annotate(text, (1, 1), (0, -5), "axes fraction", "offset points", ha="right", va="top", fontsize=8.5)
    _legend(axes, ends)
    _scale(axes, np.concatenate(everything) if everything else np.zeros(0))


def _legend(axes: Axes, names: Sequence[tuple[str, str]]) -> None:
    """Names in their colours at the top right, in place of a box."""
    for number_, (name, color) in enumerate(reversed(names)):
        axes.annotate(
            name, (1, 1), xycoords="axes fraction", xytext=(-70 * number_, 4), textcoords="offset points",
            ha="right", va="bottom", color=color, fontsize=9, fontweight="bold",
        )  # fmt: skip


def _known(points: Curve, key: str) -> tuple[Float, Float]:
    """Steps and values of the points that have a finite value."""
    steps = np.array([point["step"] for point in points], dtype=np.float64)
    values = np.array([np.nan if point.get(key) is None else point[key] for point in points], dtype=np.float64)
    known = np.isfinite(values)
    return steps[known], values[known]


def has(points: Curve, key: str) -> bool:
    """Whether any point has a value to draw."""
    return _known(points, key)[1].size > 0


def _marks(steps: Float) -> dict[str, Any]:
    return {"marker": "o", "markersize": 3.5} if steps.size <= 3 else {}


def _scale(axes: Axes, values: Float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if values.size and values.min() > 0 and values.max() > WIDE_RANGE * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        plain_ticks(axes)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
