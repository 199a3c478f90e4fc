"""What all sources share, and functions as sources."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

import pandas as pd
import polars as pl
import pytest

from forecast.batch.protocols import Source
from forecast.batch.source import FunctionSource, joined, persistently
from forecast.errors import DataError, StorageError

NOW = datetime(2024, 5, 1, tzinfo=UTC)
FRAME = pd.DataFrame({"unique_id": ["a", "b"], "ds": pd.to_datetime(["2024-01-01"] * 2), "y": [1.0, 2.0]})


def test_a_function_of_the_slot_is_a_source():
    asked = []

    def rows(as_of: datetime) -> pd.DataFrame:
        asked.append(as_of)
        return FRAME

    source = FunctionSource(rows)
    pd.testing.assert_frame_equal(source.read(NOW), FRAME)
    assert asked == [NOW] and isinstance(source, Source)
    assert source.describe()["function"].endswith("test_a_function_of_the_slot_is_a_source.<locals>.rows")


def test_any_frame_will_do_and_columns_may_stand_in_the_index():
    indexed = FRAME.set_index(["unique_id", "ds"])
    assert FunctionSource(lambda _: indexed).read(NOW).columns.tolist() == ["unique_id", "ds", "y"]
    assert FunctionSource(lambda _: pl.from_pandas(FRAME)).read(NOW)["y"].tolist() == [1.0, 2.0]
    with pytest.raises(DataError, match="no rows"):
        FunctionSource(lambda _: FRAME[:0]).read(NOW)


def test_nobody_can_change_the_frame_during_the_run():
    shared = FRAME.copy()
    read = FunctionSource(lambda _: shared).read(NOW)
    shared.loc[0, "y"] = 99.0
    shared["y"].to_numpy(copy=False)
    assert read["y"].tolist() == [1.0, 2.0]


def test_a_connection_that_fails_is_tried_again_and_given_up_in_time():
    tries = []

    def third_time_lucky(_: datetime) -> pd.DataFrame:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionResetError("peer")
        return FRAME

    assert len(FunctionSource(third_time_lucky, patience=30).read(NOW)) == 2

    def never(_: datetime) -> pd.DataFrame:
        raise TimeoutError("too slow")

    with pytest.raises(StorageError, match=r"never could not be read: 'too slow'"):
        FunctionSource(never, patience=0).read(NOW)


def test_an_error_of_the_function_is_its_own():
    def broken(_: datetime) -> pd.DataFrame:
        raise KeyError("column")

    with pytest.raises(KeyError, match="column"):
        FunctionSource(broken).read(NOW)


def test_patience_ends_and_leaves_the_generator_of_the_user_alone():
    state = random.getstate()
    times = []

    def fail() -> None:
        times.append(time.monotonic())
        raise OSError

    with pytest.raises(OSError):
        persistently(fail, (OSError,), patience=0.4, pause=0.05)
    assert len(times) >= 3 and times[-1] - times[0] < 5
    assert random.getstate() == state
    with pytest.raises(ZeroDivisionError):
        persistently(lambda: 1 / 0, (OSError,), patience=9)


def test_a_part_without_any_value_takes_the_type_of_the_others():
    unknown = pd.DataFrame({"unique_id": ["c"], "ds": [None], "y": pd.Series([None], dtype=object)})
    whole = joined([FRAME, unknown, FRAME[:0]])
    assert whole["y"].dtype == float and whole["ds"].dtype.kind == "M" and len(whole) == 3
    assert joined([FRAME]) is FRAME
    numbers = FRAME.astype({"y": "int64"})
    assert joined([numbers, unknown])["y"].tolist()[:2] == [1.0, 2.0]


def test_doubled_columns_are_left_to_the_door():
    doubled = FRAME.set_axis(["unique_id", "y", "y"], axis=1)
    assert joined([doubled, doubled]).columns.tolist() == ["unique_id", "y", "y"]
