"""The hash of the rows that a run used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import Schema
from forecast.batch.hashing import ROWS, RowSums, data_hash, row_sums, table_hash
from forecast.errors import DataError


def frame(**changes: object) -> pd.DataFrame:
    table = {
        "unique_id": ["a", "a", "b", "b"],
        "ds": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01", "2024-01-02"]),
        "y": [1.0, 2.0, np.nan, 0.0],
    }
    return pd.DataFrame({**table, **changes})


def test_the_hash_is_the_same_for_ever():  # in ledgers that are years old, too
    assert data_hash(frame()) == "ce7e6f147911bfa30b1fe5d3cdddef32afd34ae128f21a7bd7cd7cb0353d2dbe"


def test_it_is_the_same_in_another_process():
    code = "import tests.batch.test_hashing as t; print(t.data_hash(t.frame()))"
    environment = {**os.environ, "PYTHONHASHSEED": "1234"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert out.stdout.strip() == data_hash(frame())


@given(st.permutations(range(4)), st.permutations(["unique_id", "ds", "y"]))
def test_order_of_rows_and_columns_and_the_index_make_no_difference(rows, columns):
    assert data_hash(frame().iloc[rows][columns]) == data_hash(frame())


def test_many_rows_in_any_order():
    size = 2 * ROWS + 17
    chance = np.random.default_rng(0)
    many = pd.DataFrame(
        {"unique_id": chance.integers(0, 99, size), "ds": np.arange(size), "y": chance.normal(size=size)}
    )
    assert data_hash(many.sample(frac=1, random_state=1)) == data_hash(many)
    changed = many.copy()
    changed.loc[ROWS + 1, "y"] = np.nextafter(changed.loc[ROWS + 1, "y"], 9.0)
    assert data_hash(changed) != data_hash(many)


SAME = {
    "whole numbers": {"y": pd.array([1, 2, None, 0], dtype="Int64")},
    "narrow numbers": {"y": np.array([1, 2, np.nan, 0], dtype=np.float32)},
    "a negative zero": {"y": [1.0, 2.0, np.nan, -0.0]},
    "another kind of missing": {"y": pd.Series([1.0, 2.0, None, 0.0], dtype=object)},
    "another NaN": {"y": [1.0, 2.0, -np.float64("nan"), 0.0]},
    "decimals": {"y": [Decimal(1), Decimal(2), None, Decimal(0)]},
    "dates as text": {"ds": ["2024-01-01", "2024-01-02", "2024-01-01", "2024-01-02"]},
    "stamps in other units": {"ds": frame()["ds"].astype("datetime64[ns]")},
    "categories": {"unique_id": pd.Categorical(["a", "a", "b", "b"], categories=["z", "b", "a"])},
    "ids as objects": {"unique_id": pd.Series(["a", "a", "b", "b"], dtype=object)},
    "a column that nobody reads": {"colour": ["red", "red", "blue", "blue"]},
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_what_a_model_reads_alike_hashes_alike(case):
    assert data_hash(frame(**SAME[case])) == data_hash(frame())


OTHER = {
    "a value": {"y": [1.0, np.nextafter(2.0, 3.0), np.nan, 0.0]},
    "a value that is known now": {"y": [1.0, 2.0, 0.0, 0.0]},
    "a value that is unknown now": {"y": [1.0, 2.0, np.nan, np.nan]},
    "infinity": {"y": [1.0, 2.0, np.inf, 0.0]},
    "values swapped in a series": {"y": [2.0, 1.0, np.nan, 0.0]},
    "values swapped between series": {"y": [np.nan, 0.0, 1.0, 2.0]},
    "text for a value": {"y": pd.Series([1.0, 2.0, "n/a", 0.0], dtype=object)},
    "a stamp": {"ds": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01", "2024-01-02T00:00:00.000001"], format="ISO8601")},
    "a stamp that is missing now": {"ds": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01", None])},
    "text for a stamp": {"ds": ["2024-01-01", "2024-01-02", "2024-01-01", "then"]},
    "a zone": {"ds": frame()["ds"].dt.tz_localize("UTC")},
    "whole numbers for stamps": {"ds": [1, 2, 1, 2]},
    "an id": {"unique_id": ["a", "a", "b", "B"]},
    "an id that is missing now": {"unique_id": ["a", "a", "b", None]},
    "ids swapped": {"unique_id": ["b", "a", "a", "b"]},
}  # fmt: skip


def test_whatever_else_changes_gives_another_hash():
    hashes = {case: data_hash(frame(**change)) for case, change in OTHER.items()}
    assert len({*hashes.values(), data_hash(frame())}) == len(OTHER) + 1


def test_the_type_of_ids_counts_though_not_its_width():
    numbers, text = frame(unique_id=[1, 1, 2, 2]), frame(unique_id=["1", "1", "2", "2"])
    assert data_hash(numbers) != data_hash(text)
    assert data_hash(numbers.astype({"unique_id": "int8"})) == data_hash(numbers)
    assert data_hash(numbers.astype({"unique_id": "float64"})) != data_hash(numbers)


def test_zones_differ_even_when_the_instants_do_not():
    berlin = frame(ds=frame()["ds"].dt.tz_localize("Europe/Berlin"))
    utc = berlin.assign(ds=berlin["ds"].dt.tz_convert("UTC"))
    assert data_hash(berlin) != data_hash(utc)


def test_rows_are_counted_even_where_they_repeat():
    once = frame()
    hashes = [data_hash(pd.concat([once] * times)) for times in (1, 2, 3)]
    hashes += [data_hash(once[:0]), data_hash(once[:3]), data_hash(pd.concat([once, once[:1]]))]
    assert len(set(hashes)) == 6


@given(
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=5),
    st.integers(0, 4),
    st.floats(allow_nan=False),
)
def test_any_changed_value_changes_the_hash(values, place, value):
    place = place % len(values)
    before = pd.DataFrame({"ds": range(len(values)), "y": values})
    after = before.copy()
    after.loc[place, "y"] = value
    assert (data_hash(before) == data_hash(after)) == (values[place] == value)


@given(st.text(max_size=4), st.text(max_size=4))
def test_any_two_ids_differ(one, two):
    hashes = [data_hash(pd.DataFrame({"unique_id": [name], "ds": [1], "y": [1.0]})) for name in (one, two)]
    assert (hashes[0] == hashes[1]) == (one == two)


def test_columns_asked_for_count_and_their_kind_and_name_too():
    with_price = frame(price=[1, 2, 3, 4], cost=[1, 2, 3, 4])
    plain, priced, costed = (
        data_hash(with_price),
        data_hash(with_price, columns=["price"]),
        data_hash(with_price, columns=["cost"]),
    )
    labelled = data_hash(with_price.astype({"price": str}), columns=["price"])
    truths = data_hash(with_price.assign(price=with_price["price"] == 1), columns=["price"])
    ones = data_hash(with_price.assign(price=(with_price["price"] == 1).astype(int)), columns=["price"])
    assert len({plain, priced, costed, labelled, truths, ones}) == 6
    assert data_hash(with_price, columns=["price", "cost"]) == data_hash(with_price, columns=["cost", "price"])
    assert data_hash(with_price, Schema(stat_exog=["price"])) == priced


def test_what_the_columns_are_called_makes_no_difference():
    renamed = frame().rename(columns={"unique_id": "shop", "ds": "day", "y": "sales"})
    assert data_hash(renamed, Schema("shop", "day", "sales")) == data_hash(frame())


def test_cells_of_any_kind_have_a_hash_that_repeats():
    odd = frame(y=pd.Series([[1], {"a": 2}, "1,5", b"x"], dtype=object), ds=pd.Series([1.5, 2.5, 3.5, 4.5]))
    assert data_hash(odd) == data_hash(odd.sample(frac=1, random_state=0))


def test_any_table_has_a_hash():
    static = pd.DataFrame({"unique_id": ["a", "b"], "size": [1.0, 2.0], "kind": ["x", None]})
    assert table_hash(static) == table_hash(static[::-1][["kind", "unique_id", "size"]])
    assert table_hash(static) != table_hash(static.assign(kind=["x", "y"]))
    assert table_hash(static, ["size"]) != table_hash(static, ["kind"])


def test_the_frame_is_unchanged_and_a_column_that_is_not_there_is_named():
    given_ = frame(y=[1.0, -0.0, np.nan, 0.0])
    before = given_.copy(deep=True)
    data_hash(given_)
    pd.testing.assert_frame_equal(given_, before)
    assert np.signbit(given_["y"][1])
    with pytest.raises(DataError, match="price: no such column"):
        data_hash(given_, columns=["price"])


@given(cut=st.integers(0, 12), seed=st.integers(0, 99))
def test_the_hash_of_two_stretches_of_rows_is_carried_on_from_that_of_the_first(cut, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "unique_id": rng.choice(["a", "b", "c"], 12),
            "ds": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 9, 12), unit="D"),
            "y": np.where(rng.random(12) < 0.2, np.nan, rng.standard_normal(12)),
        }
    )
    first, second = row_sums(frame.iloc[:cut]), row_sums(frame.iloc[cut:])
    assert (first + second).digest == data_hash(frame)
    assert RowSums.from_facts(json.loads(json.dumps((first + second).facts()))) == first + second


def test_stretches_of_other_kinds_have_no_hash_together():
    frame = pd.DataFrame({"unique_id": ["a"], "ds": pd.to_datetime(["2026-01-01"]), "y": [1.0]})
    with pytest.raises(ValueError, match="other kinds"):
        row_sums(frame) + row_sums(frame.assign(ds=frame["ds"].dt.tz_localize("UTC")))
