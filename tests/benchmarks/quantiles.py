"""Quantiles of M4 Hourly after a minute of training on one core: ours, and DeepAR of two other toolkits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from forecast import Forecaster, Training
from forecast.models import DeepAR, SegRNN
from tests.benchmarks.accuracy import SETS, read_set
from tests.benchmarks.table import print_table

HERE = Path(__file__).parent
PROBS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
SEASON, SECONDS, SEEDS = 24, 60.0, (0, 1, 2)
PEERS = ("neuralforecast", "gluonts")
Scores = tuple[float, float, float]  # WQL, MASE of the median, coverage of the central 80 %
Run = tuple[pd.DataFrame, float, float]  # forecast, seconds and CPU seconds of fitting


def scores(train: pd.DataFrame, test: pd.DataFrame, forecast: pd.DataFrame) -> Scores:
    """Scores of ``forecast`` (one column per probability, named ``0.1`` to ``0.9``) on the rows of ``test``.

    The weighted quantile loss is twice the summed pinball loss over the summed absolute actuals, the mean over the
    nine probabilities. The scale of MASE is the mean absolute seasonal change of a series' training rows.
    """
    both = test.merge(forecast, on=["unique_id", "ds"], how="left", validate="one_to_one")
    quantiles, y = both[[str(prob) for prob in PROBS]].to_numpy(), both["y"].to_numpy()[:, None]
    if np.isnan(quantiles).any():
        raise SystemExit(f"{int(np.isnan(quantiles).any(1).sum())} test rows have no forecast")
    error, probs = y - quantiles, np.array(PROBS)
    wql = 2 * np.maximum(probs * error, (probs - 1) * error).sum(0) / np.abs(y).sum()
    scale = train.groupby("unique_id")["y"].agg(lambda part: part.diff(SEASON).abs().mean())
    errors = pd.Series(np.abs(error[:, PROBS.index(0.5)])).groupby(both["unique_id"]).mean()
    inside = (quantiles[:, :1] <= y) & (y <= quantiles[:, -1:])
    return float(wql.mean()), float((errors / scale).mean()), float(inside.mean())


def parts(frame: pd.DataFrame, h: int, validate: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from and rows to forecast: with ``validate`` the last ``h`` training rows of every series."""
    columns = ["unique_id", "ds", "y"]
    train, test = (frame.loc[frame["split"] == name, columns].reset_index(drop=True) for name in ("train", "test"))
    if not validate:
        return train, test
    last = train.groupby("unique_id").cumcount(ascending=False) < h
    return train[~last].reset_index(drop=True), train[last].reset_index(drop=True)


def ours(train: pd.DataFrame, model: SegRNN | DeepAR, seed: int) -> Run:
    """Forecast, seconds and CPU seconds of fitting; the settings are the defaults."""
    freq, h = SETS["m4_hourly"]
    fitted = Forecaster(
        {"net": model}, h=h, freq=freq, max_time=SECONDS, seed=seed, training=Training(threads=1), progress=False
    )
    started, cpu = time.perf_counter(), time.process_time()
    fitted.fit(train)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    out = fitted.predict(quantiles=list(PROBS))
    return out.rename(columns={f"net-q-{prob:g}": str(prob) for prob in PROBS}), seconds, cpu


def theirs(peer: str, seed: int, folder: Path, validate: bool) -> Run | None:
    """DeepAR of a peer in its own environment, where ``peers/compare.py`` has made one."""
    python = Path.home() / ".cache" / "forecast-bench" / peer / "bin" / "python"
    if not python.is_file():
        print(f"{peer} has no environment here (run the part peers first); left out.", file=sys.stderr)
        return None
    panel, out = Path(os.environ["FORECAST_DATA_DIR"]) / "m4_hourly.parquet", folder / f"{peer}-{seed}.parquet"
    script = HERE / "peers" / f"quantiles_{peer}.py"
    asked = ["--out", str(out), "--max-time", str(SECONDS), "--seed", str(seed), *(["--validate"] * validate)]
    command = [str(python), str(script), str(panel), *asked]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=script.parent)
    (one,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return pd.read_parquet(out), float(one["fit_seconds"]), float(one["fit_cpu_seconds"])


def main() -> None:
    """WQL, MASE of the median, 80 % coverage: mean and spread of three seeds, one core each, 60 s of training.

    Ours stops after 60 seconds of wall time, a peer after 60 CPU seconds: where the machine is busy that favours the
    peer. The set is read from FORECAST_DATA_DIR; with FORECAST_BENCH_VALIDATE=1 the last training rows stand in for the test
    rows, which is what settings are chosen on. Runs take turns, seed by seed.
    """
    frame, validate = read_set("m4_hourly"), os.environ.get("FORECAST_BENCH_VALIDATE") == "1"
    if frame is None:
        return
    train, test = parts(frame, SETS["m4_hourly"][1], validate)
    found: dict[str, list[tuple[float, ...]]] = {}
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        for seed in SEEDS:
            runs = {
                "segrnn, nine quantiles": lambda seed=seed: ours(train, SegRNN(quantiles=PROBS), seed),
                "deepar (ours)": lambda seed=seed: ours(train, DeepAR(), seed),
            }
            runs |= {
                f"DeepAR, {peer}": lambda peer=peer, seed=seed: theirs(peer, seed, Path(folder), validate)
                for peer in PEERS
            }
            for name, run in runs.items():
                done = run()
                if done is not None:
                    found.setdefault(name, []).append((*scores(train, test, done[0]), *done[1:]))
                    print(name, seed, *(f"{value:.4f}" for value in found[name][-1]), flush=True)
    rows = []
    for name, each in found.items():
        wql, mase, coverage, seconds, cpu = np.array(each).T
        cells = (f"{part.mean():.4f} ± {part.std():.4f}" for part in (wql, mase, coverage))
        rows.append((name, *cells, float(seconds.mean()), float(cpu.mean())))
    print_table(("model", "WQL", "MASE", "80 % coverage", "fit seconds", "CPU seconds"), rows)
