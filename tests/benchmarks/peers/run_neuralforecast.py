"""Training speed of neuralforecast's LSTM: `python run_neuralforecast.py PANEL.parquet --steps N`."""

from __future__ import annotations

import pandas as pd
from stopwatch import BATCH_SIZE, HIDDEN_SIZE, HORIZON, INPUT_SIZE, LAYERS, Options, Stopwatch, clock, main


def train(frame: pd.DataFrame, options: Options) -> Stopwatch:
    """Fit LSTM encoder and MLP decoder (direct), the shipped `recurrent=False`; scaler and loss as shipped.

    A step takes 32 series (`batch_size`, as shipped), cuts all their windows and keeps `windows_batch_size` of them.
    """
    import pytorch_lightning as pl
    from neuralforecast import NeuralForecast
    from neuralforecast.models import LSTM

    watch: Stopwatch = clock(pl.Callback, options)
    model = LSTM(
        h=HORIZON,
        input_size=INPUT_SIZE,
        encoder_n_layers=LAYERS,
        encoder_hidden_size=HIDDEN_SIZE,
        windows_batch_size=BATCH_SIZE,
        max_steps=options.warmup + options.steps,
        accelerator="cpu",
        callbacks=[watch],
    )
    NeuralForecast(models=[model], freq="h").fit(frame)
    return watch


if __name__ == "__main__":
    main("neuralforecast", "neuralforecast", train)
