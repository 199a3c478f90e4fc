"""How intervals kept their promise over time: the share of actuals that they held, cutoff after cutoff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forecast.panel.clock import wall_times
from forecast.report.folds import Folds
from forecast.report.style import INK, drawing, label_ends, model_colors, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

FEWEST_CUTOFFS = 20
SHOWN_LEVELS = 4
SHOWN_MODELS = 8


def running_coverage(folds: Folds, model: str, level: str) -> tuple[Int, Float]:
    """Cutoffs (ordinals, (K,)) and the share of actuals within the ``level`` interval of ``model`` over each cutoff and
    those before it in the window, (K,); NaN where none is known. ``level`` is written as in the column's name.

    The window is a tenth of all cutoffs, 10 to 100.
    """
    found = next(one for one in folds.models if one.name == model)
    low, high = (folds.column(name) for name in found.intervals[level])
    known = np.isfinite(folds.y) & np.isfinite(low) & np.isfinite(high)
    held = known & (low <= folds.y) & (folds.y <= high)
    keys, place = np.unique(np.repeat(folds.cutoff, folds.lengths), return_inverse=True)
    width = window(keys.size)
    inside, seen = (_trailing(np.bincount(place, rows, minlength=keys.size), width) for rows in (held, known))
    return keys, inside / np.where(seen > 0, seen, np.nan)


def window(cutoffs: int) -> int:
    """How many cutoffs a point of the picture is of."""
    return int(np.clip(cutoffs // 10, 10, 100))


def _trailing(values: npt.NDArray[np.generic], width: int) -> Float:
    """The sum of each value and those before it, ``width`` of them at most."""
    total: Float = np.append(0.0, np.cumsum(values, dtype=np.float64))
    return total[1:] - total[np.maximum(np.arange(1, len(total)) - width, 0)]


def coverage_lines(folds: Folds, models: Sequence[str]) -> Figure | None:
    """The running coverage of ``models``, best first: a picture for each level, with a line at what was promised.

    ``None`` where no model has intervals, or there are fewer than 20 cutoffs.
    """
    if np.unique(folds.cutoff).size < FEWEST_CUTOFFS:
        return None
    found = {one.name: one for one in folds.models if one.name in models and one.intervals}
    levels = sorted({level for one in found.values() for level in one.intervals}, key=float, reverse=True)
    if not levels:
        return None
    levels, colors = levels[:SHOWN_LEVELS], model_colors(models)
    with drawing():
        figure = new_figure(2.5 * len(levels))
        for axes, level in zip(figure.subplots(len(levels), 1, squeeze=False).ravel(), levels, strict=True):
            promised, ends, lowest = float(level) / 100.0, {}, float(level) / 100.0
            axes.axhline(promised, color=INK, linewidth=1, linestyle=(0, (3, 3)), zorder=1.5)
            for model in [name for name in models if level in getattr(found.get(name), "intervals", ())][:SHOWN_MODELS]:
                keys, shares = running_coverage(folds, model, level)
                filled = np.arange(keys.size) >= window(keys.size) - 1  # before, a point is of few cutoffs
                times = wall_times(folds.history.timeline, keys)
                axes.plot(times[filled], shares[filled], color=colors[model])
                drawn = shares[filled & np.isfinite(shares)]
                if drawn.size:
                    ends[model], lowest = float(drawn[-1]), min(lowest, float(drawn.min()))
            axes.set_ylim(max(0.0, lowest - 0.1 * (1.0 - lowest) - 0.02), 1.02)
            axes.margins(x=0.01)
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            axes.set_title(f"{float(level):g} % intervals")
            label_ends(axes, ends, colors)
        axes.set_xlabel("cutoff")
    return figure
