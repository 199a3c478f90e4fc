"""What must hold for every model and baseline, whatever the data: leakage, order, neighbours, batch size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast import Forecaster, Training
from forecast.models import create, entries
from forecast.nets.facts import needs_of
from forecast.training import neural
from tests.conftest import seasonal_frame

QUICK = Training(max_steps=2, batch_size=8, cycles=1, validations=1)
SMALL = {"input_size": 12, "hidden_size": 8, "segment": 4}
# Nets of static features alone do not depend on a history: tests/nets/test_cold_start.py has their invariants.
NETS = [name for name, entry in entries().items() if entry.is_net and not needs_of(create(name)).cold]
BASELINES = [name for name, entry in entries().items() if entry.group == "baseline"]
CHEAP = ["naive", "seasonal_naive", "drift", "historic_mean", "naive2"]
EVERY = NETS + BASELINES
MULTIPLICATIVE = ("naive2", "es_rnn")  # their seasons are ratios: units pass through, levels do not
PERSONAL = ("es_rnn",)  # what they learned of a series they were trained on goes with its name
H = 3


def model_of(name: str):
    """The model called ``name``, its net made tiny."""
    model = create(name)
    fields = {key: value for key, value in SMALL.items() if hasattr(model, key)} if entries()[name].is_net else {}
    return replace(model, **fields) if fields else model


def forecaster(name: str, **options) -> Forecaster:
    return Forecaster({name: model_of(name)}, h=H, freq="MS", training=QUICK, progress=False, **options)


@pytest.fixture(scope="module")
def fitted() -> dict[str, Forecaster]:
    frame = seasonal_frame(3, 60)
    return {name: forecaster(name).fit(frame) for name in EVERY}


def by_id(out: pd.DataFrame, name: str) -> dict[str, np.ndarray]:
    return {key: rows[name].to_numpy() for key, rows in out.groupby("unique_id")}


@pytest.mark.parametrize("name", EVERY)
def test_rows_after_the_cutoff_change_no_forecast(name):
    frame = seasonal_frame(2, 50)
    position = frame.groupby("unique_id").cumcount(ascending=False)
    poisoned = frame.assign(y=frame["y"].mask(position < H, 1e9))
    one = forecaster(name).cross_validation(frame, level=[80])
    two = forecaster(name).cross_validation(poisoned, level=[80])
    pd.testing.assert_frame_equal(one.drop(columns="y"), two.drop(columns="y"), check_exact=True)


@pytest.mark.parametrize("name", EVERY)
def test_rows_after_the_first_cutoff_do_not_reach_the_fit(name):
    frame = seasonal_frame(2, 50)
    position = frame.groupby("unique_id").cumcount(ascending=False)
    poisoned = frame.assign(y=frame["y"].mask(position < 2 * H, 1e9))
    one, two = (forecaster(name).cross_validation(f, n_windows=2) for f in (frame, poisoned))
    first = one["cutoff"] == one.groupby("unique_id")["cutoff"].transform("min")
    pd.testing.assert_frame_equal(one[first].drop(columns="y"), two[first].drop(columns="y"), check_exact=True)


@pytest.mark.parametrize("name", EVERY)
def test_row_order_changes_nothing(name, fitted):
    frame = seasonal_frame(3, 60)
    shuffled = frame.sample(frac=1.0, random_state=3)
    one, two = by_id(fitted[name].predict(), name), by_id(forecaster(name).fit(shuffled).predict(), name)
    for key, values in one.items():
        np.testing.assert_allclose(two[key], values, rtol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_renaming_series_changes_nothing(name, fitted):
    frame = seasonal_frame(3, 60)
    renamed = frame.assign(unique_id=frame["unique_id"].map({"s0": "z", "s1": "m", "s2": "a"}))
    one, two = by_id(fitted[name].predict(), name), by_id(forecaster(name).fit(renamed).predict(), name)
    np.testing.assert_array_equal(one["s0"], two["z"])
    np.testing.assert_array_equal(one["s2"], two["a"])


@pytest.mark.parametrize("name", EVERY)
def test_a_forecast_does_not_depend_on_its_neighbours(name, fitted):
    frame = seasonal_frame(3, 60)
    together = by_id(fitted[name].predict(frame, level=[80]), f"{name}-hi-80")
    for key, rows in frame.groupby("unique_id"):
        alone = fitted[name].predict(rows, level=[80])[f"{name}-hi-80"].to_numpy()
        np.testing.assert_allclose(alone, together[key], rtol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_a_forecast_does_not_depend_on_the_batch_size(name, fitted, monkeypatch):
    frame = seasonal_frame(7, 60, seed=4)
    whole = fitted[name].predict(frame)[name].to_numpy()
    for size in (1, 3):
        monkeypatch.setattr(neural, "PREDICT_BATCH", size)
        np.testing.assert_allclose(fitted[name].predict(frame)[name], whole, rtol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_a_series_under_two_names_gets_one_forecast(name, fitted):
    one = "new" if name in PERSONAL else "s0"
    frame = seasonal_frame(1, 60).assign(unique_id=one)
    out = by_id(fitted[name].predict(pd.concat([frame, frame.assign(unique_id="twin")])), name)
    np.testing.assert_allclose(out["twin"], out[one], rtol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_a_constant_series_is_forecast_as_its_constant(name, fitted):
    flat = seasonal_frame(1, 60).assign(y=42.0)
    out = fitted[name].predict(flat, level=[90])
    np.testing.assert_allclose(out[name], 42.0, rtol=1e-6)
    assert np.isfinite(out.drop(columns=["unique_id", "ds"])).all(axis=None)


@pytest.mark.parametrize("name", NETS + CHEAP)
def test_level_and_unit_pass_through_to_the_forecast(name, fitted):
    frame = seasonal_frame(3, 60)
    shift = 0.0 if name in MULTIPLICATIVE else 1000.0
    scaled = frame.assign(y=frame["y"] * 250.0 + shift)
    expected = fitted[name].predict(frame)[name] * 250.0 + shift
    np.testing.assert_allclose(fitted[name].predict(scaled)[name], expected, rtol=1e-4)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")
def test_unknown_leading_rows_change_nothing(name, fitted):
    frame = seasonal_frame(1, 30)
    earlier = pd.DataFrame(
        {"unique_id": "s0", "ds": pd.date_range(end="2014-12-01", periods=9, freq="MS"), "y": np.nan}
    )
    one = fitted[name].predict(frame)[name]
    np.testing.assert_array_equal(fitted[name].predict(pd.concat([earlier, frame]))[name], one)


@pytest.mark.parametrize("name", NETS)
def test_no_forecast_has_a_gradient_from_the_future(name, fitted):
    net = fitted[name]._fitted[name].net
    from forecast.windows.gather import Batch

    past = torch.randn(2, 12, requires_grad=True)
    truth = torch.randn(2, H, requires_grad=True)
    net(Batch(past, None, truth, None, 1.0)).sum().backward()
    assert past.grad is not None
    assert truth.grad is None or not truth.grad.any()


values = st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=1, max_size=50)


@settings(max_examples=25)
@given(
    y=values,
    decade=st.sampled_from([1e-30, 1e-9, 1.0, 1e9, 1e24]),
    kind=st.sampled_from(["raw", "constant", "zero", "spike"]),
)
@pytest.mark.parametrize("name", ["segrnn", "seq2seq", "deepar", "es_rnn", *CHEAP])
@pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")
def test_any_finite_history_gives_finite_ordered_forecasts(name, y, decade, kind, fitted):
    data = np.array(y) * decade
    if kind == "constant":
        data = np.full(len(y), data[0])
    elif kind == "zero":
        data = np.zeros(len(y))
    elif kind == "spike":
        data[-1] = 1e30
    frame = pd.DataFrame({"unique_id": "x", "ds": pd.date_range("2000-01-01", periods=len(y), freq="MS"), "y": data})
    out = fitted[name].predict(frame, level=[50, 90])
    columns = [f"{name}-lo-90", f"{name}-lo-50", f"{name}-hi-50", f"{name}-hi-90"]
    assert np.isfinite(out[[name, *columns]]).all(axis=None)
    assert (np.diff(out[columns].to_numpy(), axis=1) >= 0).all()


def test_on_white_noise_no_net_beats_the_mean(frame):
    rng = np.random.default_rng(0)
    n, length = 30, 80
    noise = pd.DataFrame(
        {
            "unique_id": np.repeat([f"n{i}" for i in range(n)], length),
            "ds": np.tile(pd.date_range("2000-01-01", periods=length, freq="MS"), n),
            "y": rng.standard_normal(n * length),
        }
    )
    models = {"net": model_of("segrnn"), "mean": "historic_mean"}
    cv = Forecaster(models, h=6, max_steps=150, progress=False).cross_validation(noise, n_windows=2)
    gain = (cv["y"] - cv["mean"]).abs() - (cv["y"] - cv["net"]).abs()
    assert gain.mean() < 3 * gain.std() / np.sqrt(len(gain))


@pytest.mark.parametrize("name", ["segrnn", "seq2seq", *BASELINES])
@pytest.mark.parametrize("missing", ["interpolate", "ffill", "zero", "mask"])
def test_a_gap_across_the_cutoff_carries_nothing_back(name, missing):
    frame = seasonal_frame(2, 50)
    position = frame.groupby("unique_id").cumcount(ascending=False)
    gap = frame.assign(y=frame["y"].mask(position.between(H - 1, H + 4)))
    poisoned = gap.assign(y=gap["y"].mask(position < H - 1, 1e9))
    one = forecaster(name, missing=missing).cross_validation(gap, level=[80])
    two = forecaster(name, missing=missing).cross_validation(poisoned, level=[80])
    pd.testing.assert_frame_equal(one.drop(columns="y"), two.drop(columns="y"), check_exact=True)
    assert one["y"].isna().sum() == 2  # one a series: nothing invented is scored


@pytest.mark.parametrize("missing", ["interpolate", "ffill", "zero"])
def test_a_forecast_on_a_history_with_gaps_is_that_on_the_filled_one(missing):
    frame = seasonal_frame(1, 50)
    gaps = frame.assign(y=frame["y"].mask(frame.index % 7 == 3))
    filled = gaps["y"].interpolate() if missing == "interpolate" else gaps["y"].ffill()
    filled = gaps["y"].fillna(0.0) if missing == "zero" else filled
    one = forecaster("segrnn", missing=missing).fit(gaps).predict(level=[80])
    two = forecaster("segrnn").fit(frame.assign(y=filled)).predict(level=[80])
    pd.testing.assert_frame_equal(one, two)
