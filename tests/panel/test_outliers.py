"""Outliers: values far from their series by both measures are found, taken back to the edge, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.panel.fill import as_models_learn, as_models_see
from forecast.panel.outliers import FEWEST, REACH, THRESHOLD, clip_outliers, find_outliers
from forecast.panel.panel import Panel
from forecast.schema import Schema
from tests.panel.test_panel import panel

NAN = float("nan")
RNG = np.random.default_rng(3)
NOISE = 50 + RNG.standard_normal(200)


def spiked(y: np.ndarray, **cells: float) -> np.ndarray:
    y = y.copy()
    for place, value in cells.items():
        y[int(place[1:])] = value
    return y


def robust(y: np.ndarray, centre: np.ndarray | float) -> np.ndarray:
    deviation = np.abs(y - centre)
    return deviation / (1.4826 * np.nanmedian(deviation))


def running(y: np.ndarray) -> np.ndarray:
    return np.array([np.nanmedian(y[max(0, at - REACH) : at + REACH + 1]) for at in range(len(y))])


@given(
    st.lists(
        st.lists(
            st.one_of(st.integers(-9, 9).map(float), st.sampled_from([NAN, 1e3, -1e6, 0.5])), min_size=1, max_size=40
        ),
        min_size=1,
        max_size=4,
    )
)
def test_an_outlier_is_one_by_both_measures_computed_one_series_at_a_time(lists):
    whole = panel(*lists)
    found = find_outliers(whole)
    for number, values in enumerate(lists):
        own = found.rows[(found.rows >= whole.offsets[number]) & (found.rows < whole.offsets[number + 1])]
        y = np.array(values)
        if np.isfinite(y).sum() < FEWEST:
            assert not own.size
            continue
        with np.errstate(all="ignore"):
            scores = [robust(y, np.nanmedian(y)), robust(y, running(y))]
        for row in (own - whole.offsets[number]).tolist():
            for score in scores:  # a median deviation of zero makes room for the mean one, which is no smaller a test
                assert not score[row] <= THRESHOLD * (1 - 1e-9)


def test_a_spike_is_found_with_the_edge_of_what_is_plausible():
    y = spiked(NOISE, r20=1e6, r90=-500.0)
    found = find_outliers(panel(y))
    assert found.rows.tolist() == [20, 90]
    centre, around = np.median(y), running(y)
    spreads = [1.4826 * np.median(np.abs(y - c)) for c in (centre, around)]  # the fifth farthest is far below
    high = max(centre + THRESHOLD * spreads[0], around[20] + THRESHOLD * spreads[1])
    low = min(centre - THRESHOLD * spreads[0], around[90] - THRESHOLD * spreads[1])
    np.testing.assert_allclose(found.edges, [high, low])
    assert found.counts(panel(y, NOISE)).tolist() == [2, 0]


HONEST = {
    "noise": NOISE,
    "a trend": np.exp(np.arange(200) / 15),
    "a change of level": np.r_[np.ones(100), 1e5 + np.arange(100)],
    "daily peaks": np.where(np.arange(240) % 24 == 12, 60.0, 1.0) + 0.1 * RNG.standard_normal(240),
    "demand now and then": np.where(np.arange(200) % 9 == 0, 5.0, 0.0),
    "peaks as rare as months": np.where(np.arange(200) % 30 == 12, 900.0, 1.0) + 0.1 * RNG.standard_normal(200),
    "a constant": np.full(50, 7.0),
    "all zeros": np.zeros(50),
    "too few to say": np.array([1.0, 2, 1e9, 1, 2, 1, 2]),
    "the largest floats": np.where(np.arange(30) % 2, 1.7e308, -1.7e308),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_series_has_no_outliers(name):
    assert not find_outliers(panel(HONEST[name])).rows.size


def test_a_series_is_judged_by_its_own_rows_alone():
    y = spiked(NOISE, r20=1e6)
    alone, among = find_outliers(panel(y)), find_outliers(panel(1e9 * NOISE, y, np.zeros(30)))
    assert (among.rows - 200).tolist() == alone.rows.tolist()
    np.testing.assert_array_equal(among.edges, alone.edges)


def test_unknown_values_are_no_outliers_and_stay_unknown():
    y = spiked(NOISE, r5=NAN, r6=NAN, r20=1e6)
    clipped = clip_outliers(panel(y))
    assert np.isnan(clipped.values[[5, 6]]).all()
    assert clipped.values[20] < 100


def clipping(*lists: np.ndarray) -> Panel:
    return replace(panel(*lists), schema=Schema(outliers="clip"))


def test_models_see_them_only_where_the_policy_is_to_clip_and_the_panel_keeps_them():
    y = spiked(NOISE, r20=1e6)
    given_panel = clipping(y)
    assert as_models_see(given_panel).values[20] < 100
    assert given_panel.values[20] == 1e6
    assert as_models_see(panel(y)).values[20] == 1e6


def test_what_is_held_out_to_be_scored_teaches_nothing_and_stays_as_it_is():
    y = spiked(NOISE, r20=1e6, r190=1e6)
    taught = as_models_learn(clipping(y), 12, 12)
    assert taught.values[190] == 1e6
    poisoned = y.copy()
    poisoned[-12:] = 1e9
    other = as_models_learn(clipping(poisoned), 12, 12)
    np.testing.assert_array_equal(taught.values[:-12], other.values[:-12])
    assert taught.values[20] < 100


def test_by_default_no_more_is_held_out_than_a_model_may_choose():
    y = spiked(NOISE, r20=1e6, r170=1e6)
    taught = as_models_learn(clipping(y), 5)
    assert (taught.values[20] < 100, taught.values[170]) == (True, 1e6)
