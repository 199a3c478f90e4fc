"""ES-RNN (Smyl 2020, "A hybrid method of exponential smoothing and recurrent neural networks for time series
forecasting", International Journal of Forecasting 36(1)), the winner of the M4 competition: exponential smoothing with
coefficients of each series' own, and a dilated LSTM that all share, trained together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from forecast.errors import ConfigError
from forecast.nets.checks import at_least_one
from forecast.nets.dilated_blocks import DilatedBlocks
from forecast.nets.facts import Facts, Needs
from forecast.nets.heads import head
from forecast.nets.own_loss import Cells
from forecast.nets.series_smoothing import SeriesSmoothing, States
from forecast.windows.gather import Batch

# Rows of a series that are read: six weeks of hours, eighty years of months.
WHOLE = 1008


class ESRNNNet(nn.Module):
    """Smoothing takes level and seasons out of the series, a dilated LSTM extrapolates what is left, both are put back.

    At every row it reads the last ``window`` values without their seasons, relative to the level of that row, and
    forecasts the next h in the same way; seasons go on as they are known at that row. Levels in, levels out
    (:class:`~forecast.nets.facts.Needs`): (B, input_size) -> (B, h, outputs).
    """

    def __init__(
        self,
        facts: Facts,
        smoothing: SeriesSmoothing,
        window: int,
        blocks: DilatedBlocks,
        hidden_size: int,
        tau: float,
        level_penalty: float,
        noise: float,
    ) -> None:
        super().__init__()
        self.h, self.static, self.window = facts.h, facts.static, window
        self.noise, self.level_penalty = noise, level_penalty
        self.probs = facts.probs or (tau,)
        self.smoothing = smoothing
        self.blocks = blocks
        self.adapter = nn.Linear(hidden_size, facts.h * facts.outputs)
        self.head = head(facts)

    def forward(self, batch: Batch) -> Tensor:
        states = self.smoothing(batch)
        ahead = self._seasons_ahead(states) + states.level[:, -1:]
        levels: Tensor = states.units.levels(self._last_output(batch, states) + ahead.unsqueeze(-1))
        return levels

    def own_loss(self, batch: Batch) -> Cells:
        """Twice the pinball loss in the net's units (logarithms, so about a relative error).

        In training of the forecasts made at every row with a season and a window known before it, and at the last; in
        eval mode of those alone. A level that bends costs extra in training.
        """
        states = self.smoothing(batch)
        target, known = self._targets(batch, states)
        if not self.training:
            error = self._error(self._last_output(batch, states), target[:, -1])
            return Cells(error, known[:, -1])
        ready = states.age[:, self.window - 1 :] >= max((self.window, *self.smoothing.seasons)) - 1
        ready[:, -1] = True  # whether a window is worth training on was decided when it was sampled
        error = self._error(self._outputs(batch, states), target) + self._bending(states)[:, None, None]
        return Cells(error.flatten(1), (known * ready.unsqueeze(-1)).flatten(1))

    def _inputs(self, batch: Batch, states: States) -> Tensor:
        """What the LSTM reads at each row with a window behind it, (B, T - window + 1, window and static features)."""
        x = states.plain.unfold(1, self.window, 1) - states.level[:, self.window - 1 :].unsqueeze(-1)
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        if not self.static:
            return x
        if batch.static is None:
            raise ValueError("the net was built for static features, the batch has none")
        return torch.cat([x, batch.static.unsqueeze(1).expand(-1, x.shape[1], -1)], dim=-1)

    def _outputs(self, batch: Batch, states: States) -> Tensor:
        """Forecasts at all those rows, relative to level and seasons, (B, F, h, outputs)."""
        return self._read_out(self.blocks(self._inputs(batch, states)))

    def _last_output(self, batch: Batch, states: States) -> Tensor:
        """Those at the last row, (B, h, outputs)."""
        return self._read_out(self.blocks.last(self._inputs(batch, states)))

    def _read_out(self, features: Tensor) -> Tensor:
        free: Tensor = self.head(self.adapter(features).unflatten(-1, (self.h, -1)))
        return free

    def _seasons_ahead(self, states: States) -> Tensor:
        """The seasons of the h rows after the last, as they are known by then, (B, h)."""
        rows, steps = states.level.shape[1], torch.arange(self.h, device=states.level.device)
        total = states.level.new_zeros(1, self.h)
        for season, factor in zip(self.smoothing.seasons, states.factors, strict=True):
            total = total + factor[:, rows + steps % season]
        return total

    def _targets(self, batch: Batch, states: States) -> tuple[Tensor, Tensor]:
        """What followed each row, relative to its level and to the seasons known there, and where: (B, F, h) each.

        The factor of row t + k, if that is beyond a season, is that of a season (or more) before. For all steps k
        between two multiples of the season lengths the distance is one and the same, so that seasons are taken out of
        whole series and not of every fork.
        """
        if batch.future is None:
            raise ValueError("a loss needs the future of the window")
        values = states.units.own(states.units.values(torch.cat([batch.past, batch.future], dim=1)))
        rows = states.level.shape[1]
        cuts = sorted({0, self.h, *(k for m in self.smoothing.seasons for k in range(m, self.h, m))})
        parts = []
        for start, stop in pairwise(cuts):
            first, last = self.window + start, rows + stop
            plain = values[:, first:last]
            for season, factor in zip(self.smoothing.seasons, states.factors, strict=True):
                back = start // season * season
                plain = plain - factor[:, first - back : last - back]
            parts.append(plain.unfold(1, stop - start, 1))
        target = torch.cat(parts, dim=-1) - states.level[:, self.window - 1 :].unsqueeze(-1)
        if batch.observed is None or batch.future_observed is None:
            return target, torch.ones_like(target)
        known = torch.cat([batch.observed, batch.future_observed], dim=1)
        return target, known[:, self.window :].unfold(1, self.h, 1)

    def _error(self, output: Tensor, target: Tensor) -> Tensor:
        """Twice the pinball loss, the mean over quantiles: (…, h, outputs) and (…, h) to (…, h)."""
        errors = [target - output[..., number] for number in range(len(self.probs))]
        losses = [torch.add(e.abs(), e, alpha=2.0 * prob - 1.0) for e, prob in zip(errors, self.probs, strict=True)]
        return reduce(torch.add, losses) / len(losses)

    def _bending(self, states: States) -> Tensor:
        """The penalty for a level that is not smooth: mean square of its second differences, (B,)."""
        after = (states.age[:, 2:] > 1).to(states.level.dtype)
        bend = states.level.diff(n=2, dim=1).square() * after
        return self.level_penalty * bend.sum(1) / after.sum(1).clamp(min=1.0)


@dataclass(frozen=True)
class ESRNN:
    """Exponential smoothing of each series' own, with a dilated LSTM in place of a trend.

    What is left ``None`` is as published for the seasons at hand: hourly (two seasons), daily, monthly, quarterly,
    yearly. It reads whole series, and learns from every row of them. Multiplicative where every value it is trained on
    is above zero (values that are not, met later, then count as almost zero), else additive. New series are smoothed
    with the mean of the trained coefficients. Static features are read beside the values, as the paper does with the
    category of a series. Left out of the published method: the penalty on cell states (hourly), attention and extra
    residuals (yearly, weekly, monthly), and the ensemble.

    Args:
        input_size: rows of a series that are read; ``None`` is all of the longest, 1,008 at most.
        window: values the LSTM sees at a row; ``None`` is the shortest season, or 4.
        hidden_size: width of each layer's state.
        dilations: how many rows back each layer's state comes from, two layers to a block; ``None`` is (1, 4, 24, 168)
            for hours, (1, 3, 6, 12) for months, (1, 2, 4, 8) for quarters, (1, 6) without a season, others alike.
        tau: the quantile that a point forecast aims at: below one half because errors are relative.
        level_penalty: weight of the mean squared second difference of the level; ``None`` is 10 with two seasons and 0
            without any, as published, and 50 with one (published: months 50, quarters 80, days 100).
        series_rate: how much faster than the net the smoothing coefficients of each series learn.
        factor_rate: the same for its first seasonal factors; slow, because learning them is hindsight.
        noise: standard deviation of what is added to the inputs in training.
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    no_likelihood: ClassVar[str] = "It is judged in units of its own levels and seasons: use quantiles."
    needs: ClassVar[Needs] = Needs(series=True, levels=True, whole=WHOLE, static=True, futr=False)

    input_size: int | None = None
    window: int | None = None
    hidden_size: int = 40
    dilations: tuple[int, ...] | None = None
    tau: float = 0.49
    level_penalty: float | None = None
    series_rate: float = 5.0
    factor_rate: float = 0.05
    noise: float = 0.001
    quantiles: tuple[float, ...] = ()

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for a value out of range."""
        at_least_one(hidden_size=self.hidden_size)
        seasons = facts.seasons[:2]
        window = min(seasons[0] if seasons else 4, facts.input_size) if self.window is None else self.window
        dilations = published_dilations(seasons) if self.dilations is None else self.dilations
        penalty = (0.0, 50.0, 10.0)[len(seasons)] if self.level_penalty is None else self.level_penalty
        self._check(window, dilations, penalty, facts.input_size)
        return ESRNNNet(
            facts,
            SeriesSmoothing(facts.series, seasons, not facts.positive, self.series_rate, self.factor_rate),
            window,
            DilatedBlocks(window + facts.static, self.hidden_size, dilations),
            self.hidden_size,
            self.tau,
            penalty,
            self.noise,
        )

    def _check(self, window: int, dilations: tuple[int, ...], penalty: float, input_size: int) -> None:
        rules = [
            (f"window={window}", 1 <= window <= input_size, f"from 1 to the {input_size} rows of input_size"),
            (f"dilations={list(dilations)}", bool(dilations) and min(dilations) >= 1, "one or more numbers from 1 up"),
            (f"tau={self.tau}", 0 < self.tau < 1, "between 0 and 1"),
            (f"level_penalty={penalty}", penalty >= 0, "at least 0"),
            (f"series_rate={self.series_rate}", self.series_rate > 0, "above 0"),
            (f"factor_rate={self.factor_rate}", self.factor_rate > 0, "above 0"),
            (f"noise={self.noise}", self.noise >= 0, "at least 0"),
        ]
        wrong = [f"{value}: {rule}" for value, ok, rule in rules if not ok]
        if wrong:
            raise ConfigError(f"ESRNN: {'; '.join(wrong)}.")


def published_dilations(seasons: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the paper for hours, months, quarters, days and years; the same pattern for other seasons.

    >>> published_dilations((24, 168)), published_dilations((12,)), published_dilations((4,)), published_dilations(())
    ((1, 4, 24, 168), (1, 3, 6, 12), (1, 2, 4, 8), (1, 6))
    """
    if not seasons:
        return (1, 6)
    if len(seasons) == 2:
        return (1, max(2, seasons[0] // 6), *seasons)
    season = seasons[0]
    return (1, season // 4, season // 2, season) if season >= 12 else (1, max(2, season // 2), season, 2 * season)
