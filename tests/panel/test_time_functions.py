"""Functions of time that users bring: what they may give, and that they must look at each time alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.errors import ConfigError
from forecast.panel.covariates import Labels, Numbers
from forecast.panel.time_functions import check_functions, function_features
from forecast.timeline import Timeline, fit_timeline


def grid(freq: str | int = "D", tz: str | None = None) -> Timeline:
    start = np.array(["2024-01-01"], dtype="datetime64[us]") if isinstance(freq, str) else np.array([0])
    return fit_timeline(freq, start, tz)


DAYS = 19_723 + np.arange(40)  # from 1 January 2024


def only(function, timeline=None, ordinals=DAYS):
    (column,) = function_features(timeline or grid(), ordinals, {"f": function})
    return column


@pytest.mark.parametrize(
    "function",
    [
        lambda t: t.day,
        lambda t: np.asarray(t.day, dtype=np.int8),
        lambda t: list(t.day),
        lambda t: pd.Series(t.day, index=t),
        lambda t: pd.array(t.day, dtype="Int64"),
        lambda t: pd.Series(t.day, index=t, dtype="float32"),
    ],
)
def test_numbers_come_in_any_dress(function):
    column = only(function)
    assert isinstance(column, Numbers) and column.name == "calendar.f"
    assert column.values.dtype == np.float64 and column.values.tolist() == [*range(1, 32), *range(1, 10)]


@pytest.mark.parametrize("function", [lambda t: t.day == 3, lambda t: pd.array(t.day == 3, dtype="boolean")])
def test_truth_values_are_numbers(function):
    assert only(function).values.tolist() == [float(day == 3) for day in [*range(1, 32), *range(1, 10)]]


@pytest.mark.parametrize(
    "function",
    [
        lambda t: np.where(t.day < 3, "pay", "none"),
        lambda t: ["pay" if day < 3 else "none" for day in t.day],
        lambda t: pd.Categorical(np.where(t.day < 3, "pay", "none")),
        lambda t: pd.Series(np.where(t.day < 3, "pay", "none"), index=t),
    ],
)
def test_text_becomes_labels(function):
    column = only(function)
    assert isinstance(column, Labels)
    assert [column.labels[code] for code in column.codes[[0, 1, 2, 31]]] == ["pay", "pay", "none", "pay"]


def test_times_are_those_of_the_frames_in_their_zone():
    seen = []
    only(lambda t: seen.append(t) or t.hour, grid("h", "Europe/Berlin"), 475_000 + np.arange(5))
    expected = pd.date_range("2024-03-09 17:00", periods=5, freq="h", tz="Europe/Berlin", unit="us")
    assert seen[0].equals(expected) and seen[0].tz == expected.tz


def test_integer_time_has_functions_too():
    assert only(lambda t: t % 7, grid(2), np.arange(5)).values.tolist() == [0, 2, 4, 6, 1]


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda t: t.day[:-1], "gave 39 values for 40 times"),
        (lambda t: 3, "gave 3 for 40 times"),
        (lambda t: "pay", "gave 'pay' for 40 times"),
        (lambda t: np.ones((len(t), 2)), "gave 40×2 values for 40 times"),
        (lambda t: np.where(t.day == 3, np.nan, 1.0), "gave nan at '2024-01-03 00:00:00', '2024-02-03 00:00:00'"),
        (lambda t: np.where(t.day == 3, np.inf, 1.0), "gave inf at '2024-01-03 00:00:00'"),
        (lambda t: [None if day == 3 else "pay" for day in t.day], "at '2024-01-03 00:00:00'"),
        (lambda t: [7 if day == 3 else "pay" for day in t.day], "gave 7 at '2024-01-03 00:00:00'"),
        (lambda t: ["" if day == 3 else "pay" for day in t.day], "gave '' at '2024-01-03 00:00:00'"),
        (lambda t: t, "gave Timestamp"),
    ],
)
def test_anything_else_is_refused_with_function_and_time(function, problem):
    with pytest.raises(ConfigError) as caught:
        only(function)
    assert "time_features['f']" in str(caught.value) and problem in str(caught.value)


@pytest.mark.parametrize(
    "function",
    [
        lambda t: np.arange(len(t)),
        lambda t: (t - t[0]).days,
        lambda t: t.day - t.day.max(),
        lambda t: np.random.default_rng().normal(size=len(t)),
        lambda t: np.where(t == t.max(), "last", "other"),
    ],
)
def test_a_function_that_looks_at_other_times_is_found_out(function):
    with pytest.raises(ConfigError, match="a function of each time alone"):
        only(function)


def test_a_function_that_changes_its_kind_is_found_out():
    with pytest.raises(ConfigError, match="Give one kind"):
        only(lambda t: t.day if len(t) == 40 else ["pay"] * len(t))


def test_a_single_time_is_fine():
    assert only(lambda t: t.day, ordinals=DAYS[:1]).values.tolist() == [1.0]


def test_functions_that_a_model_needs_are_asked_for_by_name():
    with pytest.raises(ConfigError, match=r"not saved with it: 'promo'. Give them again: time_features=\{'promo'"):
        check_functions(None, ("promo",))
    with pytest.raises(ConfigError, match="fitted without 'other'"):
        check_functions({"promo": len, "other": len}, ("promo",))
    with pytest.raises(ConfigError, match=r"time_features\['promo'\] must be a function of a DatetimeIndex, got list"):
        check_functions({"promo": [1]}, ("promo",))
    with pytest.raises(ConfigError, match="must be a mapping"):
        check_functions([len], ())
    assert check_functions({"b": len, "a": max}, ("a", "b")) == {"a": max, "b": len}
