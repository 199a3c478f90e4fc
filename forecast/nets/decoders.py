"""Decoders: all steps at once (direct) or one after the other (recursive)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecast.nets.encoders import State, recurrent, top
from forecast.nets.facts import Facts
from forecast.nets.heads import fed_back, head
from forecast.windows.gather import Batch


class Direct(nn.Module):
    """Every step of the horizon from the last state at once: one linear map, no error carried from step to step.

    State (layers, B, width) in, (B, h, outputs) out.
    """

    def __init__(self, width: int, facts: Facts, dropout: float) -> None:
        super().__init__()
        self.shape = (facts.h, facts.outputs)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, facts.h * facts.outputs)
        self.head = head(facts)

    def forward(self, state: State, skip: Tensor, batch: Batch) -> Tensor:
        return self.read(top(state), skip)

    def read(self, hidden: Tensor, skip: Tensor) -> Tensor:
        """The same from the hidden state of the last layer, (B, width)."""
        steps = self.project(self.dropout(hidden)).unflatten(-1, self.shape)
        forecast: Tensor = self.head(steps, skip)
        return forecast


class Recursive(nn.Module):
    """One step after the other, each fed the value before it (Sutskever, Vinyals and Le 2014, "Sequence to Sequence
    Learning with Neural Networks", arXiv 1409.3215).

    In training the value before is the true one with probability ``teacher_forcing * (1 - progress)`` (scheduled
    sampling, Bengio et al. 2015, arXiv 1506.03099), else the net's own point forecast; at prediction it is always
    its own. The seasonal skip of a step enters as a second input and is added to the output.

    ``layer`` replaces the recurrent layer by one that is called like it, (inputs (B, steps, 2), state) -> (features
    (B, steps, width), state); the state is then whatever that layer carries.
    """

    def __init__(
        self,
        cell: str,
        width: int,
        num_layers: int,
        facts: Facts,
        dropout: float,
        teacher_forcing: float,
        layer: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.h = facts.h
        self.teacher_forcing = teacher_forcing
        self.point = fed_back(facts)
        self.rnn = recurrent(cell, 2, width, num_layers, dropout) if layer is None else layer
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, facts.outputs)
        self.head = head(facts)

    def forward(self, state: State, skip: Tensor, batch: Batch) -> Tensor:
        truth = batch.future if self.training else None
        ratio = self.teacher_forcing * (1.0 - batch.progress)
        before = torch.zeros_like(batch.past[:, -1:])  # in window units the last known value is 0
        if truth is not None and ratio >= 1.0 and batch.future_observed is None:
            return self._forced(state, skip, torch.cat([before, truth[:, :-1]], dim=1))
        outputs = []
        for step in range(self.h):
            now = skip[:, step]  # (B, 1)
            features, state = self.rnn(torch.stack([before, now], dim=-1), state)
            output = self.head(self.project(self.dropout(features[:, 0])), now)
            outputs.append(output)
            before = output[:, self.point : self.point + 1]
            if truth is not None and ratio > 0.0:
                known = 1.0 if batch.future_observed is None else batch.future_observed[:, step : step + 1]
                forced = (torch.rand_like(before) < ratio) * known
                before = torch.where(forced > 0, truth[:, step : step + 1], before)
        return torch.stack(outputs, dim=1)

    def _forced(self, state: State, skip: Tensor, before: Tensor) -> Tensor:
        """All steps in one call of the layer, each fed the true value before it, ``before`` (B, h)."""
        features, _ = self.rnn(torch.stack([before, skip[..., 0]], dim=-1), state)
        forecast: Tensor = self.head(self.project(self.dropout(features)), skip)
        return forecast
