"""The numbers and pictures of a run report, from what the watch found."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.watch.actuals import TARGET, ids_like
from forecast.batch.watch.drift import PERIOD
from forecast.batch.watch.facts import RunFacts
from forecast.batch.watch.figures import BEFORE, NOW
from forecast.batch.watch.scores import POINT, Tally, metrics, outputs
from forecast.batch.watch.watch import Findings
from forecast.panel.panel import Panel
from forecast.report.fan import Line, View
from forecast.report.folds import as_stamps
from forecast.report.views import view_of
from forecast.report.wording import count, label, metric_value, number

Float = npt.NDArray[np.float64]
Times = npt.NDArray[Any]

MOVED, LARGEST = 2, 2  # pictures of series that changed most, and of the largest


def chosen(sums: Tally, part: str, values: Sequence[Any] | npt.NDArray[Any]) -> Tally:
    """The cells whose column ``part`` is one of ``values``."""
    tables = (sums.points, sums.levels, sums.quantiles)
    return Tally(*(table[table[part].isin(list(values))] for table in tables))


def by_period(sums: Tally) -> pd.DataFrame:
    """The metrics of each period, with ``mase-first`` of the forecasts one step ahead, and the last ``target``."""
    table = metrics(sums, [PERIOD])
    first = metrics(chosen(sums, "step", [1]), [PERIOD]).set_index(PERIOD)["mase"]
    last = sums.points.groupby(PERIOD)[TARGET].max()
    return table.assign(**{"mase-first": table[PERIOD].map(first), TARGET: table[PERIOD].map(last)})


def as_times(targets: pd.Series[Any], panel: Panel) -> Times:
    """Targets as what they are: dates, or steps."""
    numbers = targets.to_numpy(dtype=np.int64)
    return numbers if panel.timeline.kind == "step" else numbers.astype("datetime64[us]")


def model_changes(findings: Findings, panel: Panel) -> Times:
    """The cutoffs of the runs whose model was not that of the committed run before."""
    runs, history = findings.runs, findings.history
    known = runs.merge(history[["run", "model_hash"]], on="run").sort_values("slot")
    new = known["model_hash"].ne(known["model_hash"].shift()).to_numpy().copy()
    new[:1] = False
    return as_times(known.loc[new, "cutoff"], panel)


def source_scores(sums: Tally, recent: int) -> dict[str, Any]:
    """The accuracy of the last ``recent`` periods by source, as a table of texts."""
    periods = np.unique(sums.points[PERIOD])[-recent:]
    table = metrics(chosen(sums, PERIOD, periods), ["source"]).sort_values("n", ascending=False)
    levels = [str(name).partition("-")[2] for name in table.columns if str(name).startswith("coverage-")]
    columns = {"n": "Forecasts", "mase": "MASE", "mae": "MAE", "smape": "sMAPE", "bias": "Bias", "wql": "WQL"}
    headings = [*columns.values(), *(f"Coverage {level} %" for level in levels)]
    rows = []
    for row in table.to_dict("records"):
        cells = [f"{row['n']:,}", *(number(row[name]) for name in list(columns)[1:])]
        cells += [metric_value(f"coverage-{level}", float(row[f"coverage-{level}"])) for level in levels]
        rows.append({"name": label(row["source"]), "cells": cells})
    return {"periods": count(periods.size, "period"), "headings": headings, "rows": rows}


def by_step(sums: Tally, recent: int, model: str) -> pd.DataFrame:
    """MASE by step over the last ``recent`` periods, as :func:`forecast.report.figures.horizon_lines` reads it."""
    periods = np.unique(sums.points[PERIOD])[-recent:]
    table = metrics(chosen(sums, PERIOD, periods), ["step"])
    return table.rename(columns={"step": "key"}).assign(model=model)


def run_views(facts: RunFacts, findings: Findings) -> list[View]:
    """The series that changed most, then the largest, each with the forecasts of this run and the last."""
    frame, panel = facts.frame, facts.panel
    if frame is None or panel is None or frame.empty:
        return []
    moved = findings.changes.series
    picked = dict.fromkeys(moved.loc[moved["change"] > 0, "unique_id"].head(MOVED), "Changed most: ")
    size = frame[POINT].abs().groupby(frame["unique_id"]).mean().sort_values(ascending=False, kind="stable")
    largest = [name for name in size.index if name not in picked][: LARGEST + MOVED - len(picked)]
    picked |= dict.fromkeys(largest, "Largest: ")
    mine = _by_id(frame, picked)
    last = {} if findings.previous is None else _by_id(findings.previous, picked)
    places = ids_like(panel, frame["unique_id"].dtype).get_indexer(pd.Index(list(picked)))
    return [
        _view(f"{why}{label(name)}", panel, int(place), mine[name].sort_values("step"), last.get(name))
        for (name, why), place in zip(picked.items(), places, strict=True)
        if place >= 0
    ]


def _by_id(frame: pd.DataFrame, names: Collection[Any]) -> dict[Any, pd.DataFrame]:
    return dict(iter(frame[frame["unique_id"].isin(list(names))].groupby("unique_id")))


def _view(title: str, panel: Panel, place: int, rows: pd.DataFrame, last: pd.DataFrame | None) -> View:
    bands = [
        (rows[low].to_numpy(dtype=np.float64), rows[high].to_numpy(dtype=np.float64))
        for low, high in reversed(list(outputs(rows).intervals.values()))
    ]
    lines = [Line(NOW, rows[POINT].to_numpy(dtype=np.float64), tuple(bands))]
    if last is not None:
        before = rows["ds"].map(last.set_index("ds")[POINT]).to_numpy(dtype=np.float64)
        if np.isfinite(before).any():
            lines.append(Line(BEFORE, before))
    times = as_stamps(rows["ds"], panel.timeline)
    return view_of(title, panel, place, int(panel.last[place]), times, np.zeros(0), lines)
