"""LSTNet (Lai et al. 2018, "Modeling Long- and Short-Term Temporal Patterns with Deep Neural Networks",
arXiv 1703.07015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.errors import ConfigError
from forecast.nets.checks import at_least_one
from forecast.nets.encoders import recurrent, top
from forecast.nets.facts import Facts, inputs
from forecast.nets.heads import head
from forecast.nets.rows import fold, trailing
from forecast.nets.skip import SeasonalSkip
from forecast.windows.gather import Batch


class Autoregression(nn.Module):
    """The highway: every step of the horizon as a linear map of the last rows. (B, input_size) -> (B, h, 1)."""

    def __init__(self, rows: int, h: int) -> None:
        super().__init__()
        self.rows = rows
        self.project = nn.Linear(rows, h)
        nn.init.zeros_(self.project.weight)  # a net starts from the last value (or its season), not from noise
        nn.init.zeros_(self.project.bias)

    def forward(self, past: Tensor) -> Tensor:
        steps: Tensor = self.project(past[:, -self.rows :])
        return steps.unsqueeze(-1)


class SkipGRU(nn.Module):
    """A GRU whose state comes from one season before: its last ``season`` states side by side.

    (B, T, width) -> (B, season * size). Whole seasons only, counted back from the last row.
    """

    def __init__(self, width: int, size: int, season: int) -> None:
        super().__init__()
        self.season = season
        self.rnn = recurrent("gru", width, size)

    def forward(self, x: Tensor) -> Tensor:
        whole = x.shape[1] // self.season * self.season
        _, state = self.rnn(fold(x[:, -whole:], self.season))  # (1, B * season, size)
        return top(state).reshape(x.shape[0], -1)


class LSTNetwork(nn.Module):
    """Convolution over time; a GRU and a skip-GRU read its features; a linear map joins both and the highway is added.

    The GRUs keep their tanh, as in the authors' program (the paper's text has relu there).
    """

    def __init__(self, facts: Facts, taste: LSTNet, season: int | None) -> None:
        super().__init__()
        self.kernel = taste.kernel
        self.shape = (facts.h, facts.outputs)
        self.convolve = nn.Linear(facts.inputs * taste.kernel, taste.hidden_size)
        self.rnn = recurrent("gru", taste.hidden_size, taste.hidden_size)
        self.skip_rnn = None if season is None else SkipGRU(taste.hidden_size, taste.skip_size, season)
        width = taste.hidden_size + (0 if season is None else season * taste.skip_size)
        self.dropout = nn.Dropout(taste.dropout)
        self.project = nn.Linear(width, facts.h * facts.outputs)
        self.highway = Autoregression(min(taste.highway, facts.input_size), facts.h) if taste.highway else None
        self.skip = SeasonalSkip(facts.input_size, facts.h, facts.seasons if taste.seasonal_skip else ())
        self.head = head(facts)

    def forward(self, batch: Batch) -> Tensor:
        x = self.dropout(functional.relu(self.convolve(trailing(inputs(batch), self.kernel))))  # (B, T, hidden_size)
        features = top(self.rnn(x)[1])
        if self.skip_rnn is not None:
            features = torch.cat([features, self.skip_rnn(x)], dim=1)
        steps = self.project(self.dropout(features)).unflatten(-1, self.shape)
        level = self.skip(batch.past)  # added after the head, so that it moves quantiles without spreading them
        if self.highway is not None:
            level = level + self.highway(batch.past)
        forecast: Tensor = self.head(steps, level)
        return forecast


@dataclass(frozen=True)
class LSTNet:
    """Convolution, GRU, a GRU over seasons and a linear highway.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        kernel: rows that the convolution sees at a time.
        hidden_size: filters of the convolution and width of the GRU's state.
        season: how many rows back the skip-GRU's state comes from; ``None`` takes the season of the data, and leaves
            that part out where there is none.
        skip_size: width of the skip-GRU's state; the decoder reads it once for each row of a season.
        highway: last rows that the linear highway sees (at most the window); 0 leaves it out.
        dropout: on the convolution's output and before the decoder.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    kernel: int = 6
    hidden_size: int = 64
    season: int | None = None
    skip_size: int = 5
    highway: int = 24
    dropout: float = 0.0
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for sizes out of range."""
        at_least_one(hidden_size=self.hidden_size, kernel=self.kernel, skip_size=self.skip_size)
        if self.highway < 0:
            raise ConfigError(f"highway={self.highway}: give a number of rows, or 0 to leave it out.")
        season = self.season
        if season is None:
            season = facts.seasons[0] if facts.seasons else None
        if season is not None and not 1 <= season <= facts.input_size:
            raise ConfigError(
                f"season={season} does not fit the window of {facts.input_size} rows. Lower it, or raise input_size."
            )
        return LSTNetwork(facts, self, season)
