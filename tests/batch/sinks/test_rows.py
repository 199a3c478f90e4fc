from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.batch.form import Form
from forecast.batch.sinks.rows import Piece, check_outputs, prepared, together
from forecast.errors import ConfigError, StorageError
from tests.batch.publications import FORM, SLOT, frame


@given(st.permutations(range(9)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    rows = frame(("b", "a", "Ä"))
    shuffled = prepared(FORM, rows.iloc[order].set_index(np.arange(9)[::-1]))
    pd.testing.assert_frame_equal(shuffled, rows.sort_values(["unique_id", "step"], ignore_index=True))


def test_the_frame_given_stays_as_it_was() -> None:
    rows = frame()
    rows.loc[2, "reason"] = np.nan
    before = rows.copy()
    prepared(FORM, rows)
    pd.testing.assert_frame_equal(rows, before)


def test_missing_notes_are_empty() -> None:
    rows = frame()
    rows.loc[2, "reason"] = np.nan
    assert "" in prepared(FORM, rows)["reason"].tolist()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("unique_id", None, "unique_id: nothing in row 1"),
        ("ds", pd.NaT, "ds: nothing in row 1"),
        ("step", 0, "steps count from 1"),
        ("step", 1, "unique_id 'b', step 1 stands 2 times"),
        ("unique_id", "x\0y", r"unique_id: 'x\\x00y' holds a NUL"),
        ("reason", "x\0y", r"reason: 'x\\x00y' holds a NUL"),
    ],
)
def test_rows_that_no_sink_could_keep_are_refused(column: str, value: object, message: str) -> None:
    rows = frame()
    rows.loc[1, column] = value
    with pytest.raises(StorageError, match=message):
        prepared(FORM, rows)


@pytest.mark.parametrize("outputs", [("mean", "slot"), ("mean", "MEAN"), ("mean", "Run"), ("mean", "reason")])
def test_outputs_named_like_other_columns_are_refused(outputs: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="must differ"):
        check_outputs(replace(FORM, outputs=outputs))


def test_runs_with_other_outputs_are_put_together() -> None:
    old = Form("integer", "aware", "Europe/London", ("mean", "lo-80"))
    new = Form("text", "aware", "UTC", ("mean", "hi-80"))
    pieces = [Piece("a", SLOT, old, frame((7,), old)), Piece("b", SLOT, new, frame(("x",), new))]
    both = together(pieces)
    assert both.columns.tolist()[7:10] == ["mean", "hi-80", "lo-80"]
    assert both["unique_id"].tolist() == ["7"] * 3 + ["x"] * 3
    assert str(both["ds"].dtype) == "datetime64[us, UTC]"
    assert both["hi-80"].isna().tolist() == [True] * 3 + [False] * 3
    assert (both["ds"].iloc[:3] == frame((7,), old)["ds"]).all()


def test_runs_with_other_kinds_of_times_are_not_put_together() -> None:
    whole = replace(FORM, times="integer")
    pieces = [Piece("a", SLOT, FORM, frame()), Piece("b", SLOT, whole, frame(form=whole))]
    with pytest.raises(StorageError, match="naive times and others integer"):
        together(pieces)
