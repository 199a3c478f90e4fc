"""Units of rows: a running level and spread, the same however the rows are cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.nets.facts import Facts
from forecast.nets.running import Running, running_mean, width

FACTS = Facts(input_size=7, h=5, channels=2, seasons=(3, 4))
cells = st.one_of(st.none(), st.floats(-1e6, 1e6).map(lambda v: round(v, 3)))


def read(values, facts: Facts = FACTS, cuts=(), first: int = 0):
    """One series read in pieces that end at ``cuts``."""
    y = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    running, found = Running.start(1, facts), []
    edges = [0, *sorted({c for c in cuts if 0 < c < len(y)}), len(y)]
    for a, b in pairwise(edges):
        running, rows = running.read(y[None, a:b], np.array([first + a]), facts)
        found.append(rows)
    return running, [np.concatenate(part, axis=1)[0] for part in zip(*found, strict=True)]


def test_the_running_mean_is_plain_at_first_and_exponential_then():
    values, known = np.array([[3.0, 9.0, 99.0, 6.0, 2.0]]), np.array([[True, True, False, True, True]])
    mean = running_mean(values, known, known.cumsum(1), np.zeros(1), span=5)  # weight 1/3 from the third known on
    np.testing.assert_allclose(mean, [[3.0, 6.0, 6.0, 6.0, 6.0 - 4.0 / 3.0]])


def test_units_of_a_row_equal_hand_arithmetic():
    facts = Facts(input_size=99, h=2, seasons=(2,))
    _, (features, last, scale) = read([1.0, 3.0, 2.0, 6.0], facts)
    # means 1, 2, 2, 3; deviations from them 0, 1, 0, 3, averaged from the second on: 1, 1/2, 4/3
    np.testing.assert_allclose(last, [1, 3, 2, 6])
    np.testing.assert_allclose(scale, [0, 1, 0.5, 4 / 3])
    # level, change, change over a season, the value a season before the next row
    np.testing.assert_allclose(features[0], [0.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(features[2], np.array([0.0, -1.0, 2 - 1, 3 - 2]) / 0.5)
    np.testing.assert_allclose(features[3], np.array([3.0, 4.0, 6 - 3, 2 - 6]) / (4 / 3), rtol=1e-6)


@given(st.floats(-1e6, 1e6), st.lists(cells, max_size=30), st.sets(st.integers(1, 30)), st.integers(-50, 50))
def test_any_cut_into_pieces_gives_the_same_bits(begin, rest, cuts, first):
    whole, expected = read([begin, *rest], first=first)
    state, found = read([begin, *rest], cuts=cuts, first=first)
    for one, two in zip([*expected, *vars(whole).values()], [*found, *vars(state).values()], strict=True):
        np.testing.assert_array_equal(one, two)


@given(st.lists(cells, min_size=6, max_size=20), st.integers(1, 5))
def test_later_rows_change_no_earlier_one(values, keep):
    _, whole = read([1.0, *values])
    _, part = read([1.0, *values[:keep]])
    for one, two in zip(whole, part, strict=True):
        np.testing.assert_array_equal(one[: keep + 1], two)


@given(st.lists(st.integers(-20, 20), min_size=8, max_size=20), st.sampled_from([1e-9, 250.0, 1e12]))
def test_level_and_unit_change_no_feature(values, unit):
    _, (features, _, scale) = read(values)
    _, (moved, _, spread) = read([unit * (v + 3.0) for v in values])
    np.testing.assert_allclose(moved, features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(spread, unit * scale, rtol=1e-6)


def test_an_unknown_row_reads_as_the_last_value_and_is_told():
    _, (features, last, scale) = read([4.0, 8.0, None, None])
    assert last.tolist() == [4, 8, 8, 8]
    assert scale[1] == scale[2] == scale[3] > 0
    assert features[:, 1].tolist()[2:] == [0, 0]
    assert features[:, -1].tolist() == [1, 1, 0, 0]


def test_without_an_indicator_there_is_a_column_less():
    assert width(FACTS) == 7
    assert width(Facts(7, 5)) == 2
    assert read([1.0, 2.0], Facts(7, 5))[1][0].shape == (2, 2)


@pytest.mark.parametrize("value", [0.0, 42.0, 0.1, 1e30, -3e-30])
def test_a_constant_series_has_no_spread(value):
    running, (features, _, scale) = read([value] * 9)
    assert not scale.any()
    assert not running.scale.any()
    assert np.isfinite(features).all()


@given(st.lists(cells, max_size=15), st.integers(-9, 9))
def test_what_comes_is_the_seasonal_naive_forecast(values, first):
    y = [2.0, 7.0, *values]
    running, _ = read(y, first=first)
    coming = running.coming(np.array([first + len(y) - 1]), FACTS)[0]
    scale = running.scale[0] or 1.0
    for place, season in enumerate(FACTS.seasons):
        for step in range(FACTS.h):
            back = len(y) - season + step % season
            known = back >= 0 and y[back] is not None
            expected = (y[back] - running.value[0]) / scale if known else 0.0
            assert coming[step, place] == pytest.approx(expected, rel=1e-5, abs=1e-12)
