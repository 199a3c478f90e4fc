"""Synthetic panels for the benchmarks, seeded."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.panel.panel import Panel
from forecast.timeline import fit_timeline


def hourly_frame(series: int, rows: int, seed: int = 7) -> pd.DataFrame:
    """Long frame with daily and weekly seasons and noise."""
    rng = np.random.default_rng(seed)
    hours = np.arange(rows)
    phase, level = rng.uniform(0, 24, series), rng.uniform(1, 100, series)
    day = np.sin(2 * np.pi * (hours + phase[:, None]) / 24)
    week = 0.3 * np.sin(2 * np.pi * (hours + phase[:, None]) / 168)
    values = level[:, None] * (3 + day + week + 0.1 * rng.standard_normal((series, rows)))
    stamps = pd.date_range("2024-01-01", periods=rows, freq="h").to_numpy()
    ids = np.char.add("s", np.char.zfill(np.arange(series).astype(str), 6))
    return pd.DataFrame({"unique_id": np.repeat(ids, rows), "ds": np.tile(stamps, series), "y": values.ravel()})


def random_panel(series: int, rows: int, seed: int = 7) -> Panel:
    """Noise; the fastest way to many rows."""
    values = np.random.default_rng(seed).standard_normal(series * rows)
    offsets = np.arange(series + 1, dtype=np.int64) * rows
    return Panel(
        pd.RangeIndex(series), values, offsets, np.zeros(series, dtype=np.int64), fit_timeline(1, np.array([0]))
    )
