"""Frames of events and classes: their scores, and how the report shows them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from forecast.errors import DataError
from forecast.panel.panel import Panel
from forecast.report import outcomes
from forecast.report.evaluate import evaluate, score
from forecast.report.figures import plot
from forecast.report.folds import read_folds
from forecast.report.html import Report, render
from forecast.report.outcomes_view import class_figure, class_rows, event_figure, event_rows
from forecast.report.ranking import rank
from forecast.report.table import ranking_text

from .conftest import make_cv, make_panel
from .page import Page

NAN = float("nan")
COUNTS = ["n_series", "n_points", "missing_actuals", "missing_forecasts", "unscored_series", "undefined_mase",
          "undefined_mape"]  # fmt: skip


@pytest.fixture(scope="module")
def events() -> tuple[Panel, pd.DataFrame]:
    """Six series of 0 and 1, two windows of eight steps: a net that knows something, one too sure, the naive."""
    rng = np.random.default_rng(3)
    panel = make_panel({f"s{i}": (rng.random(40 + 5 * i) < 0.2 + 0.1 * i).astype(float) for i in range(6)})
    cv = make_cv(panel, 8, windows=2, seasonal_naive=lambda known, actual: known[-8:])
    told = np.clip(0.5 + 0.25 * (2 * cv["y"] - 1) + rng.normal(size=len(cv)) * 0.3, 0.02, 0.98).round(2)
    sure = np.clip(0.5 + 1.5 * (told - 0.5), 0, 1)
    return panel, cv.assign(
        **{"lstm": told, "lstm-p-1": told, "my-gru": sure, "my-gru-p-1": sure, "lstm-lo-90": 0.0, "lstm-hi-90": 1.0}
    )


@pytest.fixture(scope="module")
def classes() -> tuple[Panel, pd.DataFrame]:
    """Five series of the classes 0, 1 and 4."""
    rng = np.random.default_rng(4)
    labels = np.array([0.0, 1.0, 4.0])
    panel = make_panel({f"s{i}": labels[rng.choice(3, size=40, p=[0.5, 0.3, 0.2])] for i in range(5)})
    cv = make_cv(panel, 6, windows=2, seasonal_naive=lambda known, actual: known[-6:])
    shares = rng.dirichlet([1, 1, 1], size=len(cv)) * 0.6 + 0.4 * (cv["y"].to_numpy()[:, None] == labels)
    columns = {"lstm": labels[shares.argmax(1)]} | {f"lstm-p-{v:g}": shares[:, k] for k, v in enumerate(labels)}
    return panel, cv.assign(**columns)


def test_events_get_their_scores_instead_of_those_of_numbers(events) -> None:
    panel, cv = events
    scores = evaluate(cv, panel, 8)
    assert scores.columns.tolist() == ["model", "brier", "log_loss", "auc", "accuracy", *COUNTS]
    assert scores["undefined_mape"].tolist() == [0, 0, 0]


def test_event_scores_equal_the_public_functions(events) -> None:
    panel, cv = events
    cv = cv.copy()
    cv.loc[[0, 30], "y"] = NAN
    cv.loc[[7], ["lstm-p-1"]] = NAN
    series = evaluate(cv, panel, 8, by="series").set_index(["model", "unique_id"])
    for name, rows in cv.groupby("unique_id"):
        for model in ("lstm", "my-gru", "seasonal_naive"):
            p = rows[f"{model}-p-1" if model != "seasonal_naive" else model]
            got = series.loc[(model, name)]
            assert got["brier"] == pytest.approx(outcomes.brier(rows["y"], p))
            assert got["log_loss"] == pytest.approx(outcomes.log_loss(rows["y"], p))
            assert got["accuracy"] == pytest.approx(outcomes.event_accuracy(rows["y"], p))
            assert got["auc"] == pytest.approx(outcomes.auc(rows["y"], p), nan_ok=True)
    overall = evaluate(cv, panel, 8).set_index("model")
    assert overall.loc["lstm", "brier"] == pytest.approx(series.loc["lstm", "brier"].mean())
    assert overall.loc["lstm", "auc"] == pytest.approx(outcomes.auc(cv["y"], cv["lstm-p-1"]))
    assert overall["missing_actuals"].tolist() == [2, 2, 2]
    assert overall["missing_forecasts"].tolist() == [0, 1, 0]


def test_the_area_by_step_and_by_cutoff_pools_the_points_there(events) -> None:
    panel, cv = events
    cv = cv.assign(step=cv.groupby(["unique_id", "cutoff"]).cumcount() + 1)
    for by, frame in (
        ("step", evaluate(cv.drop(columns="step"), panel, 8, by="step")),
        ("cutoff", evaluate(cv.drop(columns="step"), panel, 8, by="cutoff")),
    ):
        mine = frame[frame["model"] == "lstm"].set_index(by)
        for key, rows in cv.groupby(by):
            assert mine.loc[key, "auc"] == pytest.approx(outcomes.auc(rows["y"], rows["lstm"]), nan_ok=True)


def test_probabilities_of_0_and_1_are_an_event(events) -> None:
    panel, cv = events
    two = cv[["unique_id", "ds", "cutoff", "y"]].assign(
        **{"m": (cv["lstm"] >= 0.5) * 1.0, "m-p-0": 1 - cv["lstm"], "m-p-1": cv["lstm"]}
    )
    one = evaluate(cv, panel, 8).set_index("model").loc["lstm"]
    pd.testing.assert_series_equal(evaluate(two, panel, 8).set_index("model").loc["m"], one, check_names=False)


def test_a_point_forecast_beyond_0_and_1_is_cut(events) -> None:
    panel, cv = events
    scores = evaluate(cv.assign(ets=1.7, mean=-0.2), panel, 8).set_index("model")
    y = cv["y"]
    assert scores.loc["ets", "brier"] == pytest.approx(
        evaluate(cv.assign(ets=1.0), panel, 8).set_index("model").loc["ets", "brier"]
    )
    assert scores.loc["ets", "accuracy"] + scores.loc["mean", "accuracy"] == pytest.approx(1)
    assert 0 < y.mean() < 1


def test_class_scores_equal_the_public_functions_and_sklearn(classes) -> None:
    panel, cv = classes
    cv = cv.copy()
    cv.loc[[3], "y"] = NAN
    cv.loc[[5], "lstm-p-4"] = NAN
    labels = [0.0, 1.0, 4.0]
    series = evaluate(cv, panel, 6, by="series").set_index(["model", "unique_id"])
    for name, rows in cv.groupby("unique_id"):
        rows = rows[rows["y"].notna() & rows["lstm-p-4"].notna()]
        shares = rows[[f"lstm-p-{v:g}" for v in labels]].to_numpy()
        got = series.loc[("lstm", name)]
        assert got["brier"] == pytest.approx(outcomes.class_brier(rows["y"], shares, labels))
        assert got["log_loss"] == pytest.approx(outcomes.class_log_loss(rows["y"], shares, labels))
        assert got["accuracy"] == pytest.approx(outcomes.class_accuracy(rows["y"], rows["lstm"]))
        assert got["macro_f1"] == pytest.approx(outcomes.macro_f1(rows["y"], rows["lstm"]))
    known = cv[cv["y"].notna() & cv["lstm-p-4"].notna()]
    overall = evaluate(cv, panel, 6).set_index("model").loc["lstm"]
    expected = sk.f1_score(known["y"].astype(str), known["lstm"].astype(str), average="macro")
    assert overall["macro_f1"] == pytest.approx(expected)
    assert (overall["missing_actuals"], overall["missing_forecasts"]) == (1, 1)


def test_a_model_without_probabilities_is_sure_of_its_class_and_a_number_that_is_none_is_wrong(classes) -> None:
    panel, cv = classes
    scores = evaluate(cv.assign(window_average=0.37), panel, 6).set_index("model")
    naive, average = scores.loc["seasonal_naive"], scores.loc["window_average"]
    assert naive["brier"] == pytest.approx(2 * (1 - naive["accuracy"]))
    assert naive["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps) * (1 - naive["accuracy"]))
    assert (average["accuracy"], average["macro_f1"], average["brier"]) == (0, 0, 2)


def test_a_class_that_no_model_knew_counts_against_all(classes) -> None:
    panel, cv = classes
    cv = cv.assign(y=cv["y"].where(cv.index > 0, 9.0))
    told = evaluate(cv, panel, 6, by="series").set_index(["model", "unique_id"]).loc[("lstm", "s0")]
    assert told["log_loss"] > 36 / 12
    assert class_rows(read_folds(cv, panel, 6), "lstm")[-1][:3] == ("9", "1", "0")


@pytest.mark.parametrize("by", ["overall", "series", "step", "cutoff"])
@pytest.mark.parametrize("kind", ["events", "classes"])
def test_the_order_of_rows_changes_no_bit(by: str, kind: str, request: pytest.FixtureRequest) -> None:
    panel, cv = request.getfixturevalue(kind)
    expected = evaluate(cv, panel, 8, by=by)
    pd.testing.assert_frame_equal(
        evaluate(cv.sample(frac=1, random_state=1), panel, 8, by=by), expected, check_exact=True
    )


def test_the_smallest_brier_score_wins_and_the_highest_shares_are_best(events) -> None:
    panel, cv = events
    ranking = rank(evaluate(cv, panel, 8))
    assert ranking.metric == "brier"
    assert ranking.columns == ["brier", "log_loss", "auc", "accuracy"]
    assert ranking.models[-1] == "seasonal_naive"
    best = ranking.best("accuracy")
    assert ranking.scores["accuracy"][best].tolist() == [ranking.scores["accuracy"].max()] * best.sum()
    assert "Brier score" in ranking_text(evaluate(cv, panel, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": 0.5}, r"y: 96 are neither 0 nor 1, and an event is forecast: 0\.5"),
        ({"lstm-p-1": 1.2}, r"lstm-p-1: 96 are no probabilities: 1\.2"),
        ({"lstm-p-0": 0.5, "lstm-p-1": 0.1}, r"lstm-p-…: 96 of the sums of lstm's probabilities are not 1: 0\.6"),
    ],
)
def test_what_is_no_event_and_no_probability_is_named(events, changes: dict[str, float], message: str) -> None:
    panel, cv = events
    with pytest.raises(DataError, match=message):
        evaluate(cv.assign(**changes), panel, 8)


def test_rounded_probabilities_sum_to_1(classes) -> None:
    panel, cv = classes
    shares = [column for column in cv if "-p-" in column]
    evaluate(cv.assign(**{column: cv[column].round(4) for column in shares}), panel, 6)


def test_event_rows_add_up_and_pool_all_points(events) -> None:
    panel, cv = events
    rows = {row[0]: row[1:] for row in event_rows(read_folds(cv, panel, 8), ["lstm", "seasonal_naive"])}
    score_, apart, resolved, uncertain, rest = (float(text) for text in rows["lstm"][:5])
    assert score_ == pytest.approx(apart - resolved + uncertain + rest, abs=3e-4)
    assert score_ == pytest.approx(outcomes.brier(cv["y"], cv["lstm"]), abs=1e-4)
    assert rows["lstm"][-1] == f"{100 * cv['y'].mean():.1f} %"


def test_the_event_figure_holds_the_curves(events) -> None:
    panel, cv = events
    folds = read_folds(cv, panel, 8)
    left, right = event_figure(folds, ["lstm", "my-gru"], ["lstm", "my-gru"]).axes
    false, true = outcomes.roc(cv["y"], cv["lstm"])
    assert any(
        np.array_equal(line.get_xdata(), false) and np.array_equal(line.get_ydata(), true) for line in right.get_lines()
    )
    bins = outcomes.event_bins(cv["y"], cv["lstm"])
    assert any(np.array_equal(line.get_ydata(), bins.frequency) for line in left.get_lines())
    assert [text.get_text().split()[0] for text in right.texts] == ["my-gru", "lstm"]


def test_the_class_figure_counts_what_came_and_what_was_forecast(classes) -> None:
    panel, cv = classes
    folds = read_folds(cv, panel, 6)
    figure = class_figure(folds, ["lstm", "seasonal_naive"], ["lstm", "seasonal_naive"])
    assert len(figure.axes) == 3
    matrix = outcomes.confusion(cv["y"], cv["lstm"], [0, 1, 4])
    shown = [int(text.get_text().splitlines()[1].replace(",", "")) for text in figure.axes[0].texts]
    assert shown == matrix.ravel().tolist()
    came = [int(row[1]) for row in class_rows(folds, "lstm")]
    assert came == matrix.sum(1).tolist()


def test_many_classes_show_the_most_frequent_twelve() -> None:
    rng = np.random.default_rng(0)
    panel = make_panel({"a": rng.integers(0, 30, size=400).astype(float)})
    cv = make_cv(panel, 100, windows=2, m=lambda known, actual: actual)
    shares = (cv["y"].to_numpy()[:, None] == np.arange(30)) * 1.0
    cv = cv.assign(**{f"m-p-{k}": shares[:, k] for k in range(30)})
    figure = class_figure(read_folds(cv, panel, 1), ["m"], ["m"])
    assert len(figure.axes[0].get_xticks()) == 12
    assert evaluate(cv, panel, 1)["accuracy"].tolist() == [1]


@pytest.mark.parametrize(("kind", "section", "charts"), [("events", "events", 4), ("classes", "classes", 4)])
def test_the_report_shows_outcomes_instead_of_intervals(
    kind: str, section: str, charts: int, request: pytest.FixtureRequest
) -> None:
    panel, cv = request.getfixturevalue(kind)
    text = render(Report("outcomes", cv, panel, 8))
    page = Page(text)
    assert section in page.values("id")
    assert not {"intervals", "calibration"} & set(page.values("id"))
    assert page.tags.count("svg") == charts
    assert "MASE" not in page.text
    assert "Brier score of" in page.text
    assert render(Report("outcomes", cv.sample(frac=1, random_state=2), panel, 8)) == text


@pytest.mark.parametrize("kind", ["events", "classes"])
def test_outcomes_without_any_actual_are_reported_as_such(kind: str, request: pytest.FixtureRequest) -> None:
    panel, cv = request.getfixturevalue(kind)
    page = Page(render(Report("outcomes", cv.assign(y=NAN), panel, 8)))
    assert "No model could be scored" in page.text
    assert "svg" not in page.tags


def test_plot_shows_a_probability_as_a_line_and_events_as_dots(events) -> None:
    panel, cv = events
    last = cv[cv["cutoff"] == cv["cutoff"].max()].drop(columns=["cutoff", "y"])
    axes = plot(panel.head(panel.lengths - 8), last, ["lstm"], max_series=1).axes[0]
    past, line = axes.get_lines()[0], axes.get_lines()[-1]
    assert past.get_linestyle() == "None"
    assert line.get_ydata().size == 8
    assert not axes.collections  # an interval of 0 and 1 says nothing
    assert score(read_folds(cv, panel, 8))["n_points"].tolist() == [96, 96, 96]
