"""Calendar features: what pandas says of the same stamps, on every grid, in local time, whatever else is asked for."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import ConfigError
from forecast.panel.calendar_features import FEATURES, calendar_features, feature_names
from forecast.panel.clock import as_index, distinct
from forecast.timeline import Timeline, fit_timeline

FREQS = ("s", "15min", "h", "6h", "24h", "D", "B", "2D", "W-SUN", "W-WED", "MS", "ME", "QS-JAN", "QE-DEC", "YS-JAN")


def grid(freq: str, start: str = "2019-01-01", tz: str | None = None) -> Timeline:
    first = np.array([start], dtype="datetime64[us]")
    return fit_timeline(freq, first, tz)


def steps_from(timeline: Timeline, start: str, count: int) -> np.ndarray:
    first, _ = timeline.ordinals(np.array([start], dtype="datetime64[us]"))
    return first[0] + np.arange(count)


def columns(timeline: Timeline, ordinals: np.ndarray, names: object = "auto") -> dict[str, np.ndarray]:
    return {c.name: c.values for c in calendar_features(timeline, ordinals, names)}


def shares(dates: pd.DatetimeIndex) -> dict[str, np.ndarray]:
    """The part of each period that has passed, in pandas' own accessors."""
    iso = dates.isocalendar()
    weeks = np.array([pd.Timestamp(int(year), 12, 28).week for year in iso["year"]])
    seconds = dates.hour * 3600 + dates.minute * 60 + dates.second
    return {
        "minute_of_hour": np.asarray(dates.minute * 60 + dates.second) / 3600,
        "hour_of_day": np.asarray(seconds) / 86400,
        "day_of_week": np.asarray(dates.day_of_week) / 7,
        "day_of_month": np.asarray(dates.day - 1) / np.asarray(dates.days_in_month),
        "day_of_year": np.asarray(dates.day_of_year - 1) / np.where(dates.is_leap_year, 366, 365),
        "week_of_year": (iso["week"].to_numpy(dtype=float) - 1) / weeks,
        "month_of_year": np.asarray(dates.month - 1) / 12,
        "quarter_of_year": np.asarray(dates.quarter - 1) / 4,
    }


@pytest.mark.parametrize("tz", [None, "Europe/Berlin", "Asia/Kathmandu"])
@pytest.mark.parametrize("freq", FREQS)
def test_every_feature_is_what_pandas_reads_off_the_stamps(freq, tz):
    timeline = grid(freq, tz=tz)
    ordinals = steps_from(timeline, "2019-12-20", 3000 if freq in ("s", "15min", "h", "6h") else 300)
    dates = as_index(timeline, timeline.stamps(ordinals))
    if timeline.local:
        dates = pd.DatetimeIndex(timeline.stamps(ordinals))
    possible = [n for n in FEATURES if n in _sayable(timeline)]
    if not possible:
        assert calendar_features(timeline, ordinals) == ()
        return
    got, expected = columns(timeline, ordinals, possible), shares(dates)
    for name in possible:
        if name == "weekend":
            np.testing.assert_array_equal(got["calendar.weekend"], np.asarray(dates.day_of_week) >= 5)
        elif name == "days_to_month_end":
            np.testing.assert_array_equal(got["calendar.days_to_month_end"], dates.days_in_month - dates.day)
        else:
            angle = 2 * np.pi * expected[name]
            np.testing.assert_allclose(got[f"calendar.{name}.sin"], np.sin(angle), atol=1e-11)
            np.testing.assert_allclose(got[f"calendar.{name}.cos"], np.cos(angle), atol=1e-11)


def _sayable(timeline: Timeline) -> list[str]:
    found = []
    for name in FEATURES:
        try:
            found += feature_names(timeline, [name])
        except ConfigError:
            continue
    return found


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("15min", "minute_of_hour hour_of_day day_of_week weekend day_of_month days_to_month_end day_of_year"),
        ("h", "hour_of_day day_of_week weekend day_of_month days_to_month_end day_of_year"),
        ("D", "day_of_week weekend day_of_month days_to_month_end day_of_year"),
        ("B", "day_of_week day_of_month days_to_month_end day_of_year"),
        ("W-SUN", "day_of_month days_to_month_end day_of_year"),
        ("MS", "month_of_year"),
        ("ME", "month_of_year"),
        ("QE-DEC", "quarter_of_year"),
        ("YS-JAN", ""),
    ],
)
def test_auto_takes_the_cycles_that_are_longer_than_the_step(freq, expected):
    assert feature_names(grid(freq), "auto") == tuple(expected.split())


@pytest.mark.parametrize("freq", FREQS)
def test_no_feature_that_auto_takes_stands_still(freq):
    timeline = grid(freq)
    ordinals = steps_from(
        timeline,
        "2019-01-01",
        100_000 if freq == "s" else 40_000 if freq == "15min" else 10_000 if freq == "h" else 1500,
    )
    got = columns(timeline, ordinals)
    for name in feature_names(timeline, "auto"):
        if freq == "s" and name not in ("minute_of_hour", "hour_of_day"):
            continue  # they move, but not within a hundred thousand seconds
        assert any(np.ptp(values) > 0.5 for key, values in got.items() if key.startswith(f"calendar.{name}")), name


def test_hour_of_day_is_local_and_goes_back_and_forth_with_the_clock():
    berlin = grid("h", tz="Europe/Berlin")
    utc = grid("h", tz="UTC")
    for change, shown in (("2024-03-31T00:00", [1, 3, 4]), ("2024-10-27T00:00", [2, 2, 3])):
        ordinals = steps_from(utc, change, 3)  # stamps of grids finer than a day count in UTC
        hours = np.array(shown)
        got = columns(berlin, ordinals, ["hour_of_day"])
        np.testing.assert_allclose(got["calendar.hour_of_day.sin"], np.sin(hours / 12 * np.pi), atol=1e-11)
        np.testing.assert_allclose(got["calendar.hour_of_day.cos"], np.cos(hours / 12 * np.pi), atol=1e-11)
    # the day of the week changes at local midnight, 22:00 UTC in summer
    got = columns(berlin, steps_from(utc, "2024-07-07T21:00", 2), ["weekend"])  # a Sunday
    assert got["calendar.weekend"].tolist() == [1.0, 0.0]


def test_a_leap_year_is_a_day_longer():
    timeline = grid("D")
    for year, days in ((2023, 365), (2024, 366), (2000, 366), (1900, 365)):
        last = steps_from(timeline, f"{year}-12-31", 1)
        angle = 2 * np.pi * (days - 1) / days
        assert columns(timeline, last, ["day_of_year"])["calendar.day_of_year.sin"][0] == pytest.approx(np.sin(angle))
    february = steps_from(timeline, "2024-02-28", 3)
    assert columns(timeline, february, ["days_to_month_end"])["calendar.days_to_month_end"].tolist() == [1, 0, 30]


def test_dates_beyond_nanoseconds_have_a_calendar_too():
    timeline = grid("D", "1500-01-01")
    got = columns(timeline, steps_from(timeline, "1500-01-01", 1), ["weekend", "days_to_month_end"])
    assert got["calendar.days_to_month_end"].tolist() == [30.0]
    assert got["calendar.weekend"][0] == (np.datetime64("1500-01-01").astype(object).weekday() >= 5)


@given(
    freq=st.sampled_from(FREQS),
    tz=st.sampled_from([None, "Europe/Berlin", "America/New_York"]),
    start=st.integers(0, 5000),
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_many_short_calls_give_bit_for_bit_what_one_long_call_gives(freq, tz, start, cuts):
    timeline = grid(freq, tz=tz)
    whole = steps_from(timeline, "2019-01-01", 61) + start % 700
    pieces = np.split(whole, sorted(cuts))
    long = columns(timeline, whole)
    short = [columns(timeline, piece) for piece in pieces]
    for name, values in long.items():
        assert np.array_equal(values, np.concatenate([piece[name] for piece in short]))


def test_integer_time_has_no_calendar_and_is_told_the_way_out():
    timeline = fit_timeline(1, np.array([0]))
    with pytest.raises(ConfigError, match=r"need dates, and the time column holds integers.*fit on dates"):
        calendar_features(timeline, np.arange(3))


def test_a_feature_that_would_stand_still_is_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"hour_of_day would be the same at every step of freq='D'.*calendar='auto'"):
        calendar_features(grid("D"), np.arange(3), ["day_of_week", "hour_of_day"])


@pytest.mark.parametrize("names", ["hour", ["hour"], ["weekend", "weekend"], 3, {"weekend": 1}])
def test_unknown_names_are_refused_with_the_list_of_those_there_are(names):
    with pytest.raises(ConfigError, match="quarter_of_year"):
        feature_names(grid("D"), names)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 20)), min_size=1, max_size=6), st.booleans())
def test_distinct_steps_are_those_of_numpy_unique(spans, scattered):
    scale = 10**12 if scattered else 1
    first = np.array([start * scale for start, _ in spans], dtype=np.int64)
    lengths = np.array([length for _, length in spans], dtype=np.int64)
    rows = np.concatenate([start + np.arange(length) for start, length in zip(first, lengths, strict=True)])
    found, places = distinct(first, lengths)
    assert np.array_equal(found, np.unique(rows)) and np.array_equal(found[places], rows)


def test_the_cost_grows_with_the_steps_not_with_the_rows():
    """Two thousand series of 500 hours: each of the 500 steps is worked out once."""
    first, lengths = np.full(2000, 430_000), np.full(2000, 500)
    begun = time.perf_counter()
    found, places = distinct(first, lengths)
    assert len(found) == 500 and len(places) == 1_000_000
    got = [c.take(places) for c in calendar_features(grid("h", tz="Europe/Berlin"), found)]
    assert all(len(c) == 1_000_000 for c in got)
    assert time.perf_counter() - begun < 20  # a loop over rows would take minutes
