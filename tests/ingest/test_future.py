"""The table of the future at the door: every step has its row, or the error says which are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import DataError, ForecastWarning, Schema
from forecast.forecasts import future_frame
from forecast.ingest.door import to_panel
from forecast.ingest.future import asked_future, with_future
from forecast.panel.panel import Panel

NAN = float("nan")
SCHEMA = Schema(futr_exog=("promo", "kind"))


def history(zone: str | None = None, freq: str = "D", schema: Schema = SCHEMA) -> Panel:
    """Series a and b, which end a day apart."""
    parts = []
    for name, rows in (("a", 5), ("b", 4)):
        stamps = pd.date_range("2024-01-01", periods=rows, freq=freq, tz=zone)
        parts.append(pd.DataFrame({"unique_id": name, "ds": stamps, "y": 1.0, "promo": 0.0, "kind": "usual"}))
    return to_panel(pd.concat(parts), schema, freq)


def future(panel: Panel, h: int = 3) -> pd.DataFrame:
    rows = future_frame(panel, h)
    return rows.assign(promo=np.arange(1.0, len(rows) + 1), kind=np.resize(["usual", "sale", None], len(rows)))


def ahead(panel: Panel, h: int = 3) -> dict[str, list[object]]:
    """What the panel knows of the ``h`` steps after each series."""
    assert panel.futr is not None
    known = panel.futr.between(panel.last + 1, np.full(len(panel), h))
    return {name: cells.tolist() for name, cells in known.covariates.cells().items()}


def test_the_steps_after_each_series_get_their_rows_and_the_past_stays():
    panel = history()
    told = with_future(panel, future(panel), 3)
    assert ahead(told) == {"promo": [1, 2, 3, 4, 5, 6], "kind": ["usual", "sale", None] * 2}
    assert told.futr is not None
    past = told.futr.between(panel.first, panel.lengths).covariates
    assert past.cells()["kind"].tolist() == ["usual"] * 9
    assert panel.futr is not None
    assert panel.futr.lengths.tolist() == [5, 4]  # the panel given is as it was


FORMS = {
    "shuffled": lambda f: f.sample(frac=1.0, random_state=3),
    "columns in another order": lambda f: f[f.columns[::-1]],
    "polars": lambda f: pl.from_pandas(f),
    "id and time in the index": lambda f: f.set_index(["unique_id", "ds"]),
    "a target": lambda f: f.assign(y=NAN),
    "a column more": lambda f: f.assign(junk="x"),
    "categories": lambda f: f.assign(kind=pd.Categorical(f["kind"], categories=["sale", "usual"])),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_table_tells_the_same(form):
    panel = history()
    given_table = FORMS[form](future(panel))
    assert ahead(with_future(panel, given_table, 3)) == ahead(with_future(panel, future(panel), 3))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_tells_the_same_as_its_table(ending, tmp_path):
    panel, path = history(), tmp_path / f"future.{ending}"
    given_table = future(panel)
    given_table.to_csv(path, index=False) if ending == "csv" else given_table.to_parquet(path)
    assert ahead(with_future(panel, path, 3)) == ahead(with_future(panel, given_table, 3))


def test_a_missing_value_is_allowed_and_a_missing_row_is_not():
    panel = history()
    told = with_future(panel, future(panel).assign(promo=NAN), 3)
    assert np.isnan(ahead(told)["promo"]).all()
    with pytest.raises(DataError, match=r"1 of 3 rows are missing \(2024-01-07\) in series 'a'") as caught:
        with_future(panel, future(panel).drop(index=1), 3)
    assert "make_future_frame()" in str(caught.value)
    assert len(caught.value.report) == 1


def test_missing_rows_are_counted_and_listed_series_by_series():
    panel = history()
    with pytest.raises(DataError) as caught:
        with_future(panel, future(panel, 4).iloc[[1, 4]], 4)
    whole, one, two = caught.value.report
    assert whole.problem == "6 of 8 rows are missing, in 2 of 2 series"
    assert (one.series, one.problem) == ("a", "3 of 4 rows are missing (2024-01-06, 2024-01-08 … 2024-01-09)")
    assert (two.series, two.problem) == ("b", "3 of 4 rows are missing (2024-01-06 … 2024-01-08)")


def test_ten_faults_are_shown_and_all_are_in_the_report():
    frame = pd.DataFrame(
        {"unique_id": np.repeat([f"s{n}" for n in range(30)], 3), "ds": np.tile([1, 2, 3], 30), "y": 1.0}
    )
    panel = to_panel(frame.assign(promo=1.0, kind="x"), SCHEMA)
    given_table = future_frame(panel, 2).head(2).assign(promo=0.0, kind="x")
    with pytest.raises(DataError, match="and 20 more: see the exception's .report") as caught:
        with_future(panel, given_table, 2)
    assert len(caught.value.report) == 30
    assert str(caught.value).count("rows are missing") == 10


def test_a_shorter_horizon_needs_its_own_rows_only(recwarn):
    panel = history()
    with_future(panel, future_frame(panel, 1).assign(promo=1.0, kind="x"), 1)
    told = with_future(panel, future(panel), 1, most=3)
    assert ahead(told, 2)["promo"][::2] == [1.0, 4.0]
    assert not recwarn.list


def test_rows_that_nobody_asked_for_are_ignored_and_counted():
    panel = history()
    rows = future(panel, 3)
    extra = {
        "2 series that are not forecast here, which are ignored: 'c', 'd'": rows.assign(
            unique_id=["c"] * 3 + ["d"] * 3
        ),
        r"6 rows after step 3, which are ignored \(first: 'a', '2024-01-10": rows.assign(
            ds=rows["ds"] + pd.Timedelta(days=4)
        ),
        r"6 rows at or before the end of their series, .* \(first: 'a', '2024-01-02": rows.assign(
            ds=rows["ds"] - pd.Timedelta(days=4)
        ),
    }
    for message, more in extra.items():
        with pytest.warns(ForecastWarning, match=message):
            told = with_future(panel, pd.concat([more, rows]).drop_duplicates(["unique_id", "ds"], keep="last"), 3)
        assert ahead(told) == ahead(with_future(panel, rows, 3))


def test_what_the_history_tells_of_the_past_is_kept():
    panel = history()
    past = future_frame(panel, 1).assign(ds=panel.stamps()[[4, 8]], promo=99.0, kind="sale")
    with pytest.warns(ForecastWarning, match="2 rows at or before the end"):
        told = with_future(panel, pd.concat([past, future(panel)]), 3)
    assert told.futr is not None
    assert 99.0 not in told.futr.covariates.cells()["promo"].tolist()


FAULTS = {
    "twice": (lambda f: pd.concat([f, f.iloc[[2]]]), r"ds of futr_df: duplicate times .* in series 'a' at rows 2, 6"),
    "off the grid": (lambda f: f.assign(ds=f["ds"] + pd.Timedelta(hours=1)), "ds of futr_df: times off the grid"),
    "zoned": (
        lambda f: f.assign(ds=f["ds"].dt.tz_localize("UTC")),
        "ds of futr_df: the new times are in time zone UTC",
    ),
    "integers": (lambda f: f.assign(ds=range(6)), "ds of futr_df: the new rows are numbered by integers"),
    "no time": (lambda f: f.drop(columns="ds"), "ds of futr_df: no such column"),
    "no id": (lambda f: f.drop(columns="unique_id"), "unique_id of futr_df: no such column"),
    "a missing id": (
        lambda f: f.assign(unique_id=f["unique_id"].where(f.index != 1)),
        "unique_id of futr_df: the id is missing at row 1",
    ),
    "a missing time": (
        lambda f: f.assign(ds=f["ds"].where(f.index != 1)),
        "ds of futr_df: the time is missing in series 'a' at row 1",
    ),
    "ids of another type": (
        lambda f: f.assign(unique_id=[1, 1, 1, 2, 2, 2]),
        "ids are integer, those of the series are string",
    ),
    "a typo": (
        lambda f: f.rename(columns={"promo": "promos"}),
        r"promo of futr_df: no such column .* Did you mean 'promos'\?",
    ),
    "infinity": (
        lambda f: f.assign(promo=[1, 2, 3, np.inf, 5, 6]),
        "promo of futr_df: the value is infinite in series 'b' at row 3",
    ),
    "text for numbers": (
        lambda f: f.assign(promo=["x", 2, 3, 4, 5, 6]),
        "numeric when fitting and holds 'x' now in series 'a' at row 0",
    ),
    "no rows": (lambda f: f.iloc[:0], "frame of futr_df: it has no rows"),
    "other series alone": (lambda f: f.assign(unique_id="c"), "6 of 6 rows are missing, in 2 of 2 series"),
    "years before": (lambda f: f.assign(ds=f["ds"] - pd.Timedelta(days=3650)), "6 of 6 rows are missing"),
    "a late start": (lambda f: f.assign(ds=f["ds"] + pd.Timedelta(days=1)), r"\(2024-01-06\) in series 'a'"),
}


@pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")
@pytest.mark.parametrize("case", FAULTS)
def test_a_table_that_cannot_be_used_is_refused_with_the_way_out(case):
    change, message = FAULTS[case]
    panel = history()
    given_table = change(future(panel))
    before = given_table.copy(deep=True)
    with pytest.raises(DataError, match=message) as caught:
        with_future(panel, given_table, 3)
    assert all(fault.remedy for fault in caught.value.report)
    pd.testing.assert_frame_equal(given_table, before)


def test_a_naive_history_refuses_an_aware_future_and_the_other_way_round():
    for zones in ((None, "Europe/Berlin"), ("Europe/Berlin", None)):
        panel = history(zones[0])
        rows = future(panel)
        changed = rows.assign(ds=rows["ds"].dt.tz_localize(None).dt.tz_localize(zones[1]))
        with pytest.raises(DataError, match="ds of futr_df: the new times are"):
            with_future(panel, changed, 3)


@pytest.mark.parametrize("freq", ["h", "30min", "D", "B", "W-SUN", "MS", "ME", "QS-JAN", "YE-DEC"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin", "America/New_York"])
def test_the_frame_to_fill_in_is_what_is_read(freq, zone):
    panel = history(zone, freq)
    rows = future_frame(panel, 40).assign(kind="x")
    rows["promo"] = np.arange(float(len(rows)))
    assert ahead(with_future(panel, rows, 40), 40)["promo"] == rows["promo"].tolist()


@pytest.mark.parametrize("start", ["2024-03-29 02:30", "2024-10-25 02:30"])
def test_a_daily_time_that_the_clock_skips_or_repeats_is_found_again(start):
    stamps = pd.date_range(start, periods=2, freq="D", tz="Europe/Berlin")
    frame = pd.DataFrame({"ds": stamps, "y": [1.0, 2.0], "promo": 0.0, "kind": "x"})
    panel = to_panel(frame, SCHEMA, "D")
    rows = future_frame(panel, 4).assign(promo=[1.0, 2, 3, 4], kind="x")
    assert ahead(with_future(panel, rows, 4), 4)["promo"] == [1, 2, 3, 4]
    assert ahead(with_future(panel, rows.drop(columns="unique_id"), 4), 4)["promo"] == [1, 2, 3, 4]


def test_a_table_without_use_is_ignored_with_a_warning_and_a_table_that_is_needed_is_asked_for():
    panel = history(schema=Schema())
    with pytest.warns(ForecastWarning, match="futr_df is ignored"):
        assert asked_future(panel, future(panel), 3, 3, needed=False) is panel
    panel = history()
    assert asked_future(panel, None, 3, 3, needed=False) is panel
    with pytest.raises(
        DataError, match=r"forecast from 'promo', 'kind', .* Pass futr_df\. Fill in .* make_future_frame"
    ):
        asked_future(panel, None, 3, 3, needed=True)


@given(st.sets(st.integers(0, 11)))
def test_exactly_the_rows_that_are_missing_are_listed(gone):
    panel = history()
    rows = future_frame(panel, 6).assign(promo=1.0, kind="x")
    if not gone:
        with_future(panel, rows, 6)
        return
    if len(gone) == len(rows):
        return
    with pytest.raises(DataError) as caught:
        with_future(panel, rows.drop(index=list(gone)), 6)
    listed = set()
    for fault in caught.value.report:
        if fault.series is None:
            assert fault.problem.startswith(f"{len(gone)} of 12")
            continue
        for part in fault.problem[fault.problem.index("(") + 1 : -1].split(", "):
            since, _, until = part.partition(" … ")
            days = pd.date_range(since, until or since, freq="D")
            listed |= {(fault.series, day) for day in days}
    assert listed == {(rows["unique_id"][at], rows["ds"][at]) for at in gone}
