"""Likelihoods of whole numbers from 0, in their own units; the first raw number is the logarithm of the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from forecast.distributions.base import Likelihood, bounded, log_mean_of, scale_of, wide
from forecast.distributions.numeric import Float, elementwise, like, smallest_whole

LEAST_DISPERSION, MOST_DISPERSION = 1e-6, 1e4
MOST_LOGIT = 8.0  # of zeros: at least three values in ten thousand are drawn


@dataclass(frozen=True)
class Poisson(Likelihood):
    """Raw number: logarithm of the mean, which is the variance too."""

    name = "poisson"
    parameters = 1
    kind = "count"

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        log_mean, count = log_mean_of(wide(raw)[..., 0]), value.double()
        return like(count * log_mean - torch.exp(log_mean) - torch.lgamma(count + 1.0), raw)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        return like(elementwise(_poisson, value, torch.exp(log_mean_of(wide(raw)[..., 0]))), raw)

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        return like(elementwise(poisson_quantile, probs, torch.exp(log_mean_of(wide(raw)[..., 0]))), raw)

    def mean(self, raw: Tensor) -> Tensor:
        return like(torch.exp(log_mean_of(wide(raw)[..., 0])), raw)

    def variance(self, raw: Tensor) -> Tensor:
        return self.mean(raw)


@dataclass(frozen=True)
class NegativeBinomial(Likelihood):
    """Raw numbers: logarithm of the mean m; softplus^-1 of the dispersion a, with which the variance is m + a m^2."""

    name = "negative_binomial"
    parameters = 2
    kind = "count"

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        log_mean, dispersion = wide(raw).unbind(-1)
        return like(_log_negative_binomial(value.double(), log_mean_of(log_mean), _dispersion(dispersion)), raw)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        return like(elementwise(_negative_binomial, value, *self._moments(raw)), raw)

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        return like(elementwise(_negative_binomial_quantile, probs, *self._moments(raw)), raw)

    def mean(self, raw: Tensor) -> Tensor:
        return like(self._moments(raw)[0], raw)

    def variance(self, raw: Tensor) -> Tensor:
        mean, dispersion = self._moments(raw)
        return like(mean + dispersion * mean.square(), raw)

    def _moments(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        log_mean, dispersion = wide(raw).unbind(-1)
        return torch.exp(log_mean_of(log_mean)), _dispersion(dispersion)


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomial(Likelihood):
    """A zero with some probability, else negative binomial.

    Raw numbers: logarithm of the mean of all values; softplus^-1 of the dispersion of those drawn; 2 + logit of the
    probability of the extra zero (so that a net starts with few).
    """

    name = "zero_inflated_negative_binomial"
    parameters = 3
    kind = "count"

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        log_mean, dispersion, logit = self._numbers(raw)
        drawn = functional.logsigmoid(-logit) + _log_negative_binomial(value.double(), log_mean, dispersion)
        return like(torch.where(value == 0.0, torch.logaddexp(functional.logsigmoid(logit), drawn), drawn), raw)

    def cdf(self, raw: Tensor, value: Tensor) -> Tensor:
        mean, dispersion, extra = self._moments(raw)
        drawn = elementwise(_negative_binomial, value, mean, dispersion)
        return like(torch.where(value < 0.0, 0.0, extra + (1.0 - extra) * drawn), raw)

    def quantile(self, raw: Tensor, probs: Tensor) -> Tensor:
        mean, dispersion, extra = self._moments(raw)
        rest = ((probs - extra) / (1.0 - extra)).clamp(min=0.0)  # 0 is reached at once
        return like(elementwise(_negative_binomial_quantile, rest, mean, dispersion), raw)

    def mean(self, raw: Tensor) -> Tensor:
        mean, _, extra = self._moments(raw)
        return like((1.0 - extra) * mean, raw)

    def variance(self, raw: Tensor) -> Tensor:
        drawn, dispersion, extra = self._moments(raw)
        mean = (1.0 - extra) * drawn
        return like(mean + mean.square() * (dispersion + extra) / (1.0 - extra), raw)

    def _numbers(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logarithm of the mean of what is drawn, its dispersion, logit of the extra zero; double precision."""
        log_mean, dispersion, free = wide(raw).unbind(-1)
        logit = bounded(free.double() - 2.0, -np.inf, MOST_LOGIT)
        return log_mean_of(log_mean) + functional.softplus(logit), _dispersion(dispersion), logit

    def _moments(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_mean, dispersion, logit = self._numbers(raw)
        return torch.exp(log_mean), dispersion, torch.sigmoid(logit)


def _dispersion(raw: Tensor) -> Tensor:
    return bounded(scale_of(raw.double(), LEAST_DISPERSION), LEAST_DISPERSION, MOST_DISPERSION)


def _log_negative_binomial(count: Tensor, log_mean: Tensor, dispersion: Tensor) -> Tensor:
    size = 1.0 / dispersion
    log_odds = log_mean + torch.log(dispersion)  # of one more failure against a success
    coefficient = torch.lgamma(count + size) - torch.lgamma(size) - torch.lgamma(count + 1.0)
    return coefficient - size * functional.softplus(log_odds) - count * functional.softplus(-log_odds)


def _poisson(value: Float, mean: Float) -> Float:
    from scipy.special import pdtr

    return np.where(value < 0.0, 0.0, pdtr(np.floor(np.maximum(value, 0.0)), mean))


def _negative_binomial(value: Float, mean: Float, dispersion: Float) -> Float:
    from scipy.special import betainc

    odds = dispersion * mean
    count = np.floor(np.maximum(value, 0.0))
    return np.where(value < 0.0, 0.0, betainc(1.0 / dispersion, count + 1.0, 1.0 / (1.0 + odds)))


def poisson_quantile(probs: Float, mean: Float) -> Float:
    """The smallest whole number that is reached with probability ``probs`` when ``mean`` is expected; flat arrays."""
    return smallest_whole(_poisson, probs, _guess(probs, mean, mean, 1.0 / np.sqrt(mean)), mean)


def _negative_binomial_quantile(probs: Float, mean: Float, dispersion: Float) -> Float:
    variance = mean * (1.0 + dispersion * mean)
    guess = _guess(probs, mean, variance, (1.0 + 2.0 * dispersion * mean) / np.sqrt(variance))
    return smallest_whole(_negative_binomial, probs, guess, mean, dispersion)


def _guess(probs: Float, mean: Float, variance: Float, skewness: Float) -> Float:
    """About the quantile, from the first three moments (Cornish and Fisher 1938, "Moments and Cumulants in the
    Specification of Distributions")."""
    from scipy.special import ndtri

    score = ndtri(np.clip(probs, 1e-12, 1.0 - 1e-12))
    guess: Float = mean + np.sqrt(variance) * (score + skewness / 6.0 * (score**2 - 1.0)) - 0.5
    return guess
