"""Write the synthetic panel every toolkit trains on; `python panel.py [--out FOLDER]` prints its path."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

SERIES = 200
ROWS = 2000
SEED = 7


def synthetic_panel(series: int = SERIES, rows: int = ROWS, seed: int = SEED) -> pd.DataFrame:
    """Hourly series with a daily and a weekly season, each with its own level, amplitudes and phase, plus noise.

    Returns `series * rows` rows sorted by id and time: `unique_id`, `ds` (hourly), `y` (float32). No gaps, no missing
    values, no trend, so that no toolkit has a reason to drop or repair a window.
    """
    random = np.random.default_rng(seed)
    hour = np.arange(rows)[None, :]
    level = random.uniform(20.0, 200.0, (series, 1))
    daily = random.uniform(0.1, 0.4, (series, 1)) * np.sin(2 * np.pi * (hour / 24 + random.uniform(size=(series, 1))))
    weekly = random.uniform(0.05, 0.2, (series, 1)) * np.sin(
        2 * np.pi * (hour / 168 + random.uniform(size=(series, 1)))
    )
    noise = 0.05 * random.standard_normal((series, rows))
    values = level * (1.0 + daily + weekly + noise)
    stamps = pd.date_range("2020-01-06", periods=rows, freq="h")
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"series_{i:03d}" for i in range(series)], rows),
            "ds": np.tile(stamps.to_numpy(), series),
            "y": values.astype(np.float32).ravel(),
        }
    )


def write(folder: Path) -> Path:
    """Write the panel as `panel.parquet` in `folder` and return the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "panel.parquet"
    synthetic_panel().to_parquet(path, index=False)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for panel.parquet (default: a new temporary folder)")
    out = parser.parse_args().out
    print(write(out if out is not None else Path(tempfile.mkdtemp(prefix="forecast-bench-"))))
