"""Folds: nothing after a cutoff is known at it, as many as fit, and scores by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.auto.folds import MOST_SERIES, Folds, cut_folds
from forecast.ingest.door import to_panel
from forecast.model import Task
from tests.conftest import seasonal_frame


def lengths(*rows: int) -> pd.DataFrame:
    frames = [
        pd.DataFrame({"unique_id": f"s{n}", "ds": np.arange(count), "y": np.arange(count) * 1.0})
        for n, count in enumerate(rows)
    ]
    return pd.concat(frames, ignore_index=True)


def test_the_pasts_end_a_horizon_apart_and_what_followed_is_the_rest() -> None:
    panel = to_panel(lengths(60, 60))
    folds = cut_folds(panel, Task(4))
    assert folds is not None and len(folds) == 3
    assert [past.lengths.tolist() for past in folds.pasts] == [[48, 48], [52, 52], [56, 56]]
    assert folds.actual[0].tolist() == [[48, 49, 50, 51], [52, 53, 54, 55], [56, 57, 58, 59]]


def test_a_panel_of_fourteen_rows_a_series_is_judged_once() -> None:
    folds = cut_folds(to_panel(lengths(14, 14, 14)), Task(6))
    assert folds is not None and len(folds) == 1


def test_series_too_short_to_judge_are_left_out_of_the_folds() -> None:
    folds = cut_folds(to_panel(lengths(60, 5, 60)), Task(4))
    assert folds is not None and folds.chosen.tolist() == [0, 2]


def test_there_are_no_folds_when_every_series_is_too_short() -> None:
    assert cut_folds(to_panel(lengths(5, 6)), Task(6)) is None


@pytest.mark.filterwarnings("ignore:y. the last values:forecast.ForecastWarning")
def test_a_series_with_nothing_known_in_the_folds_is_not_judged() -> None:
    frame = lengths(60, 60)
    frame.loc[(frame["unique_id"] == "s1") & (frame["ds"] >= 40), "y"] = np.nan
    folds = cut_folds(to_panel(frame), Task(4))
    assert folds is not None and folds.chosen.tolist() == [0]


def test_of_a_large_panel_a_sample_is_judged_that_does_not_depend_on_the_order_of_series() -> None:
    panel = to_panel(lengths(*[14] * (MOST_SERIES + 500)))
    folds = cut_folds(panel, Task(2))
    backwards = cut_folds(panel.take(np.arange(len(panel))[::-1]), Task(2))
    assert folds is not None and backwards is not None
    assert len(folds.chosen) == MOST_SERIES
    assert set(panel.ids[folds.chosen]) == set(panel.ids[::-1][backwards.chosen])


def test_scores_equal_hand_arithmetic() -> None:
    actual = np.array([[[2.0, 4.0]]])
    folds = Folds((), np.array([0]), actual, np.array([0.5]))
    mase, smape = folds.score(np.array([[[3.0, 4.0]]]))
    assert mase == pytest.approx(1.0)  # errors 1 and 0 over a scale of 0.5
    assert smape == pytest.approx(20.0)  # 200 * 1 / 5 and 0
    assert folds.referred(np.array([[[3.0, 4.0]]])).loss(np.array([[[3.0, 4.0]]])) == pytest.approx(1.0)


def test_unknown_actuals_cost_nothing_and_missing_forecasts_much() -> None:
    folds = Folds((), np.array([0]), np.array([[[np.nan, 4.0]]]), np.array([1.0]))
    assert folds.score(np.array([[[1e9, 4.0]]])) == (0.0, 0.0)
    assert folds.score(np.array([[[0.0, np.nan]]])) == (10.0, 200.0)


def test_a_series_that_never_moved_is_judged_by_its_percentage_error_alone() -> None:
    folds = Folds((), np.array([0]), np.array([[[4.0]]]), np.array([np.nan]), (1.0, 10.0))
    assert folds.loss(np.array([[[4.0]]])) == 0.0


def test_values_after_a_cutoff_do_not_reach_the_pasts_before_it() -> None:
    frame = seasonal_frame(length=80)
    changed = frame.copy()
    late = changed.groupby("unique_id").cumcount() >= 71
    changed.loc[late, "y"] = 1e6
    one, two = (cut_folds(to_panel(f), Task(3, 12)) for f in (frame, changed))
    assert one is not None and two is not None
    np.testing.assert_array_equal(one.pasts[0].values, two.pasts[0].values)
    np.testing.assert_array_equal(one.scale, two.scale)
