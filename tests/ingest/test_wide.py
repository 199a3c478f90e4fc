from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecast.errors import ConfigError, DataError
from forecast.ingest.wide import wide_to_long

DAYS = pd.to_datetime(["2024-01-01", "2024-01-02"])


def test_each_column_becomes_a_series_in_column_order():
    long = wide_to_long(pd.DataFrame({"date": DAYS, "b": [1.0, 2.0], "a": [3.0, np.nan]}), "date")
    expected = pd.DataFrame({"unique_id": ["b", "b", "a", "a"], "ds": [*DAYS, *DAYS], "y": [1.0, 2.0, 3.0, np.nan]})
    pd.testing.assert_frame_equal(long, expected)


def test_the_index_is_the_time_when_no_column_is_named():
    long = wide_to_long(pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=DAYS))
    assert long["ds"].tolist() == [*DAYS, *DAYS]
    assert long["y"].tolist() == [1, 2, 3, 4]
    assert long.index.tolist() == [0, 1, 2, 3]


def test_output_columns_take_the_names_asked_for():
    long = wide_to_long(pd.DataFrame({"a": [1]}, index=DAYS[:1]), id_col="shop", target_col="sales")
    assert list(long.columns) == ["shop", "ds", "sales"]


@pytest.mark.parametrize("kind", ["int8", "int64", "float32", "float64", "Int64", "Float32", "double[pyarrow]"])
def test_values_keep_their_type(kind):
    long = wide_to_long(pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=DAYS).astype(kind))
    assert long["y"].dtype == pd.DataFrame({"a": [1]}).astype(kind)["a"].dtype
    assert long["y"].tolist() == [1, 2, 3, 4]


def test_mixed_values_take_their_common_type():
    assert wide_to_long(pd.DataFrame({"a": [1], "b": [0.5]}, index=DAYS[:1]))["y"].tolist() == [1.0, 0.5]


def test_large_integer_column_names_stay_exact_ids():
    long = wide_to_long(pd.DataFrame([[1.0, 2.0]], columns=[100100037, 2**53 + 1], index=DAYS[:1]))
    assert long["unique_id"].tolist() == [100100037, 2**53 + 1]
    assert long["unique_id"].dtype == np.int64


@pytest.mark.parametrize(
    "times",
    [
        DAYS.tz_localize("Europe/Berlin"),
        DAYS.as_unit("ms"),
        pd.PeriodIndex(["2024-01", "2024-02"], freq="M"),
        pd.Index([7, 8]),
    ],
)
def test_times_keep_their_type(times):
    from_index = wide_to_long(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}, index=times))
    from_column = wide_to_long(pd.DataFrame({"t": times, "a": [1.0, 2.0], "b": [1.0, 2.0]}), "t")
    assert from_index["ds"].dtype == times.dtype
    pd.testing.assert_frame_equal(from_index, from_column)


def test_the_given_frame_is_not_changed():
    frame = pd.DataFrame({"date": DAYS, "a": [1.0, 2.0]})
    before = frame.copy(deep=True)
    long = wide_to_long(frame, "date")
    long.loc[:, "y"] = 0.0
    pd.testing.assert_frame_equal(frame, before)


@given(arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(1, 5)), elements=st.floats(allow_nan=True)))
def test_pivoting_back_gives_the_table_again(values):
    frame = pd.DataFrame(values, columns=[f"s{i}" for i in range(values.shape[1])])
    long = wide_to_long(frame)
    assert len(long) == values.size
    np.testing.assert_array_equal(long["y"].to_numpy().reshape(values.shape[::-1]).T, values)


def test_a_misspelt_time_column_gets_a_suggestion():
    with pytest.raises(DataError, match="Did you mean 'date'"):
        wide_to_long(pd.DataFrame({"date": DAYS, "a": [1, 2]}), "dat")


def test_text_columns_are_all_reported_with_the_way_out():
    frame = pd.DataFrame({"date": ["2024-01-01"], "a": [1.0], "b": ["x"], "c": [True]})
    with pytest.raises(DataError) as caught:
        wide_to_long(frame)
    assert [fault.column for fault in caught.value.report] == ["'date'", "'b'", "'c'"]
    assert "time_col='date'" in str(caught.value)


def test_missing_times_are_reported_by_row():
    with pytest.raises(DataError) as caught:
        wide_to_long(pd.DataFrame({"date": [DAYS[0], pd.NaT], "a": [1.0, 2.0]}), "date")
    assert caught.value.report[0].rows == (1,)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"date": DAYS}), "no column beside the time"),
        (pd.DataFrame([[DAYS[0], 1, 2]], columns=["date", "a", "a"]), "'a' occurs more than once"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "columns: they are a MultiIndex"),
        (pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([("x", 1)])), "index: it is a MultiIndex"),
        ({"a": [1]}, "it is a dict"),
    ],
)
def test_frames_of_another_shape_are_refused(frame, words):
    with pytest.raises(DataError, match=words):
        wide_to_long(frame, "date" if "date" in getattr(frame, "columns", ()) else None)


@pytest.mark.parametrize("names", [{"id_col": "y"}, {"target_col": "ds"}, {"id_col": "ds"}])
def test_output_names_that_collide_are_refused(names):
    with pytest.raises(ConfigError, match="must differ"):
        wide_to_long(pd.DataFrame({"a": [1]}), **names)
