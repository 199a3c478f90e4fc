"""Metrics of probabilities: whether an event happens (an actual of 0 or 1), or which of several classes comes.

Vectors in, one number out. Points where the actual or a forecast is unknown are left out, and a metric is NaN when no
point is left. :mod:`forecast.report.outcome_scores` sums the same over millions of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError, some

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Vector = npt.ArrayLike

BINS = 10
HALF = 0.5  # an event is forecast from this probability on
EPS = float(np.finfo(np.float64).eps)  # what a probability of 0 counts as in a logarithm, as in sklearn


# --- events: y is 0 or 1, p the probability of 1 ------------------------------------------------------------------


def brier(y: Vector, p: Vector) -> float:
    """Mean of ``(p - y) ** 2``, 0 to 1, lower is better (Brier 1950)."""
    from sklearn.metrics import brier_score_loss

    actual, share = _event(y, p)
    return float(brier_score_loss(actual, share, pos_label=1)) if actual.size else np.nan


@dataclass(frozen=True)
class BrierParts:
    """``brier = reliability - resolution + uncertainty + within`` (Murphy 1973, Stephenson et al. 2008).

    Attributes:
        reliability: how far the frequency of events lies from the probability told, bin by bin; 0 is best.
        resolution: how far frequencies of bins lie from the overall one; high is good.
        uncertainty: of the event itself, ``f (1 - f)`` at the frequency ``f``.
        within: what is left because forecasts of one bin differ; 0 where they do not.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float


@dataclass(frozen=True)
class Bins:
    """Forecasts of events by what they said; empty bins are left out.

    Attributes:
        told: mean probability told, shape (B,).
        frequency: how often the event came, shape (B,).
        n: forecasts in each bin, shape (B,).
    """

    told: Float
    frequency: Float
    n: Int


def event_bins(y: Vector, p: Vector, bins: int = BINS) -> Bins:
    """Told probability against frequency, in ``bins`` equal steps of the probability: a reliability diagram."""
    if bins < 1:
        raise ConfigError(f"bins={bins!r}: at least one is needed.")
    actual, share = _event(y, p)
    place = np.minimum((share * bins).astype(np.int64), bins - 1)
    n = np.bincount(place, minlength=bins)
    told, came = (np.bincount(place, values, minlength=bins)[n > 0] / n[n > 0] for values in (share, actual))
    return Bins(told, came, n[n > 0])


def brier_parts(y: Vector, p: Vector, bins: int = BINS) -> BrierParts:
    """The decomposition of :func:`brier` over the bins of :func:`event_bins`; NaN without any point."""
    found = event_bins(y, p, bins)
    total = found.n.sum()
    if total == 0:
        return BrierParts(np.nan, np.nan, np.nan, np.nan)
    overall = float((found.n * found.frequency).sum() / total)
    apart = float((found.n * (found.told - found.frequency) ** 2).sum() / total)
    resolved = float((found.n * (found.frequency - overall) ** 2).sum() / total)
    uncertain = overall * (1 - overall)
    return BrierParts(apart, resolved, uncertain, brier(y, p) - (apart - resolved + uncertain))


def log_loss(y: Vector, p: Vector) -> float:
    """Mean of ``-log`` of the probability told of what came, in nats; a probability of 0 counts as 2.2e-16."""
    from sklearn.metrics import log_loss as loss

    actual, share = _event(y, p)
    return float(loss(actual, share, labels=[0, 1])) if actual.size else np.nan


def auc(y: Vector, p: Vector) -> float:
    """Area under the ROC curve: how often an event was told a higher probability than a non-event, 0.5 by chance.

    NaN unless both occur.
    """
    from sklearn.metrics import roc_auc_score

    actual, share = _event(y, p)
    return float(roc_auc_score(actual, share)) if 0 < actual.sum() < actual.size else np.nan


def event_accuracy(y: Vector, p: Vector) -> float:
    """Share of points at which the event was told at least 0.5 and came, or less and did not."""
    from sklearn.metrics import accuracy_score

    actual, share = _event(y, p)
    return float(accuracy_score(actual, share >= HALF)) if actual.size else np.nan


def roc(y: Vector, p: Vector) -> tuple[Float, Float]:
    """Share of non-events and of events that are told at least a threshold, for each threshold that matters.

    Both rise from 0 to 1; empty unless events and non-events occur.
    """
    from sklearn.metrics import roc_curve

    actual, share = _event(y, p)
    if not 0 < actual.sum() < actual.size:
        return np.zeros(0), np.zeros(0)
    false, true, _ = roc_curve(actual, share)
    return np.asarray(false, dtype=np.float64), np.asarray(true, dtype=np.float64)


# --- classes: y is one of ``classes`` -----------------------------------------------------------------------------


def class_brier(y: Vector, shares: Vector, classes: Vector) -> float:
    """Mean over points of ``(p - o) ** 2`` summed over classes, ``o`` 1 for the class that came: 0 to 2 (Brier 1950).

    ``shares`` (N, K) are the probabilities of ``classes`` (K,).
    """
    actual, told, labels = _classes(y, shares, classes)
    return float(((told - (actual[:, None] == labels)) ** 2).sum(1).mean()) if actual.size else np.nan


def class_log_loss(y: Vector, shares: Vector, classes: Vector) -> float:
    """As :func:`log_loss`, of any number of classes; a class that is not among ``classes`` was told 0."""
    actual, told, labels = _classes(y, shares, classes)
    if not actual.size:
        return np.nan
    came = np.where(actual[:, None] == labels, told, 0.0).sum(1)
    return float(-np.log(np.maximum(came, EPS)).mean())


def class_accuracy(y: Vector, predicted: Vector) -> float:
    """Share of points whose class was forecast."""
    from sklearn.metrics import accuracy_score

    actual, named = _labels(y, predicted)
    return float(accuracy_score(actual, named)) if actual.size else np.nan


def macro_f1(y: Vector, predicted: Vector) -> float:
    """Plain mean over classes of the harmonic mean of precision and recall; 0 for a class that is never met."""
    from sklearn.metrics import f1_score

    actual, named = _labels(y, predicted)
    return float(f1_score(actual, named, average="macro", zero_division=0)) if actual.size else np.nan


def confusion(y: Vector, predicted: Vector, classes: Vector) -> Int:
    """How often each class (row) was forecast as each (column), shape (K, K), in the order of ``classes``."""
    from sklearn.metrics import confusion_matrix

    actual, named = _labels(y, predicted)
    labels = [str(value) for value in np.asarray(classes, dtype=np.float64)]
    if not np.isin(actual, labels).any():
        return np.zeros((len(labels), len(labels)), dtype=np.int64)
    return np.asarray(confusion_matrix(actual, named, labels=labels), dtype=np.int64)


# --- arguments ----------------------------------------------------------------------------------------------------


def _event(y: Vector, p: Vector) -> tuple[Float, Float]:
    actual, share = _pair(y, p)
    known = np.isfinite(actual) & np.isfinite(share)
    actual, share = actual[known], share[known]
    strange = actual[(actual != 0) & (actual != 1)]
    if strange.size:
        raise ConfigError(f"Actuals of an event are 0 or 1, got {some(np.unique(strange).tolist())}.")
    if ((share < 0) | (share > 1)).any():
        raise ConfigError(f"Probabilities lie between 0 and 1, got {share.min():g} to {share.max():g}.")
    return actual, share


def _pair(first: Vector, second: Vector) -> tuple[Float, Float]:
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise ConfigError(f"Metrics compare vectors of one length, got shapes {one.shape}, {other.shape}.")
    return one, other


def _classes(y: Vector, shares: Vector, classes: Vector) -> tuple[Float, Float, Float]:
    actual, told, labels = (np.asarray(values, dtype=np.float64) for values in (y, shares, classes))
    if actual.ndim != 1 or told.shape != (actual.size, labels.size):
        raise ConfigError(
            f"One probability for every actual and class is needed: got shares {told.shape} for {actual.shape} actuals "
            f"and {labels.shape} classes."
        )
    known = np.isfinite(actual) & np.isfinite(told).all(1)
    return actual[known], told[known], labels


def _labels(y: Vector, predicted: Vector) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """Codes as names: to sklearn a code such as 1.5 would be a number to regress on."""
    actual, named = _pair(y, predicted)
    known = np.isfinite(actual) & np.isfinite(named)
    return actual[known].astype(str), named[known].astype(str)
