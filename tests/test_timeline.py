"""Time grids: ordinals and stamps are inverse, frequencies are inferred and checked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import ConfigError
from forecast.inference import infer_freq
from forecast.timeline import fit_timeline

FREQS = [
    "us", "5ms", "30s", "min", "15min", "h", "6h", "D", "2D", "W-MON", "W-SUN", "2W-WED", "B",
    "MS", "ME", "2MS", "QS-JAN", "QS-FEB", "QE-DEC", "QE-NOV", "YS-JAN", "YE-DEC", "YS-APR", "YE-JUN",
]  # fmt: skip


def grid(freq: str, periods: int, start: str = "2019-11-07") -> np.ndarray:
    return pd.date_range(start, periods=periods, freq=freq).to_numpy().astype("datetime64[us]")


@pytest.mark.parametrize("freq", FREQS)
def test_ordinals_of_a_pandas_range_count_up_by_one(freq):
    stamps = grid(freq, 40)
    timeline = fit_timeline(freq, stamps[:1])
    ordinals, exact = timeline.ordinals(stamps)
    assert exact.all()
    assert (np.diff(ordinals) == 1).all()


@pytest.mark.parametrize("freq", FREQS)
def test_stamps_after_the_last_equal_those_of_pandas(freq):
    stamps = grid(freq, 60)
    timeline = fit_timeline(freq, stamps[:1])
    last = timeline.ordinals(stamps[29:30])[0]
    np.testing.assert_array_equal(timeline.stamps(last + 1 + np.arange(30)), stamps[30:])


@given(
    freq=st.sampled_from([*FREQS, "MS-15", "2MS-29", "MS-30", "2B", "24h"]),
    start=st.dates(min_value=pd.Timestamp("1700-01-02").date()),
    n=st.integers(1, 50),
)
def test_stamps_and_ordinals_are_inverse_on_any_date(freq, start, n):
    stamps = np.array([start.isoformat()], dtype="datetime64[us]")
    timeline = fit_timeline(freq, stamps)
    ordinals = timeline.ordinals(stamps)[0] - np.arange(n)
    back, exact = timeline.ordinals(timeline.stamps(ordinals))
    assert exact.all()
    np.testing.assert_array_equal(back, ordinals)


@pytest.mark.parametrize("freq", [f for f in FREQS if f not in ("us",)])
def test_the_frequency_of_a_range_is_inferred(freq):
    stamps = grid(freq, 40)
    inferred = infer_freq(stamps, np.zeros(40, dtype=np.int64))
    timeline = fit_timeline(inferred, stamps[:1])
    np.testing.assert_array_equal(timeline.stamps(timeline.ordinals(stamps)[0]), stamps)
    assert (np.diff(timeline.ordinals(stamps)[0]) == 1).all()


def test_gaps_do_not_change_the_inferred_frequency():
    stamps = np.delete(grid("D", 60), [5, 6, 20, 40])
    assert infer_freq(stamps, np.zeros(56, dtype=np.int64)) == "D"


def test_month_ends_are_month_ends_even_when_they_start_on_the_31st():
    stamps = np.array(["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"], dtype="datetime64[us]")
    assert infer_freq(stamps, np.zeros(4, dtype=np.int64)) == "ME"


def test_irregular_stamps_have_no_frequency():
    stamps = np.array(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06T03:00"], dtype="datetime64[us]")
    assert infer_freq(stamps, np.zeros(4, dtype=np.int64)) is None


def test_a_single_row_has_no_frequency():
    assert infer_freq(grid("D", 1), np.zeros(1, dtype=np.int64)) is None


@pytest.mark.parametrize(
    ("old", "new"), [("M", "ME"), ("H", "h"), ("Q", "QE-DEC"), ("A", "YE-DEC"), ("15T", "15min"), ("Y", "YE-DEC")]
)
def test_old_aliases_are_translated(old, new):
    stamps = grid(new, 1)
    assert fit_timeline(old, stamps) == fit_timeline(new, stamps)


@pytest.mark.parametrize(
    "freq", ["nonsense!", "SMS", "W-NOON", "QS-FOO", "D-SUN", "MS-JAN", "0D", 0, -1, 1.5, True, None]
)
def test_an_unknown_frequency_is_refused_with_its_name(freq):
    with pytest.raises(ConfigError, match="freq"):
        fit_timeline(freq, grid("D", 1))


def test_an_alias_for_integer_time_is_refused():
    with pytest.raises(ConfigError, match="integer freq"):
        fit_timeline("D", np.array([1]))


def test_an_integer_step_for_dates_is_refused():
    with pytest.raises(ConfigError, match="alias"):
        fit_timeline(1, grid("D", 1))


def test_monday_weeks_are_off_the_grid_of_sunday_weeks():
    stamps = grid("W-MON", 3)
    assert not fit_timeline("W", stamps[:1]).ordinals(stamps)[1].any()


def test_a_horizon_past_the_year_9999_is_refused():
    stamps = np.array(["9999-12-30"], dtype="datetime64[us]")
    timeline = fit_timeline("D", stamps)
    with pytest.raises(ConfigError, match="9999"):
        timeline.stamps(timeline.ordinals(stamps)[0] + 10)


@pytest.mark.parametrize(
    ("freq", "season"),
    [
        ("h", 24),
        ("30min", 48),
        ("15min", 96),
        ("min", 60),
        ("D", 7),
        ("W-SUN", 52),
        ("MS", 12),
        ("QS", 4),
        ("YS", 1),
        ("B", 5),
        ("24h", 7),
        ("3MS-15", 4),
    ],
)
def test_the_usual_season_follows_from_the_frequency(freq, season):
    assert fit_timeline(freq, grid("D", 1)).season_length == season


def test_hours_have_a_week_as_their_longer_season():
    assert fit_timeline("h", grid("h", 1)).seasons == (24, 168)
