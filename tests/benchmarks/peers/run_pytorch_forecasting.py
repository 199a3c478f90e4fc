"""Training speed of pytorch-forecasting: `python run_pytorch_forecasting.py PANEL.parquet --steps N`."""

from __future__ import annotations

import pandas as pd
from stopwatch import BATCH_SIZE, HIDDEN_SIZE, HORIZON, INPUT_SIZE, LAYERS, Options, Stopwatch, clock, main


def train(frame: pd.DataFrame, options: Options) -> Stopwatch:
    """Fit RecurrentNetwork, the plain LSTM with MAE loss, taught recursively: its decoder is fed the true horizon.

    DeepAR of the same package is this network with a distribution as output, hence a little more work.
    """
    import lightning.pytorch as pl
    from pytorch_forecasting import RecurrentNetwork, TimeSeriesDataSet

    frame = frame.assign(time_idx=frame.groupby("unique_id").cumcount())
    dataset = TimeSeriesDataSet(
        frame,
        time_idx="time_idx",
        target="y",
        group_ids=["unique_id"],
        min_encoder_length=INPUT_SIZE,
        max_encoder_length=INPUT_SIZE,
        min_prediction_length=HORIZON,
        max_prediction_length=HORIZON,
        time_varying_unknown_reals=["y"],
    )
    watch: Stopwatch = clock(pl.Callback, options)
    model = RecurrentNetwork.from_dataset(dataset, cell_type="LSTM", hidden_size=HIDDEN_SIZE, rnn_layers=LAYERS)
    trainer = pl.Trainer(accelerator="cpu", callbacks=[watch])
    trainer.fit(model, dataset.to_dataloader(train=True, batch_size=BATCH_SIZE))
    return watch


if __name__ == "__main__":
    main("pytorch-forecasting", "pytorch-forecasting", train)
