"""Recurrent encoder with self-attention over its states (Vaswani et al. 2017, "Attention Is All You Need",
arXiv 1706.03762, multi-head scaled dot product; over recurrent states as in Lin et al. 2017, "A Structured
Self-attentive Sentence Embedding", arXiv 1703.03130), then the direct decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from forecast.errors import ConfigError
from forecast.nets.checks import at_least_one
from forecast.nets.encoders import Encoder, top
from forecast.nets.facts import Facts, Needs
from forecast.nets.readout import Readout


class AttentiveEncoder(nn.Module):
    """norm(s + attention(s, states)) with s the last state. (B, T, channels) -> (B, width).

    The decoder reads the last row of the self-attention only, so only that row is computed: T products instead of
    T squared. The states know their place in time, so no position is added to them.
    """

    def __init__(self, encoder: Encoder, heads: int, dropout: float) -> None:
        super().__init__()
        self.rnn = encoder
        self.attention = nn.MultiheadAttention(encoder.width, heads, dropout, batch_first=True)
        self.norm = nn.LayerNorm(encoder.width)

    def forward(self, x: Tensor) -> Tensor:
        states, state = self.rnn(x)
        query = top(state)
        context, _ = self.attention(query.unsqueeze(1), states, states, need_weights=False)
        summary: Tensor = self.norm(query + context.squeeze(1))
        return summary


@dataclass(frozen=True)
class RNNAttention:
    """A recurrent encoder that can look back: its last state attends to all states of the window.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        cell: ``lstm``, ``gru``, ``rnn`` (tanh) or ``rnn_relu``.
        hidden_size: width of the state (twice that when bidirectional).
        num_layers: stacked recurrent layers.
        heads: attention heads; they divide the state's width.
        dropout: before the decoder, on attention weights (and between layers).
        bidirectional: read the past in both directions.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    heads: int = 4
    dropout: float = 0.0
    bidirectional: bool = False
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()
    needs: ClassVar[Needs] = Needs(static=True, hist=True)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for an unknown cell, or heads that do not divide."""
        at_least_one(hidden_size=self.hidden_size, num_layers=self.num_layers, heads=self.heads)
        encoder = Encoder(self.cell, facts.inputs, self.hidden_size, self.num_layers, self.dropout, self.bidirectional)
        if encoder.width % self.heads:
            raise ConfigError(
                f"heads={self.heads} do not divide a state of width {encoder.width}. Change heads or hidden_size."
            )
        attentive = AttentiveEncoder(encoder, self.heads, self.dropout)
        return Readout(facts, attentive, encoder.width, self.dropout, self.seasonal_skip)
