"""The report in words: the headline, the facts about data and models, what was left out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from forecast.panel.clock import wall_times
from forecast.report.folds import Folds
from forecast.report.ranking import Ranking, levels_of, share_better
from forecast.report.wording import count, duration, metric_name, metric_value, number, percent
from forecast.timeline import Stamps

Facts = list[tuple[str, str]]
SECRET = re.compile(r"(?:^|[_.-])(?:password|passwd|secret|token|api_?key|credentials?)$", re.IGNORECASE)
MASK = "•••"
SHOWN_QUANTILES = 9
TILES = ("mase", "owa", "smape", "brier", "auc", "accuracy")


def headline(ranking: Ranking, by_series: pd.DataFrame) -> str:
    """Who won, and by how much against the naive reference, in one sentence."""
    winner, metric = ranking.winner, metric_name(ranking.metric)
    value = ranking.value(winner)
    if np.isnan(value):
        return "No model could be scored: there is no forecast with a known actual."
    if len(ranking.models) == 1:
        return f"{winner} has a {metric} of {number(value)}."
    if winner == ranking.reference:
        second = ranking.models[1]
        return (
            f"No model beats {winner}: it has a {metric} of {number(value)}, "
            f"{second}, the next, {number(ranking.value(second))}."
        )
    other = ranking.reference or ranking.models[1]
    against = ranking.value(other)
    if not against > 0 or np.isnan(against):
        return f"{winner} is the most accurate, with a {metric} of {number(value)}."
    share = share_better(by_series, ranking.metric, winner, other)
    series = int(ranking.scores["n_series"].max())
    where = f", and better on {percent(share)} of {count(series, 'series', 'series')}" if series > 1 else ""
    return (
        f"{winner} is the most accurate: its {metric} of {number(value)} is {percent(1 - value / against)} "
        f"lower than that of {other} ({number(against)}){where}."
    )


def tiles(folds: Folds, ranking: Ranking) -> Facts:
    """A few numbers for the top of the page, as (name, value)."""
    scores = ranking.scores
    shown = [column for column in ranking.columns if column in TILES] or [ranking.metric]
    best = [(f"{metric_name(c)} of {ranking.winner}", metric_value(c, ranking.value(ranking.winner, c))) for c in shown]
    return [
        *best[:2],
        ("series", f"{int(scores['n_series'].max()):,}"),
        ("forecasts scored", f"{int(scores['n_points'].max()):,}"),
        ("steps ahead", f"{int(folds.step.max()):,}"),
    ]


def data_facts(folds: Folds) -> Facts:
    """Size, span, gaps and cutoffs of the data, as (name, value)."""
    history, timeline = folds.history, folds.history.timeline
    lengths = history.lengths
    missing = float(np.isnan(history.values).mean()) if history.values.size else 0.0
    stamps = wall_times(timeline, np.array([history.first.min(), history.last.max()], dtype=np.int64))
    cutoffs = np.unique(folds.cutoff)
    ends = wall_times(timeline, cutoffs[[0, -1]])
    per_series = np.bincount(folds.series)
    windows = per_series[per_series > 0]
    size = f"{windows.min()}" if windows.min() == windows.max() else f"{windows.min()} to {windows.max()}"
    between = f"{lengths.min():,} shortest, {np.median(lengths):,.0f} median, {lengths.max():,} longest"
    if lengths.min() == lengths.max():
        between = f"{lengths.min():,}"
    return [
        ("series", f"{len(history):,}"),
        ("rows", f"{history.values.size:,}"),
        ("rows per series", between),
        ("frequency", f"{timeline.freq}" + (f", {timeline.tz}" if timeline.tz else "")),
        ("season", count(folds.season_length, "step")),
        ("span", span(stamps)),
        ("unknown values", f"{int(np.isnan(history.values).sum()):,} ({percent(missing)})"),
        ("cutoffs per series", size),
        ("cutoffs" if cutoffs.size > 1 else "cutoff", span(ends) if cutoffs.size > 1 else span(ends[:1])),
        ("steps ahead", f"{int(folds.step.max()):,}"),
    ]


def span(stamps: Stamps) -> str:
    """``2020-01-01 … 2024-12-31``: as fine as the stamps need, one for one stamp."""
    if stamps.dtype.kind != "M":
        texts = [f"{int(stamp)}" for stamp in stamps]
    else:
        midnight = bool((stamps == stamps.astype("datetime64[D]")).all())
        minutes = bool((stamps == stamps.astype("datetime64[m]")).all())
        unit: Literal["D", "m", "us"] = "D" if midnight else "m" if minutes else "us"
        texts = [str(text).replace("T", " ") for text in np.datetime_as_string(stamps, unit=unit)]
    return " … ".join(texts)


def left_out(ranking: Ranking) -> list[str]:
    """What the scores do not cover, one sentence each; empty when they cover everything."""
    scores = ranking.scores
    totals = {name: int(scores[name].max()) for name in ("missing_actuals", "unscored_series", "undefined_mase")}
    sentences = []
    if totals["missing_actuals"]:
        sentences.append(f"{count(totals['missing_actuals'], 'forecast')} had no actual to compare with.")
    if totals["unscored_series"]:
        sentences.append(f"{count(totals['unscored_series'], 'series', 'series')} had no scored forecast at all.")
    if totals["undefined_mase"]:
        sentences.append(
            f"{count(totals['undefined_mase'], 'series', 'series')} had a cutoff before which nothing moved, or that "
            "came before a whole season: MASE, RMSSE and MSIS have no scale there and leave those points out."
        )
    if int(scores["undefined_mape"].max()):
        zeros = count(int(scores["undefined_mape"].max()), "series", "series")
        sentences.append(f"{zeros} had actuals of zero, which MAPE leaves out.")
    for model, gaps in zip(scores["model"], scores["missing_forecasts"], strict=True):
        if gaps:
            sentences.append(f"{model} gave no forecast for {count(int(gaps), 'known actual')}, so it ranks last.")
    return sentences


def model_facts(describe: Mapping[str, Any]) -> Facts:
    """The plain facts of a model as (name, value); tables and curves are drawn elsewhere."""
    return [(str(key).replace("_", " "), fact(key, value)) for key, value in describe.items() if key not in DRAWN]


DRAWN = ("curves", "layers", "tried", "why", "members")


def fact(key: str, value: object) -> str:
    """One value in a line: ``hidden_size 128, dropout 0.1`` for a mapping."""
    value = masked(value, key)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {fact(str(name), item)}" for name, item in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(fact("", item) for item in value) or "none"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return duration(value) if key == "seconds" else f"{value:g}"
    return str(value)


def masked(value: object, key: str = "") -> object:
    """``value`` without passwords: under a name such as ``db_password``, or inside an address."""
    if SECRET.search(key) and value is not None:
        return MASK
    if isinstance(value, Mapping):
        return {str(name): masked(item, str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float, type(None))):
        return value
    text = re.sub(r"(://[^/\s:@]*):[^/\s]*@", rf"\1:{MASK}@", str(value))
    return re.sub(r"(?i)([?&](?:password|token|secret|api_?key)=)[^&\s]+", rf"\1{MASK}", text)


def configuration_text(configuration: Mapping[str, Any]) -> str:
    """The configuration as yaml, in its own order, passwords masked."""
    import yaml

    text: str = yaml.safe_dump(masked(configuration), sort_keys=False, allow_unicode=True, width=110)
    return text


def coverage_rows(ranking: Ranking) -> list[tuple[str, ...]]:
    """(model, promised, covered, points apart, mean width, MSIS) for every model with intervals, best model first."""
    levels = levels_of(ranking.scores)
    rows: list[tuple[str, ...]] = []
    for model in ranking.models:
        for level in levels:
            covered = ranking.value(model, f"coverage-{level}")
            if not np.isnan(covered):
                width, msis = (number(ranking.value(model, f"{name}-{level}")) for name in ("width", "msis"))
                rows.append(
                    (
                        model,
                        f"{float(level):g} %",
                        f"{100 * covered:.1f} %",
                        f"{100 * covered - float(level):+.1f} points",
                        width,
                        msis,
                    )
                )
    return rows


def quantile_rows(ranking: Ranking) -> dict[str, Any]:
    """Headings and rows of text: CRPS, WQL and the pinball loss at each quantile, of the models that have quantiles."""
    losses = [column for column in ranking.scores.columns if column.startswith("pinball-")]
    losses.sort(key=lambda column: float(column.partition("-")[2]))
    kept = losses if len(losses) <= SHOWN_QUANTILES else losses[:: -(-len(losses) // SHOWN_QUANTILES)]
    having = [model for model in ranking.models if losses and np.isfinite(ranking.value(model, "crps"))]
    columns = ["crps", "wql", *kept]
    rows = [[model, *(metric_value(column, ranking.value(model, column)) for column in columns)] for model in having]
    return {"headings": ["CRPS", "WQL", *(column.partition("-")[2] for column in kept)], "rows": rows}


def cutoff_rows(folds: Folds, by_cutoff: pd.DataFrame, models: Sequence[str], metric: str) -> list[list[str]]:
    """A row per cutoff: its stamp, then the models' scores in the order of ``models``."""
    keys = np.unique(folds.cutoff)
    names = by_cutoff["model"].to_numpy()
    columns = [by_cutoff[metric].to_numpy(dtype=np.float64)[names == model] for model in models]
    stamps = wall_times(folds.history.timeline, keys)
    return [[span(stamps[i : i + 1]), *(number(float(column[i])) for column in columns)] for i in range(keys.size)]
