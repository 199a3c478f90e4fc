"""What nets do with static features: one linear map of them, added to a recurrent state.

Of one-hot cells such a map is an embedding (Guo and Berkhahn 2016, "Entity Embeddings of Categorical Variables",
arXiv 1604.06737). It starts at zero, so that a net with static features begins as the net without them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.nets.encoders import State
from forecast.nets.facts import Facts
from forecast.windows.gather import Batch

# A label is that of few series: learned as fast as the other weights, what became of each would be learned by heart.
RATE = 0.03
RATE_BEFORE = 0.1  # of nets that were saved without theirs


class StaticShift(nn.Module):
    """Moves the hidden state of every layer by a linear map of the static features; an LSTM's memory stays.

    State (layers, B, width) in and out, with ``Batch.static`` (B, features).
    """

    rate: Tensor

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, features))  # drawn from no generator: nothing else changes
        self.register_buffer("rate", torch.full((1,), RATE))  # saved with the weights, which mean nothing without it

    def forward(self, state: State, batch: Batch) -> State:
        if batch.static is None:
            raise ValueError("the net was built for static features, the batch has none")
        shift = self.rate * functional.linear(batch.static, self.weight)  # (B, width), the same for every layer
        if isinstance(state, tuple):
            return state[0] + shift, state[1]
        return state + shift


def with_rates(state: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """The saved ``state`` of a net that has all of ``wanted`` (names of its state now), completed by the rates that
    were not saved in former times."""
    missing = [name for name in wanted if name.endswith("static.rate") and name not in state]
    return {**state, **{name: torch.full((1,), RATE_BEFORE) for name in missing}}


def static_shift(facts: Facts, width: int) -> StaticShift | None:
    """The part for a state of ``width``; nothing where there are no static features."""
    return StaticShift(facts.static, width) if facts.static else None
