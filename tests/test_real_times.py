"""Real calendars through the whole house, fit to report: weeks with gaps, and local hours over both changes of clocks.

Stamps are compared with pandas' own, which know nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast import CustomBusiness, Forecaster
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.run import run
from forecast.batch.watch.settings import WatchSettings
from forecast.cli import main
from forecast.models import LSTM
from tests.batch.shop import published, sales_job
from tests.report.page import Page

BERLIN = "Europe/Berlin"
TINY = ["trainer.max_steps=2", "trainer.batch_size=8", "trainer.cycles=1", "trainer.validations=1", "progress=false"]
NET = ["model=lstm", "model.hidden_size=4"]


@dataclass(frozen=True)
class Calendar:
    """A frame and the calendar that it follows.

    Attributes:
        frame: rows of all series up to the same last stamp; some are missing.
        every: all stamps of the calendar, further than any forecast reaches.
        freq: of the job.
        inferred: what our own inference must find.
        h: steps; forecasts from the end of the frame reach over what is special in the calendar.
        slot: when the last row of the frame has just become known.
        zone: of the job.
        span, cutoffs: how the report must name the first and last row, and the cutoffs of two windows.
    """

    frame: pd.DataFrame
    every: pd.DatetimeIndex
    freq: object
    inferred: object
    h: int
    slot: datetime
    zone: str
    span: str
    cutoffs: tuple[str, str]

    def after(self, stamp: pd.Timestamp, steps: int) -> list[pd.Timestamp]:
        """The next stamps of the calendar."""
        place = self.every.get_loc(stamp) + 1
        return self.every[place : place + steps].tolist()


def frame_on(every: pd.DatetimeIndex, seed: int = 0) -> pd.DataFrame:
    """Two series with a daily wave on the local clock, and a few rows missing in the middle."""
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * (every.hour + every.day_of_week) / 24)
    frames = [pd.DataFrame({"unique_id": n, "ds": every, "y": 9 + wave + rng.normal(0, 0.1, len(every))}) for n in "ab"]
    frames[1] = frames[1].drop(index=[20, 21, 22, 40])
    return pd.concat(frames, ignore_index=True)


def co2() -> Calendar:
    from statsmodels.datasets import co2 as source

    data = source.load_pandas().data["co2"].dropna()  # 59 of 2284 weeks are gaps
    data = data[:"1999-12-25"]
    every = pd.date_range("1958-03-29", "2002-12-28", freq="W-SAT")
    frame = pd.DataFrame({"unique_id": "mauna loa", "ds": data.index, "y": data.to_numpy()})
    slot, span = datetime(2000, 1, 1, tzinfo=UTC), "1958-03-29 … 1999-12-25"
    return Calendar(frame, every, "W-SAT", "W-SAT", 10, slot, "UTC", span, ("1999-08-07", "1999-10-16"))


def hours(start: str, end: str, slot: datetime, cutoffs: tuple[str, str]) -> Calendar:
    every = pd.date_range(start, periods=24 * 300, freq="h", tz=BERLIN)
    last = pd.Timestamp(end, tz=BERLIN)
    frame = frame_on(every[every <= last])
    return Calendar(frame, every, "h", "h", 12, slot, BERLIN, f"{start} 00:00 … {end}", cutoffs)


CALENDARS = {
    "co2": co2,
    "hours into summer": lambda: hours(  # 02:00 does not exist on the 26th of March
        "2023-03-10", "2023-03-25 22:00", datetime(2023, 3, 25, 22, tzinfo=UTC), ("2023-03-24 22:00", "2023-03-25 10:00")
    ),
    "hours into winter, after a summer": lambda: hours(  # 02:00 comes twice on the 29th of October
        "2023-03-20", "2023-10-28 22:00", datetime(2023, 10, 28, 21, tzinfo=UTC), ("2023-10-27 22:00", "2023-10-28 10:00")
    ),
    "hours over the repeated one": lambda: hours(
        "2023-10-10", "2023-10-29 12:00", datetime(2023, 10, 29, 12, tzinfo=UTC), ("2023-10-28 13:00", "2023-10-29 01:00")
    ),
    "local days": lambda: Calendar(
        frame_on(pd.date_range("2023-01-10", "2023-03-22", freq="D", tz=BERLIN)),
        pd.date_range("2023-01-10", periods=300, freq="D", tz=BERLIN),
        "D", "D", 10, datetime(2023, 3, 22, 23, tzinfo=UTC), BERLIN, "2023-01-10 … 2023-03-22", ("2023-03-02", "2023-03-12"),
    ),
    "working days": lambda: Calendar(
        frame_on(pd.date_range("2023-10-02", "2023-12-21", freq=OFFSET)),
        pd.date_range("2023-10-02", periods=300, freq=OFFSET),
        CustomBusiness(holidays=HOLIDAYS), "B", 5, datetime(2023, 12, 22, tzinfo=UTC), "UTC",
        "2023-10-02 … 2023-12-21", ("2023-12-07", "2023-12-14"),
    ),
}  # fmt: skip
HOLIDAYS = ["2023-10-03", "2023-11-01", "2023-12-25", "2023-12-26", "2024-01-01"]
OFFSET = pd.offsets.CustomBusinessDay(holidays=HOLIDAYS)


@pytest.fixture(scope="module", params=CALENDARS)
def calendar(request: pytest.FixtureRequest) -> Calendar:
    return CALENDARS[request.param]()


@pytest.fixture(scope="module")
def fitted(calendar: Calendar, quick) -> Forecaster:
    net = LSTM(input_size=24, hidden_size=4)
    return Forecaster(net, calendar.h, freq=calendar.freq, training=quick, progress=False).fit(calendar.frame)


def expected(calendar: Calendar, steps: int) -> list[pd.Timestamp]:
    lasts = calendar.frame.groupby("unique_id", sort=False)["ds"].max()
    return [stamp for last in lasts for stamp in calendar.after(last, steps)]


def test_the_frequency_is_found_and_gaps_are_kept(calendar, fitted):
    inferred = Forecaster("naive", h=1, progress=False).fit(calendar.frame)
    assert inferred.parts.keys() == {calendar.inferred}
    panel = fitted._ready()[0]
    rows = calendar.frame.groupby("unique_id", sort=False).size().to_numpy()
    first, last = calendar.frame["ds"].min(), calendar.frame["ds"].max()
    steps = calendar.every.get_loc(last) - calendar.every.get_loc(first) + 1
    assert panel.lengths.tolist() == [steps] * len(panel)
    assert [int(np.isnan(values).sum()) for values in panel.each()] == (steps - rows).tolist()


def test_forecasts_have_the_stamps_of_the_calendar(calendar, fitted):
    forecasts = fitted.predict(level=[80])
    assert forecasts["ds"].tolist() == expected(calendar, calendar.h)
    assert forecasts["ds"].dt.tz == calendar.every.tz or str(forecasts["ds"].dt.tz) == str(calendar.every.tz)
    assert forecasts["lstm"].notna().all()


def test_new_rows_go_on_where_the_history_ended(calendar, fitted, tmp_path):
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    new = fitted.predict()[["unique_id", "ds"]].assign(y=9.0)
    later = loaded.update(new).predict()["ds"].tolist()
    both = [
        calendar.after(last, 2 * calendar.h) for last in calendar.frame.groupby("unique_id", sort=False)["ds"].max()
    ]
    assert later == [stamp for stamps in both for stamp in stamps[calendar.h :]]


def test_backtests_have_the_stamps_and_actuals_of_the_calendar(calendar, quick):
    net = LSTM(input_size=24, hidden_size=4)
    cv = Forecaster(net, calendar.h, freq=calendar.freq, training=quick, progress=False).cross_validation(
        calendar.frame, 2
    )
    for (name, cutoff), rows in cv.groupby(["unique_id", "cutoff"], sort=False):
        assert rows["ds"].tolist() == calendar.after(cutoff, calendar.h)
        actual = calendar.frame[calendar.frame["unique_id"] == name].set_index("ds")["y"]
        np.testing.assert_array_equal(rows["y"], actual.reindex(rows["ds"]))
    assert cv.groupby("unique_id")["cutoff"].nunique().eq(2).all()


def test_a_job_publishes_the_steps_after_the_rows_known_at_its_slot(calendar, quick, tmp_path):
    future = calendar.frame.groupby("unique_id", sort=False)["ds"].max()
    unknown = pd.DataFrame([(name, stamp, 1e9) for name, last in future.items() for stamp in calendar.after(last, 3)])
    rows = pd.concat([calendar.frame, unknown.set_axis(calendar.frame.columns, axis=1)], ignore_index=True)
    policy = ModelPolicy(LSTM(input_size=24, hidden_size=4), training=quick, gate=None)
    options = {"h": calendar.h, "freq": calendar.freq, "zone": calendar.zone, "model": policy, "watch": WatchSettings()}
    job = sales_job(tmp_path, rows, **options)
    outcome = run(job, calendar.slot)
    assert outcome.state == "committed"
    found = published(job)
    shown = pd.DatetimeIndex(found["ds"])
    assert list(shown if calendar.every.tz is None else shown.tz_convert(calendar.every.tz)) == expected(
        calendar, calendar.h
    )
    assert set(found["source"]) == {"lstm"}
    assert (found["mean"] < 1e6).all()
    again = run(sales_job(tmp_path, rows, **options), calendar.slot)
    assert again.state == "unchanged"
    report = Page(next((tmp_path / "job").rglob("*.html")).read_text())
    series = found["unique_id"].nunique()
    assert f"{series} series forecast" in report.text and "by a fallback" not in report.text


def test_the_report_names_times_as_clocks_show_them(calendar, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calendar.frame.to_parquet("data.parquet")
    freq = [] if isinstance(calendar.freq, CustomBusiness) else [f"freq={calendar.freq}"]
    if not freq:
        freq = ["freq={weekmask:Mon Tue Wed Thu Fri,holidays:[" + ",".join(HOLIDAYS) + "]}"]
    small = [*NET, *TINY, "data.input_size=24", "baselines=[naive]", f"h={calendar.h}", "n_windows=2", "level=[80]"]
    assert main(["backtest", "data=data.parquet", *freq, *small]) == 0
    (folder,) = Path("runs", "backtest").iterdir()
    text = Page((folder / "report.html").read_text()).text
    assert calendar.span in text
    assert all(cutoff in text for cutoff in calendar.cutoffs)
    assert f"{calendar.cutoffs[0]} … {calendar.cutoffs[1]}" in text


def test_the_axis_of_a_picture_is_on_the_local_clock():
    calendar = CALENDARS["hours into summer"]()
    figure = Forecaster("naive", h=12, freq="h", progress=False).fit(calendar.frame).plot(max_series=1)
    axis = figure.axes[0].xaxis
    ticks = pd.to_datetime(axis.get_major_locator()(), unit="D", utc=True).round("s").tz_convert(BERLIN)
    assert len(ticks) > 1
    assert (ticks == ticks.normalize()).any()  # a tick at local midnight, which is 22:00 or 23:00 in UTC
    assert (ticks.hour % 3 == 0).all() and (ticks.minute == 0).all()
