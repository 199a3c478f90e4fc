"""Least squares with few parameters in boxes, for many problems at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

FIRST_DAMPING = 1e-2
LARGEST_DAMPING = 1e8
EASE = 5.0  # by how much the damping falls after a step that helped, and grows after one that did not
LEAST_GAIN = 1e-6
LEAST_STEP = 1e-6


class Slopes(NamedTuple):
    """What is known of some problems at one point of each."""

    value: Float  # (N,), to be made small
    gradient: Float  # (p, N), or any positive multiple of it ...
    curvature: Float  # (p, p, N) ... and the same multiple of the Gauss-Newton approximation, positive semi-definite


Evaluate = Callable[[Float, Int], Slopes]


def minimise(evaluate: Evaluate, x: Float, low: Float, high: Float, iterations: int) -> tuple[Float, Float]:
    """Levenberg-Marquardt steps within boxes (Levenberg 1944, Marquardt 1963), each problem at its own pace.

    A problem is done when a step gains or moves next to nothing, whatever the others do.

    Args:
        evaluate: ``evaluate(x, chosen)`` looks at points (p, n) of the problems ``chosen`` (n,), in ascending order.
        x: where to start, shape (p, N).
        low: lower bounds, shape (p, 1).
        high: upper bounds, shape (p, 1).

    Returns:
        The best points found, shape (p, N), and their values, shape (N,); a value is infinite where the function has
        none at the start.
    """
    x = x.copy()
    chosen = np.arange(x.shape[1])
    value, gradient, curvature = (np.array(part) for part in evaluate(x, chosen))
    damping = np.full(len(chosen), FIRST_DAMPING)
    chosen = chosen[np.isfinite(value)]
    for _ in range(iterations):
        if not chosen.size:
            break
        here = x[:, chosen]
        step = _step(here, gradient[:, chosen], curvature[..., chosen], damping[chosen], low, high)
        there = np.clip(here + step, low, high)
        found = evaluate(there, chosen)
        better = found.value < value[chosen]
        moved = chosen[better]
        gain = value[moved] - found.value[better]
        x[:, moved], value[moved] = there[:, better], found.value[better]
        gradient[:, moved], curvature[..., moved] = found.gradient[:, better], found.curvature[..., better]
        damping[chosen] *= np.where(better, 1.0 / EASE, EASE)
        done = (np.abs(there - here).max(axis=0) < LEAST_STEP) | (damping[chosen] > LARGEST_DAMPING)
        done[better] |= gain < LEAST_GAIN
        chosen = chosen[~done]
    return x, value


def _step(x: Float, gradient: Float, curvature: Float, damping: Float, low: Float, high: Float) -> Float:
    """A damped Gauss-Newton step (p, n); parameters that press against their bounds stay."""
    free = ~(((x <= low) & (gradient > 0.0)) | ((x >= high) & (gradient < 0.0)))
    usable = np.isfinite(gradient).all(axis=0) & np.isfinite(curvature).all(axis=(0, 1))
    free &= usable
    slope = np.where(free, gradient, 0.0)
    matrix = np.where(free[:, None] & free[None], curvature, 0.0)
    for i in range(len(x)):
        matrix[i, i] = np.where(free[i], matrix[i, i] * (1.0 + damping) + 1e-10, 1.0)
    solved = np.linalg.solve(matrix.transpose(2, 0, 1), -slope.T[..., None])
    return np.asarray(solved[..., 0].T)
