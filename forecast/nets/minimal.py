"""What the minimal recurrent nets share: gates that do not look at the state, so that time is one linear recurrence
(Feng et al. 2024, "Were RNNs All We Needed?", arXiv 2410.01201)."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from forecast.nets.rows import trailing


def memory_spans(width: int, rows: int) -> Tensor:
    """Gate biases b, one for each unit, that make sigmoid(b) keep a state for between 1 row and all ``rows``.

    sigmoid(log s) = s / (1 + s) forgets within about s rows; spans s are spread evenly over their logarithm. The idea
    is the chrono initialisation (Tallec and Ollivier 2018, "Can recurrent neural networks warp time?",
    arXiv 1804.11188), which draws them at random.
    """
    return torch.linspace(0.0, log(max(2, rows)), width)


class MinimalEncoder(nn.Module):
    """Stacked minimal recurrent layers with residual connections, over each row and the few before it.

    ``layers`` map (T, B, width) to the same shape, time first. (B, T, channels) -> (B, width). The first layer reads
    the embedding as it is: normalising a few numbers would take their size away.
    """

    def __init__(self, channels: int, kernel: int, width: int, layers: Sequence[nn.Module], dropout: float) -> None:
        super().__init__()
        self.kernel = kernel
        self.embed = nn.Linear(channels * kernel, width)
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList([nn.Identity(), *(nn.LayerNorm(width) for _ in range(len(layers) - 1))])
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        states = self.embed(trailing(x, self.kernel).transpose(0, 1))  # (T, B, width)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            states = states + self.dropout(layer(norm(states)))
        last: Tensor = self.norm(states[-1])
        return last
