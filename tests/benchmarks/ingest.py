"""From a frame to a panel: the door at size, on unsorted rows with text as ids."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.table import print_table

CASES = ((20_000, 500), (1_000_000, 50))  # series, rows of each


def main() -> None:
    """Seconds and peak memory (frame included) of ``to_panel`` on unsorted rows (targets: 15 s and 3 frames for 10M rows x 20k series, 16 GB for 1M series x 50)."""
    share = float(os.environ.get("FORECAST_BENCH_SHARE", "1"))
    rows = []
    for series, length in CASES:
        command = [sys.executable, "-m", "tests.benchmarks.ingest", str(int(series * share)), str(length)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seen = json.loads(done.stdout)
        rows.append((f"{int(series * share):,} x {length}", *seen.values()))
    print_table(("series x rows", "seconds", "again", "frame GB", "peak GB", "frames at peak"), rows)


def unsorted_frame(series: int, rows: int, seed: int = 7) -> pd.DataFrame:
    """Hourly noise in random order, with ids such as ``item-12``."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(series * rows)
    names = pd.Series([f"item-{number}" for number in range(series)], dtype="str")
    ids = names.take(order // rows).reset_index(drop=True)
    stamps = np.datetime64("2024-01-01", "us") + (order % rows) * np.timedelta64(1, "h")
    return pd.DataFrame({"unique_id": ids, "ds": stamps, "y": rng.standard_normal(series * rows)})


def measure(series: int, rows: int) -> dict[str, float]:
    """Seconds of a first and a second pass, size of the frame, and the most memory held with it, in GB."""
    from forecast.ingest.door import to_panel

    to_panel(unsorted_frame(2, 20))  # imports and first calls aside
    frame = unsorted_frame(series, rows)
    gc.collect()
    size = int(frame.memory_usage(deep=True).sum())
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins here
    started = time.perf_counter()
    panel = to_panel(frame)
    first = time.perf_counter() - started
    peak = size + held("VmHWM") - before
    assert len(panel) == series and len(panel.values) == series * rows
    del panel
    started = time.perf_counter()
    to_panel(frame)
    second = time.perf_counter() - started
    return {"first": first, "second": second, "frame": size / 1e9, "peak": peak / 1e9, "frames": peak / size}


def held(name: str) -> int:
    """Bytes of memory that this process holds (``VmRSS``) or held at most (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
