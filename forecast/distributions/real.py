"""Likelihoods of any real number; the first raw number is where they lie."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions import Laplace as TorchLaplace
from torch.distributions import Normal as TorchNormal
from torch.distributions import StudentT as TorchStudentT
from torch.nn import functional

from forecast.distributions.base import Likelihood, scale_of, wide
from forecast.distributions.numeric import elementwise, like


class Located(Likelihood):
    """A symmetric density around the first raw number, as wide as the second says; ``torch.distributions`` does it."""

    @abstractmethod
    def distribution(self, raw: Tensor) -> Distribution:
        """The distribution that ``raw`` (…, parameters) stands for, batch shape (…), in at least float32."""

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        density: Tensor = self.distribution(raw).log_prob(value)
        return density

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        probability: Tensor = self.distribution(raw).cdf(value)
        return probability

    def mean(self, raw: Tensor) -> Tensor:
        return wide(raw)[..., 0]

    def variance(self, raw: Tensor) -> Tensor:
        variance: Tensor = self.distribution(raw).variance
        return variance


@dataclass(frozen=True)
class Normal(Located):
    """Raw numbers: mean; softplus^-1 of the standard deviation."""

    name = "normal"
    parameters = 2

    def distribution(self, raw: Tensor) -> Distribution:
        loc, scale = wide(raw).unbind(-1)
        return TorchNormal(loc, scale_of(scale), validate_args=False)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        loc, scale = wide(raw).unbind(-1)
        probability: Tensor = torch.special.ndtr((value - loc) / scale_of(scale))  # keeps the digits of the lower tail
        return probability

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        loc, scale = wide(raw).unbind(-1)
        quantile: Tensor = loc + scale_of(scale) * torch.special.ndtri(probs)
        return quantile


@dataclass(frozen=True)
class Laplace(Located):
    """Raw numbers: median; softplus^-1 of the mean absolute deviation from it."""

    name = "laplace"
    parameters = 2

    def distribution(self, raw: Tensor) -> Distribution:
        loc, scale = wide(raw).unbind(-1)
        return TorchLaplace(loc, scale_of(scale), validate_args=False)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        loc, scale = wide(raw).unbind(-1)
        centred = (value - loc) / scale_of(scale)
        tail = 0.5 * torch.exp(-centred.abs())
        return torch.where(centred < 0.0, tail, 1.0 - tail)

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        loc, scale = wide(raw).unbind(-1)
        # log(2p) below the median and -log(2 - 2p) above, each exact in its own tail
        centred = torch.where(probs < 0.5, torch.log(2.0 * probs), -torch.log(2.0 - 2.0 * probs))
        return loc + scale_of(scale) * centred


@dataclass(frozen=True)
class StudentT(Located):
    """Raw numbers: median; softplus^-1 of the scale; softplus^-1 of the degrees of freedom above 2 (so that a variance
    exists, except in the limit).

    Sampled by Bailey's polar method (1994, "Polar generation of random variates with the t-distribution"), exact for
    any degrees of freedom v: sqrt(v (U^(-2/v) - 1)) cos(pi V), here with V from 1 to 0.
    """

    name = "student_t"
    parameters = 3
    draws = 2

    def distribution(self, raw: Tensor) -> Distribution:
        loc, scale, freedom = wide(raw).unbind(-1)
        return TorchStudentT(2.0 + functional.softplus(freedom), loc, scale_of(scale), validate_args=False)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        from scipy.special import stdtr

        loc, scale, free = wide(raw).double().unbind(-1)
        return like(elementwise(stdtr, 2.0 + functional.softplus(free), (value - loc) / scale_of(scale)), raw)

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        from scipy.special import stdtrit

        loc, scale, free = wide(raw).double().unbind(-1)
        return like(loc + scale_of(scale) * elementwise(stdtrit, 2.0 + functional.softplus(free), probs), raw)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        loc, scale, free = wide(raw).unbind(-1)
        angle, radius = uniform.unbind(-1)
        freedom = 2.0 + functional.softplus(free)
        length = torch.sqrt(freedom * torch.expm1(-2.0 / freedom * torch.log(radius)))
        return loc - scale_of(scale) * length * torch.cos(torch.pi * angle)
