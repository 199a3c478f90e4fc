"""Exponential smoothing of many series at once: against statsmodels, and against itself in other company."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.baselines.batched import Block
from forecast.baselines.batched_ets import BatchedETS
from forecast.baselines.batched_likelihood import BOUNDS, FormFit, fit_form
from forecast.baselines.batched_recursion import States, ahead, parameter_names, rates, smooth
from forecast.baselines.batched_start import initial_states
from forecast.baselines.dynamic_theta import DynamicTheta
from forecast.baselines.ets import Form, forms
from forecast.baselines.series import quiet
from forecast.baselines.statistical import ETS
from forecast.errors import ConfigError
from forecast.resources import datasets_dir

PROBS = (0.1, 0.5, 0.9)
TRENDS = [("none", False), ("add", False), ("add", True)]
SMOOTHING = {"alpha": 0.3, "beta": 0.2, "phi": 0.9, "gamma": 0.25}


@cache
def real_series() -> dict[str, tuple[np.ndarray, int]]:
    """Series that ship with statsmodels or the project, near 1, and their seasons."""
    from statsmodels.datasets import co2, elnino, sunspots

    passengers = pd.read_csv(datasets_dir() / "airpassengers.csv")
    carbon = co2.load_pandas().data["co2"].resample("MS").mean().interpolate()
    found = {
        "airpassengers": (passengers.iloc[:, -1].to_numpy(np.float64), 12),
        "elnino": (elnino.load_pandas().data.iloc[-20:, 1:].to_numpy(np.float64).ravel(), 12),
        "co2": (carbon.to_numpy(np.float64)[-180:], 12),
        "sunspots": (sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(np.float64)[-120:], 1),
    }
    return {name: (y / np.abs(y).mean(), season) for name, (y, season) in found.items()}


def fitted(form: Form, series: list[np.ndarray], season: int) -> tuple[FormFit, States]:
    """One form fitted to series that fall in length, and where it started."""
    start = initial_states(series, form.seasonal, season, form.trend != "none")
    return fit_form(form, Block.of(series)[0], start), start


def names_of(form: Form) -> str:
    return "-".join(map(str, form))


@pytest.mark.parametrize("seasonal", ["none", "add", "mul"])
@pytest.mark.parametrize(("trend", "damped"), TRENDS)
def test_one_step_errors_equal_those_of_statsmodels(wave, trend, damped, seasonal):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    form = Form("add", trend, damped, seasonal)
    y = wave(61)
    start = initial_states([y], seasonal, 12, trend == "add")
    x = np.array([SMOOTHING[name] for name in parameter_names(form)])
    errors = []
    smooth(form, x[:, None, None], start, Block.of([y])[0], lambda error, fitted: errors.append(float(error[0, 0])))
    gain = rates(form, x)
    model = ExponentialSmoothing(
        y,
        trend=trend if trend == "add" else None,
        damped_trend=damped,
        seasonal=seasonal if seasonal != "none" else None,
        seasonal_periods=12 if seasonal != "none" else None,
        initialization_method="known",
        initial_level=float(start.level[0]),
        initial_trend=float(start.trend[0]) if trend == "add" else None,
        initial_seasonal=start.season[:, 0] if seasonal != "none" else None,
    )
    reference = model.fit(
        smoothing_level=float(gain.level),
        smoothing_trend=float(gain.trend / gain.level),
        smoothing_seasonal=float(gain.season),
        damping_trend=float(gain.damping),
        optimized=False,
    )
    np.testing.assert_allclose(errors, reference.resid, atol=1e-10)


@pytest.mark.parametrize(
    "form", forms("auto", "auto", None, "auto", 1) + forms("add", "add", None, "add", 12), ids=names_of
)
def test_the_likelihood_equals_that_of_statsmodels(wave, form):
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    y = wave(55) / 10
    fit, start = fitted(form, [y], 12)
    seasonal = form.seasonal != "none"
    model = ETSModel(
        y,
        error=form.error,
        trend=form.trend if form.trend != "none" else None,
        damped_trend=form.damped,
        seasonal=form.seasonal if seasonal else None,
        seasonal_periods=12 if seasonal else None,
        initialization_method="heuristic",
    )
    np.testing.assert_allclose(start.level, model.initial_level, rtol=1e-12)
    if seasonal:
        np.testing.assert_allclose(start.season[:, 0], model.initial_seasonal, atol=1e-12)
    gain = rates(form, fit.x[:, 0])
    named = {
        "smoothing_level": gain.level,
        "smoothing_trend": gain.trend,
        "smoothing_seasonal": gain.season,
        "damping_trend": gain.damping,
    }
    likelihood = model.loglike(np.array([named[name] for name in model.param_names]))
    assert -0.5 * (fit.deviance[0] + 55 * (1 + np.log(2 * np.pi))) == pytest.approx(likelihood, abs=1e-8)


@pytest.mark.parametrize("name", ["airpassengers", "elnino", "co2", "sunspots"])
def test_the_optimum_is_no_worse_than_that_of_statsmodels(name):
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    y, season = real_series()[name]
    for form in forms("add", "auto", None, "auto", season):
        fit, _ = fitted(form, [y], season)
        seasonal = form.seasonal != "none"
        with quiet():
            reference = ETSModel(
                y,
                trend=form.trend if form.trend != "none" else None,
                damped_trend=form.damped,
                seasonal=form.seasonal if seasonal else None,
                seasonal_periods=season if seasonal else None,
                initialization_method="heuristic",
            ).fit(disp=False)
        assert -0.5 * (fit.deviance[0] + len(y) * (1 + np.log(2 * np.pi))) > reference.llf - 0.2, form


def test_multiplicative_errors_of_a_multiplicative_season_follow_the_textbook(wave):
    """Hyndman et al. (2008), table 2.3, (M,Ad,M), written out."""
    y, form = wave(40), Form("mul", "add", True, "mul")
    start = initial_states([y], "mul", 12, True)
    x = np.array([SMOOTHING[name] for name in parameter_names(form)])
    errors = []
    block = Block.of([y])[0]
    end = smooth(form, x[:, None, None], start, block, lambda error, fitted: errors.append((error / fitted).item()))
    alpha, beta, phi, gamma = 0.3, 0.3 * 0.2, 0.9, 0.7 * 0.25
    level, trend, season = start.level[0], start.trend[0], list(start.season[:, 0])
    for t, value in enumerate(y):
        fit = (level + phi * trend) * season[t % 12]
        error = (value - fit) / fit
        assert errors[t] == pytest.approx(error, abs=1e-12)
        before = level + phi * trend
        level, trend = before * (1 + alpha * error), phi * trend + beta * before * error
        season[t % 12] *= 1 + gamma * error
    np.testing.assert_allclose(end.season[:, 0, 0], season)
    ratios = [season[(40 + k) % 12] for k in range(3)]
    expected = [(level + trend * sum(phi**j for j in range(1, k + 2))) * ratios[k] for k in range(3)]
    final = States(end.level[0], end.trend[0], end.season[:, 0])
    np.testing.assert_allclose(ahead(form, x[:, None], final, np.array([40]), 3)[0], expected)


def test_a_fit_is_the_same_to_the_last_bit_in_any_company(wave):
    series = [wave(60 - 7 * number, seed=number) for number in range(5)]
    for form in (Form("add", "add", True, "add"), Form("mul", "none", False, "mul"), Form("mul", "add", True, "none")):
        together, _ = fitted(form, series, 12)
        for column, y in enumerate(series):
            alone, _ = fitted(form, [y], 12)
            np.testing.assert_array_equal(alone.x[:, 0], together.x[:, column])
            np.testing.assert_array_equal(alone.deviance[0], together.deviance[column])
            np.testing.assert_array_equal(alone.states.level[0], together.states.level[column])


def test_parameters_stay_within_their_bounds(wave):
    series = [wave(50, seed=number) ** power for number, power in enumerate((1, 2, 3))]
    form = Form("add", "add", True, "add")
    fit, _ = fitted(form, series, 12)
    for row, name in zip(fit.x, parameter_names(form), strict=True):
        assert ((row >= BOUNDS[name][0]) & (row <= BOUNDS[name][1])).all()


@pytest.mark.parametrize(
    ("error", "trend", "seasonal"), [("add", "none", "none"), ("add", "add", "add"), ("mul", "none", "none")]
)
def test_a_single_form_is_forecast_as_by_ets(predict, wave, error, trend, seasonal):
    y = wave(72)
    options = {"error": error, "trend": trend, "damped": trend == "add", "seasonal": seasonal}
    ours, theirs = (predict(cls(**options), [y], 15, 12, PROBS) for cls in (BatchedETS, ETS))
    np.testing.assert_allclose(ours.point, theirs.point, rtol=2e-3)
    np.testing.assert_allclose(ours.quantiles, theirs.quantiles, rtol=0.02)


def test_the_average_weighs_each_form_by_its_likelihood(predict, wave):
    y = wave(48)
    scaled = y / np.abs(y).mean()
    candidates = forms("auto", "auto", None, "none", 1)
    criteria, points = [], []
    for form in candidates:
        fit, _ = fitted(form, [scaled], 1)
        criteria.append(fit.deviance[0] + 2 * form.parameters(1))
        points.append(ahead(form, fit.x, fit.states, np.array([48]), 4)[0])
    weights = np.exp(-0.5 * (np.array(criteria) - min(criteria)))
    weights[weights < 0.02] = 0.0
    expected = np.average(points, axis=0, weights=weights) * np.abs(y).mean()
    np.testing.assert_allclose(predict(BatchedETS(seasonal="none"), [y], 4, 1).point[0], expected)
    best = points[int(np.argmin(criteria))] * np.abs(y).mean()
    chosen = predict(BatchedETS(seasonal="none", average=False), [y], 4, 1)
    np.testing.assert_allclose(chosen.point[0], best)


@pytest.mark.parametrize("criterion", ["aic", "aicc", "bic"])
def test_a_criterion_charges_what_it_says(criterion, predict, wave):
    model = BatchedETS(criterion=criterion)
    rows, k = np.array([20, 40]), 6
    expected = {"aic": [12, 12], "aicc": [12 + 84 / 13, 12 + 84 / 33], "bic": 6 * np.log([20, 40])}[criterion]
    np.testing.assert_allclose(model._penalty(k, rows), expected)
    assert predict(model, [wave(40)], 3, 12).reasons == {}


@pytest.mark.parametrize("seasonal", ["add", "mul"])
def test_simulated_intervals_agree_with_closed_ones(predict, wave, seasonal):
    """Over two seasons, so that the updated season matters; far from zero ratios are differences."""
    y = 1000 + wave(60)
    closed = predict(BatchedETS(error="add", trend="none", seasonal="add"), [y], 24, 12, PROBS)
    simulated = predict(BatchedETS(error="mul", trend="none", seasonal=seasonal), [y], 24, 12, PROBS)
    np.testing.assert_allclose(simulated.point, closed.point, rtol=1e-4)
    np.testing.assert_allclose(np.diff(simulated.quantiles), np.diff(closed.quantiles), rtol=0.2)


def test_intervals_of_random_walks_hold_what_they_promise(predict):
    walks = 50 + np.cumsum(np.random.default_rng(7).standard_normal((250, 61)), axis=1)
    result = predict(BatchedETS(error="add", trend="none"), list(walks[:, :60]), 1, 1, (0.1, 0.9))
    inside = (walks[:, 60:] >= result.quantiles[..., 0]) & (walks[:, 60:] <= result.quantiles[..., 1])
    assert 0.73 <= inside.mean() <= 0.87


def test_a_long_season_is_fitted_too(predict):
    rng = np.random.default_rng(0)
    pattern = 10.0 + 2.0 * rng.standard_normal(168)
    series = [np.resize(pattern, rows) + 0.3 * rng.standard_normal(rows) for rows in (800, 700)]
    result = predict(BatchedETS(), series, 168, 168, PROBS)
    for number, y in enumerate(series):
        truth = np.resize(np.roll(pattern, -(len(y) % 168)), 168)
        assert np.abs(result.point[number] - truth).mean() < 0.5
    assert result.reasons == {}


def test_too_few_rows_to_show_the_season_are_no_reason_for_an_undamped_trend(predict):
    y = 50.0 + np.arange(20.0) + 0.1 * np.random.default_rng(0).standard_normal(20)
    monthly = predict(BatchedETS(), [y], 30, 12)
    damped = predict(BatchedETS(seasonal="none", damped=None, trend="auto"), [y], 30, 12)
    yearly = predict(BatchedETS(), [y], 30, 1)
    np.testing.assert_array_equal(monthly.point, damped.point)
    assert monthly.point[0, -1] < yearly.point[0, -1] - 1
    assert "less than two seasons" in monthly.reasons[0]


def test_only_the_latest_rows_are_fitted(predict, wave):
    y = wave(100)
    result = predict(BatchedETS(max_length=60), [np.r_[1e6 * y, y[:60]]], 6, 12)
    np.testing.assert_array_equal(result.point, predict(BatchedETS(), [y[:60]], 6, 12).point)


def test_multiplicative_forms_of_negative_values_fall_back_with_the_cause(predict, wave):
    result = predict(BatchedETS(error="mul"), [-wave(40), wave(40)], 3, 12)
    assert "positive values" in result.reasons[0]
    assert list(result.reasons) == [0]


def test_a_series_too_short_for_any_form_falls_back_with_the_cause(predict):
    result = predict(BatchedETS(), [[1.0, 2.0, 4.0, 3.0]], 2, 1)
    assert result.reasons == {0: "BatchedETS: 4 rows are too few; naive instead"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trend": "mul"}, "trend='mul'"),
        ({"criterion": "hqic"}, "criterion='hqic'"),
        ({"average": 1}, "average=1"),
        ({"trend": "none", "damped": True}, "damped=True needs a trend"),
        ({"max_length": 3}, "max_length=3"),
        ({"season_length": 0}, "season_length=0"),
    ],
)
def test_impossible_settings_are_refused_by_name(options, words):
    with pytest.raises(ConfigError, match=words):
        BatchedETS(**options)


def test_a_block_runs_through_its_rows_with_ever_fewer_series():
    block, order = Block.of([np.ones(2), np.ones(5), np.ones(3), np.ones(5)])
    assert order.tolist() == [1, 3, 2, 0]
    assert list(block.spans()) == [(0, 2, 4), (2, 3, 3), (3, 5, 2)]
    assert list(block.take(np.array([0, 3])).spans()) == [(0, 2, 2), (2, 5, 1)]
    assert all(one[1] == two[0] for one, two in pairwise(block.spans()))


@settings(max_examples=25)
@given(
    y=st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=1, max_size=50),
    unit=st.sampled_from([1e-30, 1e-9, 1.0, 1e9, 1e24]),
    kind=st.sampled_from(["raw", "positive", "counts", "spike", "steps"]),
)
@pytest.mark.parametrize("model", [BatchedETS(), DynamicTheta()], ids=lambda model: type(model).__name__)
def test_any_finite_history_gives_finite_ordered_forecasts(model, predict, y, unit, kind):
    data = np.array(y) * unit
    if kind == "positive":
        data = np.abs(data) + unit
    elif kind == "counts":
        data = np.round(np.abs(data) / unit) % 3
    elif kind == "steps":
        data = np.sign(data) * unit
    elif kind == "spike":
        data[-1] = 1e30
    result = predict(model, [data], 7, 4, PROBS)
    assert np.isfinite(result.point).all()
    assert np.isfinite(result.quantiles).all()
    assert (np.diff(result.quantiles, axis=-1) >= 0).all()
    alone = predict(model, [data, np.arange(60.0) ** 1.5], 7, 4, PROBS)
    np.testing.assert_array_equal(alone.quantiles[0], result.quantiles[0])


def test_forecasting_does_not_import_statsmodels():
    code = """
import sys, numpy as np, pandas as pd
from forecast import Forecaster
y = 10 + np.sin(np.arange(60)) + np.arange(60) / 50
frame = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2015-01-01", periods=60, freq="MS"), "y": y})
Forecaster(["batched_ets", "dynamic_theta"], h=3, freq="MS", progress=False).fit(frame).predict(level=[80])
assert "statsmodels" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
