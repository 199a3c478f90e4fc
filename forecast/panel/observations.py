"""How many observations the rows trained on hold of what a column does over time.

A hundred shops that closed on the same feast day saw it once, not a hundred times: whatever else happened that day
happened to all of them. What is the same for all series has as many observations as there are steps, and its effect is
to be believed accordingly (Moulton 1990, "An Illustration of a Pitfall in Estimating the Effects of Aggregate Variables
on Micro Units", Review of Economics and Statistics 72).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

PRIOR = 5.0


def observations(values: Float, places: Int) -> int:
    """Observations of a column with ``values`` (R,) at steps numbered ``places`` (R,), from 0 on; rows that are NaN are
    none.

    Steps where every series has the same value, rows where not. Of a flag, a column of two values, those of the rarer
    one: without it there is nothing to compare. Of a constant none, for the same reason.
    """
    known = np.isfinite(values)
    seen, at = values[known], places[known]
    if not seen.size:
        return 0
    low, high = np.full(int(at.max()) + 1, np.inf), np.full(int(at.max()) + 1, -np.inf)
    np.minimum.at(low, at, seen)
    np.maximum.at(high, at, seen)
    there = low <= high
    if (low[there] == high[there]).all():
        seen = low[there]  # a value for each step
    least, most = int((seen == seen.min()).sum()), int((seen == seen.max()).sum())
    if least == len(seen):
        return 0
    return min(least, most) if least + most == len(seen) else len(seen)


def trust(values: Float, places: Int) -> float:
    """From 0 to 1: n / (n + 5) for n observations, at least one; what is left of a mean of n observations of variance 1
    when effects of variance 1/5 are expected. Less trust lost strong effects of days seen twice or thrice."""
    count = max(1, observations(values, places))
    return count / (count + PRIOR)
