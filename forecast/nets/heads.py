"""Heads: from features of each step to a point or to quantiles that cannot cross."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def point_index(probs: tuple[float, ...]) -> int:
    """Which output is the point forecast: the only one, or the quantile nearest to the median."""
    return min(range(len(probs)), key=lambda i: abs(probs[i] - 0.5)) if probs else 0


class Ordered(nn.Module):
    """Turns Q free numbers into Q non-decreasing ones: the middle one, and non-negative steps away from it.

    Shape (…, Q) in and out. Ordered by construction, so no sorting is needed before or after any increasing
    inverse transform.
    """

    def __init__(self, probs: tuple[float, ...]) -> None:
        super().__init__()
        self.middle = point_index(probs)

    def forward(self, free: Tensor) -> Tensor:
        k = self.middle
        centre = free[..., k : k + 1]
        above = centre + functional.softplus(free[..., k + 1 :]).cumsum(-1)
        below = centre - functional.softplus(free[..., :k]).flip(-1).cumsum(-1).flip(-1)
        return torch.cat([below, centre, above], dim=-1)


def head(probs: tuple[float, ...]) -> nn.Module:
    """The last step of every net: the identity for a point forecast, :class:`Ordered` for quantiles."""
    return Ordered(probs) if probs else nn.Identity()
