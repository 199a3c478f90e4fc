"""Cutoffs: where the past of a backtest ends. The leakage rule lives here: a model sees ``known_at`` and no more."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError, DataError, Fault
from forecast.panel.fill import as_models_see
from forecast.panel.panel import Panel

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]


def rolling_cutoffs(
    panel: Panel, h: int, n_windows: int = 1, step_size: int | None = None, test_size: int | None = None
) -> Int:
    """Ordinals of the last known row, oldest cutoff first, shape (n_windows, S).

    The last window ends with each series; the ones before end ``step_size`` (default ``h``) rows earlier each. With
    ``test_size`` there are as many as fit into that many rows at the end. Raises ``ConfigError`` for numbers that
    cannot be.
    """
    step = h if step_size is None else step_size
    if test_size is not None and n_windows != 1:
        raise ConfigError(f"n_windows={n_windows} and test_size={test_size}: give one of the two, it tells the other.")
    if test_size is not None and test_size < h:
        raise ConfigError(f"test_size={test_size} is less than the horizon {h}: no window fits.")
    for name, value in (("n_windows", n_windows), ("step_size", step)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ConfigError(f"{name}={value!r} must be a whole number of at least 1.")
    if test_size is not None:
        n_windows = (test_size - h) // step + 1
    back = h + step * np.arange(n_windows - 1, -1, -1)
    return panel.last[None, :] - back[:, None]


class Past(NamedTuple):
    """What is known at a cutoff: the panel of it, and which series of the whole panel those are."""

    panel: Panel
    chosen: Int


def known_at(panel: Panel, cutoff: Int, season_length: int | None = None) -> Past:
    """Rows up to each series' cutoff (S,), as models see them by the schema's policies, from those rows alone.

    Series with no known value by then are left out. ``season_length`` see :func:`~forecast.panel.fill.as_models_see`.

    Raises ``DataError`` when nothing is known of any series.
    """
    past = past_at(panel, cutoff)
    return past._replace(panel=as_models_see(past.panel, season_length))


def past_at(panel: Panel, cutoff: Int) -> Past:
    """Rows up to each series' cutoff (S,) as they are; see :func:`known_at`."""
    past = panel.before(cutoff)
    known = np.add.reduceat(np.append(np.isfinite(past.values).astype(np.int64), 0), past.offsets[:-1])
    chosen = np.flatnonzero(np.where(past.lengths > 0, known, 0) > 0).astype(np.int64)
    if not chosen.size:
        longest = int(panel.lengths.max(initial=0))
        problem = f"no series has a known value before the first cutoff (the longest has {longest} rows)"
        raise DataError(Fault(panel.schema.target_col, problem, "Use fewer windows, a smaller h or more history."))
    return Past(past.take(chosen), chosen)


def actuals(panel: Panel, cutoff: Int, h: int) -> Float:
    """The ``h`` values after each cutoff (S, h); NaN where unknown or past the end of the series."""
    steps = cutoff[:, None] + 1 + np.arange(h)
    inside = (steps >= panel.first[:, None]) & (steps <= panel.last[:, None])
    rows = np.clip(panel.offsets[:-1, None] + steps - panel.first[:, None], 0, max(len(panel.values) - 1, 0))
    return np.where(inside, panel.values[rows], np.nan)
