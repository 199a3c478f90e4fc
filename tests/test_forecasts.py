"""The forecast frame: stamps in the zone of the data, across clock changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast import Forecaster
from forecast.panel.clock import as_index
from forecast.timeline import Timeline, fit_timeline


def local(freq: str, first: str) -> Timeline:
    return fit_timeline(freq, np.array([first], dtype="datetime64[us]"), "Europe/Berlin")


def test_a_daily_stamp_that_does_not_exist_moves_forward():
    stamps = np.array(["2024-03-30T02:30", "2024-03-31T02:30"], dtype="datetime64[us]")
    got = as_index(local("D", "2024-03-01T02:30"), stamps)
    assert [str(stamp) for stamp in got] == ["2024-03-30 02:30:00+01:00", "2024-03-31 03:00:00+02:00"]


def test_a_daily_stamp_that_exists_twice_is_the_first():
    stamps = np.array(["2024-10-27T02:30"], dtype="datetime64[us]")
    assert str(as_index(local("D", "2024-10-01T02:30"), stamps)[0]) == "2024-10-27 02:30:00+02:00"


def test_hours_pass_the_clock_change_in_autumn_one_by_one():
    stamps = np.array(["2024-10-26T23:00", "2024-10-27T00:00", "2024-10-27T01:00"], dtype="datetime64[us]")
    got = as_index(local("h", "2024-10-01T00:00"), stamps)
    assert [stamp.strftime("%H:%M%z") for stamp in got] == ["01:00+0200", "02:00+0200", "02:00+0100"]


def test_the_zone_survives_saving_and_loading(tmp_path):
    stamps = pd.date_range("2024-03-30", periods=20, freq="h", tz="Europe/Berlin")
    fitted = Forecaster("naive", h=3, progress=False).fit(pd.DataFrame({"ds": stamps, "y": np.arange(20.0)}))
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict())
    assert str(loaded.predict()["ds"].dtype.tz) == "Europe/Berlin"
