"""Encoder-decoder recurrent net (Sutskever, Vinyals and Le 2014, arXiv 1409.3215) with scheduled sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from forecast.nets.compose import EncoderDecoder
from forecast.nets.decoders import Recursive
from forecast.nets.encoders import Encoder
from forecast.nets.facts import Facts, Needs


@dataclass(frozen=True)
class Seq2Seq:
    """A recurrent encoder hands its state to a recurrent decoder, which forecasts one step after the other.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        cell: ``lstm``, ``gru``, ``rnn`` (tanh) or ``rnn_relu``.
        hidden_size: width of the encoder's state (the decoder's is twice that after a bidirectional encoder).
        num_layers: stacked recurrent layers on both sides.
        dropout: before the output (and between layers).
        bidirectional: let the encoder read the past in both directions.
        teacher_forcing: share of steps fed the true value at the start of training; falls linearly to 0.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    dropout: float = 0.0
    bidirectional: bool = False
    teacher_forcing: float = 0.5
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()
    needs: ClassVar[Needs] = Needs(static=True, hist=True, recursive=True)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``."""
        encoder = Encoder(self.cell, facts.inputs, self.hidden_size, self.num_layers, self.dropout, self.bidirectional)
        decoder = Recursive(self.cell, encoder.width, self.num_layers, facts, self.dropout, self.teacher_forcing)
        return EncoderDecoder(facts, encoder, decoder, self.seasonal_skip)
