"""What the two `quantiles_*.py` scripts share: the options, the split, the clock, and the file they write.

A script trains for `--max-time` CPU seconds of one thread, so that a busy machine takes nothing away, on the rows with `split == "train"`, forecasts the `--h` rows that follow, and
writes them to `--out` as parquet: `unique_id`, `ds` and one column per probability, named `0.1` to `0.9`. It prints one
json line. With `--validate` the last `--h` training rows stand in for the test rows, which are not looked at: that is
how the settings were chosen.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PROBS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
Fit = Callable[[pd.DataFrame, argparse.Namespace], tuple[pd.DataFrame, dict[str, Any]]]


def training_rows(path: Path, h: int, validate: bool) -> pd.DataFrame:
    """The rows to learn from, sorted by id and time; with `validate` without the last `h` of every series."""
    frame = pd.read_parquet(path).sort_values(["unique_id", "ds"], ignore_index=True)
    frame = frame.loc[frame["split"] == "train", ["unique_id", "ds", "y"]].reset_index(drop=True)
    if validate:
        left = frame.groupby("unique_id").cumcount(ascending=False)
        frame = frame[left >= h].reset_index(drop=True)
    return frame


class Clock:
    """Lightning hooks that count optimizer steps and stop the training when its CPU seconds are used up."""

    def __init__(self, max_time: float) -> None:
        super().__init__()
        self.max_time, self.steps, self.begun, self.used = max_time, 0, 0.0, 0.0

    def __deepcopy__(self, _: Any) -> Clock:
        # neuralforecast trains a copy of the model it is given; there is still only one clock.
        return self

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self.begun = time.process_time()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Read the clock."""
        self.steps, self.used = trainer.global_step, time.process_time() - self.begun
        trainer.should_stop = trainer.should_stop or self.used >= self.max_time


def clock(callback: type, max_time: float) -> Any:
    """A clock that is also a `callback`: the peers disagree on which of Lightning's two packages they use."""
    return type("PeerClock", (Clock, callback), {})(max_time)


def as_frame(ids: np.ndarray, stamps: np.ndarray, quantiles: np.ndarray) -> pd.DataFrame:
    """Rows of `quantiles` (rows, 9) with their ids and stamps."""
    values = {str(prob): quantiles[:, place] for place, prob in enumerate(PROBS)}
    return pd.DataFrame({"unique_id": ids, "ds": stamps} | values)


def main(peer: str, fit: Fit, **settings: Any) -> None:
    """Parse the options (`settings` are those of the peer, with their defaults), run `fit`, write and print.

    Everything but the json line goes to standard error.
    """
    options = _options(peer, settings)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    result = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    train = training_rows(options.panel, options.h, options.validate)
    home = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as scratch:
        os.chdir(scratch)
        forecast, facts = fit(train, options)
        os.chdir(home)
    forecast.to_parquet(options.out, index=False)
    line = {"peer": peer, "max_time": options.max_time, **{name: getattr(options, name) for name in settings}, **facts}
    print(json.dumps(line), file=result, flush=True)


def _options(peer: str, settings: dict[str, Any]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Train DeepAR of {peer} for a given time; write its quantiles.")
    parser.add_argument("panel", type=lambda text: Path(text).resolve(), help="parquet with a split column")
    parser.add_argument("--out", type=lambda text: Path(text).resolve(), required=True, help="parquet to write")
    parser.add_argument("--h", type=int, default=48)
    parser.add_argument("--freq", default="h")
    parser.add_argument("--max-time", type=float, default=60.0, help="CPU seconds of training")
    parser.add_argument("--input-size", type=int, default=168)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--validate", action="store_true", help="forecast the last training rows instead")
    for name, default in settings.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return parser.parse_args()
