"""Encoder, decoder and skip put together."""

from __future__ import annotations

from torch import Tensor, nn

from forecast.nets.decoders import Direct, Recursive
from forecast.nets.encoders import Encoder
from forecast.nets.facts import Facts, inputs
from forecast.nets.skip import SeasonalSkip
from forecast.nets.static import static_shift
from forecast.windows.gather import Batch


class EncoderDecoder(nn.Module):
    """The past through the encoder, its last state through the decoder, the seasonal skip added.

    Static features, where there are any, move the state that is handed over. Window units in and out:
    (B, input_size) -> (B, h, outputs).
    """

    def __init__(self, facts: Facts, encoder: Encoder, decoder: Direct | Recursive, skip: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.skip = SeasonalSkip(facts.input_size, facts.h, facts.seasons if skip else ())
        self.static = static_shift(facts, encoder.width)

    def forward(self, batch: Batch) -> Tensor:
        _, state = self.encoder(inputs(batch))
        if self.static is not None:
            state = self.static(state, batch)
        forecast: Tensor = self.decoder(state, self.skip(batch.past), batch)
        return forecast


def direct_net(
    facts: Facts, cell: str, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool, skip: bool
) -> EncoderDecoder:
    """A recurrent encoder with the direct decoder."""
    encoder = Encoder(cell, facts.inputs, hidden_size, num_layers, dropout, bidirectional)
    return EncoderDecoder(facts, encoder, Direct(encoder.width, facts, dropout), skip)
