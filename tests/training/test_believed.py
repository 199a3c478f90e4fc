"""Covariates are believed as far as the training rows bear them out: simulated effects, and none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast import Forecaster
from forecast.models import SegRNN

SERIES, ROWS, H, EFFECT = 30, 84, 6, 3.0
FEASTS = [f"feast{number}" for number in range(8)]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Months with a season, a shock common to all series, a promotion that adds 3 and feasts that do nothing."""
    random, step = np.random.default_rng(0), np.arange(ROWS)
    shock = random.normal(0.0, 0.5, ROWS)
    promo = (random.random((SERIES, ROWS)) < 0.2).astype(float)
    level = 50.0 + np.cumsum(random.normal(0.0, 0.2, (SERIES, ROWS)), axis=1)
    season = 2.0 * np.sin(2.0 * np.pi * step / 12.0 + random.uniform(0.0, 6.0, (SERIES, 1)))
    y = level + season + random.normal(0.0, 0.5, (SERIES, ROWS)) + shock + EFFECT * promo
    columns = {"unique_id": np.repeat([f"s{number:02d}" for number in range(SERIES)], ROWS)}
    columns |= {"ds": np.tile(pd.date_range("2018-01-01", periods=ROWS, freq="MS"), SERIES), "y": y.ravel()}
    for name in FEASTS:
        columns[name] = np.tile(np.isin(step, random.choice(ROWS, 3, replace=False)).astype(float), SERIES)
    return pd.DataFrame(columns | {"promo": promo.ravel()})


def net(names: list[str]) -> Forecaster:
    return Forecaster(SegRNN(hidden_size=16), H, "MS", max_steps=300, seed=0, progress=False, futr_exog=names)


def error(frame: pd.DataFrame, names: list[str]) -> float:
    """Mean absolute error at four cutoffs, 24 months, after one training."""
    scored = net(names).cross_validation(frame[["unique_id", "ds", "y", *names]], n_windows=4)
    return float((scored["y"] - scored.iloc[:, -1]).abs().mean())


def test_a_strong_effect_is_kept(frame):
    late = frame.groupby("unique_id").cumcount() >= ROWS - H
    fitted = net(["promo"]).fit(frame.loc[~late, ["unique_id", "ds", "y", "promo"]])
    ahead = frame.loc[late, ["unique_id", "ds"]]
    on, off = (fitted.predict(futr_df=ahead.assign(promo=promo)).iloc[:, 2] for promo in (1.0, 0.0))
    assert (on - off).mean() == pytest.approx(EFFECT, rel=0.1)


def test_days_that_do_nothing_cost_next_to_nothing(frame):
    """Believed in full, these eight feasts cost 5 %: three days each that something else happened on."""
    assert error(frame, FEASTS) < 1.01 * error(frame, [])
