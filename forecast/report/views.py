"""Which series a picture shows, and its rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.panel.panel import Panel
from forecast.report.columns import ModelColumns, Outcome
from forecast.report.evaluate import KEY, score
from forecast.report.fan import Line, Times, View
from forecast.report.folds import Folds
from forecast.report.ranking import Ranking
from forecast.report.wording import label, metric_name, number

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

TAIL_HORIZONS, TAIL_SEASONS, SHORTEST_TAIL = 3, 2, 24
FEW_SERIES = 3


def line_of(model: ModelColumns, column: Callable[[str], Float], levels: Collection[float] | None = None) -> Line:
    """A model's forecast with its intervals, widest first; ``levels`` keeps some of them, ``None`` all.

    Quantiles as far from 0 as from 1 make an interval too. Of an event it is the probability, without intervals.
    """
    if model.shares:
        return Line(model.name, column(model.name if model.outcome == "class" else model.happens))
    kept = [pair for level, pair in model.bands.items() if levels is None or float(level) in levels]
    bands = tuple((column(lower), column(upper)) for lower, upper in reversed(kept))
    return Line(model.name, column(model.name), bands)


def view_of(
    title: str,
    history: Panel,
    position: int,
    cutoff: int,
    times: Times,
    actual: Float,
    lines: Sequence[Line],
    outcome: Outcome = "number",
) -> View:
    """Forecasts of series ``position`` with the tail of what was known at ordinal ``cutoff``."""
    rows = max(TAIL_HORIZONS * times.size, TAIL_SEASONS * history.timeline.season_length, SHORTEST_TAIL)
    start = int(history.offsets[position])
    stop = start + int(np.clip(cutoff - history.first[position] + 1, 0, history.lengths[position]))
    known = slice(max(start, stop - rows), stop)
    ordinals = history.first[position] + np.arange(known.start, known.stop, dtype=np.int64) - start
    timeline = history.timeline
    tz = None if timeline.local else timeline.tz
    return View(title, timeline.stamps(ordinals), history.values[known], times, actual, tuple(lines), tz, outcome)


def telling_views(folds: Folds, ranking: Ranking, by_series: pd.DataFrame) -> list[View]:
    """The winner's typical (median), best and worst series at their last cutoff.

    With fewer than three series, its typical, best and worst windows instead. The naive reference is drawn too.
    """
    shown = [ranking.winner, *({ranking.reference} - {ranking.winner, None})]
    if by_series[KEY].nunique() >= FEW_SERIES:
        keys, values = _winners(by_series, ranking)
        last = np.append(folds.series[1:] != folds.series[:-1], True)
        chosen = {
            rank: (int(np.flatnonzero(last & (folds.series == keys[place]))[0]), float(values[place]))
            for rank, place in _ranks(values).items()
        }
    else:
        chosen = _telling_windows(folds, ranking)
    models = [model for name in shown for model in folds.models if model.name == name]
    return [_window(folds, fold, f"{rank}:", value, ranking.metric, models) for rank, (fold, value) in chosen.items()]


def _winners(scores: pd.DataFrame, ranking: Ranking) -> tuple[Int, Float]:
    rows = scores[scores["model"] == ranking.winner]
    return rows[KEY].to_numpy(), rows[ranking.metric].to_numpy(dtype=np.float64)


def _ranks(values: Float) -> dict[str, int]:
    """Positions of the median, the smallest and the largest value: fewer where values are few."""
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    if order.size == 0:
        return {}
    if order.size < FEW_SERIES:
        return {"Typical": int(order[0])} | ({"Worst": int(order[-1])} if order.size > 1 else {})
    return {"Typical": int(order[(order.size - 1) // 2]), "Best": int(order[0]), "Worst": int(order[-1])}


def _telling_windows(folds: Folds, ranking: Ranking) -> dict[str, tuple[int, float]]:
    """Of few series: scores per cutoff stand for windows, and the first series there is shown."""
    keys, values = _winners(score(folds, "cutoff"), ranking)
    ranks = _ranks(values).items()
    return {rank: (int(np.flatnonzero(folds.cutoff == keys[i])[0]), float(values[i])) for rank, i in ranks}


def _window(folds: Folds, fold: int, rank: str, value: float, metric: str, models: Sequence[ModelColumns]) -> View:
    rows = folds.rows(fold)
    position, cutoff = int(folds.series[fold]), int(folds.cutoff[fold])
    lines = [line_of(model, lambda name: folds.column(name)[rows]) for model in models]
    times = folds.history.timeline.stamps(cutoff + folds.step[rows])
    title = f"{rank} {label(folds.history.ids[position])}  ·  {metric_name(metric)} {number(value)}"
    return view_of(title, folds.history, position, cutoff, times, folds.y[rows], lines, folds.outcome)
