"""Split conformal intervals: how wrong the model was on windows it was not trained on, per step of the horizon.

Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random World"; Lei et al. 2018, "Distribution-Free
Predictive Inference for Regression", arXiv 1604.04173. Residuals are divided by the spread of their window first, so
that calm and lively series share one table.
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
