"""Exponential smoothing of a level and any number of seasons, without a trend, for a batch of series at once.

Winters 1960 ("Forecasting sales by exponentially weighted moving averages"), with two seasons as in Taylor 2003
("Short-term electricity demand forecasting using double seasonal exponential smoothing"), multiplicative

    level_t = a y_t / (s_t u_t) + (1 - a) level_(t-1)
    s_(t+m) = g y_t / (level_t u_t) + (1 - g) s_t,   and u alike

or additive, with differences for the quotients. A factor that row t writes is first read m rows later. Rows within one
(shortest) season therefore know all their factors beforehand, and only the level, a linear recurrence, is left to run
row by row: one step of the loop here is a whole season of all series. The gradient, written by hand, takes the same
steps backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from forecast.nets.scan import loop, scan


class Kind(NamedTuple):
    """How level and seasons make a value: their product, or their sum."""

    additive: bool

    @property
    def neutral(self) -> float:
        """The factor that changes nothing."""
        return 0.0 if self.additive else 1.0

    def join(self, *parts: Tensor) -> Tensor:
        """Level and factors, at least one of them, put together."""
        return reduce(torch.add if self.additive else torch.mul, parts)

    def rest(self, value: Tensor, whole: Tensor) -> Tensor:
        """What is left of ``value`` without ``whole``."""
        return value - whole if self.additive else value / whole

    def to_value(self, flow: Tensor, whole: Tensor) -> Tensor:
        """Gradient of ``value`` where what :meth:`rest` gave has the gradient ``flow``."""
        return flow if self.additive else flow / whole

    def to_part(self, flow: Tensor, rest: Tensor, part: Tensor) -> Tensor:
        """Gradient of one part of ``whole`` where :meth:`rest` gave ``rest``, which has the gradient ``flow``."""
        return -flow if self.additive else -flow * rest / part


class Smoothed(NamedTuple):
    """The level after each row, and each season's factor of each row, which is known m rows before."""

    level: Tensor  # (T, B)
    factors: tuple[Tensor, ...]  # (T + m, B) for each season


def smooth(
    kind: Kind, y: Tensor, start: Tensor, rate: Tensor, rates: Sequence[Tensor], firsts: Sequence[Tensor]
) -> Smoothed:
    """Run the recursion over ``y`` (T, B); differentiable once, in every tensor.

    ``start`` (B,) is the level before the first row and ``rate`` (T, B) how far each row moves it. ``rates`` and
    ``firsts`` are the same for each season: (T, B), and the first factors (m, B), m >= 1. Where all rates are 0 the
    state is held, which is right for unknown rows. Unless additive, everything must be above 0.
    """
    level, *factors = _Smoothing.apply(kind, y, start, rate, *rates, *firsts)  # type: ignore[no-untyped-call]
    return Smoothed(level, tuple(factors))


class _Smoothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kind: Kind, y: Tensor, start: Tensor, rate: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        rates, firsts = parts[: len(parts) // 2], parts[len(parts) // 2 :]
        seasons = [len(first) for first in firsts]
        solve = _solver(y)
        level = torch.empty_like(y)
        factors = [torch.cat([first, torch.empty_like(y)]) for first in firsts]
        before = start
        for rows in _blocks(len(y), seasons):
            now = [factor[rows] for factor in factors]
            keep = 1.0 - rate[rows]
            new = rate[rows] * (kind.rest(y[rows], kind.join(*now)) if now else y[rows])
            new[0].addcmul_(keep[0], before)
            level[rows] = here = solve(keep[1:], new)
            before = here[-1]
            for i, season in enumerate(seasons):
                rest = kind.rest(y[rows], kind.join(here, *now[:i], *now[i + 1 :]))
                torch.lerp(now[i], rest, rates[i][rows], out=factors[i][_later(rows, season)])
        ctx.kind = kind
        ctx.save_for_backward(y, start, rate, *rates, level, *factors)
        return level, *factors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_level: Tensor, *to_factors: Tensor) -> tuple[Tensor | None, ...]:
        y, start, rate, *rest = ctx.saved_tensors
        count = len(to_factors)
        factors = rest[count + 1 :]
        past = _Backward(ctx.kind, y, rest[count], factors, to_level.clone(), [flow.clone() for flow in to_factors])
        to_rate, to_rates = torch.empty_like(y), [torch.empty_like(y) for _ in factors]
        carried = torch.zeros_like(start)
        for rows in reversed(list(_blocks(len(y), past.seasons))):
            for i in range(count):
                to_rates[i][rows] = past.through_season(i, rows, rest[i][rows])
            to_rate[rows], carried = past.through_level(rows, rate[rows], start, carried)
        to_firsts = [flow[:season] for flow, season in zip(past.to_factors, past.seasons, strict=True)]
        return None, past.to_y, carried, to_rate, *to_rates, *to_firsts


class _Backward:
    """Gradients of values, levels and factors, filled in from the last block of rows to the first."""

    def __init__(
        self, kind: Kind, y: Tensor, level: Tensor, factors: list[Tensor], to_level: Tensor, to_factors: list[Tensor]
    ) -> None:
        self.kind, self.y, self.level, self.factors = kind, y, level, factors
        self.to_y, self.to_level, self.to_factors = torch.zeros_like(y), to_level, to_factors
        self.seasons = [len(factor) - len(y) for factor in factors]
        self.solve = _solver(y)

    def through_season(self, i: int, rows: slice, rate: Tensor) -> Tensor:
        """Back through the factors that ``rows`` wrote for season ``i``; gives the gradient of ``rate``."""
        level, now = self.level[rows], [factor[rows] for factor in self.factors]
        others = [j for j in range(len(now)) if j != i]
        whole = self.kind.join(level, *(now[j] for j in others))
        rest = self.kind.rest(self.y[rows], whole)
        written = self.to_factors[i][_later(rows, self.seasons[i])]
        flow = written * rate
        self.to_factors[i][rows] += written - flow
        self.to_y[rows] += self.kind.to_value(flow, whole)
        self.to_level[rows] += self.kind.to_part(flow, rest, level)
        for j in others:
            self.to_factors[j][rows] += self.kind.to_part(flow, rest, now[j])
        return written * (rest - now[i])

    def through_level(self, rows: slice, rate: Tensor, start: Tensor, carried: Tensor) -> tuple[Tensor, Tensor]:
        """Back through the levels of ``rows``; gives the gradients of ``rate`` and of the level before them.

        ``carried`` is what the rows after them ask of their last level.
        """
        now = [factor[rows] for factor in self.factors]
        whole = self.kind.join(*now) if now else torch.full_like(self.y[rows], self.kind.neutral)
        rest = self.kind.rest(self.y[rows], whole)
        keep = 1.0 - rate
        asked = self.to_level[rows]
        asked[-1] += carried
        flow = self.solve(keep[1:], asked, reverse=True)
        before = start if rows.start == 0 else self.level[rows.start - 1]
        gained = flow * rate
        self.to_y[rows] += self.kind.to_value(gained, whole)
        for to_factor, factor in zip(self.to_factors, now, strict=True):
            to_factor[rows] += self.kind.to_part(gained, rest, factor)
        to_rate = flow * (rest - torch.cat([before.unsqueeze(0), self.level[rows][:-1]]))
        return to_rate, keep[0] * flow[0]


def _blocks(rows: int, seasons: Sequence[int]) -> Iterator[slice]:
    """Runs of rows none of which reads a factor that another of them writes."""
    length = min(seasons, default=rows)
    for start in range(0, rows, length):
        yield slice(start, min(start + length, rows))


def _later(rows: slice, season: int) -> slice:
    return slice(rows.start + season, rows.stop + season)


def _solver(y: Tensor) -> Callable[..., Tensor]:
    """The linear recurrence, by whatever is fast where ``y`` is."""
    return loop if y.device.type == "cpu" else scan
