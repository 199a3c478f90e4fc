"""Seasonal filling: the same step of an earlier season stands in, and nothing later ever does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.panel.fill import as_models_see, fill_seasonal, fill_unknown
from forecast.schema import Schema
from tests.panel.test_panel import panel

NAN = float("nan")
LISTS = st.lists(
    st.lists(st.one_of(st.integers(0, 9).map(float), st.just(NAN)), min_size=1, max_size=25), min_size=1, max_size=4
)


def by_hand(y: list[float], season: int) -> list[float]:
    filled = list(y)
    for at, value in enumerate(y):
        if np.isnan(value):
            earlier = [y[back] for back in range(at - season, -1, -season) if not np.isnan(y[back])]
            filled[at] = earlier[0] if earlier else NAN
    return filled


@given(LISTS, st.integers(1, 8))
def test_the_last_known_value_of_the_same_step_stands_in(lists, season):
    expected = np.concatenate([by_hand(values, season) for values in lists])
    np.testing.assert_array_equal(fill_seasonal(panel(*lists), season).values, expected)


@given(LISTS)
def test_a_season_of_one_is_the_last_known_value(lists):
    whole = panel(*lists)
    begun = np.concatenate([np.maximum.accumulate(~np.isnan(values)) for values in lists])
    one, two = fill_seasonal(whole, 1).values, fill_unknown(whole, "ffill").values
    np.testing.assert_array_equal(one[begun], two[begun])


@pytest.mark.parametrize(("season", "expected"), [(2, [1, 2, 1, 4, 1, 4]), (None, [1, 2, NAN, 4, NAN, NAN])])
def test_models_see_what_the_policy_makes_of_it(season, expected):
    gappy = replace(panel([1.0, 2, NAN, 4, NAN, NAN]), schema=Schema(missing="seasonal"))
    if season is None:
        season = 6
    np.testing.assert_array_equal(as_models_see(gappy, season).values, expected)
    assert np.isnan(gappy.values).sum() == 3
