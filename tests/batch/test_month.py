"""A month of everything that happens to a job: every night ends with a complete, explained forecast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast.batch.ledger.ledger import Ledger
from forecast.batch.outcome import Outcome
from tests.batch import month as calendar
from tests.batch.month import (
    CORRECTED,
    CORRUPT,
    FIRST_NIGHT,
    LATE,
    NEW,
    NIGHTS,
    OUTAGE,
    SILENT,
    SUMMER_TIME,
    VANISHED,
    H,
    month,
    reachable,
    rows_like_them,
    without,
)  # fmt: skip


@pytest.fixture(scope="module")
def nights(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Outcome], pd.DataFrame, Path]:
    """The outcomes, all that was published, and the folder of the job."""
    folder = tmp_path_factory.mktemp("month")
    with reachable(postgres_url, folder / "socket") as (url, link):
        days = month(folder, url, lambda: without(link), rows_like_them(), steps=5)
        outcomes = [outcome for _, outcome, _ in days.nights()]
        published = days.job.open_sink().read("month")
    return outcomes, published, days.job.home


def slot(night: int) -> pd.Timestamp:
    return (FIRST_NIGHT + pd.DateOffset(days=night)).tz_convert("UTC")


def of(published: pd.DataFrame, night: int) -> pd.DataFrame:
    return published[published["slot"] == slot(night)]


def test_every_night_ends_with_a_complete_explained_forecast(nights):
    _, published, _ = nights
    assert published["slot"].nunique() == NIGHTS
    for night in range(NIGHTS):
        rows = of(published, night)
        ids = 7 - (night >= VANISHED) - (night < NEW - 1)
        assert len(rows) == ids * H, night
        assert np.isfinite(rows[["mean", "lo-80", "hi-80"]]).to_numpy().all()
        own = rows["source"] == rows["model"]
        assert (own | (rows["reason"] != "")).all()


def test_forecasts_are_hours_on_the_clock_of_the_job_across_summer_time(nights):
    _, published, _ = nights
    rows = of(published, SUMMER_TIME - 1)
    one = rows[rows["unique_id"] == "HUFL"].sort_values("step")
    assert str(one["ds"].dt.tz) == "Europe/Berlin"
    assert (one["ds"].diff().dropna() == pd.Timedelta(hours=1)).all()
    assert 2 not in one.loc[one["ds"].dt.day == 26, "ds"].dt.hour.tolist()  # the hour that there was not


def test_rows_that_are_late_move_the_cutoff_of_their_series_alone(nights):
    _, published, _ = nights
    cutoffs = of(published, LATE).groupby("unique_id")["cutoff"].first()
    assert cutoffs["HUFL"] - cutoffs["HULL"] == pd.Timedelta(hours=6)


def test_a_night_without_data_forecasts_from_what_is_there_and_says_so(nights):
    outcomes, published, _ = nights
    assert of(published, SILENT)["cutoff"].max() == of(published, SILENT - 1)["cutoff"].max()
    assert any("late" in alert or "stale" in alert or "old" in alert for alert in outcomes[SILENT].alerts)


def test_vanished_and_new_series_are_named(nights):
    outcomes, _, _ = nights
    assert any("LUFL" in alert for alert in outcomes[VANISHED].alerts)
    report = (nights[2] / "reports" / f"{slot(NEW - 1):%Y%m%dT%H%M%SZ}-v1.html").read_text()
    assert "OT" in report


def test_a_damaged_model_file_is_noticed_and_something_stands_in(nights):
    outcomes, published, home = nights
    assert outcomes[CORRUPT].exit_code in (0, 3, 10)
    ledger = Ledger(f"sqlite:///{home / 'batch.db'}")
    ledger.open()
    reasons = ledger.show(outcomes[CORRUPT].run).facts["model"]["reasons"]
    assert any("damaged" in reason for reason in reasons)
    assert len(of(published, CORRUPT)) == 6 * H


def test_what_the_database_could_not_take_is_delivered_the_night_after(nights):
    outcomes, published, _ = nights
    assert outcomes[OUTAGE].state == "spooled" and outcomes[OUTAGE].exit_code == 8
    assert len(of(published, OUTAGE)) == 6 * H
    assert outcomes[OUTAGE + 1].state == "committed"


def test_a_correction_changes_what_comes_after_and_nothing_before(nights):
    _, published, _ = nights
    assert (published.groupby("slot")["run"].nunique() == 1).all()
    assert of(published, CORRECTED)["run"].iloc[0] != of(published, CORRECTED - 1)["run"].iloc[0]


def test_the_calendar_is_the_one_told():
    assert (FIRST_NIGHT + pd.DateOffset(days=SUMMER_TIME)).utcoffset() != FIRST_NIGHT.utcoffset()
    assert (FIRST_NIGHT + pd.DateOffset(days=SUMMER_TIME)).hour == 6
    assert calendar.ZONE == "Europe/Berlin"
