"""Ways to fill unknown target values; each series is filled from its own rows only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


def previous_known(known: npt.NDArray[np.bool_], starts: Int) -> Int:
    """Row of the last known value at or before each row of the same series, -1 where there is none.

    ``starts`` is the first row of the series of each row, shape (N,).
    """
    rows = np.arange(len(known), dtype=np.int64)
    latest = np.maximum.accumulate(np.where(known, rows, -1)) if len(known) else rows
    return np.where(latest >= starts, latest, -1)


def as_models_see(panel: Panel) -> Panel:
    """The panel with its gaps filled by the ``missing`` policy of its schema, from the rows that it holds.

    Panels themselves keep unknown values unknown: filling before a cutoff is cut would carry later values back
    across it, and would pass invented values off as actual ones.
    """
    how = panel.schema.missing
    return fill_unknown(panel, how) if how in ("ffill", "interpolate", "zero") else panel


def fill_unknown(panel: Panel, how: str) -> Panel:
    """The panel with NaN replaced: ``zero``; ``ffill`` (last known value); ``interpolate`` (a line between known
    neighbours, the last known value after them).

    Rows before the first known value take it; a series without any known value stays NaN.
    """
    known = np.isfinite(panel.values)
    if known.all():
        return panel
    if how == "zero":
        return replace(panel, values=np.where(known, panel.values, 0.0))
    lengths = panel.lengths
    starts = np.repeat(panel.offsets[:-1], lengths)
    ends = np.repeat(panel.offsets[1:], lengths) - 1
    before = previous_known(known, starts)
    total = len(known)
    mirrored = previous_known(known[::-1], (total - 1 - ends)[::-1])[::-1]
    after = np.where(mirrored >= 0, total - 1 - mirrored, -1)
    rows = np.arange(total, dtype=np.int64)
    left = np.where(before >= 0, before, after)
    right = np.where((after >= 0) & (how == "interpolate") & (before >= 0), after, left)
    width = np.maximum(right - left, 1)
    share = np.clip((rows - left) / width, 0.0, 1.0)
    filled = panel.values[left] * (1.0 - share) + panel.values[right] * share
    filled = np.where(right == left, panel.values[left], filled)
    return replace(panel, values=np.where(known, panel.values, np.where(left >= 0, filled, np.nan)))
