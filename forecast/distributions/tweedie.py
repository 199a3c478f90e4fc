"""Tweedie's likelihood: numbers from 0 with a mass at 0, such as rain, or sales in money of what sells rarely."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from forecast.distributions.base import Likelihood, bounded, log_mean_of, scale_of, shape_of, wide
from forecast.distributions.counts import poisson_quantile
from forecast.distributions.numeric import Float, between, elementwise, like

LEAST_POWER, MOST_POWER = 1.01, 1.99
LEAST_DISPERSION, MOST_DISPERSION = 1e-4, 1e3
# Terms of a series. Where its bulk is wider, every s-th term stands for s: the terms are by then so smooth that the
# sum loses nothing (Poisson's summation formula: the error falls like exp(-2 pi^2 (width / s)^2)).
TERMS = 96
REACH = 6.5  # standard deviations of the bulk on either side, and a few terms for skewness
SKEW = 6.0
# Less dispersed than this about the value, the saddle-point is exact to eight digits, and the series long.
SADDLE = 1e-4
LEAST_LOG, MOST_LOG = -60.0, 30.0  # of a value relative to its mean


class Shape(NamedTuple):
    """Of a value divided by its mean, whose variance is then ``dispersion``: a Poisson number, of mean ``rate``, of
    gamma variables of shape ``shape`` and scale ``scale``. Tensors or arrays, all of one shape."""

    dispersion: Tensor
    power: Tensor

    @property
    def rate(self) -> Tensor:
        return 1.0 / (self.dispersion * (2.0 - self.power))

    @property
    def shape(self) -> Tensor:
        return (2.0 - self.power) / (self.power - 1.0)

    @property
    def scale(self) -> Tensor:
        return self.dispersion * (self.power - 1.0)


@dataclass(frozen=True)
class Tweedie(Likelihood):
    """Compound Poisson-gamma: a Poisson number of gamma variables, none of which is 0.

    Raw numbers: logarithm of the mean; softplus^-1 of the squared coefficient of variation (variance / mean^2, which
    keeps its meaning in any unit; the usual dispersion is that times mean^(2 - power)); logit of the power's place
    within 1.01 … 1.99 (variance grows as mean^power).

    The density is the series of Dunn and Smyth (2005, "Series evaluation of Tweedie exponential dispersion model
    densities"), by the saddle-point with its second-order correction where that would be long.
    """

    name = "tweedie"
    parameters = 3
    draws = 2
    kind = "positive"

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        log_mean, shape = _parameters(raw)
        cells = shape_of(raw, value)
        value, log_mean = value.double().expand(cells), log_mean.expand(cells)
        shape = Shape(shape.dispersion.expand(cells), shape.power.expand(cells))
        above = value > 0.0
        log = bounded(torch.log(torch.where(above, value, 1.0)) - log_mean, LEAST_LOG, MOST_LOG)
        density = _log_density(log, shape) - log_mean
        return like(torch.where(above, density, -shape.rate), raw)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        log_mean, shape = _parameters(raw)
        return like(elementwise(_cdf, value.double() * torch.exp(-log_mean), *shape), raw)

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        log_mean, shape = _parameters(raw)
        return like(torch.exp(log_mean) * elementwise(_quantile, probs, *shape), raw)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """See :meth:`Likelihood.sample`: the first draw says how many gamma variables, the second how large."""
        log_mean, shape = _parameters(raw)
        return like(torch.exp(log_mean) * elementwise(_sample, uniform[..., 0], uniform[..., 1], *shape), raw)

    def mean(self, raw: Tensor) -> Tensor:
        return like(torch.exp(_parameters(raw)[0]), raw)

    def variance(self, raw: Tensor) -> Tensor:
        log_mean, shape = _parameters(raw)
        return like(shape.dispersion * torch.exp(2.0 * log_mean), raw)


def _parameters(raw: Tensor) -> tuple[Tensor, Shape]:
    """Logarithm of the mean, and the shape, in double precision."""
    log_mean, dispersion, power = wide(raw).double().unbind(-1)
    spread = bounded(scale_of(dispersion, LEAST_DISPERSION), LEAST_DISPERSION, MOST_DISPERSION)
    return log_mean_of(log_mean), Shape(spread, LEAST_POWER + (MOST_POWER - LEAST_POWER) * torch.sigmoid(power))


def _log_density(log: Tensor, shape: Shape) -> Tensor:
    """Of values above 0, ``log`` the logarithm of the value relative to its mean."""
    crowded = (shape.dispersion * torch.exp((shape.power - 2.0) * log)).detach() < SADDLE
    # each formula sees harmless numbers where the other one counts, so that no gradient is NaN
    series = _series(torch.where(crowded, 0.0, log), Shape(torch.where(crowded, 1.0, shape.dispersion), shape.power))
    return torch.where(crowded, _saddle(log, shape), series)


def _saddle(log: Tensor, shape: Shape) -> Tensor:
    """Saddle-point approximation of the log-density, with the next term of its expansion."""
    dispersion, power = shape
    one, two = power - 1.0, 2.0 - power
    deviance = 2.0 * (torch.exp(log) / one + 1.0 / two - torch.exp(two * log) / (one * two))
    around = dispersion * torch.exp(-two * log)
    correction = power * (3.0 - power) / 24.0 * around
    return -0.5 * (torch.log(2.0 * math.pi * dispersion) + power * log + deviance / dispersion) - correction


def _series(log: Tensor, shape: Shape) -> Tensor:
    """Log of the sum over j of Poisson(j) gamma density (j shape), around its largest term."""
    with torch.no_grad():
        top = torch.exp((2.0 - shape.power) * log) * shape.rate
        numbers, step = _numbers(top, torch.sqrt(top * (shape.power - 1.0)))
    power, log = shape.power.unsqueeze(-1), log.unsqueeze(-1)
    shape = Shape(shape.dispersion.unsqueeze(-1), power)
    sizes = numbers * shape.shape
    terms = (
        numbers * torch.log(shape.rate)
        - torch.lgamma(numbers + 1.0)
        - torch.lgamma(sizes)
        + sizes * (log - torch.log(shape.scale))
    )
    rest = -shape.rate - torch.exp(log) / shape.scale - log
    return torch.logsumexp(terms, -1) + torch.log(step) + rest.squeeze(-1)


def _numbers(top: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from 1 around ``top`` (…), (…, TERMS), and the step from one to the next, (…)."""
    first = torch.floor(top - REACH * width - SKEW).clamp(min=1.0)
    last = torch.ceil(top + REACH * width + SKEW)
    step = torch.ceil((last - first) / (TERMS - 1)).clamp(min=1.0)
    places = torch.arange(TERMS, dtype=top.dtype, device=top.device)
    return first.unsqueeze(-1) + places * step.unsqueeze(-1), step


def _cdf(value: Float, dispersion: Float, power: Float) -> Float:
    """Probability of at most ``value``, relative to the mean."""
    from scipy.special import gammainc, gammaln

    shape = Shape(torch.from_numpy(dispersion), torch.from_numpy(power))
    rate = shape.rate.numpy()
    numbers, step = (part.numpy() for part in _numbers(shape.rate, torch.sqrt(shape.rate)))
    # a few variables are most often all there are: terms that nobody needs are not computed
    needed = int(np.ceil(((rate + REACH * np.sqrt(rate) + SKEW) / step).max(initial=0.0))) + 1
    numbers = numbers[:, :needed]
    weights = np.exp(numbers * np.log(rate)[:, None] - rate[:, None] - gammaln(numbers + 1.0)) * step[:, None]
    scaled = np.maximum(value, 0.0) / shape.scale.numpy()
    sums = (weights * gammainc(numbers * shape.shape.numpy()[:, None], scaled[:, None])).sum(1)
    return np.where(value < 0.0, 0.0, np.minimum(np.exp(-rate) + sums, 1.0))


def _quantile(probs: Float, dispersion: Float, power: Float) -> Float:
    """Relative to the mean; 0 where the mass at 0 reaches ``probs``."""
    shape = Shape(torch.from_numpy(dispersion), torch.from_numpy(power))
    above = np.flatnonzero(np.exp(-shape.rate.numpy()) < probs)
    found = np.zeros_like(probs)
    probs, dispersion, power = probs[above], dispersion[above], power[above]
    # no quantile lies further above the mean (Cantelli's inequality)
    high = 1.0 + 1.001 * np.sqrt(dispersion * probs / (1.0 - probs))
    found[above] = between(_cdf, probs, np.zeros_like(high), high, dispersion, power)
    return found


def _sample(first: Float, second: Float, dispersion: Float, power: Float) -> Float:
    from scipy.special import gammaincinv

    shape = Shape(torch.from_numpy(dispersion), torch.from_numpy(power))
    number = poisson_quantile(first, shape.rate.numpy())
    sum_of_sizes = gammaincinv(np.maximum(number, 1.0) * shape.shape.numpy(), second) * shape.scale.numpy()
    return np.where(number > 0.0, sum_of_sizes, 0.0)
