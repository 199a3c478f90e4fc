"""Split conformal intervals: how wrong the model was on windows it was not trained on, per step of the horizon.

Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random World"; Lei et al. 2018, "Distribution-Free
Predictive Inference for Regression", arXiv 1604.04173. Residuals are divided by the spread of their window first, so
that calm and lively series share one table. :class:`Conformal` has one half-width for both sides, :class:`Sides` one
for each, so that errors may be skew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError

Float = npt.NDArray[np.float64]
# Residuals a step needs of its own before it stops borrowing from the other steps.
ENOUGH = 100
COVERAGES = np.concatenate([np.arange(0, 99), [99, 99.5, 99.8, 99.9]]) / 100.0


@dataclass(frozen=True)
class Conformal:
    """Half-widths of central intervals, in window spreads.

    Attributes:
        table: shape (h, len(COVERAGES)); column ``j`` holds the half-width that covers ``COVERAGES[j]``.
        count: calibration windows behind it.
    """

    table: Float
    count: int

    def quantiles(self, point: Float, spread: Float, probs: tuple[float, ...]) -> Float:
        """Quantiles (S, h, Q) around ``point`` (S, h) of windows with ``spread`` (S,), non-decreasing in ``probs``."""
        steps = point.shape[1]
        offsets = np.empty((steps, len(probs)))
        for j, prob in enumerate(probs):
            coverage = abs(2.0 * prob - 1.0)
            if coverage > COVERAGES[-1]:
                raise ConfigError(f"quantile {prob} lies beyond what calibration can tell; use 0.0005 to 0.9995.")
            half = np.array([np.interp(coverage, COVERAGES, row) for row in self.table[:steps]])
            offsets[:, j] = half if prob >= 0.5 else -half
        result: Float = point[..., None] + spread[:, None, None] * offsets[None]
        return result


def check_table(table: npt.NDArray[np.generic], count: object, h: int) -> Conformal:
    """A table that came from elsewhere, for a horizon of ``h``.

    Raises ``ConfigError`` unless it is what :func:`calibrate` gives: finite, not negative, wider for wider coverage.
    """
    if table.shape != (h, len(COVERAGES)) or table.dtype != np.float64:
        raise ConfigError(f"intervals of shape {table.shape}, {table.dtype}: ({h}, {len(COVERAGES)}) floats are needed")
    half: Float = table.astype(np.float64)
    if not np.isfinite(half).all() or (half < 0).any() or (np.diff(half, axis=1) < 0).any():
        raise ConfigError("intervals must be finite, not negative and wider for wider coverage")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ConfigError(f"calibration_windows={count!r} must be a whole number of at least 0")
    return Conformal(half, count)


def calibrate(residuals: Float) -> Conformal:
    """Learn half-widths from absolute scaled residuals (V, h), NaN where the actual was unknown.

    With ``n`` residuals the interval that covers a share ``c`` reaches the ``ceil((n + 1) c)``-th smallest: the
    finite-sample guarantee under exchangeability. Steps with few residuals of their own borrow the shape of the
    error distribution from all steps and keep their own size; shares beyond the largest residual grow like a
    normal's tail.
    """
    errors = np.abs(np.asarray(residuals, dtype=np.float64))
    known = np.isfinite(errors)
    size = _smooth_sizes(errors, known)
    pooled = np.sort((errors / size)[known])
    table = np.empty((errors.shape[1], len(COVERAGES)))
    for step in range(errors.shape[1]):
        own = np.sort(errors[known[:, step], step])
        table[step] = _half_widths(own) if own.size >= ENOUGH else size[step] * _half_widths(pooled)
    return Conformal(np.maximum.accumulate(table, axis=1), int(known.any(axis=1).sum()))


@dataclass(frozen=True)
class Sides:
    """How far the ends of central intervals lie below and above the point forecast, in local scales.

    Attributes:
        lower, upper: shape (h, len(COVERAGES)), not negative and not falling: column ``j`` is of ``COVERAGES[j]``.
        count: calibration windows behind them.
    """

    lower: Float
    upper: Float
    count: int

    def at(self, coverage: float, steps: int) -> tuple[Float, Float]:
        """Distances below and above, (steps,) each, of the interval that covers a share ``coverage``.

        Raises ``ConfigError`` for more than the tables reach to.
        """
        if coverage > COVERAGES[-1]:
            raise ConfigError(f"a coverage of {coverage:g} lies beyond what calibration can tell; use 0 to 0.999.")
        below, above = (
            np.array([np.interp(coverage, COVERAGES, row) for row in table[:steps]]).reshape(steps)
            for table in (self.lower, self.upper)
        )
        return below, above

    def floored(self, share: float = 0.02) -> Sides:
        """The same, never narrower than ``share`` of the mean 80 % interval's half, so that any width can be scaled."""
        middle = int(np.argmin(np.abs(COVERAGES - 0.8)))
        least = np.maximum(share * (self.lower[:, [middle]] + self.upper[:, [middle]]) / 2.0, 1e-9)
        return Sides(np.maximum(self.lower, least), np.maximum(self.upper, least), self.count)


def calibrate_sides(residuals: Float) -> Sides:
    """Learn both sides from signed residuals, actual less forecast, in local scales (V, h); NaN where unknown.

    The upper end of the interval that covers a share ``c`` is the ``ceil((n + 1) (1 + c) / 2)``-th smallest of a step's
    ``n`` residuals, the lower one its mirror image: the finite-sample rule of split conformal prediction on each side.
    Intervals hold their forecast: an end on the wrong side of it is moved to it. Steps with few residuals borrow the
    shape of all steps and keep their own size; where there are few in all, both sides are that of :func:`calibrate`.
    """
    signed = np.asarray(residuals, dtype=np.float64)
    known = np.isfinite(signed)
    if known.sum() < ENOUGH:
        both = calibrate(signed)
        return Sides(both.table, both.table, both.count)
    size = _smooth_sizes(np.abs(signed), known)
    pooled = np.sort((signed / size)[known])
    tables = np.empty((2, signed.shape[1], len(COVERAGES)))
    for step in range(signed.shape[1]):
        own = np.sort(signed[known[:, step], step])
        ordered, factor = (own, 1.0) if own.size >= ENOUGH else (pooled, size[step])
        tables[0, step], tables[1, step] = factor * _one_side(-ordered[::-1]), factor * _one_side(ordered)
    lower, upper = np.maximum.accumulate(np.maximum(tables, 0.0), axis=2)
    return Sides(lower, upper, int(known.any(axis=1).sum()))


def check_sides(lower: npt.NDArray[np.generic], upper: npt.NDArray[np.generic], count: object, h: int) -> Sides:
    """Tables that came from elsewhere, for a horizon of ``h``. Raises ``ConfigError`` as :func:`check_table` does."""
    below, above = check_table(lower, count, h), check_table(upper, count, h)
    return Sides(below.table, above.table, below.count)


def _one_side(ordered: Float) -> Float:
    """Distance above the forecast for each of ``COVERAGES`` from sorted signed residuals; 0 for a coverage of 0."""
    from scipy.special import ndtri

    n, probs = ordered.size, 0.5 + COVERAGES / 2.0
    rank = np.ceil((n + 1) * probs - 1e-9).astype(int)
    widths: Float = ordered[np.clip(rank - 1, 0, n - 1)].copy()
    beyond = rank > n
    if beyond.any():
        widths[beyond] = ordered[-1] * np.maximum(ndtri(probs[beyond]) / ndtri(n / (n + 1)), 1.0)
    widths[0] = 0.0
    return widths


def _smooth_sizes(errors: Float, known: npt.NDArray[np.bool_]) -> Float:
    """Mean absolute residual of each step, averaged with its neighbours where there are few, never 0."""
    counts = known.sum(axis=0)
    sums = np.where(known, errors, 0.0).sum(axis=0)
    width = 1 if counts.min(initial=0) >= ENOUGH else min(5, errors.shape[1])
    kernel = np.ones(width)
    total = np.convolve(sums, kernel, mode="same")
    number = np.convolve(counts.astype(np.float64), kernel, mode="same")
    size = total / np.maximum(number, 1.0)
    overall = sums.sum() / max(1, counts.sum())
    return np.where(size > 0, size, overall if overall > 0 else 1.0)


def _half_widths(ordered: Float) -> Float:
    """Half-width for each of ``COVERAGES`` from sorted absolute residuals."""
    from scipy.special import ndtri

    n = ordered.size
    if n == 0:
        return np.asarray(ndtri(0.5 + COVERAGES / 2.0) * 1.2533, dtype=np.float64)  # a normal with mean |e| = 1
    rank = np.ceil((n + 1) * COVERAGES).astype(int)
    widths: Float = ordered[np.clip(rank - 1, 0, n - 1)].copy()
    widths[rank == 0] = 0.0
    beyond = rank > n
    if beyond.any():
        reached = n / (n + 1)
        tail = ndtri(0.5 + COVERAGES[beyond] / 2.0) / max(float(ndtri(0.5 + reached / 2.0)), 0.3)
        widths[beyond] = ordered[-1] * np.maximum(tail, 1.0)
    return widths
