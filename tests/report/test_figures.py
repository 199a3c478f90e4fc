from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forecast
from forecast.errors import ConfigError, DataError
from forecast.panel.panel import Panel
from forecast.report.curves import gradient_norms, learning_curves
from forecast.report.evaluate import evaluate, score
from forecast.report.fan import View
from forecast.report.figures import accuracy_bars, fans, horizon_lines, plot
from forecast.report.folds import read_folds
from forecast.report.ranking import rank
from forecast.report.style import MUTED, PALETTE, REFERENCE, inline_svg, model_colors, spread
from forecast.report.views import telling_views
from forecast.timeline import fit_timeline

from .conftest import make_cv, make_panel


def lines_of(figure) -> list[np.ndarray]:
    return [line.get_ydata() for axes in figure.axes for line in axes.get_lines()]


def test_bars_are_in_order_with_the_best_on_top(panel: Panel, cv: pd.DataFrame) -> None:
    figure = accuracy_bars(rank(evaluate(cv, panel, 12)))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["segrnn", "seasonal_naive", "naive"]
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == sorted(widths)


def test_a_bar_far_beyond_the_others_is_cut_and_says_so(panel: Panel, cv: pd.DataFrame) -> None:
    figure = accuracy_bars(rank(evaluate(cv.assign(naive=1e9), panel, 12)))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[-1].endswith("(bar cut)")


def test_horizon_lines_are_the_scores_by_step(panel: Panel, cv: pd.DataFrame) -> None:
    by_step = score(read_folds(cv, panel, 12), "step")
    figure = horizon_lines(by_step, "mase", ["segrnn", "naive"], ["segrnn", "naive"])
    expected = by_step.loc[by_step["model"] == "naive", "mase"].to_numpy()
    assert any(np.array_equal(line, expected) for line in lines_of(figure))
    assert {text.get_text().rstrip(" ↑") for text in figure.axes[0].texts} == {"segrnn", "naive"}


def test_the_typical_the_best_and_the_worst_series_are_shown(panel: Panel, cv: pd.DataFrame) -> None:
    folds = read_folds(cv, panel, 12)
    by_series = score(folds, "series")
    ranking = rank(score(folds))
    titles = [view.title.split()[1] for view in telling_views(folds, ranking, by_series)]
    mine = by_series[by_series["model"] == "segrnn"].sort_values("mase")["key"].to_numpy()
    assert titles == [panel.ids[mine[place]] for place in (2, 0, 4)]


def test_a_view_ends_at_the_cutoff_and_continues_with_forecasts_and_intervals(panel: Panel, cv: pd.DataFrame) -> None:
    folds = read_folds(cv, panel, 12)
    view = telling_views(folds, rank(score(folds)), score(folds, "series"))[0]
    rows = cv[(cv["unique_id"] == view.title.split()[1]) & (cv["cutoff"] == cv["cutoff"].max())]
    assert view.past_times[-1] == rows["cutoff"].iloc[0].to_datetime64()
    assert view.past_times.size == view.past.size == 24
    np.testing.assert_array_equal(view.times, rows["ds"].to_numpy())
    np.testing.assert_array_equal(view.actual, rows["y"])
    segrnn, naive = view.lines
    assert (segrnn.name, naive.name) == ("segrnn", "seasonal_naive")
    np.testing.assert_array_equal(segrnn.values, rows["segrnn"])
    np.testing.assert_array_equal(segrnn.bands[0][1], rows["segrnn-hi-90"])  # the widest first
    assert len(segrnn.bands) == 2


def test_one_series_shows_its_windows() -> None:
    panel = make_panel({"only": [1.0, 3, 2, 4, 3, 5, 4, 7, 5, 9]})
    cv = make_cv(panel, 2, windows=3, m=lambda known, actual: actual + known[-1] / 10)
    folds = read_folds(cv, panel, 1)
    views = telling_views(folds, rank(score(folds)), score(folds, "series"))
    assert [view.title.split()[0] for view in views] == ["Typical:", "Best:", "Worst:"]
    assert len({view.past_times[-1] for view in views}) == 3


def test_years_outside_the_calendar_are_drawn_as_steps() -> None:
    stamps = np.array(["9998-01-01", "9998-02-01", "9999-11-01"], dtype="datetime64[us]")
    view = View("far", stamps[:2], np.array([1.0, 2]), stamps[2:], np.array([3.0]), ())
    figure = fans([view], [])
    assert "var(--ink" in inline_svg(figure, "far", "far")


def test_learning_curves_draw_what_is_known_and_mark_the_best(panel: Panel) -> None:
    points = [
        {"step": 10 * i, "train_loss": 1 / i, "validation_loss": v, "gradient_norm": float("nan")}
        for i, v in enumerate([None, 3.0, 1.0, 2.0], 1)
    ]
    figure = learning_curves({"net": points}, {"net": PALETTE[0]})
    sizes = [line.size for line in lines_of(figure)]
    assert sorted(sizes) == [1, 3, 4]  # the best point, validation, train
    assert any("best 1.000 at step 30" in text.get_text() for text in figure.axes[0].texts)
    assert lines_of(gradient_norms({"net": points}, {"net": PALETTE[0]}))[0].size == 0


def test_losses_over_decades_get_a_logarithmic_axis_with_readable_ticks() -> None:
    points = [{"step": i, "train_loss": 10.0**-i, "validation_loss": None} for i in range(6)]
    figure = learning_curves({"net": points}, {"net": PALETTE[0]})
    assert figure.axes[0].get_yscale() == "log"
    assert "mathdefault" not in inline_svg(figure, "k", "t")


def test_a_model_keeps_its_colour_and_the_naive_reference_is_grey() -> None:
    names = [f"m{i}" for i in range(10)]
    colors = model_colors(["a", "seasonal_naive", "b", "naive"])
    assert colors == {"a": PALETTE[0], "b": PALETTE[1], "naive": PALETTE[2], "seasonal_naive": REFERENCE}
    assert list(model_colors(names).values()) == [*PALETTE, MUTED, MUTED]


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.01, 0.3))
def test_labels_are_moved_apart_and_keep_their_order(places: list[float], gap: float) -> None:
    moved = spread(places, gap)
    order = np.argsort(places, kind="stable")
    assert all(np.diff(np.array(moved)[order]) >= gap - 1e-9)
    assert np.isclose(sum(moved), sum(places))


def test_labels_far_enough_apart_stay_where_they_are() -> None:
    assert spread([0.9, 0.1, 0.5], 0.2) == pytest.approx([0.9, 0.1, 0.5])


def test_plot_draws_the_first_series_with_the_levels_asked_for(panel: Panel, cv: pd.DataFrame) -> None:
    last = cv[cv["cutoff"] == cv["cutoff"].max()].drop(columns=["cutoff", "y"])
    history = panel.head(panel.lengths - 6)
    figure = plot(history, last, ("segrnn", "seasonal_naive"), level=(80,), max_series=4)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["s1", "s2", "s3", "s4"]
    assert [len(axes.collections) for axes in figure.axes] == [1] * 4
    assert len(plot(history, last, max_series=1).axes[0].collections) == 2
    assert len(plot(history, last, level=[], max_series=1).axes[0].collections) == 0


def test_plot_refuses_unknown_models_and_strange_series(panel: Panel, cv: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="'segrnn', 'seasonal_naive', 'naive'"):
        plot(panel, cv, ["lstm"])
    with pytest.raises(ConfigError, match="max_series"):
        plot(panel, cv, max_series=0)
    with pytest.raises(DataError, match="'nobody'"):
        plot(panel, cv.assign(unique_id="nobody"))


def test_plot_works_on_integer_time() -> None:
    timeline = fit_timeline(5, np.array([10]))
    first, _ = timeline.ordinals(np.array([10]))
    panel = Panel(pd.Index(["a"]), np.arange(6.0), np.array([0, 6]), first, timeline)
    frame = pd.DataFrame({"unique_id": "a", "ds": [40, 45], "m": [6.0, 7.0]})
    assert plot(panel, frame).axes[0].get_xlim()[1] == 45


def test_drawing_leaves_the_users_matplotlib_alone(panel: Panel, cv: pd.DataFrame) -> None:
    with mpl.rc_context({"font.size": 31, "svg.fonttype": "path"}):
        before = dict(mpl.rcParams)
        figure = accuracy_bars(rank(evaluate(cv, panel, 12)))
        inline_svg(figure, "a", "b")
        assert dict(mpl.rcParams) == before
    assert figure.axes[0].get_yticklabels()[0].get_fontsize() == 9.5


def test_pyplot_is_never_imported() -> None:
    program = "import sys, forecast.report.html, forecast.report.style as s; s.inline_svg(s.new_figure(1), 'a', 'b'); "
    program += "assert 'matplotlib.pyplot' not in sys.modules"
    root = Path(forecast.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True)


def test_svg_ids_are_unique_to_their_figure_and_refer_inside_it(panel: Panel, cv: pd.DataFrame) -> None:
    figure = accuracy_bars(rank(evaluate(cv, panel, 12)))
    first, second = inline_svg(figure, "one", "t"), inline_svg(figure, "two", "t")
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert not ids[0] & ids[1]
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', first))
    assert used <= ids[0]
    assert "<metadata" not in first


def test_names_that_are_formulas_scripts_or_unknown_letters_are_drawn_as_text() -> None:
    names = ["$\\frac{1}{", "<script>alert(1)</script>", "海 🌊", "--><b>", "a\x00b", "_hidden"]
    view = View("&amp; <b>", np.arange(2), np.array([1.0, 2]), np.arange(2, 4), np.array([2.0, 3]), ())
    lines = [type("L", (), {"name": name, "values": np.array([2.0, i]), "bands": ()})() for i, name in enumerate(names)]
    svg = inline_svg(
        fans([View(view.title, view.past_times, view.past, view.times, view.actual, tuple(lines))], names),
        "k",
        '"><script>',
    )
    assert "<script" not in svg
    assert "<b>" not in svg
    assert "$\\frac{1}{" in svg
    assert "_hidden" in svg
