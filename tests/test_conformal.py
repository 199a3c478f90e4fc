"""Conformal intervals: coverage, nesting, and what few residuals can tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecast import ConfigError
from forecast.conformal import COVERAGES, calibrate, check_table


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("draw", ["normal", "laplace"])
def test_fresh_residuals_are_covered_within_the_binomial_band(level, draw):
    rng = np.random.default_rng(1)
    sample = getattr(rng, draw)
    growth = np.sqrt(np.arange(1, 7))
    intervals = calibrate(sample(size=(2000, 6)) * growth)
    fresh = np.abs(sample(size=(2000, 6)) * growth)
    column = int(np.argmin(np.abs(level - COVERAGES)))
    covered = (fresh <= intervals.table[:, column]).sum(axis=0)
    low, high = stats.binom.interval(0.999, 2000, level)
    assert (covered >= low - 60).all()  # calibration itself errs by about as much as the fresh sample
    assert (covered <= high + 60).all()


def test_the_half_width_is_the_finite_sample_order_statistic():
    residuals = np.arange(1.0, 201.0)[:, None]
    table = calibrate(residuals).table
    at = int(np.argmin(np.abs(COVERAGES - 0.9)))
    assert table[0, at] == 181.0  # ceil(201 * 0.9) = 181


def test_few_residuals_borrow_their_shape_from_all_steps():
    rng = np.random.default_rng(0)
    few = calibrate(rng.standard_normal((8, 12)))
    assert few.count == 8
    at = int(np.argmin(np.abs(COVERAGES - 0.8)))
    assert 0.6 < few.table[:, at].mean() < 2.5


def test_without_residuals_intervals_are_those_of_a_normal_error():
    table = calibrate(np.empty((0, 3))).table
    at = int(np.argmin(np.abs(COVERAGES - 0.95)))
    np.testing.assert_allclose(table[:, at], 1.96 * 1.2533, rtol=1e-3)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), max_size=30))
def test_wider_levels_never_give_narrower_intervals(rows):
    table = calibrate(np.array(rows).reshape(-1, 3)).table
    assert np.isfinite(table).all()
    assert (np.diff(table, axis=1) >= 0).all()
    assert (table >= 0).all()


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6))
def test_quantiles_rise_with_probability_and_the_median_is_the_point(probs):
    rng = np.random.default_rng(0)
    probs = sorted({*probs, 0.5})
    point, spread = rng.standard_normal((4, 3)), np.array([0.0, 1.0, 10.0, 1e6])
    out = calibrate(rng.standard_normal((50, 3))).quantiles(point, spread, tuple(probs))
    assert (np.diff(out, axis=-1) >= 0).all()
    np.testing.assert_array_equal(out[..., probs.index(0.5)], point)


def test_unknown_actuals_do_not_count():
    residuals = np.array([[1.0, np.nan], [2.0, 4.0], [np.nan, np.nan]])
    assert calibrate(residuals).count == 2


def test_a_quantile_beyond_what_calibration_can_tell_is_refused():
    with pytest.raises(ConfigError, match="1e-05"):
        calibrate(np.ones((10, 1))).quantiles(np.zeros((1, 1)), np.ones(1), (0.00001,))


def _changed(place, value):
    table = calibrate(np.ones((10, 3))).table
    table[place] = value
    return table


def test_a_calibrated_table_passes_the_check_unchanged():
    learned = calibrate(np.random.default_rng(0).standard_normal((20, 3)))
    checked = check_table(learned.table, learned.count, 3)
    np.testing.assert_array_equal(checked.table, learned.table)
    assert checked.count == 20


@pytest.mark.parametrize(
    ("table", "count"),
    [
        (_changed((0, 5), np.nan), 10),
        (_changed((0, -1), np.inf), 10),
        (_changed((0, 0), -1.0), 10),
        (_changed((1, -1), 0.0), 10),
        (np.ones((3, 5)), 10),
        (np.ones((2, len(COVERAGES))), 10),
        (np.ones((3, len(COVERAGES)), dtype=np.int64), 10),
        (np.ones((3, len(COVERAGES))), -1),
        (np.ones((3, len(COVERAGES))), "10"),
        (np.ones((3, len(COVERAGES))), True),
    ],
)
def test_a_table_that_calibration_never_gives_is_refused(table, count):
    with pytest.raises(ConfigError):
        check_table(table, count, 3)
