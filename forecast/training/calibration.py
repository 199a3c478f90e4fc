"""How wrong a trained net is, window by window: what conformal intervals are made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from forecast.training.source import Source

Float = npt.NDArray[np.float64]

BATCH = 512
ENOUGH_WINDOWS = 1000


def calibration_starts(source: Source) -> Tensor:
    """The windows to judge the net on: the validation windows, or a spread of training windows where there is none."""
    if len(source.validation):
        return source.validation
    stride = max(1, source.windows.total // ENOUGH_WINDOWS)
    return source.windows.start(torch.arange(0, source.windows.total, stride))


def residuals(net: nn.Module, source: Source, starts: Tensor) -> Float:
    """Errors of the point forecast in window spreads, (V, h); NaN where the actual is unknown or the past constant."""
    errors = [np.empty((0, source.h))]
    with torch.inference_mode():
        for rows in torch.split(starts, BATCH):
            scaled = source.scaled(source.at(rows))
            future = scaled.batch.future
            if future is None:
                raise ValueError("calibration windows have a future")
            output = net(scaled.batch._replace(future=None, future_observed=None))[..., 0]
            error = scaled.in_spreads(output - future).numpy().astype(np.float64)
            usable = np.broadcast_to((scaled.scale > 0).numpy(), error.shape)
            if scaled.batch.future_observed is not None:
                usable = usable & (scaled.batch.future_observed.numpy() > 0)
            errors.append(np.where(usable, error, np.nan))
    return np.concatenate(errors)
