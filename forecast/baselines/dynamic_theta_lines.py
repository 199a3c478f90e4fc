"""The dynamic optimised Theta model of many series at once, without its seasonal adjustment.

Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler (2016), "Models for optimising the theta method and their
relationship to state space models", International Journal of Forecasting 32. With a trend line ``A + B t`` fitted to
the first ``t - 1`` rows by least squares, the forecast of row ``t`` (from 1) is::

    level + weight * ((1 - alpha)^(t-1) * A + (1 - (1 - alpha)^t) / alpha * B),    weight = 1 - 1 / theta

and the level is that of simple exponential smoothing. Given alpha, the errors are linear in the weight and in the
level before the first row: the best of both has a closed form, and only alpha needs a search.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.baselines.batched import Block

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

ALPHA = (0.1, 0.99)  # the bounds of the paper
GRID = 24
ZOOM, ZOOMS = 9, 6  # points of each finer grid, each spanning two steps of the one before, and how many
RIDGE = 1e-8  # pull of the first value on the level before it, where the errors say nothing of it
SKIPPED = 2  # first errors left out, since two rows make the first line ...
SHORT = 7  # ... but not of a series shorter than this, which has no errors to spare


class Theta(NamedTuple):
    """Parameters of some series, each shape (N,) or (C, N)."""

    alpha: Float
    level: Float  # before the first row
    weight: Float


class Line(NamedTuple):
    """A least-squares line through the rows so far: their mean, and the slope, each shape (N,)."""

    mean: Float
    slope: Float

    def intercept(self, rows: Float | int) -> Float:
        """Its value one step before the first of so many rows."""
        return self.mean - (rows + 1) / 2.0 * self.slope

    def extended(self, rows: Float | int, y: Float) -> Line:
        """The line after one row more; ``rows``, at least 2, counts it."""
        mean = ((rows - 1) * self.mean + y) / rows
        return Line(mean, ((rows - 2) * self.slope + 6.0 * (y - self.mean) / rows) / (rows + 1))


class State(NamedTuple):
    """What the model knows after some rows, each shape (N,)."""

    level: Float
    mean: Float
    slope: Float
    decay: Float  # (1 - alpha) to the power of the rows

    @property
    def line(self) -> Line:
        """The line through the rows."""
        return Line(self.mean, self.slope)


def search(block: Block, weight: float | None = None) -> Theta:
    """The parameters with the smallest sum of squared one-step errors; ``weight`` is given or, with ``None``, free."""
    count = len(block.lengths)
    low, high = ALPHA
    alpha = np.repeat(np.linspace(low, high, GRID)[:, None], count, axis=1)
    width = (high - low) / (GRID - 1)
    for left in range(ZOOMS, -1, -1):
        loss, theta = _profile(block, alpha, weight)
        best = loss.argmin(axis=0), np.arange(count)
        if left:
            alpha = np.clip(alpha[best] + np.linspace(-width, width, ZOOM)[:, None], low, high)
            width *= 2.0 / (ZOOM - 1)
    return Theta(theta.alpha[best], theta.level[best], theta.weight[best])


class Moments(NamedTuple):
    """Sums over time of products of what the errors are made of, each shape (C, N).

    An error is ``target - level * fade - weight * pull``, with the level before the first row.
    """

    fade_fade: Float
    fade_pull: Float
    pull_pull: Float
    fade_target: Float
    pull_target: Float
    target_target: Float


def _profile(block: Block, alpha: Float, weight: float | None) -> tuple[Float, Theta]:
    """The smallest sum of squared errors for each alpha (C, N), and the level and weight that attain it."""
    m = _moments(block, alpha)
    free = m.fade_fade * m.pull_pull - m.fade_pull**2
    told = free > 1e-12 * m.fade_fade * m.pull_pull  # otherwise no error depends on the weight
    best = (m.fade_fade * m.pull_target - m.fade_pull * m.fade_target) / np.where(told, free, 1.0)
    weights = np.clip(np.where(told, best, 0.0), 0.0, 1.0) if weight is None else np.full_like(alpha, weight)
    level = (m.fade_target - weights * m.fade_pull) / m.fade_fade
    loss = m.target_target - 2.0 * (level * m.fade_target + weights * m.pull_target)
    loss += level**2 * m.fade_fade + 2.0 * level * weights * m.fade_pull + weights**2 * m.pull_pull
    return loss, Theta(alpha, level, weights)


def _moments(block: Block, alpha: Float) -> Moments:
    """The sums that the loss is made of, for each alpha (C, N)."""
    first, short = block.y[0], (block.lengths < SHORT).astype(np.float64)
    # The first error is that of the level itself: it counts where none can be spared, and otherwise just a trace.
    counted = np.where(short > 0.0, 1.0, RIDGE)
    sums = np.zeros((6, *alpha.shape))
    sums[0], sums[3], sums[5] = counted, counted * first, counted * first * first
    level, fade = alpha * first, 1.0 - alpha
    line = Line(first, np.zeros_like(first))
    for begin, stop, width in block.spans():
        part, keep = sums[..., :width], 1.0 - alpha[:, :width]
        level, fade, line = level[:, :width], fade[:, :width], Line(line.mean[:width], line.slope[:width])
        for row in range(max(begin, 1), stop):
            y = block.y[row, :width]
            pull = fade * line.intercept(row) + (1.0 - keep * fade) / alpha[:, :width] * line.slope
            target = y - level
            _add(part, fade, pull, target, short[:width] if row < SKIPPED else None)
            level = alpha[:, :width] * y + keep * level
            fade = fade * keep
            line = line.extended(row + 1, y)
    return Moments(*sums)


def _add(sums: Float, fade: Float, pull: Float, target: Float, counted: Float | None) -> None:
    """Add the products of one row to the six sums, times ``counted`` (n,) if given."""
    pairs = ((fade, fade), (fade, pull), (pull, pull), (fade, target), (pull, target), (target, target))
    for total, (left, right) in zip(sums, pairs, strict=True):
        product = left * right
        total += product if counted is None else product * counted


def run(block: Block, theta: Theta, fixed: bool = False) -> tuple[State, Float]:
    """The state after the last row of each series and the variance of its one-step errors, shape (N,).

    Args:
        theta: one set of parameters for each series, shape (N,).
        fixed: whether the weight was given, and so costs no degree of freedom.
    """
    count = len(block.lengths)
    end = State(theta.level.copy(), np.zeros(count), np.zeros(count), np.ones(count))
    short, squares = (block.lengths < SHORT).astype(np.float64), np.zeros(count)
    for begin, stop, width in block.spans():
        part, at = Theta(*(values[:width] for values in theta)), State(*(values[:width] for values in end))
        for row in range(begin, stop):
            y = block.y[row, :width]
            error = y - expected(at, part, row)
            squares[:width] += error * error * (1.0 if row >= SKIPPED else short[:width])
            for old, new in zip(at, advanced(at, part, row + 1, y), strict=True):
                np.copyto(old, new)
    errors = block.lengths - np.where(short > 0.0, 0, SKIPPED)
    return end, squares / np.maximum(errors - (2 if fixed else 3), 1)


def expected(at: State, theta: Theta, rows: Float | int) -> Float:
    """The forecast of the next row after so many."""
    reach = (1.0 - (1.0 - theta.alpha) * at.decay) / theta.alpha
    return at.level + theta.weight * (at.decay * at.line.intercept(rows) + reach * at.slope)


def advanced(at: State, theta: Theta, rows: Float | int, y: Float) -> State:
    """The state after the row ``y``, which is number ``rows``."""
    level = theta.alpha * y + (1.0 - theta.alpha) * at.level
    first = isinstance(rows, int) and rows == 1
    mean, slope = (y, np.zeros_like(y)) if first else at.line.extended(rows, y)
    return State(level, mean, slope, (1.0 - theta.alpha) * at.decay)


def ahead(end: State, variance: Float, theta: Theta, lengths: Int, h: int) -> tuple[Float, Float]:
    """Forecasts and the standard deviations of their errors, each shape (N, h).

    Forecasts stand in for the rows they are made for. As everything is linear in the rows, the variance is exact.
    """
    point, growth = np.empty((len(lengths), h)), np.empty((len(lengths), h))
    spread = np.zeros((len(lengths), 3, 3))
    at = end
    for step in range(h):
        rows = (lengths + step).astype(np.float64)
        point[:, step] = expected(at, theta, rows)
        growth[:, step], spread = _spread(spread, at.decay, theta, rows)
        at = advanced(at, theta, rows + 1.0, point[:, step])
    return point, np.sqrt(growth * variance[:, None])


def _spread(spread: Float, decay: Float, theta: Theta, rows: Float) -> tuple[Float, Float]:
    """Variance of the next row's error (N,), and what follows for the level, mean and slope after it (N, 3, 3).

    Both relative to the variance of the one-step errors. ``spread`` is the covariance of the three before that row.
    """
    keep, after = 1.0 - theta.alpha, rows + 1.0
    reach = (1.0 - keep * decay) / theta.alpha
    one = np.ones_like(rows)
    seen = np.stack([one, theta.weight * decay, theta.weight * (reach - decay * after / 2.0)], axis=1)
    gain = np.stack([theta.alpha, 1.0 / after, 6.0 / (after * (after + 1.0))], axis=1)
    move = gain[:, :, None] * seen[:, None, :]
    move[:, 0, 0] += keep
    move[:, 1, 1] += rows / after
    move[:, 2, 1] -= gain[:, 2]
    move[:, 2, 2] += (rows - 1.0) / (after + 1.0)
    variance = 1.0 + (seen[:, None, :] @ spread @ seen[:, :, None])[:, 0, 0]
    return variance, move @ spread @ move.transpose(0, 2, 1) + gain[:, :, None] * gain[:, None, :]
