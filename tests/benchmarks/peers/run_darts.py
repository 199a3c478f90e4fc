"""Training speed of darts' BlockRNNModel: `python run_darts.py PANEL.parquet --steps N`."""

from __future__ import annotations

import pandas as pd
from stopwatch import BATCH_SIZE, HIDDEN_SIZE, HORIZON, INPUT_SIZE, LAYERS, Options, Stopwatch, clock, main


def train(frame: pd.DataFrame, options: Options) -> Stopwatch:
    """Fit an LSTM with a linear layer per step of the horizon (direct), on float32 series.

    Not RNNModel, whose training is recursive. darts scales nothing inside the model; its users do that before `fit`,
    so scaling is outside the clock here.
    """
    import pytorch_lightning as pl
    from darts import TimeSeries
    from darts.models import BlockRNNModel

    series = TimeSeries.from_group_dataframe(frame, group_cols="unique_id", time_col="ds", value_cols="y")
    # The ids come back as static covariates (text); the model must stay univariate.
    series = [one.with_static_covariates(None).astype("float32") for one in series]
    watch: Stopwatch = clock(pl.Callback, options)
    model = BlockRNNModel(
        model="LSTM",
        input_chunk_length=INPUT_SIZE,
        output_chunk_length=HORIZON,
        hidden_dim=HIDDEN_SIZE,
        n_rnn_layers=LAYERS,
        batch_size=BATCH_SIZE,
        pl_trainer_kwargs={"accelerator": "cpu", "callbacks": [watch]},
    )
    model.fit(series)
    return watch


if __name__ == "__main__":
    main("darts", "darts", train)
