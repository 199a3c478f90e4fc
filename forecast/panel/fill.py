"""Ways to fill unknown target values; each series is filled from its own rows only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from forecast.panel.outliers import clip_outliers
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


def as_models_see(panel: Panel, season_length: int | None = None, held_out: Int | int = 0) -> Panel:
    """The panel with outliers clipped and gaps filled by the policies of its schema, from the rows that it holds.

    Panels themselves keep every value as it is: filling before a cutoff is cut would carry later values back across
    it, and would pass invented values off as actual ones. ``season_length`` is that of the ``seasonal`` policy, by
    default the timeline's; ``held_out`` see :func:`~forecast.panel.outliers.clip_outliers`.
    """
    if panel.schema.outliers == "clip":
        panel = clip_outliers(panel, held_out)
    how = panel.schema.missing
    if how == "seasonal":
        return fill_seasonal(panel, season_length or panel.timeline.season_length)
    return fill_unknown(panel, how) if how in ("ffill", "interpolate", "zero") else panel


def as_models_learn(panel: Panel, h: int, val_size: int | None = None, season_length: int | None = None) -> Panel:
    """:func:`as_models_see` for training: what may be held out to be scored against teaches no limit for outliers.

    That is ``val_size`` rows at the end of each series, or the most that any model chooses for itself.
    """
    most = np.clip(panel.lengths // 6, h, 10 * h).astype(np.int64)
    return as_models_see(panel, season_length, most if val_size is None else val_size)


def given_to(model: object, panel: Panel, filled: Panel) -> Panel:
    """``filled``, or ``panel`` as it is for a model or fitted model that says by ``fills_itself`` that it cuts panels.

    Filling before cutting would carry later values back across the cut.
    """
    return panel if getattr(model, "fills_itself", False) else filled


def fill_seasonal(panel: Panel, season_length: int) -> Panel:
    """The panel with NaN replaced by the last known value a whole number of seasons before; NaN where there is none.

    Last Monday stands in for a missing Monday. A season of 1 is the last known value.
    """
    known = np.isfinite(panel.values)
    if known.all():
        return panel
    gappy = np.zeros(len(panel), dtype=bool)
    series = panel.series
    gappy[series[~known]] = True
    rows = np.flatnonzero(gappy[series])
    series = series[rows]
    phase = (rows - panel.offsets[:-1][series]) % season_length
    order = np.lexsort((phase, series))  # stable: within a phase of a series rows stay in time order
    rows, series, phase = rows[order], series[order], phase[order]
    fresh = np.concatenate([[True], (series[1:] != series[:-1]) | (phase[1:] != phase[:-1])])
    starts = np.maximum.accumulate(np.where(fresh, np.arange(len(rows)), 0))
    before = previous_known(known[rows], starts)
    values = panel.values.copy()
    values[rows] = np.where(before >= 0, panel.values[rows[before]], np.nan)
    return replace(panel, values=values)


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
