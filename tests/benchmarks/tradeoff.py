"""Accuracy against training seconds, as a table and as the picture in the README."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from tests.benchmarks.accuracy import SETS, read_set, score
from tests.benchmarks.table import print_table

HERE = Path(__file__).parent
PICTURE = HERE / "accuracy_over_time.svg"
BUDGETS = (30.0, 60.0, 120.0, 300.0)
STATEFUL: dict[str, Any] = {"model": "lstm", "training": "stateful"}
NETS: dict[str, dict[str, Any]] = {
    "segrnn (default)": {},
    "lstm, stateful": STATEFUL,
    "lstm": {"model": "lstm"},
    "gru": {"model": "gru"},
}
PEERS = ("NHITS", "LSTM")
BASELINES = ("seasonal_naive", "batched_ets", "dynamic_theta")
Point = tuple[str, float, float, float]  # model, seconds, MASE, sMAPE


def main() -> None:
    """MASE and sMAPE of M4 Hourly after 30, 60, 120 and 300 s; the set is read from FORECAST_DATA_DIR.

    ``auto`` has two cores to itself; the others have one each, and run two at a time.
    """
    from joblib import Parallel, delayed

    frame = read_set("m4_hourly")
    if frame is None:
        return
    points = [ours(frame, name, {"model": name}) for name in BASELINES]
    for budget in BUDGETS:
        points.append(ours(frame, "auto", {"model": "auto", "max_time": budget}))
        print(*points[-1], flush=True)
    tasks = [
        delayed(ours)(frame, name, {**net, "max_time": budget}) for budget in BUDGETS for name, net in NETS.items()
    ]
    tasks += [delayed(neuralforecast)(budget, name) for budget in BUDGETS for name in PEERS]
    for point in Parallel(n_jobs=2, return_as="generator")(tasks):
        if point is not None:
            points.append(point)
            print(*point, flush=True)
    print_table(("model", "seconds", "MASE", "sMAPE"), points)
    draw(points, PICTURE)


def ours(frame: pd.DataFrame, name: str, options: dict[str, Any]) -> Point:
    """One model of ours."""
    freq, h = SETS["m4_hourly"]
    mase, smape, seconds = score(frame, freq, h, **{"seed": 0} | options)
    return name, seconds, mase, smape


def neuralforecast(budget: float, model: str) -> Point | None:
    """A net of neuralforecast in its own environment, where ``peers/compare.py`` has made one; one thread, as ours."""
    python = Path.home() / ".cache" / "forecast-bench" / "neuralforecast" / "bin" / "python"
    panel = Path(os.environ["FORECAST_DATA_DIR"]) / "m4_hourly.parquet"
    if not python.is_file():
        print("neuralforecast has no environment here (run the part peers first); left out.", file=sys.stderr)
        return None
    script = HERE / "peers" / "accuracy_neuralforecast.py"
    asked = ["--h", "48", "--freq", "h", "--models", model, "--max-time", str(budget)]
    command = [str(python), str(script), str(panel), *asked]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=script.parent)
    (one,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return f"neuralforecast {one['model']}", one["fit_seconds"], one["mase"], one["smape"]


def draw(points: list[Point], target: Path) -> None:
    """Lines over the training time, one a model; what takes no training is a level line."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "forecast"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    names = list(dict.fromkeys(name for name, *_ in points))
    colors = plt.get_cmap("tab10")
    for place, (panel, metric) in enumerate(zip(axes, ("MASE", "sMAPE"), strict=True)):
        for number, name in enumerate(names):
            mine = sorted((one[1], one[2 + place]) for one in points if one[0] == name)
            color = colors(number % 10)
            if name in BASELINES:
                panel.axhline(mine[0][1], color=color, linestyle=":", label=f"{name} (no training)")
            else:
                panel.plot(*zip(*mine, strict=True), color=color, marker="o", markersize=4, label=name)
        panel.set(
            xscale="log",
            xlabel="seconds of training",
            ylabel=metric,
            xticks=BUDGETS,
            xticklabels=("30", "60", "120", "300"),
        )
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    axes[1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle("M4 Hourly, test rows: lower is better")
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)
