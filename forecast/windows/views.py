"""All windows of a table of rows at once, without a copy of any, and those of them that are asked for."""

from __future__ import annotations

import torch
from torch import Tensor


def window_view(values: Tensor, width: int) -> Tensor:
    """All windows of ``width`` rows as an overlapping view, shape (N - width + 1, width * C). Copies nothing."""
    rows, channels = values.shape
    return values.view(-1).as_strided((rows - width + 1, width * channels), (channels, 1))


def stretches(values: Tensor, starts: Tensor, width: int) -> Tensor:
    """``width`` rows of ``values`` (N, C) from each of ``starts`` (B,) on, (B, width, C): one strided selection."""
    channels = values.shape[1]
    if not channels:
        return values.new_empty(len(starts), width, 0)
    return torch.index_select(window_view(values, width), 0, starts).view(len(starts), width, channels)
