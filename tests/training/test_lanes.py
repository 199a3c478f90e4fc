"""Who reads what in stateful training."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forecast.training.lanes import Lanes

lengths = st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any).map(np.array)


@given(lengths, st.integers(1, 6), st.integers(1, 9))
def test_a_lane_reads_a_series_in_order_and_starts_the_next_within_its_first_chunk(rows, most, chunk):
    lanes = Lanes(rows, most, chunk, seed=3)
    before = lanes.at(0)
    assert before.fresh.all()
    for step in range(1, 40):
        now = lanes.at(step)
        through = before.row + chunk >= rows[before.series]
        np.testing.assert_array_equal(now.fresh, through)
        np.testing.assert_array_equal(now.row[~through], before.row[~through] + chunk)
        assert (now.row[through] <= np.minimum(chunk, rows[now.series[through]] // 4)).all()
        assert (now.series[~through] == before.series[~through]).all()
        assert (now.row < rows[now.series]).all()
        before = now


@given(lengths, st.integers(1, 6), st.integers(1, 9), st.lists(st.integers(0, 30), max_size=6))
def test_what_is_read_at_a_step_depends_on_nothing_that_was_read_before(rows, most, chunk, steps):
    lanes = Lanes(rows, most, chunk, seed=1)
    for step in steps:
        for one, two in zip(lanes.at(step), Lanes(rows, most, chunk, seed=1).at(step), strict=True):
            np.testing.assert_array_equal(one, two)


@given(lengths, st.integers(1, 6), st.integers(1, 9))
def test_a_pass_reads_every_series_once(rows, most, chunk):
    lanes = Lanes(rows, most, chunk, seed=7)
    lanes.at(0)
    begun = [series for step in range(1, 120) for series in lanes.at(step).series[lanes.at(step).fresh]]
    readable = set(np.flatnonzero(rows))
    for start in range(0, len(begun) - len(readable), len(readable)):
        assert set(begun[start : start + len(readable)]) == readable


def test_lanes_begin_at_different_rows_even_of_a_single_series():
    places = Lanes(np.array([1000]), 128, 10, seed=0).at(0)
    assert len(places.row) == 100
    assert len(set(places.row.tolist())) == 100
    assert (np.diff(places.row) > 0).all()


def test_chunks_of_a_series_end_at_other_rows_in_every_pass():
    lanes = Lanes(np.array([80]), 1, 10, seed=0)
    ends = [lanes.at(step).row[0] for step in range(1, 60) if lanes.at(step).fresh[0]]
    assert len(set(ends)) > 3


def test_another_seed_gives_another_order():
    one, two = (Lanes(np.full(50, 9), 4, 9, seed).at(5).series.tolist() for seed in (0, 1))
    assert one != two
