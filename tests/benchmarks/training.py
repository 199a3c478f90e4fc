"""The training loop against the bare torch loop of the same net."""

from __future__ import annotations

import time

import numpy as np
import torch

from forecast.allocator import keep_freed_memory
from forecast.models import LSTM, SegRNN
from forecast.nets.facts import Facts
from forecast.nets.scaling import scale_window
from forecast.training.run import Job, train
from forecast.training.settings import Training
from forecast.training.source import Source, build_source
from forecast.windows.views import window_view
from tests.benchmarks.panels import random_panel
from tests.benchmarks.table import print_table

INPUT_SIZE, H, BATCH, ROUNDS = 168, 24, 256, 5


def bare(net: torch.nn.Module, source: Source, steps: int) -> float:
    """Windows a second of the shortest honest loop: gather, scale, forward, backward, clip, AdamW."""
    net.train()
    view = window_view(source.store.values, INPUT_SIZE + H)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)
    from forecast.windows.gather import Batch

    def step() -> None:
        rows = view.index_select(0, torch.randint(len(view), (BATCH,)))
        scaled = scale_window(Batch(rows[:, :INPUT_SIZE], None, rows[:, INPUT_SIZE:]))
        loss = (net(scaled.batch)[..., 0] - scaled.batch.future).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    for _ in range(3):
        step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * BATCH / (time.perf_counter() - started)


def ours(net: torch.nn.Module, source: Source, facts: Facts, steps: int, precision: str = "32") -> float:
    """Windows a second of the same net in the real training path, between its first and last validation."""
    settings = Training(
        max_steps=steps + 10,
        batch_size=BATCH,
        cycles=1,
        validations=3,
        patience=None,
        precision=precision,
    )
    outcome = train(net, source, Job(type(net).__name__, facts, settings))
    first, last = outcome.curves[0], outcome.curves[-1]
    return (last.step - first.step) * BATCH / (last.seconds - first.seconds)


def main() -> None:
    """Training windows/s, one thread, batch 256, input 168, h 24 (target: 95 % of the bare loop)."""
    torch.set_num_threads(1)
    keep_freed_memory()
    panel = random_panel(200, 2000)
    source = build_source(panel, INPUT_SIZE, H, 24, None)
    facts = Facts(INPUT_SIZE, H, seasons=(24, 168))
    rows = []
    for label, arch, steps in (
        ("lstm 1x64", LSTM(hidden_size=64), 50),
        ("segrnn 128", SegRNN(hidden_size=128), 200),
        ("segrnn 64", SegRNN(hidden_size=64), 300),
    ):
        speeds = np.array(
            [
                (bare(arch.build(facts), source, steps), ours(arch.build(facts), source, facts, steps))
                for _ in range(ROUNDS)
            ]
        )
        half = float(np.median([ours(arch.build(facts), source, facts, steps, "bf16") for _ in range(2)]))
        ratio = float(np.median(speeds[:, 1] / speeds[:, 0]))
        rows.append((label, float(np.median(speeds[:, 0])), float(np.median(speeds[:, 1])), ratio, half))
    print_table(("net", "bare torch", "forecast", "ratio", "forecast bf16"), rows)
