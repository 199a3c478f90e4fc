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
from forecast.nets.encoders import recurrent
from forecast.nets.facts import Facts, Needs
from forecast.nets.forks import last_known
from forecast.nets.own_loss import Cells
from forecast.nets.samples import numbers, quantiles_of
from forecast.nets.steps import PRECISIONS, Steps, steps
from forecast.windows.gather import Batch

MOST_SAMPLES = 10_000
# Sample paths that go through the layer together: on a CPU as many as its last cache holds.
PATHS_ON_CPU, PATHS_ON_DEVICE = 4096, 262_144


class Rows(NamedTuple):
    """What is known at rows, any leading shape, when the value after each is to be forecast."""

    value: Tensor  # (…), 0 where unknown
    known: Tensor | None  # (…), None when everything is
    latest: Tensor  # (…) last known value
    mean: Tensor  # (…) of the known values so far
    lags: list[Tensor]  # of each season, (…): the value a season before the one to forecast; the latest where unknown
    changes: list[Tensor]  # of each season, (…): to that value from the one before it; 0 where either is unknown


class Origin(NamedTuple):
    """What sampling starts from, for b windows."""

    past: Tensor  # (input_size, b)
    known: Tensor | None  # (input_size, b), None when everything is
    total: Tensor  # (b,) of the known values
    seen: Tensor  # (b,) how many they are
    raw: Tensor  # (parameters, b) of the likelihood of the first step

    def row(self, number: int, drawn: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Value of a row, and 1 where known (None when all are). Rows count from the first drawn, (samples, b);
        negative ones lie in the past, (b,)."""
        if number >= 0:
            return drawn[number], None
        return self.past[number], None if self.known is None else self.known[number]


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
        self.moved: Tensor
        self.facts = facts
        self.likelihood: Likelihood = likelihood(spec.likelihood, kind="real", classes=2)
        moved = torch.zeros(self.likelihood.parameters)
        moved[list(self.likelihood.moves)] = 1.0
        self.register_buffer("moved", moved, persistent=False)  # 1 for the parameters that are locations
        self.num_samples = spec.num_samples
        self.precision = spec.sampling_precision
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
        features, _ = self.rnn(torch.stack(self._inputs(rows), -1))
        error = self.likelihood.loss(self._raw(features, rows), value[:, 1:], deterministic=not self.training)
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
        return Rows(value, known, latest, mean, lags, changes)

    def _inputs(self, rows: Rows) -> list[Tensor]:
        """What the recurrent layer reads: of each channel (…)."""
        value = rows.value - rows.mean
        inputs = [value if rows.known is None else value * rows.known]
        if self.facts.channels == 2:
            inputs.append(torch.ones_like(value) if rows.known is None else rows.known)
        return [*inputs, *(lag - rows.mean for lag in rows.lags), *rows.changes]

    def _location(self, rows: Rows) -> Tensor:
        """Where the value after each row is expected but for what the layer says, (…)."""
        of_mean, *shares = self.share
        of_lags, of_changes = shares[: len(rows.lags)], shares[len(rows.lags) :]
        rest = 1.0 - of_mean - sum(of_lags)
        parts = (*zip(of_lags, rows.lags, strict=False), *zip(of_changes, rows.changes, strict=False))
        location: Tensor = of_mean * rows.mean + rest * rows.latest
        for share, part in parts:
            location = location + share * part
        return location

    def _raw(self, features: Tensor, rows: Rows) -> Tensor:
        """Parameters of the likelihood of the value after each row, (…, parameters)."""
        raw: Tensor = self.project(self.dropout(features))
        return raw + self._location(rows).unsqueeze(-1) * self.moved

    def _walks(self, batch: Batch, samples: int, seed: int | None = None) -> Iterator[Tensor]:
        """The past is read once; then the sample paths of a few windows at a time, each (b, samples, h)."""
        rows = self._rows(batch)
        features, state = self.rnn(torch.stack(self._inputs(rows), -1))
        value, latest, mean = (part[:, -1] for part in (rows.value, rows.latest, rows.mean))
        lags, changes = ([part[:, -1] for part in parts] for parts in (rows.lags, rows.changes))
        raw = self._raw(features[:, -1], Rows(value, None, latest, mean, lags, changes))
        seen = torch.full_like(mean, batch.past.shape[1]) if batch.observed is None else batch.observed.sum(1)
        noise = numbers(samples, self.facts.h, self.likelihood.draws, seed).to(raw.device)
        together = max(1, (PATHS_ON_CPU if raw.device.type == "cpu" else PATHS_ON_DEVICE) // samples)
        for start in range(0, len(raw), together):
            part = slice(start, start + together)
            known = None if batch.observed is None else batch.observed[part].t().contiguous()
            past = batch.past[part].t().contiguous()
            origin = Origin(past, known, mean[part] * seen[part], seen[part], raw[part].t())
            begun = (state[0][:, part], state[1][:, part]) if isinstance(state, tuple) else state[:, part]
            onward = steps(self.rnn, self.project, begun, samples, self.precision)
            yield self._walk(origin, onward, noise)

    def _walk(self, origin: Origin, onward: Steps, noise: Tensor) -> Tensor:
        """All sample paths of b windows, one step of the layer after the other: (b, samples, h).

        Within, samples come first: (samples, b). The first step has one distribution for all samples of a window.
        """
        raw, total, drawn = origin.raw.unsqueeze(1), origin.total, list[Tensor]()
        for step, uniform in enumerate(noise.unsqueeze(2)):
            if step:
                value = drawn[-1]
                total = total + value
                rows = Rows(value, None, value, total / (origin.seen + step), *self._lags(origin, drawn))
                raw = onward(self._inputs(rows))
                raw = raw + self._location(rows) * self.moved.view(-1, 1, 1)
            drawn.append(self.likelihood.sample(raw.movedim(0, -1), uniform))
        return torch.stack(drawn).permute(2, 1, 0)

    def _lags(self, origin: Origin, drawn: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Lags and changes of every season, (samples, b) or (b,), for the value after the last one drawn."""
        lags, changes = [], []
        for season in self.seasons:
            lag, there = origin.row(len(drawn) - season, drawn)
            before, too = origin.row(len(drawn) - season - 1, drawn)
            change = lag - before
            for known in (there, too):
                change = change if known is None else change * known
            lags.append(lag if there is None else torch.where(there > 0, lag, drawn[-1]))
            changes.append(change)
        return lags, changes


def _delayed(x: Tensor, rows: int) -> Tensor:
    """``x`` (B, R) as it was ``rows`` rows earlier, 0 before the first."""
    return functional.pad(x, (rows, 0))[:, : x.shape[1]]


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
        likelihood: ``student_t`` (forgives outliers) or another of real values (:mod:`forecast.distributions.named`).
        num_samples: sampled futures that a forecast is made of, from 2 to 10,000; time grows with them.
        sampling_precision: ``32``; or ``bf16``: while sampling on a CPU the products of an LSTM are rounded to
            bfloat16, which moves a quantile by far less than its sampling error; or ``auto``: bf16 where the processor
            computes in it itself and is therefore faster.
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
    sampling_precision: str = "32"
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
        if self.sampling_precision not in PRECISIONS:
            raise ConfigError(f"sampling_precision={self.sampling_precision!r} is not one of {', '.join(PRECISIONS)}.")
        return DeepARNet(facts, self)
