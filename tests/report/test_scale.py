from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.report.metrics import seasonal_scale
from forecast.report.scale import insample_scales, segment_sums

from .conftest import make_panel

NAN = float("nan")
values = st.one_of(st.floats(-1e9, 1e9), st.just(NAN), st.just(0.0), st.just(7.0))
panels = st.lists(st.lists(values, min_size=1, max_size=12), min_size=1, max_size=5)


@given(panels, st.integers(1, 4), st.data())
def test_scales_equal_the_public_function_on_the_rows_up_to_each_cutoff(series, season_length, data) -> None:
    panel = make_panel(dict(enumerate(series)))
    chosen = data.draw(st.lists(st.integers(0, len(series) - 1), min_size=1, max_size=8))
    known = [data.draw(st.integers(1, len(series[s]))) for s in chosen]
    position = np.array(chosen)
    cutoff = panel.first[position] + np.array(known) - 1
    scales = insample_scales(panel, position, cutoff, season_length)
    for place, (s, length) in enumerate(zip(chosen, known, strict=True)):
        insample = series[s][:length]
        assert scales.absolute[place] == pytest.approx(seasonal_scale(insample, season_length), nan_ok=True)
        root = np.sqrt(scales.squared[place])
        assert root == pytest.approx(seasonal_scale(insample, season_length, power=2), nan_ok=True)


def test_a_value_after_the_cutoff_never_matters() -> None:
    before, after = [1.0, 3, 2, 4], [1e300, np.inf, NAN]
    cutoff = make_panel({"a": before}).last
    alone = insample_scales(make_panel({"a": before}), np.array([0]), cutoff, 2)
    followed = insample_scales(make_panel({"a": before + after}), np.array([0]), cutoff, 2)
    assert followed == alone


def test_a_huge_neighbour_changes_no_bit_of_a_small_series_scale() -> None:
    small = [1e-6, 3.3e-6, 2e-6, 4e-6]
    alone = make_panel({"a": small})
    beside = make_panel({"x": [1e15, -1e15, 3e15], "a": small, "y": [NAN, np.inf, 1.0]})
    expected = insample_scales(alone, np.array([0]), alone.last, 1)
    got = insample_scales(beside, np.array([1]), beside.last[[1]], 1)
    assert got == expected


def test_segments_may_overlap_be_empty_or_touch_the_end() -> None:
    ten = np.arange(10.0)
    sums = segment_sums(ten, np.array([0, 0, 5, 8, 10, 3]), np.array([10, 3, 4, 10, 10, 99]))
    assert sums.tolist() == [45, 3, 0, 17, 0, 42]
