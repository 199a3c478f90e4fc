from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.errors import ConfigError
from forecast.panel.panel import Panel
from forecast.report import metrics
from forecast.report.evaluate import evaluate
from forecast.schema import Schema

from .conftest import make_cv, make_panel

NAN = float("nan")


def one(scores: pd.DataFrame, model: str, column: str) -> float:
    return float(scores.loc[scores["model"] == model, column].iloc[0])


def by_hand() -> tuple[pd.DataFrame, Panel]:
    """robustness' example: train [1, 3, 2, 4], actuals [5, 4], forecasts [4, 6]."""
    panel = make_panel({"a": [1, 3, 2, 4, 5, 4]})
    return make_cv(panel, 2, m=lambda known, actual: np.array([4.0, 6.0])), panel


def test_scores_by_hand() -> None:
    cv, panel = by_hand()
    scores = evaluate(cv, panel, 1).iloc[0]
    assert scores["mae"] == 1.5
    assert scores["mse"] == pytest.approx(2.5)
    assert scores["rmse"] == pytest.approx(np.sqrt(2.5))
    assert scores["smape"] == pytest.approx(31.111, abs=5e-4)
    assert scores["mape"] == pytest.approx(35)
    assert scores["mase"] == pytest.approx(0.9)
    assert scores["rmsse"] == pytest.approx(np.sqrt(2.5 / 3))
    assert evaluate(cv, panel, 2).iloc[0]["mase"] == pytest.approx(1.5)
    assert (scores["n_series"], scores["n_points"]) == (1, 2)


def test_quantile_and_interval_scores_by_hand() -> None:
    cv, panel = by_hand()
    cv = cv.assign(**{"m-q-0.1": cv["m"], "m-q-0.9": cv["m"], "m-lo-95": 3.0, "m-hi-95": [4.5, 7.0]})
    scores = evaluate(cv, panel, 1).iloc[0]
    assert (scores["pinball-0.1"], scores["pinball-0.9"]) == (pytest.approx(0.95), pytest.approx(0.55))
    assert (scores["wql-0.1"], scores["wql-0.9"]) == (pytest.approx(3.8 / 9), pytest.approx(2.2 / 9))
    assert scores["wql"] == pytest.approx(3.0 / 9)
    assert scores["coverage-95"] == 0.5
    assert scores["width-95"] == (1.5 + 4) / 2
    # the first point misses by 0.5: 1.5 + 40 * 0.5, the second is inside: 4
    assert scores["msis-95"] == pytest.approx((21.5 + 4) / 2 / (5 / 3))


def per_series(cv: pd.DataFrame, panel: Panel, season_length: int, model: str) -> pd.DataFrame:
    """Every metric from the public functions, one series at a time."""
    rows = []
    for position, name in enumerate(panel.ids):
        values = panel.values[panel.offsets[position] : panel.offsets[position + 1]]
        ordinals = panel.first[position] + np.arange(values.size)
        mine = cv[cv["unique_id"] == name]
        y, forecast = mine["y"].to_numpy(), mine[model].to_numpy()
        scaled, squared = [], []
        for cutoff, fold in mine.groupby("cutoff"):
            known = values[panel.timeline.stamps(ordinals) <= cutoff.to_datetime64()]
            error = (fold["y"] - fold[model]).to_numpy()
            scaled.append(np.abs(error) / metrics.seasonal_scale(known, season_length))
            squared.append((error / metrics.seasonal_scale(known, season_length, power=2)) ** 2)
        scaled, squared = np.concatenate(scaled), np.concatenate(squared)
        rows.append({
            "mae": metrics.mae(y, forecast), "mse": metrics.mse(y, forecast),
            "rmse": metrics.rmse(y, forecast), "mape": metrics.mape(y, forecast),
            "smape": metrics.smape(y, forecast), "mase": _mean(scaled), "rmsse": np.sqrt(_mean(squared)),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else NAN


numbers = st.floats(-1e6, 1e6).map(lambda x: round(x, 4)) | st.sampled_from([0.0, 1.0, NAN])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(numbers, min_size=6, max_size=14), min_size=1, max_size=4), st.integers(1, 5), st.randoms())
def test_scores_equal_the_public_functions_series_by_series(series, season_length, random) -> None:
    panel = make_panel({f"s{i}": values for i, values in enumerate(series)})
    cv = make_cv(panel, 2, windows=2, m=lambda known, actual: np.array([random.choice([known[-1], 3.0, -1.5]), 0.5]))
    cv = cv.sample(frac=1, random_state=random.randint(0, 99))
    got = evaluate(cv, panel, season_length, by="series")
    assert got["unique_id"].tolist() == panel.ids.tolist()
    expected = per_series(cv, panel, season_length, "m")
    overall = evaluate(cv, panel, season_length).iloc[0]
    for metric in expected:
        np.testing.assert_allclose(got[metric], expected[metric], rtol=1e-9, err_msg=metric)
        assert overall[metric] == pytest.approx(_mean(expected[metric].to_numpy()), nan_ok=True), metric


def test_coverage_pinball_and_wql_equal_the_public_functions(panel: Panel, cv: pd.DataFrame) -> None:
    cv.loc[[0, 20], "y"] = NAN
    got = evaluate(cv, panel, 12, by="series")
    got = got[got["model"] == "segrnn"].set_index("unique_id")
    for name, rows in cv.groupby("unique_id"):
        y = rows["y"]
        assert got.loc[name, "coverage-90"] == metrics.coverage(y, rows["segrnn-lo-90"], rows["segrnn-hi-90"])
        assert got.loc[name, "width-80"] == pytest.approx(metrics.width(y, rows["segrnn-lo-80"], rows["segrnn-hi-80"]))
        assert got.loc[name, "pinball-0.1"] == pytest.approx(metrics.pinball(y, rows["segrnn-q-0.1"], 0.1))
        assert got.loc[name, "wql-0.9"] == pytest.approx(metrics.wql(y, rows["segrnn-q-0.9"], 0.9))


def test_overall_wql_is_pooled_over_all_points(panel: Panel, cv: pd.DataFrame) -> None:
    scores = evaluate(cv, panel, 12)
    assert one(scores, "segrnn", "wql-0.1") == pytest.approx(metrics.wql(cv["y"], cv["segrnn-q-0.1"], 0.1))
    assert np.isnan(one(scores, "naive", "wql-0.1"))


def test_a_breakdown_by_step_uses_the_points_at_that_step(panel: Panel, cv: pd.DataFrame) -> None:
    steps = evaluate(cv, panel, 12, by="step")
    assert steps["step"].tolist() == [1, 2, 3, 4, 5, 6] * 3
    cv["step"] = cv.groupby(["unique_id", "cutoff"]).cumcount() + 1
    third = cv[cv["step"] == 3]
    expected = [metrics.mae(rows["y"], rows["naive"]) for _, rows in third.groupby("unique_id")]
    row = steps[(steps["model"] == "naive") & (steps["step"] == 3)].iloc[0]
    assert row["mae"] == pytest.approx(np.mean(expected))
    assert (row["n_series"], row["n_points"]) == (5, 10)


def test_a_breakdown_by_cutoff_scores_each_window_alone(panel: Panel, cv: pd.DataFrame) -> None:
    cutoffs = evaluate(cv, panel, 12, by="cutoff")
    last = cv["cutoff"].max()
    alone = evaluate(cv[cv["cutoff"] == last], panel, 12)
    pd.testing.assert_frame_equal(
        cutoffs[cutoffs["cutoff"] == last].drop(columns="cutoff").reset_index(drop=True), alone
    )
    assert cutoffs["cutoff"].dtype == cv["cutoff"].dtype


@pytest.mark.parametrize("by", ["overall", "series", "step", "cutoff"])
def test_the_order_of_rows_changes_no_bit(by: str, panel: Panel, cv: pd.DataFrame) -> None:
    expected = evaluate(cv, panel, 12, by=by)
    pd.testing.assert_frame_equal(evaluate(cv.iloc[::-1], panel, 12, by=by), expected, check_exact=True)


def test_values_after_the_cutoff_do_not_change_the_scale(panel: Panel, cv: pd.DataFrame) -> None:
    first = cv[cv["cutoff"] == cv["cutoff"].min()]
    poisoned = panel.values.copy()
    for stop in panel.offsets[1:]:
        poisoned[stop - 12 : stop] = 1e9
    other = Panel(panel.ids, poisoned, panel.offsets, panel.first, panel.timeline)
    pd.testing.assert_frame_equal(evaluate(first, other, 12), evaluate(first, panel, 12), check_exact=True)


def test_owa_appears_with_naive2_and_is_one_for_naive2_itself(panel: Panel, cv: pd.DataFrame) -> None:
    assert "owa" not in evaluate(cv, panel, 12)
    scores = evaluate(cv.rename(columns={"seasonal_naive": "naive2"}), panel, 12)
    assert one(scores, "naive2", "owa") == 1
    ratios = [one(scores, "naive", metric) / one(scores, "naive2", metric) for metric in ("smape", "mase")]
    assert one(scores, "naive", "owa") == pytest.approx(np.mean(ratios))


def test_a_series_that_never_moved_is_left_out_of_mase_and_counted() -> None:
    panel = make_panel({"flat": [2.0] * 8, "alive": [1.0, 3, 2, 4, 3, 5, 5, 4]})
    cv = make_cv(panel, 2, m=lambda known, actual: actual + 1)
    scores = evaluate(cv, panel, 1).iloc[0]
    series = evaluate(cv, panel, 1, by="series")
    assert series["mase"].isna().tolist() == [True, False]
    assert scores["mase"] == series["mase"][1]
    assert scores["mae"] == 1
    assert (scores["undefined_mase"], scores["n_series"]) == (1, 2)


def test_unknown_actuals_and_missing_forecasts_are_counted_apart() -> None:
    panel = make_panel({"a": range(10), "b": [1, 3, 2, 4, 3, 5, 5, 4, 6, 7]})
    cv = make_cv(panel, 3, m=lambda known, actual: actual + 1, n=lambda known, actual: actual + 2)
    cv.loc[[0, 1, 2, 3], "y"] = NAN
    cv.loc[[4], "m"] = NAN
    cv.loc[[5], "m"] = np.inf
    scores = evaluate(cv, panel, 1).set_index("model")
    assert scores["missing_actuals"].tolist() == [4, 4]
    assert scores["missing_forecasts"].tolist() == [2, 0]
    assert scores["n_points"].tolist() == [0, 2]
    assert scores["n_series"].tolist() == [0, 1]
    assert scores["unscored_series"].tolist() == [2, 1]
    assert scores["mae"].isna().tolist() == [True, False]
    assert scores.loc["n", "mae"] == 2


def test_columns_may_be_renamed(panel: Panel, cv: pd.DataFrame) -> None:
    names = {"unique_id": "shop", "ds": "week", "y": "sales"}
    schema = Schema(id_col="shop", time_col="week", target_col="sales")
    renamed = evaluate(cv.rename(columns=names), panel, 12, schema, by="series")
    assert renamed.columns[:2].tolist() == ["model", "shop"]
    pd.testing.assert_frame_equal(
        renamed.rename(columns=names | {"shop": "unique_id"}), evaluate(cv, panel, 12, by="series")
    )


def test_huge_numbers_give_no_warning_and_no_nonsense() -> None:
    panel = make_panel({"a": [1e200, 3e200, 2e200, 4e200, 5e200, 4e200]})
    scores = evaluate(make_cv(panel, 2, m=lambda known, actual: actual * 2), panel, 1).iloc[0]
    assert scores["mase"] == pytest.approx(4.5 / (5 / 3))
    assert scores["smape"] == pytest.approx(200 / 3)


def test_an_unknown_breakdown_is_refused_with_the_known_ones(panel: Panel, cv: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="overall, series, step, cutoff"):
        evaluate(cv, panel, 12, by="model")
