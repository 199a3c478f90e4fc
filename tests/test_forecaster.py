"""The front door: what users type, what they get, and what they are told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast import ConfigError, DataError, Forecaster, ForecastWarning, NotFittedError, Training
from forecast.models import GRU, LSTM, SegRNN
from tests.conftest import seasonal_frame

TINY = SegRNN(input_size=12, segment=4, hidden_size=8)


@pytest.fixture(scope="module")
def fitted(frame, quick) -> Forecaster:
    return Forecaster(TINY, h=3, freq="MS", training=quick, progress=False).fit(frame)


def test_fit_and_predict_in_two_lines(frame):
    out = Forecaster("segrnn", h=3, freq="MS", max_steps=2, seed=1, progress=False).fit(frame).predict(level=[80, 90])
    assert list(out.columns) == [
        "unique_id", "ds", "segrnn", "segrnn-lo-90", "segrnn-lo-80", "segrnn-hi-80", "segrnn-hi-90",
    ]  # fmt: skip
    assert len(out) == 9
    assert np.isfinite(out.drop(columns=["unique_id", "ds"])).all(axis=None)


def test_forecast_stamps_follow_the_last_row_of_each_series(fitted, frame):
    out = fitted.predict()
    for name, rows in out.groupby("unique_id"):
        last = frame.loc[frame["unique_id"] == name, "ds"].max()
        assert rows["ds"].tolist() == pd.date_range(last, periods=4, freq="MS")[1:].tolist()


def test_series_keep_first_seen_order_and_their_dtype(quick):
    frame = seasonal_frame()
    frame["unique_id"] = frame["unique_id"].map({"s0": 7, "s1": 3, "s2": 2**40})
    out = Forecaster(TINY, h=2, training=quick, progress=False).fit(frame).predict()
    assert out["unique_id"].tolist() == [7, 7, 3, 3, 2**40, 2**40]


def test_several_models_give_one_column_each(frame, quick):
    models = [
        "segrnn",
        "seasonal_naive",
        LSTM(input_size=12, hidden_size=4),
        GRU(input_size=12, hidden_size=4),
        LSTM(input_size=9),
    ]
    out = Forecaster(models, h=2, training=quick, progress=False).fit(frame).predict()
    assert list(out.columns[2:]) == ["segrnn", "seasonal_naive", "lstm", "gru", "lstm2"]


def test_models_may_have_names_of_ones_own(frame, quick):
    out = Forecaster({"small": TINY, "flat": "naive"}, h=2, training=quick, progress=False).fit(frame).predict()
    assert list(out.columns[2:]) == ["small", "flat"]


def test_intervals_nest_and_quantiles_do_not_cross(fitted):
    out = fitted.predict(level=[50, 80, 99], quantiles=[0.1, 0.5, 0.9])
    order = ["lo-99", "lo-80", "lo-50", "hi-50", "hi-80", "hi-99"]
    values = out[[f"segrnn-{name}" for name in order]].to_numpy()
    assert (np.diff(values, axis=1) >= 0).all()
    np.testing.assert_array_equal(out["segrnn-q-0.5"], out["segrnn"])
    np.testing.assert_array_equal(out["segrnn-q-0.1"], out["segrnn-lo-80"])


def test_a_quantile_net_gives_its_own_quantiles(frame, quick):
    arch = LSTM(input_size=12, hidden_size=8, quantiles=(0.05, 0.95))
    forecaster = Forecaster(arch, h=2, training=quick, progress=False).fit(frame)
    out = forecaster.predict(level=[80, 90])
    assert (out["lstm-lo-90"] <= out["lstm-lo-80"]).all()
    assert (out["lstm-lo-80"] <= out["lstm"]).all()
    with pytest.raises(ConfigError, match=r"outside the trained 0.05"):
        forecaster.predict(level=[99])


def test_a_shorter_horizon_is_the_beginning_of_the_longer_one(fitted):
    long, short = fitted.predict(), fitted.predict(h=2)
    kept = long.groupby("unique_id", sort=False).head(2).reset_index(drop=True)
    pd.testing.assert_frame_equal(short, kept)


def test_a_longer_horizon_than_fitted_is_refused(fitted):
    with pytest.raises(ConfigError, match="beyond the fitted horizon of 3"):
        fitted.predict(h=4)


def test_series_never_seen_are_forecast_from_their_own_history(fitted):
    new = seasonal_frame(1, 40, seed=5).assign(unique_id="new")
    out = fitted.predict(new)
    assert out["unique_id"].unique().tolist() == ["new"]
    assert np.isfinite(out["segrnn"]).all()


def test_update_equals_predicting_on_the_longer_history(frame, quick):
    first, later = frame.groupby("unique_id").head(50), frame.groupby("unique_id").tail(-50)
    forecaster = Forecaster(TINY, h=3, training=quick, progress=False).fit(first)
    expected = forecaster.predict(frame)
    pd.testing.assert_frame_equal(forecaster.update(later).predict(), expected)


def test_predicting_changes_nothing(fitted, frame):
    before = fitted.predict()
    fitted.predict(seasonal_frame(2, 30, seed=9))
    fitted.predict(frame, h=1, level=[90])
    pd.testing.assert_frame_equal(fitted.predict(), before, check_exact=True)


def test_public_calls_leave_the_frame_unchanged(frame, quick):
    given, before = frame.copy(deep=True), frame.copy(deep=True)
    forecaster = Forecaster(TINY, h=3, training=quick, progress=False).fit(given)
    forecaster.predict(given)
    forecaster.cross_validation(given)
    with pytest.raises(DataError):
        forecaster.fit(given.assign(y=np.inf))
    pd.testing.assert_frame_equal(given, before)


def test_a_failed_fit_keeps_the_model_that_was_there(frame, quick):
    forecaster = Forecaster(TINY, h=3, training=quick, progress=False).fit(frame)
    before = forecaster.predict()
    with pytest.raises(DataError):
        forecaster.fit(frame.assign(y=np.inf))
    pd.testing.assert_frame_equal(forecaster.predict(), before)


def test_cross_validation_has_a_row_for_each_series_cutoff_and_step(frame, quick):
    forecaster = Forecaster([TINY, "naive"], h=3, training=quick, progress=False)
    cv = forecaster.cross_validation(frame, n_windows=2, step_size=2, level=[80])
    assert list(cv.columns[:6]) == ["unique_id", "ds", "cutoff", "y", "segrnn", "segrnn-lo-80"]
    assert len(cv) == 3 * 2 * 3
    merged = cv.merge(frame, on=["unique_id", "ds"])
    np.testing.assert_array_equal(merged["y_x"], merged["y_y"])
    at_cutoff = cv.merge(frame, left_on=["unique_id", "cutoff"], right_on=["unique_id", "ds"])
    np.testing.assert_array_equal(at_cutoff["naive"], at_cutoff["y_y"])
    assert "not fitted" in repr(forecaster)


def test_a_backtest_with_refit_equals_independent_fits_on_truncated_frames(frame, quick):
    cv = Forecaster(TINY, h=2, training=quick, progress=False).cross_validation(frame, n_windows=2, refit=True)
    for back, (_, fold) in zip((4, 2), cv.groupby("cutoff", sort=True), strict=False):
        ids = fold["unique_id"].unique()
        short = pd.concat([rows.iloc[:-back] for _, rows in frame.groupby("unique_id")])
        alone = Forecaster(TINY, h=2, training=quick, progress=False).fit(short).predict()
        alone = alone[alone["unique_id"].isin(ids)]
        got = cv.merge(alone, on=["unique_id", "ds"], suffixes=("", "_alone"))
        assert len(got)
        np.testing.assert_array_equal(got["segrnn"], got["segrnn_alone"])


def test_series_that_begin_after_a_cutoff_are_left_out_there_with_a_warning(frame, quick):
    late = seasonal_frame(1, 4).assign(unique_id="late", ds=lambda f: f["ds"] + pd.DateOffset(years=4, months=8))
    both = pd.concat([frame, late])
    with pytest.warns(ForecastWarning, match="'late'"):
        cv = Forecaster("naive", h=2, progress=False).cross_validation(both, n_windows=3)
    assert (cv["unique_id"] == "late").sum() == 2


def test_local_hourly_time_is_forecast_across_the_clock_change(quick):
    stamps = pd.date_range("2024-03-20", "2024-03-30 23:00", freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"ds": stamps, "y": np.sin(np.arange(len(stamps)) * np.pi / 12)})
    out = Forecaster(TINY, h=5, training=quick, progress=False).fit(frame).predict()
    expected = pd.date_range("2024-03-31", periods=5, freq="h", tz="Europe/Berlin")
    assert out["ds"].tolist() == expected.tolist()
    assert str(out["ds"].dtype.tz) == "Europe/Berlin"


@pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")
def test_a_series_with_nothing_known_in_the_window_gets_its_last_value(frame, quick):
    gone = frame["unique_id"].eq("s1") & frame.groupby("unique_id").cumcount().ge(20)
    out = Forecaster(TINY, h=2, training=quick, progress=False).fit(frame.assign(y=frame["y"].mask(gone))).predict()
    last = frame.loc[frame["unique_id"].eq("s1"), "y"].iloc[19]
    np.testing.assert_allclose(out.loc[out["unique_id"].eq("s1"), "segrnn"], last)


def test_the_summary_lists_layers_with_shapes_and_parameters(fitted):
    table = fitted.summary()
    assert list(table.columns) == ["model", "layer", "kind", "shape", "parameters"]
    embed = table[table["layer"] == "embed"].iloc[0]
    assert embed["kind"] == "Linear"
    assert embed["parameters"] == 4 * 8 + 8


def test_the_plot_is_a_figure_with_a_panel_for_each_series(fitted):
    figure = fitted.plot(max_series=2)
    assert len(figure.axes) >= 2


def test_an_unfitted_forecaster_says_so(tmp_path):
    for call in (lambda f: f.predict(), lambda f: f.save(tmp_path), lambda f: f.summary(), lambda f: f.update(None)):
        with pytest.raises(NotFittedError, match="fit"):
            call(Forecaster("naive", h=1))


@pytest.mark.parametrize("h", [0, -1, 1.5, True, "7", None])
def test_a_horizon_that_is_no_count_is_refused(h):
    with pytest.raises(ConfigError, match="h="):
        Forecaster("naive", h=h)


@pytest.mark.parametrize("level", [0, 100, -5, [80, 120], ["90"], [True]])
def test_a_level_outside_its_range_is_refused(fitted, level):
    with pytest.raises(ConfigError, match="level"):
        fitted.predict(level=level)


@pytest.mark.parametrize("quantiles", [0, 1, 1.2, [0.5, -0.1], ["0.5"]])
def test_a_quantile_outside_its_range_is_refused(fitted, quantiles):
    with pytest.raises(ConfigError, match="quantiles"):
        fitted.predict(quantiles=quantiles)


def test_levels_may_be_unsorted_and_repeated(fitted):
    pd.testing.assert_frame_equal(fitted.predict(level=[90, 80, 90]), fitted.predict(level=[80, 90]))


def test_an_unknown_model_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="Did you mean 'segrnn'"):
        Forecaster("segrn", h=1)


@pytest.mark.parametrize("model", [3, None, object(), [], {}])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(ConfigError, match="model"):
        Forecaster(model, h=1)


def test_a_model_cannot_take_the_name_of_a_column(frame):
    with pytest.raises(ConfigError, match="column of the frame"):
        Forecaster({"y": "naive"}, h=1)


def test_ids_of_another_type_than_in_fit_are_refused(quick):
    frame = seasonal_frame(2).assign(unique_id=lambda f: f["unique_id"].str[1:].astype(int))
    fitted = Forecaster(TINY, h=2, training=quick, progress=False).fit(frame)
    with pytest.raises(DataError, match="ids were integer when fitting and are string now"):
        fitted.predict(frame.assign(unique_id=frame["unique_id"].astype(str)))


def test_budgets_given_directly_win_over_the_training_settings():
    forecaster = Forecaster(TINY, h=1, training=Training(max_steps=5, batch_size=3), max_steps=7)
    assert forecaster.models["segrnn"].training == Training(max_steps=7, batch_size=3)


def days(start: str = "2024-01-01", n: int = 20, tz: str | None = None, **columns: object) -> pd.DataFrame:
    frame = {"unique_id": ["a"] * n, "ds": pd.date_range(start, periods=n, tz=tz), "y": np.arange(float(n))}
    return pd.DataFrame({**frame, **columns})


def followed(history: pd.DataFrame, new: pd.DataFrame, **options) -> Forecaster:
    return Forecaster("naive", h=2, progress=False, **options).fit(history).update(new)


OFF_THE_HISTORY = {
    "another time of day": (days(), days("2024-01-21 06:00", 3), ["2024-01-21T06:00", "freq='D' through 2024-01-20", "'a'"]),
    "another phase": (
        days(ds=pd.date_range("2024-01-01", periods=20, freq="2D")),
        days(n=3, ds=pd.date_range("2024-02-11", periods=3, freq="2D")),
        ["freq='2D'", "2024-02-11", "fit again"],
    ),
    "zoned rows after naive ones": (days(), days("2024-01-21", 3, "Europe/Berlin"), ["Europe/Berlin", "without a time zone", "tz_localize(None)"]),
    "naive rows after zoned ones": (days(tz="Europe/Berlin"), days("2024-01-21", 3), ["Europe/Berlin", "without a time zone", "tz_localize('Europe/Berlin')"]),
    "rows of another zone": (days(tz="Europe/Berlin"), days("2024-01-21", 3, "Asia/Tokyo"), ["Asia/Tokyo", "tz_convert('Europe/Berlin')"]),
    "integers after dates": (days(), days(n=3, ds=[1, 2, 3]), ["integers", "dates", "freq='D'"]),
    "integers of another phase": (days(ds=range(0, 40, 2)), days(n=3, ds=[41, 43, 45]), ["freq=2", "41"]),
}  # fmt: skip


@pytest.mark.parametrize("case", OFF_THE_HISTORY)
def test_an_update_off_the_grid_of_the_history_is_refused(case):
    history, new, pieces = OFF_THE_HISTORY[case]
    with pytest.raises(DataError) as caught:
        followed(history, new)
    assert str(caught.value).startswith("ds: ")
    assert all(piece in str(caught.value) for piece in pieces), str(caught.value)


@pytest.mark.parametrize("freq", ["2D", "2W-MON", "2MS", "QS-FEB", "B"])
def test_an_update_of_any_length_keeps_the_grid_of_the_history(freq):
    whole = days(n=30, ds=pd.date_range("2024-01-01", periods=30, freq=freq))
    for length in (1, 2, 5):
        end = 20 + length
        updated = followed(whole[:20], whole[20:end], freq=freq).predict()
        fresh = Forecaster("naive", h=2, freq=freq, progress=False).fit(whole[:end]).predict()
        pd.testing.assert_frame_equal(updated, fresh)


def test_an_update_without_values_moves_the_cutoff():
    out = followed(days(), days("2024-01-21", 3, y=[np.nan] * 3)).predict()
    assert out["ds"].tolist() == pd.date_range("2024-01-24", periods=2).tolist()
    assert out["naive"].tolist() == [19.0, 19.0]
    with pytest.raises(DataError, match="no known value at all in series 'new'"):
        followed(days(), days("2024-01-21", 3, y=[np.nan] * 3, unique_id=["new"] * 3))


def test_the_strict_policy_holds_for_updates():
    for new in (days("2024-01-22", 3), days("2024-01-21", 3, y=[1.0, np.nan, 2.0])):
        with pytest.raises(DataError, match="missing"):
            followed(days(), new, missing="raise")


def test_forecasts_at_a_skipped_hour_can_be_fed_back():
    history = days("2024-03-10 02:30", 20, "Europe/Berlin")
    forecaster = Forecaster("naive", h=4, progress=False).fit(history)
    with pytest.warns(ForecastWarning, match="2024-03-31T02:30' do not exist in Europe/Berlin"):
        out = forecaster.predict().rename(columns={"naive": "y"}).assign(unique_id="a")
    after = forecaster.update(out).predict()["ds"]
    assert after.tolist() == pd.date_range("2024-04-03 02:30", periods=4, tz="Europe/Berlin").tolist()
    one = Forecaster("naive", h=1, progress=False).fit(days("2024-03-11 02:30", 20, "Europe/Berlin"))
    with pytest.warns(ForecastWarning, match="do not exist"):
        skipped = one.predict()
    assert len(one.update(skipped.rename(columns={"naive": "y"})).predict()) == 1


@pytest.mark.parametrize(("old", "new"), [(None, "Europe/Berlin"), ("Europe/Berlin", None)])
def test_predicting_on_another_kind_of_time_is_refused(old, new):
    fitted = Forecaster("naive", h=2, progress=False).fit(days(tz=old))
    with pytest.raises(DataError, match="without a time zone"):
        fitted.predict(days(tz=new))


def test_predicting_on_another_phase_is_welcome():
    fitted = Forecaster("naive", h=2, progress=False).fit(days())
    assert fitted.predict(days("2024-05-01 06:00"))["ds"].iloc[0] == pd.Timestamp("2024-05-21 06:00")
