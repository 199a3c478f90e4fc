"""Models with conformal intervals: what is learned from what, saving, strange data, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast import ArtifactError, Calibrated, ConfigError, Forecaster, ForecastWarning, Intervals, Transformed
from forecast.conformal import ENOUGH, calibrate_sides
from forecast.ensemble import Ensemble
from forecast.ingest.door import to_panel
from forecast.intervals.scale import LocalScale, best_scale, candidates
from forecast.intervals.scoring import calibration_cutoffs
from forecast.models import MLP, ColdStart
from tests.intervals import processes

METHODS = ("split", "cross", "adaptive")
MODELS = {
    "baseline": "naive",
    "net": MLP(input_size=8, hidden_size=4),
    "ensemble": Ensemble(("naive", "historic_mean")),
    "transformed": Transformed("naive", ["log1p"]),
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return processes.long(np.abs(processes.ar1(np.random.default_rng(0), 5, 60)))


def made_of(table, method, quick, model="naive", h=2):
    return Forecaster({"m": model}, h, 1, training=quick, intervals=method, progress=False).fit(table)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_saved_model_has_the_same_intervals(table, quick, method, model, tmp_path):
    forecaster = made_of(table, method, quick, model)
    new = table[table["ds"] >= 50].assign(ds=lambda rows: rows["ds"] + 10)
    forecaster.update(new)
    expected = forecaster.predict(level=[80, 95], quantiles=[0.3])
    loaded = Forecaster.load(forecaster.save(tmp_path / "m"))
    pd.testing.assert_frame_equal(loaded.predict(level=[80, 95], quantiles=[0.3]), expected)
    assert loaded.summary().iloc[-1]["kind"] == f"{method} conformal"
    assert not list((tmp_path / "m").rglob("*.pkl"))
    later = new.assign(ds=new["ds"] + 10)
    pd.testing.assert_frame_equal(
        loaded.update(later).predict(level=80), forecaster.update(later).predict(level=80), rtol=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_points_are_the_models_own(table, quick, method, model):
    alone = Forecaster({"m": model}, 2, 1, training=quick, progress=False).fit(table).predict()
    pd.testing.assert_frame_equal(made_of(table, method, quick, model).predict(level=80)[alone.columns], alone)


@pytest.mark.parametrize("method", METHODS)
def test_rows_after_the_cutoff_change_nothing(table, quick, method):
    poisoned = table.assign(y=np.where(table["ds"] >= 55, 1e9, table["y"]))
    options = {"n_windows": 1, "test_size": None, "level": [80, 95]}
    model = {"m": MODELS["net"], "n": "naive"}
    results = []
    for frame in (table, poisoned):
        forecaster = Forecaster(model, 5, 1, training=quick, intervals=method, progress=False)
        results.append(forecaster.cross_validation(frame, **options).drop(columns="y"))
    pd.testing.assert_frame_equal(*results)


@pytest.mark.parametrize("method", METHODS)
def test_windows_are_judged_by_a_model_that_has_seen_only_what_came_before(table, method):
    """A model that knows by heart what it learned from would have errors of 0 there."""
    seen = []

    class ByHeart:
        def fit(self, panel, task):
            last = int(panel.last.max())
            seen.append(last)

            class Fitted:
                def predict(self, panel, h, probs=()):
                    from forecast.model import Prediction

                    assert panel.last.max() >= last  # judged from its last row on, never before
                    return Prediction(np.zeros((len(panel), h)), np.zeros((len(panel), h, 0)))

                def describe(self):
                    return {}

            return Fitted()

    Forecaster({"m": ByHeart()}, 2, 1, intervals=Intervals(method, windows=6), progress=False).fit(table)
    assert seen[0] == 59  # everything
    assert sorted(seen[1:]) == seen[1:]
    assert len(seen) == (4 if method == "cross" else 2)
    assert max(seen[1:]) < 58


def test_gaps_are_filled_from_what_came_before_the_cutoff_alone():
    values = np.random.default_rng(0).standard_normal(60)
    values[50:59] = np.nan
    widths = []
    for last in (100.0, 10_000.0):  # drawn across the gap, it would be foreseen
        values[59] = last
        options = {"missing": "interpolate", "intervals": Intervals(windows=1), "progress": False}
        fitted = Forecaster("naive", 1, 1, **options).fit(processes.long(values))._fitted["naive"]
        widths.append(fitted.sides.at(0.5, 1)[1][0])
    assert widths[1] / widths[0] == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_a_series_forecast_is_its_own_whatever_its_neighbours(table, quick, method):
    forecaster = made_of(table, method, quick)
    whole = forecaster.predict(level=[80, 95]).set_index("unique_id")
    alone = forecaster.predict(table[table["unique_id"] == "s0002"], level=[80, 95]).set_index("unique_id")
    pd.testing.assert_frame_equal(whole.loc[["s0002"]], alone)


numbers = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, 1e300, -1e300, 1e-300, 7.0]))


@settings(max_examples=25)
@given(
    values=st.lists(st.lists(numbers, min_size=24, max_size=24), min_size=1, max_size=3),
    method=st.sampled_from(METHODS),
    levels=st.lists(st.floats(1.0, 99.8), min_size=1, max_size=4, unique=True),
)
@pytest.mark.filterwarnings("ignore")
def test_quantiles_never_cross_and_wider_levels_hold_narrower_ones(values, method, levels):
    frame = processes.long(np.array(values))
    forecaster = Forecaster("naive", 2, 1, intervals=method, progress=False).fit(frame[frame["ds"] < 20])
    panel = forecaster.update(frame[frame["ds"] >= 20])._ready()[0]
    probs = tuple(sorted({0.5 + sign * level / 200 for level in levels for sign in (-1, 1)}))
    made = forecaster._fitted["naive"].predict(panel, 2, probs)
    assert np.isfinite(made.quantiles).all()
    assert (np.diff(made.quantiles, axis=2) >= 0).all()
    below = np.array(probs) < 0.5
    assert (made.quantiles[..., below] <= made.point[..., None]).all()
    assert (made.quantiles[..., ~below] >= made.point[..., None]).all()
    alone = [forecaster._fitted["naive"].predict(panel, 2, (prob,)).quantiles[..., 0] for prob in probs]
    np.testing.assert_array_equal(np.stack(alone, axis=-1), made.quantiles)


def test_the_ends_are_the_finite_sample_order_statistics_of_each_side():
    residuals = np.arange(-100.0, 300.0)[:, None]
    sides = calibrate_sides(residuals)
    low, high = sides.at(0.9, 1)
    assert high[0] == np.sort(residuals.ravel())[int(np.ceil(401 * 0.95)) - 1]
    assert -low[0] == -np.sort(-residuals.ravel())[int(np.ceil(401 * 0.95)) - 1]
    assert sides.count == 400


def test_few_residuals_have_one_width_for_both_sides():
    sides = calibrate_sides(np.random.default_rng(0).exponential(size=(ENOUGH // 4, 3)))
    np.testing.assert_array_equal(sides.lower, sides.upper)


def test_the_local_scale_is_the_weighted_mean_of_changes():
    panel = to_panel(processes.long(np.array([[1.0, 4.0, 2.0, 2.0], [5.0, 5.0, 5.0, 5.0]])), freq=1)
    scale = LocalScale(1, 2.0, 0.1).of(panel)
    weights = 0.5 ** (np.array([2, 1, 0]) / 2.0)
    assert scale[0] == pytest.approx(float(weights @ [3.0, 2.0, 0.0] / weights.sum()))
    assert scale[1] == pytest.approx(0.1 * 5.0 / 4)  # one usual change among three that were none


def test_the_scale_chosen_is_the_one_that_tells_errors_best():
    rng = np.random.default_rng(0)
    half_lives, relevant = candidates(1), 0
    frame = processes.long(processes.heteroscedastic(rng, 400, 120))
    panel = to_panel(frame, freq=1)
    measured = [scale.measured(panel) for scale in half_lives]
    errors = measured[relevant].changes[:, None] * rng.laplace(size=(400, 4))
    assert best_scale(half_lives, measured, errors)[1].half_life == half_lives[relevant].half_life


def test_series_of_zeros_and_constants_have_intervals_too():
    values = np.stack([np.zeros(40), np.full(40, 7.0), np.random.default_rng(0).standard_normal(40)])
    made = Forecaster("naive", 2, 1, intervals="adaptive", progress=False).fit(processes.long(values))
    width = made.predict(level=90).assign(width=lambda rows: rows["naive-hi-90"] - rows["naive-lo-90"])
    width = width.groupby("unique_id")["width"].min()
    assert width["s0000"] == 0.0  # nothing in it says how it moves
    assert 0.0 < width["s0001"] < 7.0
    assert width["s0002"] > 0.5


def test_too_few_rows_for_a_second_fit_are_told(quick):
    frame = processes.long(np.random.default_rng(0).standard_normal((2, 9)))
    model = MLP(input_size=6, hidden_size=2)
    forecaster = Forecaster({"m": model}, 4, 1, training=quick, intervals="split", progress=False)
    with pytest.warns(ForecastWarning, match="too few rows before the calibration windows"):
        forecaster.fit(frame, val_size=0)
    assert np.isfinite(forecaster.predict(level=80)["m-hi-80"]).all()


def test_as_many_windows_as_asked_for_end_with_the_series(table):
    panel = to_panel(table, freq=1)
    cutoffs = calibration_cutoffs(panel, 2, 5, 4)
    assert cutoffs.shape == (5, 5)
    assert (cutoffs[-1] == 57).all()
    assert (np.diff(cutoffs, axis=0) > 0).all()
    assert len(calibration_cutoffs(panel, 2, None, 4)) >= 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("jackknife", "not one of split, cross, adaptive"),
        (3, "neither one of split"),
        ({"method": "split", "width": 3}, "has no 'width'"),
        ({"windows": 0}, "windows=0"),
        ({"levels": [90, 80]}, "rising percentages"),
        ({"step_sizes": [5.0]}, "step_sizes"),
        ({"folds": 1}, "folds=1"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(given, said):
    with pytest.raises(ConfigError, match=said):
        Forecaster("naive", 2, 1, intervals=given)


def test_intervals_are_asked_for_once_and_last():
    with pytest.raises(ConfigError, match="already"):
        Forecaster(Calibrated("naive", "split"), 2, 1, intervals="cross")
    with pytest.raises(ConfigError, match="intervals already"):
        Transformed(Calibrated("naive", "split"), ["log1p"])
    with pytest.raises(ConfigError, match="no local scale"):
        Forecaster(ColdStart(), 2, 1, intervals="split")


def test_coverage_beyond_the_tables_is_refused(table, quick):
    with pytest.raises(ConfigError):
        made_of(table, "split", quick).predict(level=99.99)


def test_summary_and_settings_tell_what_was_asked(table, quick):
    made = made_of(table, {"method": "adaptive", "windows": 4}, quick)
    assert made.models["m"].settings == Intervals("adaptive", windows=4)
    told = made._fitted["m"].describe()["intervals"]
    assert told["method"] == "adaptive"
    assert told["calibration_windows"] == 20
    json.dumps(told)


@pytest.mark.parametrize("harm", ["tables", "state", "nested"])
def test_a_damaged_save_is_refused(table, quick, harm):
    from forecast import persist

    stored = made_of(table, "adaptive", quick)._artifact()
    arrays, facts = dict(stored.arrays["model"]), json.loads(json.dumps(stored.facts))
    if harm == "tables":
        arrays["0.intervals.upper"] = -arrays["0.intervals.upper"]
    elif harm == "state":
        arrays["0.tracker.belief"] = arrays["0.tracker.belief"] * 2
    else:
        facts["models"][0]["model"] = facts["models"][0]
    broken = type(stored)(facts, {**stored.arrays, "model": arrays})
    with pytest.raises(ArtifactError):
        persist.from_artifact(broken)
