"""What the four `run_*.py` scripts share: the model's sizes, the options, the stopwatch and the json line.

Torch and Lightning are imported late, because thread counts must be in the environment before they load.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

INPUT_SIZE = 168
HORIZON = 24
HIDDEN_SIZE = 64
LAYERS = 1
BATCH_SIZE = 256

# From glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


@dataclass(frozen=True)
class Options:
    """What the command line asked for; `warmup` and `steps` count optimizer steps."""

    panel: Path
    steps: int
    warmup: int
    threads: int
    mallopt: bool
    plain: bool


class Stopwatch:
    """Lightning hooks that time `steps` training steps after `warmup` untimed ones, then stop the training.

    The clock runs from the end of one step to the end of another, so it holds everything between: fetching and
    collating the batch, the step itself, logging, progress bar, and whatever happens between epochs.
    Windows are counted, not assumed: a hook reads the batch dimension of what reaches the LSTM, once per step
    (encoder-decoder models call it twice).
    """

    def __init__(self, warmup: int, steps: int) -> None:
        super().__init__()
        self.warmup = warmup
        self.steps = steps
        self.facts: dict[str, Any] = {}
        self._done = 0
        self._windows = 0
        self._fed: int | None = None
        self._start: tuple[float, float, int] = (0.0, 0.0, 0)
        self._hook: Any = None

    def __deepcopy__(self, _: Any) -> Stopwatch:
        # neuralforecast trains a copy of the model it is given; there is still only one clock.
        return self

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Find the LSTM and listen to what it is fed."""
        import torch

        lstm = [module for module in pl_module.modules() if isinstance(module, torch.nn.LSTM)]
        if len(lstm) != 1 or (lstm[0].num_layers, lstm[0].hidden_size) != (LAYERS, HIDDEN_SIZE):
            raise SystemExit(f"expected a single LSTM of {LAYERS} layer, hidden {HIDDEN_SIZE}; found {lstm}")
        parameters = [parameter for parameter in pl_module.parameters() if parameter.requires_grad]
        self.facts = {
            "input_features": lstm[0].input_size,
            "parameters": sum(parameter.numel() for parameter in parameters),
            "dtype": str(parameters[0].dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }
        self._hook = lstm[0].register_forward_pre_hook(self._listen)

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Count the step; start the clock after the warm-up, stop it and the training at the end."""
        if self._done >= self.warmup:
            self._windows += self._fed or 0
        self._fed = None
        self._done += 1
        if self._done == self.warmup:
            self._start = _now()
        if self._done == self.warmup + self.steps:
            self._finish(trainer)

    def _listen(self, _: Any, inputs: tuple[Any, ...]) -> None:
        if self._fed is None:
            self._fed = inputs[0].shape[0]
            self.facts["sequence_length"] = inputs[0].shape[1]

    def _finish(self, trainer: Any) -> None:
        seconds, cpu_seconds, faults = (end - start for end, start in zip(_now(), self._start, strict=True))
        self._hook.remove()
        trainer.should_stop = True
        self.facts |= {
            "steps": self.steps,
            "windows": self._windows,
            "windows_per_second": round(self._windows / seconds, 1),
            "seconds": round(seconds, 3),
            "cpu_seconds": round(cpu_seconds, 3),
            "page_faults_per_step": round(faults / self.steps),
        }


def clock(callback: type, options: Options) -> Any:
    """A stopwatch that is also a `callback`: the peers disagree on which of Lightning's two packages they use."""
    return type("PeerStopwatch", (Stopwatch, callback), {})(options.warmup, options.steps)


def tune_allocator() -> None:
    """Keep freed memory in the process instead of handing it back to the kernel every step (glibc only)."""
    libc = ctypes.CDLL("libc.so.6")
    if not (libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)):
        raise SystemExit("mallopt refused its settings: this C library is not glibc; run without --mallopt")


def main(peer: str, package: str, train: Callable[[pd.DataFrame, Options], Stopwatch]) -> None:
    """Parse the options, run `train` in a scratch folder and print one json line.

    Whatever else the peer writes to standard output (progress bars, model summaries) goes to standard error, and its
    logs and checkpoints go to a scratch folder that is deleted.
    """
    options = _options(peer)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    result = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if options.mallopt:
        tune_allocator()
    frame = pd.read_parquet(options.panel)
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as scratch:
        os.chdir(scratch)
        facts = train(frame, options).facts
        os.chdir(options.panel.parent)
    if "seconds" not in facts:
        raise SystemExit(f"{peer} stopped training before {options.warmup} + {options.steps} steps")
    line = {"peer": peer, "version": version(package), "torch": version("torch"), "mallopt": options.mallopt, **facts}
    line["max_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(line), file=result, flush=True)


def _options(peer: str) -> Options:
    parser = argparse.ArgumentParser(description="Print the training speed of one toolkit as a json line.")
    parser.add_argument("panel", type=Path, help="parquet written by panel.py")
    parser.add_argument("--steps", type=int, required=True, help="timed training steps")
    parser.add_argument("--warmup", type=int, default=5, help="untimed steps before them (default 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads for torch (default 1)")
    parser.add_argument("--mallopt", action="store_true", help="same allocator settings as forecast applies")
    if peer == "gluonts":
        parser.add_argument("--plain", action="store_true", help="no calendar features, no lags but the last value")
    given = parser.parse_args()
    if given.steps < 1 or given.warmup < 1:
        parser.error("--steps and --warmup must be at least 1")
    plain = getattr(given, "plain", False)
    return Options(given.panel.resolve(), given.steps, given.warmup, given.threads, given.mallopt, plain)


def _now() -> tuple[float, float, int]:
    return time.perf_counter(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
