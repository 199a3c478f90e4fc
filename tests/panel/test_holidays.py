"""Holidays: dates that everybody can look up, counts, distances, places and what is said of unknown ones."""

from __future__ import annotations

import datetime
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import ConfigError, ForecastWarning
from forecast.panel.covariates import Covariates
from forecast.panel.holiday_features import holiday_features, holiday_features_of
from forecast.panel.holidays import Place, find_place, holidays_of
from forecast.timeline import Timeline, fit_timeline


def grid(freq: str, tz: str | None = None) -> Timeline:
    return fit_timeline(freq, np.array(["2019-01-01"], dtype="datetime64[us]"), tz)


def at(timeline: Timeline, start: str, count: int) -> np.ndarray:
    first, _ = timeline.ordinals(np.array([start], dtype="datetime64[us]"))
    return first[0] + np.arange(count)


def cells(covariates: Covariates) -> dict[str, list]:
    found = {}
    for column in covariates.columns:
        name = column.name.removeprefix("calendar.")
        if hasattr(column, "values"):
            found[name] = column.values.tolist()
        else:
            found[name] = [column.labels[code] if code >= 0 else None for code in column.codes]
    return found


def fourth_thursday(year: int) -> datetime.date:
    first = datetime.date(year, 11, 1)
    return first + datetime.timedelta((3 - first.weekday()) % 7 + 21)


def easter(year: int) -> datetime.date:
    """Gauss' rule for the Gregorian calendar, after Meeus and Jones."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return datetime.date(year, month, day + 1)


@pytest.mark.parametrize("year", range(1995, 2040))
def test_holidays_lie_where_their_rules_put_them(year):
    def days(name: str) -> dict[datetime.date, str]:
        found = holidays_of(find_place(name), year, year)
        return dict(zip(found.days.astype("datetime64[D]").tolist(), found.names, strict=True))

    assert days("DE")[datetime.date(year, 10, 3)] == "German Unity Day"
    assert days("DE")[easter(year) - datetime.timedelta(2)] == "Good Friday"
    assert days("US")[fourth_thursday(year)] == "Thanksgiving Day"
    assert datetime.date(year, 1, 6) in days("DE-BY") and datetime.date(year, 1, 6) not in days("DE")


def test_days_tell_the_way_to_the_next_and_from_the_last_holiday():
    timeline = grid("D")
    got = cells(holiday_features(timeline, at(timeline, "2023-09-25", 18), find_place("DE")))
    assert got["holiday"] == [0.0] * 8 + [1.0] + [0.0] * 9
    np.testing.assert_allclose(np.array(got["to_holiday"]) * 7, [7, 7, 6, 5, 4, 3, 2, 1, 0] + [7] * 9)
    np.testing.assert_allclose(np.array(got["since_holiday"]) * 7, [7] * 8 + [0, 1, 2, 3, 4, 5, 6, 7, 7, 7])
    assert got["holiday_name"] == ["none"] * 8 + ["German Unity Day"] + ["none"] * 9


def test_the_turn_of_the_year_looks_across_it():
    timeline = grid("D")
    got = cells(holiday_features(timeline, at(timeline, "2023-12-30", 2), find_place("DE")))
    np.testing.assert_allclose(np.array(got["to_holiday"]) * 7, [2, 1])
    np.testing.assert_allclose(np.array(got["since_holiday"]) * 7, [4, 5])


def test_hours_of_a_holiday_are_those_of_the_local_day():
    timeline = grid("h", "Europe/Berlin")
    got = cells(holiday_features(timeline, at(timeline, "2023-10-02T21:00", 26), find_place("DE")))
    assert got["holiday"] == [0.0] + [1.0] * 24 + [0.0]  # from 22:00 UTC to 22:00 UTC
    march = cells(holiday_features(timeline, at(timeline, "2024-03-30T22:00", 26), find_place("DE-BB")))
    assert march["holiday"] == [0.0] + [1.0] * 25  # Easter Sunday has 23 hours, then comes Easter Monday


@pytest.mark.parametrize(
    ("freq", "start", "expected"),
    [
        # Germany 2024: 1 January, 29 March, 1 April, 1, 9 and 20 May, 3 October, 25 and 26 December
        ("MS", "2024-01-01", [1, 0, 1, 1, 3, 0, 0, 0, 0, 1, 0, 2]),
        ("ME", "2024-01-31", [1, 0, 1, 1, 3, 0, 0, 0, 0, 1, 0, 2]),
        ("QS-JAN", "2024-01-01", [2, 4, 0, 3]),
        ("QE-DEC", "2024-03-31", [2, 4, 0, 3]),
        ("YS-JAN", "2024-01-01", [9]),
        ("W-SUN", "2024-03-31", [1, 1]),  # Good Friday is in the week that ends on the 31st, Easter Monday in the next
        ("W-MON", "2024-04-01", [2]),
    ],
)
def test_longer_steps_count_their_holidays(freq, start, expected):
    timeline = grid(freq)
    got = cells(holiday_features(timeline, at(timeline, start, len(expected)), find_place("DE")))
    assert got == {"holidays": expected}


@given(st.sampled_from(["D", "h", "B", "W-SUN", "MS", "QE-DEC", "2D"]), st.integers(0, 900), st.integers(1, 40))
def test_many_short_calls_give_what_one_long_call_gives(freq, start, count):
    timeline = grid(freq)
    ordinals = at(timeline, "2019-01-01", count) + start % 100
    long = cells(holiday_features(timeline, ordinals, find_place("US")))
    short = [cells(holiday_features(timeline, ordinals[[k]], find_place("US"))) for k in range(count)]
    assert long == {name: [one[name][0] for one in short] for name in long}


def test_counts_of_months_add_up_to_the_days():
    daily, monthly = grid("D"), grid("MS")
    days = cells(holiday_features(daily, at(daily, "2020-01-01", 366), find_place("JP")))["holiday"]
    months = cells(holiday_features(monthly, at(monthly, "2020-01-01", 12), find_place("JP")))["holidays"]
    assert sum(days) == sum(months) > 10


def test_rows_of_many_places_get_the_holidays_of_their_own():
    timeline = grid("D")
    ordinals = at(timeline, "2023-10-01", 60)
    places = [find_place("DE"), find_place("US")]
    rows, of = np.array([2, 2, 2, 53, 53]), np.array([0, 1, -1, 1, 0])  # 3 October and 23 November
    got = cells(holiday_features_of(timeline, ordinals, rows, places, of))
    assert got["holiday_name"] == ["German Unity Day", "none", None, "Thanksgiving Day", "none"]
    np.testing.assert_array_equal(got["holiday"], [1, 0, np.nan, 1, 0])
    alone = cells(holiday_features_of(timeline, ordinals, rows[:1], [places[0]], np.array([0])))
    assert alone["to_holiday"] == got["to_holiday"][:1]  # what others there are does not matter
    nowhere = cells(holiday_features_of(timeline, ordinals, rows, [], np.full(5, -1)))
    assert list(nowhere) == list(got) and nowhere["holiday_name"] == [None] * 5


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("DE", Place("DE")),
        ("deu", Place("DE")),
        (" Germany ", Place("DE")),
        ("United States", Place("US")),
        ("Guinea-Bissau", Place("GW")),
        ("DE-BY", Place("DE", "BY")),
        ("de-bayern", Place("DE", "BY")),
        ("XNYS", Place("XNYS")),
        ("NYSE", Place("XNYS")),
    ],
)
def test_places_go_by_their_codes_and_names(name, place):
    assert find_place(name) == place


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Germny", "Did you mean 'Germany'"),
        ("XNYX", "'XNYS'"),
        ("DE-XX", "DE has no subdivision 'XX'. It has 'Augsburg', 'BB'"),
        ("US-Calfornia", "'california'"),
        ("", "Give a country's code such as 'DE'"),
    ],
)
def test_unknown_places_are_refused_with_near_ones(name, hint):
    with pytest.raises(ConfigError) as caught:
        find_place(name)
    assert repr(name) in str(caught.value) and hint in str(caught.value)


def test_a_feast_by_the_moon_keeps_its_name_when_it_is_only_expected():
    names = holidays_of(find_place("EG"), 2015, 2035).names
    assert "Eid al-Fitr" in names and not any("estimated" in name for name in names)


def test_years_without_known_holidays_are_told():
    timeline = grid("D")
    with pytest.warns(ForecastWarning, match=r"holidays of DE are known from 1991 to 2100 only.*from 1980 to 1980"):
        got = cells(holiday_features(timeline, at(timeline, "1980-12-20", 10), find_place("DE")))
    assert set(got["holiday"]) == {0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        holiday_features(timeline, at(timeline, "1991-01-01", 3), find_place("DE"))


@pytest.mark.parametrize("language", ["de_DE", "uk_UA", "C"])
def test_names_do_not_depend_on_the_language_of_the_machine(language, monkeypatch):
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(variable, language)
    assert "German Unity Day" in holidays_of.__wrapped__(find_place("DE"), 2024, 2024).names
