"""SegRNN: a recurrent net over segments (Lin et al. 2023, "SegRNN: Segment Recurrent Neural Network for Long-Term
Time Series Forecasting", arXiv 2308.11200), with a seasonal skip."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.errors import ConfigError
from forecast.nets.encoders import State, recurrent, top
from forecast.nets.facts import Facts, Needs, followed, inputs
from forecast.nets.heads import fed_back, head
from forecast.nets.scaling import check_scaling
from forecast.nets.segments import segment_length, segments
from forecast.nets.skip import SeasonalSkip
from forecast.nets.static import static_shift
from forecast.windows.gather import Batch

DECODINGS = ("parallel", "recursive")


class SegRNNNet(nn.Module):
    """Segments of the past are embedded and read by a recurrent encoder.

    Parallel decoding (the paper's PMF) then takes one step of the same cell for all segments of the future at once,
    each from the last state and an embedding of its position. Recursive decoding (RMF) forecasts a segment from the
    state and reads its own point forecast as the next segment.
    """

    def __init__(
        self,
        facts: Facts,
        segment: int,
        hidden_size: int,
        cell: str,
        num_layers: int,
        decoding: str,
        dropout: float,
        skip: bool,
    ) -> None:
        super().__init__()
        self.segment = segment
        self.h = facts.h
        self.point = fed_back(facts)
        self.parallel = decoding == "parallel"
        self.future_segments = ceil(facts.h / segment)
        self.embed = nn.Linear(segment * facts.inputs, hidden_size)
        self.encoder = recurrent(cell, hidden_size, hidden_size, num_layers, dropout)
        if self.parallel:
            self.position = nn.Parameter(torch.randn(self.future_segments, hidden_size) * 0.1)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(hidden_size, segment * facts.outputs)
        self.skip = SeasonalSkip(facts.input_size, facts.h, facts.seasons if skip else ())
        self.head = head(facts)
        self.static = static_shift(facts, hidden_size)
        nn.init.zeros_(self.project.bias)

    def forward(self, batch: Batch) -> Tensor:
        _, state = self.encoder(functional.relu(self.embed(segments(inputs(batch), self.segment))))
        if self.static is not None:
            state = self.static(state, batch)
        skip = self.skip(batch.past)
        if not self.parallel:
            return self._recursive(state, skip, batch)
        size = len(batch.past)
        features = self._decode(state, size)  # (B, future_segments, hidden)
        steps = self.project(self.dropout(features)).reshape(size, self.future_segments * self.segment, -1)
        forecast: Tensor = self.head(steps[:, : self.h], skip)
        return forecast

    def _recursive(self, state: State, skip: Tensor, batch: Batch) -> Tensor:
        """One segment after the other, the state moved on by the forecast before: (B, h, outputs)."""
        outputs: list[Tensor] = []
        for first in range(0, self.h, self.segment):
            if outputs:
                own = outputs[-1][..., self.point]  # (B, segment)
                read = inputs(followed(batch, own))
                _, state = self.encoder(functional.relu(self.embed(segments(read, self.segment))), state)
            now = skip[:, first : first + self.segment]  # the last segment may be shorter
            steps = self.project(self.dropout(top(state))).unflatten(-1, (self.segment, -1))
            outputs.append(self.head(steps[:, : now.shape[1]], now))
        return torch.cat(outputs, dim=1)

    def _decode(self, state: State, size: int) -> Tensor:
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
        decoding: ``parallel``, all segments of the future at once, or ``recursive``, each fed the one before.
        dropout: on the decoded features (and between layers).
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        scaling: each ``window`` is divided by its own spread, or by that of its whole ``series`` (the paper's form,
            where the last value is subtracted from data standardised beforehand): better where a quiet day foretells
            a quiet week, worse where series grow.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    segment: int | None = None
    hidden_size: int = 128
    num_layers: int = 1
    cell: str = "gru"
    decoding: str = "parallel"
    dropout: float = 0.0
    seasonal_skip: bool = True
    scaling: str = "window"
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()

    @property
    def needs(self) -> Needs:
        """Static features, where there are any; windows in the units that ``scaling`` says."""
        recursive = self.decoding == "recursive"
        return Needs(static=True, hist=True, spread=self.scaling == "window", recursive=recursive)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for an unknown cell, decoding or scaling."""
        if self.decoding not in DECODINGS:
            raise ConfigError(f"decoding={self.decoding!r} is not one of {', '.join(DECODINGS)}.")
        check_scaling(self.scaling)
        segment = segment_length(self.segment, facts)
        return SegRNNNet(
            facts,
            segment,
            self.hidden_size,
            self.cell,
            self.num_layers,
            self.decoding,
            self.dropout,
            self.seasonal_skip,
        )
