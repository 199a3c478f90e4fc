"""Calendar, holidays and functions of time from front door to saved model: they reach the nets and nothing else."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast import Forecaster, Training
from forecast.errors import ConfigError, DataError
from forecast.ingest.door import to_panel
from forecast.models import LSTM
from forecast.panel.calendar import Calendar, with_calendar
from forecast.panel.calendar_features import calendar_features
from forecast.schema import Schema

H = 4
NET = LSTM(input_size=14, hidden_size=8)


def daily(series: int = 2, length: int = 90, tz: str | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frames = [
        pd.DataFrame(
            {
                "unique_id": f"s{number}",
                "ds": pd.date_range("2023-08-01", periods=length - number, freq="D", tz=tz),
                "y": 10.0 + rng.normal(size=length - number),
                "country": ("DE", "US")[number % 2],
            }
        )
        for number in range(series)
    ]
    return pd.concat(frames, ignore_index=True)


def first_days(times: pd.DatetimeIndex) -> np.ndarray:
    return np.where(times.day == 1, "first", "other")


@pytest.fixture(scope="module")
def steps() -> Training:
    return Training(max_steps=2, batch_size=8, cycles=1, validations=1)


@pytest.fixture(scope="module")
def fitted(steps) -> Forecaster:
    options = {"calendar": "auto", "holidays_col": "country", "time_features": {"payday": first_days}}
    forecaster = Forecaster(NET, h=H, freq="D", training=steps, progress=False, stat_exog=["country"], **options)
    return forecaster.fit(daily())


def columns_of(schema: Schema, frame: pd.DataFrame, h: int = H, functions=None) -> dict[str, np.ndarray]:
    panel = with_calendar(to_panel(frame, schema, "D"), h, functions)
    return {c.name: getattr(c, "values", getattr(c, "codes", None)) for c in panel.futr.covariates.columns}


def test_a_panel_gets_its_columns_for_every_row_and_the_horizon():
    schema = Schema(calendar="auto")
    panel = to_panel(daily(), schema, "D")
    seen = with_calendar(panel, H)
    assert panel.futr is None  # the panel itself stays as it was
    assert seen.futr.first.tolist() == panel.first.tolist()
    assert seen.futr.last.tolist() == (panel.last + H).tolist()
    one = calendar_features(panel.timeline, panel.first[1] + np.arange(panel.lengths[1] + H))
    for column in one:
        got = seen.futr.covariates.column(column.name).values[seen.futr.offsets[1] :]
        assert np.array_equal(got, column.values)


def test_columns_of_time_lie_beside_those_of_the_user():
    schema = Schema(calendar=("weekend",), futr_exog=("promo",))
    frame = daily().assign(promo=1.0)
    seen = with_calendar(to_panel(frame, schema, "D"), H)
    promo, weekend = (seen.futr.covariates.column(name).values for name in ("promo", "calendar.weekend"))
    ends = seen.futr.offsets[1:]
    assert np.isnan(promo[ends[0] - H : ends[0]]).all() and np.isfinite(promo[: ends[0] - H]).all()
    assert np.isfinite(weekend).all()


def test_holidays_follow_the_country_of_each_series():
    frame = daily()
    panel = with_calendar(to_panel(frame, Schema(stat_exog=("country",), holidays_col="country"), "D"), H)
    holiday = panel.futr.covariates.column("calendar.holiday").values
    days = panel.timeline.stamps(
        np.repeat(panel.futr.first - panel.futr.offsets[:-1], panel.futr.lengths) + np.arange(len(holiday))
    )
    series = np.repeat([0, 1], panel.futr.lengths)
    found = {(int(s), str(d)[:10]) for s, d in zip(series[holiday == 1], days[holiday == 1], strict=True)}
    assert found == {
        (0, "2023-10-03"),  # German Unity Day
        (1, "2023-09-04"),  # Labor Day
        (1, "2023-10-09"),  # Columbus Day
    }


def test_holidays_follow_a_column_that_changes_over_time():
    frame = daily(series=1)
    frame["country"] = np.where(frame["ds"] < "2023-09-01", "US", "DE")
    columns = columns_of(Schema(futr_exog=("country",), holidays_col="country"), frame, h=0)
    assert frame["ds"][columns["calendar.holiday"] == 1].dt.strftime("%m-%d").tolist() == ["10-03"]


@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
def test_what_is_known_of_a_time_depends_on_nothing_else(tz):
    """Values, other rows, other series and the length of the horizon change nothing."""
    schema = Schema(calendar="auto", holidays="DE", time_features=("payday",))
    functions = {"payday": first_days}
    frame = daily(tz=tz)
    whole = with_calendar(to_panel(frame, schema, "D"), H, functions)
    poisoned = frame.assign(y=np.where(frame.index % 3 == 0, 1e9, -1e9))
    for other, h in ((poisoned, H), (frame[frame["unique_id"] == "s1"], H), (frame[frame["ds"].dt.month < 10], 40)):
        seen = with_calendar(to_panel(other, schema, "D"), h, functions)
        own, all_of_it = seen.futr.take(np.array([len(seen) - 1])), whole.futr.take(np.array([1]))
        common = min(len(own.covariates), len(all_of_it.covariates))
        for column in own.covariates.take(np.arange(common)).columns:
            same = all_of_it.covariates.take(np.arange(common)).column(column.name)
            if hasattr(column, "values"):
                assert np.array_equal(column.values, same.values)
            else:
                assert [column.labels[c] for c in column.codes] == [same.labels[c] for c in same.codes]


def test_the_calendar_reaches_the_net(fitted, steps):
    plain = Forecaster(NET, h=H, freq="D", training=steps, progress=False).fit(daily().drop(columns="country"))
    assert fitted._fitted["lstm"].facts.futr > 0 and plain._fitted["lstm"].facts.futr == 0
    assert not np.allclose(fitted.predict()["lstm"], plain.predict()["lstm"])


def test_a_forecast_depends_on_the_time_of_year(fitted):
    """The same values a few days later are forecast otherwise; without a calendar they are not."""
    frame = daily()
    later = frame.assign(ds=frame["ds"] + pd.Timedelta(days=3))
    assert not np.allclose(fitted.predict(frame)["lstm"], fitted.predict(later)["lstm"])


def test_a_forecast_depends_on_its_own_series_only(fitted):
    frame = daily()
    together = fitted.predict(frame)
    for name in ("s0", "s1"):
        alone = fitted.predict(frame[frame["unique_id"] == name])
        np.testing.assert_allclose(alone["lstm"], together.loc[together["unique_id"] == name, "lstm"], rtol=1e-6)


def test_a_saved_model_asks_for_its_functions_and_goes_on_bit_for_bit(fitted, tmp_path):
    folder = fitted.save(tmp_path / "model")
    with pytest.raises(ConfigError, match=r"functions of time that are not saved with it: 'payday'.*time_features="):
        Forecaster.load(folder)
    with pytest.raises(ConfigError, match="fitted without 'other'"):
        Forecaster.load(folder, time_features={"payday": first_days, "other": first_days})
    loaded = Forecaster.load(folder, time_features={"payday": first_days})
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict())
    again = loaded.save(tmp_path / "again")
    weights = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    assert weights and weights == {path.name: path.read_bytes() for path in again.glob("*.safetensors")}


def test_the_code_of_functions_is_not_in_a_saved_model(fitted, tmp_path):
    folder = fitted.save(tmp_path / "model")
    text = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"payday" in text and b"first_days" not in text and b"times.day" not in text


def test_update_moves_the_calendar_on(fitted, tmp_path):
    folder = fitted.save(tmp_path / "model")
    loaded = Forecaster.load(folder, time_features={"payday": first_days})
    frame = daily()
    rows = frame.groupby("unique_id").tail(21)  # with a holiday that the history did not have: no reason to warn
    updated = loaded.fit(frame.drop(index=rows.index)).update(rows)
    pd.testing.assert_frame_equal(updated.predict(), updated.predict(frame))


def test_a_backtest_is_what_forecasting_from_each_cutoff_is(steps):
    frame = daily(series=1).drop(columns="country")
    options = {"h": H, "freq": "D", "training": steps, "progress": False, "calendar": "auto", "holidays": "DE"}
    rolled = Forecaster(NET, **options).cross_validation(frame, n_windows=2, step_size=H)
    for cutoff, part in rolled.groupby("cutoff"):
        known = frame[frame["ds"] <= cutoff]
        first = frame[frame["ds"] <= rolled["cutoff"].min()]
        alone = Forecaster(NET, **options).fit(first).predict(known)
        np.testing.assert_allclose(part["lstm"], alone["lstm"], rtol=1e-5)


def test_the_frame_stays_as_it_was(fitted):
    frame = daily()
    before = frame.copy(deep=True)
    fitted.predict(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calendar": "automatic"}, "calendar='automatic' must be 'auto' or a list of minute_of_hour"),
        ({"calendar": ["hour"]}, "'hour' is not known. There are minute_of_hour"),
        ({"holidays": "Germny"}, "Did you mean 'Germany'"),
        ({"holidays": 49}, "holidays=49 must be text"),
        ({"holidays": "DE", "holidays_col": "country"}, "give one of the two"),
        ({"time_features": {"weekend": first_days}}, "Choose another"),
        ({"time_features": [first_days]}, "must be a mapping"),
        ({"time_features": {"f": 3}}, "must be a function of a DatetimeIndex, got int"),
    ],
)
def test_what_cannot_be_is_refused_before_any_data_are_read(options, message):
    with pytest.raises(ConfigError) as caught:
        Forecaster("naive", h=1, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"calendar": ["hour_of_day"]}, ConfigError, "would be the same at every step of freq='D'"),
        ({"holidays_col": "nation"}, ConfigError, "neither a static feature nor known into the future"),
        ({"holidays_col": "size", "stat_exog": ["size"]}, ConfigError, "holds numbers"),
        (
            {"holidays_col": "land", "stat_exog": ["land"]},
            DataError,
            "land: holidays of 'Atlantis' are not known in series 's1'",
        ),
        ({"time_features": {"f": lambda t: [1]}}, ConfigError, "time_features['f'] gave 1 values for 94 times"),
    ],
)
def test_what_the_data_do_not_allow_is_refused_before_training(options, error, message):
    frame = daily().assign(size=1.0)
    frame["land"] = np.where(frame["unique_id"] == "s1", "Atlantis", "DE")
    with pytest.raises(error) as caught:
        Forecaster("naive", h=H, freq="D", progress=False, **options).fit(frame)
    assert message in str(caught.value)


def test_integer_time_is_refused_with_the_way_out():
    frame = pd.DataFrame({"ds": range(20), "y": np.arange(20.0)})
    for options in ({"calendar": "auto"}, {"holidays": "DE"}):
        with pytest.raises(ConfigError, match="the time column holds integers"):
            Forecaster("naive", h=1, progress=False, **options).fit(frame)


def test_a_column_of_the_data_must_not_have_the_name_of_one_made_from_time():
    frame = daily(series=1).rename(columns={"country": "calendar.weekend"})
    schema = Schema(calendar=("weekend",), stat_exog=("calendar.weekend",))
    with pytest.raises(ConfigError, match=r"'calendar.weekend' is a column of the data and one made from time"):
        with_calendar(to_panel(frame, schema, "D"), H)


def test_a_series_without_a_country_has_no_holidays_to_tell_of():
    frame = daily().assign(country=lambda f: np.where(f["unique_id"] == "s1", None, "DE"))
    panel = with_calendar(to_panel(frame, Schema(stat_exog=("country",), holidays_col="country"), "D"), H)
    values = panel.futr.covariates.column("calendar.holiday").values
    assert np.isnan(values[panel.futr.offsets[1] :]).all() and values[: panel.futr.offsets[1]].sum() == 1


def test_yearly_data_with_auto_have_nothing_to_be_told():
    frame = pd.DataFrame({"ds": pd.date_range("2000-01-01", periods=9, freq="YS"), "y": np.arange(9.0)})
    panel = to_panel(frame, Schema(calendar="auto"), "YS")
    assert with_calendar(panel, 2).futr is None


def test_calendars_are_plain_values():
    assert Calendar("auto", "DE", None, ("a",)) == replace(Calendar("auto", "DE"), functions=["a"])
    assert not Calendar() and Calendar(functions=("a",)) and Calendar(holidays="DE")
    with pytest.raises(ConfigError, match="functions of time must be text"):
        Calendar(functions=(1,))


def test_several_frequencies_have_a_calendar_each(steps, tmp_path):
    hours = pd.DataFrame({"unique_id": "h", "ds": pd.date_range("2024-01-01", periods=900, freq="h"), "y": 1.0})
    hours["y"] += np.arange(900) % 24
    frame = pd.concat([daily(series=1).drop(columns="country"), hours])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both = Forecaster(
            NET, h=H, freq="each", training=steps, progress=False, calendar="auto", time_features={"payday": first_days}
        ).fit(frame)
        folder = both.save(tmp_path / "model")
        loaded = Forecaster.load(folder, time_features={"payday": first_days})
    widths = {freq: part._fitted["lstm"].facts.futr for freq, part in both.parts.items()}
    assert widths["h"] > widths["D"] > 0
    pd.testing.assert_frame_equal(loaded.predict(), both.predict())


def test_the_command_line_tells_nets_the_calendar(tmp_path, monkeypatch):
    from forecast.cli import main

    monkeypatch.chdir(tmp_path)
    daily(series=1).drop(columns="country").to_csv("sales.csv", index=False)
    tiny = ["data=sales.csv", "freq=D", f"h={H}", "model=lstm", "model.hidden_size=8", "data.input_size=14"]
    tiny += ["trainer.max_steps=2", "trainer.batch_size=8", "progress=false"]
    scored = [*tiny, "baselines=[naive]", "report.enabled=false"]
    columns = {}
    for name, settings in {"plain": [], "dated": ["data.calendar=auto", "data.holidays=DE"]}.items():
        assert main(["backtest", *scored, *settings, f"hydra.run.dir={tmp_path / name}"]) == 0
        columns[name] = pd.read_parquet(tmp_path / name / "forecasts.parquet")
    assert not np.array_equal(columns["plain"]["lstm"], columns["dated"]["lstm"])  # after two steps, hardly
    assert np.array_equal(columns["plain"]["naive"], columns["dated"]["naive"])
    assert main(["fit", *tiny, "data.calendar=[weekend]", "output=model"]) == 0
    assert main(["predict", "model=model", "output=forecasts.csv", "progress=false"]) == 0
    loaded = Forecaster.load(tmp_path / "model")
    assert loaded.schema.calendar == ("weekend",)
    np.testing.assert_allclose(pd.read_csv("forecasts.csv")["lstm"], loaded.predict()["lstm"])
    assert main(["backtest", *scored, "data.calendar=[hour]", f"hydra.run.dir={tmp_path / 'wrong'}"]) == 2


def test_auto_reads_nothing_that_came_round_too_seldom_in_the_training_rows(steps):
    def read(rows: int, calendar: object) -> set[str]:
        frame = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=rows), "y": np.arange(rows) % 7.0})
        fitted = Forecaster(NET, h=H, freq="D", training=steps, progress=False, calendar=calendar).fit(frame)
        return {code.name.split(".")[1] for code in fitted._fitted["lstm"].readings.futr.numbers}

    assert read(120, "auto") == {"day_of_week", "weekend"}
    assert read(500, "auto") == {"day_of_week", "weekend", "day_of_month", "days_to_month_end"}
    assert "day_of_year" in read(800, "auto")
    assert read(120, ["day_of_year"]) == {"day_of_year"}  # who asks for it gets it
