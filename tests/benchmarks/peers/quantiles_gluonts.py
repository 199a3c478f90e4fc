"""Quantiles of gluonts' DeepAR: `python quantiles_gluonts.py PANEL.parquet --out FORECAST.parquet`."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd
from quantile_forecast import PROBS, as_frame, main


def fit(train: pd.DataFrame, options: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train until Lightning's timer stops it; forecast by sampling. Lags and calendar are as shipped."""
    import lightning.pytorch as pl
    from gluonts.dataset.pandas import PandasDataset
    from gluonts.torch import DeepAREstimator

    pl.seed_everything(options.seed)
    steps: dict[str, int] = {}

    class Steps(pl.Callback):
        """Remembers how many optimizer steps fitted into the time."""

        def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            """Read the trainer's count."""
            steps["steps"] = trainer.global_step

    dataset = PandasDataset.from_long_dataframe(
        train, target="y", item_id="unique_id", timestamp="ds", freq=options.freq
    )
    estimator = DeepAREstimator(
        freq=options.freq,
        prediction_length=options.h,
        context_length=options.input_size,
        num_layers=options.layers,
        hidden_size=options.hidden_size,
        lr=options.learning_rate,
        batch_size=options.batch_size,
        num_parallel_samples=options.samples,
        trainer_kwargs={
            "accelerator": "cpu",
            "max_epochs": 10**6,
            "max_time": {"seconds": options.max_time},
            "callbacks": [Steps()],
        },
    )
    begin, cpu = time.perf_counter(), time.process_time()
    predictor = estimator.train(dataset, cache_data=True)
    fitted, cpu = time.perf_counter(), time.process_time() - cpu
    found = list(predictor.predict(dataset))
    quantiles = np.concatenate([np.stack([one.quantile(prob) for prob in PROBS], -1) for one in found])
    ids = np.repeat([one.item_id for one in found], options.h)
    stamps = np.concatenate([one.index.to_timestamp().to_numpy() for one in found])
    facts = {"fit_seconds": fitted - begin, "predict_seconds": time.perf_counter() - fitted, "fit_cpu_seconds": cpu}
    return as_frame(ids, stamps, quantiles), steps | {name: round(value, 2) for name, value in facts.items()}


if __name__ == "__main__":
    main("gluonts", fit, learning_rate=1e-3, hidden_size=40, layers=2, batch_size=32)
