"""Covariates and their encoding: labels by what they say, numbers as standard deviations, nothing learned twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.panel import encoding as encodings
from forecast.panel.append import append
from forecast.panel.covariates import Covariates, Labels, Numbers
from forecast.panel.encoding import fit_encoding
from tests.panel.test_panel import panel

NAN = float("nan")


def numbers(*values: float, name: str = "size") -> Numbers:
    return Numbers(name, np.array(values, dtype=np.float64))


def labels(*cells: str | None, name: str = "colour") -> Labels:
    known = tuple(dict.fromkeys(cell for cell in cells if cell is not None))
    return Labels(name, np.array([-1 if cell is None else known.index(cell) for cell in cells], dtype=np.int64), known)


def said(column: Labels) -> list[str | None]:
    return [None if code < 0 else column.labels[code] for code in column.codes]


def written(covariates: Covariates, fitted: Covariates | None = None) -> np.ndarray:
    """The encoded vectors, written out cell by cell."""
    encoded = fit_encoding(fitted or covariates).encode(covariates)
    vectors = np.zeros((len(covariates), encoded.width))
    vectors[:, : encoded.numbers.shape[1]] = encoded.numbers
    np.put_along_axis(vectors, encoded.places, 1.0, axis=1)
    return vectors


cells = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=6)


@given(cells, cells)
def test_tables_are_joined_by_what_their_labels_say(one, two):
    joined = Covariates((labels(*one),)).followed_by(Covariates((labels(*two),)))
    assert said(joined.columns[0]) == one + two


def test_a_table_is_joined_by_the_names_of_its_columns():
    one = Covariates((numbers(1.0), labels("a")))
    joined = one.followed_by(Covariates((labels("b"), numbers(2.0))))
    assert joined.column("size").values.tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="size holds numbers in one table and labels in the other"):
        one.followed_by(Covariates((labels("b", name="size"), labels("b"))))


def test_numbers_become_standard_deviations_from_the_mean():
    np.testing.assert_allclose(
        written(Covariates((numbers(1.0, 3.0, 5.0),)))[:, 0], [-(1.5**0.5), 0.0, 1.5**0.5], rtol=1e-6
    )


def test_a_missing_number_is_the_mean_and_says_so_where_training_had_one():
    some = Covariates((numbers(1.0, NAN, 3.0),))
    np.testing.assert_allclose(written(some), [[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    all_known = Covariates((numbers(1.0, 3.0),))
    np.testing.assert_allclose(written(some, all_known), [[-1.0], [0.0], [1.0]])


def test_each_label_has_a_cell_and_the_last_one_is_for_the_others():
    fitted = Covariates((labels("b", "a"),))
    vectors = written(Covariates((labels("a", "b", "new", None),)), fitted)
    assert vectors.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert fit_encoding(fitted).strangers(Covariates((labels("a", "new", None, "new"),))) == {"colour": ("new",)}


def test_labels_that_no_row_has_get_no_cell():
    unused = Labels("colour", np.array([1, 1]), ("red", "blue"))
    assert fit_encoding(Covariates((unused,))).labels[0].labels == ("blue",)


@given(st.permutations(range(5)))
def test_the_order_of_the_rows_changes_no_encoding(order):
    rows = Covariates((numbers(1e16, 1.0, -1e16, 3.0, NAN), labels("b", None, "a", "c", "a")))
    assert fit_encoding(rows.take(np.array(order))) == fit_encoding(rows)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=1, max_size=6))
def test_any_finite_numbers_are_encoded_as_finite_ones(values):
    with np.errstate(all="raise", under="ignore"):
        vectors = written(Covariates((numbers(*values),)))
    assert np.isfinite(vectors).all()
    assert np.abs(vectors).max() <= encodings.FARTHEST


def test_a_constant_and_a_column_of_nothing_say_nothing():
    assert written(Covariates((numbers(7.0, 7.0),))).tolist() == [[0.0], [0.0]]
    assert written(Covariates((numbers(NAN, NAN),))).tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_a_number_far_outside_those_trained_on_is_clipped():
    fitted = Covariates((numbers(1.0, 3.0),))
    assert written(Covariates((numbers(1e300, -1e300),)), fitted).tolist() == [[10.0], [-10.0]]


def test_of_too_many_labels_the_commonest_are_kept():
    many = Covariates((labels("d", "c", "c", "b", "a", "d"),))
    encoding = fit_encoding(many, most=2)
    assert encoding.labels[0].labels == ("c", "d")
    assert encoding.encode(many).places[:, 0].tolist() == [1, 0, 0, 2, 2, 1]


def with_features(*series: list[float], size: list[float]) -> object:
    return replace(panel(*series), static=Covariates((numbers(*size), labels(*"abc"[: len(size)]))))


def test_series_keep_their_features_through_cuts_and_choices():
    whole = with_features([1.0, 2.0], [3.0], [4.0, 5.0], size=[10.0, 20.0, 30.0])
    cut = whole.take(np.array([2, 0])).tail(1)
    assert cut.static.column("size").values.tolist() == [30.0, 10.0]
    assert said(cut.static.column("colour")) == ["c", "a"]


def test_new_rows_bring_the_latest_features_and_those_of_new_series():
    history = with_features([1.0], [2.0], size=[10.0, 20.0])
    new = with_features([3.0], [4.0], size=[21.0, 30.0])
    new = replace(new, ids=pd.Index(["s1", "s9"]), first=np.array([1, 1]))
    static = append(history, new).static
    assert static.column("size").values.tolist() == [10.0, 21.0, 30.0]
    assert said(static.column("colour")) == ["a", "a", "b"]
