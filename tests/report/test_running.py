"""The running coverage of intervals, cutoff after cutoff."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.ingest.door import to_panel
from forecast.report.folds import read_folds
from forecast.report.html import Report, render
from forecast.report.running import FEWEST_CUTOFFS, coverage_lines, running_coverage, window

HISTORY = pd.DataFrame({"unique_id": "a", "ds": range(1, 101), "y": np.arange(100.0)})


def backtest(cutoffs: int, held: np.ndarray) -> pd.DataFrame:
    """Forecasts of one step from each of the last ``cutoffs`` rows, whose intervals hold the actual where ``held``."""
    rows = HISTORY.iloc[-cutoffs:].reset_index(drop=True)
    low = np.where(held, rows["y"] - 1.0, rows["y"] + 0.5)
    columns = {"cutoff": rows["ds"] - 1, "m": rows["y"], "m-lo-90": low, "m-hi-90": rows["y"] + 1.0, "n": rows["y"]}
    return rows.assign(**columns)


def folds_of(cutoffs: int, held: np.ndarray):
    return read_folds(backtest(cutoffs, held), to_panel(HISTORY, freq=1), 1)


def test_each_point_is_the_share_held_over_the_cutoffs_of_its_window():
    held = np.random.default_rng(0).random(40) < 0.7
    keys, shares = running_coverage(folds_of(40, held), "m", "90")
    assert keys.tolist() == list(range(60, 100))
    expected = pd.Series(held.astype(float)).rolling(window(40), min_periods=1).mean()
    np.testing.assert_allclose(shares, expected)


def test_unknown_actuals_count_neither_way():
    cv = backtest(40, np.ones(40, dtype=bool))
    cv.loc[cv.index[5:30], "y"] = np.nan
    _, shares = running_coverage(read_folds(cv, to_panel(HISTORY, freq=1), 1), "m", "90")
    assert np.isnan(shares[20])
    np.testing.assert_array_equal(shares[np.isfinite(shares)], 1.0)


def test_there_is_no_picture_of_few_cutoffs_or_without_intervals():
    few = FEWEST_CUTOFFS - 1
    assert coverage_lines(folds_of(few, np.ones(few, dtype=bool)), ["m", "n"]) is None
    assert coverage_lines(folds_of(40, np.ones(40, dtype=bool)), ["n"]) is None


def test_the_picture_has_a_line_for_each_model_with_intervals_and_one_for_the_promise():
    figure = coverage_lines(folds_of(40, np.ones(40, dtype=bool)), ["m", "n"])
    assert figure is not None
    (axes,) = figure.axes
    assert len(axes.lines) == 2
    assert axes.lines[0].get_ydata()[0] == 0.9


def test_the_report_shows_it_where_there_are_enough_cutoffs():
    for cutoffs, shown in ((FEWEST_CUTOFFS - 1, False), (FEWEST_CUTOFFS, True)):
        cv = backtest(cutoffs, np.ones(cutoffs, dtype=bool))
        page = render(Report("report", cv, to_panel(HISTORY, freq=1), 1))
        assert ("Coverage over time" in page) is shown
