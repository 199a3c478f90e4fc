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
from forecast.distributions.numeric import MOST_STEPS, Float, elementwise, like

LEAST_POWER, MOST_POWER = 1.01, 1.99
LEAST_DISPERSION, MOST_DISPERSION = 1e-4, 1e3
# Terms of a series. Where its bulk is wider, every s-th term stands for s: the terms are by then so smooth that the
# sum loses nothing (Poisson's summation formula: the error falls like exp(-2 pi^2 (width / s)^2)).
TERMS = 96
REACH = 6.5  # standard deviations of the bulk on either side, and a few terms for skewness
SKEW = 6.0
# Less dispersed than this about the value, the saddle-point is exact to eight digits, and the series long.
SADDLE = 1e-4
BLOCK = 1024  # cells: their terms fit in a cache
TINY = float(np.finfo(np.float64).tiny)
CLOSE, LONGEST, PATIENCE = 1e-11, 20.0, 12  # steps towards the logarithm of a quantile
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
        log = bounded(torch.log(value[above]) - log_mean[above], LEAST_LOG, MOST_LOG)
        density = _log_density(log, Shape(shape.dispersion[above], shape.power[above])) - log_mean[above]
        return like((-shape.rate).masked_scatter(above, density), raw)

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
    """Of values above 0 (cells,), ``log`` the logarithm of the value relative to its mean."""
    crowded = (shape.dispersion * torch.exp((shape.power - 2.0) * log)).detach() < SADDLE
    saddle, series = (_chosen(log, shape, which) for which in (crowded, ~crowded))
    return torch.zeros_like(log).masked_scatter(crowded, _saddle(*saddle)).masked_scatter(~crowded, _series(*series))


def _chosen(log: Tensor, shape: Shape, which: Tensor) -> tuple[Tensor, Shape]:
    return log[which], Shape(shape.dispersion[which], shape.power[which])


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
    if not log.numel():
        return log
    with torch.no_grad():
        top = torch.exp((2.0 - shape.power) * log) * shape.rate
        order = top.argsort()  # cells that need equally many terms together
    blocks = (order[start : start + BLOCK] for start in range(0, len(order), BLOCK))
    parts = [_series_of(top[block], *_chosen(log, shape, block)) for block in blocks]
    return torch.cat(parts)[order.argsort()]


def _series_of(top: Tensor, log: Tensor, shape: Shape) -> Tensor:
    with torch.no_grad():
        numbers, step = _numbers(top, torch.sqrt(top * (shape.power - 1.0)))
    log, shape = log.unsqueeze(-1), Shape(shape.dispersion.unsqueeze(-1), shape.power.unsqueeze(-1))
    sizes = numbers * shape.shape
    relative = log - torch.log(shape.scale)
    terms = numbers * torch.log(shape.rate) + sizes * relative - torch.lgamma(numbers + 1.0) - torch.lgamma(sizes)
    rest = -shape.rate - torch.exp(relative) - log
    return torch.logsumexp(terms, -1) + torch.log(step) + rest.squeeze(-1)


def _numbers(top: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from 1 around ``top`` (…), (…, at most TERMS), and the step from one to the next, (…)."""
    first = torch.floor(top - REACH * width - SKEW).clamp(min=1.0)
    last = torch.ceil(top + REACH * width + SKEW)
    step = torch.ceil((last - first) / (TERMS - 1)).clamp(min=1.0)
    needed = int(((last - first) / step).max()) + 1  # most often few
    places = torch.arange(needed, dtype=top.dtype, device=top.device)
    return first.unsqueeze(-1) + places * step.unsqueeze(-1), step


def _cdf(value: Float, dispersion: Float, power: Float) -> Float:
    """Probability of at most ``value``, relative to the mean; flat arrays."""
    reached = np.exp(-1.0 / (dispersion * (2.0 - power))) + _above(np.maximum(value, 0.0), dispersion, power)[0]
    return np.where(value < 0.0, 0.0, np.minimum(reached, 1.0))


def _above(value: Float, dispersion: Float, power: Float) -> tuple[Float, Float]:
    """Probability of values above 0 up to ``value``, relative to the mean; and the density there times the value."""
    found, slope = np.empty_like(value), np.empty_like(value)
    order = np.argsort(-dispersion * (2.0 - power))  # cells that need equally many terms together
    for block in np.split(order, range(BLOCK, len(order), BLOCK)):
        shape = Shape(torch.from_numpy(dispersion[block]), torch.from_numpy(power[block]))
        found[block], slope[block] = _above_of(value[block], shape)
    return found, slope


def _above_of(value: Float, shape: Shape) -> tuple[Float, Float]:
    from scipy.special import gammainc, gammaln

    if not value.size:
        return value, value
    numbers, step = (part.numpy() for part in _numbers(shape.rate, torch.sqrt(shape.rate)))
    rate, size, scale = (part.numpy()[:, None] for part in (shape.rate, shape.shape, shape.scale))
    weights = np.exp(numbers * np.log(rate) - rate - gammaln(numbers + 1.0)) * step[:, None]
    scaled, sizes = np.maximum(value[:, None] / scale, TINY), numbers * size
    dense = np.exp(sizes * np.log(scaled) - scaled - gammaln(sizes))
    return (weights * gammainc(sizes, scaled)).sum(1), (weights * dense).sum(1)


def _quantile(probs: Float, dispersion: Float, power: Float) -> Float:
    """Relative to the mean; 0 where the mass at 0 reaches ``probs``."""
    none = np.exp(-1.0 / (dispersion * (2.0 - power)))
    above = np.flatnonzero(none < probs)
    found = np.zeros_like(probs)
    found[above] = np.exp(_log_quantile(probs[above], dispersion[above], power[above], none[above]))
    return found


def _log_quantile(probs: Float, dispersion: Float, power: Float, none: Float) -> Float:
    """Above 0; ``none`` is the mass at 0.

    Newton's method on logarithms of values and, in the lower half, of probabilities, where one is almost linear in the
    other, kept within what is known; where that takes long, every other step halves what is known. It starts from the
    gamma distribution that has mean and variance of the values above 0.
    """
    from scipy.special import gammaincinv

    target = probs - none
    squares = np.maximum((1.0 + dispersion) * (1.0 - none) - 1.0, 1e-9)  # squared coefficient of variation
    guess = gammaincinv(1.0 / squares, target / (1.0 - none)) * squares / (1.0 - none)
    # no quantile lies further above the mean (Cantelli's inequality)
    low, high = np.full_like(probs, 2.0 * LEAST_LOG), np.log1p(1.001 * np.sqrt(dispersion * probs / (1.0 - probs)))
    x: Float = np.clip(np.log(np.maximum(guess, TINY)), low, high)
    active = np.arange(len(x))
    for number in range(2 * MOST_STEPS):
        at, aim = x[active], target[active]
        reached, slope = (np.maximum(part, TINY) for part in _above(np.exp(at), dispersion[active], power[active]))
        low[active], high[active] = np.where(reached < aim, (at, high[active]), (low[active], at))
        lower = aim < 0.5 * (1.0 - none[active])
        step = np.where(lower, np.log(aim / reached) * reached, aim - reached) / slope
        to = at + np.clip(step, -LONGEST, LONGEST)
        trusted = (to >= low[active]) & (to <= high[active]) & ((number < PATIENCE) | (number % 2 == 0))
        far = np.abs(step) > CLOSE
        x[active] = np.where(trusted | ~far, to, 0.5 * (low[active] + high[active]))
        active = active[far & (high[active] - low[active] > CLOSE)]
        if not active.size:
            break
    return x


def _sample(first: Float, second: Float, dispersion: Float, power: Float) -> Float:
    from scipy.special import gammaincinv

    shape = Shape(torch.from_numpy(dispersion), torch.from_numpy(power))
    number = poisson_quantile(first, shape.rate.numpy())
    sum_of_sizes = gammaincinv(np.maximum(number, 1.0) * shape.shape.numpy(), second) * shape.scale.numpy()
    return np.where(number > 0.0, sum_of_sizes, 0.0)
