"""Validation folds: what was known at a few cutoffs, what followed, and how well forecasts of it did."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from forecast.model import Task
from forecast.panel.panel import Panel
from forecast.panel.split import actuals
from forecast.report.metrics import symmetric_errors
from forecast.report.scale import insample_scales

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

MOST_FOLDS = 3
MOST_SERIES = 3000
LEAST_ROWS = 4


@dataclass(frozen=True)
class Folds:
    """Some series of a panel, cut off at K times ``h`` rows apart; the last horizon ends with the data.

    Attributes:
        pasts: the panel as it was known at each cutoff, oldest first; all hold the same series in the same order.
        chosen: places of these series in the whole panel, shape (S,).
        actual: what followed, shape (S, K, h), NaN where unknown.
        scale: in-sample seasonal naive error of each series at the first cutoff (MASE's), NaN where there is none.
        reference: mean MASE and sMAPE that make up a loss of 1, see :meth:`referred`.
    """

    pasts: tuple[Panel, ...]
    chosen: Int
    actual: Float
    scale: Float
    reference: tuple[float, float] = (1.0, 1.0)

    def __len__(self) -> int:
        return int(self.actual.shape[1])

    @cached_property
    def pairs(self) -> int:
        """Horizons with a known actual: (series, fold) pairs that can be judged."""
        return int(np.isfinite(self.actual).any(2).sum())

    def errors(self, forecast: Float) -> tuple[Float, Float]:
        """MASE and sMAPE of each series and fold, shapes (S, K); NaN where nothing can be told.

        A forecast that is missing (NaN) counts as one that is off by 200 % and ten seasonal errors.
        """
        known = np.isfinite(self.actual)
        missing = known & ~np.isfinite(forecast)
        guess = np.where(missing, self.actual, forecast)
        scaled = np.where(missing, 10.0, np.abs(guess - self.actual) / self.scale[:, None, None])
        percent = np.where(missing, 200.0, symmetric_errors(self.actual, guess))
        return _mean(scaled, known), _mean(percent, known)

    def losses(self, forecast: Float) -> Float:
        """The mean of MASE and sMAPE over those of the reference, for each series and fold (S, K).

        Averaged over everything it is the OWA of the M4 competition relative to the reference.
        """
        mase, smape = self.errors(forecast)
        return _mean(np.stack([mase / self.reference[0], smape / self.reference[1]], 2))

    def loss(self, forecast: Float) -> float:
        """The mean of :meth:`losses`."""
        return float(np.nanmean(self.losses(forecast)))

    def score(self, forecast: Float) -> tuple[float, float]:
        """Mean MASE and mean sMAPE over series."""
        mase, smape = self.errors(forecast)
        return float(np.nanmean(_mean(mase))), float(np.nanmean(_mean(smape)))

    def at(self, few: Int) -> Folds:
        """The last fold of a few series (places among :attr:`chosen`)."""
        last = self.pasts[-1].take(few)
        return replace(
            self, pasts=(last,), chosen=self.chosen[few], actual=self.actual[few, -1:], scale=self.scale[few]
        )

    def latest(self) -> Folds:
        """The last fold alone."""
        return replace(self, pasts=self.pasts[-1:], actual=self.actual[:, -1:])

    def referred(self, forecast: Float) -> Folds:
        """The same folds with the scores of ``forecast`` (the seasonal naive model's, say) as a loss of 1."""
        mase, smape = self.score(forecast)
        reference = tuple(value if np.isfinite(value) and value > 1e-6 else 1.0 for value in (mase, smape))
        return replace(self, reference=(reference[0], reference[1]))


def _mean(values: Float, known: npt.NDArray[np.bool_] | None = None) -> Float:
    """Mean over the last axis of what is known and finite; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(values if known is None else np.where(known, values, np.nan), axis=-1))


def cut_folds(panel: Panel, task: Task) -> Folds | None:
    """As many folds (at most three) as leave half of the series with enough rows before the first cutoff.

    Enough is two seasons and as much again as the folds take, but at least a season and the horizon for a single one;
    ``None`` when not even that can be had for any series. Of a large panel an evenly spread sample of series is taken.
    """
    h, season = task.h, task.season_length
    last_known = panel.last - panel.first + 1
    for count in range(MOST_FOLDS, 0, -1):
        past = last_known - count * h
        wanted = max(LEAST_ROWS, 2 * season + count * h * 2) if count > 1 else max(LEAST_ROWS, season + 2)
        eligible = np.flatnonzero((past >= wanted) & _enough_known(panel, count * h))
        if eligible.size >= max(1, len(panel) / 2) or (count == 1 and eligible.size):
            return _cut(panel, _sample(panel, eligible), task, count)
    return None


def _enough_known(panel: Panel, back: int) -> npt.NDArray[np.bool_]:
    """Whether a series has two known values before its last ``back`` rows, and one within."""
    known = np.concatenate([[0], np.cumsum(np.isfinite(panel.values))])
    middle = np.maximum(panel.offsets[1:] - back, panel.offsets[:-1])
    before = known[middle] - known[panel.offsets[:-1]]
    within = known[panel.offsets[1:]] - known[middle]
    return np.asarray((before >= 2) & (within >= 1))


def _sample(panel: Panel, eligible: Int) -> Int:
    """At most ``MOST_SERIES`` of ``eligible``, evenly spread over the ids in their order."""
    if eligible.size <= MOST_SERIES:
        return eligible
    order = eligible[np.argsort(panel.ids[eligible].astype(str).to_numpy(), kind="stable")]
    return np.sort(order[np.linspace(0, eligible.size - 1, MOST_SERIES).astype(np.int64)])


def _cut(panel: Panel, chosen: Int, task: Task, count: int) -> Folds:
    part = panel.take(chosen)
    cutoffs = [part.last - task.h * back for back in range(count, 0, -1)]
    pasts = tuple(part.before(cutoff) for cutoff in cutoffs)
    actual = np.stack([actuals(part, cutoff, task.h) for cutoff in cutoffs], axis=1)
    everyone = np.arange(len(part), dtype=np.int64)
    scale = insample_scales(part, everyone, cutoffs[0], task.season_length).absolute
    return Folds(pasts, chosen, actual, scale)
