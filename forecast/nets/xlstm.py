"""xLSTM (Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", arXiv 2405.04517) over segments of the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from forecast.errors import ConfigError
from forecast.nets.checks import at_least_one
from forecast.nets.facts import Facts, Needs
from forecast.nets.readout import Readout
from forecast.nets.segments import segment_length, segments
from forecast.nets.xlstm_blocks import MLSTMBlock, SLSTMBlock

BLOCKS = {"m": MLSTMBlock, "s": SLSTMBlock}


class XLSTMEncoder(nn.Module):
    """Segments of the past are embedded and pass through residual blocks; the last row of the last block is the
    summary: (B, input_size, channels) -> (B, width)."""

    def __init__(self, channels: int, segment: int, width: int, blocks: str, heads: int, dropout: float) -> None:
        super().__init__()
        self.segment = segment
        self.embed = nn.Linear(segment * channels, width)
        self.blocks = nn.Sequential(*(BLOCKS[kind](width, heads, dropout) for kind in blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.blocks(self.embed(segments(x, self.segment)))  # (B, segments, width)
        summary: Tensor = self.norm(rows[:, -1])
        return summary


@dataclass(frozen=True)
class XLSTM:
    """Stacked sLSTM and mLSTM blocks: recurrent cells with exponential gates and scalar or matrix memories.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        segment: rows read at a time; ``None`` takes the season, kept between 2 and 24.
        hidden_size: width of a row between blocks; a multiple of ``heads``.
        blocks: the blocks in order, a letter each: ``m`` (matrix memory, no loop over time) or ``s`` (scalar memory).
        heads: independent memories in a block.
        dropout: on what each block adds, and before the output.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    segment: int | None = None
    hidden_size: int = 64
    blocks: str = "ms"
    heads: int = 4
    dropout: float = 0.0
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()
    needs: ClassVar[Needs] = Needs(static=True, hist=True)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for unknown blocks, or a width the heads do not divide."""
        if not self.blocks or set(self.blocks) - set(BLOCKS):
            raise ConfigError(f"blocks={self.blocks!r} must be one or more of the letters {', '.join(BLOCKS)}.")
        at_least_one(hidden_size=self.hidden_size, heads=self.heads)
        if self.hidden_size % self.heads:
            raise ConfigError(f"hidden_size={self.hidden_size} must be a multiple of heads={self.heads}.")
        segment = segment_length(self.segment, facts)
        encoder = XLSTMEncoder(facts.inputs, segment, self.hidden_size, self.blocks, self.heads, self.dropout)
        return Readout(facts, encoder, self.hidden_size, self.dropout, self.seasonal_skip)
