"""What covariates are worth: the same nets with and without, on rolling cutoffs, three seeds."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from forecast import Forecaster, evaluate
from forecast.ingest.door import to_panel
from tests.benchmarks.accuracy import SEEDS, read_set
from tests.benchmarks.table import print_table

STEPS = {"stallion": 1000, "taxi": 1500}  # optimiser steps of every net, with covariates and without
DAYS = [
    "easter_day", "good_friday", "new_year", "christmas", "labor_day", "independence_day", "revolution_day_memorial",
    "regional_games", "fifa_u_17_world_cup", "football_gold_cup", "beer_capital", "music_fest",
]  # fmt: skip
PLANNED = {"futr_exog": [*DAYS, "price_regular", "discount_in_percent"]}
SEEN = {"hist_exog": ["industry_volume", "soda_volume", "avg_max_temp"]}
KIND = {"stat_exog": ["agency", "sku", "avg_population_2017", "avg_yearly_household_income_2017"]}
CALENDAR, HOLIDAYS = {"calendar": "auto"}, {"holidays": "US-NY"}
Options = dict[str, Any]
STALLION: list[tuple[str, str, Options]] = [
    ("segrnn", "none", {}),
    ("segrnn", "known ahead", PLANNED),
    ("segrnn", "observed", SEEN),
    ("segrnn", "static", KIND),
    ("segrnn", "all", PLANNED | SEEN | KIND),
    ("deepar", "none", {}),
    ("deepar", "all", PLANNED | SEEN | KIND),
    ("seq2seq", "none", {}),
    ("seq2seq", "all", PLANNED | SEEN | KIND),
]
TAXI: list[tuple[str, str, Options]] = [
    ("segrnn", "none", {}),
    ("segrnn", "calendar", CALENDAR),
    ("segrnn", "holidays", HOLIDAYS),
    ("segrnn", "both", CALENDAR | HOLIDAYS),
]


def scored(cv: pd.DataFrame, frame: pd.DataFrame, freq: str, model: str) -> tuple[float, float]:
    """MASE and WAPE."""
    panel = to_panel(frame, freq=freq)
    mase = float(evaluate(cv, panel, panel.timeline.season_length)["mase"].iloc[0])
    return mase, float((cv["y"] - cv[model]).abs().sum() / cv["y"].abs().sum())


def main() -> None:
    """MASE and WAPE: stallion, 3 cutoffs with h=6; taxi, the last 60 days (Christmas, New Year) a day at a time."""
    rows: list[tuple[object, ...]] = []
    for name, freq, h, windows, cases in (("stallion", "MS", 6, 3, STALLION), ("taxi", "30min", 48, 60, TAXI)):
        frame = read_set(name)
        if frame is None:
            continue
        for model, covariates, options in cases:
            found, started = [], time.process_time()
            for seed in SEEDS:
                net = Forecaster(model, h, freq, max_steps=STEPS[name], seed=seed, progress=False, **options)
                found.append(scored(net.cross_validation(frame, n_windows=windows), frame, freq, model))
            mase, wape = np.array(found).T
            seconds = (time.process_time() - started) / len(SEEDS)
            spread = [f"{each.mean():.4f} ± {each.std():.4f}" for each in (mase, wape)]
            rows.append((name, model, covariates, *spread, seconds))
            print(*rows[-1], [f"{m:.4f}/{w:.4f}" for m, w in found], flush=True)
    print_table(("set", "net", "covariates", "MASE", "WAPE", "CPU seconds"), rows)
