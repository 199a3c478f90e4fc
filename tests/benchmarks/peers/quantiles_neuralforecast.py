"""Quantiles of neuralforecast's DeepAR: `python quantiles_neuralforecast.py PANEL.parquet --out FORECAST.parquet`."""

from __future__ import annotations

import argparse
import time
from typing import Any

import pandas as pd
from quantile_forecast import PROBS, as_frame, clock, main


def fit(train: pd.DataFrame, options: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train until the clock stops it; forecast by sampling."""
    import pytorch_lightning as pl
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import DistributionLoss
    from neuralforecast.models import DeepAR

    watch = clock(pl.Callback, options.max_time)
    model = DeepAR(
        h=options.h,
        input_size=options.input_size,
        h_train=options.h_train,
        lstm_hidden_size=options.hidden_size,
        lstm_n_layers=options.layers,
        trajectory_samples=options.samples,
        loss=DistributionLoss("StudentT", quantiles=list(PROBS), num_samples=options.samples, return_params=False),
        learning_rate=options.learning_rate,
        windows_batch_size=options.windows,
        scaler_type=options.scaler,
        max_steps=10**9,
        start_padding_enabled=True,
        random_seed=options.seed,
        accelerator="cpu",
        callbacks=[watch],
    )
    forecaster = NeuralForecast(models=[model], freq=options.freq)
    begin = time.perf_counter()
    forecaster.fit(train)
    fitted = time.perf_counter()
    out = forecaster.predict().sort_values(["unique_id", "ds"], ignore_index=True)
    columns = [_column(prob) for prob in PROBS]
    facts = {
        "steps": watch.steps,
        "fit_seconds": fitted - begin,
        "predict_seconds": time.perf_counter() - fitted,
        "fit_cpu_seconds": watch.used,
    }
    values = as_frame(out["unique_id"].to_numpy(), out["ds"].to_numpy(), out[columns].to_numpy())
    return values, {name: round(value, 2) for name, value in facts.items()}


def _column(prob: float) -> str:
    """The name of a quantile: that of the bound of a central interval, whose level is in percent."""
    if prob == 0.5:
        return "DeepAR-median"
    level = round(abs(100 - 200 * prob), 2)
    return f"DeepAR-{'lo' if prob < 0.5 else 'hi'}-{level}"


if __name__ == "__main__":
    main(
        "neuralforecast",
        fit,
        learning_rate=1e-3,
        h_train=48,
        hidden_size=64,
        layers=1,
        windows=128,
        scaler="robust",
    )
