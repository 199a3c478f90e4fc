"""Distribution functions and their inverses by numpy and scipy: for forecasts, without gradients.

Everything is elementwise over broadcast arrays in double precision, a chunk of cells at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forecast.distributions.base import wide

Float = npt.NDArray[np.float64]

CHUNK = 1 << 17  # cells: a few dozen temporaries of them fit in the caches' neighbourhood
MOST_WHOLE = 2.0**62
MOST_STEPS = 100  # to a root: halving alone needs half as many
NO_CHANGE_OF_SIGN = -1  # scipy's status
NOTHING = 1e-30  # of the largest positive number that comes into question


def elementwise(function: Callable[..., Float], *arguments: Tensor) -> Tensor:
    """``function`` of flat arrays, one for each of ``arguments`` broadcast; result on the device of the first.

    In double precision; the caller brings it to the precision of its parameters by :func:`like`.
    """
    arrays = np.broadcast_arrays(*(part.detach().cpu().double().numpy() for part in arguments))
    found = np.empty(arrays[0].shape)
    flat = found.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        part = slice(start, start + CHUNK)
        flat[part] = function(*(array.flat[part] for array in arrays))
    return torch.from_numpy(found).to(arguments[0].device)


def like(found: Tensor, raw: Tensor) -> Tensor:
    """``found`` in the precision of ``raw``, at least float32."""
    return found.to(wide(raw[..., :0]).dtype)


def smallest_whole(cdf: Callable[..., Float], probs: Float, guess: Float, *parameters: Float) -> Float:
    """The smallest whole number from 0 whose ``cdf(number, *parameters)`` reaches ``probs``, sought from ``guess``."""
    start = np.clip(np.floor(guess), 0.0, MOST_WHOLE)
    reached = cdf(start, *parameters) >= probs
    low, high = np.where(reached, -1.0, start), np.where(reached, start, MOST_WHOLE)
    step, active = np.maximum(1.0, np.floor(start / 256)), np.flatnonzero(~(reached & (start == 0)))
    while active.size:  # away from the guess by growing steps, until the answer lies between
        down = reached[active]
        probe = np.where(down, high[active] - step[active], low[active] + step[active])
        ended = (probe < 0) | (probe >= MOST_WHOLE)
        at = active[~ended]
        enough = cdf(probe[~ended], *(part[at] for part in parameters)) >= probs[at]
        high[at[enough]], low[at[~enough]] = probe[~ended][enough], probe[~ended][~enough]
        active = at[enough == reached[at]]
        step[active] *= 4.0
    return between_wholes(cdf, probs, low, high, *parameters)


def between_wholes(cdf: Callable[..., Float], probs: Float, low: Float, high: Float, *parameters: Float) -> Float:
    """The smallest whole number above ``low`` whose ``cdf`` reaches ``probs``; at most ``high``, by bisection."""
    low, high = low.copy(), high.copy()
    active = np.flatnonzero(high - low > 1)
    while active.size:
        middle = np.floor(0.5 * (low[active] + high[active]))
        enough = cdf(middle, *(part[active] for part in parameters)) >= probs[active]
        high[active[enough]], low[active[~enough]] = middle[enough], middle[~enough]
        wide_still = high[active] - low[active] > np.maximum(1.0, 2.0**-52 * high[active])
        active = active[wide_still]
    return high


def between(cdf: Callable[..., Float], probs: Float, low: Float, high: Float, *parameters: Float) -> Float:
    """Where ``cdf(x, *parameters)`` of a continuous x reaches ``probs``, known to lie within ``low`` … ``high``.

    Chandrupatla's method (1997, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear
    function without using derivatives"), by scipy. Where rounding hides the change of sign, the nearer end.
    """
    from scipy.optimize import elementwise as roots

    found = roots.find_root(
        lambda x, p, *rest: cdf(x, *rest) - p,
        (low, high),
        args=(probs, *parameters),
        tolerances={"xrtol": 1e-12, "xatol": 1e-13},
        maxiter=MOST_STEPS,
    )
    end = np.where(cdf(high, *parameters) < probs, high, low)
    return np.where(found.status == NO_CHANGE_OF_SIGN, end, found.x)


def between_positive(cdf: Callable[..., Float], probs: Float, low: Float, high: Float, *parameters: Float) -> Float:
    """The same for numbers from 0, with as many digits for small ones as for large; 0 where it is reached there."""
    found = np.zeros_like(high)
    above = np.flatnonzero(cdf(np.zeros_like(high), *parameters) < probs)
    top = np.maximum(high[above], np.finfo(np.float64).tiny)
    logs = (np.log(np.maximum(low[above], NOTHING * top)), np.log(top))
    rest = (part[above] for part in parameters)
    found[above] = np.exp(between(lambda x, *others: cdf(np.exp(x), *others), probs[above], *logs, *rest))
    return found
