"""How much each candidate counts, learned from its forecasts of the validation folds.

Weights common to all series by greedy selection (Caruana et al. 2004, "Ensemble Selection from Libraries of Models",
ICML), pulled towards equal ones where there is little evidence; then tilted series by series towards what did well on
that series, as far as that helps on folds left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecast.auto.folds import Folds
from forecast.ensemble import COMBINED

Float = npt.NDArray[np.float64]

COMBINE = "robust"
ROUNDS = 25
EVIDENCE = 8.0  # (series, fold) pairs that weigh as much as the belief that the good candidates are equally good
TILTS = (0.0, 0.25, 0.5, 1.0, 2.0)
UNTESTED_TILT = 0.5  # with a single fold there is nothing to choose the tilt on
LEAST = 0.02  # what counts less is left out: it would cost a fit for nothing
GAIN = 1e-4


def combine(forecasts: Float, weights: Float) -> Float:
    """The mixture of M candidates as the ensemble will make it: forecasts (M, S, K, h), weights (M,) or (S, M)."""
    table = np.tile(weights, (forecasts.shape[1], 1)) if weights.ndim == 1 else weights
    return COMBINED[COMBINE](forecasts, table)


def common_weights(folds: Folds, forecasts: Float) -> Float:
    """Weights (M,) for all series together, adding up to 1."""
    greedy = _greedy(folds, forecasts)
    losses = np.array([folds.loss(one) for one in forecasts])
    good = losses <= losses.min() * 1.1
    belief = np.where(good, 1.0, 0.0) / good.sum()
    trust = folds.pairs / (folds.pairs + EVIDENCE)
    chosen = np.where(greedy > 0.0, 1.0, 0.0) / (greedy > 0.0).sum()
    # Among those chosen equal weights are hard to beat: what looks better on a few folds is half luck.
    weights = trust * 0.5 * (greedy + chosen) + (1.0 - trust) * belief
    weights = np.where(weights < LEAST, 0.0, weights)
    return np.asarray(weights / weights.sum())


def _greedy(folds: Folds, forecasts: Float) -> Float:
    """Start from the best candidate; add, with repetition, whichever brings the mean's loss down most."""
    counts = np.zeros(len(forecasts))
    total = np.zeros_like(forecasts[0])
    best = np.inf
    for taken in range(ROUNDS):
        losses = np.array([folds.loss((total + one) / (taken + 1)) for one in forecasts])
        winner = int(losses.argmin())
        if losses[winner] > best - GAIN and taken >= 2 and counts[winner] > 0:
            break
        best = min(best, float(losses[winner]))
        counts[winner] += 1
        total = total + forecasts[winner]
    return np.asarray(counts / counts.sum())


def tilted(common: Float, losses: Float, tilt: float) -> Float:
    """Weights (S, M): ``common`` (M,) times each candidate's inverse loss on the series (S, M) to the power ``tilt``.

    Losses are pulled half-way towards the series' mean loss, so that a lucky fold does not decide.
    """
    if tilt == 0.0:
        return np.tile(common, (len(losses), 1))
    mean = np.nansum(losses * common, axis=1, keepdims=True)
    level = np.where(np.isfinite(losses), losses, mean)
    relative = (level + mean) / np.where(mean > 0.0, 2.0 * mean, 1.0)
    weights = common * np.where(mean > 0.0, np.maximum(relative, 0.05), 1.0) ** -tilt
    return np.asarray(weights / weights.sum(1, keepdims=True))


def series_weights(folds: Folds, forecasts: Float, common: Float) -> tuple[Float, float]:
    """Weights (S, M) of every series of the folds, and the tilt behind them.

    The tilt is the one whose weights, learned from the other folds, do best on the fold left out, averaged over folds.
    """
    losses = np.stack([folds.losses(one) for one in forecasts], axis=-1)  # (S, K, M)
    tilt = (
        UNTESTED_TILT if len(folds) == 1 else min(TILTS, key=lambda t: _left_out(folds, forecasts, common, losses, t))
    )
    mean = np.nanmean(np.where(np.isfinite(losses), losses, np.nan), axis=1) if len(folds) > 1 else losses[:, 0]
    return tilted(common, mean, tilt), tilt


def _left_out(folds: Folds, forecasts: Float, common: Float, losses: Float, tilt: float) -> float:
    """Mean loss over folds, each with weights learned from the others."""
    results = []
    for fold in range(len(folds)):
        others = np.delete(losses, fold, axis=1).mean(1)
        weights = tilted(common, others, tilt)
        mixed = combine(forecasts, weights)
        results.append(folds.losses(mixed)[:, fold])
    return float(np.nanmean(np.stack(results)))
