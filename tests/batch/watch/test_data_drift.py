"""What a run's rows look like, and when that is worth a word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from forecast.batch.watch.data_drift import Profile, data_drift, profile
from forecast.batch.watch.facts import RunFacts
from forecast.batch.watch.settings import WatchSettings
from forecast.panel.panel import Panel
from forecast.timeline import fit_timeline

SETTINGS = WatchSettings()
ORIGIN = np.array(["2026-01-01"], dtype="datetime64[us]")
USUAL = [Profile(30, 1, 0.0, 0.0)] * 5


def panel_of(series: list[np.ndarray], freq: str | int = "D", ids: list[object] | None = None) -> Panel:
    origin = ORIGIN if isinstance(freq, str) else np.array([0])
    timeline = fit_timeline(freq, origin)
    offsets = np.concatenate([[0], np.cumsum([len(values) for values in series])]).astype(np.int64)
    first = np.repeat(timeline.ordinals(origin)[0], len(series))
    names = pd.Index(ids or [f"s{at}" for at in range(len(series))])
    return Panel(names, np.concatenate([*series, np.zeros(0)]), offsets, first, timeline)


def steady(series: int = 30, days: int = 120, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    week = 3 * np.sin(2 * np.pi * np.arange(days) / 7)
    return [10 * (at + 1) + week + rng.normal(size=days) for at in range(series)]


def facts_of(panel: Panel | None, days: int = 120, frame: pd.DataFrame | None = None) -> RunFacts:
    slot = datetime(2026, 1, 1, 6, tzinfo=UTC) + timedelta(days=days)
    return RunFacts("shop", slot, "r", 1, frame, panel, 7)


def alerts_of(
    panel: Panel, before: list[Profile] = USUAL, days: int = 120, previous: pd.DataFrame | None = None
) -> dict[str, str]:
    facts = facts_of(panel, days)
    now = profile(panel, facts.slot, 7, SETTINGS.stale_steps)
    return {alert.kind: alert.severity for alert in data_drift(facts, now, before, previous, SETTINGS)}


def forecasts_of(ids: list[object], cutoff: str = "2026-04-29") -> pd.DataFrame:
    stamp = pd.Timestamp(cutoff)
    return pd.DataFrame({"unique_id": ids, "cutoff": stamp, "ds": stamp + pd.Timedelta(days=1), "step": 1, "mean": 1.0})


def test_rows_as_they_always_were_are_not_worth_a_word() -> None:
    for seed in range(20):
        assert alerts_of(panel_of(steady(seed=seed))) == {}


def test_a_profile_tells_the_age_of_the_newest_row_and_the_shares_of_stale_and_missing() -> None:
    series = steady(4)
    series[1] = series[1][:100]
    series[2][-7:] = np.nan
    panel = panel_of(series)
    now = profile(panel, facts_of(panel).slot, 7, 1)
    assert (now.series, now.lag) == (4, 1)
    assert now.stale == 0.5
    assert now.missing == pytest.approx(7 / 56)


def test_an_empty_panel_and_integer_times_have_a_profile_too() -> None:
    assert profile(panel_of([]), facts_of(None).slot, 7, 1) == Profile(0, None, 0.0, 0.0)
    assert profile(panel_of([np.full(5, np.nan)]), facts_of(None).slot, 7, 1).lag is None
    assert profile(panel_of(steady(2), freq=1), facts_of(None).slot, 7, 1).lag is None
    assert data_drift(facts_of(None), Profile(0, None, 0, 0), [], None, SETTINGS) == []


@pytest.mark.parametrize(("late", "severity"), [(1, None), (2, "warning"), (6, "critical")])
def test_rows_that_stop_arriving_are_found_beyond_the_steps_that_are_let_pass(late: int, severity: str | None) -> None:
    found = alerts_of(panel_of(steady()), days=120 + late)
    assert found.get("stale") == severity


def test_lateness_is_held_against_what_is_usual_for_this_source() -> None:
    usual = [Profile(30, 4, 0.0, 0.0)] * 5
    assert alerts_of(panel_of(steady()), usual, days=123) == {}
    assert alerts_of(panel_of(steady()), usual[:2], days=140) == {}  # two runs do not say what is usual


def test_series_that_fall_behind_are_named_the_latest_first() -> None:
    series = steady()
    for at in (3, 4, 5):
        series[at] = series[at][: 100 - at]
    panel = panel_of(series)
    facts = facts_of(panel)
    (alert,) = data_drift(facts, profile(panel, facts.slot, 7, 1), USUAL, None, SETTINGS)
    assert alert.kind == "stale"
    assert "3 series (10 %" in alert.message
    assert "'s3', 's4', 's5'" in alert.message
    assert alerts_of(panel, [Profile(30, 1, 0.1, 0.0)] * 3) == {}


def test_holes_in_the_latest_rows_are_found() -> None:
    series = steady()
    rng = np.random.default_rng(1)
    for values in series:
        values[-14:-1][rng.random(13) < 0.3] = np.nan
    assert alerts_of(panel_of(series)) == {"missing": "warning"}


def test_values_far_outside_their_range_are_named_the_furthest_first() -> None:
    series = steady()
    series[7][-1] *= 10
    series[20][-1] *= -100
    panel = panel_of(series)
    facts = facts_of(panel)
    (alert,) = data_drift(facts, profile(panel, facts.slot, 7, 1), USUAL, None, SETTINGS)
    assert (alert.kind, alert.severity) == ("range", "warning")
    assert "'s20', 's7'" in alert.message


def test_one_series_of_many_out_of_range_is_only_good_to_know() -> None:
    series = steady(200)
    series[7][-1] = 1e6
    assert alerts_of(panel_of(series)) == {"range": "info"}


def test_only_rows_newer_than_the_last_run_are_held_against_the_range() -> None:
    series = steady()
    series[7][-3] *= 10
    panel = panel_of(series)
    ids = list(panel.ids)
    assert alerts_of(panel, previous=forecasts_of(ids, "2026-04-29")) == {}
    assert alerts_of(panel, previous=forecasts_of(ids, "2026-04-27")) == {"range": "warning"}


def test_series_that_never_moved_or_are_short_have_no_range() -> None:
    flat, short = np.ones(120), np.arange(10.0)
    flat[-1], short[-1] = 2.0, 1e9
    assert "range" not in alerts_of(panel_of([flat, short, np.full(120, np.nan), *steady(3)]))


def test_a_change_of_units_shifts_the_distribution() -> None:
    series = steady()
    for values in series:
        values[-14:] *= 1.5
    assert alerts_of(panel_of(series)).get("shift") == "warning"


def test_a_trend_is_no_shift() -> None:
    series = [values + 0.3 * np.arange(120) for values in steady()]
    assert alerts_of(panel_of(series)) == {}


def test_a_panel_too_short_to_tell_has_no_shift() -> None:
    series = [values[:40] for values in steady(days=40)]
    for values in series:
        values[-14:] *= 1.5
    assert "shift" not in alerts_of(panel_of(series), days=40)


def test_vanished_series_are_a_warning_and_new_ones_good_to_know() -> None:
    panel = panel_of(steady(3), ids=["a", "b", "new\nline"])
    facts = facts_of(panel)
    found = data_drift(facts, profile(panel, facts.slot, 7, 1), [], forecasts_of(["a", "b", "<gone>"]), SETTINGS)
    assert [(alert.kind, alert.severity) for alert in found] == [("ids", "warning"), ("ids", "info")]
    assert "'<gone>'" in found[0].message
    assert "'new\\nline'" in found[1].message
    calm = WatchSettings(vanished_share=0.5)
    again = data_drift(facts, profile(panel, facts.slot, 7, 1), [], forecasts_of(["a", "b", "gone"]), calm)
    assert {alert.severity for alert in again} == {"info"}


def test_many_fallbacks_are_a_warning_with_the_commonest_reason() -> None:
    panel = panel_of(steady(4))
    frame = pd.DataFrame(
        {"unique_id": panel.ids, "cutoff": pd.Timestamp("2026-04-30"), "ds": pd.Timestamp("2026-05-01"), "step": 1,
         "model": "own", "source": ["own", "own", "naive", "own"], "reason": ["", "", "too short", ""], "mean": 1.0}
    )  # fmt: skip
    facts = facts_of(panel, frame=frame)
    (alert,) = data_drift(facts, profile(panel, facts.slot, 7, 1), USUAL, None, SETTINGS)
    assert (alert.kind, alert.value) == ("fallback", 0.25)
    assert "too short" in alert.message
