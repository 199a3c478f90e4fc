"""Intervals hold what they promise: on simulated series of the model's own kind, and conformal ones on any kind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast import Forecaster, Training
from tests.test_invariants import model_of

SERIES, H, LEVEL = 2000, 3, 80
SHARE = LEVEL / 100
ERROR = np.sqrt(SHARE * (1 - SHARE) / SERIES)  # standard error of the share of so many series that is covered


def long_frame(y: np.ndarray) -> pd.DataFrame:
    """A row of ``y`` (S, n) for each series."""
    series, n = y.shape
    return pd.DataFrame(
        {"unique_id": np.repeat(np.arange(series), n), "ds": np.tile(np.arange(n), series), "y": y.ravel()}
    )


def covered(model: object, y: np.ndarray, season: int = 1, **options) -> np.ndarray:
    """Share of the series whose interval holds what came, for each of the ``H`` steps."""
    frame = long_frame(y[:, :-H])
    models = Forecaster({"m": model}, h=H, freq=1, season_length=season, progress=False, **options)
    out = models.fit(frame).predict(level=[LEVEL])
    low, high = (out[f"m-{side}-{LEVEL}"].to_numpy().reshape(len(y), H) for side in ("lo", "hi"))
    return ((low <= y[:, -H:]) & (y[:, -H:] <= high)).mean(axis=0)


def noise(n: int, seed: int, series: int = SERIES) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((series, n))


def walk(n: int) -> np.ndarray:
    return noise(n, 1).cumsum(axis=1)


def seasonal_walk(n: int, season: int = 4) -> np.ndarray:
    steps = noise(n, 2).reshape(SERIES, n // season, season)
    return steps.cumsum(axis=1).reshape(SERIES, n)


def local_level(n: int) -> np.ndarray:
    errors = noise(n, 3)
    level = 0.3 * np.concatenate([np.zeros((SERIES, 1)), errors[:, :-1]], axis=1).cumsum(axis=1)
    return level + errors


def autoregression(n: int, series: int = SERIES, share: float = 0.8, seed: int = 4) -> np.ndarray:
    y = noise(n, seed, series)
    y[:, 0] /= np.sqrt(1 - share**2)
    for step in range(1, n):
        y[:, step] += share * y[:, step - 1]
    return y


OWN_KIND = {
    "naive": (walk(80), 1),
    "drift": (walk(80) + 0.5 * np.arange(80), 1),
    "historic_mean": (noise(80, 5) + 3.0, 1),
    "seasonal_naive": (seasonal_walk(160), 4),
    "naive2": (walk(80), 1),
}


@pytest.mark.parametrize("name", OWN_KIND)
def test_a_baseline_covers_what_its_own_kind_of_series_brings(name):
    """Within three standard errors of the level: 0.773 … 0.827. Estimating the deviation from 80 rows costs what the
    one percent of slack below allows."""
    y, season = OWN_KIND[name]
    shares = covered(name, y, season)
    assert (np.abs(shares - SHARE) < 3 * ERROR + 0.01).all(), shares


@pytest.mark.parametrize("name", ["theta", "dynamic_theta", "batched_ets"])
def test_a_smoothing_baseline_covers_a_local_level(name):
    """Two parameters and a first level are estimated from each series, of which intervals of this kind know nothing:
    they may be five points too narrow, as in statsmodels, and never as much too wide."""
    shares = covered(name, local_level(60)[:500])
    error = np.sqrt(SHARE * (1 - SHARE) / 500)
    assert (np.abs(shares - SHARE) < 3 * error + 0.05).all(), shares


@pytest.mark.parametrize("name", ["segrnn", "seq2seq"])
@pytest.mark.parametrize("kind", ["autoregression", "season"])
def test_conformal_intervals_cover_whatever_the_series_and_the_net(name, kind):
    """Calibration windows are as exchangeable with the future as series of one kind can be: the guarantee holds up to
    three standard errors of the calibration and of the test together, for a net that hardly learned anything."""
    y = autoregression(40)
    if kind == "season":
        y = noise(40, 6) + 3.0 * np.sin(np.pi * np.arange(40) / 2)
    training = Training(max_steps=10, batch_size=64, cycles=1, validations=1)
    shares = covered(model_of(name), y, 4, training=training)
    assert (shares > SHARE - 3 * np.sqrt(2) * ERROR).all(), shares
    assert (shares < SHARE + 0.05).all(), shares
