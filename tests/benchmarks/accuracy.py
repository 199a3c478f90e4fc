"""Accuracy of the default model on sets with a train/test split."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from forecast import Forecaster, evaluate
from forecast.ingest.door import to_panel
from tests.benchmarks.table import print_table

SETS = {"m4_hourly": ("h", 48), "m3_monthly": ("MS", 18), "m1_quarterly": ("QS", 8), "m1_yearly": ("YS", 6)}
SEEDS = (1, 2, 3)


def main() -> None:
    """Test MASE and sMAPE of the default model, told only h and freq; sets are read from FORECAST_DATA_DIR."""
    folder = os.environ.get("FORECAST_DATA_DIR")
    if folder is None:
        print("FORECAST_DATA_DIR names no folder with the sets; nothing to measure.")
        return
    rows = []
    for name, (freq, h) in SETS.items():
        path = Path(folder) / f"{name}.parquet"
        if not path.is_file():
            print(f"{path.name} is not there; left out.")
            continue
        frame = pd.read_parquet(path)
        train = frame[frame["split"] == "train"]
        scores = []
        for seed in SEEDS:
            started = time.perf_counter()
            forecaster = Forecaster(h=h, freq=freq, seed=seed, progress=False).fit(train)
            seconds = time.perf_counter() - started
            out = forecaster.predict().merge(frame[["unique_id", "ds", "y"]], on=["unique_id", "ds"])
            out["cutoff"] = out["unique_id"].map(train.groupby("unique_id")["ds"].max())
            panel = to_panel(frame, freq=freq)
            row = evaluate(out, panel, panel.timeline.season_length).iloc[0]
            scores.append((row["mase"], row["smape"], seconds))
        mase, smape, seconds = np.array(scores).T
        rows.append(
            (
                name,
                f"{mase.mean():.3f} ± {mase.std():.3f}",
                f"{smape.mean():.2f} ± {smape.std():.2f}",
                float(np.mean(seconds)),
            )
        )
    print_table(("set", "MASE", "sMAPE", "seconds"), rows)
