"""Encoder-decoder with attention over the encoder's states: additive (Bahdanau, Cho and Bengio 2014, "Neural Machine
Translation by Jointly Learning to Align and Translate", arXiv 1409.0473) or by dot product (Luong, Pham and Manning
2015, "Effective Approaches to Attention-based Neural Machine Translation", arXiv 1508.04025), trained with scheduled
sampling.

What differs from the papers: the features of a step are ``tanh(W [context, state])`` with both scores (Bahdanau et al.
use a maxout layer), and those features are not fed to the next step (Luong et al. offer it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from forecast.nets.attention import Attended, Attentive, key_map
from forecast.nets.decoders import Recursive
from forecast.nets.encoders import Encoder
from forecast.nets.facts import Facts, Needs, inputs
from forecast.nets.skip import SeasonalSkip
from forecast.nets.static import static_shift
from forecast.windows.gather import Batch


class AttentionNet(nn.Module):
    """The past through the encoder; every step of the decoder looks back at all of its states.

    Window units in and out: (B, input_size) -> (B, h, outputs). Rows that are not known get no attention. Static
    features, where there are any, move the state that the decoder starts from.
    """

    def __init__(self, facts: Facts, encoder: Encoder, keys: nn.Module, decoder: Recursive, skip: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.keys = keys
        self.decoder = decoder
        self.skip = SeasonalSkip(facts.input_size, facts.h, facts.seasons if skip else ())
        self.static = static_shift(facts, encoder.width)

    def forward(self, batch: Batch) -> Tensor:
        memory, state = self.encoder(inputs(batch))
        if self.static is not None:
            state = self.static(state, batch)
        known = None if batch.observed is None else batch.observed.unsqueeze(1)
        start = Attended(state, memory, self.keys(memory), known)
        forecast: Tensor = self.decoder(start, self.skip(batch.past), batch)
        return forecast


@dataclass(frozen=True)
class Seq2SeqAttention:
    """An encoder-decoder that forecasts one step after the other and at each step chooses rows of the past to look at.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        attention: ``dot`` (fast) or ``additive``.
        cell: ``lstm``, ``gru``, ``rnn`` (tanh) or ``rnn_relu``.
        hidden_size: width of the encoder's state (the decoder's is twice that after a bidirectional encoder).
        num_layers: stacked recurrent layers on both sides.
        dropout: before the output (and between layers).
        bidirectional: let the encoder read the past in both directions, as Bahdanau et al. do.
        teacher_forcing: share of steps fed the true value at the start of training; falls linearly to 0.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    attention: str = "dot"
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
        """The network for ``facts``. Raises ``ConfigError`` for an unknown attention or cell."""
        encoder = Encoder(self.cell, facts.inputs, self.hidden_size, self.num_layers, self.dropout, self.bidirectional)
        width = encoder.width
        keys = key_map(self.attention, width)
        attentive = Attentive(self.attention, self.cell, 2, width, self.num_layers, self.dropout)
        decoder = Recursive(self.cell, width, self.num_layers, facts, self.dropout, self.teacher_forcing, attentive)
        return AttentionNet(facts, encoder, keys, decoder, self.seasonal_skip)
