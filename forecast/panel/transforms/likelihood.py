"""The exponents of power transforms by maximum likelihood, of all series at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from forecast.panel.segments import Rows, sums

Float = npt.NDArray[np.float64]

GOLDEN = (5.0**0.5 - 1.0) / 2.0
BRACKET = 2e-4  # so near to the peak the likelihood is a parabola …
STEP = 3e-4  # … which is laid through three points so far apart
ZERO = 1e-200  # powers of smaller exponents are logarithms
# A series whose logarithms are all as near as this, or that an exponent explains no better than 1 does by this much a
# row, hardly varies: every exponent does the same, and 1 does it without rounding.
STILL, BETTER = 1e-6, 1e-9


def power(t: Float, exponent: Float) -> Float:
    """``(exp(exponent * t) - 1) / exponent``, and ``t`` where that is 0: a power of a number from its logarithm."""
    exponent = np.where(np.abs(exponent) < ZERO, ZERO, exponent)
    with np.errstate(over="ignore"):
        result: Float = np.expm1(exponent * t)
        result /= exponent
    return result


def bent(t: Float, exponent: Float, mirrored: bool) -> Float:
    """The power of ``t``; with ``mirrored`` (Yeo-Johnson) negative ones are bent the other way, by ``2 - exponent``."""
    if not mirrored:
        return power(t, exponent)
    return np.copysign(power(np.abs(t), np.where(t >= 0.0, exponent, 2.0 - exponent)), t)


def log_likelihood(logs: Rows, exponent: Float, mirrored: bool) -> Float:
    """The profile log-likelihood of each series' exponent (S,), if the powers are normal, up to a constant.

    Box and Cox 1964, "An Analysis of Transformations"; Yeo and Johnson 2000, "A New Family of Power Transformations to
    Improve Normality or Symmetry". ``logs`` are logarithms, signed ones of ``1 + |y|`` for Yeo-Johnson.
    """
    z = logs.of(bent(logs.values, logs.spread_out(exponent), mirrored))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        apart = z.values - z.spread_out(z.means())
        variance = z.of(np.square(apart, out=apart)).means()
        return (exponent - 1.0) * sums(logs.values, logs.offsets) - logs.counts * np.log(variance) / 2.0


def best_exponents(logs: Rows, low: Float, high: Float, mirrored: bool, widest: float) -> Float:
    """The likeliest exponent of each series between ``low`` and ``high`` (S,), at most ``widest`` apart; 1, or the
    nearest bound, where the series says nothing about it. NaN for an empty series.

    The likelihood has one peak: golden section comes near it, a parabola finds it. All series take as many steps, so
    that none depends on another.
    """
    result = np.full(len(low), np.nan)
    for chosen, rows in logs.blocks():
        if rows.values.size:
            result[chosen] = _best(rows, low[chosen], high[chosen], mirrored, widest)
    return result


def _best(logs: Rows, low: Float, high: Float, mirrored: bool, widest: float) -> Float:
    def judge(exponent: Float) -> Float:
        value = log_likelihood(logs, exponent, mirrored)
        return np.where(np.isfinite(value), value, -np.inf)

    near = _golden_section(judge, low, high, widest)
    best = np.clip(_peak(judge, near), low, high)
    neutral = np.clip(1.0, low, high)
    better = judge(best) > judge(neutral) + BETTER * np.maximum(logs.counts, 1)
    better &= logs.largest() - logs.smallest() > STILL
    return np.where(logs.counts > 0, np.where(better, best, neutral), np.nan)


def _peak(judge: Callable[[Float], Float], near: Float) -> Float:
    """The top of the parabola through three points around ``near``; ``near`` where there is none close by."""
    before, at, after = judge(near - STEP), judge(near), judge(near + STEP)
    with np.errstate(divide="ignore", invalid="ignore"):
        way = STEP * (before - after) / (2.0 * (before - 2.0 * at + after))
        return np.where(before - 2.0 * at + after < 0.0, near + np.clip(way, -2.0 * STEP, 2.0 * STEP), near)


def _golden_section(judge: Callable[[Float], Float], low: Float, high: Float, widest: float) -> Float:
    """About where ``judge``, which gives one number for each place, is largest between ``low`` and ``high`` (S,)."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    value_left, value_right = judge(left), judge(right)
    for _ in range(int(np.ceil(np.log(BRACKET / max(widest, BRACKET)) / np.log(GOLDEN)))):
        lower = value_left >= value_right  # the peak lies in the lower part
        low, high = np.where(lower, low, left), np.where(lower, right, high)
        fresh = np.where(lower, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        value = judge(fresh)
        left, right = np.where(lower, fresh, right), np.where(lower, left, fresh)
        value_left, value_right = np.where(lower, value, value_right), np.where(lower, value_left, value)
    return (low + high) / 2.0
