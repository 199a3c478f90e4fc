"""Where rows lie and when: offsets, ranges and what follows from them, against Python's own loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forecast.panel.covariates import Covariates, Numbers
from forecast.panel.known import Known
from forecast.panel.panel import Panel
from forecast.panel.spans import Spans, offsets_of, ranges

LENGTHS = st.lists(st.integers(0, 5), max_size=6)


@given(LENGTHS, st.data())
def test_ranges_are_those_of_a_loop(lengths, data):
    starts = data.draw(st.lists(st.integers(-9, 99), min_size=len(lengths), max_size=len(lengths)))
    expected = [place for start, length in zip(starts, lengths, strict=True) for place in range(start, start + length)]
    assert ranges(np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64)).tolist() == expected


@given(LENGTHS)
def test_offsets_begin_at_nothing_and_end_with_all(lengths):
    offsets = offsets_of(np.array(lengths, dtype=np.int64))
    assert offsets.tolist() == [sum(lengths[:number]) for number in range(len(lengths) + 1)]
    assert offsets.dtype == np.int64


@given(LENGTHS)
def test_every_row_knows_its_series_and_its_time(lengths):
    first = np.arange(len(lengths), dtype=np.int64) * 10
    offsets = offsets_of(np.array(lengths, dtype=np.int64))
    known = Known(Covariates((Numbers("x", np.zeros(sum(lengths))),)), offsets, first)
    rows = [(series, 10 * series + row) for series, length in enumerate(lengths) for row in range(length)]
    assert list(zip(known.series.tolist(), known.ordinals.tolist(), strict=True)) == rows
    assert known.rows(known.series, known.ordinals).tolist() == list(range(len(rows)))
    assert len(known) == len(lengths) and known.lengths.tolist() == lengths
    assert known.last.tolist() == [10 * series + length - 1 for series, length in enumerate(lengths)]


def test_panels_and_what_is_known_ahead_count_rows_alike():
    assert issubclass(Panel, Spans) and issubclass(Known, Spans)
    for name in ("lengths", "last", "series", "ordinals", "__len__"):
        assert getattr(Panel, name) is getattr(Known, name) is getattr(Spans, name)
