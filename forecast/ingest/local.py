"""Zoned times: which clock they are counted on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from forecast.aliases import Freq
from forecast.ingest.validate import Rows
from forecast.timeline import DAY, Stamps, Timeline, fit_timeline


def local_rows(rows: Rows, tz: str, freq: Freq | None, grid: Timeline | None = None) -> Rows:
    """UTC stamps on the clock that fits their frequency: UTC within the day, wall time from a day up.

    A wall time that the clock jumped over, and that stands in the data as the first one after the jump, goes back
    to the time of day of the others (of ``grid`` where that is given): 02:30 every day stays 02:30.
    """
    wall = to_wall(rows.stamps, tz)
    if grid is not None:
        if not grid.local:
            return replace(rows, elapsed=True)
        usual: int | None = grid.phase % DAY if grid.kind == "tick" else grid.time_of_day
    else:
        if freq is not None and not fit_timeline(freq, wall[:1]).local:
            return replace(rows, elapsed=True)
        usual = _usual_time(wall)
    if usual is not None:
        wall = _unshifted(wall, tz, usual)
    times = wall.astype(np.int64) % DAY
    if grid is None and freq is None and not (times == times[0]).all():
        return replace(rows, elapsed=True)
    return replace(rows, stamps=wall)


def to_wall(stamps: Stamps, tz: str) -> Stamps:
    """What clocks in ``tz`` show at UTC ``stamps``, datetime64[us], same shape."""
    local = pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(tz).tz_localize(None)
    return local.to_numpy().astype("datetime64[us]")


def _usual_time(wall: Stamps) -> int | None:
    """The time of day of at least half of the stamps, the earlier of two; ``None`` when there is none."""
    times, counts = np.unique(wall.astype(np.int64) % DAY, return_counts=True)
    return int(times[counts.argmax()]) if counts.max() * 2 >= len(wall) else None


def _unshifted(wall: Stamps, tz: str, usual: int) -> Stamps:
    """Stamps that are ``usual`` moved past a jump of the clock, moved back."""
    off = np.flatnonzero(wall.astype(np.int64) % DAY != usual)
    if not off.size:
        return wall
    meant = wall[off].astype("datetime64[D]").astype("datetime64[us]") + np.timedelta64(usual, "us")
    dates = pd.DatetimeIndex(meant)
    shown = dates.tz_localize(tz, nonexistent="shift_forward", ambiguous=np.ones(len(dates), dtype=bool))
    same = shown.tz_localize(None).to_numpy().astype("datetime64[us]") == wall[off]
    mended = wall.copy()
    mended[off[same]] = meant[same]
    return mended
