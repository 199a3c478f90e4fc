"""The statistics behind the alerts: small pure functions, each with its source."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

MOST_CORRELATED = 0.9
CAUTION = 0.1  # the spread of few values is taken to be as large as it is with this probability in truth
SMALLEST_SPREAD = 1e-3


def autocorrelation(values: Float) -> float:
    """Lag-one autocorrelation, between 0 and 0.9: a negative one would only make the other numbers bolder."""
    centred = values - values.mean()
    power = float((centred**2).sum())
    if values.size < 3 or power <= 0:
        return 0.0
    return float(np.clip((centred[1:] * centred[:-1]).sum() / power, 0.0, MOST_CORRELATED))


def inflation(correlation: float) -> float:
    """By how much the variance of a mean grows when neighbours correlate like this (first-order autoregression).

    Bayley and Hammersley (1946), "The effective number of independent observations in an autocorrelated time series".
    """
    return (1 + correlation) / (1 - correlation)


def cautious_spread(reference: Float) -> float:
    """Standard deviation of a step of a random walk with these values as increments, rather too large than too small.

    The usual one times the square root of :func:`inflation`, at the upper 90 % confidence bound: a control chart whose
    spread was estimated from few values gives far more false alarms than its tables say (Jensen, Jones-Farmer, Champ
    and Woodall 2006, "Effects of parameter estimation on control chart properties").
    """
    from scipy.stats import chi2

    free = reference.size - 1
    caution = free / float(chi2.ppf(CAUTION, free))
    variance = float(reference.var(ddof=1)) * inflation(autocorrelation(reference)) * caution
    return max(float(np.sqrt(variance)), SMALLEST_SPREAD)


class Chart(NamedTuple):
    """A one-sided control chart: ``height`` at its end, ``start`` (an index) of the shift that explains it best."""

    height: float
    start: int


def cusum(deviations: Float, slack: float) -> Chart:
    """Page's cumulative sum of what standardised ``deviations`` exceed ``slack`` by, never below zero.

    Page (1954), "Continuous inspection schemes", Biometrika 41. With a slack of 0.5 and a limit of 5 a shift by one
    standard deviation is found after about ten values, and without any shift there is a false alarm once in about 930
    (Montgomery, "Introduction to Statistical Quality Control", section 9.1). ``start`` is the likeliest time of a step
    from zero: Samuel, Pignatiello and Calvin (1998), "Identifying the time of a step change with X-bar control charts".
    """
    height = 0.0
    for deviation in deviations.tolist():
        height = max(0.0, height + deviation - slack)
    since = np.cumsum(deviations[::-1])[::-1] / np.sqrt(np.arange(deviations.size, 0, -1))
    return Chart(height, int(since.argmax()) if since.size else 0)


class Share(NamedTuple):
    """A share with its bounds, and how many independent observations it is worth."""

    value: float
    lower: float
    upper: float
    n: float


def share_bounds(covered: float, n: float, confidence: float) -> Share:
    """Clopper and Pearson's bounds of ``covered`` out of ``n``, which need not be whole.

    With an effective sample size for ``n`` these are Korn and Graubard's (1998), "Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data".
    """
    from scipy.stats import beta

    if not n > 0:
        return Share(np.nan, 0.0, 1.0, 0.0)
    tail = (1 - confidence) / 2
    lower = float(beta.ppf(tail, covered, n - covered + 1)) if covered > 0 else 0.0
    upper = float(beta.ppf(1 - tail, covered + 1, n - covered)) if covered < n else 1.0
    return Share(covered / n, lower, upper, n)


def effective_size(shares: Float, groups: npt.NDArray[np.int64], most: float) -> float:
    """How many independent observations the mean of the last group's ``shares`` is worth, at most ``most``.

    ``shares`` are those of successive periods; ``groups`` numbers the windows that they fall in, each of which has a
    mean of its own, so that a change between windows does not count as noise. What one day brings hits many series at
    once: the spread between days says how much (Kish 1965, "Survey Sampling": the design effect).
    """
    _, codes = np.unique(groups, return_inverse=True)
    counts = np.bincount(codes)
    residuals = shares - (np.bincount(codes, weights=shares) / counts)[codes]
    free = shares.size - counts.size
    if free < 1:
        return 0.0
    variance = float((residuals**2).sum()) / free * inflation(autocorrelation(residuals))
    of_mean = variance / float(counts[-1])
    possible = float(shares.mean() * (1 - shares.mean()))
    return most if of_mean * most <= possible else possible / of_mean


def mean_bounds(recent: Float, reference: Float, confidence: float) -> float:
    """Half the width of the confidence interval of the mean of ``recent``, by Student's t.

    The spread comes from both windows, each around its own mean, and allows for correlated neighbours.
    """
    from scipy.stats import t

    residuals = np.concatenate([values - values.mean() for values in (reference, recent) if values.size])
    free = residuals.size - (1 + (reference.size > 0))
    if free < 1:
        return np.inf
    grown = inflation(autocorrelation(residuals))
    variance = float((residuals**2).sum()) / free * grown
    free_enough = max(free / grown, 1.0)
    return float(t.ppf(0.5 + confidence / 2, free_enough) * np.sqrt(variance / recent.size))


def population_stability(reference: npt.NDArray[np.int64], recent: npt.NDArray[np.int64]) -> float:
    """Population stability index of two histograms over the same bins, half a count added to each bin.

    Siddiqi (2006), "Credit Risk Scorecards": below 0.1 nothing, above 0.25 a shift.
    """
    expected = (reference + 0.5) / (reference + 0.5).sum()
    found = (recent + 0.5) / (recent + 0.5).sum()
    return float(((found - expected) * np.log(found / expected)).sum())


def stability_limit(reference: float, recent: float, bins: int, confidence: float) -> float:
    """What the index reaches by chance alone, from the number of independent values in each histogram.

    Yurdakul and Naranjo (2020), "Statistical properties of the population stability index": a chi-squared variable
    with ``bins - 1`` degrees of freedom, times ``1 / reference + 1 / recent``.
    """
    from scipy.stats import chi2

    return float(chi2.ppf(confidence, bins - 1)) * (1 / max(reference, 1e-9) + 1 / max(recent, 1e-9))
