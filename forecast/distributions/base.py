"""What every likelihood can do, and how free numbers become scales and levels."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from forecast.errors import ConfigError

# Kinds of values, each including those before it: 0 and 1, whole numbers from 0, numbers from 0, any number.
NUMBERS = ("event", "count", "positive", "real")
# Places of classes are no numbers: nothing else has a density for them.
KINDS = (*NUMBERS, "class")
# A density of repeated values would grow without bound; in window units this is a thousandth of the spread.
LEAST_SCALE = 1e-3
# Means of positive numbers and counts lie within exp(±35), about 6e-16 … 1.6e15.
MOST_LOG = 35.0


class Likelihood(ABC):
    """What a net says about one value. Implementations are frozen dataclasses.

    Raw parameters have shape (…, ``parameters``) and may be any finite numbers; what each means is stated by the class.
    Everything else has shape (…). Densities have finite gradients for any raw numbers up to 1e4 in size; distribution
    functions, quantiles, means and variances are for forecasts, and only samples of real values have gradients.
    """

    draws: int = 1
    """Uniform numbers that make one sample."""
    kind: str = "real"
    """Values that have a density, one of :data:`KINDS`."""
    moves: tuple[int, ...] = (0,)
    """Which raw numbers are locations: what shifts a forecast is added to each."""
    at_zero: bool = True
    """Whether 0 is a possible value (of a positive kind it may not be)."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What a configuration calls it."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Raw numbers it reads."""

    @property
    def discrete(self) -> bool:
        """Whether values, and with them quantiles and samples, are whole numbers."""
        return self.kind not in ("real", "positive")

    @property
    def has_density(self) -> bool:
        """Whether :meth:`log_prob` is there."""
        return True

    def supports(self, kind: str) -> bool:
        """Whether every value of ``kind`` (one of :data:`KINDS`) has a density."""
        if kind == self.kind or "class" in (kind, self.kind):
            return kind == self.kind
        return self.at_zero and NUMBERS.index(kind) <= NUMBERS.index(self.kind)

    @abstractmethod
    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        """Log-density (of whole numbers: log-probability) of ``value``, broadcast against (…)."""

    def loss(self, raw: Tensor, value: Tensor, deterministic: bool = False) -> Tensor:
        """What training makes small, (…): the negative log-density unless a class says otherwise.

        With ``deterministic`` nothing is drawn at random: the same numbers give the same loss.
        """
        return -self.log_prob(raw, value)

    @abstractmethod
    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        """Probability of at most ``value``, any number, broadcast against (…)."""

    @abstractmethod
    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        """Quantiles at ``probs``, strictly within 0 … 1, broadcast against (…).

        The smallest value whose :meth:`cdf` reaches the probability; a whole number where the values are.
        """

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """One sample for each of ``uniform`` (…, draws), strictly within 0 … 1, broadcast against ``raw``.

        Never falling in the first draw; a symmetric likelihood reflects the sample about its mean when the first draw
        u becomes 1 - u, so that antithetic draws cancel.
        """
        return self.quantile(raw, uniform[..., 0])

    @abstractmethod
    def mean(self, raw: Tensor) -> Tensor:
        """The expected value."""

    @abstractmethod
    def variance(self, raw: Tensor) -> Tensor:
        """The expected squared distance from the mean."""

    def shares(self, raw: Tensor) -> Tensor:
        """Probabilities of classes, (…, classes); of an event, (…, 1), that it happens. For those kinds alone."""
        raise ConfigError(
            f"likelihood={self.name!r} is for {self.kind} values, which are no classes with probabilities."
        )

    def random(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One independent sample for each of (…), from ``generator`` (torch's global one by default)."""
        shape = (*raw.shape[:-1], self.draws)
        uniform = torch.rand(shape, generator=generator, device=raw.device).clamp(1e-7, 1 - 1e-7)
        return self.sample(raw, uniform)


def shape_of(raw: Tensor, value: Tensor) -> tuple[int, ...]:
    """(…) of the cells of ``raw`` (…, parameters) broadcast against ``value``."""
    return np.broadcast_shapes(tuple(raw.shape[:-1]), tuple(value.shape))


def wide(raw: Tensor) -> Tensor:
    """``raw`` in float32 or better: densities of half precision are noise."""
    return raw if raw.dtype in (torch.float32, torch.float64) else raw.float()


def scale_of(raw: Tensor, least: float = LEAST_SCALE) -> Tensor:
    """A positive scale from a free number, at least ``least``."""
    return functional.softplus(raw) + least


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """``x`` kept within ``low`` … ``high``; beyond them the gradient is that at the bound, so that training returns."""
    return x.clamp(low, high).detach() + (x - x.detach())


def log_mean_of(raw: Tensor) -> Tensor:
    """A free number as the logarithm of a mean, in double precision: see :data:`MOST_LOG`.

    Densities of counts and of positive numbers are differences of large numbers, of which float32 would leave little.
    """
    return bounded(raw.double(), -MOST_LOG, MOST_LOG)
