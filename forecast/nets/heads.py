"""Heads: from features of each step to a point, to quantiles that cannot cross, or to a likelihood's parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.nets.facts import Facts


def point_index(probs: tuple[float, ...]) -> int:
    """Which output is the point forecast: the only one, or the quantile nearest to the median."""
    return min(range(len(probs)), key=lambda i: abs(probs[i] - 0.5)) if probs else 0


def fed_back(facts: Facts) -> int:
    """Which output a recursive net reads as the value of the step: its point forecast, or a likelihood's location."""
    likelihood = facts.distribution
    return point_index(facts.probs) if likelihood is None else next(iter(likelihood.moves), 0)


class Head(nn.Module):
    """The last step of every net: (…, outputs) free numbers, and what is added to the forecast, (…, 1) or ``None``."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self.shift = Shift(facts)

    def forward(self, free: Tensor, by: Tensor | None = None) -> Tensor:
        return free if by is None else self.shift(free, by)


class Ordered(Head):
    """Turns Q free numbers into Q non-decreasing ones: the middle one, and non-negative steps away from it.

    Shape (…, Q) in and out. Ordered by construction, so no sorting is needed before or after any increasing
    inverse transform.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self.middle = point_index(facts.probs)

    def forward(self, free: Tensor, by: Tensor | None = None) -> Tensor:
        k = self.middle
        centre = free[..., k : k + 1]
        above = centre + functional.softplus(free[..., k + 1 :]).cumsum(-1)
        below = centre - functional.softplus(free[..., :k]).flip(-1).cumsum(-1).flip(-1)
        return super().forward(torch.cat([below, centre, above], dim=-1), by)


class Shift(nn.Module):
    """Moves a forecast (…, outputs) up or down by (…, 1): every quantile, but of a likelihood its locations alone."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self.moved: Tensor | None
        moved, likelihood = None, facts.distribution
        if likelihood is not None:
            moved = torch.zeros(likelihood.parameters)
            moved[list(likelihood.moves)] = 1.0
        self.register_buffer("moved", moved, persistent=False)

    def forward(self, forecast: Tensor, by: Tensor) -> Tensor:
        return forecast + (by if self.moved is None else by * self.moved)


def head(facts: Facts) -> Head:
    """:class:`Ordered` for quantiles; numbers as they are for a point forecast and for a likelihood's parameters."""
    return Ordered(facts) if facts.probs else Head(facts)
