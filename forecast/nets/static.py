"""What nets do with static features: one linear map of them, added to a recurrent state.

Of one-hot cells such a map is an embedding (Guo and Berkhahn 2016, "Entity Embeddings of Categorical Variables",
arXiv 1604.06737). It starts at zero, so that a net with static features begins as the net without them.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from forecast.nets.encoders import State
from forecast.nets.facts import Facts
from forecast.windows.gather import Batch

RATE = 0.1  # a label is that of few series: learned as fast as the other weights, it would be learned by heart


class StaticShift(nn.Module):
    """Moves the hidden state of every layer by a linear map of the static features; an LSTM's memory stays.

    State (layers, B, width) in and out, with ``Batch.static`` (B, features).
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, features))  # drawn from no generator: nothing else changes

    def forward(self, state: State, batch: Batch) -> State:
        if batch.static is None:
            raise ValueError("the net was built for static features, the batch has none")
        shift = RATE * functional.linear(batch.static, self.weight)  # (B, width), the same for every layer
        if isinstance(state, tuple):
            return state[0] + shift, state[1]
        return state + shift


def static_shift(facts: Facts, width: int) -> StaticShift | None:
    """The part for a state of ``width``; nothing where there are no static features."""
    return StaticShift(facts.static, width) if facts.static else None
