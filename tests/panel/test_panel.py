"""Panels: slices, tails and what was known at a cutoff."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import ConfigError, DataError
from forecast.panel.append import append
from forecast.panel.fill import fill_unknown
from forecast.panel.panel import Panel
from forecast.panel.spans import ranges
from forecast.panel.split import actuals, known_at, rolling_cutoffs
from forecast.schema import Schema
from forecast.timeline import fit_timeline

NAN = float("nan")


def panel(*series: list[float], first: list[int] | None = None) -> Panel:
    values = np.array([v for s in series for v in s], dtype=np.float64)
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in series])]).astype(np.int64)
    start = np.array(first if first is not None else [0] * len(series), dtype=np.int64)
    ids = pd.Index([f"s{i}" for i in range(len(series))])
    return Panel(ids, values, offsets, start, fit_timeline(1, np.array([0])))


lists = st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), min_size=1, max_size=5)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=6))
def test_ranges_equal_concatenated_aranges(pairs):
    starts = np.array([a for a, _ in pairs], dtype=np.int64)
    lengths = np.array([n for _, n in pairs], dtype=np.int64)
    expected = np.concatenate([np.arange(a, a + n) for a, n in pairs]) if pairs else np.array([])
    np.testing.assert_array_equal(ranges(starts, lengths), expected)


@given(lists, st.integers(0, 10))
def test_the_tail_of_each_series_is_its_last_rows(series, length):
    tail = panel(*series).tail(length)
    for got, whole in zip(tail.each(), series, strict=True):
        assert got.tolist() == whole[max(0, len(whole) - length) :]


@given(lists)
def test_taking_series_in_reverse_twice_gives_the_panel_back(series):
    original = panel(*series)
    order = np.arange(len(series))[::-1]
    again = original.take(order).take(order)
    np.testing.assert_array_equal(again.values, original.values)
    np.testing.assert_array_equal(again.offsets, original.offsets)
    assert again.ids.equals(original.ids)


def test_known_at_a_cutoff_holds_no_later_row():
    whole = panel([1.0, 2, 3, 4], [5.0, 6, 7], first=[0, 2])
    past = known_at(whole, np.array([1, 3])).panel
    assert [s.tolist() for s in past.each()] == [[1, 2], [5, 6]]
    assert past.last.tolist() == [1, 3]


def test_series_without_a_known_value_at_the_cutoff_are_left_out():
    past = known_at(panel([1.0, 2], [NAN, 3.0], [4.0]), np.array([0, 0, -1]))
    assert past.chosen.tolist() == [0]


def test_a_cutoff_before_everything_is_refused():
    with pytest.raises(DataError, match="no series has a known value"):
        known_at(panel([1.0, 2]), np.array([-5]))


def test_rolling_cutoffs_end_with_the_data_and_step_back():
    cutoffs = rolling_cutoffs(panel([0.0] * 10, [0.0] * 6), h=2, n_windows=3, step_size=1)
    assert cutoffs.tolist() == [[5, 1], [6, 2], [7, 3]]


def test_as_many_windows_as_fit_into_the_test_rows():
    rows = panel([0.0] * 20)
    assert rolling_cutoffs(rows, 3, step_size=2, test_size=8)[:, 0].tolist() == [12, 14, 16]
    assert rolling_cutoffs(rows, 3, step_size=1, test_size=3)[:, 0].tolist() == [16]


def test_test_rows_that_no_window_fits_or_that_contradict_are_refused():
    rows = panel([0.0] * 20)
    with pytest.raises(ConfigError, match="test_size=2 is less than the horizon 3"):
        rolling_cutoffs(rows, 3, test_size=2)
    with pytest.raises(ConfigError, match="n_windows=4 and test_size=9"):
        rolling_cutoffs(rows, 3, n_windows=4, test_size=9)


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "3"])
def test_rolling_cutoffs_refuse_a_number_of_windows_that_is_no_count(bad):
    with pytest.raises(ConfigError, match="n_windows"):
        rolling_cutoffs(panel([0.0] * 9), 1, bad)


def test_actuals_past_the_end_are_unknown():
    got = actuals(panel([1.0, 2, 3]), np.array([1]), 3)
    np.testing.assert_array_equal(got, [[3.0, NAN, NAN]])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("zero", [0, 1, 0, 0, 4, 0]),
        ("ffill", [1, 1, 1, 1, 4, 4]),
        ("interpolate", [1, 1, 2, 3, 4, 4]),
    ],
)
def test_unknown_values_are_filled_from_the_own_series_only(how, expected):
    filled = fill_unknown(panel([9.0], [NAN, 1, NAN, NAN, 4, NAN], [7.0]), how)
    assert filled.each()[1].tolist() == expected
    assert filled.each()[0].tolist() == [9.0]


def test_a_series_without_any_known_value_stays_unknown():
    assert np.isnan(fill_unknown(panel([NAN, NAN], [1.0]), "ffill").each()[0]).all()


def test_appended_rows_follow_their_series_and_gaps_are_unknown():
    joined = append(panel([1.0, 2], [5.0]), panel([9.0], [4.0, 4.0], first=[3, 1]))
    np.testing.assert_array_equal(joined.each()[0], [1, 2, NAN, 9])
    assert joined.each()[1].tolist() == [5, 4, 4]


def test_a_new_series_is_appended_at_the_end():
    new = panel([8.0], first=[7]).take(np.array([0]))
    new = Panel(pd.Index(["new"]), new.values, new.offsets, new.first, new.timeline)
    joined = append(panel([1.0]), new)
    assert joined.ids.tolist() == ["s0", "new"]
    assert joined.first.tolist() == [0, 7]


def test_rows_that_overlap_the_history_are_refused_by_name():
    with pytest.raises(DataError, match="series 's0'"):
        append(panel([1.0, 2]), panel([3.0], first=[1]))


@pytest.mark.parametrize("how", ["interpolate", "ffill", "zero"])
def test_what_is_known_at_a_cutoff_is_filled_from_before_it_only(how):
    whole = panel([1.0, NAN, 3.0, NAN, NAN, 90.0])
    whole = replace(whole, schema=Schema(missing=how))
    past = known_at(whole, np.array([4])).panel
    expected = {"interpolate": [1, 2, 3, 3, 3], "ffill": [1, 1, 3, 3, 3], "zero": [1, 0, 3, 0, 0]}[how]
    assert past.values.tolist() == expected
    np.testing.assert_array_equal(actuals(whole, np.array([2]), 3), [[NAN, NAN, 90.0]])


def test_the_strict_policy_holds_across_the_join():
    strict = replace(panel([1.0, 2]), schema=Schema(missing="raise"))
    with pytest.raises(DataError, match="rows are missing between them in series 's0'"):
        append(strict, panel([9.0], first=[3]))
    assert append(strict, panel([9.0], first=[2])).values.tolist() == [1, 2, 9]


def test_an_absurd_jump_across_the_join_is_refused():
    with pytest.raises(DataError, match="jump of more than 50 steps"):
        append(panel([1.0, 2]), panel([9.0], first=[10**9]))
    assert len(append(panel([1.0, 2]), panel([9.0], first=[100])).values) == 101


def test_new_rows_may_be_unknown():
    np.testing.assert_array_equal(append(panel([1.0]), panel([NAN, NAN], first=[1])).values, [1, NAN, NAN])
