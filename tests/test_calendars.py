"""Working days and days of the month: as pandas counts them, from any date on and back."""

from __future__ import annotations

import copy
import datetime
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import ArtifactError, ConfigError, CustomBusiness, Forecaster
from forecast.aliases import as_freq, plain_freq
from forecast.batch.known import Arrival
from forecast.batch.opening import open_job
from forecast.batch.when import latest_slot
from forecast.calendars import month_days
from forecast.timeline import fit_timeline

HOLIDAYS = ["2024-05-01", "2024-05-09", "2024-12-25", "2024-12-26"]
WEEKS = ["Mon Tue Wed Thu Fri", "Sun Mon Tue Wed Thu", "Mon Tue Wed Thu Fri Sat", "Tue", "1111111"]


def offset(weekmask: str = WEEKS[0], holidays: list[str] = HOLIDAYS) -> pd.offsets.CustomBusinessDay:
    return pd.offsets.CustomBusinessDay(weekmask=weekmask, holidays=holidays)


@pytest.mark.parametrize("week", WEEKS)
def test_the_grid_of_a_calendar_is_that_of_pandas(week):
    every = pd.date_range("2024-04-01 09:30", periods=300, freq=offset(week)).to_numpy().astype("datetime64[us]")
    timeline = fit_timeline(CustomBusiness(week, HOLIDAYS), every[:1])
    ordinals, exact = timeline.ordinals(every)
    assert exact.all() and (np.diff(ordinals) == 1).all()
    np.testing.assert_array_equal(timeline.stamps(ordinals), every)
    free = every[:-1] + np.timedelta64(1, "D")
    on_grid = np.isin(free, every)
    np.testing.assert_array_equal(timeline.ordinals(free)[1], on_grid)


@given(
    week=st.sampled_from(WEEKS),
    start=st.dates(datetime.date(1700, 1, 1), datetime.date(2300, 1, 1)),
    free=st.lists(st.dates(datetime.date(1960, 1, 1), datetime.date(1980, 1, 1)), max_size=40),
)
def test_counting_and_dating_working_days_are_inverse_on_both_sides_of_1970(week, start, free):
    calendar = CustomBusiness(week, free)
    days = np.datetime64(start, "D") + np.arange(500)
    worked = days[calendar.working(days)]
    counts = calendar.count(worked)
    assert (np.diff(counts) == 1).all()
    np.testing.assert_array_equal(calendar.days(counts), worked)


@given(count=st.integers(2, 9), start=st.dates(datetime.date(1950, 1, 1), datetime.date(2050, 1, 1)))
def test_every_few_business_days_is_a_grid_of_its_own(count, start):
    every = pd.date_range(start, periods=30, freq=f"{count}B").to_numpy().astype("datetime64[us]")
    timeline = fit_timeline(f"{count}B", every[:1])
    ordinals, exact = timeline.ordinals(every)
    assert exact.all() and (np.diff(ordinals) == 1).all()
    np.testing.assert_array_equal(timeline.stamps(ordinals), every)


def test_one_calendar_has_many_spellings():
    plain = CustomBusiness("Mon Tue Wed Thu Fri", HOLIDAYS)
    dates = [pd.Timestamp(day) for day in HOLIDAYS]
    others = [
        CustomBusiness("1111100", tuple(reversed(HOLIDAYS))),
        CustomBusiness(holidays=dates),
        CustomBusiness(holidays=pd.DatetimeIndex(dates)),
        CustomBusiness(holidays=[day.date() for day in dates]),
        CustomBusiness(holidays=dict.fromkeys((day.date() for day in dates), "a name")),
        CustomBusiness(holidays=[*HOLIDAYS, "2024-05-04", HOLIDAYS[0]]),  # a Saturday is free anyhow
        as_freq(offset()),
        as_freq({"weekmask": "Mon Tue Wed Thu Fri", "holidays": HOLIDAYS}),
        as_freq(json.loads(json.dumps(plain_freq(plain)))),
        copy.deepcopy(plain),
    ]
    assert all(other == plain and hash(other) == hash(plain) for other in others)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weekmask": "0000000"}, "at least one of them worked"),
        ({"weekmask": "Mon Noon"}, "weekmask='Mon Noon'"),
        ({"weekmask": 5}, "weekmask=5"),
        ({"holidays": "2024-05-01"}, "a list of dates"),
        ({"holidays": 3}, "a list of dates"),
        ({"holidays": ["2024-05-01", "Whitsun"]}, "'Whitsun' is not a date"),
        ({"holidays": [pd.NaT]}, "NaT is not a date"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused_by_name(arguments, message):
    with pytest.raises(ConfigError, match=message):
        CustomBusiness(**arguments)


def test_a_long_calendar_has_a_short_name():
    name = repr(CustomBusiness(holidays=pd.date_range("2000-01-01", periods=3000, freq="W-WED")))
    assert name == "CustomBusiness('Mon Tue Wed Thu Fri' but 3000 holidays from 2000-01-05 on)"


def test_a_season_is_a_week_of_working_days():
    first = np.array(["2024-04-15"], dtype="datetime64[us]")
    assert fit_timeline(CustomBusiness("Mon Tue Wed Thu Fri Sat"), first).season_length == 6
    assert fit_timeline("2B", first).season_length == 2


@pytest.mark.parametrize("day", [1, 15, 28, 29, 30, 31])
def test_months_are_as_long_as_they_are(day):
    months = np.arange("1896-01", "2104-12", dtype="datetime64[M]")
    expected = [min(day, month.days_in_month) for month in pd.PeriodIndex(months.astype("datetime64[ns]"), freq="M")]
    assert (month_days(months, day) - months.astype("datetime64[D]")).astype(int).tolist() == [n - 1 for n in expected]


@pytest.fixture(scope="module")
def trading() -> pd.DataFrame:
    days = pd.date_range("2024-02-01", periods=80, freq=offset())
    return pd.DataFrame({"unique_id": "a", "ds": days, "y": np.arange(80) % 5 + 1.0})


def test_a_calendar_lives_on_in_a_saved_model_as_plain_json(trading, tmp_path):
    calendar = CustomBusiness(holidays=HOLIDAYS)
    fitted = Forecaster("seasonal_naive", h=10, freq=calendar, progress=False).fit(trading)
    folder = fitted.save(tmp_path / "m")
    assert json.loads((folder / "model.json").read_text())["facts"]["timeline"]["freq"] == plain_freq(calendar)
    loaded = Forecaster.load(folder)
    assert loaded.freq == calendar
    forecasts = loaded.predict(level=[80])
    pd.testing.assert_frame_equal(forecasts, fitted.predict(level=[80]), check_exact=True)
    assert forecasts["ds"].tolist() == pd.date_range(trading["ds"].iloc[-1], periods=11, freq=offset())[1:].tolist()
    after = loaded.update(forecasts[["unique_id", "ds"]].assign(y=1.0)).predict()
    assert after["ds"].iloc[0] == forecasts["ds"].iloc[-1] + offset()


@pytest.mark.parametrize(
    "wrong", [{"weekmask": "0000000", "holidays": []}, {"holidays": ["never"]}, {"days": 5}, ["B"]]
)
def test_a_saved_calendar_that_cannot_be_is_refused(wrong, trading, tmp_path):
    from forecast import artifact

    folder = (
        Forecaster("naive", freq=CustomBusiness(holidays=HOLIDAYS), progress=False).fit(trading).save(tmp_path / "m")
    )
    stored = artifact.read(folder)
    stored.facts["timeline"]["freq"] = wrong
    artifact.write(folder, stored)
    with pytest.raises(ArtifactError, match="do not fit together"):
        Forecaster.load(folder)


def test_a_row_of_a_calendar_is_known_when_its_next_working_day_begins():
    calendar = CustomBusiness(holidays=HOLIDAYS)
    stamps = np.array(["2024-04-30", "2024-12-24"], dtype="datetime64[us]")
    for moment, known in (
        ("2024-05-01", [False, False]),
        ("2024-05-02", [True, False]),
        ("2024-12-26", [True, False]),
        ("2024-12-27", [True, True]),
    ):
        as_of = datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.UTC)
        assert Arrival(calendar, as_of).known(stamps).tolist() == known
    first = np.array(["2024-01-02"], dtype="datetime64[us]")
    grid = fit_timeline(calendar, first)
    as_of = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    assert grid.stamps(np.array([Arrival(calendar, as_of).latest(grid)]))[0] == np.datetime64("2024-04-29")


def test_a_row_of_a_month_from_the_30th_is_known_when_the_next_month_begins_there():
    stamps = np.array(["2024-01-30", "2024-02-29"], dtype="datetime64[us]")
    for moment, known in (
        ("2024-02-28", [False, False]),
        ("2024-02-29", [True, False]),
        ("2024-03-29", [True, False]),
        ("2024-03-30", [True, True]),
    ):
        as_of = datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.UTC)
        assert Arrival("MS-30", as_of).known(stamps).tolist() == known


def test_a_job_may_name_its_calendar_in_yaml_and_another_calendar_is_another_job(tmp_path):
    text = "source: {data: elnino}\nh: 3\nsink: {folder: out}\nfreq: {weekmask: Mon Tue Wed Thu Fri, holidays: [%s]}\n"
    hashes = set()
    for day in ("2024-12-25", "2024-12-26"):
        (tmp_path / "j.yaml").write_text(text % day)
        job = open_job(tmp_path / "j.yaml")
        assert job.freq == CustomBusiness(holidays=[day])
        assert latest_slot(job, datetime.datetime(2024, 12, 25, 12, tzinfo=datetime.UTC)).day == (
            24 if "25" in day else 25
        )
        hashes.add(job.config_hash)
    assert len(hashes) == 2


def test_long_closures_do_not_make_rows_known_too_early():
    closed = pd.date_range("2024-07-01", "2024-08-30", freq="B")
    calendar = CustomBusiness(holidays=closed)
    assert calendar.longest == 66  # from Friday the 28th of June to Monday the 2nd of September
    last = np.array(["2024-06-28"], dtype="datetime64[us]")
    for moment, known in (("2024-09-01", False), ("2024-09-02", True)):
        as_of = datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.UTC)
        assert Arrival(calendar, as_of).known(last).tolist() == [known]
