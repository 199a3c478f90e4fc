"""Forecasts of events and of classes, from the frame to the report."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from forecast import ConfigError, DataError, Forecaster, Training, Transformed
from forecast.ensemble import Ensemble
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import SegRNN
from forecast.training.neural import Neural

H = 7


def weekly_events(series: int = 30, rows: int = 210) -> pd.DataFrame:
    """1 with a probability that follows the day of the week."""
    rng = np.random.default_rng(0)
    steps = np.tile(np.arange(rows), series)
    chance = 0.5 + 0.45 * np.sin(2 * np.pi * steps / 7)
    times = np.tile(pd.date_range("2026-01-05", periods=rows), series)
    values = (rng.random(series * rows) < chance).astype(float)
    return pd.DataFrame({"unique_id": np.repeat(np.arange(series), rows), "ds": times, "y": values})


def weekly_classes(series: int = 30, rows: int = 210) -> pd.DataFrame:
    """One of 2, 5 and 9, most often the one of the day."""
    rng = np.random.default_rng(1)
    steps = np.tile(np.arange(rows), series)
    usual = np.array([2.0, 2.0, 5.0, 5.0, 5.0, 9.0, 9.0])[steps % 7]
    values = np.where(rng.random(series * rows) < 0.85, usual, rng.choice([2.0, 5.0, 9.0], series * rows))
    frame = weekly_events(series, rows)
    return frame.assign(y=values)


def forecaster(likelihood: str, **options) -> Forecaster:
    model = {"net": SegRNN(input_size=28, hidden_size=16, likelihood=likelihood)}
    return Forecaster(model, h=H, freq="D", max_steps=150, progress=False, **options)


@pytest.fixture(scope="module")
def events() -> Forecaster:
    return forecaster("bernoulli").fit(weekly_events())


@pytest.fixture(scope="module")
def classes() -> Forecaster:
    return forecaster("categorical").fit(weekly_classes())


def test_an_event_forecast_is_a_probability(events):
    frame = events.predict()
    assert frame.columns.tolist() == ["unique_id", "ds", "net", "net-p-1"]
    assert frame["net"].between(0, 1).all() and (frame["net"] == frame["net-p-1"]).all()
    chance = 0.5 + 0.45 * np.sin(2 * np.pi * np.arange(210, 217) / 7)
    assert np.abs(frame["net"].to_numpy().reshape(-1, H).mean(0) - chance).max() < 0.12


def test_event_forecasts_tell_likely_days_from_unlikely_ones_in_a_backtest():
    scored = forecaster("bernoulli").cross_validation(weekly_events(), n_windows=3)
    assert roc_auc_score(scored["y"], scored["net"]) > 0.78  # the true probabilities reach 0.82
    assert ((scored["net"] - scored["y"]) ** 2).mean() < 0.19  # 0.25 by tossing a coin


def test_a_class_forecast_has_the_probability_of_every_class(classes):
    frame = classes.predict()
    shares = frame[["net-p-2", "net-p-5", "net-p-9"]].to_numpy()
    assert np.allclose(shares.sum(1), 1.0) and (shares >= 0).all()
    assert frame["net"].isin([2.0, 5.0, 9.0]).all()
    assert (np.array([2.0, 5.0, 9.0])[shares.argmax(1)] == frame["net"]).all()
    usual = np.tile([2.0, 2.0, 5.0, 5.0, 5.0, 9.0, 9.0], 30)
    assert (frame["net"].to_numpy() == usual).mean() > 0.9


def test_probabilities_survive_saving_and_loading(events, classes, tmp_path):
    for number, fitted in enumerate((events, classes)):
        fitted.save(tmp_path / str(number))
        pd.testing.assert_frame_equal(Forecaster.load(tmp_path / str(number)).predict(), fitted.predict())


def test_futures_of_events_and_classes_are_events_and_classes(events, classes):
    assert set(events.predict(samples=50)["net"]) == {0.0, 1.0}
    drawn = classes.predict(samples=200)
    assert set(drawn["net"]) <= {2.0, 5.0, 9.0}
    share = (drawn["net"] == 9.0).groupby([drawn["unique_id"], drawn["ds"]]).mean().to_numpy()
    assert np.abs(share - classes.predict()["net-p-9"].to_numpy()).max() < 0.03


def test_values_that_are_no_events_are_named():
    wrong = weekly_events()
    wrong.loc[5, "y"] = 3.0
    with pytest.raises(DataError, match=r"0 and 1.*3.*series|0 and 1.*\(3\)"):
        forecaster("bernoulli").fit(wrong)


@pytest.mark.parametrize(
    ("likelihood", "value", "what"),
    [("poisson", 1.5, "whole numbers"), ("negative_binomial", -1.0, "whole numbers"), ("log_normal", 0.0, "positive")],
)
def test_values_that_a_likelihood_cannot_have_are_named(likelihood, value, what):
    wrong = weekly_events().assign(y=lambda frame: frame["y"] + 1.0)
    wrong.loc[5, "y"] = value
    with pytest.raises(DataError, match=what):
        forecaster(likelihood).fit(wrong)


def test_a_class_that_was_never_met_is_told_and_read_as_unknown(classes):
    strange = weekly_classes()
    strange.loc[strange.index[-3:], "y"] = 7.0
    with pytest.warns(UserWarning, match="classes 7 did not occur"):
        assert classes.predict(strange)["net"].isin([2.0, 5.0, 9.0]).all()


def test_one_class_alone_is_refused():
    with pytest.raises(Exception, match="2 to 100 classes"):
        forecaster("categorical").fit(weekly_classes().assign(y=2.0))


def test_missing_events_are_unknown_not_zero(events):
    holes = weekly_events()
    holes.loc[holes["ds"].dt.day.isin([10, 20]), "y"] = np.nan
    frame = forecaster("bernoulli").fit(holes).predict()
    assert frame["net"].between(0, 1).all()


def sparse_counts(rows: int = 200, series: int = 40, size: float = 1000.0) -> pd.DataFrame:
    """Counts of about ``size`` at one step in sixteen; the last twelve steps of every series have none."""
    rng = np.random.default_rng(2)
    values = np.where(rng.random((series, rows)) < 1 / 16, np.round(size * rng.gamma(20.0, 0.05, (series, rows))), 0.0)
    values[:, -12:] = 0.0
    return pd.DataFrame(
        {"unique_id": np.repeat(np.arange(series), rows), "ds": np.tile(np.arange(rows), series), "y": values.ravel()}
    )


@pytest.mark.parametrize("likelihood", ["tweedie", "negative_binomial"])
def test_a_window_of_zeros_alone_is_told_in_the_units_of_its_series(likelihood):
    frame = sparse_counts()
    model = {"net": SegRNN(input_size=12, hidden_size=8, likelihood=likelihood)}
    fc = Forecaster(model, h=2, freq=1, max_steps=500, progress=False).fit(frame)
    mean = fc.predict(statistics="mean")["net-mean"].mean()
    assert 0.3 * frame["y"].mean() < mean < 4.0 * frame["y"].mean()
    if likelihood == "tweedie":  # no unit is better than another
        larger = Forecaster(model, h=2, freq=1, max_steps=500, progress=False).fit(frame.assign(y=frame["y"] * 1000))
        assert larger.predict(statistics="mean")["net-mean"].mean() == pytest.approx(1000 * mean, rel=0.01)


@pytest.mark.filterwarnings("ignore:classes 11 did not occur")
def test_a_class_that_a_fold_had_not_met_is_impossible_there():
    frame = weekly_classes(series=8, rows=84)
    frame.loc[frame["ds"] >= frame["ds"].max() - pd.Timedelta(days=19), "y"] = 11.0
    scored = forecaster("categorical").cross_validation(frame, n_windows=2, refit=True)
    assert scored.filter(like="-p-").notna().all(axis=None)
    assert "net-p-11" in scored and (scored.loc[scored["cutoff"] == scored["cutoff"].min(), "net-p-11"] == 0).all()


def test_large_class_numbers_have_columns_of_their_own():
    frame = weekly_classes(series=8, rows=84)
    frame["y"] = frame["y"].map({2.0: 1_000_000.0, 5.0: 1_000_001.0, 9.0: 2_000_000.0})
    assert list(forecaster("categorical").fit(frame).predict().columns[3:]) == [
        "net-p-1000000",
        "net-p-1000001",
        "net-p-2000000",
    ]


def test_ensembles_average_probabilities_of_events_and_refuse_what_has_no_mean():
    both = {"segrnn": {"likelihood": "bernoulli"}, "gru": {"likelihood": "bernoulli"}}
    options = {"h": H, "freq": "D", "max_steps": 3, "progress": False}
    frame = (
        Forecaster(Ensemble(("segrnn", "gru"), settings=both), **options).fit(weekly_events(6, 84)).predict(level=80)
    )
    assert (frame["ensemble"] == frame["ensemble-p-1"]).all() and frame["ensemble-hi-80"].isin([0.0, 1.0]).all()
    with pytest.raises(ConfigError, match="naive.*values"):
        Forecaster(Ensemble(("segrnn", "naive"), settings={"segrnn": both["segrnn"]}), **options).fit(
            weekly_events(6, 84)
        )
    classes = {"segrnn": {"likelihood": "categorical"}}
    with pytest.raises(ConfigError, match="no mean"):
        Forecaster(Ensemble(("segrnn", "gru"), settings=classes), **options).fit(weekly_classes(6, 84))


def test_what_makes_no_sense_of_events_classes_and_counts_is_refused_with_a_way_out():
    for likelihood in ("bernoulli", "categorical"):
        with pytest.raises(ConfigError, match="intervals around them mean nothing"):
            forecaster(likelihood, intervals="split")
    chained = {"net": Transformed(SegRNN(likelihood="poisson"), ["log1p"])}
    with pytest.raises(ConfigError, match="student_t"):
        Forecaster(chained, h=H, freq="D", max_steps=2, progress=False).fit(weekly_events(6, 84))
    with pytest.raises(ConfigError, match="missing='mask'"):
        forecaster("categorical", missing="interpolate").fit(weekly_classes(6, 84))
    with pytest.raises(ConfigError, match="outliers"):
        forecaster("poisson", outliers="clip").fit(weekly_events(6, 84))


def test_classes_have_probabilities_instead_of_means_and_crossings(classes):
    with pytest.raises(ConfigError, match="-p- columns"):
        classes.predict(statistics="mean")


def test_new_data_are_checked_as_the_training_data_were(events):
    with pytest.raises(DataError, match="0 and 1"):
        events.predict(weekly_events().assign(y=lambda frame: 5 * frame["y"]))


def test_a_transformed_model_without_transforms_keeps_its_probabilities():
    model = {"net": Transformed(SegRNN(input_size=14, hidden_size=4, likelihood="bernoulli"), [], non_negative=True)}
    fc = Forecaster(model, h=H, freq="D", max_steps=3, progress=False).fit(weekly_events(6, 84))
    assert "net-p-1" in fc.predict() and set(fc.predict(samples=20)["net"]) <= {0.0, 1.0}


def test_training_begins_anew_where_weights_mean_something_else():
    panel = to_panel(weekly_classes(6, 84), freq="D")
    model = Neural(SegRNN(input_size=14, hidden_size=4, likelihood="categorical"), Training(max_steps=2))
    task = Task(H, 7, progress=False)
    first = model.fit(panel, task)
    other = to_panel(weekly_classes(6, 84).assign(y=lambda frame: frame["y"] + 1), freq="D")
    assert model.continued(first).fit(panel, task).history["start"] == "warm"
    assert "classes" in model.continued(first).fit(other, task).history["start"]
