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


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "unique_id: nothing in row 1 of the forecasts"),
        (np.nan, "unique_id: nothing in row 1 of the forecasts"),
        (1.5, "unique_id: 1.5 in row 1 of the forecasts is no whole number"),
        ("seven", "unique_id: 'seven' in row 1 of the forecasts is no whole number"),
        (2**63, "unique_id: 9223372036854775808 in row 1 of the forecasts is no whole number of 64 bits"),
        (float("inf"), "unique_id: inf in row 1"),
    ],
)
@pytest.mark.parametrize("dtype", ["object", None])
def test_an_integer_id_that_is_none_is_one_clear_error(cell: object, message: str, dtype: str | None) -> None:
    whole = replace(FORM, ids="integer")
    rows = frame((1, 2), whole)
    ids: list[object] = rows["unique_id"].tolist()
    ids[1] = cell
    with pytest.raises(StorageError, match=message):
        whole.conform(rows.assign(unique_id=pd.Series(ids, dtype=dtype)))


def test_every_key_that_is_missing_is_told_at_once_and_none_passes() -> None:
    rows = frame().astype({"step": "float64"})
    rows.loc[1, "unique_id"] = None
    rows.loc[2, ["ds", "step"]] = [pd.NaT, np.nan]
    with pytest.raises(
        StorageError, match=r"unique_id: nothing in row 1 .*ds: nothing in row 2.*step: nothing in row 2"
    ):
        FORM.conform(rows)


@pytest.mark.parametrize("ids", [(-(2**63), 2**63 - 1), (0, 2**53 + 1)])
def test_integer_ids_stay_exact_at_the_ends_of_their_range(ids: tuple[int, ...]) -> None:
    whole = replace(FORM, ids="integer")
    rows = frame((1, 2), whole)
    given = rows["unique_id"].map(dict(zip((1, 2), ids, strict=True)))
    for kind in ("int64", "object", "Int64"):
        assert whole.conform(rows.assign(unique_id=given.astype(kind)))["unique_id"].tolist() == given.tolist()


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
