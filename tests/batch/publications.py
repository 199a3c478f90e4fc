"""Forecasts to publish, and the sinks to publish them to, small and the same every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from forecast.batch.form import Form
from forecast.batch.key import Publication
from forecast.batch.sinks import DuckDBSink, FolderSink, SqlSink

SLOT = datetime(2026, 3, 1, 4, tzinfo=UTC)
FORM = Form("text", "naive", None, ("mean", "lo-80", "hi-80", "q-0.1"))
KINDS = ("parquet", "csv", "sqlite", "postgresql", "duckdb")


def publication(run: str = "a" * 16, **changes: Any) -> Publication:
    """Version 1 of job ``sales`` at :data:`SLOT`, with token 1."""
    return replace(Publication(run, "sales", SLOT, 1, 1, pd.Timestamp("2026-02-28")), **changes)


def stamps(form: Form, h: int) -> pd.Index:
    """A cutoff and ``h`` times after it."""
    if form.times == "integer":
        return pd.RangeIndex(100, 101 + h)
    return pd.date_range("2026-03-28T23:00:00.000001", periods=h + 1, freq="h", tz=form.zone).as_unit("us")


def frame(ids: Sequence[Any] = ("b", "a"), form: Form = FORM, h: int = 3, level: float = 0.0) -> pd.DataFrame:
    """Forecasts of ``ids``, ``h`` steps each, around ``level``; the first mean is NaN. Order of ids as given."""
    times = stamps(form, h)
    rng = np.random.default_rng(len(ids))
    n = len(ids) * h
    data: dict[str, Any] = {
        "unique_id": pd.Series(list(ids), dtype="int64" if form.ids == "integer" else "str").repeat(h).to_numpy(),
        "cutoff": [times[0]] * n,
        "ds": times[1:].append([times[1:]] * (len(ids) - 1)) if len(ids) > 1 else times[1:],
        "step": np.tile(np.arange(1, h + 1), len(ids)),
        "model": "segrnn",
    }
    for output in form.outputs:
        data[output] = level + rng.standard_normal(n)
    data[form.outputs[0]][0] = np.nan
    data |= {
        "source": ["segrnn"] * (n - 1) + ["naive"],
        "reason": [""] * (n - 1) + ['too short: "3" rows,\nsays\r 12 %'],
    }
    return form.conform(pd.DataFrame(data))


def expected(rows: pd.DataFrame, of: Publication) -> pd.DataFrame:
    """What a reader should get of ``rows``."""
    ordered = rows.sort_values(["unique_id", "step"], ignore_index=True)
    ordered.insert(0, "run", pd.Series(of.run, index=ordered.index, dtype="str"))
    ordered.insert(1, "slot", pd.Series(pd.Timestamp(of.slot), index=ordered.index, dtype="datetime64[us, UTC]"))
    return ordered


def sink_of(kind: str, place: str, **options: Any) -> Any:
    """The sink of ``kind`` at ``place``: a folder or a URL."""
    if kind in ("parquet", "csv"):
        return FolderSink(f"{place}/out", kind, **options)  # type: ignore[arg-type]
    if kind == "duckdb":
        return DuckDBSink(f"{place}/forecasts.duckdb", **options)
    return SqlSink(place if kind == "postgresql" else f"sqlite:///{place}/forecasts.db", **options)


def publish(sink: Any, of: Publication, rows: pd.DataFrame, form: Form = FORM) -> list[Any]:
    """Stage and commit; returns what ``confirm`` was called with."""
    calls: list[Any] = []
    sink.commit(sink.stage(of, form, rows), calls.append)
    return calls
