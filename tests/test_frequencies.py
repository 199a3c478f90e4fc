"""Series of several frequencies behind one Forecaster: as if each frequency had been fitted by itself."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast import ArtifactError, ConfigError, DataError, Forecaster, ForecastWarning, NotFittedError, Training
from forecast.batch.models.kept import Kept
from forecast.cli import main
from forecast.ingest.frequencies import own_freqs, own_series
from forecast.models import LSTM
from forecast.schema import Schema

MODELS = ["naive", "seasonal_naive"]


def series(name: object, freq: str, length: int = 60, start: str = "2023-01-02", tz: str | None = None) -> pd.DataFrame:
    y = np.random.default_rng(length).normal(10, 1, length)
    return pd.DataFrame({"unique_id": name, "ds": pd.date_range(start, periods=length, freq=freq, tz=tz), "y": y})


def mixed() -> pd.DataFrame:
    """Hours, weeks, days and months, the hours in two series apart."""
    frames = [
        series("h1", "h"),
        series("w", "W-WED", 40),
        series("d", "D", 50),
        series("m", "MS", 45),
        series("h2", "h", 70),
    ]
    return pd.concat(frames, ignore_index=True)


OF = {"h1": "h", "w": "W-WED", "d": "D", "m": "MS", "h2": "h"}


def forecaster(freq: object = "each", model: object = MODELS, **options: object) -> Forecaster:
    return Forecaster(model, h=3, freq=freq, progress=False, **options)


def apart(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each frequency."""
    return {freq: frame[frame["unique_id"].map(OF) == freq] for freq in dict.fromkeys(OF.values())}


@pytest.mark.parametrize("freq", ["each", OF])
def test_forecasts_are_those_of_a_forecaster_for_each_frequency(freq):
    frame = mixed()
    together = forecaster(freq).fit(frame)
    assert list(together.parts) == ["h", "W-WED", "D", "MS"]
    result = together.predict(level=[80])
    assert result["unique_id"].drop_duplicates().tolist() == list(OF)
    for one, rows in apart(frame).items():
        expected = forecaster(one).fit(rows).predict(level=[80])
        own = result[result["unique_id"].map(OF) == one].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, expected, check_exact=True)


@pytest.mark.parametrize("refit", [False, True])
def test_backtests_are_those_of_a_forecaster_for_each_frequency(refit):
    frame = mixed()
    result = forecaster().cross_validation(frame, 2, refit=refit)
    for one, rows in apart(frame).items():
        expected = forecaster(one).cross_validation(rows, n_windows=2, refit=refit)
        own = result[result["unique_id"].map(OF) == one].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, expected, check_exact=True)


def test_nets_are_trained_for_each_frequency_and_live_on_in_a_saved_model(tmp_path, quick):
    net = LSTM(input_size=12, hidden_size=4)
    frame = pd.concat([series("h", "h"), series("d", "D")], ignore_index=True)
    fitted = forecaster(model=net, training=quick).fit(frame)
    expected = fitted.predict(level=[80])
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    pd.testing.assert_frame_equal(loaded.predict(level=[80]), expected, check_exact=True)
    assert (loaded.freq, loaded.season_length, list(loaded.parts)) == ("each", None, ["h", "D"])
    assert set(loaded.summary()["freq"]) == {"h", "D"}
    one = forecaster("h", net, training=quick).fit(frame[frame["unique_id"] == "h"]).predict(level=[80])
    pd.testing.assert_frame_equal(expected.iloc[:3], one, check_exact=True)
    again = fitted.cross_validation(frame)
    pd.testing.assert_frame_equal(loaded.cross_validation(frame), again, check_exact=True)


def test_a_mapping_lives_on_in_a_saved_model(tmp_path):
    frame = mixed().assign(unique_id=lambda f: f["unique_id"].map({name: n for n, name in enumerate(OF)}))
    freq = dict(enumerate(OF.values()))
    fitted = forecaster(freq).fit(frame)
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    assert loaded.freq == freq
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)


def test_the_command_line_describes_a_model_of_several_frequencies_and_a_job_refuses_it(tmp_path, capsys):
    folder = forecaster().fit(mixed()).save(tmp_path / "m")
    assert main(["describe", str(folder)]) == 0
    assert "freq: W-WED" in capsys.readouterr().out
    with pytest.raises(ArtifactError, match="several frequencies"):
        Kept.load(folder)


@pytest.mark.parametrize(
    "change", [{"frequencies": []}, {"frequencies": 5}, {"freq": 5}, {"freq": {}}, {"season_length": "x"}]
)
def test_a_saved_model_of_several_frequencies_that_cannot_be_is_refused(change, tmp_path):
    from forecast import artifact

    folder = forecaster().fit(mixed()).save(tmp_path / "m")
    stored = artifact.read(folder)
    stored.facts.update(change)
    artifact.write(folder, stored)
    with pytest.raises(ArtifactError, match="do not fit together"):
        Forecaster.load(folder)


def test_new_rows_find_their_frequency():
    frame = mixed()
    whole = forecaster().fit(frame)
    position = frame.groupby("unique_id").cumcount(ascending=False)
    shorter = forecaster().fit(frame[position >= 2])
    shorter.update(frame[position < 2])  # two rows each, of which some alone could not tell their frequency
    pd.testing.assert_frame_equal(shorter.predict(), whole.predict(), check_exact=True)
    shorter.update(series("new", "D", 20))
    assert shorter.predict()["unique_id"].drop_duplicates().tolist() == [*OF, "new"]
    assert len(shorter.parts["D"].predict()) == 6


def test_an_update_with_a_fault_anywhere_changes_nothing():
    fitted = forecaster().fit(mixed())
    before = fitted.predict()
    coming = fitted.make_future_frame().assign(y=1.0)
    coming.loc[coming["unique_id"] == "m", "y"] = np.inf
    with pytest.raises(DataError, match="infinite in series 'm' at rows 9, 10, 11"):
        fitted.update(coming)
    pd.testing.assert_frame_equal(fitted.predict(), before, check_exact=True)


def test_another_data_frame_is_forecast_by_the_frequencies_of_its_series():
    fitted = forecaster().fit(mixed())
    other = pd.concat([series("x", "W-WED", 30), series("h1", "h", 30, "2024-01-01")], ignore_index=True)
    result = fitted.predict(other)
    assert result["unique_id"].tolist() == ["x"] * 3 + ["h1"] * 3
    assert result["ds"].tolist() == [
        *pd.date_range("2023-01-04", periods=33, freq="W-WED")[30:],
        *pd.date_range("2024-01-01", periods=33, freq="h")[30:],
    ]


@pytest.mark.parametrize("method", ["predict", "update"])
def test_another_frequency_in_a_later_call_is_refused_by_name(method):
    fitted = forecaster().fit(mixed())
    with pytest.raises(
        DataError, match=r"ds: its frequency is 'QS-\w+', and .* 'h', 'D', .* in series 'q'. .*fit again"
    ):
        getattr(fitted, method)(series("q", "QS", 12))


def test_every_fault_of_every_frequency_is_reported_with_the_row_of_the_frame_given():
    frame = mixed()
    bad = [5, 62, 110, 155]
    frame.loc[bad, "y"] = np.inf
    with pytest.raises(DataError) as caught:
        forecaster().fit(frame)
    assert [(fault.series, fault.rows) for fault in caught.value.report] == [
        ("h1", (5,)), ("w", (62,)), ("d", (110,)), ("m", (155,))
    ]  # fmt: skip


def test_a_series_without_a_frequency_is_named_or_left_out_as_asked():
    frame = pd.concat([mixed(), series("one", "D", 1)], ignore_index=True)
    with pytest.raises(DataError, match="no regular frequency .* in series 'one'. .*freq="):
        forecaster().fit(frame)
    with pytest.warns(ForecastWarning, match="1 of 6 series left out: 'one'"):
        assert "one" not in set(forecaster(on_bad_series="skip").fit(frame).predict()["unique_id"])
    with pytest.raises(DataError, match="unique_id: freq names no frequency for it in series 'one'"):
        forecaster(OF).fit(frame)
    assert len(forecaster({**OF, "one": "D"}).fit(frame).predict()) == 18


def test_series_left_out_for_their_faults_are_not_missed_by_a_saved_model(tmp_path):
    frame = pd.concat([mixed(), series("one", "D", 1)], ignore_index=True)
    frame.loc[3, "y"] = np.inf
    with pytest.warns(ForecastWarning, match="left out") as told:
        fitted = forecaster(on_bad_series="skip").fit(frame)
    assert len(told) == 2
    forecasts = fitted.predict()
    assert set(forecasts["unique_id"]) == {"w", "d", "m", "h2"}
    pd.testing.assert_frame_equal(Forecaster.load(fitted.save(tmp_path / "m")).predict(), forecasts)


def test_two_spellings_are_one_frequency(tmp_path):
    frame = pd.concat([series("a", "ME", 40), series("b", "ME", 40), series("c", "D", 40)], ignore_index=True)
    fitted = forecaster({"a": "M", "b": "ME", "c": "D", "later": "M"}).fit(frame)
    assert list(fitted.parts) == ["ME", "D"]
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    assert len(loaded.update(series("later", "ME", 5)).predict()) == 12


def test_static_features_and_futures_go_with_their_series():
    frame = mixed()
    frame["promo"] = np.arange(len(frame)) % 3.0
    table = pd.DataFrame({"unique_id": list(OF), "size": [1.0, 2, 3, 4, 5]})
    fitted = forecaster(futr_exog=["promo"]).fit(frame, static_df=table)
    sizes = {freq: part._ready()[0].static.column("size").values.tolist() for freq, part in fitted.parts.items()}
    assert sizes == {"h": [1, 5], "W-WED": [2], "D": [3], "MS": [4]}
    future = fitted.make_future_frame().assign(promo=1.0)
    assert len(fitted.predict(futr_df=future)) == 15
    with pytest.raises(DataError, match=r"futr_df.* in series 'm' at row 10\b"):
        fitted.predict(futr_df=future.assign(promo=np.where(np.arange(15) == 10, np.inf, 1.0)))
    with pytest.raises(DataError, match="several rows of static features in series 'd' at rows 2, 5"):
        forecaster().fit(mixed(), static_df=pd.concat([table, table.iloc[[2]]], ignore_index=True))
    with pytest.raises(DataError, match=r"frequency is not known.* in series 'zz' at row 1.*parts\["):
        fitted.predict(static_df=pd.DataFrame({"unique_id": ["h1", "zz"], "size": [1.0, 2.0]}))


def test_frames_given_are_unchanged():
    frame, table = mixed(), pd.DataFrame({"unique_id": list(OF), "size": [1.0, 2, 3, 4, 5]})
    copies = frame.copy(deep=True), table.copy(deep=True)
    forecaster().fit(frame, static_df=table).predict(frame, static_df=table)
    pd.testing.assert_frame_equal(frame, copies[0])
    pd.testing.assert_frame_equal(table, copies[1])


def test_what_is_there_for_one_frequency_only_says_where():
    fitted = forecaster().fit(mixed())
    with pytest.raises(ConfigError, match=r"'h', 'W-WED', 'D', 'MS'.*parts\["):
        fitted.plot()
    assert fitted.bad_series.empty
    for call in (
        forecaster().predict,
        forecaster().summary,
        lambda: forecaster().parts,
        lambda: forecaster().save("x"),
    ):
        with pytest.raises(NotFittedError):
            call()
    assert "2 series of 'h'" in repr(fitted)
    assert list(forecaster("h").fit(series("a", "h")).parts) == ["h"]


@pytest.mark.parametrize("freq", [{}, {"a": None}, {"a": 1.5}])
def test_a_mapping_that_cannot_be_is_refused(freq):
    with pytest.raises(ConfigError, match="freq"):
        forecaster(freq)


def test_the_signature_is_that_of_one_frequency():
    assert "static_df" in inspect.signature(Forecaster.fit).parameters
    assert next(iter(inspect.signature(Forecaster).parameters)) == "model"


FREQS = ["15min", "h", "D", "B", "W-MON", "W-SUN", "MS", "ME", "QS-JAN", "QS-FEB", "YS-JAN", "3D", "24h"]


@settings(max_examples=30)
@given(
    freqs=st.lists(st.sampled_from(FREQS), min_size=1, max_size=6),
    seed=st.integers(0, 1000),
    tz=st.sampled_from([None, "Europe/Berlin", "America/New_York"]),
)
def test_each_series_has_the_frequency_that_it_was_made_with_whatever_the_order_of_rows(freqs, seed, tz):
    # in both zones clocks change within 40 days
    frames = [series(n, freq, 40, "2024-03-01", tz) for n, freq in enumerate(freqs)]
    frame = pd.concat(frames, ignore_index=True).sample(frac=1, random_state=seed)
    own = own_series(frame, Schema())
    found, numbers = own_freqs(frame, Schema(), own, np.ones(len(own.ids), dtype=bool))
    for name, number in zip(own.ids, numbers, strict=True):
        made = freqs[name]
        assert found[number] == ("D" if made == "24h" and tz is None else made)
    assert len(found) == len(set(found))


def test_short_training_settings_reach_every_frequency():
    training = Training(max_steps=2, batch_size=8, cycles=1, validations=1)
    frame = pd.concat([series("h", "h"), series("d", "D")], ignore_index=True)
    fitted = forecaster(model=LSTM(input_size=12, hidden_size=4), training=training).fit(frame)
    assert [part.models["lstm"].training.max_steps for part in fitted.parts.values()] == [2, 2]
