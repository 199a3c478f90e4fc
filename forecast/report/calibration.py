"""Whether quantiles are what they say: where the actuals fell among them.

The *probability integral transform* (PIT) of an actual is the probability that its forecast gave to smaller values.
Over forecasts that say what they know it is uniform between 0 and 1 (Dawid 1984; Gneiting, Balabdaoui and Raftery
2007). Quantiles tell it to within the gap between two of them, and a forecast with a lump of probability at the actual
to within that lump, so each actual has a lower and an upper end. :func:`pit` draws between the two (Smith 1985); the
histogram and the reliability take the share of that gap instead, which is what they would be on average over all draws
(Czado, Gneiting and Held 2009), so that they need no seed.

Points where the actual or one of the quantiles is unknown are left out; an infinite quantile is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ConfigError

Float = npt.NDArray[np.float64]
Vector = npt.ArrayLike

BINS = 20
SURE = 1.959964  # standard deviations to either side of 95 %


@dataclass(frozen=True)
class Histogram:
    """Where actuals fell, as a density: 1 everywhere for forecasts that say what they know.

    Attributes:
        edges: of the bins, 0 to 1, shape (B + 1,).
        density: share of the actuals in each bin over its width, shape (B,).
        low: lower end of the band that 95 % of such densities lie in, each bin by itself, were the forecasts right and
            the points independent, shape (B,).
        high: its upper end.
        n: actuals.
    """

    edges: Float
    density: Float
    low: Float
    high: Float
    n: int


def pit(y: Vector, quantiles: Vector, probs: Vector, seed: int = 0) -> Float:
    """The PIT of every actual, shape (N,), NaN where left out; ``quantiles`` (N, Q) are those of ``probs`` (Q,).

    Drawn evenly between its two ends, by ``seed``. A row keeps its draw when rows change places (rows that are equal in
    every respect may swap theirs). Raises ``ConfigError`` for shapes that do not go together and probabilities that do
    not rise between 0 and 1.
    """
    actual, columns, levels = _arguments(y, quantiles, probs)
    lower, upper = pit_ends(actual, columns, levels)
    order = np.lexsort((upper, lower, actual))
    drawn = np.empty(actual.size)
    drawn[order] = np.random.default_rng(seed).random(actual.size)
    return lower + drawn * (upper - lower)


def reliability(y: Vector, quantiles: Vector, probs: Vector) -> Float:
    """The share of actuals below each quantile, shape (Q,): ``probs`` for forecasts that say what they know.

    Actuals equal to a quantile count by the share of their lump, see the top. Arguments as in :func:`pit`.
    """
    actual, columns, levels = _arguments(y, quantiles, probs)
    return shares_below(*pit_ends(actual, columns, levels), levels)


def pit_histogram(y: Vector, quantiles: Vector, probs: Vector) -> Histogram:
    """The histogram of PIT, in bins that end at the quantiles; in 20 equal ones where there are as many quantiles.

    Arguments as in :func:`pit`.
    """
    actual, columns, levels = _arguments(y, quantiles, probs)
    return histogram(*pit_ends(actual, columns, levels), levels)


def pit_ends(y: Float, columns: Iterable[Float], probs: Float) -> tuple[Float, Float]:
    """Lower and upper end of the PIT of every actual, shape (N,) each, NaN where left out.

    ``columns`` yields the quantiles of ``probs``, (N,) each, which do not cross. The lower end is the probability of
    the last quantile below the actual, 0 without one; the upper that of the first quantile above it, 1 without one.
    """
    below = np.zeros(y.shape, dtype=np.int32)
    reached = np.zeros(y.shape, dtype=np.int32)
    known = np.isfinite(y)
    for column in columns:
        known &= ~np.isnan(column)
        below += column < y
        reached += column <= y
    lower = np.where(known, np.append(0.0, probs)[below], np.nan)
    upper = np.where(known, np.append(probs, 1.0)[reached], np.nan)
    return lower, upper


def shares_below(lower: Float, upper: Float, at: Float) -> Float:
    """The share of PIT below each of ``at``, each spread evenly between its ends; NaN when no point is left."""
    known = ~np.isnan(lower)
    if not known.any():
        return np.full(at.shape, np.nan)
    # Few distinct pairs of ends stand for all points: there are no more of them than pairs of quantiles. In order, so
    # that the sums do not depend on that of the rows.
    (codes, lows), (others, highs) = (pd.factorize(ends[known], sort=True) for ends in (lower, upper))
    counts = np.bincount(codes * highs.size + others, minlength=lows.size * highs.size)
    met = np.flatnonzero(counts)
    first, last = lows[met // highs.size][:, None], highs[met % highs.size][:, None]
    within = np.clip((at - first) / (last - first), 0.0, 1.0)
    return np.asarray(counts[met] @ within / counts.sum(), dtype=np.float64)


def histogram(lower: Float, upper: Float, probs: Float) -> Histogram:
    """:func:`pit_histogram` from the ends of PIT."""
    inner = probs if probs.size < BINS - 1 else np.arange(1, BINS) / BINS
    edges = np.concatenate([[0.0], inner, [1.0]])
    n = int((~np.isnan(lower)).sum())
    widths = np.diff(edges)
    density = np.diff(shares_below(lower, upper, edges)) / widths
    error = SURE * np.sqrt((1 - widths) / (widths * max(n, 1)))
    return Histogram(edges, density, np.maximum(1 - error, 0.0), 1 + error, n)


def _arguments(y: Vector, quantiles: Vector, probs: Vector) -> tuple[Float, Float, Float]:
    actual, table, levels = (np.asarray(values, dtype=np.float64) for values in (y, quantiles, probs))
    if actual.ndim != 1 or levels.ndim != 1 or table.shape != (actual.size, levels.size):
        raise ConfigError(
            f"One quantile for every actual and probability is needed: got quantiles {table.shape} for "
            f"{actual.shape} actuals and {levels.shape} probabilities."
        )
    if not ((levels > 0) & (levels < 1)).all() or (np.diff(levels) <= 0).any():
        raise ConfigError("probs rise from above 0 to below 1, such as [0.1, 0.5, 0.9].")
    return actual, table.T, levels
