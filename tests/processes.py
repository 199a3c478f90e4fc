"""Simulated processes whose next value has a known distribution, one for each kind of values and of likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

SERIES, ROWS, WEEK = 2000, 160, 7
PROBS = tuple(np.round(np.arange(0.0125, 0.99, 0.0125), 4).tolist())


class Run(NamedTuple):
    """A panel of independent series, the value that comes next, and its true quantiles at ``PROBS`` (S, Q)."""

    frame: pd.DataFrame
    actual: Float
    truth: Float


@dataclass(frozen=True)
class Process:
    """``following(values before (S,), steps (S,))`` gives the distribution of the values at these steps."""

    name: str
    likelihood: str
    following: Callable[[Float, Int], object]
    start: float

    def run(self, seed: int, series: int = SERIES, rows: int = ROWS) -> Run:
        """``series`` independent series of ``rows`` rows and the value after them."""
        rng = np.random.default_rng(seed)
        values = np.empty((series, rows + 1))
        before = np.full(series, self.start)
        phase = np.arange(series)  # every day of the week ends some series
        for step in range(-50, rows + 1):  # the first fifty settle it
            coming = self.following(before, step + phase)
            before = np.asarray(coming.rvs(size=series, random_state=rng), dtype=np.float64)  # type: ignore[attr-defined]
            if step >= 0:
                values[:, step] = before
        coming = self.following(values[:, -2], rows + phase)
        truth = np.stack([np.broadcast_to(coming.ppf(p), series) for p in PROBS], axis=1)  # type: ignore[attr-defined]
        frame = pd.DataFrame(
            {
                "unique_id": np.repeat(np.arange(series), rows),
                "ds": np.tile(pd.date_range("2026-01-05", periods=rows), series),
                "y": values[:, :rows].ravel(),
            }
        )
        return Run(frame, values[:, rows], truth)


def season(step: Int) -> Float:
    """From -1 to 1 over a week."""
    return np.sin(2 * np.pi * step / WEEK)


class Tweedie:
    """A Poisson number of gamma amounts: compound Poisson-gamma, most often zero."""

    def __init__(self, rate: float, shape: float, scale: float) -> None:
        self.rate, self.shape, self.scale = rate, shape, scale

    def rvs(self, size: int, random_state: np.random.Generator) -> Float:
        """Random values."""
        number = random_state.poisson(self.rate, size)
        amount = random_state.gamma(np.maximum(self.shape * number, 1e-9), self.scale)
        return np.where(number > 0, amount, 0.0)

    def ppf(self, prob: float) -> float:
        """The quantile, by bisection of the distribution function."""
        counts = np.arange(1, 60)
        weights = stats.poisson(self.rate).pmf(counts)
        low, high = 0.0, self.scale * self.shape * (self.rate + 12 * np.sqrt(self.rate + 1))
        for _ in range(60):
            middle = 0.5 * (low + high)
            reached = np.exp(-self.rate) + weights @ stats.gamma(self.shape * counts, scale=self.scale).cdf(middle)
            low, high = (low, middle) if reached >= prob else (middle, high)
        return high if prob > np.exp(-self.rate) else 0.0


class Inflated:
    """Zero with some probability, else negative binomial."""

    def __init__(self, zero: float, size: float, mean: float) -> None:
        self.zero, self.rest = zero, stats.nbinom(size, size / (size + mean))

    def rvs(self, size: int, random_state: np.random.Generator) -> Float:
        """Random values."""
        drawn = self.rest.rvs(size=size, random_state=random_state)
        return np.where(random_state.random(size) < self.zero, 0.0, drawn)

    def ppf(self, prob: float) -> float:
        """The quantile."""
        beyond = (prob - self.zero) / (1.0 - self.zero)
        return float(self.rest.ppf(beyond)) if beyond > 0 else 0.0


def _rate(step: Int) -> Float:
    return 8.0 + 5.0 * season(step)


PROCESSES = {
    each.name: each
    for each in (
        Process("ar1", "normal", lambda x, t: stats.norm(50 + 0.7 * (x - 50), 1.0), 50.0),
        Process("heavy_tails", "student_t", lambda x, t: stats.t(4, loc=50 + 0.7 * (x - 50)), 50.0),
        Process("peaked", "laplace", lambda x, t: stats.laplace(50 + 0.7 * (x - 50), 1.0), 50.0),
        Process("seasonal", "normal", lambda x, t: stats.norm(20 + 5 * season(t), 1.0), 20.0),
        Process("heteroscedastic", "normal", lambda x, t: stats.norm(20.0, 1.5 + 1.2 * season(t)), 20.0),
        Process(
            "positive", "log_normal", lambda x, t: stats.lognorm(0.4, scale=np.exp(2 + 0.6 * (np.log(x) - 2))), 7.0
        ),
        Process("count", "poisson", lambda x, t: stats.poisson(_rate(t)), 8.0),
        Process("overdispersed", "negative_binomial", lambda x, t: stats.nbinom(3, 3 / (3 + _rate(t))), 8.0),
        Process("intermittent", "zero_inflated_negative_binomial", lambda x, t: Inflated(0.6, 4.0, 6.0), 0.0),
        Process("amounts", "tweedie", lambda x, t: Tweedie(0.8, 2.0, 3.0), 0.0),
        Process("event", "bernoulli", lambda x, t: stats.bernoulli(0.35 + 0.3 * season(t)), 0.0),
    )
}


def crps(quantiles: Float, actual: Float) -> float:
    """Mean continuous ranked probability score: twice the mean pinball loss over ``PROBS``."""
    error = actual[:, None] - quantiles
    return float(2.0 * np.maximum(np.array(PROBS) * error, (np.array(PROBS) - 1.0) * error).mean())


def band(level: float, n: int = SERIES, sigmas: float = 2.58) -> float:
    """Half the width of the binomial band of a share that should be ``level`` percent, 99 % by default."""
    return sigmas * float(np.sqrt(level / 100 * (1 - level / 100) / n))


def coverage(quantiles: Float, actual: Float, level: float) -> float:
    """Share of ``actual`` within the central interval; where quantiles are equal, as of counts, cut at random."""
    below, upto = ((quantiles < actual[:, None]).sum(1), (quantiles <= actual[:, None]).sum(1))
    chance = np.random.default_rng(0).random(len(actual))
    ties = upto - below
    place = (below + np.where(ties > 0, 0.5 + chance * ties, chance)) / (len(PROBS) + 1)
    return float((np.abs(place - 0.5) <= level / 200).mean())
