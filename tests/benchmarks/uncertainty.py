"""Quantiles and sample paths: series a second on one core."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from forecast.allocator import keep_freed_memory
from forecast.models import DeepAR, SegRNN
from forecast.nets.encoders import recurrent
from forecast.nets.facts import Facts
from forecast.nets.steps import LayerSteps, LSTMSteps
from forecast.panel.panel import Panel
from forecast.processor import native_bf16
from forecast.training.neural import FittedNeural
from tests.benchmarks.panels import random_panel
from tests.benchmarks.table import print_table

INPUT_SIZE, H, HIDDEN, SAMPLES, SEASONS = 168, 24, 64, 100, (24, 168)
PROBS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
ROUNDS, PATHS = 7, 4000
Architecture = SegRNN | DeepAR


def fitted(architecture: Architecture) -> FittedNeural:
    """A net with its first weights: how long it takes does not depend on them."""
    torch.manual_seed(0)
    facts = Facts(INPUT_SIZE, H, seasons=SEASONS, probs=PROBS)
    return FittedNeural(architecture, facts, architecture.build(facts).eval(), None, {})


def forecasting(architecture: Architecture, panel: Panel) -> Callable[[], object]:
    """The nine quantiles of every series of ``panel``, in its units."""
    model = fitted(architecture)
    return lambda: model.predict(panel, H, PROBS)


def stepping(way: type[LayerSteps | LSTMSteps], *precision: torch.dtype) -> Callable[[], object]:
    """The recurrent layer alone, one step of :data:`PATHS` paths after the other, as often as a forecast needs."""
    windows = PATHS // SAMPLES
    layer, readout = recurrent("lstm", 5, HIDDEN), torch.nn.Linear(HIDDEN, 3)
    state = torch.zeros(1, windows, HIDDEN), torch.zeros(1, windows, HIDDEN)
    channels = list(torch.randn(5, SAMPLES, windows))

    def run() -> None:
        with torch.inference_mode():
            onward = way(layer, readout, state, SAMPLES, *precision)
            for _ in range(H - 1):
                onward(channels)

    return run


def race(alternatives: dict[str, tuple[Callable[[], object], int]]) -> None:
    """Series/s of each: alternatives take turns, so that all meet the same neighbours on a shared machine."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in alternatives}
    for run, _ in alternatives.values():
        run()
    for _ in range(ROUNDS):
        for name, (run, _) in alternatives.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    rows = []
    for name, (_, series) in alternatives.items():
        wall, cpu = np.array(seconds[name]).T
        rates = (series / np.median(wall), series / np.median(cpu), series / cpu.min())
        rows.append((name, *(float(rate) for rate in rates)))
    print_table(("net", "series/s", "series per CPU second", "best"), rows)


def main() -> None:
    """Series/s, panel to panel, input 168, h 24 (targets: 20,000 for nine quantiles, 900 for 100 sample paths)."""
    torch.set_num_threads(1)
    keep_freed_memory()
    many, some = random_panel(8192, INPUT_SIZE + H), random_panel(512, INPUT_SIZE + H)
    samples = f"{SAMPLES} paths, deepar {HIDDEN}"
    precisions = ["32", *(["bf16"] if native_bf16() else [])]
    race({f"nine quantiles, segrnn {width}": (forecasting(_direct(width), many), len(many)) for width in (HIDDEN, 128)})
    race(
        {
            f"{samples}, {name}": (forecasting(DeepAR(hidden_size=HIDDEN, sampling_precision=name), some), len(some))
            for name in precisions
        }
    )
    print("Of that the layer's steps alone:")
    steps: dict[str, tuple[Callable[[], object], int]] = {
        "torch.nn.LSTM, called for one row": (stepping(LayerSteps), PATHS // SAMPLES),
        "by hand, 32": (stepping(LSTMSteps, torch.float32), PATHS // SAMPLES),
    }
    if native_bf16():
        steps["by hand, bf16"] = stepping(LSTMSteps, torch.bfloat16), PATHS // SAMPLES
    race(steps)


def _direct(width: int) -> SegRNN:
    return SegRNN(hidden_size=width, quantiles=PROBS)
