"""Static features from the front door to the forecast: fit, predict, update, backtest, save, load, new series."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast import ArtifactError, DataError, Forecaster, ForecastWarning, Training
from forecast.cli import main
from forecast.models import GRU, LSTM
from tests.conftest import seasonal_frame
from tests.test_artifact import edit

TINY = LSTM(input_size=12, hidden_size=6)
QUICK = Training(max_steps=8, batch_size=8, cycles=1, validations=1)
FRAME = seasonal_frame(3, 50)
STATIC = pd.DataFrame({"unique_id": ["s2", "s0", "s1"], "size": [3.0, 1.0, np.nan], "colour": ["red", "red", "blue"]})


def forecaster(model=TINY, **options) -> Forecaster:
    return Forecaster(model, h=3, freq="MS", training=QUICK, progress=False, **options)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return forecaster().fit(FRAME, static_df=STATIC)


def values(out: pd.DataFrame, name: str, column: str = "lstm") -> np.ndarray:
    return out.loc[out["unique_id"] == name, column].to_numpy()


def new_series(name: str = "new", **features: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = seasonal_frame(1, 40, seed=5).assign(unique_id=name)
    return rows, pd.DataFrame({"unique_id": [name], "size": [2.0], "colour": ["blue"], **features})


def test_static_features_change_what_is_learned(fitted):
    assert not np.allclose(fitted.predict()["lstm"], forecaster().fit(FRAME).predict()["lstm"])
    facts = fitted._fitted["lstm"].facts
    assert facts.static == 2 + 3  # a number with its indicator; two labels and the unknown one


def test_a_forecast_depends_on_the_features_of_its_own_series_only(fitted):
    before, after = fitted.predict(), fitted.predict(static_df=STATIC.assign(colour=["red", "blue", "blue"]))
    assert not np.allclose(values(before, "s0"), values(after, "s0"))
    for name in ("s1", "s2"):
        np.testing.assert_array_equal(values(before, name), values(after, name))


def test_row_order_and_code_of_the_table_change_nothing(fitted):
    recoded = pd.Categorical(STATIC["colour"], categories=["red", "other", "blue"])
    again = forecaster().fit(FRAME, static_df=STATIC.assign(colour=recoded).iloc[[1, 2, 0]])
    pd.testing.assert_frame_equal(again.predict(level=[80]), fitted.predict(level=[80]), check_exact=True)


def test_new_history_of_known_series_keeps_their_features(fitted):
    pd.testing.assert_frame_equal(fitted.predict(FRAME), fitted.predict())
    one = FRAME[FRAME["unique_id"] == "s1"]
    np.testing.assert_allclose(fitted.predict(one)["lstm"], values(fitted.predict(), "s1"), rtol=1e-5)


def test_a_new_series_is_forecast_with_its_own_features(fitted):
    rows, static = new_series()
    one = fitted.predict(rows, static_df=static)["lstm"]
    other = fitted.predict(rows, static_df=static.assign(colour="red"))["lstm"]
    assert np.isfinite(one).all()
    assert not np.allclose(one, other)
    both = fitted.predict(pd.concat([FRAME, rows]), static_df=static)
    np.testing.assert_allclose(values(both, "new"), one, rtol=1e-5)
    np.testing.assert_allclose(values(both, "s0"), values(fitted.predict(), "s0"), rtol=1e-5)


def test_a_new_series_without_a_row_is_refused_by_name(fitted):
    rows, static = new_series()
    for given in (None, static.assign(unique_id="else")):
        with pytest.raises(DataError, match="static_df: no row of static features in series 'new'. Add its row"):
            fitted.predict(rows, static_df=given)
    with pytest.raises(DataError, match="no row of static features in series 'new'"):
        fitted.update(rows)


def test_a_label_never_met_counts_as_unknown_with_one_warning(fitted):
    rows, static = new_series(colour=["mauve"])
    with pytest.warns(ForecastWarning, match=r"count as unknown \(colour: 'mauve'\)") as told:
        stranger = fitted.predict(rows, static_df=static)["lstm"]
    assert len(told) == 1
    missing = fitted.predict(rows, static_df=static.assign(colour=None))["lstm"]
    np.testing.assert_array_equal(stranger, missing)


def test_a_feature_of_another_kind_than_when_fitting_is_refused(fitted):
    rows, static = new_series(size=["large"])
    with pytest.raises(DataError, match=r"size of static_df: it was numeric when fitting and holds 'large' now"):
        fitted.predict(rows, static_df=static)
    with pytest.raises(DataError, match=r"colour of static_df: no such column among 'unique_id', 'size'"):
        fitted.predict(rows, static_df=static.drop(columns="colour"))


def test_an_update_takes_new_series_with_their_features():
    rows, static = new_series()
    updated = forecaster().fit(FRAME, static_df=STATIC)
    expected = updated.predict(rows, static_df=static)["lstm"]
    updated.update(rows, static_df=static)
    np.testing.assert_allclose(values(updated.predict(), "new"), expected, rtol=1e-5)


def test_features_may_be_columns_of_the_long_frame(fitted):
    wide = FRAME.merge(STATIC, on="unique_id")
    again = forecaster(stat_exog=["size", "colour"]).fit(wide)
    pd.testing.assert_frame_equal(again.predict(), fitted.predict(), check_exact=True)
    rows, static = new_series()
    one = again.predict(rows.merge(static, on="unique_id"))
    pd.testing.assert_frame_equal(one, fitted.predict(rows, static_df=static), check_exact=True)
    pd.testing.assert_frame_equal(again.predict(FRAME), fitted.predict(FRAME), check_exact=True)


def test_a_saved_model_keeps_features_and_encoding(fitted, tmp_path):
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    rows, static = new_series()
    for call in (lambda f: f.predict(level=[80]), lambda f: f.predict(rows, static_df=static)):
        pd.testing.assert_frame_equal(call(loaded), call(fitted), check_exact=True)
    again = loaded.save(tmp_path / "again")
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "m").iterdir()
    }


FORGED = {
    "a wider net": lambda m: m["facts"]["models"][0]["facts"].update(static=6),
    "no encoding": lambda m: m["facts"]["models"][0]["readings"].update(static=[]),
    "an encoding of other columns": lambda m: m["facts"]["models"][0]["readings"]["static"][0].update(name="weight"),
    "a column of another kind": lambda m: m["facts"]["static"][0].update(kind="labels"),
    "a column of no kind": lambda m: m["facts"]["static"][1].update(kind="eval"),
    "two columns of one name": lambda m: m["facts"]["static"][1].update(name="size"),
    "no columns": lambda m: m["facts"].update(static=[]),
    "no list": lambda m: m["facts"].update(static="size"),
    "a label twice": lambda m: m["facts"]["models"][0]["readings"]["static"][1].update(labels=["blue", "blue"]),
    "labels that are no text": lambda m: m["facts"]["models"][0]["readings"]["static"][1].update(labels=["blue", 7]),
    "no spread": lambda m: m["facts"]["models"][0]["readings"]["static"][0].update(spread=0.0),
    "a centre that is no number": lambda m: m["facts"]["models"][0]["readings"]["static"][0].update(center="0"),
}


@pytest.mark.parametrize("case", FORGED)
def test_features_that_do_not_fit_the_net_are_refused_on_loading(case, fitted, tmp_path):
    folder = Path(shutil.copytree(fitted.save(tmp_path / "m"), tmp_path / "copy"))
    edit(folder, FORGED[case])
    with pytest.raises(ArtifactError, match="do not (fit together|have the shapes)"):
        Forecaster.load(folder)


def test_a_model_without_features_ignores_a_table_with_a_warning():
    plain = forecaster().fit(FRAME)
    with pytest.warns(ForecastWarning, match="static_df is ignored: the models were fitted without static features"):
        out = plain.predict(static_df=STATIC)
    pd.testing.assert_frame_equal(out, plain.predict())


def test_nets_that_cannot_use_features_say_so_before_training():
    models = {"net": TINY, "flat": "nlinear", "line": "linear", "naive": "naive"}
    told = r"flat, line cannot use static features \('size', 'colour'\) and will be trained without"
    with pytest.warns(ForecastWarning, match=told) as caught:
        forecaster(models).fit(FRAME, static_df=STATIC).predict()
    assert len(caught) == 1
    with pytest.warns(ForecastWarning, match="flat cannot use"):
        forecaster({"flat": "nlinear"}).cross_validation(FRAME, n_windows=2, refit=True, static_df=STATIC)


def test_a_backtest_fits_its_encoding_on_the_series_known_by_then():
    late = seasonal_frame(1, 5).assign(unique_id="late", ds=lambda f: f["ds"] + pd.DateOffset(years=3, months=9))
    frame = pd.concat([FRAME, late])
    static = pd.concat([STATIC, pd.DataFrame({"unique_id": ["late"], "size": [1e9], "colour": ["mauve"]})])
    with pytest.warns(ForecastWarning) as told:
        cv = forecaster().cross_validation(frame, n_windows=2, static_df=static)
    assert any("'late'" in str(w.message) for w in told)
    assert any("colour: 'mauve'" in str(w.message) for w in told)  # known at the second cutoff only
    others = cv[cv["unique_id"] != "late"].reset_index(drop=True)
    alone = forecaster().cross_validation(FRAME, n_windows=2, static_df=STATIC)
    pd.testing.assert_frame_equal(others, alone, check_exact=True)


def test_a_quantile_net_takes_features_too():
    model = GRU(input_size=12, hidden_size=6, quantiles=(0.1, 0.9))
    out = forecaster({"gru": model}).fit(FRAME, static_df=STATIC).predict(level=[80])
    assert (out["gru-lo-80"] <= out["gru-hi-80"]).all()


def test_describing_a_net_with_features_shows_where_they_enter(fitted):
    table = fitted.summary()
    assert table.loc[table["layer"] == "static", "parameters"].tolist() == [6 * 5]


def test_a_net_trained_along_whole_series_says_that_it_reads_no_features():
    stateful = Forecaster(GRU(hidden_size=6), h=3, freq="MS", training=replace(QUICK, stateful=True), progress=False)
    with pytest.warns(ForecastWarning, match="gru cannot use static features"):
        out = stateful.fit(FRAME, static_df=STATIC).predict()
    assert np.isfinite(out["gru"]).all()


def test_frames_given_are_unchanged(fitted):
    rows, static = new_series()
    before = rows.copy(), static.copy(), STATIC.copy()
    fitted.predict(rows, static_df=static)
    forecaster().fit(FRAME, static_df=STATIC)
    for given, kept in zip((rows, static, STATIC), before, strict=True):
        pd.testing.assert_frame_equal(given, kept)


def test_the_command_line_takes_a_table_of_features(tmp_path, monkeypatch, fitted):
    monkeypatch.chdir(tmp_path)
    rows, static = new_series()
    FRAME.to_parquet("data.parquet")
    STATIC.to_csv("the features.csv", index=False)
    rows.to_csv("new.csv", index=False)
    static.to_csv("new features.csv", index=False)
    quick = [f"trainer.{key}={getattr(QUICK, key)}" for key in ("max_steps", "batch_size", "cycles", "validations")]
    net = ["model=lstm", "model.hidden_size=6", "data.input_size=12", "h=3", "freq=MS", "progress=false", *quick]
    assert main(["fit", "data=data.parquet", "data.static=the features.csv", *net, "output=m"]) == 0
    assert main(["predict", "model=m", "level=[]", "output=known.parquet"]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet("known.parquet"), fitted.predict(), check_exact=True)
    asked = ["predict", "model=m", "data=new.csv", "level=[]", "output=new.parquet"]
    assert main([*asked, "static=new features.csv"]) == 0
    expected = fitted.predict("new.csv", static_df=static)
    pd.testing.assert_frame_equal(pd.read_parquet("new.parquet"), expected, check_exact=True)
    assert main(asked) == 4
    backtest = ["backtest", "data=data.parquet", "data.static=the features.csv", "data.stat_exog=[size]", *net]
    assert main([*backtest, "baselines=[naive]"]) == 0
    (folder,) = Path("runs/backtest").iterdir()
    assert main(["report", f"run={folder}"]) == 0


def test_features_that_tell_what_the_past_does_not_make_better_forecasts():
    rng, step = np.random.default_rng(0), np.arange(66)
    kinds = np.tile([-1.0, 1.0], 20)
    lines = 500.0 + kinds[:, None] * step
    ids = [f"s{number}" for number in range(40)]
    stamps = pd.date_range("2015-01-01", periods=60, freq="MS")
    seen = lines[:, :60] + 3.0 * rng.standard_normal((40, 60))
    frame = pd.DataFrame({"unique_id": np.repeat(ids, 60), "ds": np.tile(stamps, 40), "y": seen.ravel()})
    static = pd.DataFrame({"unique_id": ids, "kind": np.where(kinds > 0, "rising", "falling")})
    training = Training(max_steps=600, learning_rate=1e-2, batch_size=32, cycles=1, precision="32")
    net = Forecaster(LSTM(input_size=4, hidden_size=16), h=6, freq="MS", training=training, progress=False)
    error = {}
    for name, table in (("with", static), ("without", None)):
        out = net.fit(frame, static_df=table).predict()["lstm"].to_numpy()
        error[name] = np.abs(out - lines[:, 60:].ravel()).mean()
    assert error["with"] < 0.8 * error["without"], error
