"""SegRNN: a recurrent net over segments (Lin et al. 2023, "SegRNN: Segment Recurrent Neural Network for Long-Term
Time Series Forecasting", arXiv 2308.11200), with a seasonal skip."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.nets.encoders import recurrent
from forecast.nets.facts import Facts, inputs
from forecast.nets.heads import head
from forecast.nets.skip import SeasonalSkip
from forecast.windows.gather import Batch


class SegRNNNet(nn.Module):
    """Segments of the past are embedded and read by a recurrent encoder; all segments of the future are then
    decoded in one parallel step of the same cell, each from the last state and an embedding of its position."""

    def __init__(
        self, facts: Facts, segment: int, hidden_size: int, cell: str, num_layers: int, dropout: float, skip: bool
    ) -> None:
        super().__init__()
        self.segment = segment
        self.h = facts.h
        self.pad = -facts.input_size % segment
        self.future_segments = ceil(facts.h / segment)
        self.embed = nn.Linear(segment * facts.channels, hidden_size)
        self.encoder = recurrent(cell, hidden_size, hidden_size, num_layers, dropout)
        self.position = nn.Parameter(torch.randn(self.future_segments, hidden_size) * 0.1)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(hidden_size, segment * facts.outputs)
        self.skip = SeasonalSkip(facts.input_size, facts.h, facts.seasons if skip else ())
        self.head = head(facts.probs)
        nn.init.zeros_(self.project.bias)

    def forward(self, batch: Batch) -> Tensor:
        x = functional.pad(inputs(batch), (0, 0, self.pad, 0))  # (B, segments * segment, channels)
        size, rows, channels = x.shape
        segments = x.reshape(size, rows // self.segment, self.segment * channels)
        _, state = self.encoder(functional.relu(self.embed(segments)))
        features = self._decode(state, size)  # (B, future_segments, hidden)
        steps = self.project(self.dropout(features)).reshape(size, self.future_segments * self.segment, -1)
        forecast: Tensor = self.head(steps[:, : self.h] + self.skip(batch.past))
        return forecast

    def _decode(self, state: Tensor | tuple[Tensor, Tensor], size: int) -> Tensor:
        """One step of the cell for every future segment at once: (B, future_segments, hidden)."""
        queries = self.position.repeat(size, 1).unsqueeze(1)  # (B * future_segments, 1, hidden)
        if isinstance(state, tuple):
            repeated = tuple(part.repeat_interleave(self.future_segments, dim=1) for part in state)
            output, _ = self.encoder(queries, repeated)
        else:
            output, _ = self.encoder(queries, state.repeat_interleave(self.future_segments, dim=1))
        return output.reshape(size, self.future_segments, -1)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class SegRNN:
    """Segment-wise recurrent net, the default model.

    Reading 24 rows at a time makes the recurrence 24 times shorter: more windows a second at the same width, and
    gradients that survive a long past.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        segment: rows in a segment; ``None`` takes the season, kept between 2 and 24.
        hidden_size: width of embedding and state.
        num_layers: stacked recurrent layers.
        cell: ``gru`` (the paper's; better here at equal time), ``lstm``, ``rnn`` or ``rnn_relu``.
        dropout: on the decoded features (and between layers).
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    segment: int | None = None
    hidden_size: int = 128
    num_layers: int = 1
    cell: str = "gru"
    dropout: float = 0.0
    seasonal_skip: bool = True
    quantiles: tuple[float, ...] = ()

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``."""
        season = facts.seasons[0] if facts.seasons else facts.h
        segment = self.segment or min(max(season, 2), 24, facts.input_size)
        return SegRNNNet(facts, segment, self.hidden_size, self.cell, self.num_layers, self.dropout, self.seasonal_skip)
