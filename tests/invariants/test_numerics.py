"""Forecasts are finite, ordered, nested and covered, whatever the numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from forecast import Forecaster, Transformed
from tests.invariants.models import GROUPS, fitted_for, holds, in_order, panels, predict, same, teaching
from tests.invariants.panels import H, panel
from tests.test_invariants import QUICK, model_of

pytestmark = pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")

EXTREMES = (1e-30, 1e-9, 1.0, 1e9, 1e26)  # a spike is a thousand times as high, and a level ten times
PROBS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]


@pytest.mark.parametrize("group", GROUPS)
def test_any_finite_history_gives_finite_nested_forecasts_at_the_next_steps(group):
    @holds(group, sample=panels(group, decades=EXTREMES))
    def check(sample):
        out = predict(fitted_for(group, sample), sample)
        assert len(out) == H * len(sample.ids)
        if sample.future is not None:
            rows = in_order(sample.future[["unique_id", "ds"]])
            assert out["ds"].tolist() == rows["ds"].tolist()
            assert out["unique_id"].tolist() == rows["unique_id"].tolist()
        for name in GROUPS[group]:
            columns = [f"{name}-lo-90", f"{name}-lo-50", f"{name}-hi-50", f"{name}-hi-90"]
            assert np.isfinite(out[[name, *columns]]).all(axis=None), name
            assert (np.diff(out[columns].to_numpy(), axis=1) >= 0).all(), name


@pytest.mark.parametrize("group", GROUPS)
def test_quantiles_do_not_cross_and_are_the_intervals(group):
    @holds(group, sample=panels(group))
    def check(sample):
        models = fitted_for(group, sample)
        out = predict(models, sample, level=[50, 90], quantiles=PROBS)
        for name in GROUPS[group]:
            quantiles = out[[f"{name}-q-{p}" for p in PROBS]].to_numpy()
            assert (np.diff(quantiles, axis=1) >= 0).all(), name
            np.testing.assert_array_equal(out[f"{name}-lo-90"], out[f"{name}-q-0.05"])
            np.testing.assert_array_equal(out[f"{name}-hi-50"], out[f"{name}-q-0.75"])


@pytest.mark.parametrize("group", GROUPS)
def test_the_point_is_the_median_and_intervals_are_around_it(group):
    """Where the error is symmetric. A multiplicative form of ets forecasts the mean of a skewed distribution, as
    Hyndman and others do: there the point is only within the widest interval."""
    skewed = {"ets", "batched_ets", "stl_ets"}

    @holds(group, sample=panels(group))
    def check(sample):
        out = predict(fitted_for(group, sample), sample, level=[99], quantiles=[0.5])
        size = sample.size.reindex(out["unique_id"]).to_numpy()
        for name in GROUPS[group]:
            assert (out[f"{name}-lo-99"] <= out[name] + 1e-6 * size).all(), name
            assert (out[f"{name}-hi-99"] >= out[name] - 1e-6 * size).all(), name
            if name not in skewed:
                assert (np.abs(out[f"{name}-q-0.5"] - out[name]) <= 1e-6 * size).all(), name


MODELS = {
    "powers": Transformed("seasonal_naive", transforms=["yeo_johnson", "standard"]),
    "steps": Transformed("naive", transforms=["asinh", "difference"]),
    "ranks": Transformed("historic_mean", transforms=["quantile"], bias_corrected=True),
    "counts": Transformed("drift", transforms=[], non_negative=True, integer=True),
    "net": Transformed(replace(model_of("segrnn"), quantiles=(0.05, 0.25, 0.75, 0.95)), transforms=["robust"]),
    "recursive": Transformed(
        replace(model_of("seq2seq"), quantiles=(0.05, 0.95)), transforms=["standard"], non_negative=True
    ),
}


@cache
def transformed(freq: str | int, tz: str | None) -> Forecaster:
    frame = teaching(freq, tz, False).frame
    return Forecaster(MODELS, h=H, freq=freq, training=QUICK, progress=False).fit(frame)


@pytest.mark.parametrize("name", MODELS)
def test_quantiles_stay_in_order_through_transforms_clipping_saving_and_loading(name, tmp_path_factory):
    loaded: dict[object, Forecaster] = {}

    @holds("nets", sample=panel(freqs=("D", "QS")))
    def check(sample):
        key = (sample.freq, sample.tz)
        models = transformed(*key)
        if key not in loaded:
            loaded[key] = Forecaster.load(models.save(tmp_path_factory.mktemp("m") / "model"))
        out = predict(models, sample, level=[50, 90], quantiles=PROBS)
        same(predict(loaded[key], sample, level=[50, 90], quantiles=PROBS), out)
        columns = [f"{name}-q-{p}" for p in PROBS]
        assert np.isfinite(out[[name, *columns]]).all(axis=None)
        assert (np.diff(out[columns].to_numpy(), axis=1) >= 0).all()
        if name in ("counts", "recursive"):
            assert (out[[name, *columns]] >= 0).all(axis=None)
        if name == "counts":
            np.testing.assert_array_equal(out[[name, *columns]], np.rint(out[[name, *columns]]))
        if name in ("net", "recursive"):
            np.testing.assert_array_equal(out[name], out[f"{name}-q-0.5"])


def test_whole_numbers_stay_exact_ids():
    @holds("closed", ids=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5, unique=True))
    def check(ids):
        frame = pd.DataFrame(
            {"unique_id": np.repeat(np.array(ids, np.int64), 4), "ds": np.tile(np.arange(4), len(ids))}
        )
        out = Forecaster("naive", h=1, freq=1, progress=False).fit(frame.assign(y=1.0)).predict()
        assert out["unique_id"].tolist() == ids
        assert out["unique_id"].dtype == np.int64
