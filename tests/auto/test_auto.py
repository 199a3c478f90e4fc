"""`auto` end to end: what it promises on held-out rows, in a given time, on short and odd panels."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from forecast import Forecaster, Training
from forecast.auto.candidates import named, nets
from forecast.auto.clock import Clock
from forecast.auto.finals import _again
from forecast.auto.model import Auto
from forecast.auto.race import Trial
from forecast.errors import ConfigError
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.training.neural import FittedNeural
from tests.conftest import seasonal_frame

FEW = Auto(models=("seasonal_naive", "naive", "theta", "segrnn"))


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting processes takes longer than these tiny trainings."""
    monkeypatch.setenv("FORECAST_WORKERS", "1")


def auto(spec: Auto = FEW, steps: int = 2, **arguments: object) -> Forecaster:
    settings = Training(max_steps=steps, batch_size=8, cycles=1, validations=1)
    return Forecaster({"auto": spec}, **{"h": 6, "freq": "MS", "training": settings, "progress": False} | arguments)


def account(forecaster: Forecaster) -> dict:
    return forecaster._fitted["auto"].describe()


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORECAST_WORKERS", "1")
        return auto().fit(seasonal_frame(length=80))


def test_it_tells_what_it_tried_and_why(fitted: Forecaster) -> None:
    told = account(fitted)
    assert [trial["name"] for trial in told["tried"]] == ["seasonal_naive", "naive", "theta", "segrnn"]
    assert all(np.isfinite(trial["mase"]) for trial in told["tried"])
    assert "held-out horizons" in told["why"]
    assert told["folds"] == 3 and told["series_judged"] == 3


def test_on_held_out_rows_it_is_not_worse_than_its_best_baseline(fitted: Forecaster) -> None:
    told = account(fitted)
    baselines = [trial["loss"] for trial in told["tried"] if trial["name"] != "segrnn"]
    assert told["validation"]["loss"] <= min(baselines) + 1e-12


def test_steps_instead_of_seconds_make_it_repeatable(fitted: Forecaster) -> None:
    again = auto().fit(seasonal_frame(length=80))
    pd.testing.assert_frame_equal(again.predict(level=[80]), fitted.predict(level=[80]), check_exact=True)


def test_it_survives_save_and_load(fitted: Forecaster, tmp_path) -> None:
    fitted.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.predict(level=[80]), fitted.predict(level=[80]), check_exact=True)
    assert account(loaded)["why"] == account(fitted)["why"]


def test_a_new_series_gets_the_common_weights(fitted: Forecaster) -> None:
    new = seasonal_frame(series=1, length=40, seed=7).assign(unique_id="new")
    assert np.isfinite(fitted.predict(new)["auto"]).all()


def test_the_last_rows_decide_nothing_before_their_cutoff() -> None:
    """What follows the first cutoff of the folds cannot reach the nets that forecast from it."""
    from forecast.auto.candidates import named
    from forecast.auto.folds import cut_folds
    from forecast.auto.race import race_nets
    from forecast.ingest.door import to_panel
    from forecast.model import Task

    frame = seasonal_frame(length=80)
    changed = frame.copy()
    changed.loc[changed.groupby("unique_id").cumcount() >= 62, "y"] *= 100  # the first cutoff is row 62 at most
    forecasts = []
    for data in (frame, changed):
        task = Task(6, 12, progress=False)
        folds = cut_folds(to_panel(data), task)
        assert folds is not None
        settings = Training(max_steps=2, batch_size=8, cycles=1, validations=1)
        trial = race_nets(named(("segrnn",)), folds, task, settings, Clock(None), 1)[0]
        assert trial.entered
        forecasts.append(trial.forecasts[:, 0])
    np.testing.assert_array_equal(*forecasts)


def test_yearly_series_of_fourteen_points_work_out_of_the_box() -> None:
    frame = seasonal_frame(series=4, length=14, season=1, freq="YS")
    forecaster = auto(Auto(), freq="YS", h=4).fit(frame)
    assert np.isfinite(forecaster.predict(level=[80]).drop(columns=["unique_id", "ds"])).all(axis=None)


def test_nets_of_several_snapshots_race_as_far_as_they_can_have_them() -> None:
    settings = Training(max_steps=6, batch_size=8, cycles=2, validations=1, snapshots=2)
    spec = Auto(models=("naive", "segrnn"))
    assert np.isfinite(auto(spec, training=settings).fit(seasonal_frame(length=80)).predict()["auto"]).all()
    streams = [c for c in nets(to_panel(seasonal_frame()), Task(6, 12)) if "stateful" in c.changes]
    assert [c.model(settings).training.snapshots for c in streams] == [1, 1]


def test_a_net_that_is_trained_again_has_no_more_snapshots_than_cycles() -> None:
    curves = [{"step": 2, "cycle": 0}, {"step": 6, "cycle": 1}]
    for best, count in ((2, 1), (6, 2)):
        heat = FittedNeural(None, None, None, None, {"best_step": best, "curves": curves})
        again = _again(Trial(named(("segrnn",))[0], 1.0, fitted=heat), Training(cycles=3, snapshots=3))
        assert (again.max_steps, again.cycles, again.snapshots) == (best, count, count)


def test_series_too_short_to_hold_anything_out_get_a_forecast_and_are_told_about() -> None:
    frame = seasonal_frame(series=2, length=6, season=1, freq="YS")
    forecaster = auto(Auto(), freq="YS", h=6).fit(frame)
    assert np.isfinite(forecaster.predict()["auto"]).all()
    assert "long enough" in account(forecaster)["why"]


@pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")
def test_a_constant_and_a_gappy_series_work() -> None:
    frame = seasonal_frame(length=80)
    frame.loc[frame["unique_id"] == "s0", "y"] = 7.0
    frame.loc[(frame["unique_id"] == "s1") & (frame.index % 5 == 0), "y"] = np.nan
    forecast = auto().fit(frame).predict()
    assert np.isfinite(forecast["auto"]).all()
    assert forecast.loc[forecast["unique_id"] == "s0", "auto"].to_numpy() == pytest.approx(7.0)


def test_a_budget_in_seconds_is_kept() -> None:
    started = time.monotonic()
    spec = Auto(max_time=6.0, models=("seasonal_naive", "naive", "segrnn"))
    forecaster = Forecaster({"auto": spec}, h=6, freq="MS", progress=False).fit(seasonal_frame(length=80))
    assert account(forecaster)["seconds"] <= 6.0 + 6.0  # a busy machine may be late, but not by another budget
    assert time.monotonic() - started < 60


def test_a_budget_that_is_gone_after_the_race_leaves_the_nets_as_they_are() -> None:
    spec = Auto(max_time=0.01, models=("naive", "mlp"))
    forecaster = Forecaster({"auto": spec}, h=6, freq="MS", progress=False).fit(seasonal_frame(length=80))
    assert np.isfinite(forecaster.predict()["auto"]).all()
    assert {trial["name"] for trial in account(forecaster)["tried"]} == {"naive", "mlp"}


def test_nets_alone_can_be_candidates() -> None:
    told = account(auto(Auto(models=("mlp", "linear"))).fit(seasonal_frame(length=80)))
    assert {member["name"] for member in told["members"]} <= {"mlp", "linear"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Auto(max_time=0.0), "max_time=0.0 must be a positive number"),
        (Auto(models=("naive", "auto")), "auto is an ensemble itself"),
        (Auto(models=("naive", "cold_start")), "cold_start forecasts by age and cannot be raced"),
    ],
)
def test_impossible_settings_are_refused(spec: Auto, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Forecaster({"auto": spec}, h=2)


def test_a_clock_without_a_limit_never_runs_out() -> None:
    assert Clock(None).left() == Clock(None).share(0.1) == float("inf")
    assert Clock(100.0).share(0.1) == pytest.approx(10.0)
    assert Clock(100.0, started=time.monotonic() - 200).left() == 0.0


def test_settings_for_drawing_windows_do_not_stop_the_nets_that_read_whole_series() -> None:
    settings = Training(max_steps=2, batch_size=8, cycles=1, validations=1, sampling="series", recency=0.5)
    forecaster = Forecaster("auto", h=6, freq="MS", training=settings, progress=False).fit(seasonal_frame(length=80))
    assert {"lstm_stateful", "segrnn"} <= {trial["name"] for trial in account(forecaster)["tried"]}
