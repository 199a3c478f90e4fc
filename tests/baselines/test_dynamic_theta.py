"""The dynamic optimised Theta model: against the paper's recursion written out for one series."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from forecast.baselines.batched import Block
from forecast.baselines.dynamic_theta import DynamicTheta
from forecast.baselines.dynamic_theta_lines import ALPHA, Theta, ahead, run, search
from forecast.errors import ConfigError

PROBS = (0.1, 0.5, 0.9)


def recursion(y: np.ndarray, alpha: float, level: float, theta: float, h: int = 0) -> tuple[list[float], list[float]]:
    """Fiorucci et al. (2016), section 3: one-step errors, and forecasts that stand in for the rows they are made for.

    The trend line is fitted by polyfit at each row: slow, and nothing like the running update under test.
    """
    rows, errors, forecasts = [], [], []
    for t in range(1, len(y) + h + 1):
        if t == 1:
            slope, intercept = 0.0, 0.0
        elif t == 2:
            slope, intercept = 0.0, rows[0]
        else:
            slope, intercept = np.polyfit(np.arange(1, t), rows, 1)
        line = (1 - alpha) ** (t - 1) * intercept + (1 - (1 - alpha) ** t) / alpha * slope
        expected = level + (1 - 1 / theta) * line
        if t <= len(y):
            errors.append(y[t - 1] - expected)
            rows.append(y[t - 1])
        else:
            forecasts.append(expected)
            rows.append(expected)
        level = alpha * rows[-1] + (1 - alpha) * level
    return errors, forecasts


def loss(y: np.ndarray, parameters: np.ndarray) -> float:
    alpha, level, theta = parameters
    return float(np.square(recursion(y, alpha, level, theta)[0][2:]).sum())


def test_forecasts_and_errors_are_those_of_the_recursion(wave):
    series = [wave(30), wave(17, seed=1)]
    block, _ = Block.of(series)
    theta = Theta(np.array([0.3, 0.7]), np.array([9.0, 11.0]), 1 - 1 / np.array([2.5, 4.0]))
    end, variance = run(block, theta)
    point, _ = ahead(end, variance, theta, block.lengths, 7)
    for column, y in enumerate(series):
        errors, forecasts = recursion(y, theta.alpha[column], theta.level[column], (2.5, 4.0)[column], 7)
        np.testing.assert_allclose(point[column], forecasts, rtol=1e-10)
        assert variance[column] == pytest.approx(np.square(errors[2:]).sum() / (len(y) - 2 - 3))


@pytest.mark.parametrize("seed", range(4))
def test_no_other_optimiser_finds_better_parameters(wave, seed):
    y = wave(36, seed=seed) + np.array([0.0, 0.3, -0.1, 0.05])[seed] * np.arange(36)
    found = search(Block.of([y])[0])
    theta = min(1 / max(1 - found.weight[0], 1e-12), 1e10)
    best = loss(y, np.array([found.alpha[0], found.level[0], theta]))
    for start in (0.2, 0.5, 0.9):
        other = minimize(
            lambda parameters: loss(y, parameters), [start, y[0] / 2, 2.0], method="Nelder-Mead",
            bounds=[ALPHA, (0, 30), (1, 1e10)], options={"maxiter": 300},
        )  # fmt: skip
        assert best <= other.fun * (1 + 1e-6)


def test_the_deviations_are_those_of_simulated_futures(wave):
    y = wave(20)
    block, _ = Block.of([y])
    theta = Theta(np.array([0.4]), np.array([10.0]), np.array([0.6]))
    end, variance = run(block, theta)
    point, deviation = ahead(end, variance, theta, block.lengths, 5)
    half = np.sqrt(variance[0]) * np.random.default_rng(0).standard_normal((1500, 5))
    noise = np.concatenate([half, -half])
    paths = np.tile(y, (3000, 1))
    for step in range(5):
        state, _ = run(Block(np.ascontiguousarray(paths.T), np.full(3000, 20 + step)), _many(theta, 3000))
        value, _ = ahead(state, np.ones(3000), _many(theta, 3000), np.full(3000, 20 + step), 1)
        paths = np.concatenate([paths, value + noise[:, [step]]], axis=1)
    np.testing.assert_allclose(paths[:, 20:].mean(axis=0), point[0])
    np.testing.assert_allclose(paths[:, 20:].std(axis=0), deviation[0], rtol=0.05)


def _many(theta: Theta, count: int) -> Theta:
    return Theta(*(np.repeat(values, count) for values in theta))


def test_a_given_theta_is_kept(predict, wave):
    y = wave(36)
    found = search(Block.of([y])[0], weight=0.5)
    assert found.weight[0] == 0.5
    assert not np.allclose(predict(DynamicTheta(theta=2.0), [y], 6).point, predict(DynamicTheta(), [y], 6).point)


def test_theta_one_is_simple_exponential_smoothing(predict, wave):
    result = predict(DynamicTheta(theta=1.0), [wave(40)], 5, 1, PROBS)
    assert np.ptp(result.point) == pytest.approx(0, abs=1e-12)
    found = search(Block.of([wave(40)])[0], weight=0.0)
    steps = np.diff(result.quantiles[0, :, 1] - result.quantiles[0, :, 0])
    width = (result.quantiles[0, :, 1] - result.quantiles[0, :, 0]) ** 2
    np.testing.assert_allclose(width / width[0], 1 + np.arange(5) * found.alpha[0] ** 2, rtol=1e-4)
    assert (steps > 0).all()


def test_a_line_is_continued(predict):
    result = predict(DynamicTheta(), [3.0 + 2.0 * np.arange(30)], 4)
    np.testing.assert_allclose(result.point[0], 63.0 + 2.0 * np.arange(4), rtol=1e-4)


@pytest.mark.parametrize("shift", [0.0, -12.0])
def test_a_season_is_taken_out_and_put_back(predict, shift):
    t = np.arange(60)
    pattern = np.array([4.0, 1.0, 2.0, 5.0, 3.0]) - 3.0
    result = predict(DynamicTheta(), [20.0 + shift * 2 + pattern[t % 5]], 10, 5)
    np.testing.assert_allclose(result.point[0], 20.0 + shift * 2 + pattern[t[:10] % 5], rtol=1e-6)


def test_intervals_of_ratios_follow_the_season(predict):
    t = np.arange(96)
    noise = 1 + 0.02 * np.random.default_rng(0).standard_normal(96)
    y = 100 * np.array([0.5, 1.5, 1.0, 1.0])[t % 4] * noise
    width = np.ptp(predict(DynamicTheta(), [y], 4, 4, (0.1, 0.9)).quantiles[0], axis=-1)
    assert width[1] > 2.5 * width[0]


def test_short_series_use_all_their_errors(predict):
    y = np.array([5.0, 6.0, 5.5, 6.5, 6.0])
    result = predict(DynamicTheta(), [y], 3, 1, PROBS)
    assert result.reasons == {}
    assert np.abs(result.point - 6.3).max() < 1.0
    assert (np.diff(result.quantiles) > 0).all()


@pytest.mark.parametrize("theta", [0.5, "2", True, float("nan"), float("inf")])
def test_an_impossible_theta_is_refused(theta):
    with pytest.raises(ConfigError, match="theta="):
        DynamicTheta(theta=theta)
