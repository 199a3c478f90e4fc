"""Pictures of intervals and of calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.panel.panel import Panel
from forecast.report.calibration import pit_histogram, reliability
from forecast.report.calibration_view import calibration_figure, interval_lines
from forecast.report.evaluate import evaluate, score
from forecast.report.fan import shades
from forecast.report.folds import read_folds
from forecast.report.html import Report, render
from forecast.report.ranking import rank
from forecast.report.summary import quantile_rows
from forecast.report.views import telling_views

from .conftest import make_cv, make_panel
from .page import Page

DECILES = [f"0.{k}" for k in range(1, 10)]


@pytest.fixture
def nine(panel: Panel) -> pd.DataFrame:
    """A model with nine quantiles and no intervals, and the naive."""
    cv = make_cv(panel, 6, windows=2, net=lambda known, actual: 0.9 * actual, naive=lambda known, actual: known[-6:])
    return cv.assign(**{f"net-q-{q}": cv["net"] + 0.1 * cv["net"].abs() * (float(q) - 0.5) for q in DECILES})


def test_coverage_and_width_by_step_are_the_scores_by_step(panel: Panel, cv: pd.DataFrame) -> None:
    by_step = score(read_folds(cv, panel, 12), "step")
    figure = interval_lines(by_step, ["segrnn", "naive"], ["segrnn", "naive"])
    assert len(figure.axes) == 4  # 90 % and 80 %
    mine = by_step[by_step["model"] == "segrnn"]
    for axes, column in zip(figure.axes, ["coverage-90", "width-90", "coverage-80", "width-80"], strict=True):
        np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), mine[column])
    assert [line.get_ydata()[0] for line in (figure.axes[0].get_lines()[-1], figure.axes[2].get_lines()[-1])] == [
        0.9,
        0.8,
    ]
    assert [text.get_text() for text in figure.axes[1].texts] == ["segrnn"]


def test_one_step_or_no_interval_makes_no_lines(panel: Panel, cv: pd.DataFrame) -> None:
    first = cv.groupby(["unique_id", "cutoff"]).head(1)
    assert interval_lines(score(read_folds(first, panel, 12), "step"), ["segrnn"], ["segrnn"]) is None
    bare = cv[["unique_id", "ds", "cutoff", "y", "naive"]]
    assert interval_lines(score(read_folds(bare, panel, 12), "step"), ["naive"], ["naive"]) is None
    assert calibration_figure(read_folds(bare, panel, 12), ["naive"], ["naive"]) is None


def test_the_calibration_figure_draws_the_histogram_and_the_reliability(panel: Panel, nine: pd.DataFrame) -> None:
    upper, lower = calibration_figure(read_folds(nine, panel, 12), ["naive", "net"], ["naive", "net"]).axes
    probs = np.arange(1, 10) / 10
    table = nine[[f"net-q-{q}" for q in DECILES]].to_numpy()
    bars = [bar.get_height() for bar in upper.patches]
    np.testing.assert_allclose(bars, pit_histogram(nine["y"], table, probs).density)
    np.testing.assert_allclose(lower.get_lines()[-1].get_ydata(), reliability(nine["y"], table, probs))


def test_nine_quantiles_are_four_bands_four_coverages_and_a_crps(panel: Panel, nine: pd.DataFrame) -> None:
    folds = read_folds(nine, panel, 12)
    scores = score(folds)
    view = telling_views(folds, rank(scores), score(folds, "series"))[0]
    assert [len(line.bands) for line in view.lines] == [4, 0]
    widths = [(high - low).mean() for low, high in view.lines[0].bands]
    assert widths == sorted(widths, reverse=True)
    net = scores.set_index("model").loc["net"]
    inside = (nine["net-q-0.1"] <= nine["y"]) & (nine["y"] <= nine["net-q-0.9"])
    assert net["coverage-80"] == pytest.approx(inside.mean())
    assert net["crps"] == pytest.approx(2 * np.mean([net[f"pinball-{q}"] for q in DECILES]))
    assert [column for column in scores if column.startswith("coverage")] == [f"coverage-{k}" for k in (20, 40, 60, 80)]
    assert rank(scores).columns.count("coverage-80") == 1
    assert "coverage-20" not in rank(scores).columns


def test_new_scores_come_after_the_ones_there_were(panel: Panel, cv: pd.DataFrame) -> None:
    columns = evaluate(cv, panel, 12).columns.tolist()
    there_were = [
        "model", "mase", "rmsse", "mae", "mse", "rmse", "smape", "mape", "coverage-80", "width-80", "msis-80",
        "coverage-90", "width-90", "msis-90", "pinball-0.1", "wql-0.1", "pinball-0.9", "wql-0.9", "wql",
    ]  # fmt: skip
    assert columns[: len(there_were)] == there_were
    assert columns[len(there_were)] == "crps"


def test_the_mean_and_the_median_are_scored_at_what_they_are_best_at(panel: Panel, cv: pd.DataFrame) -> None:
    cv = cv.assign(**{"naive-mean": cv["naive"] + 1, "naive-median": cv["naive"]})
    scores = evaluate(cv, panel, 12).set_index("model")
    shifted = evaluate(cv.assign(naive=cv["naive"] + 1), panel, 12).set_index("model")
    assert scores.index.tolist() == ["segrnn", "seasonal_naive", "naive"]
    assert scores.loc["naive", "mae-median"] == scores.loc["naive", "mae"]
    assert scores.loc["naive", "rmse-mean"] == pytest.approx(shifted.loc["naive", "rmse"])


def test_the_report_has_a_calibration_section_with_the_loss_of_each_quantile(panel: Panel, nine: pd.DataFrame) -> None:
    page = Page(render(Report("nine", nine, panel, 12)))
    assert {"intervals", "calibration"} <= set(page.values("id"))
    assert "Loss by quantile" in page.text
    assert "Step by step" in page.text
    table = quantile_rows(rank(evaluate(nine, panel, 12)))
    assert table["headings"] == ["CRPS", "WQL", *DECILES]
    assert [row[0] for row in table["rows"]] == ["net"]


def test_unknown_actuals_leave_no_trace_in_the_calibration(panel: Panel, nine: pd.DataFrame) -> None:
    holes = nine.assign(y=nine["y"].where(nine.index % 3 > 0))
    one = calibration_figure(read_folds(holes, panel, 12), ["net"], ["net"])
    other = calibration_figure(read_folds(holes.dropna(subset="y"), panel, 12), ["net"], ["net"])
    for first, second in zip(one.axes[0].patches, other.axes[0].patches, strict=True):
        assert first.get_height() == second.get_height()
    assert calibration_figure(read_folds(nine.assign(y=np.nan), panel, 12), ["net"], ["net"]) is None


def test_bands_grow_darker_inwards_and_all_together_stay_light() -> None:
    assert shades(2).tolist() == [0.13, 0.23]
    for bands in range(1, 30):
        each = shades(bands)
        assert (np.diff(each) > 0).all()
        assert 1 - np.prod(1 - each) < 0.75


def test_a_distribution_of_the_truth_holds_what_it_promises() -> None:
    rng = np.random.default_rng(8)
    panel = make_panel({f"s{i}": 10 + rng.normal(size=60) for i in range(60)})
    cv = make_cv(panel, 12, windows=3, m=lambda known, actual: np.full(12, 10.0))
    quantiles = {0.05: -1.645, 0.1: -1.2816, 0.9: 1.2816, 0.95: 1.645}
    cv = cv.assign(**{f"m-q-{q}": 10 + z for q, z in quantiles.items()})
    scores = evaluate(cv, panel, 1).iloc[0]
    n = len(cv)
    for level in (80, 90):
        p = level / 100
        assert abs(scores[f"coverage-{level}"] - p) < 3 * np.sqrt(p * (1 - p) / n)
