"""Covariates that change over time, from the front door to the forecast: fit, predict, update, backtest, save, load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast import ArtifactError, ConfigError, DataError, Forecaster, ForecastWarning, Training
from forecast.cli import main
from forecast.models import LSTM
from tests.conftest import seasonal_frame
from tests.test_artifact import edit

TINY = LSTM(input_size=12, hidden_size=6)
QUICK = Training(max_steps=8, batch_size=8, cycles=1, validations=1)
H = 3


def with_covariates(frame: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = len(frame)
    return frame.assign(
        price=rng.standard_normal(rows),
        weather=rng.choice(["sun", "rain"], rows),
        promo=rng.choice([0.0, 1.0], rows),
        event=rng.choice(["none", "fair", "strike"], rows),
    )


FRAME = with_covariates(seasonal_frame(3, 50))
ROLES = {"hist_exog": ["price", "weather"], "futr_exog": ["promo", "event"]}


def forecaster(model=TINY, **options) -> Forecaster:
    return Forecaster(model, h=H, freq="MS", training=QUICK, progress=False, **{**ROLES, **options})


def future(fitted: Forecaster, df: pd.DataFrame | None = None, **columns: object) -> pd.DataFrame:
    rows = fitted.make_future_frame(df)
    return rows.assign(**{"promo": np.arange(len(rows)) % 2.0, "event": "fair", **columns})


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return forecaster().fit(FRAME)


def same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_both_roles_reach_the_net_and_change_the_forecast(fitted):
    facts = fitted._fitted["lstm"].facts
    assert facts.hist > 0
    assert facts.futr > 0
    known = fitted.predict(futr_df=future(fitted))["lstm"]
    assert np.isfinite(known).all()
    assert not np.allclose(known, fitted.predict(futr_df=future(fitted, event="strike"))["lstm"])
    dearer = FRAME.assign(price=FRAME["price"] + 3.0)
    assert not np.allclose(known, fitted.predict(dearer, futr_df=future(fitted))["lstm"])


def test_the_future_of_one_series_changes_its_own_forecast_only(fitted):
    rows = future(fitted)
    changed = rows.assign(event=rows["event"].where(rows["unique_id"] != "s1", "strike"))
    one, two = fitted.predict(futr_df=rows), fitted.predict(futr_df=changed)
    own = one["unique_id"] == "s1"
    assert not np.allclose(one.loc[own, "lstm"], two.loc[own, "lstm"])
    same(one[~own], two[~own])


def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(fitted):
    rows = future(fitted)
    short = fitted.make_future_frame(h=1)
    assert len(short) == 3
    needed = short.merge(rows, on=["unique_id", "ds"])
    same(fitted.predict(h=1, futr_df=needed), fitted.predict(h=1, futr_df=rows))


def test_the_frame_to_fill_in_has_the_rows_and_types_of_the_forecast(fitted):
    forecast = fitted.predict(futr_df=future(fitted))
    same(fitted.make_future_frame(), forecast[["unique_id", "ds"]])
    one = FRAME[FRAME["unique_id"] == "s2"].iloc[:-4]
    assert fitted.make_future_frame(one)["ds"].iloc[0] == one["ds"].max() + pd.DateOffset(months=1)
    with pytest.raises(ConfigError, match="h=4 is beyond the fitted horizon of 3"):
        fitted.make_future_frame(h=4)


def test_without_the_future_a_net_that_reads_it_says_what_to_do(fitted):
    with pytest.raises(DataError, match=r"forecast from 'promo', 'event'.* Pass futr_df.*make_future_frame"):
        fitted.predict()
    with pytest.raises(DataError, match=r"1 of 3 rows are missing \(2019-03-01\) in series 's0'"):
        fitted.predict(futr_df=future(fitted).drop(index=0))


def test_a_baseline_needs_no_future_and_takes_one(fitted):
    naive = forecaster("naive").fit(FRAME)
    same(naive.predict(), naive.predict(futr_df=future(naive)))
    with pytest.raises(DataError, match="rows are missing"):
        naive.predict(futr_df=future(naive).drop(index=0))


def test_new_history_brings_its_own_covariates(fitted):
    same(fitted.predict(FRAME, futr_df=future(fitted)), fitted.predict(futr_df=future(fitted)))
    new = with_covariates(seasonal_frame(1, 40, seed=5)).assign(unique_id="new")
    assert np.isfinite(fitted.predict(new, futr_df=future(fitted, new))["lstm"]).all()
    with pytest.raises(DataError, match=r"price: no such column .* Did you mean 'prices'\?"):
        fitted.predict(new.rename(columns={"price": "prices"}), futr_df=future(fitted, new))


def test_updating_with_new_rows_is_predicting_from_all_of_them(fitted):
    late = FRAME["ds"] > "2018-10-01"
    older = forecaster().fit(FRAME[~late])
    rows = future(older, FRAME)
    expected = older.predict(FRAME, futr_df=rows)
    same(older.update(FRAME[late]).predict(futr_df=rows), expected)
    with pytest.raises(DataError, match="weather: no such column"):
        older.update(FRAME[late].drop(columns="weather"))


def test_a_backtest_is_a_fit_on_what_was_known_and_a_forecast_with_the_future_of_the_data():
    scores = forecaster([TINY, "naive"]).cross_validation(FRAME)
    assert list(scores) == ["unique_id", "ds", "cutoff", "y", "lstm", "naive"]
    late = FRAME.groupby("unique_id").cumcount(ascending=False) < H
    alone = forecaster().fit(FRAME[~late]).predict(futr_df=FRAME.loc[late, ["unique_id", "ds", "promo", "event"]])
    np.testing.assert_array_equal(scores["lstm"], alone["lstm"])


def poisoned(frame: pd.DataFrame, rows: int, poison: float) -> pd.DataFrame:
    """``frame`` with ``poison`` in the target and in what is known up to the cutoff, in the last ``rows`` of each."""
    place = frame.groupby("unique_id").cumcount(ascending=False)
    late = place < rows
    return frame.assign(
        y=frame["y"].mask(late, poison),
        price=frame["price"].mask(late, -poison),
        weather=frame["weather"].mask(late, "hail"),
    )


@pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")
@pytest.mark.parametrize(("refit", "poison"), [(False, 1e9), (True, 1e9), (False, np.nan)])
def test_what_comes_after_the_cutoff_never_changes_a_forecast(refit, poison):
    models = [TINY, "seasonal_naive"]
    clean = forecaster(models).cross_validation(FRAME, refit=refit, level=[80])
    other = forecaster(models).cross_validation(poisoned(FRAME, H, poison), refit=refit, level=[80])
    same(clean.drop(columns="y"), other.drop(columns="y"))


def test_what_is_known_ahead_does_change_a_backtest():
    late = FRAME.groupby("unique_id").cumcount(ascending=False) < H
    other = FRAME.assign(event=FRAME["event"].mask(late, "fair"), promo=FRAME["promo"].mask(late, 5.0))
    one, two = (forecaster().cross_validation(f)["lstm"] for f in (FRAME, other))
    assert not np.allclose(one, two)


def test_order_of_rows_and_columns_and_other_columns_change_nothing(fitted):
    expected = fitted.predict(futr_df=future(fitted))
    odd = FRAME.assign(junk="x", split=1.0, yhat=3.0)
    odd = odd[odd.columns[::-1]]
    again = forecaster().fit(odd)
    same(again.predict(futr_df=future(again).sample(frac=1.0, random_state=0).assign(y=1.0)), expected)


def test_frames_given_are_unchanged(fitted):
    frame, rows = FRAME.copy(deep=True), future(fitted)
    before = rows.copy(deep=True)
    fitted.predict(frame, futr_df=rows)
    fitted.plot(frame, futr_df=rows)
    with pytest.raises(DataError):
        fitted.predict(frame, futr_df=rows.assign(promo=np.inf))
    same(frame, FRAME)
    same(rows, before)


def test_labels_never_seen_before_count_as_unknown_with_a_warning(fitted):
    with pytest.warns(ForecastWarning, match="count as unknown .*event: 'comet'"):
        strange = fitted.predict(futr_df=future(fitted, event="comet"))
    same(strange, fitted.predict(futr_df=future(fitted, event=None)))


def test_a_saved_model_keeps_the_covariates_of_its_history(fitted, tmp_path):
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    rows = future(loaded)
    same(rows, future(fitted))
    same(loaded.predict(futr_df=rows, level=[80]), fitted.predict(futr_df=rows, level=[80]))
    again = loaded.save(tmp_path / "again")
    files = [{p.name: p.read_bytes() for p in folder.iterdir()} for folder in (tmp_path / "m", again)]
    assert files[0] == files[1]
    assert loaded.schema == fitted.schema
    with pytest.raises(DataError, match="Pass futr_df"):
        loaded.predict()


def drop(name: str):
    def change(manifest: dict) -> None:
        manifest["facts"][name] = []

    return change


def rename(manifest: dict) -> None:
    manifest["facts"]["futr"][0]["name"] = "other"


def recode(manifest: dict) -> None:
    manifest["facts"]["hist"][0]["kind"] = "labels"


@pytest.mark.parametrize(
    "change", [drop("hist"), drop("futr"), rename, recode], ids=["no hist", "no futr", "another name", "another kind"]
)
def test_covariates_that_do_not_fit_are_refused_on_loading(fitted, tmp_path, change):
    folder = fitted.save(tmp_path / "m")
    edit(folder, change)
    with pytest.raises(ArtifactError):
        Forecaster.load(folder)


def test_a_model_saved_before_there_were_covariates_loads(tmp_path):
    plain = Forecaster("naive", h=H, freq="MS", progress=False).fit(FRAME)
    folder = plain.save(tmp_path / "m")

    def older(manifest: dict) -> None:
        for name in ("hist", "futr"):
            del manifest["facts"][name]
        for name in ("hist_exog", "futr_exog"):
            del manifest["facts"]["schema"][name]

    edit(folder, older)
    same(Forecaster.load(folder).predict(), plain.predict())


class Deaf:
    """A naive model that says which roles it reads."""

    def __init__(self, **reads: bool) -> None:
        for role, value in reads.items():
            setattr(self, f"reads_{role}", value)

    def fit(self, panel, task):
        from forecast.models import create

        return create("naive").fit(panel, task)


def test_nets_that_cannot_use_a_role_are_named_once_before_training():
    models = {
        "one": Deaf(static=False, hist=False, futr=True),
        "two": Deaf(static=True, hist=False, futr=False),
        "naive": "naive",
    }
    told = (
        r"one, two cannot use covariates known up to the cutoff \('price', 'weather'\); "
        r"two cannot use covariates known into the future \('promo', 'event'\) and will be trained without"
    )
    with pytest.warns(ForecastWarning, match=told) as caught:
        forecaster(models).fit(FRAME)
    assert len([w for w in caught if issubclass(w.category, ForecastWarning)]) == 1


def test_an_ensemble_reads_what_its_members_read():
    from forecast.arguments import named_models
    from forecast.models import Ensemble

    (model,) = named_models(Ensemble(("lstm", "naive")), QUICK).values()
    assert (model.reads_hist, model.reads_futr) == (True, True)
    (model,) = named_models(Ensemble(("naive",)), QUICK).values()
    assert (model.reads_hist, model.reads_futr) == (False, False)


def test_the_command_line_takes_covariates(tmp_path, monkeypatch, fitted):
    monkeypatch.chdir(tmp_path)
    FRAME.to_parquet("data.parquet")
    future(fitted).to_csv("the future.csv", index=False)
    quick = [f"trainer.{key}={getattr(QUICK, key)}" for key in ("max_steps", "batch_size", "cycles", "validations")]
    net = ["model=lstm", "model.hidden_size=6", "data.input_size=12", "h=3", "freq=MS", "progress=false", *quick]
    roles = ["data.hist_exog=[price,weather]", "data.futr_exog=[promo,event]"]
    assert main(["fit", "data=data.parquet", *roles, *net, "output=m"]) == 0
    asked = ["predict", "model=m", "level=[]", "output=out.parquet"]
    assert main(asked) == 4
    assert main([*asked, "futr=the future.csv"]) == 0
    same(pd.read_parquet("out.parquet"), fitted.predict(futr_df=future(fitted)))
    assert main(["backtest", "data=data.parquet", *roles, *net, "data.rows=45", "baselines=[naive]"]) == 0
    (folder,) = Path("runs/backtest").iterdir()
    assert main(["report", f"run={folder}"]) == 0
