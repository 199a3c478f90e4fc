"""Stateful nets: one new row of every series, against reading everything again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from forecast import Forecaster, Training
from forecast.allocator import keep_freed_memory
from forecast.model import Task
from forecast.models import GRU, LSTM, RNN
from forecast.panel.append import append
from forecast.panel.panel import Panel
from forecast.training.neural import Neural
from forecast.training.run import Job, train
from forecast.training.stateful import FittedStateful
from forecast.training.states import States
from forecast.training.stream_source import JUDGED
from tests.benchmarks.panels import random_panel
from tests.benchmarks.table import print_table

SERIES, ROWS, H, SEASON = 10_000, 1_000, 24, 24
ROUNDS = 5
QUICK = Training(max_steps=2, batch_size=64, cycles=1, validations=1, stateful=True)


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median seconds of ``work``."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def advancing() -> None:
    """A forecast after one new row of 10,000 series: from their states, and from 1,000 rows each."""
    panel = random_panel(SERIES, ROWS + 1)
    old, new = panel.head(np.full(SERIES, ROWS)), panel.slice(np.full(SERIES, ROWS), panel.lengths)
    rows = []
    for arch in (LSTM(), GRU(), RNN()):
        small = old.take(np.arange(64))
        fitted = Neural(arch, QUICK).fit(small, Task(H, SEASON, progress=False))
        blank = replace(fitted, states=States.start(old.ids[:0], fitted.net, fitted.facts), seen=None)
        known = blank.advanced(old)
        whole = append(old, new)
        by_new_rows = seconds(lambda k=known, o=old, w=whole: k.advanced(w, o).predict(w, H))
        checked = seconds(lambda k=known, w=whole: k.predict(w, H))
        again = seconds(lambda b=blank, w=whole: b.predict(w, H), 1)
        apart = step_by_step(blank, panel.take(np.arange(200)))
        name = type(arch).__name__
        rows.append(
            (name, 1e3 * by_new_rows, 1e3 * checked, 1e3 * again, again / by_new_rows, again / checked, f"{apart:.1e}")
        )
    print_table(
        ("net (hidden 64)", "new rows ms", "history checked ms", "read again ms", "ratio", "checked", "apart"), rows
    )


def step_by_step(blank: FittedStateful, panel: Panel) -> float:
    """Largest difference, in running spreads, between advancing by the last 50 rows one by one and reading at once."""
    known = blank
    for back in range(50, -1, -1):
        known = known.advanced(panel.head(panel.lengths - back))
    one, two = (model.predict(panel, H).point for model in (known, blank))
    return float((np.abs(one - two) / known.states.running.scale[:, None]).max())


def from_frames() -> None:
    """The same from frame to frame: update(new_rows).predict() against a Forecaster that reads its history again."""
    panel = random_panel(SERIES, ROWS)
    ids = np.char.add("s", np.arange(SERIES).astype(str))
    frame = pd.DataFrame({"unique_id": np.repeat(ids, ROWS), "ds": np.tile(np.arange(ROWS), SERIES), "y": panel.values})
    forecaster = Forecaster("lstm", H, 1, season_length=SEASON, training=QUICK, progress=False)
    forecaster.fit(frame[: 64 * ROWS])
    model = forecaster._fitted["lstm"]
    forecaster.update(frame[64 * ROWS :])
    steps, parts = iter(range(ROWS, ROWS + ROUNDS)), []

    def tomorrow() -> None:
        new = pd.DataFrame({"unique_id": ids, "ds": next(steps), "y": np.random.default_rng(1).standard_normal(SERIES)})
        started = time.perf_counter()
        forecaster.update(new)
        parts.append(time.perf_counter() - started)
        forecaster.predict()

    both = seconds(tomorrow)
    forecaster._fitted["lstm"] = replace(model, seen=None)  # knows the first 64 series only
    again = seconds(forecaster.predict, 1)
    print_table(
        ("frame to frame", "update ms", "update and predict ms", "read again ms", "ratio"),
        [("LSTM", 1e3 * float(np.median(parts)), 1e3 * both, 1e3 * again, again / both)],
    )


def training() -> None:
    """Rows a second in training, beside training on windows of the same net."""
    panel = random_panel(200, 2000)
    rows = []
    for arch in (LSTM(), GRU()):
        speeds = {}
        for stateful, width, judged in ((False, 168, 1), (True, QUICK.chunk, JUDGED)):
            settings = Training(
                max_steps=150, batch_size=128, cycles=1, validations=3, patience=None, stateful=stateful
            )
            prepared = Neural(replace(arch, input_size=168), settings).prepare(panel, Task(H, SEASON))
            outcome = train(prepared.net, prepared.source, Job(arch, prepared.facts, settings))
            first, last = outcome.curves[0], outcome.curves[-1]
            steps = (last.step - first.step) / (last.seconds - first.seconds)
            speeds[stateful] = (steps * 128 * width, steps * 128 * judged)
        name = type(arch).__name__
        rows.append((name, *speeds[False], *speeds[True]))
    print_table(("net (hidden 64)", "windows: rows/s", "forecasts/s", "stateful: rows/s", "forecasts/s"), rows)


def main() -> None:
    """One new row of 10,000 series against reading 1,000 again, hidden 64, one thread (target: 50x)."""
    torch.set_num_threads(1)
    keep_freed_memory()
    advancing()
    from_frames()
    training()
