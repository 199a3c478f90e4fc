"""Conformal intervals asked for in a configuration, and what else forecasts are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast import Forecaster
from forecast.cli import main
from tests.intervals import processes


def test_fit_and_backtest_take_intervals_from_the_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = processes.long(processes.ar1(np.random.default_rng(0), 2, 60))
    frame.to_csv("rows.csv", index=False)
    shared = [
        "data=file",
        "data.path=rows.csv",
        "h=1",
        "freq=1",
        "model=linear",
        "trainer.max_steps=2",
        "progress=false",
    ]
    main(["fit", *shared, "output=saved", "intervals=adaptive"])
    assert Forecaster.load("saved").models["linear"].settings.method == "adaptive"
    wanted = ["intervals={method: split, windows: 5}", "baselines=[naive]", "n_windows=20", "step_size=1"]
    main(["backtest", *shared, *wanted, "hydra.run.dir=run"])
    made = pd.read_parquet("run/forecasts.parquet")
    assert np.isfinite(made[["linear-lo-80", "naive-hi-95"]].to_numpy()).all()
    assert "Coverage over time" in (tmp_path / "run" / "report.html").read_text()


def test_futures_and_thresholds_are_drawn_from_the_calibrated_quantiles():
    values = np.random.default_rng(0).standard_normal((30, 80))
    fitted = Forecaster("historic_mean", 2, 1, intervals="split", progress=False).fit(processes.long(values))
    paths = fitted.predict(samples=200)
    assert 0.8 < paths["historic_mean"].std() < 1.2
