"""Rows in order of series and time: as a stable sort by both gives it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.ingest import sorting
from forecast.ingest.sorting import ordered

HOUR = 3_600_000_000
UNITS = st.sampled_from([1, 1000, 60_000_000, HOUR, 24 * HOUR, 7])


def same_as_lexsort(codes: np.ndarray, stamps: np.ndarray) -> None:
    before = codes.copy(), stamps.copy()
    found = ordered(codes, stamps)
    row = np.lexsort((stamps, codes))
    np.testing.assert_array_equal(found.row, row)
    np.testing.assert_array_equal(found.codes, codes[row])
    np.testing.assert_array_equal(found.stamps, stamps[row])
    assert found.stamps.dtype == stamps.dtype
    np.testing.assert_array_equal(codes, before[0])
    np.testing.assert_array_equal(stamps, before[1])


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(-40, 40)), min_size=1, max_size=60),
    unit=UNITS,
    start=st.integers(-(10**15), 10**15),
    dates=st.booleans(),
    chunk=st.sampled_from([1, 7, 2**18]),
)
def test_the_order_is_that_of_a_stable_sort_by_series_then_time(rows, unit, start, dates, chunk):
    codes = np.array([code for code, _ in rows], dtype=np.int64)
    times = start + unit * np.array([time for _, time in rows], dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "CHUNK", chunk)
        same_as_lexsort(codes, times.view("datetime64[us]") if dates else times)


@given(st.lists(st.tuples(st.integers(0, 2**20), st.integers(-(2 * 10**18), 2 * 10**18)), min_size=2, max_size=30))
def test_times_too_far_apart_for_one_word_are_sorted_all_the_same(rows):
    same_as_lexsort(np.array([code for code, _ in rows]), np.array([time for _, time in rows]))


def test_rows_without_a_series_come_first_as_they_do_in_any_sort():
    same_as_lexsort(np.array([1, -1, 0]), np.array([3, 2, 1]))
