"""Sample paths of any model: coherent futures whose steps hang together, and what is counted on them.

A model that samples, as DeepAR does, gives its own paths. Of any other the quantiles of each step are known but not how
steps go together; that is read off the errors it would have made at earlier cutoffs of the same series: normal scores
of neighbouring steps are correlated, and a path is a Gaussian chain of that correlation sent through the quantiles
(Nelsen 2006, "An Introduction to Copulas"; for forecasts Pinson et al. 2009, "From probabilistic forecasts to
statistical scenarios of short-term wind power production", Wind Energy 12).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError
from forecast.model import Fitted, Sampling, kind_of, reach_of
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

MOST_SAMPLES = 10_000
GRID = 199  # quantiles that a path is drawn through
CUTOFFS = 8  # earlier cutoffs whose errors tell how steps go together
USUAL, WEIGHT = 0.5, 10.0  # the correlation taken for granted, and how many pairs of errors it counts for
FARTHEST = 3.0  # normal scores beyond say no more than that
CELLS = 20_000_000  # numbers held at a time


def sample_paths(fitted: Fitted, panel: Panel, h: int, samples: int, seed: int | None = None) -> Float:
    """``samples`` futures of each series, shape (S, samples, h), in original units.

    Without ``seed`` the random numbers are spread evenly and are the same for every series, so that few paths say much;
    with one they are independent draws. A series' paths depend on that series alone.
    """
    if not 2 <= samples <= MOST_SAMPLES:
        raise ConfigError(f"samples={samples}: from 2 to {MOST_SAMPLES:,}.")
    own = fitted.sample(panel, h, samples, seed) if isinstance(fitted, Sampling) else None
    return _drawn(fitted, panel, h, _innovations(samples, h, seed)) if own is None else own


def _innovations(samples: int, h: int, seed: int | None) -> Float:
    """Standard normal numbers (samples, h)."""
    if seed is not None:
        return np.random.default_rng(seed).standard_normal((samples, h))
    from forecast.nets.samples import normal_scores, uniforms

    scores: Float = normal_scores(uniforms(samples, h, 1).double()).numpy().T
    return scores


def _drawn(fitted: Fitted, panel: Panel, h: int, noise: Float) -> Float:
    probs = grid(*reach_of(fitted))
    nodes = _normal(np.array(probs))
    whole = bool(getattr(fitted, "discrete", False))
    tied = correlation(fitted, panel, h)
    least = -np.inf if kind_of(fitted) == "real" else 0.0  # beyond the outermost quantiles paths go on in a line
    paths = np.empty((len(panel), *noise.shape))
    for rows in _pieces(len(panel), h * (GRID + len(noise))):
        part = panel.take(np.arange(rows.start, rows.stop))
        quantiles = fitted.predict(part, h, probs).quantiles
        drawn = through(quantiles, nodes, chains(noise, tied[rows]), whole=whole)
        paths[rows] = np.maximum(drawn, least).transpose(0, 2, 1)
    return paths


def grid(low: float, high: float) -> tuple[float, ...]:
    """Probabilities from ``low`` to ``high``, evenly spread, the median among them."""
    if high - low < 0.1:
        raise ConfigError(
            f"futures are drawn from quantiles, and the model has those from {low:g} to {high:g} alone. Fit it with "
            "quantiles=(0.1, 0.5, 0.9), with a likelihood, or with none of the two."
        )
    count = max(3, round((high - low) * (GRID + 1)) | 1)
    return tuple(sorted({round(p, 10) for p in (*np.linspace(low, high, count), 0.5)}))


def chains(noise: Float, tied: Float) -> Float:
    """Gaussian chains (S, h, samples): standard normal at each step, ``tied`` (S,) the correlation with the next."""
    score = np.broadcast_to(noise[:, 0], (len(tied), len(noise)))
    steps = [score]
    for fresh in noise[:, 1:].T:
        score = tied[:, None] * score + np.sqrt(1.0 - tied[:, None] ** 2) * fresh
        steps.append(score)
    return np.stack(steps, axis=1)


def through(quantiles: Float, nodes: Float, scores: Float, *, whole: bool = False) -> Float:
    """Values at normal ``scores`` (S, h, N) of distributions known by ``quantiles`` (S, h, G) at the scores ``nodes``.

    Linear in the score between nodes and, by the slope of the outermost pair, beyond them. Where values are ``whole``
    the smallest known quantile that reaches the score.
    """
    at = np.searchsorted(nodes, scores)
    if whole:
        return np.take_along_axis(quantiles, np.minimum(at, len(nodes) - 1), axis=2)
    low = np.clip(at - 1, 0, len(nodes) - 2)
    share = (scores - nodes[low]) / (nodes[low + 1] - nodes[low])
    below, above = (np.take_along_axis(quantiles, place, axis=2) for place in (low, low + 1))
    return below + share * (above - below)


def correlation(fitted: Fitted, panel: Panel, h: int) -> Float:
    """How errors of neighbouring steps go together, (S,) from 0 to 0.99, by forecasts from earlier cutoffs.

    Pulled towards ``USUAL`` where few are known. Errors are judged by the model's own quantiles.
    """
    pairs, squares = np.zeros(len(panel)), np.zeros(len(panel))
    if h > 1:
        probs = grid(*reach_of(fitted))[:: max(1, GRID // 20)]
        nodes = _normal(np.array(probs))
        for back in range(CUTOFFS):
            cut = h + back * max(1, h // 2)
            chosen = np.flatnonzero(panel.lengths > cut + h)
            if not chosen.size:
                break
            whole = panel.take(chosen)
            past = whole.head(whole.lengths - cut)
            actual = np.stack([whole.values[whole.offsets[1:] - cut + step] for step in range(h)], axis=1)
            scores = scores_of(actual, fitted.predict(past, h, probs).quantiles, nodes)
            known = np.isfinite(scores)
            both, now = known[:, 1:] & known[:, :-1], np.where(known, scores, 0.0)
            pairs[chosen] += (now[:, 1:] * now[:, :-1] * both).sum(1)
            squares[chosen] += (0.5 * (now[:, 1:] ** 2 + now[:, :-1] ** 2) * both).sum(1)
    return np.clip((pairs + USUAL * WEIGHT) / (squares + WEIGHT), 0.0, 0.99)


def scores_of(actual: Float, quantiles: Float, nodes: Float) -> Float:
    """Normal scores (S, h) of ``actual`` within distributions known by ``quantiles`` (S, h, G); NaN where unknown.

    Where quantiles are equal, as of a constant forecast, the middle of their scores.
    """
    below = (quantiles < actual[..., None]).sum(-1)
    upto = (quantiles <= actual[..., None]).sum(-1)
    last = len(nodes) - 1
    low, high = (np.clip(place, 0, last) for place in (below - 1, below))
    left, right = (np.take_along_axis(quantiles, place[..., None], axis=2)[..., 0] for place in (low, high))
    gap = right - left
    share = np.where(gap > 0, (actual - left) / np.where(gap > 0, gap, 1.0), 0.0)
    between = nodes[low] + share * (nodes[high] - nodes[low])
    level = 0.5 * (nodes[np.clip(below, 0, last)] + nodes[np.clip(upto - 1, 0, last)])
    scores = np.where(upto > below, level, between)
    return np.where(np.isfinite(actual), np.clip(scores, -FARTHEST, FARTHEST), np.nan)


def crossings(paths: Float, threshold: float, *, above: bool) -> tuple[Float, Float]:
    """Shares of the paths (S, N, h) beyond ``threshold`` at each step, and by that step at least once: both (S, h)."""
    beyond = paths > threshold if above else paths < threshold
    return beyond.mean(1), np.logical_or.accumulate(beyond, axis=2).mean(1)


def _normal(probs: Float) -> Float:
    from scipy.special import ndtri

    scores: Float = ndtri(probs)
    return scores


def _pieces(count: int, cells: int) -> Iterator[slice]:
    """Series to draw at a time."""
    step = max(1, CELLS // max(1, cells))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
