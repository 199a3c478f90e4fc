"""The rule that keeps the future out: which rows are known at a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import Schema
from forecast.batch.hashing import data_hash
from forecast.batch.known import Arrival, known_rows
from forecast.errors import ConfigError, DataError
from forecast.timeline import fit_timeline

SCHEMA = Schema()
TICK = timedelta(microseconds=1)


def rows(stamps: object, **others: object) -> pd.DataFrame:
    stamps = pd.Index(stamps)  # type: ignore[call-overload]
    return pd.DataFrame({"unique_id": "a", "ds": stamps, "y": np.arange(len(stamps), dtype=float), **others})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# freq, delay, zone of the job, zone of the data (None: naive), a stamp, the instant from which its row is known
ARRIVALS = {
    "a day": ("D", None, "UTC", None, "2024-05-06", "2024-05-07T00:00"),
    "an hour": ("h", None, "UTC", None, "2024-05-06T11:00", "2024-05-06T12:00"),
    "a quarter of an hour": ("15min", None, "UTC", None, "2024-05-06T11:15", "2024-05-06T11:30"),
    "two weeks": ("2W-MON", None, "UTC", None, "2024-05-06", "2024-05-20T00:00"),
    "a month from its first day": ("MS", None, "UTC", None, "2024-02-01", "2024-03-01T00:00"),
    "a month named by its last day": ("ME", None, "UTC", None, "2024-02-29", "2024-03-01T00:00"),
    "a quarter named by its last day": ("QE-DEC", None, "UTC", None, "2024-03-31", "2024-04-01T00:00"),
    "a quarter from its first day": ("QS", None, "UTC", None, "2024-04-01", "2024-07-01T00:00"),
    "a year": ("YS", None, "UTC", None, "2023-01-01", "2024-01-01T00:00"),
    "a Friday in business": ("B", None, "UTC", None, "2024-05-03", "2024-05-06T00:00"),
    "a Monday in business": ("B", None, "UTC", None, "2024-05-06", "2024-05-07T00:00"),
    "a local day": ("D", None, "Asia/Tokyo", None, "2024-05-06", "2024-05-06T15:00"),
    "a local day of 23 hours": ("D", None, "Europe/London", None, "2024-03-31", "2024-03-31T23:00"),
    "a local day of 25 hours": ("D", None, "Europe/London", None, "2024-10-27", "2024-10-28T00:00"),
    "a zoned day of 23 hours": ("D", None, "UTC", "Europe/London", "2024-03-31", "2024-03-31T23:00"),
    "a zoned month": ("MS", None, "UTC", "America/New_York", "2024-02-01", "2024-03-01T05:00"),
    "a zoned hour": ("h", None, "UTC", "Europe/London", "2024-07-01T12:00", "2024-07-01T12:00"),
    "an hour before one that does not exist": ("h", None, "Europe/Berlin", None, "2024-03-31T01:00", "2024-03-31T01:00"),
    "an hour that comes twice counts late": ("h", None, "Europe/Berlin", None, "2024-10-27T02:00", "2024-10-27T02:00"),
    "a day that ends in an hour that comes twice": ("D", None, "Europe/Berlin", None, "2024-10-26T02:30", "2024-10-27T01:30"),
    "at once": ("D", 0, "UTC", None, "2024-05-06", "2024-05-06T00:00"),
    "a month at once": ("ME", 0, "UTC", None, "2024-05-31", "2024-05-31T00:00"),
    "three days": ("D", 3, "UTC", None, "2024-05-06", "2024-05-09T00:00"),
    "two months, the last a short one": ("MS", 2, "UTC", None, "2023-12-31", "2024-02-29T00:00"),
    "two months named by their last day": ("ME", 2, "UTC", None, "2024-01-31", "2024-03-01T00:00"),
    "three days of business": ("B", 3, "UTC", None, "2024-05-02", "2024-05-07T00:00"),
    "a duration": ("h", "90min", "UTC", None, "2024-05-06T11:00", "2024-05-06T12:30"),
    "a duration without a frequency": (None, timedelta(hours=2), "UTC", None, "2024-05-06T11:00", "2024-05-06T13:00"),
    "a duration on the wall": ("D", "1D", "Europe/London", None, "2024-03-31", "2024-03-31T23:00"),
}  # fmt: skip


@pytest.mark.parametrize("case", ARRIVALS)
def test_a_row_is_known_from_the_moment_its_time_is_over_and_not_before(case):
    freq, delay, zone, tz, stamp, instant = ARRIVALS[case]
    frame = rows(pd.DatetimeIndex([stamp]).tz_localize(tz))
    assert len(known_rows(frame, SCHEMA, freq, utc(instant) - TICK, zone, delay)) == 0
    assert len(known_rows(frame, SCHEMA, freq, utc(instant), zone, delay)) == 1


def test_the_moment_may_be_told_in_any_zone():
    frame = rows(pd.date_range("2024-05-01", periods=9))
    here, there = utc("2024-05-05T03:00"), utc("2024-05-05T03:00").astimezone(ZoneInfo("Asia/Tokyo"))
    pd.testing.assert_frame_equal(known_rows(frame, SCHEMA, "D", here), known_rows(frame, SCHEMA, "D", there))


def known_at(stamp: pd.Timestamp, freq: str, zone: str) -> pd.Timestamp:
    """The same rule once more, one stamp at a time with pandas' offsets."""
    wall = freq not in ("h", "15min")
    clock = str(stamp.tz) if stamp.tz is not None else zone
    local = stamp.tz_localize(None) if wall else stamp
    if freq == "ME":
        local = local + pd.DateOffset(days=1)
    elif wall:
        local = local + pd.tseries.frequencies.to_offset(freq)
    if local.tz is None:
        local = local.tz_localize(clock, ambiguous=False, nonexistent="shift_forward")
    return local if wall else local + pd.Timedelta(freq if freq != "h" else "1h")


@st.composite
def situations(draw: st.DrawFn) -> tuple[pd.DataFrame, str, str, datetime]:
    freq = draw(st.sampled_from(["h", "15min", "D", "W-SUN", "MS", "ME", "B", "QS"]))
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"]))
    tz = draw(st.sampled_from([None, "UTC", "Europe/London"]))
    start = draw(st.sampled_from(["2024-03-29", "2024-10-25", "2024-01-01", "2023-12-30"]))
    size = draw(st.integers(1, 12))
    stamps = pd.date_range(start, periods=size, freq=freq)
    stamps = stamps if tz is None else stamps.tz_localize(tz, nonexistent="shift_forward", ambiguous=False)
    frame = pd.concat([rows(stamps).assign(unique_id=name) for name in "ab"], ignore_index=True)
    span = stamps.tz_localize(None)
    at = span[0] + (span[-1] - span[0] + pd.Timedelta("40D")) * draw(st.floats(-0.2, 1.0))
    at = draw(st.sampled_from([at, span[draw(st.integers(0, size - 1))]]))
    return frame, freq, zone, at.floor("s").tz_localize("UTC").to_pydatetime()


@given(situations())
def test_the_rows_known_are_those_that_pandas_offsets_say(situation):
    frame, freq, zone, as_of = situation
    expected = [known_at(stamp, freq, zone) <= pd.Timestamp(as_of) for stamp in frame["ds"]]
    pd.testing.assert_frame_equal(known_rows(frame, SCHEMA, freq, as_of, zone), frame[expected])


@given(situations(), st.randoms(use_true_random=False))
def test_whatever_stands_in_later_rows_changes_nothing(situation, chance):
    frame, freq, zone, as_of = situation
    known = known_rows(frame, SCHEMA, freq, as_of, zone)
    later = ~frame.index.isin(known.index)
    poisoned = frame.copy()
    poisoned.loc[later, "y"] = chance.choice([1e9, np.nan, np.inf])
    poisoned.loc[later, "unique_id"] = chance.choice(["a", "poison"])
    poisoned = poisoned[~later | (chance.random() < 0.5)]
    cut = known_rows(poisoned, SCHEMA, freq, as_of, zone)
    pd.testing.assert_frame_equal(cut, known)
    assert data_hash(cut) == data_hash(known)


@given(situations(), st.timedeltas(timedelta(0), timedelta(days=60)))
def test_what_is_known_stays_known(situation, wait):
    frame, freq, zone, as_of = situation
    before, after = (known_rows(frame, SCHEMA, freq, at, zone) for at in (as_of, as_of + wait))
    assert set(before.index) <= set(after.index)


@given(situations())
def test_the_newest_row_that_is_due_is_the_last_one_known_of_an_endless_series(situation):
    frame, freq, zone, as_of = situation
    tz = None if frame["ds"].dt.tz is None else str(frame["ds"].dt.tz)
    wall = frame["ds"].dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    grid = fit_timeline(freq, wall[:1], tz)
    due = Arrival(freq, as_of, zone).latest(grid)
    ordinals = np.arange(due - 2, due + 3)
    stamps = pd.DatetimeIndex(grid.stamps(ordinals))
    if tz is not None:
        clock = tz if grid.local else "UTC"
        stamps = stamps.tz_localize(clock, nonexistent="shift_forward", ambiguous=np.zeros(5, dtype=bool)).tz_convert(
            tz
        )
    known = known_rows(rows(stamps), SCHEMA, freq, as_of, zone)
    assert known["y"].tolist() == [0, 1, 2]


def test_rows_that_cannot_be_placed_are_kept_for_the_inspection():
    frame = rows(["2024-01-01", "what?", "2024-01-02", "2024-01-09"])
    known = known_rows(frame, SCHEMA, "D", utc("2024-01-03T00:00"))
    assert known["ds"].tolist() == ["2024-01-01", "what?", "2024-01-02"]


def test_types_order_and_index_of_the_rows_stay_and_the_frame_given_is_unchanged():
    frame = rows(pd.date_range("2024-01-01", periods=4)[::-1]).astype({"y": "float32", "unique_id": "category"})
    frame.index = pd.Index([7, 7, 3, 1])
    before = frame.copy(deep=True)
    known = known_rows(frame, SCHEMA, "D", utc("2024-01-03T12:00"))
    assert known.index.tolist() == [3, 1] and known.dtypes.equals(frame.dtypes)
    pd.testing.assert_frame_equal(frame, before)


def test_nothing_may_be_known_yet():
    frame = rows(pd.date_range("2024-01-01", periods=4))
    assert len(known_rows(frame, SCHEMA, "D", utc("2023-01-01T00:00"))) == 0
    assert len(known_rows(frame[:0], SCHEMA, "D", utc("2024-01-03T00:00"))) == 0


def test_integer_time_is_cut_at_a_whole_number():
    frame = rows([10, 15, 20, 25])
    assert known_rows(frame, SCHEMA, 5, 25)["ds"].tolist() == [10, 15, 20]
    assert known_rows(frame, SCHEMA, 5, 24)["ds"].tolist() == [10, 15]
    assert known_rows(frame, SCHEMA, 5, 25, delay=0)["ds"].tolist() == [10, 15, 20, 25]
    assert Arrival(5, 24).latest(fit_timeline(5, np.array([10]))) == 3  # ordinal 3 is 15


# Fault 23 of the catalogue: late corrections.
VERSIONS = pd.DataFrame(
    {
        "unique_id": ["a", "a", "a", "a", "b"],
        "ds": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01", "2024-01-03", "2024-01-01"]),
        "y": [1.0, 2.0, 1.5, 3.0, 9.0],
        "told": pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-09", "2024-01-02"]),
    }
)


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        ("2024-01-01T12:00", []),
        ("2024-01-02T00:00", [1.0, 9.0]),
        ("2024-01-03T10:00", [1.0, 2.0, 9.0]),
        ("2024-01-04T00:00", [2.0, 1.5, 9.0]),
        ("2024-01-09T00:00", [2.0, 1.5, 3.0, 9.0]),
    ],
)
def test_of_a_corrected_row_the_version_known_then_counts(as_of, expected):
    known = known_rows(VERSIONS, SCHEMA, "D", utc(as_of), known_col="told")
    assert known["y"].tolist() == expected


def test_a_correction_makes_other_data_and_leaves_what_was_known_before_it():
    day = [utc(f"2024-01-0{n}T00:00") for n in (3, 4)]
    before, after = (data_hash(known_rows(VERSIONS, SCHEMA, "D", at, known_col="told")) for at in day)
    uncorrected = VERSIONS[VERSIONS["told"] <= "2024-01-03"]
    assert before != after
    assert before == data_hash(known_rows(uncorrected, SCHEMA, "D", day[0], known_col="told"))


@pytest.mark.parametrize("day", ["01", "02", "03", "04", "08", "09"])
def test_versions_told_later_may_say_anything(day):
    as_of = utc(f"2024-01-{day}T00:00")
    later = VERSIONS["told"] > as_of.replace(tzinfo=None)
    poisoned = VERSIONS.assign(
        y=VERSIONS["y"].where(~later, 1e9), unique_id=VERSIONS["unique_id"].where(~later, "poison")
    )
    known = [
        known_rows(frame, SCHEMA, "D", as_of, known_col="told") for frame in (VERSIONS, poisoned, VERSIONS[~later])
    ]
    pd.testing.assert_frame_equal(known[0], known[1])
    pd.testing.assert_frame_equal(known[0], known[2])


def test_order_of_versions_does_not_matter_and_two_of_one_moment_are_left_to_the_door():
    as_of = utc("2024-01-09T00:00")
    shuffled = VERSIONS.sample(frac=1, random_state=3)
    hashes = {data_hash(known_rows(frame, SCHEMA, "D", as_of, known_col="told")) for frame in (VERSIONS, shuffled)}
    assert len(hashes) == 1
    twice = pd.concat([VERSIONS, VERSIONS[2:3].assign(y=7.0)])
    assert sorted(known_rows(twice, SCHEMA, "D", as_of, known_col="told")["y"]) == [1.5, 2.0, 3.0, 7.0, 9.0]


def test_when_a_row_was_told_is_read_on_the_clock_of_the_job_and_an_unread_one_is_kept():
    as_of = utc("2024-01-01T23:00")
    assert len(known_rows(VERSIONS, SCHEMA, "D", as_of, "Europe/Berlin", known_col="told")) == 2
    assert len(known_rows(VERSIONS, SCHEMA, "D", as_of, "UTC", known_col="told")) == 0
    undated = VERSIONS.assign(told=VERSIONS["told"].where(VERSIONS["y"] != 3.0))
    assert known_rows(undated, SCHEMA, "D", utc("2024-01-02T00:00"), known_col="told")["y"].tolist() == [1.0, 3.0, 9.0]


MISTAKES = {
    "a moment without a zone": ({"as_of": datetime(2024, 1, 1)}, "a time with a zone is needed"),
    "a truth value": ({"as_of": True}, "a time with a zone is needed"),
    "a whole number for dates": ({"as_of": 7}, "Give a time"),
    "an unknown zone": ({"zone": "Mars/Olympus"}, "is not a time zone"),
    "a zone with a path": ({"zone": "../../etc/passwd"}, "is not a time zone"),
    "a negative delay": ({"delay": -1}, "0 to 10000 steps"),
    "an odd delay": ({"delay": "soon"}, "number of steps or a duration"),
    "a negative duration": ({"delay": timedelta(hours=-1)}, "number of steps or a duration"),
    "a fraction": ({"delay": 1.5}, "number of steps or a duration"),
    "neither freq nor duration": ({"freq": None}, "Give freq"),
    "an integer step for dates": ({"freq": 2}, "integer step"),
    "an unknown frequency": ({"freq": "fortnight"}, "fortnight"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_an_argument_that_cannot_be_used_is_named(case):
    given_, words = MISTAKES[case]
    frame = rows(pd.date_range("2024-01-01", periods=4))
    settings = {"freq": "D", "as_of": utc("2024-01-03T00:00"), **given_}
    with pytest.raises(ConfigError, match=words):
        known_rows(frame, SCHEMA, **settings)


def test_dates_and_whole_numbers_are_not_compared():
    with pytest.raises(ConfigError, match="Give as_of as a whole number"):
        known_rows(rows([1, 2, 3]), SCHEMA, 1, utc("2024-01-03T00:00"))
    with pytest.raises(ConfigError, match="duration, the times are whole numbers"):
        known_rows(rows([1, 2, 3]), SCHEMA, 1, 3, delay="1h")


def test_a_column_that_is_not_there_or_cannot_be_read_at_all_is_named():
    frame = rows(pd.date_range("2024-01-01", periods=4))
    for column, options in (("ds", {"frame": frame.drop(columns="ds")}), ("told", {"known_col": "told"})):
        with pytest.raises(DataError, match=f"{column}: no such column"):
            known_rows(**{"frame": frame, "schema": SCHEMA, "freq": "D", "as_of": utc("2024-01-03T00:00"), **options})
    with pytest.raises(DataError, match="not ISO dates"):
        known_rows(rows(["x", "y"]), SCHEMA, "D", utc("2024-01-03T00:00"))
