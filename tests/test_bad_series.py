"""Bad series among good ones: left out or given a naive forecast, named either way, and no bother to the others."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast import DataError, Forecaster, ForecastWarning
from forecast.models import LSTM

NAN, INF = float("nan"), float("inf")
TINY = LSTM(input_size=12, hidden_size=4)


def rows(name: str, n: int = 30, start: str = "2024-03-01", **columns: Any) -> pd.DataFrame:
    y = 10.0 + np.arange(n) % 7 + 0.1 * np.arange(n)
    return pd.DataFrame({"unique_id": name, "ds": pd.date_range(start, periods=n), "y": y, **columns})


def infinite(frame: pd.DataFrame, row: int) -> pd.DataFrame:
    return frame.assign(y=frame["y"].where(np.arange(len(frame)) != row, INF))


def off_grid(frame: pd.DataFrame, row: int) -> pd.DataFrame:
    shift = np.where(np.arange(len(frame)) == row, 5, 0)
    return frame.assign(ds=frame["ds"] + pd.to_timedelta(shift, unit="h"))


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


GOOD = together(rows("a"), rows("b", y=5.0 + np.arange(30) % 7))
MIXED = together(rows("a"), infinite(rows("x"), 4), GOOD[30:], off_grid(rows("z"), 9), rows("n", y=NAN))


def forecaster(model: Any = "seasonal_naive", policy: str = "fallback", **options: Any) -> Forecaster:
    return Forecaster(model, h=2, on_bad_series=policy, progress=False, max_steps=2, **options)


def quietly(call: Any, *arguments: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForecastWarning)
        return call(*arguments, **options)


def of(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    return frame[frame["unique_id"].isin(names)].reset_index(drop=True)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return quietly(forecaster({"m": TINY}).fit, MIXED)


@pytest.fixture(scope="module")
def alone() -> pd.DataFrame:
    return forecaster({"m": TINY}).fit(GOOD).predict(level=[80])


def test_good_series_are_trained_and_forecast_as_if_the_bad_ones_were_not_there(fitted, alone):
    out = fitted.predict(level=[80])
    assert out["unique_id"].drop_duplicates().tolist() == ["a", "x", "b", "z", "n"]
    pd.testing.assert_frame_equal(of(out, "a", "b"), alone, rtol=1e-6)


def test_bad_series_get_the_seasonal_naive_forecast_of_what_can_be_read_of_them(fitted):
    out = fitted.predict(level=[80])
    mended = together(rows("x").assign(y=rows("x")["y"].mask(np.arange(30) == 4)), rows("z").drop(index=9))
    naive = Forecaster("seasonal_naive", h=2, freq="D", progress=False).fit(mended).predict(level=[80])
    pd.testing.assert_frame_equal(of(out, "x", "z"), naive.set_axis(out.columns, axis=1))
    assert of(out, "n").drop(columns=["unique_id", "ds"]).isna().all(axis=None)


def test_the_bad_series_are_listed_with_their_reasons(fitted):
    table = fitted.bad_series
    assert list(table.columns) == ["unique_id", "treatment", "reason"]
    assert table["unique_id"].tolist() == ["x", "z", "n"]
    assert set(table["treatment"]) == {"fallback"}
    for reason, words in zip(table["reason"], ["infinite", "off the grid", "no known value"], strict=True):
        assert words in reason and "at row" in reason
    assert fitted.predict().attrs["bad_series"] == dict(zip(table["unique_id"], table["reason"], strict=True))


def test_what_was_bad_is_so_after_saving_and_loading(fitted, tmp_path):
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    pd.testing.assert_frame_equal(loaded.predict(level=[80]), fitted.predict(level=[80]))
    pd.testing.assert_frame_equal(loaded.bad_series, fitted.bad_series)


def test_a_frame_without_faults_has_no_bad_series():
    fitted = forecaster().fit(GOOD)
    assert not len(fitted.bad_series)
    assert fitted.predict().attrs == {}


@pytest.mark.parametrize("policy", ["skip", "fallback"])
def test_a_warning_names_the_bad_series_and_the_first_fault(policy):
    with pytest.warns(ForecastWarning, match="3 of 5 series .*'x', 'z', 'n'.* First: y: the value is infinite"):
        forecaster(policy=policy).fit(MIXED)


def test_series_left_out_are_listed_too():
    fitted = quietly(forecaster(policy="skip").fit, MIXED)
    out = fitted.predict()
    assert out["unique_id"].drop_duplicates().tolist() == ["a", "b"]
    assert fitted.bad_series["treatment"].tolist() == ["skip"] * 3
    assert set(out.attrs["bad_series"]) == {"x", "z", "n"}


def test_a_backtest_scores_bad_series_by_naive_forecasts_and_good_ones_as_alone():
    cv = quietly(forecaster("theta").cross_validation, MIXED, n_windows=2)
    good = forecaster("theta").cross_validation(GOOD, n_windows=2)
    order = ["unique_id", "cutoff", "ds"]
    pd.testing.assert_frame_equal(
        of(cv, "a", "b").sort_values(order, ignore_index=True), good.sort_values(order, ignore_index=True)
    )
    naive = quietly(forecaster("seasonal_naive").cross_validation, MIXED, n_windows=2)
    np.testing.assert_array_equal(of(cv, "x", "z")["theta"], of(naive, "x", "z")["seasonal_naive"])
    assert set(cv.attrs["bad_series"]) == {"x", "z", "n"}


def test_rows_that_come_later_can_make_a_series_bad():
    fitted = forecaster("theta").fit(GOOD)
    before = fitted.predict()
    new = together(rows("a", 3, "2024-03-31"), infinite(rows("b", 3, "2024-03-31"), 1))
    with pytest.warns(ForecastWarning, match="1 of 2 series have faults .*'b'"):
        fitted.update(new)
    after = fitted.predict()
    assert after["ds"].iloc[0] > before["ds"].iloc[0]
    assert fitted.bad_series["unique_id"].tolist() == ["b"]
    naive = Forecaster("seasonal_naive", h=2, progress=False).fit(GOOD).update(new.replace(INF, NAN)).predict()
    np.testing.assert_array_equal(of(after, "b")["theta"], of(naive, "b")["seasonal_naive"])


def test_new_rows_left_out_leave_the_forecast_where_it_was():
    fitted = forecaster("theta", "skip").fit(GOOD)
    before = of(fitted.predict(), "b")
    quietly(fitted.update, together(rows("a", 3, "2024-03-31"), infinite(rows("b", 3, "2024-03-31"), 1)))
    pd.testing.assert_frame_equal(of(fitted.predict(), "b"), before)
    assert fitted.bad_series["unique_id"].tolist() == ["b"]


def test_other_data_are_judged_by_their_own_rows():
    fitted = forecaster("theta").fit(GOOD)
    out = quietly(fitted.predict, together(infinite(rows("a"), 3), rows("new")))
    assert set(out.attrs["bad_series"]) == {"a"}
    assert not len(fitted.bad_series)


@pytest.mark.parametrize("policy", ["skip", "fallback"])
@pytest.mark.parametrize("broken", [rows("x", y=NAN), infinite(rows("x"), 3)])
def test_nothing_but_bad_series_is_an_error(policy, broken):
    with pytest.raises(DataError, match="'x'"):
        forecaster(policy=policy).fit(broken)


@pytest.mark.parametrize("policy", ["skip", "fallback"])
def test_a_coarser_series_is_found_beside_one_off_the_grid(policy):
    weekly = rows("w", 6).assign(ds=pd.date_range("2024-03-01", periods=6, freq="7D"))
    fitted = quietly(forecaster("naive", policy, freq="D").fit, together(MIXED, weekly))
    assert fitted.bad_series["unique_id"].tolist() == ["x", "z", "n", "w"]


def test_the_frequency_is_inferred_from_the_series_that_have_one():
    fitted = quietly(forecaster("naive").fit, together(off_grid(rows("z", 12), 5), GOOD))
    assert fitted.predict()["ds"].iloc[-1] == pd.Timestamp("2024-04-01")
    assert fitted.bad_series["unique_id"].tolist() == ["z"]


FAULTS = st.sampled_from(["infinite", "off grid", "twice", "nothing", "no time"])


def broken(name: str, fault: str, row: int) -> pd.DataFrame:
    frame = rows(name)
    if fault == "infinite":
        return infinite(frame, row)
    if fault == "off grid":
        return off_grid(frame, row)
    if fault == "twice":
        return together(frame, frame.iloc[[row]])
    if fault == "no time":
        return frame.assign(ds=frame["ds"].mask(np.arange(30) == row))
    return frame.assign(y=NAN)


@settings(max_examples=25)
@given(faults=st.lists(st.tuples(FAULTS, st.integers(1, 29)), max_size=4), seed=st.integers(0, 99))
def test_whatever_befalls_some_series_every_series_has_its_rows_and_the_good_ones_their_forecast(faults, seed):
    bad = [broken(f"x{number}", fault, row) for number, (fault, row) in enumerate(faults)]
    frame = together(*bad, GOOD).sample(frac=1.0, random_state=seed)
    out = quietly(lambda: forecaster("naive").fit(frame).predict())
    assert out.groupby("unique_id").size().to_dict() == {"a": 2, "b": 2} | {f"x{n}": 2 for n in range(len(bad))}
    plain = Forecaster("naive", h=2, progress=False).fit(GOOD).predict()
    for name in "ab":
        pd.testing.assert_frame_equal(of(out, name), of(plain, name))
    assert set(out.attrs.get("bad_series", {})) == {f"x{n}" for n in range(len(bad))}
