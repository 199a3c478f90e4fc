"""A forecast depends on its own series only, and moves with it: order, names, neighbours, units, times, spellings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from forecast import Forecaster
from forecast.models import entries
from tests.invariants.models import (
    GROUPS,
    NETS,
    close,
    fitted,
    fitted_for,
    forecaster,
    holds,
    in_order,
    panels,
    predict,
    same,
    tables,
)
from tests.invariants.panels import ZONE, H, Sample, panel, series_rows, stamps

pytestmark = pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")

# Where a row stands in a batch decides in which order its products are summed: float32 rounds differently.
ROUNDING = 1e-5
LEVELLED = {"nets": NETS, "closed": ("naive", "seasonal_naive", "drift", "historic_mean")}
SEASONS = {"D": 7, "h": 24, "MS": 12, "ME": 12, "W-MON": 52, "B": 5, "QS": 4, "15min": 96, 1: 1}
SPELLINGS = {
    "D": ["1D", "24h"],
    "h": ["1h", "60min", "3600s"],
    "MS": ["1MS", "MS-1"],
    "ME": ["1ME"],
    "W-MON": ["1W-MON", "7D"],
    "B": ["1B"],
    "QS": ["QS-JAN", "3MS", "1QS"],
    "15min": ["900s"],
}


def test_every_baseline_is_in_a_group():
    tried = {name for group in GROUPS.values() for name in group}
    assert tried - set(NETS) == {name for name, entry in entries().items() if entry.group == "baseline"}


@pytest.mark.parametrize("group", GROUPS)
def test_order_of_rows_series_and_columns_and_other_columns_change_nothing(group):
    @holds(group, sample=panels(group), seed=st.integers(0, 9))
    def check(sample, seed):
        def change(table):
            turned = table.sample(frac=1.0, random_state=seed)[table.columns[::-1]]
            return turned.drop(columns="place", errors="ignore")

        models = fitted_for(group, sample)
        given = sample.mapped(pd.DataFrame.copy)
        expected = predict(models, sample)
        other = sample.mapped(change)
        close(predict(models, other), expected, sample.size, ROUNDING)
        junk = replace(sample, frame=sample.frame.assign(yhat="x", split=1.0))
        same(predict(models, junk), expected)  # and forecasting twice gives the same
        for table in ("frame", "future", "static"):
            if getattr(given, table) is not None:
                same(getattr(sample, table), getattr(given, table))  # the caller's frames are as they were


@pytest.mark.parametrize("group", GROUPS)
def test_names_of_series_change_nothing(group):
    @holds(group, sample=panels(group))
    def check(sample):
        models = fitted_for(group, sample)
        renamed = sample.mapped(lambda table: table.assign(unique_id="x" + table["unique_id"]))
        out = predict(models, renamed)
        same(out.assign(unique_id=out["unique_id"].str[1:]), predict(models, sample))


@pytest.mark.parametrize("group", GROUPS)
def test_neighbours_change_nothing_and_twins_are_forecast_alike(group):
    @holds(group, sample=panels(group, series=3))
    def check(sample):
        models, chosen = fitted_for(group, sample), sample.ids[0]
        alone = sample.of(chosen)
        expected = predict(models, alone)
        among = predict(models, sample)
        close(in_order(among[among["unique_id"] == chosen]), expected, sample.size, ROUNDING)
        twin = alone.mapped(lambda table: table.assign(unique_id="twin"))
        loud = alone.mapped(lambda table: table.assign(unique_id="loud"))
        loud = loud.with_y(lambda y: -1e3 * y + 1e6 * np.arange(len(y)))
        crowd = predict(models, loud.beside(alone).beside(twin))
        close(in_order(crowd[crowd["unique_id"] == chosen]), expected, sample.size, ROUNDING)
        twins = in_order(crowd[crowd["unique_id"] == "twin"].assign(unique_id=chosen))
        close(twins, expected, sample.size, ROUNDING)


@pytest.mark.parametrize("group", GROUPS)
def test_a_forecast_is_in_the_unit_of_its_series(group):
    """A power of two changes no digit of any number, so it must change none of a forecast: searches included."""

    @holds(group, sample=panels(group), power=st.integers(-30, 30))
    def check(sample, power):
        models, unit = fitted_for(group, sample), 2.0**power
        expected = predict(models, sample)
        numbers = expected.columns[2:]
        expected[numbers] = expected[numbers] * unit
        scaled = sample.with_y(lambda y: y * unit)
        close(predict(models, scaled), expected, scaled.size, 1e-9)


@pytest.mark.parametrize("group", LEVELLED)
def test_level_and_unit_pass_through(group):
    """Of models whose form does not depend on the level. Seasons that are ratios (naive2) and forms that are chosen
    among additive and multiplicative ones (ets, theta and theirs) do."""

    @holds(group, sample=panels(group), unit=st.floats(0.01, 100), shift=st.floats(-1e3, 1e3))
    def check(sample, unit, shift):
        models = fitted_for(group, sample)
        expected = predict(models, sample)
        numbers = [name for name in expected if name.split("-")[0] in LEVELLED[group]]
        level = shift * sample.size.max()
        expected[numbers] = unit * (expected[numbers] + level)
        moved = sample.with_y(lambda y: unit * (y + level))
        rtol = 1e-4 if group == "nets" else 1e-6
        keys = ["unique_id", "ds"]
        close(predict(models, moved)[keys + numbers], expected[keys + numbers], moved.size, rtol)


@pytest.mark.parametrize("group", GROUPS)
def test_whole_seasons_later_the_forecast_is_the_same(group):
    """Calendar features apart, which nobody asked for here."""

    @holds(group, sample=panels(group), seasons=st.integers(1, 3))
    def check(sample, seasons):
        shift = seasons * SEASONS[sample.freq]
        grid = pd.Index(stamps(sample.freq, 0, 500, sample.tz))

        def later(table):
            return table.assign(ds=grid[grid.get_indexer(table["ds"]) + shift]) if "ds" in table else table

        models = fitted_for(group, sample)
        same(predict(models, sample.mapped(later)), later(predict(models, sample)))


@pytest.mark.parametrize("group", GROUPS)
def test_the_clock_that_times_are_told_on_changes_nothing(group):
    """Below a day: longer steps are counted on the local clock, and midnight elsewhere is no midnight."""

    @holds(group, sample=panels(group, freqs=("h", "15min"), longest=30), zone=st.sampled_from(["UTC", "Asia/Kolkata"]))
    def check(sample, zone):
        def on(table, tz):
            return table.assign(ds=table["ds"].dt.tz_convert(tz)) if "ds" in table else table

        sample = sample.mapped(lambda t: t if "ds" not in t else t.assign(ds=in_zone(t["ds"])))
        models = fitted(group, sample.freq, ZONE, sample.future is not None)
        elsewhere = predict(models, sample.mapped(lambda table: on(table, zone)))
        same(on(elsewhere, "UTC"), on(predict(models, sample), "UTC"))


def in_zone(times: pd.Series) -> pd.Series:
    """``times`` on the clock of ``ZONE``."""
    return times if times.dt.tz is not None else times.dt.tz_localize("UTC").dt.tz_convert(ZONE)


@pytest.mark.parametrize(("freq", "spelling"), [(f, other) for f, others in SPELLINGS.items() for other in others])
def test_a_frequency_may_be_spelt_in_any_way(freq, spelling):
    frame, _ = series_rows("a", freq, 0, 10 + np.sin(np.arange(60.0)) + np.arange(60) % 5)
    one, two = (forecaster("closed", f).fit(frame) for f in (freq, spelling))
    same(one.predict(level=[80]), two.predict(level=[80]))
    grids = [models._panel.timeline for models in (one, two)]
    assert grids[0].seasons == grids[1].seasons


@pytest.mark.parametrize("group", GROUPS)
def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(group):
    @holds(group, sample=panels(group), steps=st.integers(1, H - 1))
    def check(sample, steps):
        models = fitted_for(group, sample)
        whole = predict(models, sample)
        same(predict(models, sample, h=steps), whole.groupby("unique_id").head(steps).reset_index(drop=True))


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "nets"])
def test_a_baseline_fitted_for_a_longer_horizon_begins_alike(group):
    """A net is another one when its horizon is; what a shorter part of it says is tested above."""

    @holds(group, sample=panels(group))
    def check(sample):
        longer = forecaster(group, sample.freq, h=2 * H).fit(sample.frame).predict()
        first = longer.groupby("unique_id").head(H)
        close(in_order(first), in_order(fitted_for(group, sample).predict(sample.frame)), sample.size, 1e-9)


@pytest.mark.parametrize("group", GROUPS)
def test_a_constant_is_forecast_as_that_constant(group):
    size = st.sampled_from([1e-30, 1e-6, 1.0, 42.0, 1e9, 1e30])

    @holds(group, sample=panels(group, kinds=("zero",)), size=size, sign=st.sampled_from([-1.0, 1.0]))
    def check(sample, size, sign):
        flat = sample.with_y(lambda y: y + sign * size)
        out = predict(fitted_for(group, sample), flat)
        np.testing.assert_allclose(out.drop(columns=["unique_id", "ds"]), sign * size, rtol=1e-6)


@pytest.mark.parametrize("group", GROUPS)
def test_unknown_rows_before_a_series_change_nothing(group):
    @holds(group, sample=panels(group, series=3), ahead=st.integers(1, 60))
    def check(sample, ahead):
        grid = pd.Index(stamps(sample.freq, 0, 500, sample.tz))
        later = grid[grid.get_indexer(sample.frame["ds"]) + ahead]
        moved = replace(sample, frame=sample.frame.assign(ds=later))
        if sample.future is not None:
            moved = replace(moved, future=sample.future.assign(ds=grid[grid.get_indexer(sample.future["ds"]) + ahead]))
        firsts = moved.frame.groupby("unique_id")["ds"].min()
        before = [
            pd.DataFrame({"unique_id": name, "ds": grid[grid.get_loc(first) - ahead : grid.get_loc(first)]})
            for name, first in firsts.items()
        ]
        padded = pd.concat([*before, moved.frame], ignore_index=True).assign(unique_id=lambda f: f["unique_id"])
        models = fitted_for(group, sample)
        close(predict(models, replace(moved, frame=padded)), predict(models, moved), sample.size, ROUNDING)


@pytest.mark.parametrize("group", GROUPS)
def test_a_loaded_model_forecasts_what_the_saved_one_did(group, tmp_path_factory):
    loaded: dict[object, Forecaster] = {}

    @holds(group, sample=panels(group, freqs=("D", "MS")))
    def check(sample):
        models = fitted_for(group, sample)
        key = (sample.freq, sample.tz)
        if key not in loaded:
            loaded[key] = Forecaster.load(models.save(tmp_path_factory.mktemp("m") / "model"))
        same(predict(loaded[key], sample), predict(models, sample))


@pytest.mark.parametrize("group", GROUPS)
def test_updating_with_new_rows_is_forecasting_from_all_rows(group):
    @holds(group, sample=panels(group, series=2, shortest=24, longest=40), new=st.integers(1, 6))
    def check(sample, new):
        exog = sample.static is not None
        given = {"static_df": sample.static} if exog else {}
        late = sample.back < new
        models = forecaster(group, sample.freq, exog).fit(sample.frame[~late], **given)
        expected = predict(models, sample)
        models.update(sample.frame[late])
        out = models.predict(level=[50, 90], **({"futr_df": sample.future} if exog else {}))
        same(in_order(out), expected)


@pytest.mark.parametrize("group", GROUPS)
def test_a_season_that_repeats_goes_on_in_its_own_order(group):
    """Of every model that knows seasons: its forecast is nearer to what comes than the same steps turned round."""
    season = 10.0 + np.array([0, 40, 90, 20, 70, 10, 60, 30, 80, 50, 100, 5])
    frame, future = series_rows("a", "MS", 0, np.tile(season, 4))
    out = fitted(group, "MS", None).predict(frame)
    assert out["ds"].tolist() == future["ds"].tolist()
    for name in sorted({*GROUPS[group]} - {"naive", "drift", "historic_mean"}):
        right, turned = (np.abs(steps - season[:H]).sum() for steps in (out[name], out[name][::-1].to_numpy()))
        assert right < turned, name


def test_the_line_goes_on_upwards():
    frame, _ = series_rows("a", "MS", 0, 2.0 * np.arange(40))
    models = {group: fitted(group, "MS", None).predict(frame) for group in ("closed", "batched")}
    np.testing.assert_allclose(models["closed"]["drift"], [80, 82, 84], rtol=1e-12)
    for name in ("theta", "dynamic_theta", "batched_ets"):
        assert (np.diff(models["batched"][name]) > 0).all(), name


def test_a_sample_keeps_what_it_says_of_itself():
    """The strategy is what everything here stands on."""

    @holds("closed", sample=panel(exog=True))
    def check(sample: Sample):
        assert set(sample.static["unique_id"]) == set(sample.ids)
        assert len(sample.future) == H * len(sample.ids)
        assert sample.frame.groupby("unique_id")["y"].count().min() >= 1
        assert not sample.frame.duplicated(["unique_id", "ds"]).any()
        assert tables(sample)["futr_df"] is sample.future
        last = sample.frame.groupby("unique_id")["ds"].max()
        first = sample.future.groupby("unique_id")["ds"].min()
        assert (first > last).all()
