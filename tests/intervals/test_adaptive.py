"""Adaptive intervals: through a break, row by row or all at once, and of each series by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast import Calibrated, Forecaster, Intervals
from forecast.ingest.door import to_panel
from forecast.intervals.trackers import DRIFT, FURTHEST, Trackers
from forecast.report.folds import read_folds
from forecast.report.running import coverage_lines, running_coverage
from tests.intervals import processes

PAST, STEPS = 300, 500
BOTH = {"static": Calibrated("naive", "split"), "adaptive": Calibrated("naive", "adaptive")}


@pytest.fixture(scope="module", params=[3.0, 5.0])
def through_a_break(request):
    """A backtest over 500 cutoffs in the middle of which the noise grows, and its series."""
    rng = np.random.default_rng(int(request.param))
    frame = processes.long(processes.broken(rng, PAST + STEPS, PAST + STEPS // 2, request.param))
    made = Forecaster(BOTH, 1, 1, progress=False).cross_validation(frame, STEPS, 1, level=[80, 90, 95])
    return frame, made


def covered(made: pd.DataFrame, model: str, level: int) -> float:
    inside = (made[f"{model}-lo-{level}"] <= made["y"]) & (made["y"] <= made[f"{model}-hi-{level}"])
    return float(inside.mean())


@pytest.mark.parametrize("level", [80, 90, 95])
def test_coverage_stays_within_two_points_through_a_break_where_static_intervals_fail(through_a_break, level):
    _, made = through_a_break
    assert len(made) == STEPS
    assert abs(covered(made, "adaptive", level) - level / 100) <= 0.02
    assert covered(made, "static", level) < level / 100 - 0.04


def test_widths_stay_sensible(through_a_break):
    _, made = through_a_break
    width = (made["adaptive-hi-90"] - made["adaptive-lo-90"]).to_numpy()
    before, after = np.median(width[100:250]), np.median(width[350:])
    changes = np.abs(np.diff(made["y"].to_numpy()))
    for typical, part in ((before, changes[100:250]), (after, changes[350:])):
        assert 0.6 < typical / (2 * np.quantile(part, 0.9)) < 1.7


def test_the_picture_shows_the_static_model_falling_behind(through_a_break):
    frame, made = through_a_break
    folds = read_folds(made, to_panel(frame, freq=1), 1)
    _, static = running_coverage(folds, "static", "90")
    _, adaptive = running_coverage(folds, "adaptive", "90")
    late = slice(STEPS // 2 + 60, None)
    assert static[late].mean() < 0.8
    assert abs(adaptive[late].mean() - 0.9) < 0.05
    figure = coverage_lines(folds, ["adaptive", "static"])
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "95 % intervals",
        "90 % intervals",
        "80 % intervals",
    ]


def test_every_step_of_a_longer_horizon_keeps_its_coverage():
    frame = processes.long(processes.broken(np.random.default_rng(11), PAST + STEPS, PAST + STEPS // 2, 4.0))
    made = Forecaster(BOTH, 3, 1, progress=False).cross_validation(frame, STEPS - 2, 1, level=90)
    inside = (made["adaptive-lo-90"] <= made["y"]) & (made["y"] <= made["adaptive-hi-90"])
    shares = inside.groupby(made["ds"] - made["cutoff"]).mean().to_numpy()
    np.testing.assert_allclose(shares, 0.9, atol=0.03)


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Four series of which three have gone on for twelve rows."""
    values = processes.ar1(np.random.default_rng(2), 4, 92)
    frame = processes.long(values)
    frame.loc[frame.sample(frac=0.05, random_state=1).index, "y"] = np.nan
    new = frame[(frame["ds"] >= 80) & (frame["unique_id"] != "s0003")]
    return frame[frame["ds"] < 80], new


def fitted(frame: pd.DataFrame, **options: object) -> Forecaster:
    return Forecaster("naive", 3, 1, intervals="adaptive", progress=False, **options).fit(frame)


def test_rows_one_by_one_or_all_at_once_make_the_same_intervals(rows):
    old, new = rows
    whole = fitted(old).update(new)
    single = fitted(old)
    for _, some in new.groupby("ds"):
        single.update(some)
    expected = whole.predict(level=[60, 90])
    pd.testing.assert_frame_equal(single.predict(level=[60, 90]), expected, rtol=1e-6)
    static = Forecaster("naive", 3, 1, intervals="split", progress=False).fit(old).update(new)
    assert not np.allclose(static.predict(level=90)["naive-hi-90"], expected["naive-hi-90"])


def test_a_longer_frame_is_caught_up_with_for_the_forecast_alone(rows):
    old, new = rows
    both = pd.concat([old, new])
    forecaster = fitted(old)
    before = forecaster.predict(level=90)
    pd.testing.assert_frame_equal(
        forecaster.predict(both, level=90).sort_values(["unique_id", "ds"], ignore_index=True),
        fitted(old).update(new).predict(level=90).sort_values(["unique_id", "ds"], ignore_index=True),
        rtol=1e-6,
    )
    pd.testing.assert_frame_equal(forecaster.predict(level=90), before)


def test_a_state_is_not_used_for_forecasts_from_before_it(rows):
    old, new = rows
    forecaster = fitted(old)
    expected = forecaster.predict(old, level=90)
    pd.testing.assert_frame_equal(forecaster.update(new).predict(old, level=90), expected)


def test_the_misses_of_a_series_move_its_own_intervals_alone(rows):
    old, new = rows
    wild = new.assign(y=np.where(new["unique_id"] == "s0001", new["y"] * 50.0, new["y"]))
    one, other = (fitted(old).update(part).predict(level=90).set_index("unique_id") for part in (new, wild))
    for name in ("s0000", "s0002", "s0003"):
        pd.testing.assert_frame_equal(one.loc[name], other.loc[name])
    reach = "naive-hi-90"
    assert (other.loc["s0001", reach] - other.loc["s0001", "naive"]).min() > one.loc["s0001", reach].max()


def test_new_series_begin_as_all_did(rows):
    old, new = rows
    fresh = new.assign(unique_id=new["unique_id"] + "x")
    forecaster = fitted(old).update(fresh)
    later = fresh.assign(ds=fresh["ds"] + 12)
    made = forecaster.update(later).predict(level=90)
    assert np.isfinite(made["naive-hi-90"]).all()
    assert len(made) == 3 * 7


def test_unknown_rows_say_nothing(rows):
    old, new = rows
    silent = new.assign(y=np.nan)
    made = fitted(old)
    state = made._fitted["naive"].trackers
    after = made.update(silent)._fitted["naive"].trackers
    np.testing.assert_array_equal(after.moves[after.ids.get_indexer(state.ids)], state.moves)
    assert after.last[after.ids.get_loc("s0000")] == state.last[state.ids.get_loc("s0000")]


def test_every_step_size_and_their_mean_move_as_the_paper_says():
    settings = Intervals("adaptive", levels=(90,), step_sizes=(0.1, 0.5))
    start = Trackers.start(pd.Index(["a"]), np.array([0]), 1, settings)
    missed = start.after([(np.array([0]), np.array([[[1.0]]]))], np.array([1]), settings)
    np.testing.assert_allclose(missed.moves.ravel(), [0.09, 0.45], rtol=1e-6)
    np.testing.assert_allclose(missed.drift.ravel(), [DRIFT * 0.9], rtol=1e-6)
    held = start.after([(np.array([0]), np.array([[[-1.0]]]))], np.array([1]), settings)
    np.testing.assert_allclose(held.moves.ravel(), [-0.01, -0.05], rtol=1e-6)
    assert missed.last.tolist() == [1]


def test_whatever_comes_misses_are_as_many_as_promised_but_for_what_the_correction_says():
    settings = Intervals("adaptive", levels=(80,))
    rng = np.random.default_rng(4)
    needed = np.cumsum(rng.standard_t(2, 400)) / 4.0  # wanders off, with leaps
    state, misses = Trackers.start(pd.Index(["a"]), np.array([0]), 1, settings), 0
    for one in np.clip(needed, -FURTHEST / 2, FURTHEST / 2):
        misses += one > float(state.log_factors()[0, 0, 0])
        state = state.after([(np.array([0]), np.array([[[one]]]))], np.array([1]), settings)
    assert misses - 0.2 * 400 == pytest.approx(float(state.drift[0, 0, 0]) / DRIFT, abs=0.01)
