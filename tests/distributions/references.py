"""What each likelihood should say: the same distributions made of scipy's, and the raw numbers that mean them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import special, stats

from forecast.distributions import LEAST_SCALE, Likelihood, counts, likelihood, tweedie


def free(scale: float, least: float = LEAST_SCALE) -> float:
    """The number whose softplus is ``scale`` - ``least``."""
    return float(scale - least + np.log(-np.expm1(least - scale)))


@dataclass(frozen=True)
class Case:
    """A likelihood, its raw numbers in double precision, and the reference they stand for."""

    likelihood: Likelihood
    raw: torch.Tensor
    reference: Any
    values: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.likelihood.name}-{'_'.join(f'{number:.2g}' for number in self.raw.tolist())}"


def log_density(reference: Any, value: np.ndarray) -> np.ndarray:
    return reference.logpmf(value) if hasattr(reference, "logpmf") else reference.logpdf(value)


class Zero:
    """Nothing but 0."""

    def logpmf(self, value):
        return np.where(value == 0, 0.0, -np.inf)

    def cdf(self, value):
        return np.where(value >= 0, 1.0, 0.0)

    def mean(self):
        return 0.0

    var = mean


@dataclass(frozen=True)
class Mixed:
    """Shares of scipy's distributions."""

    shares: tuple[float, ...]
    parts: tuple[Any, ...]

    def logpdf(self, value):
        return np.log(self._of(lambda part: np.exp(log_density(part, value))))

    def cdf(self, value):
        return self._of(lambda part: part.cdf(value))

    def mean(self):
        return self._of(lambda part: part.mean())

    def var(self):
        return self._of(lambda part: part.var() + part.mean() ** 2) - self.mean() ** 2

    def _of(self, what):
        return sum(share * what(part) for share, part in zip(self.shares, self.parts, strict=True))


@dataclass(frozen=True)
class CompoundPoissonGamma:
    """Term by term: as many gamma variables as a Poisson number says, with Tweedie's mean, dispersion and power."""

    mu: float
    phi: float
    power: float

    def __post_init__(self) -> None:
        rate = self.mu ** (2 - self.power) / (self.phi * (2 - self.power))
        numbers = np.arange(1, 60 + int(rate + 60 * np.sqrt(rate)))
        object.__setattr__(self, "rate", rate)
        object.__setattr__(self, "weights", stats.poisson.logpmf(numbers, rate))
        sizes = numbers * (2 - self.power) / (self.power - 1)
        scale = self.phi * (self.power - 1) * self.mu ** (self.power - 1)
        object.__setattr__(self, "sums", stats.gamma(sizes, scale=scale))

    def logpdf(self, value):
        positive = np.where(value > 0, value, 1.0)[..., None]
        dense = special.logsumexp(self.weights + self.sums.logpdf(positive), axis=-1)
        return np.where(value > 0, dense, -self.rate)

    def cdf(self, value):
        above = (np.exp(self.weights) * self.sums.cdf(np.asarray(value)[..., None])).sum(-1)
        return np.where(np.asarray(value) < 0, 0.0, np.exp(-self.rate) + above)

    def mean(self):
        return self.mu

    def var(self):
        return self.phi * self.mu**self.power


def negative_binomial(mean: float, dispersion: float):
    return stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))


def zero_inflated(mean: float, dispersion: float, extra: float):
    return Mixed((extra, 1 - extra), (Zero(), negative_binomial(mean / (1 - extra), dispersion)))


def tweedie_raw(mean: float, dispersion: float, power: float) -> list[float]:
    place = (power - tweedie.LEAST_POWER) / (tweedie.MOST_POWER - tweedie.LEAST_POWER)
    return [np.log(mean), free(dispersion, tweedie.LEAST_DISPERSION), special.logit(place)]


def raw_counts(mean: float, dispersion: float, *rest: float) -> list[float]:
    return [np.log(mean), free(dispersion, counts.LEAST_DISPERSION), *rest]


def mixed_raw(found: Likelihood, parts: list[list[float]], shares: list[float]) -> list[float]:
    """Raw numbers of a mixture whose components are told ``parts``."""
    told = [np.subtract(part, by) for part, by in zip(parts, found.offsets(), strict=True)]
    return [*np.concatenate(told).tolist(), *np.log(shares).tolist()]


def case(name: str, raw: list[float], reference: Any, values: tuple[float, ...]) -> Case:
    return Case(likelihood(name), torch.tensor(raw, dtype=torch.float64), reference, values)


def mixture(name: str, parts: list[list[float]], shares: list[float], references: list[Any], values: tuple[float, ...]):
    return case(name, mixed_raw(likelihood(name), parts, shares), Mixed(tuple(shares), tuple(references)), values)


REAL = (-30.0, 1.0, 1.5, 2.0, 80.0)
POSITIVE = (0.01, 0.3, 1.0, 4.0, 30.0)
WHOLE = (0.0, 1.0, 2.0, 7.0, 40.0, 300.0)

CASES = (
    case("normal", [1.5, free(0.7)], stats.norm(1.5, 0.7), REAL),
    case("laplace", [1.5, free(0.7)], stats.laplace(1.5, 0.7), REAL),
    *(
        case("student_t", [1.5, free(0.7), free(df, 2.0)], stats.t(df, 1.5, 0.7), REAL)
        for df in (2.3, 5.0, 40.0)
    ),
    case("log_normal", [0.3, free(0.8)], stats.lognorm(0.8, scale=np.exp(0.3)), POSITIVE),
    *(case("poisson", [np.log(mean)], stats.poisson(mean), WHOLE) for mean in (0.4, 7.0, 250.0)),
    *(
        case("negative_binomial", raw_counts(mean, spread), negative_binomial(mean, spread), WHOLE)
        for mean, spread in ((0.5, 2.0), (40.0, 0.3), (5.0, 1e-4), (200.0, 12.0))
    ),
    *(
        case(
            "zero_inflated_negative_binomial",
            raw_counts(mean, spread, 2.0 + special.logit(extra)),
            zero_inflated(mean, spread, extra),
            WHOLE,
        )
        for mean, spread, extra in ((0.8, 0.5, 0.4), (20.0, 0.1, 0.9))
    ),
    case("bernoulli", [special.logit(0.3)], stats.bernoulli(0.3), (0.0, 1.0)),
    *(
        case("tweedie", tweedie_raw(mean, spread, power), CompoundPoissonGamma(mean, spread * mean ** (2 - power), power), (0.0, *POSITIVE))
        for mean, spread, power in ((3.0, 0.8, 1.5), (0.7, 4.0, 1.2), (2.0, 0.05, 1.9), (1.0, 0.9, 1.05), (4.0, 1.0, 1.97))
    ),
    mixture(
        "normal+student_t",
        [[-1.0, free(0.3)], [2.0, free(0.5), free(4.0, 2.0)]],
        [0.3, 0.7],
        [stats.norm(-1.0, 0.3), stats.t(4.0, 2.0, 0.5)],
        REAL,
    ),
    mixture(
        "3*laplace",
        [[-4.0, free(0.3)], [0.0, free(0.05)], [2.0, free(1.5)]],
        [0.2, 0.5, 0.3],
        [stats.laplace(-4.0, 0.3), stats.laplace(0.0, 0.05), stats.laplace(2.0, 1.5)],
        (-5.0, -2.0, 0.01, 1.0, 6.0),
    ),
    mixture(
        "2*negative_binomial+poisson",
        [raw_counts(2.0, 0.5), raw_counts(60.0, 0.01), [np.log(9.0)]],
        [0.5, 0.2, 0.3],
        [negative_binomial(2.0, 0.5), negative_binomial(60.0, 0.01), stats.poisson(9.0)],
        WHOLE,
    ),
)  # fmt: skip
