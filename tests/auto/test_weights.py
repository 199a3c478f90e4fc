"""Weights learned on folds: greedy selection, evidence, tilt, and the arithmetic of the mixture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.auto.folds import Folds
from forecast.auto.weights import combine, common_weights, series_weights, tilted


def folds_of(actual: np.ndarray) -> Folds:
    series = len(actual)
    return Folds((), np.arange(series), actual, np.ones(series))


def noisy(series: int, folds: int, scales: list[float], seed: int = 0) -> tuple[Folds, np.ndarray]:
    """Forecasts whose errors are independent, with these sizes."""
    rng = np.random.default_rng(seed)
    actual = 100 + rng.standard_normal((series, folds, 6))
    forecasts = np.stack([actual + scale * rng.standard_normal(actual.shape) for scale in scales])
    return folds_of(actual), forecasts


def test_equally_good_independent_candidates_share_the_weight() -> None:
    folds, forecasts = noisy(200, 2, [1.0, 1.0])
    assert common_weights(folds, forecasts) == pytest.approx([0.5, 0.5], abs=0.1)


def test_a_bad_candidate_gets_nothing() -> None:
    folds, forecasts = noisy(200, 2, [1.0, 1.1, 50.0])
    assert common_weights(folds, forecasts)[2] == 0.0


def test_weights_add_up_to_one_and_the_mixture_beats_every_single_candidate() -> None:
    folds, forecasts = noisy(200, 2, [1.0, 1.2, 1.5])
    weights = common_weights(folds, forecasts)
    assert weights.sum() == pytest.approx(1.0)
    assert folds.loss(combine(forecasts, weights)) < min(folds.loss(one) for one in forecasts)


def test_a_single_horizon_is_too_little_evidence_to_bet_on_one_candidate() -> None:
    folds, forecasts = noisy(1, 1, [1.0, 1.05])
    losses = [folds.loss(one) for one in forecasts]
    weights = common_weights(folds, forecasts)
    if max(losses) <= 1.1 * min(losses):
        assert weights.min() > 0.3


def test_weights_tilt_towards_what_suits_a_series_when_that_lasts_over_folds() -> None:
    rng = np.random.default_rng(1)
    actual = 100 + rng.standard_normal((100, 3, 6))
    good, bad = np.full((100, 1, 1), 0.3), np.full((100, 1, 1), 3.0)
    first_half = np.arange(100)[:, None, None] < 50
    sizes = [np.where(first_half, good, bad), np.where(first_half, bad, good)]
    forecasts = np.stack([actual + size * rng.standard_normal(actual.shape) for size in sizes])
    folds = folds_of(actual)
    common = common_weights(folds, forecasts)
    table, tilt = series_weights(folds, forecasts, common)
    assert tilt == 2.0
    assert (table[:50, 0] > table[:50, 1]).all()
    assert (table[50:, 1] > table[50:, 0]).all()


def test_weights_do_not_tilt_when_what_suits_a_series_changes_by_luck() -> None:
    folds, forecasts = noisy(300, 3, [1.0, 1.0])
    _, tilt = series_weights(folds, forecasts, np.array([0.5, 0.5]))
    assert tilt <= 0.25


@given(
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
    st.floats(0, 2),
)
def test_tilted_weights_are_shares(losses: list[float], tilt: float) -> None:
    weights = tilted(np.array([0.5, 0.3, 0.2]), np.array([losses]), tilt)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights > 0).all()


def test_a_candidate_without_a_loss_on_a_series_keeps_its_common_weight() -> None:
    weights = tilted(np.array([0.5, 0.5]), np.array([[np.nan, 1.0], [np.nan, np.nan]]), 1.0)
    assert weights[1].tolist() == [0.5, 0.5]


def test_a_missing_forecast_is_made_up_for_by_the_other_candidates() -> None:
    forecasts = np.array([[[[1.0, np.nan]]], [[[3.0, 3.0]]]])
    assert combine(forecasts, np.array([0.5, 0.5])).ravel().tolist() == [2.0, 3.0]
    assert np.isnan(combine(forecasts[:1], np.array([1.0]))).ravel().tolist() == [False, True]
