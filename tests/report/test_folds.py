from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.errors import ConfigError, DataError
from forecast.panel.panel import Panel
from forecast.report.folds import read_folds
from forecast.schema import Schema
from forecast.timeline import fit_timeline

from .conftest import make_panel


def test_folds_are_sorted_by_series_cutoff_and_step(panel: Panel, cv: pd.DataFrame) -> None:
    straight = read_folds(cv, panel, 12)
    assert straight.order is None
    shuffled = read_folds(cv.sample(frac=1, random_state=3), panel, 12)
    for name in ("step", "starts", "series", "cutoff", "y"):
        np.testing.assert_array_equal(getattr(straight, name), getattr(shuffled, name))
    assert straight.step.tolist() == [1, 2, 3, 4, 5, 6] * 10
    assert straight.starts.tolist() == list(range(0, 60, 6))


def test_the_callers_frame_is_not_touched(panel: Panel, cv: pd.DataFrame) -> None:
    shuffled = cv.sample(frac=1, random_state=3)
    before = shuffled.copy(deep=True)
    read_folds(shuffled, panel, 12).column("segrnn")[:] = 0
    pd.testing.assert_frame_equal(shuffled, before)


def test_index_units_and_nullable_types_do_not_matter(panel: Panel, cv: pd.DataFrame) -> None:
    other = cv.astype({"ds": "datetime64[s]", "cutoff": "datetime64[ns]", "y": "Float64", "unique_id": "category"})
    other.index = [0] * len(other)
    other.loc[other["ds"] == other["ds"].iloc[0], "y"] = pd.NA
    folds = read_folds(other, panel, 12)
    assert folds.step.tolist() == read_folds(cv, panel, 12).step.tolist()
    assert np.isnan(folds.y[0])


def test_a_cutoff_between_grid_points_never_reaches_forward(panel: Panel, cv: pd.DataFrame) -> None:
    on_grid = read_folds(cv, panel, 12)
    between = read_folds(cv.assign(cutoff=cv["cutoff"] + pd.Timedelta(days=20)), panel, 12)
    assert between.cutoff.tolist() == on_grid.cutoff.tolist()


@pytest.mark.parametrize(
    ("freq", "day", "before"), [("ME", "2020-03-15", "2020-02-29"), ("B", "2020-03-07", "2020-03-06")]
)
def test_a_cutoff_before_a_month_end_or_on_a_weekend_means_the_stamp_before(freq: str, day: str, before: str) -> None:
    start = np.array(["2020-01-31"], dtype="datetime64[us]")
    timeline = fit_timeline(freq, start)
    first = timeline.ordinals(start)[0]
    panel = Panel(pd.Index(["a"]), np.arange(60.0), np.array([0, 60]), first, timeline)
    expected = timeline.ordinals(np.array([before], dtype="datetime64[us]"))[0]
    cv = pd.DataFrame(
        {"unique_id": "a", "ds": timeline.stamps(expected + 1), "cutoff": pd.Timestamp(day), "y": 1.0, "m": 1.0}
    )
    folds = read_folds(cv, panel, 1)
    assert folds.cutoff.tolist() == expected.tolist()
    assert folds.step.tolist() == [1]


def test_zoned_hours_are_compared_in_utc() -> None:
    start = np.array(["2024-03-30T22:00"], dtype="datetime64[us]")
    timeline = fit_timeline("h", start, tz="Europe/Paris")
    panel = Panel(pd.Index(["a"]), np.arange(10.0), np.array([0, 10]), timeline.ordinals(start)[0], timeline)
    stamps = pd.DatetimeIndex(timeline.stamps(panel.ordinals)).tz_localize("UTC").tz_convert("Europe/Paris")
    cv = pd.DataFrame({"unique_id": "a", "ds": stamps[4:], "cutoff": stamps[3], "y": 1.0, "m": 1.0})
    assert read_folds(cv, panel, 1).step.tolist() == [1, 2, 3, 4, 5, 6]


def test_integer_time_works() -> None:
    timeline = fit_timeline(5, np.array([10]))
    panel = Panel(pd.Index([7]), np.arange(6.0), np.array([0, 6]), timeline.ordinals(np.array([10]))[0], timeline)
    cv = pd.DataFrame({"unique_id": 7, "ds": [25, 30], "cutoff": 20, "y": [3.0, 4.0], "m": 1.0})
    assert read_folds(cv, panel, 1).step.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cv: cv.iloc[:0], "no rows"),
        (lambda cv: cv.assign(unique_id=cv["unique_id"].replace("s2", "new")), "1 of 5 series.*'new'.*at rows 12"),
        (lambda cv: cv.assign(cutoff=cv["ds"]), "60 forecasts are not later.*'s1'"),
        (lambda cv: pd.concat([cv, cv.iloc[[13]]]), "1 rows repeat.*'s2' at row 60"),
        (lambda cv: cv.assign(ds=cv["ds"].where(cv.index != 4)), "ds: 1 values are missing at row 4"),
        (lambda cv: cv.assign(y="a"), "y: actuals are numbers"),
        (lambda cv: cv.assign(ds=1, cutoff=0), "counts in dates"),
        (lambda cv: cv.assign(ds=cv["ds"] + pd.DateOffset(years=9), cutoff=cv["cutoff"] + pd.DateOffset(years=9)), "ends before"),
    ],
)  # fmt: skip
def test_a_frame_that_cannot_be_scored_is_refused_with_its_place(change, message, panel, cv) -> None:
    with pytest.raises(DataError, match=message):
        read_folds(change(cv), panel, 12)


def test_no_role_but_the_cutoff_may_be_called_cutoff(panel: Panel, cv: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="cutoff"):
        read_folds(cv, panel, 12, Schema(time_col="cutoff"))


def test_an_id_of_another_type_says_which_type_the_history_has() -> None:
    panel = make_panel({1: [1.0, 2, 3], 2: [1.0, 2, 3]})
    cv = pd.DataFrame(
        {"unique_id": "1", "ds": pd.Timestamp("2020-03-01"), "cutoff": pd.Timestamp("2020-02-01"), "y": 1.0, "m": 1.0},
        index=[0],
    )
    with pytest.raises(DataError, match="int64"):
        read_folds(cv, panel, 1)
