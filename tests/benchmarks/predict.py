"""Prediction from frame to frame."""

from __future__ import annotations

import time

import numpy as np
import torch

from forecast import Forecaster, Training
from forecast.models import LSTM, SegRNN
from tests.benchmarks.panels import hourly_frame
from tests.benchmarks.table import print_table

SERIES, ROWS, H = 20_000, 200, 24


def main() -> None:
    """Series/s for 20,000 series of 200 hours, frame to frame, one thread (target: 20,000)."""
    torch.set_num_threads(1)
    frame = hourly_frame(SERIES, ROWS)
    small = frame[frame["unique_id"] < "s000050"]
    training = Training(max_steps=2, batch_size=32, validations=1)
    rows = []
    for arch, level in (
        (SegRNN(input_size=168), None),
        (SegRNN(input_size=168), [80, 95]),
        (LSTM(input_size=168), None),
    ):
        fitted = Forecaster(arch, h=H, freq="h", training=training, progress=False).fit(small)
        fitted.predict(small)
        times = []
        for _ in range(5):
            started = time.perf_counter()
            out = fitted.predict(frame, level=level)
            times.append(time.perf_counter() - started)
        assert len(out) == SERIES * H
        label = f"{type(arch).__name__} {arch.hidden_size}{' with two levels' if level else ''}"
        rows.append((label, float(np.median(times)), SERIES / float(np.median(times)), SERIES / min(times)))
    print_table(("net", "median seconds", "series/s", "best series/s"), rows)
