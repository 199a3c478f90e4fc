"""The terms on which a frame comes in: grid and frequency of what it follows, else those that are given."""

from __future__ import annotations

import pandas as pd
import pytest

from forecast import Schema
from forecast.errors import DataError, ForecastWarning
from forecast.ingest.door import read_panel, to_panel
from forecast.ingest.like import read_like
from forecast.ingest.terms import Terms


def rows(first: str = "2024-01-01", length: int = 6, name: object = "a", **more: object) -> pd.DataFrame:
    stamps = pd.date_range(first, periods=length, freq="D", **more)
    return pd.DataFrame({"unique_id": name, "ds": stamps, "y": range(length)})


HISTORY = to_panel(rows())


def test_the_frequency_is_that_given_and_nothing_is_known():
    terms = Terms(freq="h")
    assert terms.step == "h" and terms.schema == Schema()
    assert terms.grid is terms.history is terms.features is None


def test_rows_that_follow_are_on_the_grid_of_the_history_whatever_the_frequency():
    terms = Terms(freq="h", known=HISTORY, onward=True)
    assert terms.step == "D" and terms.grid == HISTORY.timeline and terms.history is HISTORY
    assert read_panel(rows("2024-01-07", 1), terms).panel.timeline == HISTORY.timeline


def test_series_that_are_known_are_not_followed_unless_told():
    terms = Terms(freq="D", known=HISTORY)
    assert terms.history is terms.grid is None and terms.step == "D"
    assert read_panel(rows(length=3), terms).panel.lengths.tolist() == [3]
    with pytest.raises(DataError, match="ds"):
        read_panel(rows(length=3).assign(ds=lambda f: f["ds"] + pd.Timedelta("1h")), Terms(known=HISTORY, onward=True))


def test_unknown_values_lead_only_series_that_go_on():
    """A history's next value may be unknown; a new series begins with its first known one."""
    later = pd.concat([rows("2024-01-07", 2), rows("2024-01-07", 2, "b")], ignore_index=True)
    later["y"] = [None, 1.0, None, 1.0]
    with pytest.warns(ForecastWarning, match="left out: 'b'"):
        panel = read_panel(later, Terms(known=HISTORY, onward=True)).panel
    assert panel.lengths.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("other", "message"),
    [(rows(name=7), "ids were"), (rows(tz="UTC"), "tz_localize|zone")],
)
def test_rows_of_another_kind_than_the_history_are_refused(other, message):
    with pytest.raises(DataError, match=message):
        read_like(other, Schema(), HISTORY)
