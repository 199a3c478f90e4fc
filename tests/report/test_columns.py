from __future__ import annotations

import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.report.columns import find_models

ROLES = ("unique_id", "ds", "cutoff", "y")


def frame(*columns: object, value: object = 1.0) -> pd.DataFrame:
    return pd.DataFrame([[value] * (4 + len(columns))], columns=[*ROLES, *columns])


def test_intervals_and_quantiles_go_to_their_model_in_ascending_order() -> None:
    columns = ("a-hi-90", "a-q-0.9", "b", "a", "a-lo-90", "a-hi-9.5", "a-lo-9.5", "a-q-0.1")
    b, a = find_models(frame(*columns), ROLES)
    assert (b.name, dict(b.intervals), dict(b.quantiles)) == ("b", {}, {})
    assert list(a.intervals.items()) == [("9.5", ("a-lo-9.5", "a-hi-9.5")), ("90", ("a-lo-90", "a-hi-90"))]
    assert list(a.quantiles.items()) == [("0.1", "a-q-0.1"), ("0.9", "a-q-0.9")]


def test_a_model_may_be_called_almost_anything() -> None:
    names = ["lo-90", "my-model-lo", "a b.c", "<script>", "模型", "x-lo-90%"]
    assert [model.name for model in find_models(frame(*names), ROLES)] == names


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((), "no forecasts"),
        (("a", "a-lo-90"), "half an interval.*'a-hi-90'"),
        (("a", "b-lo-90", "b-hi-90"), "no point forecast.*'b'"),
        (("a", "a-lo-100", "a-hi-100"), "no percentage"),
        (("a", "a-q-1"), "not a probability"),
        (("a", "a"), "two columns have this name"),
        (("a", 3), "not text"),
    ],
)
def test_columns_that_make_no_sense_are_named(columns: tuple[object, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_models(frame(*columns), ROLES)


@pytest.mark.parametrize("value", ["x", True, 1j, pd.Timestamp("2020-01-01")])
def test_a_column_that_holds_no_numbers_is_named_with_its_type(value: object) -> None:
    cv = frame("a").assign(source=[value])
    with pytest.raises(DataError, match="source: forecasts are numbers"):
        find_models(cv, ROLES)


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(DataError) as error:
        find_models(frame("a", "a-lo-90", "b-q-0.1").assign(source="x"), ROLES)
    assert {fault.column for fault in error.value.report} == {"a-lo-90", "b-q-0.1", "source"}


def test_missing_roles_are_named_with_what_is_there() -> None:
    with pytest.raises(DataError, match="(?s)cutoff: no such column.*'y'"):
        find_models(frame("a").drop(columns="cutoff"), ROLES)
