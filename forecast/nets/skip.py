"""The seasonal skip: a net adds to the seasonal naive forecast instead of starting from nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SeasonalSkip(nn.Module):
    """A learned blend of seasonal naive forecasts of the window, one for each season length.

    Input (B, input_size) in window units, output (B, h, 1). Each season starts with an equal share. Without any
    season it gives zeros, which in window units is the last value.
    """

    index: Tensor

    def __init__(self, input_size: int, h: int, seasons: tuple[int, ...]) -> None:
        super().__init__()
        steps = torch.arange(h)
        rows = [input_size - m + steps % m for m in seasons if 1 < m <= input_size]
        index = torch.stack(rows, dim=-1) if rows else torch.zeros(h, 0, dtype=torch.long)
        self.register_buffer("index", index, persistent=False)  # (h, seasons)
        self.share = nn.Parameter(torch.full((len(rows),), 1.0 / max(1, len(rows))))

    def forward(self, past: Tensor) -> Tensor:
        return (past[:, self.index] @ self.share).unsqueeze(-1)
