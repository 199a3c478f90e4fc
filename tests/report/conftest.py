"""Panels and cross-validation frames made by hand, without the ingest code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from forecast.panel.panel import Panel
from forecast.schema import Schema
from forecast.timeline import fit_timeline

MakePanel = Callable[..., Panel]
MakeFolds = Callable[..., pd.DataFrame]


def make_panel(series: Mapping[object, Sequence[float]], freq: str = "MS", schema: Schema | None = None) -> Panel:
    """Series that all start in January 2020."""
    origin = np.array(["2020-01-01"], dtype="datetime64[us]")
    timeline = fit_timeline(freq, origin)
    start, _ = timeline.ordinals(origin)
    lengths = [len(values) for values in series.values()]
    return Panel(
        ids=pd.Index(list(series)),
        values=np.concatenate([np.asarray(values, dtype=np.float64) for values in series.values()]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        first=np.repeat(start, len(lengths)),
        timeline=timeline,
        schema=schema or Schema(),
    )


def make_cv(
    panel: Panel, h: int, windows: int = 1, **models: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> pd.DataFrame:
    """The last ``windows`` windows of ``h`` steps of each series; a model maps (known, actual) to a forecast."""
    frames = []
    for position, name in enumerate(panel.ids):
        values = panel.values[panel.offsets[position] : panel.offsets[position + 1]]
        for window in reversed(range(windows)):
            stop = len(values) - window * h
            known, actual = values[: stop - h], values[stop - h : stop]
            stamps = panel.timeline.stamps(panel.first[position] + np.arange(stop - h - 1, stop))
            columns = {model: function(known, actual) for model, function in models.items()}
            frames.append(
                pd.DataFrame({"unique_id": name, "ds": stamps[1:], "cutoff": stamps[0], "y": actual, **columns})
            )
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def panel_of() -> MakePanel:
    return make_panel


@pytest.fixture
def cv_of() -> MakeFolds:
    return make_cv


@pytest.fixture
def panel() -> Panel:
    """Five seasonal series of 60 months at different scales."""
    rng = np.random.default_rng(7)
    month = np.arange(60)
    wave = np.sin(month / 12 * 2 * np.pi)
    return make_panel({f"s{i}": 10.0**i * (5 + wave + 0.1 * i * rng.normal(size=60)) for i in range(1, 6)})


@pytest.fixture
def cv(panel: Panel) -> pd.DataFrame:
    """Two windows of six months: a good model with intervals and quantiles, seasonal naive, naive."""
    frame = make_cv(
        panel, 6, windows=2,
        segrnn=lambda known, actual: 0.7 * actual + 0.3 * known[-12:-6],
        seasonal_naive=lambda known, actual: known[-12:-6],
        naive=lambda known, actual: np.full(6, known[-1]),
    )  # fmt: skip
    size = frame["segrnn"].abs()
    for level, width in ((80, 0.05), (90, 0.1)):
        frame[f"segrnn-lo-{level}"] = frame["segrnn"] - width * size
        frame[f"segrnn-hi-{level}"] = frame["segrnn"] + width * size
    frame["segrnn-q-0.1"] = frame["segrnn"] - 0.05 * size
    frame["segrnn-q-0.9"] = frame["segrnn"] + 0.05 * size
    return frame
