"""Training speed of gluonts' DeepAR: `python run_gluonts.py PANEL.parquet --steps N [--plain]`."""

from __future__ import annotations

from typing import Any

import pandas as pd
from stopwatch import BATCH_SIZE, HIDDEN_SIZE, HORIZON, INPUT_SIZE, LAYERS, Options, Stopwatch, clock, main


def train(frame: pd.DataFrame, options: Options) -> Stopwatch:
    """Fit DeepAR, the toolkit's only LSTM: it unrolls context and horizon and has a Student-t output.

    As shipped it also feeds some forty lags and calendar features to the LSTM, so it needs about 720 more steps of
    history per window. `--plain` leaves the previous value alone, the closest to the other peers.
    """
    import lightning.pytorch as pl
    from gluonts.dataset.pandas import PandasDataset
    from gluonts.torch import DeepAREstimator

    dataset = PandasDataset.from_long_dataframe(frame, target="y", item_id="unique_id", timestamp="ds", freq="h")
    watch: Stopwatch = clock(pl.Callback, options)
    plain: dict[str, Any] = {"lags_seq": [1], "time_features": []} if options.plain else {}
    estimator = DeepAREstimator(
        freq="h",
        prediction_length=HORIZON,
        context_length=INPUT_SIZE,
        num_layers=LAYERS,
        hidden_size=HIDDEN_SIZE,
        batch_size=BATCH_SIZE,
        trainer_kwargs={"accelerator": "cpu", "callbacks": [watch]},
        **plain,
    )
    estimator.train(dataset)
    return watch


if __name__ == "__main__":
    main("gluonts", "gluonts", train)
