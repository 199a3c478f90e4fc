from __future__ import annotations

import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.report.columns import find_models, outcome_of

ROLES = ("unique_id", "ds", "cutoff", "y")


def frame(*columns: object, value: object = 1.0) -> pd.DataFrame:
    return pd.DataFrame([[value] * (4 + len(columns))], columns=[*ROLES, *columns])


def test_intervals_and_quantiles_go_to_their_model_in_ascending_order() -> None:
    columns = ("a-hi-90", "a-q-0.9", "b", "a", "a-lo-90", "a-hi-9.5", "a-lo-9.5", "a-q-0.1")
    b, a = find_models(frame(*columns), ROLES)
    assert (b.name, dict(b.intervals), dict(b.quantiles)) == ("b", {}, {})
    assert list(a.intervals.items()) == [("9.5", ("a-lo-9.5", "a-hi-9.5")), ("90", ("a-lo-90", "a-hi-90"))]
    assert list(a.quantiles.items()) == [("0.1", "a-q-0.1"), ("0.9", "a-q-0.9")]


def test_probabilities_the_mean_and_the_median_go_to_their_model() -> None:
    columns = ("my-net", "my-net-p-1", "my-net-p--2.5", "my-net-p-0", "my-net-mean", "my-net-median")
    (model,) = find_models(frame(*columns), ROLES)
    assert list(model.shares.items()) == [("-2.5", "my-net-p--2.5"), ("0", "my-net-p-0"), ("1", "my-net-p-1")]
    assert (model.mean, model.median) == ("my-net-mean", "my-net-median")
    assert model.outcome == "class"


def test_a_mean_without_its_model_or_with_columns_of_its_own_is_a_model() -> None:
    assert [model.name for model in find_models(frame("vote-mean", "naive"), ROLES)] == ["vote-mean", "naive"]
    models = find_models(frame("vote", "vote-mean", "vote-mean-q-0.1", "vote-median"), ROLES)
    assert [(model.name, model.mean, model.median) for model in models] == [
        ("vote", None, "vote-median"),
        ("vote-mean", None, None),
    ]


@pytest.mark.parametrize(("values", "outcome"), [("1", "event"), ("01", "event"), ("012", "class"), ("", "number")])
def test_what_is_forecast_is_told_by_the_probabilities(values: str, outcome: str) -> None:
    models = find_models(frame("naive", "a", *(f"a-p-{value}" for value in values)), ROLES)
    assert models[1].outcome == outcome_of(models) == outcome
    assert models[1].happens == ("a-p-1" if "1" in values else "a")


def test_quantiles_as_far_from_0_as_from_1_make_an_interval_unless_there_is_one() -> None:
    columns = ("a", "a-q-0.05", "a-q-0.1", "a-q-0.5", "a-q-0.9", "a-q-0.95", "a-q-0.99", "a-lo-90", "a-hi-90")
    (a,) = find_models(frame(*columns), ROLES)
    assert list(a.bands.items()) == [("80", ("a-q-0.1", "a-q-0.9")), ("90", ("a-lo-90", "a-hi-90"))]
    assert list(a.intervals) == ["90"]


def test_the_grid_holds_every_probability_whose_quantile_is_known_once() -> None:
    columns = ("a", "a-q-0.1", "a-median", "a-lo-80", "a-hi-80", "a-lo-95", "a-hi-95")
    (a,) = find_models(frame(*columns), ROLES)
    assert list(a.grid.items()) == [
        (0.025, "a-lo-95"), (0.1, "a-q-0.1"), (0.5, "a-median"), (0.9, "a-hi-80"), (0.975, "a-hi-95"),
    ]  # fmt: skip


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
        (("a", "a-p-7"), "the probability of 7 alone"),
        (("a", "a-p-0"), "the probability of 0 alone"),
        (("b-p-1",), "no point forecast.*'b'"),
        (("a", "a-p-1", "b", "b-p-1", "b-p-2"), "'a' forecasts an event.*'b' the classes 1, 2"),
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
