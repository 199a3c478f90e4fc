"""The door: good frames of every make come through alike, each fault is named with series, row and remedy."""

from __future__ import annotations

import time
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from forecast import ConfigError, DataError, ForecastWarning, Schema
from forecast.errors import Fault
from forecast.ingest.door import to_panel
from forecast.ingest.validate import with_series
from forecast.panel.fill import as_models_see
from tests.conftest import seasonal_frame

NAN = float("nan")


def daily(n: int = 6, **columns: object) -> pd.DataFrame:
    base = {"unique_id": ["a"] * n, "ds": pd.date_range("2024-03-01", periods=n), "y": np.arange(n, dtype=float)}
    return pd.DataFrame({**base, **columns})


def same_panel(one, two) -> bool:
    return (
        one.ids.astype(str).tolist() == two.ids.astype(str).tolist()
        and np.array_equal(one.values, two.values, equal_nan=True)
        and np.array_equal(one.stamps(), two.stamps())
    )


GOOD_FORMS = {
    "polars": lambda f: pl.from_pandas(f),
    "lazy polars": lambda f: pl.from_pandas(f).lazy(),
    "arrow table": lambda f: pa.Table.from_pandas(f),
    "arrow-backed": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "nullable dtypes": lambda f: f.convert_dtypes(),
    "multi-index": lambda f: f.set_index(["unique_id", "ds"]),
    "id in the index": lambda f: f.set_index("unique_id"),
    "shuffled rows": lambda f: f.iloc[np.random.default_rng(0).permutation(len(f))].sort_values(
        "unique_id", kind="stable"
    ),
    "descending time": lambda f: f[::-1].sort_values("unique_id", kind="stable"),
    "useless row index": lambda f: f.set_index(np.zeros(len(f), dtype=int)),
    "categorical ids with unused levels": lambda f: f.assign(
        unique_id=pd.Categorical(f["unique_id"], categories=["unused", "s2", "s1", "s0"])
    ),
    "columns in another order": lambda f: f[["y", "ds", "unique_id"]],
    "an extra column": lambda f: f.assign(colour="red"),
    "seconds": lambda f: f.assign(ds=f["ds"].astype("datetime64[s]")),
    "nanoseconds": lambda f: f.assign(ds=f["ds"].astype("datetime64[ns]")),
    "periods": lambda f: f.assign(ds=f["ds"].dt.to_period("M")),
}


@pytest.mark.parametrize("form", GOOD_FORMS)
def test_every_form_of_a_frame_gives_the_same_panel(form, frame):
    assert same_panel(to_panel(GOOD_FORMS[form](frame)), to_panel(frame))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_file_gives_the_same_panel_as_its_frame(ending, frame, tmp_path):
    path = tmp_path / f"table.{ending}"
    frame.to_parquet(path) if ending == "parquet" else frame.to_csv(path, index=False)
    panel = to_panel(path)
    np.testing.assert_allclose(panel.values, to_panel(frame).values)
    assert panel.ids.tolist() == to_panel(frame).ids.tolist()


def test_ids_in_a_csv_stay_as_they_are_written(tmp_path):
    ids = ["NA", "001", "1e5", "null", "=cmd()", 'a,"b"']
    frame = pd.concat([daily(3, unique_id=[name] * 3) for name in ids])
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert to_panel(tmp_path / "t.csv").ids.tolist() == ids


def test_columns_may_have_other_names():
    frame = daily().rename(columns={"unique_id": "shop", "ds": "day", "y": "sold"})
    panel = to_panel(frame, Schema("shop", "day", "sold"))
    assert panel.values.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_frame_without_ids_is_one_series():
    assert to_panel(daily().drop(columns="unique_id")).ids.tolist() == ["series"]


def test_series_come_in_first_seen_order():
    frame = pd.concat([daily(unique_id=["z"] * 6), daily(unique_id=["a"] * 6)])
    assert to_panel(frame).ids.tolist() == ["z", "a"]


def test_gaps_are_unknown_values_by_default():
    panel = to_panel(daily().drop(index=[2, 3]))
    np.testing.assert_array_equal(panel.values, [0, 1, NAN, NAN, 4, 5])


@pytest.mark.parametrize(
    ("missing", "expected"), [("ffill", [0, 1, 1, 3]), ("zero", [0, 1, 0, 3]), ("interpolate", [0, 1, 2, 3])]
)
def test_gaps_are_filled_by_the_policy_named(missing, expected):
    panel = to_panel(daily(4).drop(index=2), Schema(missing=missing), "D")
    assert as_models_see(panel).values.tolist() == expected
    np.testing.assert_array_equal(panel.values, [0, 1, NAN, 3])


def test_leading_unknown_values_are_trimmed_and_trailing_ones_kept():
    with pytest.warns(ForecastWarning) as caught:
        panel = to_panel(daily(y=[NAN, NAN, 3.0, NAN, 5.0, NAN]))
    said = [str(warning.message) for warning in caught]
    assert said[0] == "y: 2 unknown values before the first known one of 1 series left out: 'a'."
    assert "the last values of 1 series are unknown: 'a'" in said[1] and "2024-03-06" in said[1]
    np.testing.assert_array_equal(panel.values, [3, NAN, 5, NAN])
    assert str(panel.stamps()[-1]).startswith("2024-03-06")


@pytest.mark.parametrize(("how", "expected"), [("mean", 3.0), ("sum", 6.0), ("first", 1.0), ("last", 5.0)])
def test_duplicates_are_merged_when_asked(how, expected):
    frame = pd.concat([daily(4), daily(4, y=[5.0] * 4)], ignore_index=True)
    assert to_panel(frame, Schema(duplicates=how)).values[1] == expected


def test_large_integer_ids_stay_exact():
    assert to_panel(daily(unique_id=[100100037] * 6)).ids.tolist() == [100100037]


def test_integer_time_with_a_constant_step_works():
    panel = to_panel(daily(ds=[0, 5, 10, 15, 20, 25]))
    assert panel.timeline.freq == 5
    assert panel.stamps().tolist() == [0, 5, 10, 15, 20, 25]


def test_hourly_local_time_keeps_its_zone_across_the_clock_change():
    stamps = pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin")
    panel = to_panel(daily(60, unique_id=["a"] * 60, ds=stamps, y=range(60)))
    assert panel.timeline.tz == "Europe/Berlin"
    assert len(panel.values) == 60


def test_daily_local_time_counts_calendar_days_across_the_clock_change():
    stamps = pd.date_range("2024-03-28", periods=8, freq="D", tz="Europe/Berlin")
    panel = to_panel(daily(8, ds=stamps))
    assert panel.timeline.freq == "D"
    assert len(panel.values) == 8


CONVERTED = {
    "ISO dates as text": {"ds": [f"2024-03-0{i}" for i in range(1, 7)]},
    "a target of true and false": {"y": [True, False] * 3},
    "decimals": {"y": [Decimal(i) for i in range(6)]},
    "numbers held as objects": {"y": np.array([1, 2.5, 3, None, 5, 6], dtype=object)},
}


@pytest.mark.parametrize("case", CONVERTED)
def test_a_conversion_is_made_with_a_warning(case):
    with pytest.warns(ForecastWarning, match="read as"):
        assert len(to_panel(daily(**CONVERTED[case])).values) == 6


QUIET = {
    "int8": daily(y=np.array([100, 120, 127, -128, 5, 6], dtype=np.int8)),
    "nullable integers": daily(y=pd.array([1, 2, None, 4, 5, 6], dtype="Int64")),
    "a constant": daily(y=[7.0] * 6),
    "all zeros": daily(y=[0.0] * 6),
    "1e-12": daily(y=np.arange(6) * 1e-12),
    "1e39": daily(y=np.arange(1, 7) * 1e39),
    "a read-only array": daily(y=np.broadcast_to(np.float64(3), 6)),
    "sub-millisecond stamps": daily(ds=pd.date_range("2024-01-01", periods=6, freq="200us")),
    "the year 1500": daily(ds=np.array([f"1500-01-0{i}" for i in range(1, 7)], dtype="datetime64[us]")),
    "business days": daily(ds=pd.bdate_range("2024-03-01", periods=6)),
}


@pytest.mark.parametrize("case", QUIET)
def test_an_odd_but_honest_frame_works_without_a_word(case):
    assert np.isfinite(to_panel(QUIET[case]).values).any()


# case -> (frame, column named, pieces of the message)
BAD = {
    "a repeated time": (daily(ds=["2024-03-01"] * 2 + [f"2024-03-0{i}" for i in range(2, 6)]), "ds", ["'a'", "0, 1", "duplicates="]),
    "conflicting values": (pd.concat([daily(), daily(1, y=[9.0])], ignore_index=True), "ds", ["rows 0, 6", "2024-03-01"]),
    "an irregular grid": (daily(4, ds=np.array(["2024-01-01", "2024-01-02", "2024-01-05T03", "2024-01-09"], dtype="datetime64[us]")), "ds", ["no regular frequency", "freq="]),
    "no time at all": (daily().drop(columns="ds"), "ds", ["no such column", "time_col"]),
    "a misspelt target": (daily().rename(columns={"y": "Y"}), "y", ["no such column", "target_col"]),
    "two columns of one name": (pd.concat([daily(), daily()[["y"]]], axis=1), "y", ["2 columns"]),
    "a missing id": (daily(unique_id=["a"] * 5 + [None]), "unique_id", ["row 5", "id is missing"]),
    "a missing time": (daily(ds=[*pd.date_range("2024-01-01", periods=5), pd.NaT]), "ds", ["'a'", "row 5"]),
    "dates of day and month": (daily(ds=[f"{i}/03/2024" for i in range(1, 7)]), "ds", ["not ISO", "format="]),
    "half-readable dates": (daily(ds=["2024-03-01", "soon", "2024-03-03", "2024-03-04", "2024-03-05", "x"]), "ds", ["rows 1, 5", "'soon'"]),
    "mixed time zones": (
        daily(2, ds=np.array([pd.Timestamp("2024-01-01", tz="UTC"), pd.Timestamp("2024-01-02", tz="Asia/Tokyo")], dtype=object)),
        "ds", ["time zones", "utc=True"],
    ),
    "seconds since 1970 as floats": (daily(ds=np.arange(6) * 86400.0), "ds", ["float64", "unit='s'"]),
    "infinity": (daily(y=[1, 2, np.inf, 4, 5, -np.inf]), "y", ["infinite", "'a'", "rows 2, 5"]),
    "text with separators": (daily(y=["1,234"] * 6), "y", ["not numbers", "'1,234'", "row"]),
    "complex numbers": (daily(y=np.arange(6) * 1j), "y", ["complex128"]),
    "dates as target": (daily(y=pd.date_range("2024-01-01", periods=6)), "y", ["datetime64"]),
    "categories as target": (daily(y=pd.Categorical(list("abcabc"))), "y", ["category"]),
    "sparse numbers": (daily(y=pd.arrays.SparseArray(np.arange(6.0))), "y", ["Sparse"]),
    "lists in cells": (daily(y=[[1]] * 6), "y", ["not numbers", "[1]"]),
    "a series without any value": (pd.concat([daily(), daily(unique_id=["b"] * 6, y=[NAN] * 6)]), "y", ["no known value", "'b'"]),
    "a stamp in the year 9999": (daily(ds=[*pd.date_range("2024-01-01", periods=5).astype("datetime64[us]"), np.datetime64("9999-12-31", "us")]), "ds", ["jump", "9999-12-31"]),
    "no rows": (daily(0), "frame", ["no rows"]),
    "dates written as numbers": (daily(ds=[20240229 + i if i == 0 else 20240300 + i for i in range(6)]), "ds", ["20240229", "format='%Y%m%d'"]),
    "seconds since 1970": (daily(ds=1_709_251_200 + 86_400 * np.arange(6)), "ds", ["1709251200", "unit='s'"]),
    "milliseconds since 1970": (daily(ds=(1_709_251_200 + 86_400 * np.arange(6)) * 1000), "ds", ["unit='ms'"]),
    "nanoseconds since 1970": (daily(ds=(1_709_251_200 + 86_400 * np.arange(6)) * 10**9), "ds", ["unit='ns'"]),
    "weekly rows among daily ones": (
        pd.concat([daily(30, unique_id=["a"] * 30), daily(4, unique_id=["w"] * 4, ds=pd.date_range("2024-03-01", periods=4, freq="7D"))]),
        "ds", ["'w'", "7 steps", "one Forecaster for each frequency"],
    ),
    "a missing id among categories": (daily(unique_id=pd.Categorical([3, 3, 3, 3, 3, None])), "unique_id", ["row 5", "id is missing"]),
    "lists as ids": (daily(unique_id=[["a"]] * 6), "unique_id", ["['a']", "row"]),
    "arrow lists as ids": (daily(unique_id=pd.array([["a"]] * 6, dtype=pd.ArrowDtype(pa.list_(pa.string())))), "unique_id", ["['a']", "row"]),
    "a number beyond floats": (daily(y=np.array([1, 2, 10**400, 4, 5, 6], dtype=object)), "y", ["not numbers", "row 2"]),
    "complex numbers as objects": (daily(y=np.array([1, 2, np.complex128(3j), 4j, 5, 6], dtype=object)), "y", ["not numbers", "rows 2, 3"]),
    "a zone without a name": (daily(ds=pd.date_range("2024-03-01", periods=6, tz="dateutil/Europe/Paris")), "ds", ["Europe/Paris", "tz_convert"]),
    "arrow floats as time": (daily(ds=pd.array(np.arange(6) * 86400.0, dtype=pd.ArrowDtype(pa.float64()))), "ds", ["double", "unit='s'"]),
    "time beyond int64": (daily(ds=np.arange(6, dtype=np.uint64) + np.uint64(2**63)), "ds", ["too large"]),
    "time at the end of int64": (daily(ds=2**63 - 1 - np.arange(6)[::-1]), "ds", ["too large"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_named_with_column_place_and_remedy(case):
    frame, column, pieces = BAD[case]
    before = frame.copy(deep=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForecastWarning)
        with pytest.raises(DataError) as caught:
            to_panel(frame)
    message = str(caught.value)
    assert message.startswith(f"{column}: ")
    assert all(piece in message for piece in pieces), message
    assert caught.value.report[0].remedy
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("freq", "stamps", "hint"),
    [
        ("ME", pd.date_range("2024-01-01", periods=6, freq="MS"), "freq='MS'"),
        ("W", pd.date_range("2024-01-01", periods=6, freq="W-MON"), "freq='W-MON'"),
        ("h", pd.date_range("2024-01-01", periods=6, freq="D"), "24 steps"),
        ("2D", pd.date_range("2024-01-01", periods=6, freq="D"), "freq='D'"),
        ("MS", pd.date_range("2024-01-15", periods=6, freq="31D"), "off the grid"),
    ],
)
def test_a_frequency_that_the_data_contradict_is_refused_with_the_right_one(freq, stamps, hint):
    with pytest.raises(DataError, match="ds: ") as caught:
        to_panel(daily(ds=stamps), freq=freq)
    assert hint in str(caught.value)


def test_every_fault_of_every_series_is_reported_at_once():
    frames = [daily(unique_id=[f"s{i}"] * 6, y=[1, 2, 3, 4, 5, np.inf]) for i in range(12)]
    with pytest.raises(DataError) as caught:
        to_panel(pd.concat(frames, ignore_index=True))
    assert len(caught.value.report) == 12
    assert "12 faults" in str(caught.value)
    assert "and 2 more: see the exception's .report" in str(caught.value)


def test_bad_series_are_left_out_with_a_warning_when_asked():
    frame = pd.concat([daily(), daily(unique_id=["b"] * 6, y=[np.inf] * 6)], ignore_index=True)
    with pytest.warns(ForecastWarning, match="1 of 2 series left out.*'b'"):
        assert to_panel(frame, Schema(on_bad_series="skip")).ids.tolist() == ["a"]


def test_nothing_is_left_out_when_every_series_is_bad():
    with pytest.raises(DataError, match="infinite"):
        to_panel(daily(y=[np.inf] * 6), Schema(on_bad_series="skip"))


def test_the_strict_policy_names_gaps_and_unknown_values():
    with pytest.raises(DataError, match="rows are missing before 2024-03-04"):
        to_panel(daily().drop(index=2), Schema(missing="raise"))
    with pytest.raises(DataError, match="missing values"):
        to_panel(daily(y=[1, NAN, 3, 4, 5, 6]), Schema(missing="raise"))


def test_a_hostile_id_cannot_break_out_of_its_message():
    name = "x\nERROR root: all gone\x1b[2J" + "A" * 500
    with pytest.raises(DataError) as caught:
        to_panel(daily(unique_id=[name] * 6, y=[np.inf] * 6))
    message = str(caught.value)
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < 400


@pytest.mark.parametrize("thing", [3, None, {"a": 1}, object()])
def test_what_is_no_frame_is_refused_by_its_type(thing):
    with pytest.raises(ConfigError, match=type(thing).__name__):
        to_panel(thing)


def test_a_truncated_parquet_file_is_named_with_its_size(frame, tmp_path):
    path = tmp_path / "cut.parquet"
    frame.to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cut.parquet.*bytes"):
        to_panel(path)


def test_a_missing_file_and_an_unknown_ending_are_named(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        to_panel(tmp_path / "no.csv")
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(ConfigError, match="parquet"):
        to_panel(tmp_path / "a.xlsx")


def test_roles_and_policies_are_checked():
    with pytest.raises(ConfigError, match="three different"):
        Schema(id_col="y")
    with pytest.raises(ConfigError, match="missing='guess'"):
        Schema(missing="guess")


def test_the_frame_given_is_unchanged(frame):
    before = frame.copy(deep=True)
    to_panel(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_very_unequal_lengths_work():
    frame = pd.concat(
        [
            seasonal_frame(1, 3),
            seasonal_frame(1, 3000, freq="D").assign(
                unique_id="long", ds=pd.date_range("1800-01-01", periods=3000, freq="MS")
            ),
        ]
    )
    assert to_panel(frame).lengths.tolist() == [3, 3000]


def test_a_signalling_nan_is_named():  # apart, because pandas cannot compare frames that hold one
    with pytest.raises(DataError, match="y: not numbers: Decimal.'sNaN'.* row 1"):
        to_panel(daily(y=np.array([Decimal(1), Decimal("sNaN"), 3, 4, 5, 6], dtype=object)))


def test_dates_written_as_numbers_get_the_same_advice_whatever_the_frequency():
    with pytest.raises(DataError, match="format='%Y%m%d'"):
        to_panel(daily(ds=range(20240301, 20240307)), freq="D")


def test_every_series_of_another_frequency_is_named():
    week = pd.date_range("2024-03-01", periods=5, freq="7D")
    frames = [daily(60, unique_id=["a"] * 60), *(daily(5, unique_id=[name] * 5, ds=week) for name in "vw")]
    with pytest.raises(DataError) as caught:
        to_panel(pd.concat(frames))
    assert [fault.series for fault in caught.value.report] == ["v", "w"]


def test_only_the_coarser_series_are_named_however_many_they_are():
    week = pd.date_range("2024-03-01", periods=20, freq="7D")
    frames = [daily(6), *(daily(20, unique_id=[name] * 20, ds=week) for name in "vw")]
    with pytest.raises(DataError) as caught:
        to_panel(pd.concat(frames), freq="D")
    assert [fault.series for fault in caught.value.report] == ["v", "w"]


def test_a_series_with_some_gaps_is_of_the_common_frequency():
    assert len(to_panel(pd.concat([daily(30), daily(unique_id=["b"] * 6).drop(index=[1, 3])]))) == 2


CSV_FAULTS = {
    "a blank id": ("unique_id,ds,y\na,2024-01-01,1\n,2024-01-02,2\na,2024-01-03,3\n", "unique_id: the id is missing"),
    "two columns of one name": ("unique_id,ds,y,y\na,2024-01-01,1,2\na,2024-01-02,1,2\n", "y: 2 columns have this name"),
    "a cut last row": ("unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\na,2024-0", r"t\.csv', line 4: 2 of 3 fields"),
    "offsets across the clock change": (
        "unique_id,ds,y\na,2024-03-30T00:00:00+01:00,1\na,2024-04-01T00:00:00+02:00,2\n", "ds: .*utc=True",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CSV_FAULTS)
def test_a_faulty_csv_is_named_for_what_it_is(case, tmp_path):
    text, message = CSV_FAULTS[case]
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        to_panel(tmp_path / "t.csv")


def test_a_csv_with_unknown_values_at_the_end_of_its_rows_is_whole(tmp_path):
    (tmp_path / "t.csv").write_text("unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,\na,2024-01-03,3\n\n")
    np.testing.assert_array_equal(to_panel(tmp_path / "t.csv").values, [1, NAN, 3])


def test_a_truncated_gzip_is_named_with_its_size(tmp_path):
    path = tmp_path / "cut.csv.gz"
    daily(500, unique_id=["a"] * 500, y=np.random.default_rng(0).random(500)).to_csv(path, index=False)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"cut.csv.gz.*bytes"):
        to_panel(path)


@pytest.mark.parametrize("roles", [{"target_col": 5}, {"target_col": ["y"]}, {"id_col": None}])
def test_a_role_that_is_no_name_is_refused(roles):
    with pytest.raises(ConfigError, match="names of columns"):
        Schema(**roles)


def test_integer_ids_at_the_ends_of_their_range_stay_exact():
    for name in (2**63 - 1, -(2**63), 2**64 - 1):
        assert to_panel(daily(unique_id=[name] * 6)).ids.tolist() == [name]


@pytest.mark.parametrize(("start", "freq"), [("2024-03-28", None), ("2024-03-28", "D"), ("2024-03-31", None)])
def test_a_time_of_day_that_the_clock_skips_stays_on_the_daily_grid(start, freq):
    wall = pd.date_range(f"{start} 02:30", periods=6)
    stamps = wall.tz_localize("Europe/Berlin", nonexistent="shift_forward")
    panel = to_panel(daily(ds=stamps), freq=freq)
    assert panel.timeline.freq == "D"
    assert panel.stamps().tolist() == wall.as_unit("us").to_numpy().tolist()


def test_a_wrong_time_of_day_in_a_zone_is_still_refused():
    stamps = pd.date_range("2024-03-28 02:30", periods=6, tz="Europe/Berlin", nonexistent="shift_forward").to_series()
    stamps.iloc[2] += pd.Timedelta("30min")
    with pytest.raises(DataError, match="off the grid"):
        to_panel(daily(ds=stamps.array), freq="D")


@pytest.mark.parametrize(
    "column", [{"ds": ["2024-03-01", "soon", *(f"2024-03-0{i}" for i in range(3, 7))]}, {"y": [1, "two", 3, 4, 5, 6]}]
)
def test_a_series_with_one_unreadable_cell_is_left_out_when_asked(column):
    good = daily(ds=[f"2024-03-0{i}" for i in range(1, 7)]).astype({"y": object})
    frame = pd.concat([good, good.assign(unique_id="b", **column)], ignore_index=True)
    with pytest.warns(ForecastWarning) as caught:
        assert to_panel(frame, Schema(on_bad_series="skip")).ids.tolist() == ["a"]
    assert any("1 of 2 series left out" in str(w.message) and "'b'" in str(w.message) for w in caught)


@pytest.mark.parametrize(("how", "expected"), [("first", [1, 2, NAN]), ("last", [4, 2, NAN])])
@pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")
def test_the_first_and_last_of_duplicates_are_known_values(how, expected):
    stamps = pd.date_range("2024-03-01", periods=3)
    frame = daily(7, ds=stamps[[0, 0, 0, 1, 1, 2, 2]], y=[1.0, 4.0, NAN, NAN, 2.0, NAN, NAN], unique_id=["a"] * 7)
    np.testing.assert_array_equal(to_panel(frame, Schema(duplicates=how), "D").values, expected)


@pytest.mark.parametrize(
    ("freq", "last"), [("M", "2024-06-30"), ("Q", "2025-06-30"), ("W", "2024-02-11"), ("MS", "2024-06-01"), ("D", None)]
)
def test_periods_may_be_given_their_own_frequency(freq, last):
    periods = pd.period_range("2024-01-01", periods=6, freq="M" if freq == "MS" else freq)
    panel = to_panel(daily(ds=periods), freq=freq)
    assert str(panel.stamps()[-1])[:10] == (last or "2024-01-06")


def test_finding_the_series_of_many_faulty_rows_takes_time_in_proportion():
    count = 40_000
    faults = (Fault("y", "the value is infinite", "Mend it.", None, tuple(range(count))),)
    started = time.perf_counter()
    split = with_series(faults, np.arange(count) // 2, pd.RangeIndex(count // 2))
    assert time.perf_counter() - started < 3
    assert (len(split), split[1].series, split[1].rows) == (count // 2, 1, (2, 3))
