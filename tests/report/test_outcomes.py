"""Metrics of events and classes, by hand and against sklearn and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from forecast.errors import ConfigError
from forecast.report import outcomes

NAN = float("nan")
Y, P = [1, 0, 1, 0], [0.8, 0.3, 0.4, 0.4]
CLASSES = [0.0, 1.0, 2.5]
SHARES = np.array([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.2, 0.2, 0.6]])
pairs = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40)


def test_event_scores_by_hand() -> None:
    assert outcomes.brier(Y, P) == pytest.approx((0.04 + 0.09 + 0.36 + 0.16) / 4)
    assert outcomes.log_loss(Y, P) == pytest.approx(-math.log(0.8 * 0.7 * 0.4 * 0.6) / 4)
    assert outcomes.auc(Y, P) == pytest.approx((1 + 1 + 1 + 0.5) / 4)  # of four pairs one is a tie
    assert outcomes.event_accuracy(Y, P) == 0.75


def test_a_half_forecasts_the_event() -> None:
    assert outcomes.event_accuracy([1, 0], [0.5, 0.5]) == 0.5
    assert outcomes.event_accuracy([1], [0.5]) == 1


def test_a_sure_and_wrong_forecast_costs_a_finite_log_loss() -> None:
    assert outcomes.log_loss([1], [0.0]) == pytest.approx(-math.log(np.finfo(float).eps))


def test_the_area_below_the_curve_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 2, 200), rng.integers(0, 12, 200) / 11
    pairs_won = stats.mannwhitneyu(p[y == 1], p[y == 0]).statistic / ((y == 1).sum() * (y == 0).sum())
    assert outcomes.auc(y, p) == pytest.approx(pairs_won)
    false, true = outcomes.roc(y, p)
    assert np.trapezoid(true, false) == pytest.approx(pairs_won)


@pytest.mark.parametrize("y", [[1, 1], [0, 0], [NAN, 1], []])
def test_the_area_is_unknown_without_both_outcomes(y: list[float]) -> None:
    assert math.isnan(outcomes.auc(y, [0.5] * len(y)))
    assert outcomes.roc(y, [0.5] * len(y))[0].size == 0


@given(pairs)
def test_the_parts_of_the_brier_score_add_up(rows: list[tuple[int, float]]) -> None:
    y, p = np.array(rows).T
    parts = outcomes.brier_parts(y, p)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(outcomes.brier(y, p), abs=1e-12)
    assert min(parts.reliability, parts.resolution) >= 0
    assert parts.uncertainty == pytest.approx(y.var())


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.05, 0.15, 0.55, 0.95])), min_size=1, max_size=40))
def test_nothing_is_left_within_bins_whose_forecasts_are_equal(rows: list[tuple[int, float]]) -> None:
    y, p = np.array(rows).T
    assert outcomes.brier_parts(y, p).within == pytest.approx(0, abs=1e-12)


def test_bins_by_hand() -> None:
    found = outcomes.event_bins([0, 1, 1, 0, 1], [0.0, 0.1, 0.19, 0.95, 1.0], bins=10)
    np.testing.assert_allclose(found.told, [0.0, 0.145, 0.975])
    np.testing.assert_allclose(found.frequency, [0.0, 1.0, 0.5])
    assert found.n.tolist() == [1, 2, 2]


def test_bins_of_right_forecasts_lie_on_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    found = outcomes.event_bins(rng.random(p.size) < p, p)
    assert (np.abs(found.frequency - found.told) < 4 * np.sqrt(0.25 / found.n)).all()
    assert outcomes.brier_parts(rng.random(p.size) < p, p).reliability < 0.001


def test_class_scores_equal_sklearns() -> None:
    y = [0.0, 2.5, 1.0]
    names, labels = [str(v) for v in y], [str(v) for v in CLASSES]
    assert outcomes.class_brier(y, SHARES, CLASSES) == pytest.approx(sk.brier_score_loss(names, SHARES, labels=labels))
    assert outcomes.class_log_loss(y, SHARES, CLASSES) == pytest.approx(sk.log_loss(names, SHARES, labels=labels))
    assert outcomes.class_brier(y, SHARES, CLASSES) == pytest.approx((0.14 + 0.62 + 1.04) / 3)  # by hand
    assert outcomes.class_log_loss(y, SHARES, CLASSES) == pytest.approx(-math.log(0.7 * 0.4 * 0.2) / 3)


def test_a_class_nobody_knew_of_was_told_nothing() -> None:
    assert outcomes.class_log_loss([9.0], SHARES[:1], CLASSES) == pytest.approx(-math.log(np.finfo(float).eps))
    assert outcomes.class_brier([9.0], SHARES[:1], CLASSES) == pytest.approx(0.49 + 0.04 + 0.01)


def test_accuracy_f1_and_confusion_by_hand() -> None:
    y, named = [0, 0, 1, 2.5], [0, 1, 1, 1]
    assert outcomes.class_accuracy(y, named) == 0.5
    assert outcomes.macro_f1(y, named) == pytest.approx((2 / 3 + 2 / 4 + 0) / 3)
    assert outcomes.confusion(y, named, CLASSES).tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert outcomes.confusion([NAN], [1], CLASSES).sum() == 0


def test_points_without_an_actual_or_a_forecast_are_left_out() -> None:
    y, p = [*Y, NAN, 1], [*P, 0.5, NAN]
    for metric in (outcomes.brier, outcomes.log_loss, outcomes.auc, outcomes.event_accuracy):
        assert metric(y, p) == metric(Y, P)
    shares = np.vstack([SHARES, [[NAN, 0.5, 0.5]], SHARES[:1]])
    assert outcomes.class_brier([0, 2.5, 1, 1, NAN], shares, CLASSES) == outcomes.class_brier(
        [0, 2.5, 1], SHARES, CLASSES
    )
    assert outcomes.macro_f1([0, 1, NAN], [0, 1, 1]) == 1
    for value in (outcomes.brier([NAN], [0.5]), outcomes.brier_parts([], []).within, outcomes.macro_f1([], [])):
        assert math.isnan(value)


def test_what_is_no_event_and_no_probability_is_refused_with_what_was_found() -> None:
    with pytest.raises(ConfigError, match=r"0 or 1, got 0\.5, 3"):
        outcomes.brier([3, 0.5, 1], [0.5] * 3)
    with pytest.raises(ConfigError, match=r"between 0 and 1, got 0.5 to 1.2"):
        outcomes.auc([1, 0], [0.5, 1.2])
    with pytest.raises(ConfigError, match=r"\(2,\), \(3,\)"):
        outcomes.log_loss([1, 0], [0.5] * 3)
    with pytest.raises(ConfigError, match=r"\(3, 3\).*\(2,\) classes"):
        outcomes.class_brier([0, 1, 1], SHARES, [0, 1])
