"""DeepAR (Salinas, Flunkert, Gasthaus and Januschowski 2020, "DeepAR: Probabilistic Forecasting with Autoregressive
Recurrent Networks", arXiv 1704.04110): a recurrent net that gives a likelihood for the next value, and samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.distributions import Likelihood, likelihood
from forecast.errors import ConfigError
from forecast.nets.checks import at_least_one
from forecast.nets.encoders import State, recurrent
from forecast.nets.facts import Facts, Needs
from forecast.nets.forks import last_known
from forecast.nets.own_loss import Cells
from forecast.nets.samples import numbers, quantiles_of
from forecast.windows.gather import Batch

MOST_SAMPLES = 10_000
# Sample paths that go through the layer together: on a CPU as many as its caches hold.
PATHS_ON_CPU, PATHS_ON_DEVICE = 2048, 262_144


class Rows(NamedTuple):
    """What is known at rows, any leading shape, when the value after each is to be forecast."""

    value: Tensor  # (…), 0 where unknown
    known: Tensor | None  # (…), None when everything is
    latest: Tensor  # (…) last known value
    mean: Tensor  # (…) of the known values so far
    lags: Tensor  # (…, seasons) values a season before the one to forecast; the latest where unknown
    changes: Tensor  # (…, seasons) from a season before the row to a season before the one to forecast; or 0


class Origin(NamedTuple):
    """What sampling starts from, for b windows."""

    past: Tensor  # (b, input_size)
    known: Tensor  # (b, input_size)
    mean: Tensor  # (b,) of the known values
    seen: Tensor  # (b,) how many they are
    raw: Tensor  # (b, parameters) of the likelihood of the first step

    def row(self, number: int, drawn: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Value and 1 where known of a row, counted from the first drawn (samples, b), negative in the past (b,)."""
        if number >= 0:
            return drawn[number], torch.ones_like(drawn[number])
        return self.past[:, number], self.known[:, number]


class DeepARNet(nn.Module):
    """One recurrent layer stack reads the past and goes on over its own samples.

    Inputs of a row: its value and those a season before the next one, relative to the mean so far; what they changed by
    from the row before; whether the row is known. The state gives the parameters of the likelihood of the next value,
    its location relative to a learned blend of the latest value, the mean, and for each season the seasonal naive
    forecast and the latest value moved by the seasonal change (the two ends of an autoregression of what differs from
    the season before). So nothing depends on the level of the window: in training each row of the past is a forecast
    too, and must not be told where the window will end.
    """

    judged_by_density: ClassVar[bool] = True  # see forecast.nets.revin

    def __init__(self, facts: Facts, spec: DeepAR) -> None:
        super().__init__()
        self.facts = facts
        self.likelihood: Likelihood = likelihood(spec.likelihood)
        self.num_samples = spec.num_samples
        self.seasons = tuple(m for m in facts.seasons if 1 < m <= facts.input_size)
        channels = facts.channels + 2 * len(self.seasons)
        self.rnn = recurrent(spec.cell, channels, spec.hidden_size, spec.num_layers, spec.dropout)
        self.dropout = nn.Dropout(spec.dropout)
        self.project = nn.Linear(spec.hidden_size, self.likelihood.parameters)
        seasonal = 2 * len(self.seasons) if spec.seasonal_skip else 0
        self.share = nn.Parameter(torch.full((1 + seasonal,), 1.0 / max(1, seasonal)))
        with torch.no_grad():
            self.share[0] = 0.0  # of the mean so far

    def forward(self, batch: Batch) -> Tensor:
        """Quantiles of sample paths, the median alone for a point forecast: (B, h, outputs)."""
        probs = self.facts.probs or (0.5,)
        return torch.cat([quantiles_of(paths, probs) for paths in self._walks(batch, self.num_samples)])

    def paths(self, batch: Batch, num_samples: int | None = None, seed: int | None = None) -> Tensor:
        """Sample paths (B, num_samples, h): each is one possible future, drawn step after step from what it has drawn.

        The same random numbers for every window: evenly spread ones, or with ``seed`` independent ones. Their mean over
        the samples is the mean forecast.
        """
        return torch.cat(list(self._walks(batch, num_samples or self.num_samples, seed)))

    def own_loss(self, batch: Batch) -> Cells:
        """Negative log-likelihood of every value that follows a known one, (B, input_size + h - 1); of the future alone
        in eval mode, (B, h). The layer is called once: each row is fed the true value before it."""
        if batch.future is None:
            raise ValueError("a likelihood needs the future of the window")
        value = torch.cat([batch.past, batch.future], 1)
        known = torch.ones_like(value)
        if batch.observed is not None and batch.future_observed is not None:
            known = torch.cat([batch.observed, batch.future_observed], 1)
        seen = batch._replace(past=value[:, :-1], observed=known[:, :-1] if batch.observed is not None else None)
        rows = self._rows(seen)
        features, _ = self.rnn(self._inputs(rows))
        error = -self.likelihood.log_prob(self._raw(features, rows), value[:, 1:])
        weight = known[:, 1:] * (known.cumsum(1)[:, :-1] > 0)
        first = 0 if self.training else batch.past.shape[1] - 1
        return Cells(error[:, first:], weight[:, first:])

    def _rows(self, batch: Batch) -> Rows:
        """Every row of the past, (B, rows)."""
        value, known, latest = batch.past, batch.observed, last_known(batch)
        count = torch.ones_like(value) if known is None else known
        mean = value.cumsum(1) / count.cumsum(1).clamp(min=1.0)
        lags, changes = [], []
        for season in self.seasons:
            lag, there = _delayed(value, season - 1), _delayed(count, season - 1)
            lags.append(torch.where(there > 0, lag, latest))
            changes.append((lag - _delayed(value, season)) * there * _delayed(count, season))
        return Rows(value, known, latest, mean, _stacked(lags, value), _stacked(changes, value))

    def _inputs(self, rows: Rows) -> Tensor:
        """What the recurrent layer reads, (…, channels)."""
        value = rows.value - rows.mean
        parts = [value if rows.known is None else value * rows.known]
        if self.facts.channels == 2:
            parts.append(torch.ones_like(value) if rows.known is None else rows.known)
        return torch.cat([torch.stack(parts, -1), rows.lags - rows.mean.unsqueeze(-1), rows.changes], -1)

    def _raw(self, features: Tensor, rows: Rows) -> Tensor:
        """Parameters of the likelihood of the value after each row, (…, parameters)."""
        raw = self.project(self.dropout(features))
        latest = rows.latest.unsqueeze(-1)
        towards = torch.cat([rows.mean.unsqueeze(-1) - latest, rows.lags - latest, rows.changes], -1)
        location = latest + (towards[..., : len(self.share)] * self.share).sum(-1, keepdim=True)
        return torch.cat([raw[..., :1] + location, raw[..., 1:]], -1)

    def _walks(self, batch: Batch, samples: int, seed: int | None = None) -> Iterator[Tensor]:
        """The past is read once; then the sample paths of a few windows at a time, each (b, samples, h)."""
        rows = self._rows(batch)
        features, state = self.rnn(self._inputs(rows))
        ends = (part[:, -1] for part in (rows.latest, rows.mean, rows.lags, rows.changes))
        last = Rows(rows.value[:, -1], None, *ends)
        raw = self._raw(features[:, -1], last)
        known = torch.ones_like(batch.past) if batch.observed is None else batch.observed
        noise = numbers(samples, self.facts.h, self.likelihood.draws, seed).to(raw.device)
        together = max(1, (PATHS_ON_CPU if raw.device.type == "cpu" else PATHS_ON_DEVICE) // samples)
        for start in range(0, len(raw), together):
            part = slice(start, start + together)
            origin = Origin(batch.past[part], known[part], last.mean[part], known[part].sum(1), raw[part])
            yield self._walk(origin, _repeated(state, part, samples), noise)

    def _walk(self, origin: Origin, state: State, noise: Tensor) -> Tensor:
        """All sample paths of b windows, one step of the layer after the other: (b, samples, h).

        Within, samples come first: (samples, b). The first step has one distribution for all samples of a window.
        """
        raw, total, drawn = origin.raw, origin.mean * origin.seen, list[Tensor]()
        for step, uniform in enumerate(noise.unsqueeze(2)):
            if step:
                value = drawn[-1]
                total = total + value
                rows = Rows(value, None, value, total / (origin.seen + step), *self._lags(origin, drawn))
                features, state = self.rnn(self._inputs(rows).flatten(0, 1).unsqueeze(1), state)
                raw = self._raw(features.view(*value.shape, -1), rows)
            drawn.append(self.likelihood.sample(raw, uniform))
        return torch.stack(drawn, -1).transpose(0, 1)

    def _lags(self, origin: Origin, drawn: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Lags and changes of every season, (samples, b, seasons), for the value after the last one drawn."""
        latest, lags, changes = drawn[-1], [], []
        for season in self.seasons:
            lag, there = origin.row(len(drawn) - season, drawn)
            before, too = origin.row(len(drawn) - season - 1, drawn)
            lags.append(torch.where(there > 0, lag, latest))
            changes.append(((lag - before) * there * too).expand_as(latest))
        return _stacked(lags, latest), _stacked(changes, latest)


def _stacked(parts: list[Tensor], like: Tensor) -> Tensor:
    """One more dimension, of as many as there are parts (perhaps none)."""
    return torch.stack(parts, -1) if parts else like.new_empty((*like.shape, 0))


def _delayed(x: Tensor, rows: int) -> Tensor:
    """``x`` (B, R) as it was ``rows`` rows earlier, 0 before the first."""
    return functional.pad(x, (rows, 0))[:, : x.shape[1]]


def _repeated(state: State, part: slice, samples: int) -> State:
    """The states of some windows once for every sample: (layers, b, width) to (layers, samples * b, width)."""
    if isinstance(state, tuple):
        hidden, memory = (each[:, part].repeat(1, samples, 1) for each in state)
        return hidden, memory
    return state[:, part].repeat(1, samples, 1)


@dataclass(frozen=True)
class DeepAR:
    """A likelihood for each next value, given by a recurrent net; forecasts are quantiles of sampled futures.

    Trained on the likelihood of every row of past and future (the ``loss`` of the training settings is not used),
    validated on that of the future. Intervals are the model's own, for any probability within ``quantiles``.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        cell: ``lstm`` (the fast one on CPU), ``gru``, ``rnn`` (tanh) or ``rnn_relu``.
        hidden_size: width of the state.
        num_layers: stacked recurrent layers.
        dropout: before the output (and between layers).
        likelihood: ``student_t`` (forgives outliers), ``normal`` or ``laplace``.
        num_samples: sampled futures that a forecast is made of, from 2 to 10,000; time grows with them.
        seasonal_skip: draw the next value towards its seasonal lags by learned shares, at first equal ones.
        quantiles: probabilities to forecast besides the median; empty for a point forecast, whose intervals are then
            calibrated on held-out windows.
    """

    input_size: int | None = None
    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    dropout: float = 0.0
    likelihood: str = "student_t"
    num_samples: int = 100
    seasonal_skip: bool = True
    quantiles: tuple[float, ...] = (
        *(0.005, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
        *(0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.995),
    )
    needs: ClassVar[Needs] = Needs(samples=True)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for a size out of range, an unknown cell or likelihood."""
        at_least_one(hidden_size=self.hidden_size, num_layers=self.num_layers)
        if not 2 <= self.num_samples <= MOST_SAMPLES:
            raise ConfigError(f"num_samples={self.num_samples}: from 2 to {MOST_SAMPLES:,}.")
        return DeepARNet(facts, self)
