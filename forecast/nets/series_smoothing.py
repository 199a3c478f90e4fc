"""Smoothing with coefficients and first factors of each series' own, learned with the net that reads the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.nets.smoothing import Kind, smooth
from forecast.windows.gather import Batch

# The method takes logarithms: values below this share of a series' mean count as that much.
LEAST = 1e-8
# Before training every coefficient is sigmoid(-1) = 0.27.
FIRST_LOGIT = -1.0


class Units(NamedTuple):
    """From the levels that a net is given to its own units and back: logarithms, or additive ones, in which each window
    has a mean of 0 and a mean absolute deviation of 1."""

    kind: Kind
    centre: Tensor  # (B, 1)
    scale: Tensor  # (B, 1), above 0

    def values(self, levels: Tensor) -> Tensor:
        """What smoothing reads, (B, T)."""
        return (levels - self.centre) / self.scale if self.kind.additive else levels.clamp(min=LEAST)

    def own(self, values: Tensor) -> Tensor:
        """What smoothing reads or gives, in the net's units: a sum of level, seasons and rest."""
        return values if self.kind.additive else values.log()

    def levels(self, output: Tensor) -> Tensor:
        """The net's output (B, h, outputs) as levels."""
        if self.kind.additive:
            return output * self.scale.unsqueeze(-1) + self.centre.unsqueeze(-1)
        return output.exp()


class States(NamedTuple):
    """What smoothing made of a batch, in the net's units."""

    units: Units
    level: Tensor  # (B, T) after each row
    plain: Tensor  # (B, T) values without their seasons; the level where unknown
    factors: tuple[Tensor, ...]  # (B, T + m) for each season, known m rows before
    age: Tensor  # (B, T) rows since the first known one, negative before


class SeriesSmoothing(nn.Module):
    """Level and seasons of windows, each series smoothed in its own way.

    A row of ``table`` holds what is learned of one series: logits of the level's and the seasons' coefficients, then
    what multiplies (or adds to) the first factors of each season, as logarithms, by phase of the time grid. What they
    multiply, and the first level, are measured on the first rows of the window (:func:`first_states`), so that a window
    may begin anywhere, and a series never seen has them too; its coefficients are those of the mean logits.

    ``rate`` and ``factor_rate`` are how much faster than the rest of a net coefficients and first factors learn. Both
    are units of the table, which amounts to learning rates of their own under an optimiser that takes equal steps.
    """

    rates: Tensor

    def __init__(
        self, series: int, seasons: tuple[int, ...], additive: bool, rate: float = 1.0, factor_rate: float = 1.0
    ) -> None:
        super().__init__()
        self.seasons = seasons
        self.kind = Kind(additive)
        self.coefficients = 1 + len(seasons)
        rates = torch.tensor([rate] * self.coefficients + [factor_rate] * sum(seasons))
        self.register_buffer("rates", rates, persistent=False)
        self.table = nn.Parameter(torch.zeros(max(1, series), len(rates)))

    def forward(self, batch: Batch) -> States:
        units = self._units(batch)
        learned = self.rates * self._learned(batch)
        y = units.values(batch.past).T.contiguous()
        known = torch.ones_like(y) if batch.observed is None else batch.observed.T
        age = (known.cumsum(0) > 0).to(y.dtype).cumsum(0) - 1.0
        start, measured = first_states(self.kind, y, known, age, self.seasons)
        changes = self._changes(learned, batch.ordinal)
        firsts = [self.kind.join(*pair) for pair in zip(measured, changes, strict=True)]
        rates = torch.sigmoid(learned[:, : self.coefficients] + FIRST_LOGIT).T
        rate, *others = [known * row for row in rates]
        smoothed = smooth(self.kind, y, start, rate, others, firsts)
        level = units.own(smoothed.level)
        factors = [units.own(factor) for factor in smoothed.factors]
        plain = units.own(y) - sum(factor[: len(y)] for factor in factors)
        plain = torch.where(known > 0, plain, level)
        return States(units, level.T, plain.T, tuple(factor.T for factor in factors), age.T)

    def _units(self, batch: Batch) -> Units:
        past = batch.past
        if not self.kind.additive:
            return Units(self.kind, past.new_zeros(len(past), 1), past.new_ones(len(past), 1))
        known = torch.ones_like(past) if batch.observed is None else batch.observed
        count = known.sum(1, keepdim=True).clamp(min=1.0)
        centre = (past * known).sum(1, keepdim=True) / count
        scale = ((past - centre).abs() * known).sum(1, keepdim=True) / count
        return Units(self.kind, centre, torch.where(scale > 0, scale, torch.ones_like(scale)))

    def _learned(self, batch: Batch) -> Tensor:
        """The rows of the table for the series of the batch, (B, …)."""
        mean = self.table[:, : self.coefficients].mean(0)
        fresh = functional.pad(mean, (0, self.table.shape[1] - self.coefficients))
        if batch.series is None:
            return fresh.expand(len(batch.past), -1)
        return torch.where(batch.series.unsqueeze(1) >= 0, self.table[batch.series.clamp(min=0)], fresh)

    def _changes(self, learned: Tensor, ordinal: Tensor | None) -> list[Tensor]:
        """What was learned about the first factors of each season, (m, B), the first row's phase first."""
        first = torch.zeros_like(learned[:, 0], dtype=torch.long) if ordinal is None else ordinal
        changes, column = [], self.coefficients
        for season in self.seasons:
            phase = (first.unsqueeze(1) + torch.arange(season, device=first.device)) % season
            change = learned.gather(1, column + phase).T
            changes.append(change if self.kind.additive else change.exp())
            column += season
        return changes


def first_states(
    kind: Kind, y: Tensor, known: Tensor, age: Tensor, seasons: Sequence[int]
) -> tuple[Tensor, list[Tensor]]:
    """A level (B,) and factors (m, B) to start from, measured on the first (longest) season of known rows.

    ``y``, ``known`` and ``age`` (rows since the first known one) are (T, B). Row j of the factors is that of the rows t
    with t mod m = j. Only the shortest season is measured: of a longer one those rows hold each phase once, too little
    to tell it from chance, so it begins neutral and smoothing finds it. Phases without a known row begin neutral too.
    Without seasons the level is the first known value.
    """
    weight = known * (age < max(seasons, default=1))
    count = weight.sum(0)
    level = torch.where(count > 0, (y * weight).sum(0) / count.clamp(min=1.0), kind.neutral)
    firsts = [torch.full((season, y.shape[1]), kind.neutral, dtype=y.dtype, device=y.device) for season in seasons]
    if seasons:
        mean = phase_mean(kind.rest(y, level), weight, seasons[0])
        firsts[0] = torch.where(mean.isfinite(), mean, kind.neutral)
    return level, firsts


def phase_mean(values: Tensor, weight: Tensor, season: int) -> Tensor:
    """Weighted mean of ``values`` (T, B) over the rows of each phase, (season, B); NaN where nothing weighs."""
    missing = -len(values) % season
    total, count = (
        functional.pad(x, (0, 0, 0, missing)).view(-1, season, x.shape[1]).sum(0) for x in (values * weight, weight)
    )
    return total / count
