"""The statistics hold what their sources promise, on numbers drawn for the purpose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from forecast.batch.watch.signals import (
    autocorrelation,
    cautious_spread,
    cusum,
    effective_size,
    inflation,
    mean_bounds,
    population_stability,
    share_bounds,
    stability_limit,
)


def autoregression(rng: np.random.Generator, runs: int, length: int, correlation: float) -> np.ndarray:
    values = np.empty((runs, length))
    values[:, 0] = rng.normal(size=runs)
    for at in range(1, length):
        values[:, at] = correlation * values[:, at - 1] + np.sqrt(1 - correlation**2) * rng.normal(size=runs)
    return values


def test_the_chart_adds_up_what_exceeds_the_slack_and_tells_when_the_shift_began() -> None:
    chart = cusum(np.array([0.0, -3.0, 1.5, 1.0, 2.0]), 0.5)
    assert chart.height == pytest.approx(3.0)
    assert chart.start == 2
    assert cusum(np.array([-1.0, -1.0]), 0.5).height == 0.0


def test_the_chart_has_the_run_lengths_of_its_tables() -> None:
    """With slack 0.5 and limit 5: 930 values to a false alarm on one side, 10.4 to a shift by one deviation."""

    def run_lengths(shift: float, runs: int) -> np.ndarray:
        rng = np.random.default_rng(3)
        height, alarm = np.zeros(runs), np.zeros(runs)
        for at in range(1, 6001):
            height = np.maximum(0, height + rng.normal(shift, 1, size=runs) - 0.5)
            alarm = np.where((alarm == 0) & (height > 5), at, alarm)
        return alarm

    assert run_lengths(1.0, 2000).mean() == pytest.approx(10.4, rel=0.05)
    quiet = run_lengths(0.0, 1000)
    assert (quiet > 0).mean() > 0.99
    assert quiet[quiet > 0].mean() == pytest.approx(930, rel=0.1)


def test_a_mean_of_correlated_values_varies_as_much_as_inflation_says() -> None:
    values = autoregression(np.random.default_rng(0), 4000, 200, 0.6)
    assert values.mean(axis=1).var() * 200 == pytest.approx(inflation(0.6), rel=0.08)
    assert np.mean([autocorrelation(row) for row in values[:200]]) == pytest.approx(0.58, abs=0.03)
    assert autocorrelation(np.array([1.0, -1.0] * 20)) == 0.0
    assert autocorrelation(np.ones(9)) == 0.0


def test_a_spread_from_few_values_is_rarely_too_small() -> None:
    values = np.random.default_rng(1).normal(size=(2000, 12))
    spreads = np.array([cautious_spread(row) for row in values])
    assert (spreads < 1.0).mean() < 0.12
    assert cautious_spread(np.zeros(10)) > 0


@pytest.mark.parametrize(("covered", "n"), [(0, 10), (10, 10), (7, 10), (80, 100)])
def test_the_bounds_of_a_share_are_the_exact_binomial_ones(covered: int, n: int) -> None:
    bounds = share_bounds(covered, n, 0.9)
    assert bounds.lower <= covered / n <= bounds.upper
    if covered > 0:
        assert binom.sf(covered - 1, n, bounds.lower) == pytest.approx(0.05)
    if covered < n:
        assert binom.cdf(covered, n, bounds.upper) == pytest.approx(0.05)


def test_nothing_observed_bounds_nothing() -> None:
    bounds = share_bounds(0.0, 0.0, 0.9)
    assert (bounds.lower, bounds.upper) == (0.0, 1.0)


def test_independent_observations_count_in_full_and_repeated_ones_once() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1], [40, 20])
    independent = rng.binomial(50, 0.8, size=60) / 50
    assert effective_size(independent, groups, 20 * 50) > 400
    repeated = rng.binomial(1, 0.8, size=60).astype(float)  # fifty series that always move together
    assert effective_size(repeated, groups, 20 * 50) < 40
    assert effective_size(np.ones(60), groups, 1000.0) == 1000.0


def test_a_change_between_windows_is_not_taken_for_noise() -> None:
    rng = np.random.default_rng(4)
    shares = np.concatenate([rng.binomial(50, 0.8, 40), rng.binomial(50, 0.4, 20)]) / 50
    groups = np.repeat([0, 1], [40, 20])
    assert effective_size(shares, groups, 1000.0) > 300


def test_the_bounds_of_a_mean_hold_what_they_promise() -> None:
    rng = np.random.default_rng(5)
    missed = [
        abs(row[-14:].mean()) > mean_bounds(row[-14:], row[:-14], 0.95) for row in autoregression(rng, 1500, 56, 0.3)
    ]
    assert np.mean(missed) < 0.1


def test_the_stability_index_is_zero_for_the_same_and_large_for_a_shift() -> None:
    same = np.full(10, 1000)
    assert population_stability(same, same) == pytest.approx(0.0)
    assert population_stability(same, np.array([0, 0, 0, 0, 0, 0, 0, 0, 500, 500])) > 1
    assert np.isfinite(population_stability(same, np.zeros(10, dtype=int)))


def test_chance_reaches_the_limit_of_the_stability_index_as_rarely_as_it_says() -> None:
    rng = np.random.default_rng(6)
    earlier, recent = rng.multinomial(600, np.full(10, 0.1), 3000), rng.multinomial(200, np.full(10, 0.1), 3000)
    found = np.array([population_stability(*pair) for pair in zip(earlier, recent, strict=True)])
    assert (found > stability_limit(600, 200, 10, 0.95)).mean() == pytest.approx(0.05, abs=0.02)
