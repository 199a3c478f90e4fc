"""MQ-RNN (Wen, Torkkola, Narayanaswamy and Madeka 2017, "A Multi-Horizon Quantile Recurrent Forecaster",
arXiv 1711.11053): a recurrent encoder, a global and a local perceptron, trained on forking sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from forecast.nets.checks import at_least_one
from forecast.nets.encoders import Encoder
from forecast.nets.facts import Facts, inputs
from forecast.nets.forks import Forks, followers, fork_rows, last_known
from forecast.nets.heads import head
from forecast.nets.skip import SeasonalSkip
from forecast.windows.gather import Batch


def centred(batch: Batch) -> Tensor:
    """The past less its mean so far, as (B, input_size, channels); unknown cells are 0.

    Window units have their zero at the last value of the window. An earlier fork must not be told that value: it is
    what the fork should forecast. A mean of the rows so far tells it nothing.
    """
    known = torch.ones_like(batch.past) if batch.observed is None else batch.observed
    mean = batch.past.cumsum(1) / known.cumsum(1).clamp(min=1.0)
    return inputs(batch._replace(past=(batch.past - mean) * known))


class Decoder(nn.Module):
    """Two perceptrons: the global one makes a context for each step of the horizon and one for all of them from the
    encoder's state; the local one, the same for every step, forecasts a step from its two contexts and its seasonal
    naive value (known beforehand).

    States (N, hidden) and skip (N, h, 1) in, free outputs (N, h, outputs) out.
    """

    def __init__(self, facts: Facts, hidden_size: int, context_size: int, local_size: int, dropout: float) -> None:
        super().__init__()
        self.shape = (facts.h + 1, context_size)
        self.contexts = nn.Sequential(
            nn.Linear(hidden_size, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, (facts.h + 1) * context_size),
        )
        self.local = nn.Sequential(
            nn.Linear(2 * context_size + 1, local_size), nn.ReLU(), nn.Linear(local_size, facts.outputs)
        )

    def forward(self, state: Tensor, skip: Tensor) -> Tensor:
        contexts = self.contexts(state).unflatten(-1, self.shape)  # (N, h + 1, context)
        specific, agnostic = contexts[:, :-1], contexts[:, -1:]
        outputs: Tensor = self.local(torch.cat([specific, agnostic.expand_as(specific), skip], dim=-1))
        return outputs


class MQRNNNet(nn.Module):
    """An encoder that reads each row once and a decoder that may forecast at any of them, relative to the last known
    value there. Window units in and out: (B, input_size) -> (B, h, outputs)."""

    def __init__(self, facts: Facts, encoder: Encoder, decoder: Decoder, forks: int, skip: bool) -> None:
        super().__init__()
        self.forks = forks
        seasons = facts.seasons if skip else ()
        self.season = max(seasons, default=1)
        self.least = max(self.season, -(-facts.input_size // 2))  # rows that a fork has behind it
        self.encoder = encoder
        self.decoder = decoder
        self.skip = SeasonalSkip(self.season, facts.h, seasons)
        self.head = head(facts)

    def forward(self, batch: Batch) -> Tensor:
        last = torch.tensor([batch.past.shape[1] - 1], device=batch.past.device)
        return self._at(batch, last)[:, 0]

    def forked(self, batch: Batch) -> Forks:
        """Forecasts at ``forks`` rows of each window with half of the window, and a season, behind them."""
        past, future = batch.past, batch.future
        if future is None:
            raise ValueError("forks are for training, where the future of a window is known")
        rows = fork_rows(self.least - 1, past.shape[1], self.forks, past.device)
        after = followers(past, future, rows)
        if batch.observed is None or batch.future_observed is None:
            return Forks(self._at(batch, rows), after, torch.ones_like(after))
        enough = batch.observed.cumsum(1)[:, rows] >= self.least
        enough[:, -1] = True  # whether a window is worth training on was decided when it was sampled
        weight = followers(batch.observed, batch.future_observed, rows) * enough.unsqueeze(-1)
        return Forks(self._at(batch, rows), after, weight)

    def _at(self, batch: Batch, rows: Tensor) -> Tensor:
        """Forecasts made at ``rows`` (F,), each from the rows up to it alone: (B, F, h, outputs)."""
        states, _ = self.encoder(centred(batch))
        level = last_known(batch)[:, rows].unsqueeze(-1)  # (B, F, 1)
        skip = self._skip(batch, rows, level)
        free = self.decoder(states[:, rows].flatten(0, 1), skip) + skip
        forecast: Tensor = self.head(free).reshape(*level.shape[:2], *free.shape[1:])
        return forecast + level.unsqueeze(-1)

    def _skip(self, batch: Batch, rows: Tensor, level: Tensor) -> Tensor:
        """Seasonal naive forecasts made at ``rows``, relative to the level there: (B * F, h, 1)."""
        first = rows - (self.season - 1)
        season = batch.past.unfold(1, self.season, 1)[:, first] - level  # (B, F, season)
        if batch.observed is not None:
            season = season * batch.observed.unfold(1, self.season, 1)[:, first]
        skip: Tensor = self.skip(season.flatten(0, 1))
        return skip


@dataclass(frozen=True)
class MQRNN:
    """Multi-horizon (quantile) recurrent net: all steps at once, each with a context of its own.

    Give ``quantiles`` for what the paper is about; without them it forecasts a point. Several rows of each window
    are forecast from in training, which costs one pass of the encoder: more targets for the same work.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        hidden_size: width of the encoder's state and of the global perceptron.
        num_layers: stacked recurrent layers.
        context_size: width of the context of a step, and of the one shared by all.
        local_size: width of the perceptron that forecasts a step.
        forks: rows of each window to train forecasts at, drawn anew each step; 1 trains at the end alone. A fork has
            half of the window and the longest season behind it, so an ``input_size`` above that season is needed.
        dropout: in the global perceptron (and between layers).
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    hidden_size: int = 64
    num_layers: int = 1
    context_size: int = 16
    local_size: int = 32
    forks: int = 8
    dropout: float = 0.0
    seasonal_skip: bool = True
    quantiles: tuple[float, ...] = ()
    no_likelihood: ClassVar[str] = "It is judged at several rows of each window, on points or quantiles."

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for a size below 1."""
        at_least_one(
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            context_size=self.context_size,
            local_size=self.local_size,
            forks=self.forks,
        )
        encoder = Encoder("lstm", facts.inputs, self.hidden_size, self.num_layers, self.dropout, False)
        decoder = Decoder(facts, self.hidden_size, self.context_size, self.local_size, self.dropout)
        return MQRNNNet(facts, encoder, decoder, self.forks, self.seasonal_skip)
