"""The statistical models against statsmodels called directly, and what happens to series they cannot fit."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from forecast.baselines.batched_ets import BatchedETS
from forecast.baselines.dynamic_theta import DynamicTheta
from forecast.baselines.local import Ask
from forecast.baselines.naive import SeasonalNaive
from forecast.baselines.series import Estimate, SeriesModel, quiet
from forecast.baselines.statistical import ETS, SARIMAX, STLETS, HoltWinters, Theta
from forecast.baselines.variance import smoothing_growth
from forecast.errors import ConfigError
from forecast.model import Fitted, Model, Task

NAN = float("nan")
ALL = [ETS(), HoltWinters(), Theta(), SARIMAX(order=(0, 1, 1)), STLETS(), BatchedETS(), DynamicTheta()]
PROBS = (0.1, 0.5, 0.9)


@pytest.fixture(scope="module")
def unit(wave):
    """A seasonal series whose mean absolute value is 1, so that scaling changes nothing."""
    y = wave(72)
    return y / np.abs(y).mean()


def test_ets_of_a_given_form_equals_statsmodels(predict, unit):
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    model = ETS(error="add", trend="add", damped=True, seasonal="add")
    result = predict(model, [unit], 15, 12, (0.1, 0.9))
    reference = ETSModel(
        pd.Series(unit), trend="add", damped_trend=True, seasonal="add", seasonal_periods=12,
        initialization_method="heuristic",
    ).fit(disp=False)  # fmt: skip
    ahead = reference.get_prediction(start=72, end=86)
    np.testing.assert_allclose(result.point[0], ahead.predicted_mean, rtol=1e-4)
    # statsmodels divides the squared errors by their number, we by the degrees of freedom.
    spread = np.sqrt(ahead.forecast_variance * 72 / (72 - 4)) * 2 * 1.2815515655446004
    np.testing.assert_allclose(np.diff(result.quantiles[0])[:, 0], spread, rtol=1e-3)


def test_ets_chooses_the_smallest_criterion_among_its_forms(unit):
    from forecast.baselines.ets import choose, forms

    candidates = forms("auto", "auto", None, "auto", 12)
    assert len(candidates) == 8
    assert len(forms("auto", "auto", None, "auto", 1)) == 6
    with quiet():
        criteria = [choose(unit, [form], 12).criterion for form in candidates]
        best = choose(unit, candidates, 12)
    assert best.criterion == min(criteria)
    assert best.form.seasonal != "none"


def test_simulated_intervals_agree_with_closed_ones(predict, wave):
    y = 1000 + wave(60)  # so far from zero that ratios are differences
    closed = predict(ETS(error="add", trend="none", seasonal="none"), [y], 6, 1, PROBS)
    simulated = predict(ETS(error="mul", trend="none", seasonal="none"), [y], 6, 1, PROBS)
    np.testing.assert_allclose(simulated.point, closed.point, rtol=1e-4)
    np.testing.assert_allclose(np.diff(simulated.quantiles), np.diff(closed.quantiles), rtol=0.15)


@pytest.mark.parametrize(("trend", "damped"), [(None, False), ("add", False), ("add", True)])
@pytest.mark.parametrize("seasonal", [None, "add"])
def test_error_growth_equals_the_textbooks_closed_forms(unit, trend, damped, seasonal):
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    model = ETSModel(
        pd.Series(unit), trend=trend, damped_trend=damped, seasonal=seasonal, seasonal_periods=12 if seasonal else None,
        initialization_method="heuristic",
    )  # fmt: skip
    params = {"smoothing_level": 0.3, "smoothing_trend": 0.1, "smoothing_seasonal": 0.2, "damping_trend": 0.9}
    values = [params[name] for name in model.param_names]
    results = model.smooth(np.array(values))
    expected = results.get_prediction(start=72, end=72 + 29).forecast_variance / results.mse
    growth = smoothing_growth(
        30, 0.3, 0.1 if trend else 0.0, 0.2 if seasonal else 0.0, 0.9 if damped else 1.0, 12 if seasonal else 1
    )
    np.testing.assert_allclose(growth, expected, rtol=1e-10)


def test_holt_winters_equals_statsmodels(predict, unit):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    reference = ExponentialSmoothing(
        unit, trend="add", damped_trend=True, seasonal="add", seasonal_periods=12, initialization_method="heuristic"
    ).fit(use_brute=False)
    result = predict(HoltWinters(), [unit], 15, 12)
    np.testing.assert_allclose(result.point[0], reference.forecast(15), rtol=1e-4)


@pytest.mark.parametrize("shift", [0.0, -2.0])
def test_theta_equals_statsmodels(predict, unit, shift):
    from statsmodels.tsa.forecasting.theta import ThetaModel

    y = (unit + shift) / np.abs(unit + shift).mean()
    result = predict(Theta(), [y], 15, 12, PROBS)
    np.testing.assert_allclose(result.point[0], ThetaModel(y, period=12).fit().forecast(15), rtol=1e-6)
    assert (np.diff(result.quantiles) > 0).all()


def test_theta_widens_from_the_errors_that_its_own_forecasts_made(wave):
    from statsmodels.tsa.forecasting.theta import ThetaModel

    from forecast.baselines.theta import _errors

    y = wave(40)
    alpha, slope = 0.4, 0.03
    model = ThetaModel(y, deseasonalize=False, period=1).fit()
    model._alpha, model._b0 = alpha, slope
    errors = []
    for n in range(1, 40):  # what statsmodels' formula gives for one step after n rows
        level = y[0]
        for value in y[:n]:
            level = alpha * value + (1 - alpha) * level
        model._one_step, model._nobs = level, n
        errors.append(y[n] - float(model.forecast(1).iloc[0]))
    np.testing.assert_allclose(_errors(y, slope / 2, alpha), errors, rtol=1e-10)


def test_sarimax_equals_statsmodels_on_the_series_itself(predict, unit):
    from statsmodels.tsa.statespace.sarimax import SARIMAX as Reference

    reference = Reference(unit, order=(0, 1, 1), seasonal_order=(0, 1, 1, 12)).fit(disp=False).get_forecast(12)
    result = predict(SARIMAX(order=(0, 1, 1)), [unit], 12, 12, (0.1, 0.9))
    # The likelihood is that of the differenced series: nearly the same parameters.
    np.testing.assert_allclose(result.point[0], reference.predicted_mean, rtol=0.02)
    low, high = reference.conf_int(alpha=0.2).T
    np.testing.assert_allclose(np.diff(result.quantiles[0])[:, 0], high - low, rtol=0.1)


def test_sarimax_without_parameters_is_the_random_walk(predict, unit):
    result = predict(SARIMAX(order=(0, 1, 0), seasonal_order=(0, 0, 0)), [unit], 3, 12)
    np.testing.assert_allclose(result.point[0], unit[-1])


def test_stl_ets_equals_statsmodels(predict, unit):
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel
    from statsmodels.tsa.forecasting.stl import STLForecast

    options = {"error": "add", "initialization_method": "heuristic"}
    reference = STLForecast(unit, ETSModel, model_kwargs=options, period=12, seasonal=13).fit(
        fit_kwargs={"disp": False}
    )
    result = predict(STLETS(trend="none", seasonal_window=13), [unit], 20, 12)
    np.testing.assert_allclose(result.point[0], reference.forecast(20), rtol=1e-5)


@pytest.mark.parametrize("model", [ETS(error="add", trend="none"), Theta()], ids=["ETS", "Theta"])
def test_intervals_of_random_walks_hold_what_they_promise(model, predict):
    walks = 50 + np.cumsum(np.random.default_rng(7).standard_normal((250, 61)), axis=1)
    result = predict(model, list(walks[:, :60]), 1, 1, (0.1, 0.9))
    inside = (walks[:, 60:] >= result.quantiles[..., 0]) & (walks[:, 60:] <= result.quantiles[..., 1])
    assert 0.73 <= inside.mean() <= 0.87


@pytest.mark.parametrize("model", ALL, ids=lambda model: type(model).__name__)
class TestEveryStatisticalModel:
    def test_satisfies_the_protocols_and_describes_itself_in_json(self, model, make_panel):
        fitted = model.fit(make_panel([[1.0, 2.0]]), Task(1, 7))
        assert isinstance(model, Model)
        assert isinstance(fitted, Fitted)
        facts = fitted.describe()
        assert facts["season_length"] == 7
        assert json.loads(json.dumps(facts)) == facts

    def test_a_constant_series_is_forecast_by_its_constant(self, model, predict):
        result = predict(model, [[0.1] * 40, [0.0] * 40, [-1e30] * 40], 5, 4, PROBS)
        np.testing.assert_array_equal(result.point, np.repeat([[0.1], [0.0], [-1e30]], 5, axis=1))
        np.testing.assert_array_equal(result.quantiles, np.repeat(result.point[..., None], 3, axis=2))
        assert result.reasons == {}

    def test_a_series_of_one_value_is_forecast_by_the_naive_with_a_reason(self, model, predict):
        result = predict(model, [[NAN, 3.0, NAN]], 2, 4, PROBS)
        np.testing.assert_array_equal(result.point, 3.0)
        assert result.reasons[0].startswith(f"{type(model).__name__}: 1 known value; ")
        assert "naive instead of seasonal_naive" in result.reasons[0]

    def test_a_series_without_known_values_gets_a_reason(self, model, predict):
        result = predict(model, [[NAN, NAN], []], 2, 4, PROBS)
        assert np.isnan(result.point).all()
        assert "no value of this series is known" in result.reasons[0]

    def test_short_series_are_forecast_without_a_season_and_say_so(self, model, predict, wave):
        result = predict(model, [wave(n, 12) for n in range(2, 24)], 14, 12, PROBS)
        assert np.isfinite(result.quantiles).all()
        assert sorted(result.reasons) == list(range(22))

    def test_forecasts_do_not_depend_on_neighbours_or_order(self, model, predict, wave):
        series = [wave(48, seed=1), wave(30, seed=2) * 1e6, [1.0, 2.0, 4.0]]
        together = predict(model, series, 6, 12, PROBS)
        for position, y in enumerate(series):
            np.testing.assert_array_equal(predict(model, [y], 6, 12, PROBS).quantiles[0], together.quantiles[position])
        backwards = predict(model, series[::-1], 6, 12, PROBS)
        np.testing.assert_array_equal(backwards.quantiles[::-1], together.quantiles)

    def test_what_lies_after_the_cutoff_changes_nothing(self, model, make_panel, wave):
        poisoned = make_panel([[*wave(48), 1e9, NAN, -1e9], wave(40)])
        clean = make_panel([wave(48), wave(40)])
        fitted = model.fit(clean, Task(6, 12, progress=False))
        seen = fitted.predict(poisoned.head(np.array([48, 40])), 6, PROBS)
        np.testing.assert_array_equal(seen.quantiles, fitted.predict(clean, 6, PROBS).quantiles)

    def test_a_change_of_unit_is_followed(self, model, predict, wave):
        plain = predict(model, [wave(60)], 6, 12, PROBS)
        for factor in (1e-30, 1e25):
            scaled = predict(model, [factor * wave(60)], 6, 12, PROBS)
            np.testing.assert_allclose(scaled.quantiles, factor * plain.quantiles, rtol=1e-4)
            assert scaled.reasons == plain.reasons == {}

    def test_a_far_level_with_unit_noise_is_forecast_near_its_level(self, model, predict, wave):
        result = predict(model, [1e12 + wave(60)], 6, 12, PROBS)
        assert np.abs(result.quantiles - 1e12).max() < 30
        assert result.reasons == {}

    def test_numbers_of_any_size_and_kind_give_finite_ordered_quantiles(self, model, predict):
        rng = np.random.default_rng(0)
        series = [
            10.0 ** rng.uniform(-30, 30, 40),
            -(10.0 ** rng.uniform(-30, 30, 40)),
            np.where(np.arange(40) == 20, 1e30, 0.0),
            np.where(rng.uniform(size=40) < 0.2, 3.0, 0.0),
            np.arange(40.0),
            2.0 ** np.arange(40),
            np.where(np.arange(40) < 20, 1.0, 1e6),
            np.tile([1.0, 5.0, 2.0, 8.0], 10),
            np.r_[np.ones(39), 2.0],
        ]
        result = predict(model, series, 8, 4, PROBS)
        assert np.isfinite(result.point).all()
        assert np.isfinite(result.quantiles).all()
        assert (np.diff(result.quantiles, axis=-1) >= 0).all()

    def test_unknown_values_are_filled_by_lines_and_the_last_value(self, model, predict, wave):
        y = wave(60)
        y[[10, 11, 30]] = [y[9] + (y[12] - y[9]) / 3, y[9] + (y[12] - y[9]) * 2 / 3, (y[29] + y[31]) / 2]
        y[-1] = y[-2]
        holes = y.copy()
        holes[[10, 11, 30, 59]] = NAN
        np.testing.assert_allclose(
            predict(model, [[NAN, NAN, *holes]], 6, 12, PROBS).quantiles, predict(model, [y], 6, 12, PROBS).quantiles,
            rtol=1e-5,
        )  # fmt: skip

    def test_shorter_horizons_are_the_beginning_of_longer_ones(self, model, predict, wave):
        long, short = (predict(model, [wave(60)], h, 12, PROBS) for h in (14, 5))
        np.testing.assert_allclose(short.quantiles, long.quantiles[:, :5], rtol=1e-9)

    def test_nothing_is_printed_or_warned(self, model, predict, wave, capfd):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            predict(model, [wave(30), 2.0 ** np.arange(30)], 6, 12, PROBS)
        assert caught == []
        assert capfd.readouterr() == ("", "")


@dataclass(frozen=True)
class Broken(SeriesModel):
    """A model that fails in the way of the series' first value."""

    max_length: int = 100

    def fit_series(self, y, ask: Ask) -> Estimate:
        """Raise, or return something useless."""
        kind = round(y[0] / y[1])
        if kind == 1:
            raise np.linalg.LinAlgError("Singular matrix\nand so on")
        if kind == 2:
            return Estimate(np.full(ask.h, np.inf), np.zeros((ask.h, len(ask.probs))))
        if kind == 3:
            return Estimate(np.full(ask.h, 1e9), np.zeros((ask.h, len(ask.probs))))
        if kind == 4:
            return Estimate(np.zeros(ask.h), np.full((ask.h, len(ask.probs)), np.nan))
        raise ZeroDivisionError("float division by zero")


def test_every_failure_falls_back_to_the_seasonal_naive_with_its_cause(predict):
    series = [[kind, 1.0, 3.0, 4.0] for kind in (1.1, 2.0, 3.0, 4.0, 5.0)]
    result = predict(Broken(), series, 3, 2, PROBS)
    spare = predict(SeasonalNaive(), series, 3, 2, PROBS)
    np.testing.assert_array_equal(result.point, spare.point)
    np.testing.assert_array_equal(result.quantiles, spare.quantiles)
    assert result.reasons == {
        0: "Broken: LinAlgError: Singular matrix; seasonal_naive instead",
        1: "Broken: the forecast is not finite; seasonal_naive instead",
        2: "Broken: the forecast exceeds 1e+06 times the size of the series; seasonal_naive instead",
        3: "Broken: the forecast is not finite; seasonal_naive instead",
        4: "Broken: ZeroDivisionError: float division by zero; seasonal_naive instead",
    }


def test_sarimax_leaves_very_long_seasons_to_the_seasonal_naive(predict, wave):
    result = predict(SARIMAX(), [wave(400)], 6, 168)
    np.testing.assert_array_equal(result.point, predict(SeasonalNaive(), [wave(400)], 6, 168).point)
    assert "a season of 168 steps" in result.reasons[0]


def test_multiplicative_forms_of_negative_values_fall_back_with_the_cause(predict, wave):
    result = predict(ETS(error="mul"), [-wave(40)], 3, 12)
    assert "positive values" in result.reasons[0]


def test_only_the_latest_rows_are_fitted(predict, wave):
    y = wave(100)
    result = predict(ETS(max_length=60), [np.r_[1e6 * y, y[:60]]], 6, 12)
    np.testing.assert_array_equal(result.point, predict(ETS(), [y[:60]], 6, 12).point)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ETS(error="none"), "error='none'"),
        (lambda: ETS(trend=None), "trend=None"),
        (lambda: ETS(damped=1), "damped=1"),
        (lambda: ETS(trend="none", damped=True), "damped=True needs a trend"),
        (lambda: ETS(max_length=3), "max_length=3"),
        (lambda: HoltWinters(seasonal="auto"), "seasonal='auto'"),
        (lambda: HoltWinters(season_length=0), "season_length=0"),
        (lambda: Theta(theta=0.5), "theta=0.5"),
        (lambda: SARIMAX(order=(1, 1)), "order=(1, 1)"),
        (lambda: SARIMAX(seasonal_order=(0, -1, 0)), "seasonal_order=(0, -1, 0)"),
        (lambda: STLETS(seasonal_window=8), "seasonal_window=8"),
    ],
)
def test_impossible_settings_are_refused_by_name(build, words):
    with pytest.raises(ConfigError) as caught:
        build()
    assert words in str(caught.value)


def test_orders_read_from_yaml_as_lists_become_tuples():
    assert SARIMAX(order=[2, 0, 0]).order == (2, 0, 0)  # type: ignore[arg-type]
