"""Quantiles of gluonts' DeepAR: `python quantiles_gluonts.py PANEL.parquet --out FORECAST.parquet`."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd
from quantile_forecast import PROBS, as_frame, clock, main


def fit(train: pd.DataFrame, options: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train until the clock stops it; forecast by sampling. Lags and calendar are as shipped."""
    import lightning.pytorch as pl
    from gluonts.dataset.pandas import PandasDataset
    from gluonts.torch import DeepAREstimator

    pl.seed_everything(options.seed)
    watch = clock(pl.Callback, options.max_time)
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
            "callbacks": [watch],
        },
    )
    begin = time.perf_counter()
    predictor = estimator.train(dataset, cache_data=True)
    fitted = time.perf_counter()
    found = list(predictor.predict(dataset))
    quantiles = np.concatenate([np.stack([one.quantile(prob) for prob in PROBS], -1) for one in found])
    ids = np.repeat([one.item_id for one in found], options.h)
    stamps = np.concatenate([one.index.to_timestamp().to_numpy() for one in found])
    facts = {
        "fit_seconds": fitted - begin,
        "predict_seconds": time.perf_counter() - fitted,
        "fit_cpu_seconds": watch.used,
    }
    return as_frame(ids, stamps, quantiles), {"steps": watch.steps} | {
        name: round(value, 2) for name, value in facts.items()
    }


if __name__ == "__main__":
    main("gluonts", fit, learning_rate=1e-3, hidden_size=40, layers=2, batch_size=32)
