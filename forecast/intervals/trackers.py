"""Widths that follow the misses: online conformal prediction, series by series and step by step of the horizon.

What is followed is the logarithm of the factor by which an interval of the calibrated table must be stretched. A miss
moves it up by ``step_size * level``, a hit down by ``step_size * (1 - level)``: the quantile tracker of Angelopoulos,
Candes and Tibshirani 2023, arXiv 2307.16895, on a scale where a variance that doubles is one step wherever it starts.
Several step sizes run side by side and are averaged by how well each did lately (Gibbs and Candes 2022, arXiv
2208.08401): small ones are exact in calm times, large ones quick after a break.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.conformal import Sides
from forecast.errors import ConfigError
from forecast.intervals.settings import Intervals

Float = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Int = npt.NDArray[np.int64]

FURTHEST = 8.0  # logarithm of a factor: 3,000 times as wide, or as narrow
EAGERNESS = 4.0  # how soon a step size that does better is believed
SHARED = 0.01  # of the belief in each step size that goes to all at every row: none is ever written off


@dataclass(frozen=True)
class Trackers:
    """The state of every series.

    Attributes:
        ids: the series.
        last: ordinal of the last row of each that was judged, (S,).
        moves: logarithm of the factor, by series, step, level and step size, (S, h, L, E).
        belief: share of each step size, adding up to 1, (S, h, L, E).
    """

    ids: pd.Index
    last: Int
    moves: Single
    belief: Single

    @classmethod
    def start(cls, ids: pd.Index, last: Int, h: int, settings: Intervals) -> Trackers:
        """Series of which nothing has been judged since the row ``last``."""
        shape = (len(ids), h, len(settings.levels), len(settings.step_sizes))
        belief = np.full(shape, 1.0 / shape[-1], dtype=np.float32)
        return cls(ids, last.astype(np.int64), np.zeros(shape, dtype=np.float32), belief)

    def places(self, ids: pd.Index, last: Int) -> Int:
        """Where series are here; -1 for new ones and for those that end before what is known here: (S,)."""
        place = self.ids.get_indexer(ids).astype(np.int64)
        known = place >= 0
        return np.where(known & (np.where(known, self.last[place], 0) <= last), place, -1)

    def take(self, place: Int, ids: pd.Index, last: Int) -> Trackers:
        """The series at ``place`` as ``ids``; those at -1 as they start, with ``last``."""
        known = place >= 0
        moves = np.where(known[:, None, None, None], self.moves[place] if len(self.ids) else 0, 0)
        even = np.float32(1.0 / self.belief.shape[-1])
        belief = np.where(known[:, None, None, None], self.belief[place] if len(self.ids) else even, even)
        since = np.where(known, self.last[place] if len(self.ids) else 0, last)
        shape = (len(place), *self.moves.shape[1:])
        return Trackers(ids, since, *(np.broadcast_to(a, shape).astype(np.float32) for a in (moves, belief)))

    def joined_by(self, newer: Trackers) -> Trackers:
        """With the series of ``newer`` as they are there."""
        place = newer.ids.get_indexer(self.ids)
        old = np.flatnonzero(place < 0)
        if not old.size:
            return newer
        pairs = ((getattr(self, name)[old], getattr(newer, name)) for name in ("last", "moves", "belief"))
        return Trackers(self.ids[old].append(newer.ids), *(np.concatenate(pair) for pair in pairs))

    def log_factors(self) -> Float:
        """The factor of each series, step and level, (S, h, L), as a logarithm."""
        mean: Float = (self.moves.astype(np.float64) * self.belief).sum(axis=-1)
        return mean

    def after(self, judged: Iterable[tuple[Int, Float]], last: Int, settings: Intervals) -> Trackers:
        """The state after more rows of the series, up to the rows ``last``.

        ``judged`` gives, in the order of time, series (R,) and the logarithm of the factor that would just have covered
        what came in, (R, h, L), NaN where nothing did.
        """
        moves, belief = self.moves.copy(), self.belief.copy()
        for rows, needed in judged:
            moves[rows], belief[rows] = _moved(moves[rows], belief[rows], needed, settings)
        return replace(self, moves=moves, belief=belief, last=np.maximum(self.last, last))


def _moved(moves: Single, belief: Single, needed: Float, settings: Intervals) -> tuple[Single, Single]:
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
    return np.where(known, gone, moves).astype(np.float32), np.where(known, trust, belief).astype(np.float32)


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

    def stretched(self, factors: Float, below: Float, above: Float) -> tuple[Float, Float]:
        """Distances ``below`` and ``above`` (h,) of one coverage, stretched by log ``factors`` (S, h, L): (S, h) each.

        A level's own distance takes its own factor; what lies between two levels stays there, in proportion, so wider
        coverage never gives a narrower interval. Beyond the last level its factor holds.
        """
        steps = len(below)
        grown = np.exp(factors[:, :steps])
        return _through(self.lower[:steps], grown, below), _through(self.upper[:steps], grown, above)


def _through(knots: Float, factors: Float, distance: Float) -> Float:
    """The piecewise straight line through (0, 0) and each knot (h, L) stretched (S, h, L), at ``distance`` (h,)."""
    steps, levels = knots.shape
    ends = np.maximum.accumulate(knots * factors, axis=2)
    at = np.arange(steps)
    upper = np.minimum((knots <= distance[:, None]).sum(axis=1), levels)
    last = upper == levels
    right, left = np.minimum(upper, levels - 1), upper - 1
    low = np.where(left >= 0, knots[at, left], 0.0)
    low_end = np.where(left >= 0, ends[:, at, left], 0.0)
    width = np.where(last, 1.0, knots[at, right] - low)
    share = (distance - low) / np.where(width > 0.0, width, 1.0)
    between = low_end + share * (ends[:, at, right] - low_end)
    beyond = low_end * (distance / np.where(low > 0.0, low, 1.0))
    return np.where(last, beyond, between)


def check_trackers(ids: pd.Index, last: object, moves: object, belief: object, h: int, settings: Intervals) -> Trackers:
    """A state that came from elsewhere. Raises ``ConfigError`` unless it fits horizon and ``settings``."""
    shape = (len(ids), h, len(settings.levels), len(settings.step_sizes))
    arrays = (moves, belief)
    if not all(isinstance(a, np.ndarray) and a.shape == shape and a.dtype == np.float32 for a in arrays):
        raise ConfigError(f"the state of adaptive intervals must be numbers of shape {shape}")
    if not isinstance(last, np.ndarray) or last.shape != (len(ids),) or last.dtype != np.int64:
        raise ConfigError("the state of adaptive intervals must know the last row of each series")
    good = (np.abs(moves) <= FURTHEST).all() and (belief >= 0).all() and (belief <= 1.001).all()  # type: ignore[arg-type,operator]
    if not good or not np.allclose(np.asarray(belief).sum(axis=-1), 1.0, atol=1e-3):
        raise ConfigError("the state of adaptive intervals holds factors or shares out of range")
    return Trackers(ids, last.copy(), np.array(moves), np.array(belief))
