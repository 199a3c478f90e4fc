"""Values absurdly far from their series, found by a robust z-score.

A value is an outlier when it is far from the median of its whole series *and* from the running median around it, both
in units of the (normal-consistent) median absolute deviation of the same kind: ``z = |y - median| / (1.4826 MAD)``.
The first test alone would cut off trends, the second alone changes of level. By both it must also be rare: three times
as far as all but the farthest 2 % of the values (at least three of them), or else it is one of the peaks that such a
series has. Where more than half of the deviations are zero, as in intermittent demand, the mean absolute deviation
stands in for the median one.

Iglewicz and Hoaglin, "How to Detect and Handle Outliers", ASQC 1993; the running median is the filter of Hampel, "The
influence curve and its role in robust estimation", JASA 69, 1974.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

THRESHOLD = 10.0  # robust standard deviations
ABSURD = 1e4  # deviations from which on a value is worth a word even where nothing is done about it
RARE, ALIKE, AS_FAR = 0.02, 3, 3.0  # share and number of values that may be far out, and how far beyond the others
FEWEST = 8  # known values of a series below which nothing can be said
FEW, MANY = 4.5, 10.0  # mean deviations beyond which a series may have outliers, and absurd ones
REACH = 6  # rows to either side in the running median
BLOCK = 2**18  # rows at a time
TO_SIGMA = 1.4826  # of the median absolute deviation of normal values
MEAN_TO_SIGMA = 1.2533  # of the mean absolute deviation


@dataclass(frozen=True)
class Outliers:
    """Rows of a panel that are too far out, ascending, and the nearest value that would not be, each (K,)."""

    rows: Int
    edges: Float

    def counts(self, panel: Panel) -> Int:
        """How many each series has, (S,)."""
        return np.bincount(panel.series[self.rows], minlength=len(panel))


def clip_outliers(panel: Panel, held_out: Int | int = 0) -> Panel:
    """The panel with outliers taken back to the edge of what is plausible, judged by each series' own rows alone.

    The last ``held_out`` rows of each series, (S,) or one number, teach nothing and stay as they are: they are there
    to be scored against.
    """
    past = panel.head(panel.lengths - held_out)
    found = find_outliers(past)
    if not found.rows.size:
        return panel
    series = past.series[found.rows]
    values = panel.values.copy()
    values[found.rows - past.offsets[series] + panel.offsets[series]] = found.edges
    return replace(panel, values=values)


def find_outliers(panel: Panel, threshold: float = THRESHOLD) -> Outliers:
    """The outliers among the known values of a panel, from ``threshold`` robust standard deviations on."""
    bare = Panel(panel.ids, panel.values, panel.offsets, panel.first, panel.timeline, panel.schema)
    with np.errstate(over="ignore", invalid="ignore"):  # the largest floats are as far apart as can be
        suspects = _suspicious(bare, MANY if threshold > THRESHOLD else FEW)
        if not suspects.size:
            return Outliers(np.empty(0, dtype=np.int64), np.empty(0))
        return _found(bare, suspects, threshold)


def _found(panel: Panel, suspects: Int, threshold: float) -> Outliers:
    """The outliers of the series at positions ``suspects``."""
    part = panel.take(suspects)
    known = np.isfinite(part.values)
    series = part.series
    middle = _Ranked.of(part.values, known, part).median()[series]
    around = _running_medians(part, known)
    low, high = np.full(len(series), np.inf), np.full(len(series), -np.inf)
    for centre in (middle, around):
        reach = _reaches(np.abs(part.values - centre), known, part, threshold)[series]
        low, high = np.fmin(low, centre - reach), np.fmax(high, centre + reach)
    out = known & ((part.values < low) | (part.values > high))
    rows = np.flatnonzero(out)
    edges = np.where(part.values[rows] > high[rows], high[rows], low[rows])
    whole = panel.offsets[:-1][suspects][series[rows]] + rows - part.offsets[:-1][series[rows]]
    order = np.argsort(whole, kind="stable")
    return Outliers(whole[order], edges[order])


def _suspicious(panel: Panel, deviations: float) -> Int:
    """Series that can have outliers at all: enough known values, the farthest so many mean ``deviations`` out.

    A cheap test that spares most series the sorting. A share ``p`` of outliers leaves the farthest about ``1 / (2 p)``
    mean deviations out, however far it is.
    """
    if not len(panel.values) or not len(panel):
        return np.empty(0, dtype=np.int64)
    known = np.isfinite(panel.values)
    count = _sums(known.astype(np.float64), panel)
    fair = np.maximum(count, 1.0)[panel.series]
    mean = _sums(np.where(known, panel.values, 0.0) / fair, panel)
    deviation = np.where(known, np.abs(np.where(known, panel.values, 0.0) - mean[panel.series]), 0.0)
    usual = _sums(deviation / fair, panel)
    filled = panel.lengths > 0
    farthest = np.zeros(len(panel))
    farthest[filled] = np.maximum.reduceat(deviation, panel.offsets[:-1][filled])
    far = farthest > np.minimum(deviations, 0.45 * count) * usual
    return np.flatnonzero((count >= FEWEST) & far).astype(np.int64)


def _sums(values: Float, panel: Panel) -> Float:
    total = np.add.reduceat(np.append(values, 0.0), panel.offsets[:-1])
    return np.where(panel.lengths > 0, total, 0.0)


@dataclass(frozen=True)
class _Ranked:
    """The known values of each series in ascending order, one series after the other."""

    values: Float  # (K,)
    starts: Int  # (S,)
    counts: Int  # (S,)

    @classmethod
    def of(cls, values: Float, known: Bool, panel: Panel) -> _Ranked:
        places = np.flatnonzero(known)
        series = panel.series[places]
        counts = np.bincount(series, minlength=len(panel))
        return cls(values[places][np.lexsort((values[places], series))], np.cumsum(counts) - counts, counts)

    def at(self, rank: Int) -> Float:
        """The value of each series with so many below it, (S,); NaN for a series without any."""
        result = np.full(len(self.counts), np.nan)
        some = self.counts > 0
        result[some] = self.values[(self.starts + np.clip(rank, 0, self.counts - 1))[some]]
        return result

    def median(self) -> Float:
        """(S,)"""
        return self.at((self.counts - 1) // 2) / 2 + self.at(self.counts // 2) / 2  # halves: no sum overflows


def _reaches(deviation: Float, known: Bool, panel: Panel, threshold: float) -> Float:
    """How far from its centre a value of each series may be, from the absolute deviations of all, (S,)."""
    ranked = _Ranked.of(deviation, known, panel)
    spread = TO_SIGMA * ranked.median()
    flat = spread <= 0
    if flat.any():
        fair = np.maximum(_sums(known.astype(np.float64), panel), 1.0)
        mean = _sums(np.where(known, deviation, 0.0) / fair[panel.series], panel)
        spread = np.where(flat, MEAN_TO_SIGMA * mean, spread)
    peaks = np.maximum(ALIKE, np.ceil(RARE * ranked.counts)).astype(np.int64)
    return np.maximum(threshold * spread, AS_FAR * ranked.at(ranked.counts - 1 - peaks))


def _running_medians(panel: Panel, known: Bool) -> Float:
    """The median of the known values within ``REACH`` rows of each row, of its own series only, (N,)."""
    total = len(panel.values)
    padded = np.full(total + 2 * REACH, np.nan)
    padded[REACH : total + REACH] = np.where(known, panel.values, np.nan)
    series = np.full(total + 2 * REACH, -1, dtype=np.int64)
    series[REACH : total + REACH] = panel.series
    near = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1)
    owner = np.lib.stride_tricks.sliding_window_view(series, 2 * REACH + 1)
    result = np.empty(total)
    for start in range(0, total, BLOCK):
        rows = slice(start, start + BLOCK)
        own = owner[rows] == panel.series[rows, None]
        # Sorting puts NaN last, so the median is read at half the count of known values.
        window = np.sort(np.where(own, near[rows], np.nan), axis=1)
        count = np.isfinite(window).sum(axis=1)
        place = np.arange(len(window))
        low, high = np.maximum(count - 1, 0) // 2, count // 2
        result[rows] = window[place, low] / 2 + window[place, np.minimum(high, 2 * REACH)] / 2
    return result
