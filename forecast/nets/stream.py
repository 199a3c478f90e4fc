"""A recurrent net that reads a series row by row and can forecast after any of them: its state is all it keeps."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from forecast.nets.decoders import Direct
from forecast.nets.encoders import recurrent
from forecast.nets.facts import Facts
from forecast.nets.running import width

REGISTER = 16  # numbers that the widest vector instructions take at a time


@runtime_checkable
class Streaming(Protocol):
    """An architecture that can also be trained with its state carried along whole series."""

    def stream(self, facts: Facts) -> StreamNet:
        """The net for ``facts``, freshly initialised from torch's global generator."""
        ...


def why_not(architecture: object) -> str:
    """Why ``architecture`` cannot read whole series row by row; empty when it can."""
    if not isinstance(architecture, Streaming):
        return "it reads windows, not row by row"
    return "with bidirectional=true it reads backwards too" if getattr(architecture, "bidirectional", False) else ""


class StreamNet(nn.Module):
    """A recurrent layer stack over rows, and the direct decoder after any of them.

    Rows and forecasts are in units of the series so far (:mod:`forecast.nets.running`). What is carried from row to
    row is one tensor (B, parts, layers, hidden): the hidden state, and an LSTM's memory as a second part; zeros before
    the first row.
    """

    def __init__(self, facts: Facts, cell: str, hidden_size: int, num_layers: int, dropout: float, skip: bool) -> None:
        super().__init__()
        self.features = width(facts)
        self.parts = 2 if cell == "lstm" else 1
        self.rnn = recurrent(cell, self.features, hidden_size, num_layers, dropout)
        self.decoder = Direct(hidden_size, facts, dropout)
        self.shares = _shares(hidden_size, len(facts.seasons)) if skip and facts.seasons else None

    def start(self, series: int) -> Tensor:
        """What ``series`` series carry before their first row."""
        shape = (series, self.parts, self.rnn.num_layers, self.rnn.hidden_size)
        return torch.zeros(shape, device=self.decoder.project.weight.device)

    def read(self, rows: Tensor, carry: Tensor) -> tuple[Tensor, Tensor]:
        """Read rows (B, T, features) in order: gives the hidden state after each, (B, T, hidden), and what to carry.

        Outside training it is the same to the last bit with however many other series, and in whatever pieces, a series
        is read: empty ones fill up the registers of the kernels, which round the rest of an array in another way.
        """
        if self.training:
            return self._read(rows, carry)
        count, lacking = len(rows), -len(rows) % REGISTER
        if lacking:
            rows, carry = (torch.cat([part, part.new_zeros(lacking, *part.shape[1:])]) for part in (rows, carry))
        rows = rows.transpose(0, 1).contiguous().transpose(0, 1)  # one row each has this layout anyway, another kernel
        hidden, ends = self._read(rows, carry)
        return hidden[:count], ends[:count]

    def _read(self, rows: Tensor, carry: Tensor) -> tuple[Tensor, Tensor]:
        parts = [part.transpose(0, 1).contiguous() for part in carry.unbind(1)]  # (layers, B, hidden) each
        hidden, state = self.rnn(rows, (parts[0], parts[1]) if self.parts == 2 else parts[0])
        ends = state if isinstance(state, tuple) else (state,)
        return hidden, torch.stack([end.transpose(0, 1) for end in ends], dim=1).to(carry.dtype)

    def forecast(self, hidden: Tensor, coming: Tensor) -> Tensor:
        """Forecasts (N, h, outputs) after N rows with these hidden states (N, hidden), added to a blend of the seasonal
        naive forecasts ``coming`` (N, h, seasons), whose shares depend on the state."""
        if self.shares is None:
            blend = coming.new_zeros(*coming.shape[:2], 1)
        else:
            blend = coming @ self.shares(hidden).unsqueeze(-1)
        return self.decoder.read(hidden, blend)

    def forward(self, rows: Tensor, coming: Tensor) -> Tensor:
        """The forecasts after the last of rows (B, T, features) of series that start there."""
        hidden, _ = self.read(rows, self.start(len(rows)))
        return self.forecast(hidden[:, -1], coming)


def top(carry: Tensor) -> Tensor:
    """The hidden state of the last layer, (B, hidden)."""
    return carry[:, 0, -1]


def _shares(hidden_size: int, seasons: int) -> nn.Linear:
    """The share of each season's naive forecast from a hidden state; at first equal ones, whatever the state."""
    shares = nn.Linear(hidden_size, seasons)
    nn.init.zeros_(shares.weight)
    nn.init.constant_(shares.bias, 1.0 / seasons)
    return shares
