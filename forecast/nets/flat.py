"""Nets without recurrence: the whole window as one vector, all steps of the horizon at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecast.nets.facts import Facts
from forecast.nets.heads import head
from forecast.nets.skip import SeasonalSkip
from forecast.windows.gather import Batch


def mean_of_known(batch: Batch) -> Tensor:
    """Mean of the known rows of each window, (B, 1); 0, which is the last value, where none is known."""
    if batch.observed is None:
        return batch.past.mean(1, keepdim=True)
    return (batch.past * batch.observed).sum(1, keepdim=True) / batch.observed.sum(1, keepdim=True).clamp(min=1.0)


class Flat(nn.Module):
    """``body`` maps the window (B, input_size * channels), values first, then the indicator, to (B, h * outputs).

    With ``centre`` the values are taken relative to the window's mean, otherwise (as everywhere) to the last value.
    What the body gives is added to the seasonal skip; without one to that same mean or last value.
    """

    def __init__(self, facts: Facts, body: nn.Module, skip: bool, centre: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = (facts.h, facts.outputs)
        self.centre = centre
        self.body = body
        self.dropout = nn.Dropout(dropout)
        self.skip = SeasonalSkip(facts.input_size, facts.h, facts.seasons) if skip and facts.seasons else None
        self.head = head(facts)

    def forward(self, batch: Batch) -> Tensor:
        level = mean_of_known(batch) if self.centre else torch.zeros_like(batch.past[:, :1])
        x = batch.past - level
        if batch.observed is not None:
            x = torch.cat([x * batch.observed, batch.observed], dim=1)
        steps = self.body(self.dropout(x)).unflatten(-1, self.shape)
        anchor = level.unsqueeze(-1) if self.skip is None else self.skip(batch.past)
        forecast: Tensor = self.head(steps, anchor)
        return forecast


def silent(features: int, outputs: int) -> nn.Linear:
    """A linear map that starts at zero: the forecast then starts as the anchor, and the problem is convex anyway."""
    layer = nn.Linear(features, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
