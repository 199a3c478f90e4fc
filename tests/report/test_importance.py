"""Permutation importance: what it measures, that nothing leaks or changes, and how the report shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import ConfigError, Forecaster, Training
from forecast.arguments import named_models
from forecast.backtest import backtest
from forecast.cli import main
from forecast.forecasts import wanted
from forecast.ingest.door import to_panel
from forecast.model import Prediction, Task
from forecast.models import SegRNN, create
from forecast.panel.calendar import with_calendar
from forecast.panel.covariates import Covariates, Numbers
from forecast.panel.panel import Panel
from forecast.panel.split import rolling_cutoffs
from forecast.report.evaluate import evaluate
from forecast.report.html import Report, render
from forecast.report.importance import ALL, Importance, importance_of, permutation_importance, roles_read
from forecast.report.importance_view import importance_bars, importance_table, ordered
from forecast.report.shuffle import columns_of, moved_rows, shuffled
from forecast.schema import Schema

from .page import Page

H = 4
SCHEMA = Schema(stat_exog=("size", "colour"), hist_exog=("pulse", "static_noise"), futr_exog=("flag", "noise"))


def toy(series: int = 6, n: int = 60, seed: int = 0) -> pd.DataFrame:
    """``y`` is told by the flag of its own day, the size of its series and the pulse of the day before."""
    rng = np.random.default_rng(seed)
    frames = []
    for number in range(series):
        flag, pulse = rng.integers(0, 2, n), rng.standard_normal(n)
        y = 10 + 5.0 * flag + 2.0 * number + np.r_[0, pulse[:-1]] + 0.1 * rng.standard_normal(n)
        days = pd.date_range("2024-01-01", periods=n)
        frames.append(
            pd.DataFrame(
                {"unique_id": f"s{number}", "ds": days, "y": y, "flag": flag, "noise": rng.standard_normal(n),
                 "pulse": pulse, "static_noise": rng.standard_normal(n), "size": float(number), "colour": rng.standard_normal()}
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class Oracle:
    """A model that knows how ``y`` came about, and weighs noise a little; reads all roles, learns nothing."""

    reads_static = reads_hist = reads_futr = True
    weights: Mapping[str, float]
    level: float = 10.0

    def fit(self, panel: Panel, task: Task) -> Oracle:
        return self

    def describe(self) -> dict[str, Any]:
        return {}

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        series = np.arange(len(panel))[:, None]
        point = np.full((len(panel), h), self.level)
        for name, weight in self.weights.items():
            if panel.static is not None and name in panel.static.names:
                point += weight * panel.static.column(name).values[:, None]
            elif panel.hist is not None and name in panel.hist.names:
                last = panel.hist.column(name).values[panel.offsets[1:] - 1]
                point[:, 0] += weight * last
            elif panel.futr is not None and name in panel.futr.names:
                rows = panel.futr.rows(series, panel.last[:, None] + 1 + np.arange(h))
                point += weight * np.append(panel.futr.covariates.column(name).values, np.nan)[rows]
        return Prediction(point, np.empty((len(panel), h, 0)))


ORACLE = Oracle({"flag": 5.0, "size": 2.0, "pulse": 1.0, "noise": 0.05, "static_noise": 0.05, "colour": 0.02})


@pytest.fixture(scope="module")
def panel() -> Panel:
    return to_panel(toy(), SCHEMA, "D")


def measured(panel: Panel, model: Any = ORACLE, windows: int = 3, h: int = H, **options: Any) -> Importance:
    models = {"m": model}
    cutoffs = rolling_cutoffs(panel, h, windows)
    return permutation_importance(models, roles_read(models, panel), panel, cutoffs, h, 7, **options)


def effect(found: Importance, column: str, role: str = "") -> Any:
    (one,) = [e for e in found.effects if e.column == column and (not role or e.role == role)]
    return one


# --- what is measured ---------------------------------------------------------------------------------------------


def test_what_carries_the_forecast_counts_and_noise_does_not(panel):
    found = measured(panel, repeats=20)
    score = effect(found, "flag").score
    for name in ("flag", "size"):
        assert effect(found, name).rise > 2 * score
        assert effect(found, name).rise > 4 * effect(found, name).spread
    for name in ("noise", "static_noise", "colour"):
        assert abs(effect(found, name).rise) <= 2 * effect(found, name).spread + 1e-12
    assert effect(found, "pulse").rise > effect(found, "static_noise").rise


def test_a_trained_net_is_found_out_too():
    frame = toy(series=4)
    schema = Schema(futr_exog=("flag", "noise"))
    panel = to_panel(frame[["unique_id", "ds", "y", "flag", "noise"]], schema, "D")
    training = Training(max_steps=80, batch_size=16, cycles=1, validations=1, learning_rate=1e-2)
    models = named_models({"net": replace(create("linear"), input_size=8)}, training)
    cutoffs = rolling_cutoffs(panel, H, 2)
    result = backtest(models, panel, Task(H, 7, progress=False), cutoffs, wanted())
    roles = roles_read(models, panel)
    assert roles == {"net": ("futr",)}
    found = permutation_importance(result.fitted, roles, panel, cutoffs, H, 7, repeats=8)
    flag, noise = effect(found, "flag"), effect(found, "noise")
    assert flag.rise > 0.3 * flag.score
    assert flag.rise > 3 * flag.spread
    assert abs(noise.rise) < 0.1 * flag.rise
    assert flag.score == evaluate(result.frame, panel, 7)["mase"].iloc[0]


@pytest.mark.parametrize("metric", ["mase", "mae", "rmse", "smape"])
def test_the_error_in_order_is_that_of_the_backtest(panel, metric):
    cutoffs = rolling_cutoffs(panel, H, 3)
    result = backtest({"m": ORACLE}, panel, Task(H, 7, progress=False), cutoffs, wanted())
    expected = evaluate(result.frame, panel, 7)[metric].iloc[0]
    assert measured(panel, metric=metric, repeats=1).effects[0].score == pytest.approx(expected, rel=1e-12)


def test_static_features_count_as_sklearn_counts_them():
    """One window of one step is a table with a row for each series: the expectations are the same."""
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.inspection import permutation_importance as of_tables

    class Told(RegressorMixin, BaseEstimator):
        def fit(self, x: Any, y: Any) -> Told:
            self.fitted_ = True
            return self

        def predict(self, x: Any) -> Any:
            return 10 + 2 * x[:, 0] + 0.02 * x[:, 1]

    panel = to_panel(toy(series=15), SCHEMA, "D")
    repeats = 120
    ours = measured(panel, Oracle({"size": 2.0, "colour": 0.02}), 1, 1, metric="mae", repeats=repeats)
    x = np.stack([panel.static.column(name).values for name in ("size", "colour")], axis=1)
    y = panel.values[panel.offsets[1:] - 1]
    theirs = of_tables(Told().fit(x, y), x, y, scoring="neg_mean_absolute_error", n_repeats=repeats, random_state=0)
    for number, name in enumerate(("size", "colour")):
        own = effect(ours, name)
        error = np.hypot(own.spread, theirs.importances_std[number]) / np.sqrt(repeats)
        assert own.rise == pytest.approx(theirs.importances_mean[number], abs=4 * error)
        forecast = 10 + 2 * x[:, 0] + 0.02 * x[:, 1]
        weight = (2.0, 0.02)[number]
        swapped = forecast[:, None] + weight * (x[None, :, number] - x[:, None, number])
        exact = np.abs(swapped - y[:, None]).mean() - np.abs(forecast - y).mean()
        assert own.rise == pytest.approx(exact, abs=4 * own.spread / np.sqrt(repeats))


def test_a_role_is_measured_as_a_whole_and_column_by_column(panel):
    found = measured(panel, repeats=2)
    assert {(e.role, e.column) for e in found.effects} == {
        *((role, ALL) for role in ("static", "hist", "futr")),
        ("static", "size"), ("static", "colour"), ("hist", "pulse"), ("hist", "static_noise"), ("futr", "flag"), ("futr", "noise"),
    }  # fmt: skip


def test_columns_that_stand_in_for_each_other_count_together():
    frame = toy().assign(copy=lambda f: f["flag"])
    panel = to_panel(frame, Schema(futr_exog=("flag", "copy")), "D")
    found = measured(panel, Oracle({"flag": 2.5, "copy": 2.5}, 15.0), repeats=10)
    assert effect(found, ALL).rise > effect(found, "flag").rise
    assert effect(found, ALL).rise > effect(found, "copy").rise


def test_columns_that_are_the_same_for_all_series_are_moved_in_time():
    frame = toy(series=5)
    frame["flag"] = np.tile((np.arange(60) % 5 == 0).astype(float), 5)
    frame["y"] = 10 + 5 * frame["flag"] + 0.1 * frame["noise"]
    panel = to_panel(frame, Schema(futr_exog=("flag",)), "D")
    flag = effect(measured(panel, Oracle({"flag": 5.0}), repeats=10), "flag")
    assert flag.rise > 5 * flag.score


def test_what_time_tells_is_a_role_of_its_own():
    panel = with_calendar(to_panel(toy(), replace(SCHEMA, calendar="auto"), "D"), H)
    assert set(columns_of(panel, "futr")) == {"flag", "noise"}
    assert all(name.startswith("calendar.") for name in columns_of(panel, "calendar"))
    assert roles_read({"m": ORACLE, "naive": object()}, panel) == {"m": ("static", "hist", "futr", "calendar")}


def test_one_series_is_moved_in_time_and_its_features_are_left_out():
    panel = to_panel(toy(series=1), SCHEMA, "D")
    found = measured(panel, repeats=10)
    assert effect(found, "flag").rise > 2 * effect(found, "flag").score
    assert not [e for e in found.effects if e.role == "static"]
    assert "single series" in found.notes[0]


# --- nothing leaks, nothing changes -------------------------------------------------------------------------------


def test_the_panel_is_unchanged_afterwards(panel):
    before = (
        panel.values.copy(),
        {t: getattr(panel, t).cells() for t in ("static", "hist")},
        panel.futr.covariates.cells(),
    )
    arrays = [panel.values, *(c.values for t in (panel.static, panel.hist, panel.futr.covariates) for c in t.columns)]
    flags = [array.flags.writeable for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    measured(panel, repeats=2)
    for array, flag in zip(arrays, flags, strict=True):
        array.flags.writeable = flag
    after = (panel.values, {t: getattr(panel, t).cells() for t in ("static", "hist")}, panel.futr.covariates.cells())
    np.testing.assert_equal(after, before)


def test_nothing_after_a_cutoff_and_its_horizon_matters():
    """The oldest window alone, on data that end with it and on data poisoned after it."""
    frame = toy()
    day = frame.groupby("unique_id").cumcount()
    poisoned = frame.copy()
    poisoned.loc[day >= 50, ["flag", "noise"]] = 1e6
    poisoned.loc[day >= 46, ["pulse", "static_noise"]] = 1e6
    poisoned.loc[day >= 50, "y"] = -1e6
    results = []
    for data in (frame, poisoned):
        panel = to_panel(data, SCHEMA, "D")
        cutoffs = panel.first[None, :] + 45
        roles = roles_read({"m": ORACLE}, panel)
        results.append(permutation_importance({"m": ORACLE}, roles, panel, cutoffs, H, 7, repeats=3))
    assert results[0] == results[1]


def test_the_same_seed_gives_the_same_numbers_and_another_others(panel):
    assert measured(panel, repeats=3) == measured(panel, repeats=3)
    assert measured(panel, repeats=3) != measured(panel, repeats=3, seed=1)


def test_time_is_bounded_and_what_was_left_out_is_named(panel):
    found = measured(panel, max_time=1e-6)
    assert found.effects == ()
    assert "No time was left for 'all of" in found.notes[-1]


def test_of_many_series_some_are_looked_at(monkeypatch, panel):
    monkeypatch.setattr("forecast.report.importance.MOST_SERIES", 4)
    found = measured(panel, repeats=1)
    assert found.series == 4
    assert found.notes[0] == "Of 6 series 4 were looked at."


def test_of_many_cutoffs_some_are_looked_at_the_last_among_them(panel):
    found = measured(panel, windows=12, h=2, repeats=1)
    assert (found.cutoffs, found.notes[0]) == (8, "Of 12 cutoffs 8 were looked at.")
    assert measured(panel, windows=12, h=2, repeats=1, max_time=1e-6).cutoffs == 1


def test_mae_stands_in_where_mase_has_no_scale():
    panel = to_panel(toy(series=2, n=12).assign(y=lambda f: f["flag"] * 0 + 7.0), Schema(futr_exog=("flag",)), "D")
    assert measured(panel, Oracle({"flag": 1.0}), 1, 2).metric == "mae"


def test_what_cannot_be_asked_is_refused(panel):
    with pytest.raises(ConfigError, match=r"metric='owa' is not one of mase"):
        measured(panel, metric="owa")
    with pytest.raises(ConfigError, match="role='past'"):
        shuffled(panel, "past", ("flag",), H, np.random.default_rng(0))


# --- putting out of order -----------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_rows_come_from_one_series_each_in_a_circle(lengths, seed):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = moved_rows(offsets, np.random.default_rng(seed))
    series = np.repeat(np.arange(len(lengths)), lengths)
    donors = []
    for number, length in enumerate(lengths):
        own = rows[offsets[number] : offsets[number + 1]]
        if not length or (own < 0).all():
            continue
        (donor,) = set(series[own])
        donors.append(donor)
        start, size = offsets[donor], lengths[donor]
        assert (np.diff(own - start) % size == 1 % size).all()
        if size == length:
            assert sorted(own) == list(range(start, start + size))
    assert len(donors) == len(set(donors))


@given(st.integers(0, 2**32 - 1))
def test_columns_of_a_role_stay_together_and_others_stay_put(seed):
    panel = to_panel(toy(series=3, n=10), SCHEMA, "D")
    hist = Covariates((*panel.hist.columns, Numbers("row", np.arange(30.0))))
    moved = shuffled(replace(panel, hist=hist), "hist", ("pulse", "row"), H, np.random.default_rng(seed)).hist
    source = moved.column("row").values.astype(int)
    np.testing.assert_array_equal(moved.column("pulse").values, panel.hist.column("pulse").values[source])
    np.testing.assert_array_equal(moved.column("static_noise").values, panel.hist.column("static_noise").values)


# --- in the report ------------------------------------------------------------------------------------------------


def test_facts_travel_through_json(panel):
    found = measured(panel, repeats=2)
    assert importance_of(json.loads(json.dumps(found.facts()))) == found
    assert importance_of(None) is None
    assert list(found.frame().columns) == ["model", "role", "column", "score", "rise", "spread", "repeats"]


def test_roles_and_columns_are_in_the_order_of_their_worth(panel):
    found = measured(panel, repeats=3)
    names = [e.column or e.role for e in ordered(found, "m")]
    assert names[:3] == ["static", "size", "colour"]
    figure = importance_bars(found, "m")
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels[:3] == ["Static features", "size", "colour"]
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == [e.rise for e in ordered(found, "m")]
    table = importance_table(found, "m")
    assert table["rows"][0]["name"] == "all 2 together"
    assert table["headings"][0] == "Rise of MASE"


def test_the_page_shows_a_table_and_bars_and_escapes_names(panel):
    cutoffs = rolling_cutoffs(panel, H, 2)
    result = backtest({"m": ORACLE}, panel, Task(H, 7, progress=False), cutoffs, wanted())
    found = measured(panel, repeats=2)
    hostile = replace(found, effects=(replace(found.effects[0], column="<script>x"), *found.effects))
    text = render(Report("t", result.frame, panel, 7, panel.schema, importance=hostile))
    page = Page(text)
    assert "importance" in page.values("id")
    assert "#importance" in page.values("href")
    assert "Known into the future" in page.text
    assert "<script>x" not in text
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?https?:", text)
    assert 'id="importance"' not in render(Report("t", result.frame, panel, 7, panel.schema))


def test_a_backtest_with_covariates_measures_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy(series=3, n=40).to_parquet("toy.parquet")
    words = ["backtest", "data=toy.parquet", "h=4", "freq=D", "data.futr_exog=[flag,noise]", "model=linear", "data.input_size=8",
             "trainer.max_steps=2", "trainer.batch_size=8", "trainer.cycles=1", "trainer.validations=1", "progress=false",
             "baselines=[naive]"]  # fmt: skip
    assert main([*words, "hydra.run.dir=run"]) == 0
    table = pd.read_csv("run/importance.csv", keep_default_na=False)
    assert set(table["column"]) == {"", "flag", "noise"}
    assert set(table["model"]) == {"linear"}
    assert 'id="importance"' in Path("run/report.html").read_text(encoding="utf-8")
    assert main(["report", "run=run", "output=again.html"]) == 0
    assert Path("again.html").read_bytes() == Path("run/report.html").read_bytes()
    assert main([*words, "report.importance=false", "hydra.run.dir=other"]) == 0
    assert not Path("other/importance.csv").exists()
    assert 'id="importance"' not in Path("other/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical"])
def test_what_a_column_is_worth_to_an_event_or_a_class_is_told_by_the_brier_score(likelihood):
    rng = np.random.default_rng(0)
    frame = toy(series=6, n=80)
    frame["flag"] = rng.integers(0, 2, len(frame)).astype(float)
    frame["y"] = frame["flag"]
    model = {"m": SegRNN(input_size=8, hidden_size=8, likelihood=likelihood)}
    roles = {"futr_exog": ["flag"]} if likelihood == "bernoulli" else {"hist_exog": ["flag"]}
    fc = Forecaster(model, h=2, freq="D", max_steps=120, progress=False, **roles).fit(frame)
    panel, task = fc._ready()
    read = {"m": ["futr" if likelihood == "bernoulli" else "hist"]}
    found = permutation_importance(
        fc._fitted, read, panel, rolling_cutoffs(panel, 2, 2), 2, task.season_length, repeats=1
    )
    rises = [effect.rise for effect in found.effects if effect.column == "flag"]
    assert all(abs(rise) <= 1.0 for rise in rises)
    if likelihood == "bernoulli":
        assert rises[0] > 0.2  # the flag is the event
