"""Likelihoods by name: a net's free numbers in, log-densities, samples and quantiles out.

A likelihood reads raw parameters, shape (…, ``parameters``), any finite numbers; everything else has shape (…). What
a raw number means is stated by its class. ``torch.distributions`` does the densities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions import Laplace as TorchLaplace
from torch.distributions import Normal as TorchNormal
from torch.distributions import StudentT as TorchStudentT
from torch.nn import functional

from forecast.errors import ConfigError

# Kinds of values, each including those before it: whole numbers from 0, numbers from 0, any number.
KINDS = ("count", "positive", "real")
# A density of repeated values would grow without bound; in window units this is a thousandth of the spread.
LEAST_SCALE = 1e-3


@dataclass(frozen=True)
class Likelihood(ABC):
    """What a net says about one value.

    Class attributes:
        name: what a configuration calls it.
        parameters: raw numbers it reads.
        draws: uniform numbers that make one sample.
        kind: the values that have a density, one of :data:`KINDS`.
    """

    name: ClassVar[str]
    parameters: ClassVar[int]
    draws: ClassVar[int] = 1
    kind: ClassVar[str] = "real"

    def supports(self, kind: str) -> bool:
        """Whether every value of ``kind`` (one of :data:`KINDS`) has a density."""
        return KINDS.index(kind) <= KINDS.index(self.kind)

    @abstractmethod
    def distribution(self, raw: Tensor) -> Distribution:
        """The distribution that ``raw`` (…, parameters) stands for, batch shape (…), in at least float32."""

    @abstractmethod
    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """One sample for each of ``uniform`` (…, draws), strictly within 0 … 1, broadcast against ``raw``.

        Differentiable in ``raw`` and increasing in the first draw; a symmetric likelihood reflects the sample about
        its mean when the first draw u becomes 1 - u, so that antithetic draws cancel.
        """

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        """Quantiles at ``probs``, broadcast against (…). Raises ``ConfigError`` where no closed form is known."""
        raise ConfigError(f"{self.name} has no quantiles in closed form: take them from samples.")

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        """Log-density of ``value``, broadcast against (…)."""
        density: Tensor = self.distribution(raw).log_prob(value)
        return density

    def mean(self, raw: Tensor) -> Tensor:
        """The expected value."""
        mean: Tensor = self.distribution(raw).mean
        return mean

    def random(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One independent sample for each of (…), from ``generator`` (torch's global one by default)."""
        shape = (*raw.shape[:-1], self.draws)
        uniform = torch.rand(shape, generator=generator, device=raw.device).clamp(1e-7, 1 - 1e-7)
        return self.sample(raw, uniform)


def wide(raw: Tensor) -> Tensor:
    """``raw`` in float32 or better: densities of half precision are noise."""
    return raw if raw.dtype in (torch.float32, torch.float64) else raw.float()


def scale_of(raw: Tensor) -> Tensor:
    """A positive scale from a free number, at least :data:`LEAST_SCALE`."""
    return functional.softplus(raw) + LEAST_SCALE


@dataclass(frozen=True)
class Normal(Likelihood):
    """Raw numbers: mean; softplus^-1 of the standard deviation."""

    name: ClassVar[str] = "normal"
    parameters: ClassVar[int] = 2

    def distribution(self, raw: Tensor) -> TorchNormal:
        loc, scale = wide(raw).unbind(-1)
        return TorchNormal(loc, scale_of(scale), validate_args=False)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        return self.quantile(raw, uniform[..., 0])

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        loc, scale = wide(raw).unbind(-1)
        quantile: Tensor = loc + scale_of(scale) * torch.special.ndtri(probs)
        return quantile


@dataclass(frozen=True)
class Laplace(Likelihood):
    """Raw numbers: median; softplus^-1 of the mean absolute deviation from it."""

    name: ClassVar[str] = "laplace"
    parameters: ClassVar[int] = 2

    def distribution(self, raw: Tensor) -> TorchLaplace:
        loc, scale = wide(raw).unbind(-1)
        return TorchLaplace(loc, scale_of(scale), validate_args=False)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        return self.quantile(raw, uniform[..., 0])

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        loc, scale = wide(raw).unbind(-1)
        # log(2p) below the median and -log(2 - 2p) above, each exact in its own tail
        centred = torch.where(probs < 0.5, torch.log(2.0 * probs), -torch.log(2.0 - 2.0 * probs))
        return loc + scale_of(scale) * centred


@dataclass(frozen=True)
class StudentT(Likelihood):
    """Raw numbers: median; softplus^-1 of the scale; softplus^-1 of the degrees of freedom above 2 (so that a variance
    exists).

    Sampled by Bailey's polar method (1994, "Polar generation of random variates with the t-distribution"), exact for
    any degrees of freedom v: sqrt(v (U^(-2/v) - 1)) cos(pi V), here with V from 1 to 0.
    """

    name: ClassVar[str] = "student_t"
    parameters: ClassVar[int] = 3
    draws: ClassVar[int] = 2

    def distribution(self, raw: Tensor) -> TorchStudentT:
        loc, scale, freedom = wide(raw).unbind(-1)
        return TorchStudentT(2.0 + functional.softplus(freedom), loc, scale_of(scale), validate_args=False)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        loc, scale, free = wide(raw).unbind(-1)
        angle, radius = uniform.unbind(-1)
        freedom = 2.0 + functional.softplus(free)
        length = torch.sqrt(freedom * torch.expm1(-2.0 / freedom * torch.log(radius)))
        return loc - scale_of(scale) * length * torch.cos(torch.pi * angle)


LIKELIHOODS: Mapping[str, Likelihood] = MappingProxyType(
    {each.name: each for each in (Normal(), StudentT(), Laplace())}
)


def likelihood(name: str, kind: str = "real") -> Likelihood:
    """The likelihood called ``name``, for values of ``kind``.

    Raises ``ConfigError`` for an unknown name, and for a likelihood under which some such values are impossible.
    """
    found = LIKELIHOODS.get(name)
    if found is None:
        raise ConfigError(f"likelihood={name!r} is not one of {', '.join(LIKELIHOODS)}.")
    if not found.supports(kind):
        able = ", ".join(other.name for other in LIKELIHOODS.values() if other.supports(kind))
        raise ConfigError(
            f"likelihood={name!r} is for {found.kind} values, and here they are {kind}: some would be impossible. "
            f"Use one of {able}."
        )
    return found
