"""Residual recurrent net: stacked layers that each add to the one below (Prakash et al. 2016, "Neural Paraphrase
Generation with Stacked Residual LSTM Networks", arXiv 1610.03098), with layer norm (Ba, Kiros and Hinton 2016,
"Layer Normalization", arXiv 1607.06450)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from forecast.nets.checks import at_least_one
from forecast.nets.encoders import recurrent
from forecast.nets.facts import Facts, Needs
from forecast.nets.readout import Readout


class ResidualEncoder(nn.Module):
    """x_1 = RNN_1(x), x_l = x_(l-1) + RNN_l(norm(x_(l-1))), the last row normed. (B, T, channels) -> (B, hidden_size).

    The first layer has no residual and no norm: a window's one or two channels are narrower than the state, and a norm
    over them would leave nothing.
    """

    def __init__(self, cell: str, channels: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.first = recurrent(cell, channels, hidden_size)
        self.layers = nn.ModuleList(recurrent(cell, hidden_size, hidden_size) for _ in range(num_layers - 1))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(num_layers - 1))
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.first(x)[0]
        for norm, layer in zip(self.norms, self.layers, strict=True):
            states = states + self.dropout(layer(norm(states))[0])
        last: Tensor = self.norm(states[:, -1])
        return last


@dataclass(frozen=True)
class ResidualRNN:
    """Stacked recurrent layers with residual connections and layer norm: depth that still trains.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        cell: ``lstm``, ``gru``, ``rnn`` (tanh) or ``rnn_relu``.
        hidden_size: width of the state.
        num_layers: stacked recurrent layers.
        dropout: before the decoder and on what each further layer adds.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 2
    dropout: float = 0.0
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()
    needs: ClassVar[Needs] = Needs(static=True, hist=True)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for an unknown cell or a size below 1."""
        at_least_one(hidden_size=self.hidden_size, num_layers=self.num_layers)
        encoder = ResidualEncoder(self.cell, facts.inputs, self.hidden_size, self.num_layers, self.dropout)
        return Readout(facts, encoder, self.hidden_size, self.dropout, self.seasonal_skip)
