"""From joined forecasts to sums, and from sums to the metrics of :mod:`forecast.report.metrics`.

A *cell* is what one run forecast so many steps ahead by one source for one stamp. Cells hold sums, so that any of them
can be pooled exactly: over steps, over runs, over sources. Every point then counts the same. Of one run and step a
cell's metrics are those that :func:`forecast.report.evaluate.evaluate` gives by step; the tests hold both to equal
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.watch.actuals import TARGET
from forecast.report.columns import ModelColumns, find_models
from forecast.report.metrics import pinball_errors, symmetric_errors

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

CELL = ("step", "source", TARGET)
POINT_SUMS = ("n", "n_scaled", "absolute", "scaled", "symmetric", "signed", "signed_scaled", "size")
LEVEL_SUMS = ("n", "covered", "width")
QUANTILE_SUMS = ("n", "pinball", "size")
ROLES = ("unique_id", "cutoff", "ds", "step", "model", "source", "reason")
POINT = "mean"


@dataclass(frozen=True)
class Tally:
    """Sums over the forecasts whose actual is known.

    Attributes:
        points: ``step, source, target`` (the stamp), ``model`` and the sums: ``n`` points, ``n_scaled`` of them with a
            scale, ``absolute`` errors, ``scaled`` errors, ``symmetric`` errors (0 to 200), ``signed`` errors (forecast
            less actual), ``signed_scaled``, ``size`` (of the actuals).
        levels: ``step, source, target, level`` and the sums ``n``, ``covered``, ``width``.
        quantiles: ``step, source, target, q`` and the sums ``n``, ``pinball``, ``size``.
    """

    points: pd.DataFrame
    levels: pd.DataFrame
    quantiles: pd.DataFrame


def outputs(frame: pd.DataFrame) -> ModelColumns:
    """Which columns of a job's forecasts are what: the one reading of column names, given the model's name."""
    numbers = [name for name in frame.columns if name == POINT or str(name).startswith(("lo-", "hi-", "q-"))]
    named = frame[numbers].head(0).rename(columns={name: f"{POINT}-{name}" for name in numbers if name != POINT})
    found = find_models(named, [])[0]
    cut = len(POINT) + 1
    intervals = {level: (low[cut:], high[cut:]) for level, (low, high) in found.intervals.items()}
    return ModelColumns(POINT, intervals, {q: name[cut:] for q, name in found.quantiles.items()})


def tally(joined: pd.DataFrame) -> Tally:
    """Sums by step, source and stamp of what :func:`forecast.batch.watch.actuals.join_actuals` gave for one run."""
    known = joined[np.isfinite(joined["y"].to_numpy())]
    columns = outputs(joined)
    cells = _Cells(known)
    with np.errstate(over="ignore", invalid="ignore"):
        return Tally(_points(known, cells), _levels(known, cells, columns), _quantiles(known, cells, columns))


class _Cells:
    """The cell of every row, numbered."""

    def __init__(self, known: pd.DataFrame) -> None:
        sources, names = pd.factorize(known["source"])
        targets, stamps = pd.factorize(known[TARGET].to_numpy(dtype=np.int64))
        shape = (max(len(stamps), 1), max(len(names), 1))
        keys = (known["step"].to_numpy(dtype=np.int64) * shape[0] + targets) * shape[1] + sources
        self.codes, distinct = pd.factorize(keys, sort=True)
        distinct = np.asarray(distinct, dtype=np.int64)
        self.size = distinct.size
        self.index = pd.DataFrame(
            {
                "step": distinct // (shape[0] * shape[1]),
                "source": np.asarray(names, dtype=object)[distinct % shape[1]].astype(str),
                TARGET: np.asarray(stamps, dtype=np.int64)[distinct // shape[1] % shape[0]],
            }
        )

    def sum(self, values: npt.NDArray[np.generic]) -> Float:
        """Sum of each cell, shape (C,)."""
        return np.asarray(np.bincount(self.codes, weights=values, minlength=self.size), dtype=np.float64)

    def any_row(self) -> Int:
        """A row of each cell, shape (C,)."""
        row = np.zeros(self.size, dtype=np.int64)
        row[self.codes] = np.arange(self.codes.size)
        return row


def _points(known: pd.DataFrame, cells: _Cells) -> pd.DataFrame:
    y = known["y"].to_numpy(dtype=np.float64)
    forecast = known[POINT].to_numpy(dtype=np.float64)
    scored = np.isfinite(forecast)
    y, forecast = np.where(scored, y, 0.0), np.where(scored, forecast, 0.0)
    scale = known["scale"].to_numpy(dtype=np.float64)
    has_scale = scored & np.isfinite(scale)
    scale = np.where(has_scale, scale, np.inf)
    error = forecast - y
    sums = {
        "n": cells.sum(scored), "n_scaled": cells.sum(has_scale), "absolute": cells.sum(np.abs(error)),
        "scaled": cells.sum(np.abs(error) / scale), "symmetric": cells.sum(symmetric_errors(y, forecast)),
        "signed": cells.sum(error), "signed_scaled": cells.sum(error / scale), "size": cells.sum(np.abs(y)),
    }  # fmt: skip
    model = known["model"].to_numpy(dtype=object)[cells.any_row()]
    return cells.index.assign(model=model, **sums)


def _levels(known: pd.DataFrame, cells: _Cells, columns: ModelColumns) -> pd.DataFrame:
    y = known["y"].to_numpy(dtype=np.float64)
    parts = [pd.DataFrame(columns=[*CELL, "level", *LEVEL_SUMS])]
    for level, names in columns.intervals.items():
        lower, upper = (known[name].to_numpy(dtype=np.float64) for name in names)
        scored = ~np.isnan(lower) & ~np.isnan(upper)
        covered = scored & (lower <= y) & (y <= upper)
        width = np.where(scored, upper - lower, 0.0)
        sums = {"n": cells.sum(scored), "covered": cells.sum(covered), "width": cells.sum(width)}
        parts.append(cells.index.assign(level=level, **sums))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _quantiles(known: pd.DataFrame, cells: _Cells, columns: ModelColumns) -> pd.DataFrame:
    actual = known["y"].to_numpy(dtype=np.float64)
    parts = [pd.DataFrame(columns=[*CELL, "q", *QUANTILE_SUMS])]
    for q, name in columns.quantiles.items():
        forecast = known[name].to_numpy(dtype=np.float64)
        scored = np.isfinite(forecast)
        y = np.where(scored, actual, 0.0)
        loss = pinball_errors(y, np.where(scored, forecast, 0.0), float(q))
        sums = {"n": cells.sum(scored), "pinball": cells.sum(loss), "size": cells.sum(np.abs(y))}
        parts.append(cells.index.assign(q=q, **sums))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def metrics(sums: Tally, by: Sequence[str] = ()) -> pd.DataFrame:
    """The metrics of pooled cells, one row for each combination of the columns ``by`` (one row in all for none).

    Columns: ``by``; ``n`` points; ``mae`` and ``bias`` (mean of forecast less actual) in units of the target; ``mase``
    and ``scaled_bias``; ``smape`` (0 to 200); ``coverage-80`` (a share) and ``width-80`` for each level; ``wql`` (the
    mean over the quantiles; NaN without any). NaN where there is nothing to divide by.
    """
    points = _pooled(sums.points, by, POINT_SUMS)
    if points.empty:
        return pd.DataFrame(columns=[*by, "n", "mae", "mase", "smape", "bias", "scaled_bias", "wql"])
    with np.errstate(divide="ignore", invalid="ignore"):
        table = pd.DataFrame(
            {
                "n": points["n"].astype(np.int64),
                "mae": points["absolute"] / points["n"],
                "mase": points["scaled"] / points["n_scaled"],
                "smape": points["symmetric"] / points["n"],
                "bias": points["signed"] / points["n"],
                "scaled_bias": points["signed_scaled"] / points["n_scaled"],
            }
        )
        for level in sorted(sums.levels["level"].unique(), key=float):
            pooled = _pooled(sums.levels[sums.levels["level"] == level], by, LEVEL_SUMS).reindex(table.index)
            table[f"coverage-{level}"] = pooled["covered"] / pooled["n"]
            table[f"width-{level}"] = pooled["width"] / pooled["n"]
        table["wql"] = _wql(sums.quantiles, by, table.index)
    return (table.reset_index() if by else table.reset_index(drop=True)).replace([np.inf, -np.inf], np.nan)


def _wql(quantiles: pd.DataFrame, by: Sequence[str], index: pd.Index) -> Float:
    """Mean over the quantiles of twice the summed pinball loss over the summed size of the actuals."""
    names = quantiles["q"].unique()
    if not len(names):
        return np.full(len(index), np.nan)
    each = [_pooled(quantiles[quantiles["q"] == q], by, QUANTILE_SUMS).reindex(index) for q in names]
    ratios = [(2 * one["pinball"] / one["size"]).to_numpy(dtype=np.float64) for one in each]
    return np.asarray(np.mean(ratios, axis=0), dtype=np.float64)


def _pooled(cells: pd.DataFrame, by: Sequence[str], sums: Sequence[str]) -> pd.DataFrame:
    """Sums over the cells of each combination of ``by``."""
    values = cells[list(sums)].astype(np.float64)
    keys = [cells[name] for name in by] or [pd.Series(0, index=cells.index)]
    return values.groupby(keys, sort=True).sum()
