"""Scores of every model on a cross-validation frame, vectorised over all rows.

How averages are taken, as in the M4 competition:

1. each point is an error; MASE and RMSSE divide it by the scale of its own (series, cutoff);
2. a series' metric pools all its points (over the horizon, and over the cutoffs);
3. a model's metric is the plain mean over series, so that a long or a large series counts no more than another;
4. OWA is the mean of two ratios of such means (model over Naive2), not a mean of ratios;
5. WQL is pooled over all points of all series, as it is published: 2 x summed pinball loss over summed ``|y|``; so are
   AUC and macro F1, which need points of every kind.

Where a model has probabilities (``<model>-p-1``), actuals are events or classes, and all models of the frame get the
metrics of :mod:`forecast.report.outcomes` in place of the others, which would mean nothing.

Broken down by step or by cutoff, the same holds with "its points" meaning those at that step or cutoff.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ConfigError
from forecast.panel.panel import Panel
from forecast.report.columns import ModelColumns
from forecast.report.folds import CUTOFF, Folds, read_folds
from forecast.report.metrics import interval_errors, percentage_errors, pinball_errors, symmetric_errors
from forecast.report.outcome_scores import class_scores, event_scores
from forecast.report.units import Units, counts, units_of
from forecast.schema import Schema

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Scores = dict[str, Float | Int]

BREAKDOWNS = ("overall", "series", "step", "cutoff")
NAIVE2 = "naive2"
KEY = "key"


def evaluate(
    cv: pd.DataFrame,
    history: Panel,
    season_length: int,
    schema: Schema | None = None,
    by: str = "overall",
) -> pd.DataFrame:
    """Score every model of a cross-validation frame.

    Args:
        cv: id, time, ``cutoff``, target, one column per model, and their interval and quantile columns. Rows
            in any order; a missing target (NaN) is left out and counted.
        history: the series, up to each one's last cutoff at least. Rows after a cutoff never matter to it.
        season_length: the season in steps, for the scales of MASE and RMSSE.
        schema: what the columns are called.
        by: ``overall``, ``series``, ``step`` (1 = first step after the cutoff) or ``cutoff``.

    Returns:
        One row per model (and series, step or cutoff), in the order of the columns. Columns: ``model``, the key,
        ``mase rmsse mae mse rmse smape mape`` (percent for the last two), ``owa`` where a model named ``naive2`` is
        present, ``coverage-90 width-90 msis-90`` for each level and ``pinball-0.1 wql-0.1 wql`` for quantiles
        (``wql`` is the mean over them, ``crps`` the same of twice the pinball losses, in the units of the target).
        Quantiles as far from 0 as from 1 give a level too (``q-0.1`` and ``q-0.9`` give ``coverage-80`` ...), after the
        rest. ``mae-median`` and ``rmse-mean`` score the columns of that name. Events have ``brier log_loss auc
        accuracy`` instead of all these, classes ``brier log_loss macro_f1 accuracy``. Then what was scored and what was
        not:

        - ``n_series``, ``n_points``: series and forecasts scored;
        - ``missing_actuals``: rows whose target is unknown;
        - ``missing_forecasts``: rows with a known target and no finite forecast;
        - ``unscored_series``: series without any scored point;
        - ``undefined_mase``: series with a cutoff at which MASE has no scale (they never moved, or were not
          longer than a season); those points are left out of MASE, RMSSE and MSIS;
        - ``undefined_mape``: series with actuals of zero; those points are left out of MAPE.

    Raises ``DataError`` for a frame that cannot be scored and ``ConfigError`` for an unknown ``by``.
    """
    if by not in BREAKDOWNS:
        raise ConfigError(f"by={by!r} is not one of {', '.join(BREAKDOWNS)}.")
    folds = read_folds(cv, history, season_length, schema)
    scores = score(folds, by)
    key = scores.pop(KEY)
    if by == "series":
        scores.insert(1, folds.schema.id_col, folds.history.ids[key.to_numpy()], allow_duplicates=True)
    elif by == "step":
        scores.insert(1, "step", key)
    elif by == "cutoff":
        ordinals, first = np.unique(folds.cutoff, return_index=True)
        labels = folds.cutoff_labels(first)
        scores.insert(1, CUTOFF, labels.iloc[np.searchsorted(ordinals, key)].reset_index(drop=True))
    return scores


def score(folds: Folds, by: str = "overall") -> pd.DataFrame:
    """:func:`evaluate` on folds; the column ``key`` holds a position in ``history.ids``, a step or an ordinal."""
    units = units_of(folds, by)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        tables = [pd.DataFrame(_score(folds, units, model)) for model in folds.models]
    scores = pd.concat(tables, ignore_index=True)
    names = [model.name for model in folds.models]
    scores.insert(0, "model", np.repeat(np.asarray(names, dtype=object), units.keys.size))
    scores.insert(1, KEY, np.tile(units.keys, len(names)))
    if NAIVE2 in names and folds.outcome == "number":
        scores["owa"] = _owa(scores, units.keys.size)
    first = ["model", KEY, *(metric for metric in POINT_METRICS if metric in scores)]
    rest = [column for column in scores.columns if column not in first and column not in COUNTS]
    return scores[[*first, *rest, *COUNTS]]


POINT_METRICS = ("mase", "rmsse", "mae", "mse", "rmse", "smape", "mape", "owa")
COUNTS = (
    "n_series",
    "n_points",
    "missing_actuals",
    "missing_forecasts",
    "unscored_series",
    "undefined_mase",
    "undefined_mape",
)


def _score(folds: Folds, units: Units, model: ModelColumns) -> Scores:
    if folds.outcome == "event":
        return event_scores(folds, units, model)
    if folds.outcome == "class":
        return class_scores(folds, units, model)
    between = {level: pair for level, pair in model.bands.items() if level not in model.intervals}
    return {
        **_point_scores(folds, units, folds.column(model.name)),
        **_interval_scores(folds, units, model.intervals),
        **_quantile_scores(folds, units, model),
        **_interval_scores(folds, units, between),
        **_statistic_scores(folds, units, model),
    }


def _point_scores(folds: Folds, units: Units, forecast: Float) -> Scores:
    known = np.isfinite(folds.y)
    scored = known & np.isfinite(forecast)
    # Zero actual and zero forecast make every error below zero where a point is not scored.
    y, forecast = np.where(scored, folds.y, 0.0), np.where(scored, forecast, 0.0)
    error = np.abs(forecast - y)
    n = units.total(scored)
    scaled, defined = _scaled(folds, scored)
    n_scaled = units.total(defined)
    nonzero = y != 0
    n_nonzero = units.total(nonzero)
    return {
        "mase": units.mean(units.total(scaled(error, folds.scales.absolute)) / n_scaled),
        "rmsse": units.mean(np.sqrt(units.total(scaled(error**2, folds.scales.squared)) / n_scaled)),
        "mae": units.mean(units.total(error) / n),
        "mse": units.mean(units.total(error**2) / n),
        "rmse": units.mean(np.sqrt(units.total(error**2) / n)),
        "smape": units.mean(units.total(symmetric_errors(y, forecast)) / n),
        "mape": units.mean(units.total(percentage_errors(y, forecast)) / n_nonzero),
        **counts(folds, units, known, scored, n_scaled, n_nonzero),
    }


def _scaled(folds: Folds, scored: Bool) -> tuple[Callable[[Float, Float], Float], Bool]:
    """How to divide points by their fold's scale (0 where it has none), and which scored points have one."""
    defined = ~np.isnan(folds.scales.absolute)

    def scaled(points: Float, scale: Float) -> Float:
        per_point: Float = np.repeat(np.where(defined, scale, np.inf), folds.lengths)
        return points / per_point

    return scaled, scored & np.repeat(defined, folds.lengths)


def _interval_scores(folds: Folds, units: Units, intervals: Mapping[str, tuple[str, str]]) -> Scores:
    scores: Scores = {}
    for level, (low, high) in intervals.items():
        lower, upper = folds.column(low), folds.column(high)
        scored = np.isfinite(folds.y) & ~np.isnan(lower) & ~np.isnan(upper)
        y, lower, upper = (np.where(scored, values, 0.0) for values in (folds.y, lower, upper))
        n = units.total(scored)
        scaled, defined = _scaled(folds, scored)
        charged = scaled(interval_errors(y, lower, upper, float(level)), folds.scales.absolute)
        scores[f"coverage-{level}"] = units.mean(units.total(scored & (lower <= y) & (y <= upper)) / n)
        scores[f"width-{level}"] = units.mean(units.total(upper - lower) / n)
        scores[f"msis-{level}"] = units.mean(units.total(charged) / units.total(defined))
    return scores


def _quantile_scores(folds: Folds, units: Units, model: ModelColumns) -> Scores:
    scores: Scores = {}
    for q, column in model.quantiles.items():
        forecast = folds.column(column)
        scored = np.isfinite(folds.y) & np.isfinite(forecast)
        y = np.where(scored, folds.y, 0.0)
        loss = units.total(pinball_errors(y, np.where(scored, forecast, 0.0), float(q)))
        scores[f"pinball-{q}"] = units.mean(loss / units.total(scored))
        weighted = 2 * units.gather(loss) / units.gather(units.total(np.abs(y)))
        scores[f"wql-{q}"] = np.where(np.isinf(weighted), np.nan, weighted)
    if model.quantiles:
        scores["wql"] = np.mean([scores[f"wql-{q}"] for q in model.quantiles], axis=0)
        scores["crps"] = 2 * np.mean([scores[f"pinball-{q}"] for q in model.quantiles], axis=0)
    return scores


def _statistic_scores(folds: Folds, units: Units, model: ModelColumns) -> Scores:
    """The median by its absolute errors and the mean by its squared ones: each is best at that."""
    scores: Scores = {}
    for name, column in (("mae-median", model.median), ("rmse-mean", model.mean)):
        if column is not None:
            forecast = folds.column(column)
            scored = np.isfinite(folds.y) & np.isfinite(forecast)
            error = np.where(scored, forecast, 0.0) - np.where(scored, folds.y, 0.0)
            n = units.total(scored)
            mean = np.sqrt(units.total(error**2) / n) if column == model.mean else units.total(np.abs(error)) / n
            scores[name] = units.mean(mean)
    return scores


def _owa(scores: pd.DataFrame, rows: int) -> Float:
    """Ratio of means against Naive2, each row against Naive2's row with the same key."""
    naive2 = scores[scores["model"] == NAIVE2]
    ratios = np.zeros(len(scores))
    for metric in ("smape", "mase"):
        reference = np.tile(naive2[metric].to_numpy(), len(scores) // rows)
        ratios += scores[metric].to_numpy() / np.where(reference > 0, reference, np.nan)
    return ratios / 2
