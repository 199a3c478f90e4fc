"""An encoder that sums the past up in one vector, read out for all steps of the horizon at once."""

from __future__ import annotations

from torch import Tensor, nn

from forecast.nets.decoders import Direct
from forecast.nets.facts import Facts, inputs
from forecast.nets.skip import SeasonalSkip
from forecast.nets.static import static_shift
from forecast.windows.gather import Batch


class Readout(nn.Module):
    """``encoder``, the direct decoder and the seasonal skip put together.

    ``encoder`` maps the past (B, input_size, channels) to (B, width), which static features move where there are any.
    Window units in and out: (B, input_size) -> (B, h, outputs).
    """

    def __init__(self, facts: Facts, encoder: nn.Module, width: int, dropout: float, skip: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = Direct(width, facts, dropout)
        self.skip = SeasonalSkip(facts.input_size, facts.h, facts.seasons if skip else ())
        self.static = static_shift(facts, width)

    def forward(self, batch: Batch) -> Tensor:
        state = self.encoder(inputs(batch)).unsqueeze(0)  # (1, B, width): one layer
        if self.static is not None:
            state = self.static(state, batch)
        forecast: Tensor = self.decoder(state, self.skip(batch.past), batch)
        return forecast
