"""What is known into the future: every row by series and time, however it is cut, chosen or laid over."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forecast.panel.covariates import Covariates, Labels, Numbers
from forecast.panel.known import Known


def known(*spans: tuple[int, int], salt: int = 0) -> Known:
    """Series ``s`` from ordinal ``first`` on; its cells tell series and ordinal: s * 1000 + ordinal."""
    first = np.array([start for start, _ in spans], dtype=np.int64)
    lengths = np.array([length for _, length in spans], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    cells = np.concatenate([s * 1000 + salt + np.arange(a, a + n) for s, (a, n) in enumerate(spans)] or [[]])
    parity = Labels("parity", cells.astype(np.int64) % 2, ("even", "odd"))
    return Known(Covariates((Numbers("cell", cells.astype(np.float64)), parity)), offsets, first)


def said(table: Known) -> dict[tuple[int, int], float]:
    """Every known cell by series and ordinal."""
    cells = table.covariates.column("cell").values
    series = np.repeat(np.arange(len(table)), table.lengths)
    ordinals = np.concatenate([np.arange(a, b + 1) for a, b in zip(table.first, table.last, strict=True)] or [[]])
    told = zip(series.tolist(), ordinals.astype(int).tolist(), cells.tolist(), strict=True)
    return {(s, o): c for s, o, c in told if np.isfinite(c)}


spans = st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 6)), min_size=1, max_size=4)


@given(spans, st.data())
def test_rows_between_two_times_are_those_of_their_series_and_missing_elsewhere(given_spans, data):
    table = known(*given_spans)
    first = np.array(data.draw(st.lists(st.integers(-8, 8), min_size=len(table), max_size=len(table))), dtype=np.int64)
    lengths = np.array(data.draw(st.lists(st.integers(0, 8), min_size=len(table), max_size=len(table))), dtype=np.int64)
    part = table.between(first, lengths)
    inside = {(s, o): c for (s, o), c in said(table).items() if first[s] <= o < first[s] + lengths[s]}
    assert said(part) == inside
    assert part.lengths.tolist() == lengths.tolist()


@given(spans, st.randoms())
def test_chosen_series_keep_their_rows(given_spans, random):
    table = known(*given_spans)
    chosen = random.sample(range(len(table)), random.randint(1, len(table)))
    taken = said(table.take(np.array(chosen)))
    assert taken == {(at, o): c for at, s in enumerate(chosen) for (t, o), c in said(table).items() if t == s}


@given(spans, st.data())
def test_what_is_laid_over_counts_and_the_rest_stays(given_spans, data):
    one = known(*given_spans)
    two = known(*data.draw(st.lists(spans.map(lambda s: s[0]), min_size=len(one), max_size=len(one))), salt=100_000)
    both = one.overlaid(two)
    assert said(both) == {**said(one), **said(two)}
    assert (both.covariates.column("parity").codes[np.isfinite(both.covariates.column("cell").values)] >= 0).all()


def test_a_table_reaches_on_with_missing_rows():
    longer = known((0, 2), (3, 4)).reaching(np.array([4, 5]))
    assert longer.last.tolist() == [4, 6]
    assert longer.covariates.column("cell").values[:5].tolist()[:2] == [0.0, 1.0]
    assert np.isnan(longer.covariates.column("cell").values[2:5]).all()
    assert (longer.covariates.column("parity").codes[2:5] == -1).all()


def test_more_columns_stand_beside_the_others():
    table = known((0, 3))
    assert table.beside(Covariates((Numbers("more", np.zeros(3)),))).names == ("cell", "parity", "more")
