"""Every way in which times reach us, by the numbers of the catalogue of inputs: works, works with a warning, or is
refused with column, series, rows and remedy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecast import ConfigError, CustomBusiness, DataError, Forecaster, ForecastError, ForecastWarning

BERLIN = "Europe/Berlin"


def rows(ds: Any, name: Any = "A7", **columns: Any) -> pd.DataFrame:
    """One series with a row for each time."""
    ds = ds if isinstance(ds, pd.Series) else pd.Series(ds)
    return pd.DataFrame(
        {"unique_id": name, "ds": ds.to_numpy() if ds.dtype == object else ds.array, "y": 1.0, **columns}
    )


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


def stamps(start: str, periods: int, freq: Any, **options: Any) -> pd.DatetimeIndex:
    return pd.date_range(start, periods=periods, freq=freq, **options)


@dataclass(frozen=True)
class Case:
    """An input and what must come of it.

    Attributes:
        number: in the catalogue.
        make: the frame.
        then: the stamps of the next steps, first series, where it works.
        says: pieces of the warning, where it works with one.
        refused: pieces of the message, where it does not.
        options: of the Forecaster.
        predict: what to predict, by default the history.
    """

    number: int
    make: Callable[[], pd.DataFrame]
    then: Any = None
    says: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    options: dict[str, Any] | None = None
    predict: Callable[[], pd.DataFrame] | None = None


def works(number: int, make: Callable[[], pd.DataFrame], then: Any, says: tuple[str, ...] = (), **options: Any) -> Case:
    return Case(number, make, then, says, options=options)


def refused(number: int, make: Callable[[], pd.DataFrame], *pieces: str, **options: Any) -> Case:
    return Case(number, make, refused=pieces, options=options)


DAYS = stamps("2024-03-01", 30, "D")
HOLIDAYS = ("2024-05-01", "2024-05-09")
TRADING = stamps("2024-04-15", 25, pd.offsets.CustomBusinessDay(holidays=list(HOLIDAYS)))
AUTUMN = stamps("2024-10-26", 60, "h", tz=BERLIN)

CASES = {
    "gaps are unknown values": works(6, lambda: rows(DAYS.delete([4, 5, 11])), ["2024-03-31", "2024-04-01"]),
    "gaps are refused when asked": refused(
        6, lambda: rows(DAYS.delete([4, 5])), "ds: rows are missing before 2024-03-07", "'A7' at row 4", "missing='mask'",
        missing="raise",
    ),
    "irregular stamps": refused(
        7, lambda: rows(DAYS[[0, 1, 4, 6]] + pd.to_timedelta([0, 0, 3, 0], "h")), "ds: no regular frequency", "freq="
    ),
    "trading days by the month's first": refused(
        7, lambda: rows([*DAYS[[0, 3]], DAYS[4] + pd.Timedelta("6h"), *DAYS[[5, 6]]]), "ds: no regular", "number the rows with integers"
    ),
    "several frequencies": refused(
        8, lambda: together(rows(DAYS), rows(stamps("2024-03-01", 5, "7D"), "W8")),
        "ds: ", "7 steps apart", "'W8'", "one Forecaster for each frequency", "freq='each'",
    ),
    "several frequencies when asked for": works(
        8, lambda: together(rows(DAYS), rows(stamps("2024-03-01", 5, "7D"), "W8")), ["2024-03-31", "2024-04-01"], freq="each"
    ),
    "month starts called month ends": refused(
        9, lambda: rows(stamps("2024-01-01", 6, "MS")), "ds: times off the grid of freq='ME'", "'A7' at rows 0, 1", "freq='MS'", freq="ME"
    ),
    "Mondays called Sundays": refused(
        9, lambda: rows(stamps("2024-01-01", 6, "W-MON")), "ds: ", "'W-SUN'", "'A7' at rows 0", "freq='W-MON'", freq="W"
    ),
    "months from the 31st": works(
        10, lambda: rows(pd.to_datetime(["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"])), ["2024-05-31", "2024-06-30"]
    ),
    "months from the 30th": works(
        10, lambda: rows(pd.to_datetime(["2023-12-30", "2024-01-30", "2024-02-29", "2024-03-30"])), ["2024-04-30", "2024-05-30"]
    ),
    "months from the 15th": works(11, lambda: rows(stamps("2024-01-01", 6, "MS") + pd.Timedelta("14D")), ["2024-07-15", "2024-08-15"]),
    "months from the 15th, named": works(
        11, lambda: rows(stamps("2024-01-01", 6, "MS") + pd.Timedelta("14D")), ["2024-07-15", "2024-08-15"], freq="MS-15"
    ),
    "months from the 15th with one on the 16th": refused(
        11, lambda: rows([*(stamps("2024-01-01", 5, "MS") + pd.Timedelta("14D")), pd.Timestamp("2024-06-16")]),
        "ds: times off the grid of freq='MS-15' (first 2024-06-16", "'A7' at row 5", freq="MS-15",
    ),
    **{
        f"the old alias {old}": works(12, lambda new=new: rows(stamps("2024-01-31", 9, new)[:6]), None, freq=old)
        for old, new in {"M": "ME", "H": "h", "Y": "YE", "Q": "QE", "A": "YE", "T": "min", "S": "s"}.items()
    },
    "business days": works(13, lambda: rows(stamps("2024-03-01", 20, "B")), ["2024-03-29", "2024-04-01"]),
    "holidays among business days": works(13, lambda: rows(TRADING), ["2024-05-22", "2024-05-23"], freq="B"),
    "business days with holidays": works(
        13, lambda: rows(TRADING[:12]), ["2024-05-02", "2024-05-03"], freq=CustomBusiness(holidays=HOLIDAYS)
    ),
    "business days with holidays of pandas": works(
        13, lambda: rows(TRADING[:12]), ["2024-05-02", "2024-05-03"], freq=pd.offsets.CustomBusinessDay(holidays=list(HOLIDAYS))
    ),
    "a row on a holiday": refused(
        13, lambda: rows(stamps("2024-04-29", 4, "B")), "ds: times off the grid of freq=CustomBusiness(", "2024-05-01", "'A7' at row 2",
        freq=CustomBusiness(holidays=HOLIDAYS),
    ),
    "business days without the days": refused(13, lambda: rows(TRADING), "freq='C'", "CustomBusiness(holidays=", freq="C"),
    "hours over the end of summer time": works(14, lambda: rows(AUTUMN[:25]), AUTUMN[25:27]),
    "hours over the start of summer time": works(
        14, lambda: rows(stamps("2024-03-30", 25, "h", tz=BERLIN)), stamps("2024-03-31 01:00", 2, "h", tz=BERLIN)
    ),
    "days over the change of clocks": works(
        15, lambda: rows(stamps("2024-03-25", 6, "D", tz=BERLIN)), stamps("2024-03-31", 2, "D", tz=BERLIN)
    ),
    "24 hours over the change of clocks": works(
        15, lambda: rows(stamps("2024-03-25", 6, "24h", tz=BERLIN)), stamps("2024-03-31", 2, "24h", tz=BERLIN), freq="24h"
    ),
    "24 hours that began before the change of clocks": works(
        15, lambda: rows(stamps("2024-03-29", 6, "24h", tz=BERLIN)), stamps("2024-03-29", 8, "24h", tz=BERLIN)[6:]
    ),
    "24 hours called days": refused(
        15, lambda: rows(stamps("2024-03-29", 6, "24h", tz=BERLIN)), "ds: times off", "'A7' at rows 3, 4, 5", "freq='24h'", freq="D"
    ),
    "a local hour twice": refused(
        16, lambda: rows(AUTUMN.tz_localize(None)), "ds: duplicate times (first 2024-10-27T02:00", "'A7' at rows 26, 27",
        "clock went back", ".dt.tz_localize(", "ambiguous='infer'",
    ),
    "zones that differ from row to row": refused(
        17, lambda: rows(pd.Series([DAYS[0].tz_localize("UTC"), DAYS[1].tz_localize("Asia/Tokyo")], dtype=object)),
        "ds: times are in several time zones", "utc=True",
    ),
    "new rows in a zone after a history without": Case(
        18, lambda: rows(DAYS), refused=("ds: the new times are in time zone UTC, the history is without", "tz_localize"),
        predict=lambda: rows(DAYS.tz_localize("UTC")),
    ),
    "a future time that no clock shows": works(
        19, lambda: rows(stamps("2024-03-25 02:30", 6, "D", tz=BERLIN)),
        pd.DatetimeIndex(["2024-03-31 03:00", "2024-04-01 02:30"]).tz_localize(BERLIN),
        ("2024-03-31T02:30", "do not exist in Europe/Berlin"),
    ),
    "ISO texts": works(20, lambda: rows([str(day)[:10] for day in DAYS]), ["2024-03-31", "2024-04-01"], ("read as ISO dates",)),
    "day or month first": refused(21, lambda: rows(["01/02/2024", "02/02/2024"]), "ds: not ISO dates: '01/02/2024'", "'A7' at rows 0, 1", "format="),
    "texts of which some are no dates": refused(
        22, lambda: rows([*(str(day)[:10] for day in DAYS[:3]), "soon"]), "ds: not ISO dates: 'soon'", "'A7' at row 3", "format="
    ),
    "a missing time": refused(23, lambda: rows([*DAYS[:3], pd.NaT]), "ds: the time is missing", "'A7' at row 3", "Fill in the time or drop"),
    "whole numbers": works(24, lambda: rows(range(1, 9)), [9, 10]),
    "whole numbers in fives, with a hole": works(25, lambda: rows([0, 5, 10, 20]), [25, 30]),
    "whole numbers of no step": refused(25, lambda: rows([0, 5, 10, 12]), "ds: no regular frequency fits the times", "5 × 2", "int step"),
    "whole numbers off their step": refused(25, lambda: rows([0, 5, 10, 12]), "ds: ", "'A7' at row 3", "freq", freq=5),
    "seconds since 1970": refused(26, lambda: rows(1.7e9 + 3600 * np.arange(5)), "ds: times have dtype float64", "unit='s'"),
    "whole seconds since 1970": refused(26, lambda: rows(1_700_000_000 + 3600 * np.arange(5)), "ds: whole numbers that look like dates", "unit='s'"),
    "periods": works(27, lambda: rows(pd.period_range("2024-01", periods=6, freq="M")), ["2024-07-01", "2024-08-01"]),
    "periods that end": works(27, lambda: rows(pd.period_range("2024-01", periods=6, freq="M")), ["2024-07-31", "2024-08-31"], freq="ME"),
    **{
        f"stamps in {unit}": works(28, lambda unit=unit: rows(DAYS.as_unit(unit)), ["2024-03-31", "2024-04-01"])
        for unit in ("s", "ms", "us", "ns")
    },
    "stamps finer than a microsecond": refused(
        28, lambda: rows(stamps("2024-01-01", 3, "100ns")), "ds: times finer than a microsecond", "'A7' at rows 1, 2", "round("
    ),
    "the year 1500": works(29, lambda: rows(np.array(["1500-01-01", "1500-01-02"], "M8[us]")), np.array(["1500-01-03", "1500-01-04"], "M8[us]")),
    "the year 3000": works(29, lambda: rows(np.array(["3000-01-01", "3000-01-02"], "M8[us]")), np.array(["3000-01-03", "3000-01-04"], "M8[us]")),
    "a stamp that stands for never": refused(
        29, lambda: rows(np.append(DAYS.to_numpy("M8[us]"), np.datetime64("9999-12-31", "us"))),
        "ds: a jump of more than 50 steps of freq='D' to 9999-12-31", "'A7' at row 30", "Mend the wrong stamp",
    ),
    "a horizon beyond the year 9999": refused(
        30, lambda: rows(np.array(["9999-12-30", "9999-12-31"], "M8[us]")), "past the year 9999", "smaller h"
    ),
    "5000 rows a second": works(
        31, lambda: rows(stamps("2024-01-01", 9, "200us")), np.array(["2024-01-01T00:00:00.001800", "2024-01-01T00:00:00.002000"], "M8[us]")
    ),
    "series that start and end apart": works(
        31, lambda: together(rows(DAYS[:9]), rows(DAYS[5:], "B1")), ["2024-03-10", "2024-03-11"]
    ),
}  # fmt: skip


def forecast(case: Case, frame: pd.DataFrame) -> pd.DataFrame:
    fitted = Forecaster("naive", h=2, progress=False, **(case.options or {})).fit(frame)
    return fitted.predict(None if case.predict is None else case.predict())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.refused])
def test_these_times_are_read_and_go_on_as_the_calendar_does(name):
    case = CASES[name]
    frame = case.make()
    before = frame.copy(deep=True)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = forecast(case, frame)
    texts = [str(one.message) for one in told]
    assert len(texts) == bool(case.says), texts
    assert all(issubclass(one.category, ForecastWarning) for one in told)
    assert all(piece in texts[0] for piece in case.says), texts
    pd.testing.assert_frame_equal(frame, before)
    assert result["naive"].notna().all()
    if case.then is not None:
        expected = pd.Series(
            case.then if not isinstance(case.then, list) or isinstance(case.then[0], int) else pd.to_datetime(case.then)
        )
        pd.testing.assert_series_equal(
            result["ds"].iloc[:2].reset_index(drop=True), expected, check_names=False, check_dtype=False
        )


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.refused])
def test_these_times_are_refused_with_the_place_and_the_way_out(name):
    case = CASES[name]
    frame = case.make()
    before = frame.copy(deep=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForecastWarning)
        with pytest.raises((DataError, ConfigError)) as caught:
            forecast(case, frame)
    message = str(caught.value)
    assert all(piece in message for piece in case.refused), message
    if isinstance(caught.value, DataError):
        assert all(fault.remedy for fault in caught.value.report)
    pd.testing.assert_frame_equal(frame, before)


def test_every_row_of_the_catalogue_is_here():
    assert {case.number for case in CASES.values()} == set(range(6, 32))


@pytest.mark.parametrize("old", ["M", "H", "Y", "Q", "A"])
def test_an_old_alias_gives_the_stamps_of_the_new(old):
    new = {"M": "ME", "H": "h", "Y": "YE", "Q": "QE", "A": "YE"}[old]
    every = stamps("2020-01-31", 8, new)
    result = Forecaster("naive", h=2, freq=old, progress=False).fit(rows(every[:6])).predict()
    assert result["ds"].tolist() == every[6:].tolist()


def test_repeats_that_are_no_change_of_clocks_get_no_advice_about_clocks():
    hours = stamps("2024-10-26", 60, "h")
    twice = together(rows(hours), rows(hours[[30]]))  # a Sunday morning, but at six
    with pytest.raises(DataError) as caught:
        Forecaster("naive", progress=False).fit(twice)
    assert "clock" not in str(caught.value)


def test_the_advice_about_the_repeated_hour_works():
    local = together(*(rows(AUTUMN.tz_localize(None), name, y=np.arange(60.0)) for name in ("a", "b")))
    zoned = local.assign(ds=local["ds"].dt.tz_localize(BERLIN, ambiguous="infer"))
    result = Forecaster("naive", h=2, progress=False).fit(zoned).predict()
    assert result["ds"].tolist() == [*(stamps("2024-10-26", 62, "h", tz=BERLIN)[60:])] * 2


def test_days_of_utc_shown_in_another_zone_are_24_hours_apart_and_months_of_utc_are_refused_with_the_way_out():
    days = stamps("2024-03-25", 12, "D", tz="UTC")
    result = Forecaster("naive", h=2, progress=False).fit(rows(days[:10].tz_convert(BERLIN))).predict()
    assert result["ds"].tolist() == days[10:].tz_convert(BERLIN).tolist()
    months = stamps("2024-01-01", 12, "MS", tz="UTC").tz_convert(BERLIN)
    with pytest.raises(ForecastError, match=r"\.dt\.tz_convert\('UTC'\)"):
        Forecaster("naive", progress=False).fit(rows(months))
