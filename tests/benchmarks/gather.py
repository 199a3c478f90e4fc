"""How fast windows are chosen and cut."""

from __future__ import annotations

import time

import numpy as np
import torch

from forecast.windows.gather import gather
from forecast.windows.sampler import training_windows
from forecast.windows.store import build_store, fit_affine
from tests.benchmarks.panels import random_panel
from tests.benchmarks.table import print_table

BATCH, INPUT_SIZE, H = 256, 168, 24


def best_of(work, repeats: int = 2000) -> tuple[float, float]:
    """Minimum and median microseconds of ``work(step)``."""
    times = []
    for step in range(repeats):
        started = time.perf_counter()
        work(step)
        times.append(time.perf_counter() - started)
    return 1e6 * min(times), 1e6 * float(np.median(times))


def main() -> None:
    """Window gather, 256 windows of 168 + 24 rows from 100,000 series (target: 60 us with the sampler)."""
    torch.set_num_threads(1)
    panel = random_panel(100_000, 300)
    rows = []
    for label, indicator in (("1 channel", False), ("with indicator channel", True)):
        store = build_store(panel, fit_affine(panel), np.zeros(len(panel), dtype=np.int64), indicator=indicator)
        windows = training_windows(store, INPUT_SIZE + H)
        starts = [windows.random(BATCH, 0, step) for step in range(2000)]
        rows.append((f"sample, {label}", *best_of(lambda step, w=windows: w.random(BATCH, 0, step))))
        rows.append((f"cut, {label}", *best_of(lambda i, s=store, r=starts: gather(s, r[i], INPUT_SIZE, H))))
        rows.append(
            (
                f"sample and cut, {label}",
                *best_of(lambda i, s=store, w=windows: gather(s, w.random(BATCH, 0, i), INPUT_SIZE, H)),
            )
        )
    print_table(("256 x 192 of 30M rows", "best us", "median us"), rows)
