"""Hand arithmetic: train [1, 3, 2, 4], actuals [5, 4], forecasts [4, 6]."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecast.errors import ConfigError
from forecast.report import metrics

TRAIN, Y, FORECAST = [1, 3, 2, 4], [5, 4], [4, 6]
NAN = float("nan")
vectors = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


def test_mae_and_rmse_by_hand() -> None:
    assert metrics.mae(Y, FORECAST) == 1.5
    assert metrics.rmse(Y, FORECAST) == pytest.approx(math.sqrt(2.5))


def test_smape_by_hand_on_the_m4_scale() -> None:
    assert metrics.smape(Y, FORECAST) == pytest.approx(200 * (1 / 9 + 2 / 10) / 2)
    assert metrics.smape(Y, FORECAST) == pytest.approx(31.111, abs=5e-4)


def test_smape_of_two_zeros_is_zero() -> None:
    assert metrics.smape([0.0], [0.0]) == 0
    assert metrics.smape([0.0, 1.0], [0.0, 3.0]) == 50


def test_smape_of_opposite_signs_is_two_hundred() -> None:
    assert metrics.smape([1.0], [-1.0]) == 200
    assert metrics.smape([0.0], [1e-300]) == 200


def test_mape_by_hand_leaves_actuals_of_zero_out() -> None:
    assert metrics.mape(Y, FORECAST) == pytest.approx(100 * (1 / 5 + 2 / 4) / 2)
    assert metrics.mape([5, 4, 0], [4, 6, 9]) == pytest.approx(35)
    assert math.isnan(metrics.mape([0], [1]))


@pytest.mark.parametrize(("season_length", "expected"), [(1, 0.9), (2, 1.5)])
def test_mase_by_hand(season_length: int, expected: float) -> None:
    assert metrics.mase(Y, FORECAST, TRAIN, season_length) == pytest.approx(expected)


def test_rmsse_by_hand() -> None:
    # in-sample moves 2, -1, 2: mean square 3
    assert metrics.rmsse(Y, FORECAST, TRAIN) == pytest.approx(math.sqrt(2.5 / 3))


@pytest.mark.parametrize("insample", [[3, 3, 3, 3], [3], [], [0.1 + 0.2, 0.3, 0.1 + 0.2]])
def test_mase_of_a_series_that_never_moved_is_nan(insample: list[float]) -> None:
    assert math.isnan(metrics.mase(Y, FORECAST, insample))
    assert math.isnan(metrics.rmsse(Y, FORECAST, insample))


def test_mase_of_a_series_not_longer_than_a_season_is_nan() -> None:
    assert math.isnan(metrics.mase(Y, FORECAST, TRAIN, 4))


def test_the_scale_skips_pairs_with_an_unknown_value() -> None:
    assert metrics.seasonal_scale([1, 3, NAN, 4, 9]) == (2 + 5) / 2


def test_a_small_move_at_a_high_level_is_still_a_scale() -> None:
    assert metrics.seasonal_scale([1e12, 1e12 + 1, 1e12]) == 1


def test_owa_is_a_ratio_of_means_not_a_mean_of_ratios() -> None:
    assert metrics.owa([10, 20], [1, 3], [20, 10], [2, 2]) == 1.0


@pytest.mark.parametrize(("q", "expected"), [(0.1, 0.95), (0.5, 0.75), (0.9, 0.55)])
def test_pinball_by_hand(q: float, expected: float) -> None:
    assert metrics.pinball(Y, FORECAST, q) == pytest.approx(expected)


@pytest.mark.parametrize(("q", "doubled_sum"), [(0.1, 3.8), (0.5, 3.0), (0.9, 2.2)])
def test_wql_is_twice_the_summed_pinball_over_the_summed_actuals(q: float, doubled_sum: float) -> None:
    loss = metrics.pinball_errors(np.array([5.0, 4.0]), np.array([4.0, 6.0]), q)
    assert 2 * loss.sum() == pytest.approx(doubled_sum)
    assert metrics.wql(Y, FORECAST, q) == pytest.approx(doubled_sum / 9)
    assert metrics.wql(Y, FORECAST, q) == pytest.approx({0.1: 0.4222, 0.5: 0.3333, 0.9: 0.2444}[q], abs=5e-5)


def test_crps_counts_every_pair_of_samples() -> None:
    assert metrics.crps(5, [4, 6]) == 0.5  # mean|x - y| = 1, mean over all four pairs = 1, half of it


def test_fair_crps_leaves_out_the_pairs_of_a_sample_with_itself() -> None:
    assert metrics.crps(5, [4, 6], fair=True) == 0.0
    assert math.isnan(metrics.crps(5, [4], fair=True))
    assert metrics.crps(5, [4]) == 1


def test_fair_crps_does_not_depend_on_the_number_of_draws_on_average() -> None:
    draws = np.random.default_rng(0).normal(size=(20_000, 3))
    fair = np.mean([metrics.crps(0.0, row, fair=True) for row in draws[:4000]])
    assert fair == pytest.approx(metrics.crps(0.0, draws.ravel()), abs=0.02)
    assert np.mean([metrics.crps(0.0, row) for row in draws[:4000]]) > fair + 0.1


@pytest.mark.parametrize("y", [-1.0, 0.0, 0.4, 2.5])
def test_crps_of_dense_quantiles_and_of_many_draws_is_that_of_the_normal_distribution(y: float) -> None:
    """Closed form of Gneiting and Raftery (2007), equation 21."""
    closed = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / math.sqrt(math.pi)
    probs = (np.arange(400) + 0.5) / 400
    quantiles = stats.norm.ppf(probs)
    assert metrics.crps_from_quantiles([y], quantiles[None], probs) == pytest.approx(closed, rel=0.01)
    assert metrics.crps(y, quantiles) == pytest.approx(closed, rel=0.01)


def test_scores_of_several_quantiles_are_the_plain_means() -> None:
    table = np.array([[4.0, 4.5], [6.0, 5.0]])
    probs = [0.1, 0.9]
    each = [metrics.pinball(Y, table[:, i], q) for i, q in enumerate(probs)]
    assert metrics.crps_from_quantiles(Y, table, probs) == pytest.approx(2 * np.mean(each))
    assert metrics.mean_wql(Y, table, probs) == pytest.approx(2 * np.mean(each) * 2 / 9)
    with pytest.raises(ConfigError, match=r"\(2, 2\) do not go with 2 actuals and probs \(3,\)"):
        metrics.mean_wql(Y, table, [0.1, 0.5, 0.9])


@given(vectors, st.floats(0, 1e3), st.floats(0, 1e3), st.floats(1, 99))
def test_the_interval_score_is_at_least_the_width(values: list[float], down: float, up: float, level: float) -> None:
    y = np.asarray(values)
    middle = np.roll(y, 1)
    lower, upper = middle - down, middle + up
    assert metrics.interval_score(y, lower, upper, level) >= metrics.width(y, lower, upper)


@given(vectors, st.floats(0.01, 0.99))
def test_quantile_losses_are_never_negative(values: list[float], q: float) -> None:
    y = np.asarray(values)
    wql = metrics.wql(y, np.roll(y, 1), q)
    assert math.isnan(wql) if not np.abs(y).sum() else wql >= 0
    assert metrics.crps_from_quantiles(y, np.roll(y, 1)[:, None], [q]) >= 0


def test_interval_score_and_msis_by_hand() -> None:
    assert metrics.interval_score([8], [3], [7], 95) == pytest.approx(4 + 40)
    assert metrics.interval_score([2], [3], [7], 95) == pytest.approx(4 + 40)
    assert metrics.interval_score([5], [3], [7], 95) == 4
    assert metrics.msis([8], [3], [7], 95, TRAIN) == pytest.approx(26.4)


def test_coverage_counts_the_ends_of_the_interval() -> None:
    assert metrics.coverage([1, 2, 3, 4], [1, 1, 1, 1], [3, 3, 3, 3]) == 0.75
    assert metrics.width([1, 2], [0, 1], [4, 2]) == 2.5


def test_an_interval_without_limits_covers_everything() -> None:
    assert metrics.coverage([1, 2], [-np.inf, -np.inf], [np.inf, np.inf]) == 1
    assert metrics.width([1], [-np.inf], [np.inf]) == np.inf


@pytest.mark.parametrize("metric", [metrics.mae, metrics.rmse, metrics.mape, metrics.smape])
def test_points_without_an_actual_or_a_forecast_are_left_out(metric) -> None:
    assert metric([5, NAN, 4, 1], [4, 1, 6, NAN]) == metric(Y, FORECAST)
    assert math.isnan(metric([NAN], [1]))
    assert math.isnan(metric([], []))


def test_vectors_of_different_lengths_are_refused_with_their_shapes() -> None:
    with pytest.raises(ConfigError, match=r"\(2,\), \(3,\)"):
        metrics.mae([1, 2], [1, 2, 3])


@pytest.mark.parametrize("season_length", [0, -1, 1.5, True, "7", None])
def test_a_season_that_is_no_whole_number_of_steps_is_refused(season_length: object) -> None:
    with pytest.raises(ConfigError, match="season_length"):
        metrics.mase(Y, FORECAST, TRAIN, season_length)


@pytest.mark.parametrize("q", [0, 1, 1.2, -0.1])
def test_a_quantile_that_is_no_probability_is_refused(q: float) -> None:
    with pytest.raises(ConfigError, match="probability"):
        metrics.pinball(Y, FORECAST, q)


def test_a_level_that_is_no_percentage_is_refused() -> None:
    with pytest.raises(ConfigError, match="percent"):
        metrics.interval_score([1], [0], [2], 100)


@given(vectors, st.floats(0.01, 100))
def test_scaled_metrics_do_not_depend_on_the_unit(values: list[float], unit: float) -> None:
    y = np.asarray(values)
    forecast, insample = y[::-1], np.arange(10.0) % 3
    assert metrics.mase(y * unit, forecast * unit, insample * unit) == pytest.approx(
        metrics.mase(y, forecast, insample)
    )
    assert metrics.smape(y * unit, forecast * unit) == pytest.approx(metrics.smape(y, forecast))


@given(vectors)
def test_smape_stays_between_0_and_200_and_is_symmetric(values: list[float]) -> None:
    y = np.asarray(values)
    forecast = np.roll(y, 1) + 1
    score = metrics.smape(y, forecast)
    assert 0 <= score <= 200 + 1e-9
    assert score == pytest.approx(metrics.smape(forecast, y))


@given(vectors)
def test_the_median_pinball_is_half_the_mae(values: list[float]) -> None:
    y = np.asarray(values)
    assert metrics.pinball(y, y[::-1], 0.5) == pytest.approx(metrics.mae(y, y[::-1]) / 2)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8), st.floats(-1e3, 1e3))
def test_crps_equals_its_definition_over_all_pairs(draws: list[float], y: float) -> None:
    x = np.asarray(draws)
    expected = np.abs(x - y).mean() - np.abs(x[:, None] - x[None, :]).mean() / 2
    assert metrics.crps(y, draws) == pytest.approx(expected, abs=1e-9)
