"""Seasons that the frequency does not tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast import load_dataset
from forecast.auto.season import autocorrelation, detected_season
from forecast.ingest.door import to_panel


def panel_of(*series: np.ndarray):
    frames = [pd.DataFrame({"unique_id": f"s{n}", "ds": np.arange(len(y)), "y": y}) for n, y in enumerate(series)]
    return to_panel(pd.concat(frames, ignore_index=True))


@pytest.mark.parametrize("season", [4, 7, 24])
def test_a_repeating_pattern_gives_its_length(season: int) -> None:
    rng = np.random.default_rng(0)
    pattern = rng.standard_normal(season)
    series = [
        np.tile(pattern, 12) + 0.1 * t * np.arange(12 * season) + 0.3 * rng.standard_normal(12 * season) for t in (0, 1)
    ]
    assert detected_season(panel_of(*series), 1) == season


def test_noise_a_line_and_a_random_walk_have_no_season() -> None:
    rng = np.random.default_rng(1)
    assert detected_season(panel_of(rng.standard_normal(200)), 1) == 1
    assert detected_season(panel_of(np.arange(200.0)), 1) == 1
    assert detected_season(panel_of(np.full(50, 3.0)), 1) == 1


def test_the_season_of_the_frequency_is_kept() -> None:
    assert detected_season(panel_of(np.random.default_rng(2).standard_normal(200)), 12) == 12


def test_sunspots_come_and_go_in_about_eleven_years() -> None:
    assert detected_season(to_panel(load_dataset("sunspots", progress=False)), 1) in (10, 11)


def test_gaps_do_not_disturb_the_autocorrelation_much() -> None:
    rng = np.random.default_rng(3)
    y = np.tile(rng.standard_normal(6), 30)
    gappy = y.copy()
    gappy[rng.choice(len(y), 20, replace=False)] = np.nan
    whole, holed = autocorrelation(y, 12), autocorrelation(gappy, 12)
    assert whole is not None and holed is not None
    assert holed == pytest.approx(whole, abs=0.15)
    assert detected_season(panel_of(gappy), 1) == 6


def test_autocorrelation_equals_that_of_statsmodels_on_detrended_values() -> None:
    from statsmodels.tsa.stattools import acf

    y = np.random.default_rng(4).standard_normal(100).cumsum()
    rest = y - np.polyval(np.polyfit(np.arange(100), y, 1), np.arange(100))
    assert autocorrelation(y, 10) == pytest.approx(acf(rest, adjusted=True, nlags=10), abs=1e-8)
