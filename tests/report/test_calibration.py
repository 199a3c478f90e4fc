"""PIT, its histogram and the reliability of quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecast.errors import ConfigError
from forecast.report.calibration import pit, pit_histogram, reliability

NAN = float("nan")
DECILES = np.arange(1, 10) / 10


def normal(n: int, spread: float = 1.0, shift: float = 0.0, probs: np.ndarray = DECILES) -> tuple[np.ndarray, ...]:
    """Actuals of normal distributions with known means, and quantiles of forecasts that may be off."""
    rng = np.random.default_rng(5)
    means = rng.normal(size=n) * 10
    y = means + rng.normal(size=n)
    return y, means[:, None] + shift + spread * stats.norm.ppf(probs), probs


def test_a_pit_lies_between_the_probabilities_around_the_actual() -> None:
    quantiles = np.tile([1.0, 2.0, 4.0], (4, 1))
    values = pit([0.5, 1.5, 3.0, 9.0], quantiles, [0.1, 0.5, 0.9])
    assert ((values > [0, 0.1, 0.5, 0.9]) & (values < [0.1, 0.5, 0.9, 1.0])).all()


def test_a_pit_of_a_lump_spreads_over_all_of_it() -> None:
    # A count that is zero with a probability between 0.5 and 0.9, and happened to be zero.
    quantiles = np.tile([0.0, 0.0, 3.0], (2000, 1))
    values = pit(np.zeros(2000), quantiles, [0.1, 0.5, 0.9])
    assert values.min() < 0.02
    assert 0.88 < values.max() < 0.9


def test_reliability_by_hand() -> None:
    quantiles = np.tile([1.5, 3.5], (4, 1))
    assert reliability([1, 2, 3, 4], quantiles, [0.25, 0.75]).tolist() == [0.25, 0.75]
    assert reliability([2, 2, 3, 4], quantiles, [0.25, 0.75]).tolist() == [0.0, 0.75]


def test_the_histogram_by_hand_ends_its_bins_at_the_quantiles() -> None:
    found = pit_histogram([1, 2, 3, 4], np.tile([1.5, 3.5], (4, 1)), [0.5, 0.75])
    assert found.edges.tolist() == [0, 0.5, 0.75, 1]
    assert found.density.tolist() == [0.25 / 0.5, 0.5 / 0.25, 0.25 / 0.25]
    assert found.n == 4
    np.testing.assert_allclose(found.high - 1, 1.959964 * np.sqrt([1 / 4, 3 / 4, 3 / 4]))


@pytest.mark.parametrize("levels", [9, 99])
def test_right_forecasts_have_a_uniform_pit(levels: int) -> None:
    probs = np.arange(1, levels + 1) / (levels + 1)
    y, quantiles, _ = normal(4000, probs=probs)
    counts, _ = np.histogram(pit(y, quantiles, probs), bins=10, range=(0, 1))
    assert stats.chisquare(counts).pvalue > 0.01
    found = pit_histogram(y, quantiles, probs)
    assert found.density.size == (10 if levels == 9 else 20)
    assert ((found.density > found.low) & (found.density < found.high)).mean() > 0.85
    np.testing.assert_allclose(reliability(y, quantiles, probs), probs, atol=0.025)


def test_right_forecasts_of_counts_have_a_uniform_pit() -> None:
    rng = np.random.default_rng(2)
    rates = rng.uniform(0.3, 6, size=4000)
    probs = np.arange(1, 200) / 200
    quantiles = stats.poisson.ppf(probs, rates[:, None])
    counts, _ = np.histogram(pit(rng.poisson(rates), quantiles, probs), bins=10, range=(0, 1))
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize(("spread", "shift", "fuller"), [(0.5, 0, [0, 9]), (2, 0, [4, 5]), (1, -1, [8, 9])])
def test_narrow_wide_and_low_forecasts_show(spread: float, shift: float, fuller: list[int]) -> None:
    y, quantiles, probs = normal(2000, spread, shift)
    found = pit_histogram(y, quantiles, probs)
    chi = stats.chisquare(found.density * found.n / 10)
    assert chi.pvalue < 1e-6
    assert (found.density[fuller] > found.high[fuller]).all()


def test_unknown_actuals_and_quantiles_are_left_out_and_infinite_quantiles_are_not() -> None:
    y = [1.0, NAN, 3.0, 4.0]
    quantiles = [[0.0, 2.0], [0.0, 2.0], [NAN, 2.0], [-np.inf, np.inf]]
    values = pit(y, quantiles, [0.1, 0.9])
    assert np.isnan(values).tolist() == [False, True, True, False]
    assert pit_histogram(y, quantiles, [0.1, 0.9]).n == 2
    assert np.isnan(reliability([NAN], [[0.0]], [0.5])).all()


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=30),
    st.randoms(),
)
def test_the_order_of_rows_changes_nothing(rows: list[tuple[int, int, int]], random: object) -> None:
    table = np.array(rows, dtype=np.float64)
    shuffled = table[np.random.default_rng(random.randint(0, 999)).permutation(len(table))]
    results = []
    for y, low, gap in (table.T, shuffled.T):
        quantiles = np.stack([low, low + gap], axis=1)
        found = pit_histogram(y, quantiles, [0.2, 0.7])
        results.append((np.sort(pit(y, quantiles, [0.2, 0.7])), found.density, reliability(y, quantiles, [0.2, 0.7])))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_histogram_is_the_mean_over_many_draws_of_the_pit() -> None:
    y, quantiles, probs = np.array([0.0, 0, 1, 2, 2]), np.tile([0.0, 1.0, 2.0], (5, 1)), np.array([0.2, 0.5, 0.8])
    draws = np.concatenate([pit(y, quantiles, probs, seed) for seed in range(3000)])
    found = pit_histogram(y, quantiles, probs)
    shares, _ = np.histogram(draws, bins=found.edges)
    np.testing.assert_allclose(shares / shares.sum(), found.density * np.diff(found.edges), atol=0.01)


@pytest.mark.parametrize("probs", [[0.5, 0.1], [0.0, 0.5], [0.1, 0.1]])
def test_probabilities_that_do_not_rise_between_0_and_1_are_refused(probs: list[float]) -> None:
    with pytest.raises(ConfigError, match="rise"):
        pit([1.0], [[0.0, 1.0]], probs)


def test_quantiles_of_another_shape_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\(1, 2\).*\(3,\)"):
        pit([1.0], [[0.0, 1.0]], [0.1, 0.5, 0.9])
