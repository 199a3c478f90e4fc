"""Recurrent encoders: Elman RNN, LSTM and GRU over the rows of a window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecast.errors import ConfigError

State = Tensor | tuple[Tensor, Tensor]
CELLS = ("rnn", "rnn_relu", "lstm", "gru")


def recurrent(
    cell: str, input_size: int, hidden_size: int, num_layers: int = 1, dropout: float = 0.0, bidirectional: bool = False
) -> nn.RNN | nn.LSTM | nn.GRU:
    """A batch-first recurrent layer stack by the name of its cell. Raises ``ConfigError`` for an unknown name."""
    between = dropout if num_layers > 1 else 0.0
    if cell == "lstm":
        return nn.LSTM(input_size, hidden_size, num_layers, True, True, between, bidirectional)
    if cell == "gru":
        return nn.GRU(input_size, hidden_size, num_layers, True, True, between, bidirectional)
    if cell in ("rnn", "rnn_relu"):
        return nn.RNN(
            input_size,
            hidden_size,
            num_layers,
            nonlinearity="relu" if cell == "rnn_relu" else "tanh",
            batch_first=True,
            dropout=between,
            bidirectional=bidirectional,
        )
    raise ConfigError(f"cell={cell!r} is not one of {', '.join(CELLS)}.")


class Encoder(nn.Module):
    """Reads a window of past rows; gives the output of every row and the state after the last.

    Input (B, input_size, channels). Output (B, input_size, width) with ``width`` = hidden_size, or twice that when
    bidirectional; state (layers, B, width). Both directions read the past only, so nothing leaks.
    """

    def __init__(
        self, cell: str, channels: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool
    ) -> None:
        super().__init__()
        self.layers = num_layers
        self.width = hidden_size * (2 if bidirectional else 1)
        self.rnn = recurrent(cell, channels, hidden_size, num_layers, dropout, bidirectional)

    def forward(self, x: Tensor) -> tuple[Tensor, State]:
        output, state = self.rnn(x)
        return output, self._joined(state)

    def _joined(self, state: State) -> State:
        """Both directions of each layer side by side: (layers, B, width)."""
        if not self.rnn.bidirectional:
            return state
        if isinstance(state, tuple):
            hidden, memory = (torch.cat([part[0::2], part[1::2]], dim=-1) for part in state)
            return hidden, memory
        return torch.cat([state[0::2], state[1::2]], dim=-1)


def top(state: State) -> Tensor:
    """The hidden state of the last layer, (B, width)."""
    hidden = state[0] if isinstance(state, tuple) else state
    return hidden[-1]
