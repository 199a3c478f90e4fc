"""A small shop: daily sales with a weekly season, and jobs that forecast them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.batch.job import Job
from forecast.batch.sinks.folder import FolderSink
from forecast.batch.source import FunctionSource

FIRST = pd.Timestamp("2026-01-01")
H = 7
SLOT = datetime(2026, 4, 1, tzinfo=UTC)  # ninety days after the first


def sales(days: int = 120, series: int = 4, seed: int = 0) -> pd.DataFrame:
    """``series`` shops with a level of their own, from the first of January on."""
    rng = np.random.default_rng(seed)
    t = np.arange(days)
    shops = [f"shop {number}" for number in range(series)]
    levels = 10.0 * (1 + np.arange(series))
    y = levels[:, None] * (2 + np.sin(2 * np.pi * t / 7)) + rng.standard_normal((series, days))
    return pd.DataFrame(
        {
            "unique_id": np.repeat(shops, days),
            "ds": np.tile(pd.date_range(FIRST, periods=days), series),
            "y": y.ravel(),
        }
    )


def table(rows: pd.DataFrame) -> FunctionSource:
    """``rows`` as a source."""
    return FunctionSource(lambda _: rows, patience=0.0)


def sales_job(folder: Path, rows: pd.DataFrame | None = None, **changes: Any) -> Job:
    """A job that publishes seasonal naive forecasts to a Parquet folder, without the watch and quick to give up."""
    settings: dict[str, Any] = {
        "name": "sales",
        "source": table(sales() if rows is None else rows),
        "h": H,
        "freq": "D",
        "model": "seasonal_naive",
        "sink": FolderSink(folder / "out"),
        "folder": folder / "job",
        "level": (80,),
        "watch": None,
        "patience": 0.2,
        "progress": False,
    }
    return Job(**{**settings, **changes})


def published(job: Job) -> pd.DataFrame:
    """What readers get of ``job``."""
    return job.open_sink().read(job.name)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
