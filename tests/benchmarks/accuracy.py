"""Accuracy on sets with a train/test split: of the default model and of `auto`, told only h and freq."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast import Forecaster, evaluate
from forecast.ingest.door import to_panel
from tests.benchmarks.table import print_table

SETS = {"m4_hourly": ("h", 48), "m3_monthly": ("MS", 18), "m1_quarterly": ("QS", 8), "m1_yearly": ("YS", 6)}
SECONDS = {"m4_hourly": 300.0, "m3_monthly": 120.0, "m1_quarterly": 60.0, "m1_yearly": 60.0}  # what auto is given
SEEDS = (0, 1, 2)


def read_set(name: str) -> pd.DataFrame | None:
    """The set from the folder that FORECAST_DATA_DIR names, or ``None`` after saying why."""
    folder = os.environ.get("FORECAST_DATA_DIR")
    if folder is None:
        print("FORECAST_DATA_DIR names no folder with the sets; nothing to measure.")
        return None
    path = Path(folder) / f"{name}.parquet"
    if not path.is_file():
        print(f"{path.name} is not there; left out.")
        return None
    return pd.read_parquet(path)


def score(frame: pd.DataFrame, freq: str, h: int, **options: Any) -> tuple[float, float, float]:
    """Test MASE, test sMAPE and seconds of fitting."""
    train = frame[frame["split"] == "train"]
    started = time.perf_counter()
    forecaster = Forecaster(**{"h": h, "freq": freq, "progress": False} | options).fit(train)
    seconds = time.perf_counter() - started
    out = forecaster.predict().merge(frame[["unique_id", "ds", "y"]], on=["unique_id", "ds"])
    out["cutoff"] = out["unique_id"].map(train.groupby("unique_id")["ds"].max())
    panel = to_panel(frame, freq=freq)
    row = evaluate(out, panel, panel.timeline.season_length).iloc[0]
    return float(row["mase"]), float(row["smape"]), seconds


def main() -> None:
    """Test MASE and sMAPE, mean and spread of three seeds; sets are read from FORECAST_DATA_DIR."""
    rows = []
    for name, (freq, h) in SETS.items():
        frame = read_set(name)
        if frame is None:
            continue
        models: dict[str, dict[str, Any]] = {"default": {}, "auto": {"model": "auto", "max_time": SECONDS[name]}}
        for model, options in models.items():
            scores = [score(frame, freq, h, seed=seed, **options) for seed in SEEDS]
            print(name, model, *(f"{mase:.3f}/{smape:.2f}" for mase, smape, _ in scores), flush=True)
            mase, smape, seconds = np.array(scores).T
            spread = f"{mase.mean():.3f} ± {mase.std():.3f}", f"{smape.mean():.2f} ± {smape.std():.2f}"
            rows.append((name, model, *spread, float(seconds.mean())))
    print_table(("set", "model", "MASE", "sMAPE", "seconds"), rows)
