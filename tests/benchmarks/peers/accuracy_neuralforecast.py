"""Accuracy of neuralforecast's NHITS and LSTM after a given training time, one json line per model.

`python accuracy_neuralforecast.py PANEL.parquet --h 48 --freq h --max-time 60` with its environment's python. PANEL has
`unique_id`, `ds`, `y` and `split` ("train" or "test", the last `h` rows of every series), as the M4 sets do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from stopwatch import tune_allocator

# M4's own seasonal periods by the pandas alias of the frequency.
SEASONS = {"h": 24, "D": 1, "W": 1, "ME": 12, "MS": 12, "QE": 4, "QS": 4, "YE": 1, "YS": 1}


def split(frame: pd.DataFrame, h: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and test rows, each sorted by id and time; every series must have exactly `h` test rows."""
    frame = frame.sort_values(["unique_id", "ds"], ignore_index=True)
    columns = ["unique_id", "ds", "y"]
    train, test = (frame.loc[frame["split"] == name, columns].reset_index(drop=True) for name in ("train", "test"))
    lengths = test.groupby("unique_id").size().reindex(train["unique_id"].unique(), fill_value=0)
    if (lengths != h).any():
        wrong = lengths[lengths != h]
        raise SystemExit(f"--h {h}, but series {wrong.index[0]!r} has {wrong.iloc[0]} test rows ({len(wrong)} such)")
    return train, test


def scores(train: pd.DataFrame, test: pd.DataFrame, forecast: np.ndarray, season: int) -> dict[str, Any]:
    """M4's sMAPE (0 to 200) and MASE (in-sample seasonal naive as the scale), means over the series.

    `forecast` is aligned with the rows of `test`. A series whose scale is zero or undefined has no MASE: it is left
    out of that mean and counted.
    """
    error = (test["y"] - forecast).abs()
    size = test["y"].abs() + np.abs(forecast)
    smape = (200.0 * error / size).where(size > 0, 0.0)
    lagged = (train["y"] - train.groupby("unique_id")["y"].shift(season)).abs()
    scale = lagged.groupby(train["unique_id"]).mean()
    mase = (error.groupby(test["unique_id"]).mean() / scale.where(scale > 0)).dropna()
    return {
        "smape": round(float(smape.groupby(test["unique_id"]).mean().mean()), 4),
        "mase": round(float(mase.mean()), 4),
        "series": int(scale.size),
        "series_without_mase": int(scale.size - mase.size),
    }


def fit(name: str, train: pd.DataFrame, options: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train one model until Lightning's timer stops it and forecast `h` rows per series."""
    import pytorch_lightning as pl
    from neuralforecast import NeuralForecast
    from neuralforecast.models import LSTM, NHITS

    class Steps(pl.Callback):
        """Remembers how many optimizer steps fitted into the time."""

        done = 0

        def __deepcopy__(self, _: Any) -> Steps:
            return self

        def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            """Read the trainer's count."""
            self.done = trainer.global_step

    steps = Steps()
    shortest = int(train.groupby("unique_id").size().min())
    model = {"NHITS": NHITS, "LSTM": LSTM}[name](
        h=options.h,
        input_size=options.input_size,
        scaler_type=options.scaler,
        max_steps=10**9,
        start_padding_enabled=shortest < options.input_size + options.h,
        random_seed=options.seed,
        accelerator="cpu",
        max_time={"seconds": options.max_time},
        callbacks=[steps],
    )
    forecaster = NeuralForecast(models=[model], freq=options.freq)
    begin = time.perf_counter()
    forecaster.fit(train)
    fitted = time.perf_counter()
    predicted = forecaster.predict().sort_values(["unique_id", "ds"], ignore_index=True)
    facts = {"fit_seconds": fitted - begin, "predict_seconds": time.perf_counter() - fitted}
    return predicted, {"steps": steps.done} | {key: round(value, 2) for key, value in facts.items()}


def main() -> None:
    """Train and score the models in turn; everything but the json lines goes to standard error."""
    options = _options()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(options.threads)
    result = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if options.mallopt:
        tune_allocator()
    train, test = split(pd.read_parquet(options.panel), options.h)
    for name in options.models:
        with tempfile.TemporaryDirectory(prefix="forecast-bench-") as scratch:
            os.chdir(scratch)
            predicted, facts = fit(name, train, options)
            os.chdir(options.panel.parent)
        if not predicted["unique_id"].equals(test["unique_id"]) or (predicted["ds"] != test["ds"]).any():
            raise SystemExit(f"forecast stamps are not those of the test rows; is --freq {options.freq} right?")
        line = {"peer": "neuralforecast", "model": name, "panel": options.panel.name, "max_time": options.max_time}
        line |= {"input_size": options.input_size, "scaler": options.scaler, "mallopt": options.mallopt}
        line |= facts | scores(train, test, predicted[name].to_numpy(), options.season)
        print(json.dumps(line), file=result, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train neuralforecast models for a given time and score them.")
    parser.add_argument("panel", type=lambda text: Path(text).resolve(), help="parquet with a split column")
    parser.add_argument("--h", type=int, required=True, help="rows to forecast, the test rows per series")
    parser.add_argument("--freq", required=True, help="pandas alias of the time step, such as h or MS")
    parser.add_argument("--max-time", type=float, required=True, help="seconds of training per model")
    parser.add_argument("--models", nargs="+", choices=["NHITS", "LSTM"], default=["NHITS", "LSTM"])
    parser.add_argument("--season", type=int, help="seasonal period of MASE (default: M4's for the frequency)")
    parser.add_argument("--input-size", type=int, help="rows of history per window (default 4 * h)")
    parser.add_argument("--scaler", default="robust", help="scaler_type of both models (default robust)")
    parser.add_argument("--threads", type=int, default=1, help="threads for torch (default 1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mallopt", action="store_true", help="same allocator settings as forecast applies")
    options = parser.parse_args()
    if options.season is None and options.freq not in SEASONS:
        parser.error(f"no seasonal period is known for --freq {options.freq}; give --season")
    options.season = options.season or SEASONS[options.freq]
    options.input_size = options.input_size or 4 * options.h
    return options


if __name__ == "__main__":
    main()
