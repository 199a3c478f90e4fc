"""Sample paths: coherent futures of every model, and what is counted on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from forecast import ConfigError, Forecaster
from forecast.models import DeepAR, SegRNN
from forecast.paths import chains, correlation, crossings, grid, scores_of, through

H = 6


def panel_frame(length: int = 80, series: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    steps = np.tile(np.arange(length), series)
    values = 10 + 3 * np.sin(steps * 2 * np.pi / 7) + rng.normal(size=length * series)
    return pd.DataFrame({"unique_id": np.repeat([f"s{n}" for n in range(series)], length), "ds": steps, "y": values})


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    models = {
        "quantiles": SegRNN(input_size=14, hidden_size=8, quantiles=(0.1, 0.9)),
        "points": SegRNN(input_size=14, hidden_size=8),
        "sampled": DeepAR(input_size=14, hidden_size=8),
        "naive": "seasonal_naive",
    }
    return Forecaster(models, h=H, freq=1, season_length=7, max_steps=4, progress=False).fit(panel_frame())


def test_samples_come_as_a_long_frame_with_a_row_for_every_series_sample_and_step(fitted):
    frame = fitted.predict(samples=10)
    assert frame.columns.tolist() == ["unique_id", "sample", "ds", "quantiles", "points", "sampled", "naive"]
    assert len(frame) == 3 * 10 * H and frame.notna().all().all()
    first = frame[frame["unique_id"] == "s0"]
    assert first["sample"].tolist() == np.repeat(np.arange(10), H).tolist()
    assert first["ds"].tolist() == list(range(80, 80 + H)) * 10


@pytest.mark.parametrize("model", ["quantiles", "points", "sampled", "naive"])
def test_the_quantiles_of_many_paths_are_those_that_are_forecast(fitted, model):
    drawn = fitted.predict(samples=2000)
    wide = fitted.predict(quantiles=[0.2, 0.5, 0.8])
    grouped = drawn.groupby(["unique_id", "ds"])[model]
    spread = (wide[f"{model}-q-0.8"] - wide[f"{model}-q-0.2"]).to_numpy()
    for q in (0.2, 0.5, 0.8):
        off = np.abs(grouped.quantile(q).to_numpy() - wide[f"{model}-q-{q}"].to_numpy())
        # DeepAR's own quantiles are those of a hundred samples
        assert (off <= (0.2 if model == "sampled" else 0.06) * spread + 1e-9).all()


def test_paths_do_not_depend_on_the_other_series(fitted):
    whole, alone = panel_frame(), panel_frame().query("unique_id == 's1'")
    both = fitted.predict(whole, samples=5).query("unique_id == 's1'").reset_index(drop=True)
    pd.testing.assert_frame_equal(both, fitted.predict(alone, samples=5), rtol=1e-5)


def test_the_same_seed_draws_the_same_futures_and_another_seed_others(fitted):
    first, again, other = (fitted.simulate(samples=5, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    for model in fitted.models:
        assert not np.allclose(first[model], other[model])


def test_simulated_futures_have_the_spread_of_the_forecast(fitted):
    drawn = fitted.simulate(samples=4000, seed=3).groupby(["unique_id", "ds"])["naive"].std().to_numpy()
    wide = fitted.predict(level=80)
    deviation = (wide["naive-hi-80"] - wide["naive-lo-80"]).to_numpy() / (2 * norm.ppf(0.9))
    assert np.allclose(drawn, deviation, rtol=0.08)


def test_a_crossing_is_at_least_as_probable_by_a_step_as_at_it_and_grows(fitted):
    frame = fitted.crossing(threshold=12.0, samples=500)
    for model in fitted.models:
        at, by = (frame[f"{model}-{end}"].to_numpy().reshape(3, H) for end in ("at", "by"))
        assert (by >= at).all() and (np.diff(by, axis=1) >= 0).all() and (by[:, 0] == at[:, 0]).all()
    below = fitted.crossing(threshold=12.0, above=False, samples=500)
    for model in fitted.models:
        assert np.allclose(frame[f"{model}-at"] + below[f"{model}-at"], 1.0)


def test_the_mean_and_the_median_have_columns_of_their_own_when_asked(fitted):
    frame = fitted.predict(statistics=["mean", "median"])
    assert np.allclose(frame["points-median"], fitted.predict(quantiles=0.5)["points-q-0.5"])
    assert np.allclose(frame["naive-mean"], frame["naive"], atol=0.02)  # symmetric about its point
    with pytest.raises(ConfigError, match="mode.*mean, median"):
        fitted.predict(statistics="mode")


@pytest.mark.parametrize("wrong", [{"samples": 1}, {"samples": 10.5}, {"samples": 10, "level": 80}, {"samples": 10**9}])
def test_samples_that_cannot_be_drawn_are_refused(fitted, wrong):
    with pytest.raises(ConfigError, match="samples"):
        fitted.predict(**wrong)


@pytest.mark.parametrize("threshold", [np.nan, "10", True])
def test_a_threshold_is_a_finite_number(fitted, threshold):
    with pytest.raises(ConfigError, match="threshold"):
        fitted.crossing(threshold=threshold)


def test_crossings_by_hand():
    paths = np.array([[[1.0, 3.0, 1.0], [3.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 3.0]]])
    at, by = crossings(paths, 2.0, above=True)
    assert at.tolist() == [[0.25, 0.25, 0.25]] and by.tolist() == [[0.25, 0.5, 0.75]]
    assert crossings(paths, 2.0, above=False)[0].tolist() == [[0.75, 0.75, 0.75]]


@given(st.floats(0.0, 0.99))
def test_chains_are_standard_normal_with_the_correlation_asked(tied):
    noise = np.random.default_rng(0).standard_normal((20_000, 3))
    chain = chains(noise, np.array([tied]))[0]
    assert np.allclose(chain.std(1), 1.0, atol=0.03)
    assert np.corrcoef(chain)[0, 1] == pytest.approx(tied, abs=0.03)
    assert np.corrcoef(chain)[0, 2] == pytest.approx(tied**2, abs=0.03)


@given(st.lists(st.floats(-2.9, 2.9), min_size=1, max_size=5))
def test_scores_and_values_are_each_others_inverse(wanted):
    nodes = norm.ppf(grid(0.001, 0.999))
    quantiles = (5.0 + 2.0 * nodes)[None, None]  # a normal distribution
    scores = np.array(wanted)[None, None]
    values = through(quantiles, nodes, scores)
    assert np.allclose(values, 5.0 + 2.0 * scores)
    found = scores_of(values[0].T, np.repeat(quantiles, len(wanted), axis=0)[:, 0][:, None], nodes)
    assert np.allclose(found[:, 0], wanted, atol=1e-6)


def test_whole_values_stay_whole_and_reach_the_score():
    nodes = norm.ppf([0.25, 0.5, 0.75])
    quantiles = np.array([[[0.0, 1.0, 4.0]]])
    scores = norm.ppf([[[0.1, 0.3, 0.6, 0.9]]])
    assert through(quantiles, nodes, scores, whole=True).tolist() == [[[0.0, 1.0, 4.0, 4.0]]]


def test_errors_that_persist_make_paths_that_persist():
    rng = np.random.default_rng(1)
    walk = pd.DataFrame({"unique_id": "walk", "ds": np.arange(400), "y": np.cumsum(rng.normal(size=400))})
    noise = pd.DataFrame({"unique_id": "noise", "ds": np.arange(400), "y": rng.normal(size=400)})
    models = {"naive": "naive", "mean": "historic_mean"}
    fc = Forecaster(models, h=12, freq=1, progress=False).fit(pd.concat([walk, noise]))
    panel = fc._ready()[0]
    order = panel.ids.tolist()
    assert correlation(fc._fitted["naive"], panel, 12)[order.index("walk")] > 0.75
    assert correlation(fc._fitted["mean"], panel, 12)[order.index("noise")] < 0.35
    drawn = fc.simulate(samples=2000, seed=0).query("unique_id == 'walk'")["naive"].to_numpy().reshape(2000, 12)
    assert np.corrcoef(drawn[:, 10], drawn[:, 11])[0, 1] > 0.7
