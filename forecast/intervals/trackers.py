"""Widths that follow the misses: online conformal prediction, series by series and step by step of the horizon.

What is followed is the logarithm of the factor by which an interval of the calibrated table must be stretched. A miss
moves it up by ``step_size * level``, a hit down by ``step_size * (1 - level)``: the quantile tracker of Angelopoulos,
Candes and Tibshirani 2023, arXiv 2307.16895, on a scale where a variance that doubles is one step wherever it starts.
Several step sizes run side by side and are averaged by how well each did lately (Gibbs and Candes 2022, arXiv
2208.08401): small ones are exact in calm times, large ones quick after a break. The average is corrected by the sum of
its own misses less those promised (the integral term of the first paper), so that, whatever comes, coverage over ``T``
rows is right to within ``|correction| / (DRIFT * T)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.conformal import Sides
from forecast.errors import ConfigError
from forecast.intervals.settings import Intervals

Float = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Int = npt.NDArray[np.int64]

DRIFT = 0.03  # of the correction at a miss; from simulations with and without breaks
FURTHEST = 8.0  # logarithm of a factor: 3,000 times as wide, or as narrow
EAGERNESS = 4.0  # how soon a step size that does better is believed
STATE = ("last", "moves", "belief", "drift")
SHARED = 0.01  # of the belief in each step size that goes to all at every row: none is ever written off


@dataclass(frozen=True)
class Trackers:
    """The state of every series.

    Attributes:
        ids: the series.
        last: ordinal of the last row of each that was judged, (S,).
        moves: logarithm of the factor, by series, step, level and step size, (S, h, L, E).
        belief: share of each step size, adding up to 1, (S, h, L, E).
        drift: the correction of their mean, (S, h, L).
    """

    ids: pd.Index
    last: Int
    moves: Single
    belief: Single
    drift: Single

    @classmethod
    def start(cls, ids: pd.Index, last: Int, h: int, settings: Intervals) -> Trackers:
        """Series of which nothing has been judged since the row ``last``."""
        shape = (len(ids), h, len(settings.levels), len(settings.step_sizes))
        belief = np.full(shape, 1.0 / shape[-1], dtype=np.float32)
        zero = np.zeros(shape, dtype=np.float32)
        return cls(ids, last.astype(np.int64), zero, belief, zero[..., 0].copy())

    def places(self, ids: pd.Index, last: Int) -> Int:
        """Where series are here; -1 for new ones and for those that end before what is known here: (S,)."""
        place = self.ids.get_indexer(ids).astype(np.int64)
        known = place >= 0
        return np.where(known & (np.where(known, self.last[place], 0) <= last), place, -1)

    def take(self, place: Int, ids: pd.Index, last: Int) -> Trackers:
        """The series at ``place`` as ``ids``; those at -1 as they start, with ``last``."""
        if np.array_equal(place, np.arange(len(self.ids))):
            return self
        rows, source = np.flatnonzero(place >= 0), place[place >= 0]
        shape = (len(place), *self.moves.shape[1:])
        since = last.astype(np.int64)
        moves, belief = np.zeros(shape, dtype=np.float32), np.full(shape, 1.0 / shape[-1], dtype=np.float32)
        drift = np.zeros(shape[:-1], dtype=np.float32)
        since[rows], moves[rows], belief[rows] = self.last[source], self.moves[source], self.belief[source]
        drift[rows] = self.drift[source]
        return Trackers(ids, since, moves, belief, drift)

    def joined_by(self, newer: Trackers) -> Trackers:
        """With the series of ``newer`` as they are there."""
        place = newer.ids.get_indexer(self.ids)
        old = np.flatnonzero(place < 0)
        if not old.size:
            return newer
        pairs = ((getattr(self, name)[old], getattr(newer, name)) for name in STATE)
        return Trackers(self.ids[old].append(newer.ids), *(np.concatenate(pair) for pair in pairs))

    def log_factors(self) -> Float:
        """The factor of each series, step and level, (S, h, L), as a logarithm."""
        return _mean(self.moves, self.belief, self.drift).astype(np.float64)

    def after(self, judged: Iterable[tuple[Int, Float]], last: Int, settings: Intervals) -> Trackers:
        """The state after more rows of the series, up to the rows ``last``.

        ``judged`` gives, in the order of time, series (R,) and the logarithm of the factor that would just have covered
        what came in, (R, h, L), NaN where nothing did.
        """
        moves, belief, drift = self.moves.copy(), self.belief.copy(), self.drift.copy()
        for rows, needed in judged:
            now = _moved(moves[rows], belief[rows], drift[rows], needed, settings)
            moves[rows], belief[rows], drift[rows] = now
        return replace(self, moves=moves, belief=belief, drift=drift, last=np.maximum(self.last, last))


def _mean(moves: Single, belief: Single, drift: Single) -> Single:
    mean: Single = np.clip((moves * belief).sum(axis=-1) + drift, -FURTHEST, FURTHEST)
    return mean


def _moved(
    moves: Single, belief: Single, drift: Single, needed: Float, settings: Intervals
) -> tuple[Single, Single, Single]:
    rest = 1.0 - np.array(settings.levels, dtype=np.float32)[:, None] / np.float32(100.0)
    known = np.isfinite(needed)[..., None]
    wanted = np.where(known, np.clip(needed, -FURTHEST, FURTHEST)[..., None], 0.0).astype(np.float32)
    apart = wanted - moves
    missed = apart > 0
    loss = np.where(missed, (1.0 - rest) * apart, -rest * apart)
    trust = belief * np.exp(-EAGERNESS * (loss - loss.min(axis=-1, keepdims=True)))
    trust = trust / trust.sum(axis=-1, keepdims=True)
    trust = (1.0 - SHARED) * trust + SHARED / trust.shape[-1]
    rates = np.array(settings.step_sizes, dtype=np.float32)
    gone = np.clip(moves + rates * (missed - rest), -FURTHEST, FURTHEST)
    over = wanted[..., 0] > _mean(moves, belief, drift)
    drifted = np.clip(drift + DRIFT * (over - rest[:, 0]), -FURTHEST, FURTHEST)
    now = np.where(known, gone, moves), np.where(known, trust, belief), np.where(known[..., 0], drifted, drift)
    return now[0].astype(np.float32), now[1].astype(np.float32), now[2].astype(np.float32)


@dataclass(frozen=True)
class Knots:
    """The calibrated widths of the levels that are followed, and how widths between them are stretched.

    Attributes:
        lower, upper: distances of the ends in local scales, (h, L), positive and rising.
    """

    lower: Float
    upper: Float

    @classmethod
    def of(cls, sides: Sides, settings: Intervals) -> Knots:
        """Those of calibrated tables that are positive, see :meth:`forecast.conformal.Sides.floored`."""
        ends = [sides.at(level / 100.0, len(sides.lower)) for level in settings.levels]
        return cls(np.stack([low for low, _ in ends], axis=1), np.stack([high for _, high in ends], axis=1))

    def needed(self, error: Float) -> Float:
        """Logarithm of the factor at which each level just covers a scaled signed error (R, h): (R, h, L)."""
        share = np.maximum(error[..., None] / self.upper, -error[..., None] / self.lower)
        with np.errstate(divide="ignore"):
            return np.where(np.isnan(share), np.nan, np.clip(np.log(np.maximum(share, 0.0)), -FURTHEST, FURTHEST))

    def stretched(self, factors: Float) -> Stretched:
        """The widths with log ``factors`` (S, h, L); wider levels stay at least as wide as narrower ones."""
        steps = factors.shape[1]
        grown = np.exp(factors)
        ends = [np.maximum.accumulate(knots[:steps] * grown, axis=2) for knots in (self.lower, self.upper)]
        return Stretched(self, ends[0], ends[1])


@dataclass(frozen=True)
class Stretched:
    """Knots and where they have got to, below and above, (S, h, L) each."""

    knots: Knots
    lower: Float
    upper: Float

    def below(self, distance: Float) -> Float:
        """A distance below the forecast (h,), as calibrated, stretched: (S, h).

        A level's own takes its own factor; what lies between two levels stays there, in proportion, so wider coverage
        never gives a narrower interval. Beyond the last level its factor holds.
        """
        return _through(self.knots.lower, self.lower, distance)

    def above(self, distance: Float) -> Float:
        """The same above the forecast."""
        return _through(self.knots.upper, self.upper, distance)


def _through(knots: Float, ends: Float, distance: Float) -> Float:
    """The piecewise straight line from (0, 0) through each knot (h, L) and its end (S, h, L), at ``distance`` (h,)."""
    steps, levels = len(distance), knots.shape[1]
    knots, at = knots[:steps], np.arange(steps)
    upper = (knots <= distance[:, None]).sum(axis=1)
    last = upper == levels
    right, left = np.minimum(upper, levels - 1), upper - 1
    low = np.where(left >= 0, knots[at, left], 0.0)
    width = np.where(last, 1.0, knots[at, right] - low)
    share = (distance - low) / np.where(width > 0.0, width, 1.0)
    low_end = np.where(left >= 0, ends[:, at, left], 0.0)
    between = low_end + share * (ends[:, at, right] - low_end)
    return np.where(last, low_end * (distance / np.where(low > 0.0, low, 1.0)), between)


def check_trackers(ids: pd.Index, arrays: Mapping[str, npt.NDArray[Any]], h: int, settings: Intervals) -> Trackers:
    """A state of ``ids`` that came from elsewhere, its arrays by the names of the fields.

    Raises ``ConfigError`` unless it fits the horizon ``h`` and ``settings``.
    """
    whole = (len(ids), h, len(settings.levels), len(settings.step_sizes))
    wanted = {"last": (whole[:1], "int64"), "drift": (whole[:3], "float32")}
    wanted |= dict.fromkeys(("moves", "belief"), (whole, "float32"))
    wrong = [name for name, fit in wanted.items() if (arrays[name].shape, str(arrays[name].dtype)) != fit]
    if wrong:
        raise ConfigError(f"the state of adaptive intervals: {', '.join(wrong)} do not fit {whole}")
    moves, belief, drift = arrays["moves"], arrays["belief"], arrays["drift"]
    near = (np.abs(moves) <= FURTHEST).all() and (np.abs(drift) <= FURTHEST).all()
    if not near or not (belief >= 0.0).all() or not np.allclose(belief.sum(axis=-1), 1.0, atol=1e-3):
        raise ConfigError("the state of adaptive intervals holds factors or shares out of range")
    return Trackers(ids, *(arrays[name].copy() for name in STATE))
