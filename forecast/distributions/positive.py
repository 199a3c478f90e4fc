"""Likelihoods of positive numbers, in their own units; the first raw number is the logarithm of their level."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from forecast.distributions.base import LEAST_SCALE, Likelihood, bounded, log_mean_of, scale_of, wide
from forecast.distributions.numeric import like

MOST_SPREAD = 5.0  # of logarithms: the mean is then 270,000 times the median
# The logarithm of an impossible value, finite so that nothing around it becomes NaN.
IMPOSSIBLE = -1e6


@dataclass(frozen=True)
class LogNormal(Likelihood):
    """Of numbers above 0, whose logarithms are normal.

    Raw numbers: logarithm of the median; softplus^-1 of the standard deviation of the logarithm.
    """

    name = "log_normal"
    parameters = 2
    kind = "positive"
    at_zero = False

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        loc, scale = _parameters(raw)
        log = torch.log(torch.where(value > 0.0, value, 1.0).double())
        density = -0.5 * ((log - loc) / scale).square() - torch.log(scale) - log - 0.5 * math.log(2.0 * math.pi)
        return like(torch.where(value > 0.0, density, IMPOSSIBLE), raw)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        loc, scale = _parameters(raw)
        return like(torch.special.ndtr((torch.log(value.double().clamp(min=0.0)) - loc) / scale), raw)

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        loc, scale = _parameters(raw)
        return like(torch.exp(loc + scale * torch.special.ndtri(probs.double())), raw)

    def mean(self, raw: Tensor) -> Tensor:
        loc, scale = _parameters(raw)
        return like(torch.exp(loc + 0.5 * scale.square()), raw)

    def variance(self, raw: Tensor) -> Tensor:
        loc, scale = _parameters(raw)
        return like(torch.expm1(scale.square()) * torch.exp(2.0 * loc + scale.square()), raw)


def _parameters(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the logarithm, in double precision."""
    loc, scale = wide(raw).unbind(-1)
    return log_mean_of(loc), bounded(scale_of(scale.double()), LEAST_SCALE, MOST_SPREAD)
