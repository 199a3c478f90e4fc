"""Our line in the race of the peers: the same panel, LSTM 1x64, input 168, h 24, batch 256; prints one json line."""

from __future__ import annotations

import argparse
import json
import time
from importlib.metadata import version

import torch

from forecast.ingest.door import to_panel
from forecast.models import LSTM
from forecast.nets.facts import Facts
from forecast.training.run import Job, train
from forecast.training.settings import Training
from forecast.training.source import build_source


def main() -> None:
    """Train for ``--steps`` steps after a warm-up and print windows a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("panel")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    source = build_source(to_panel(options.panel), 168, 24, 24, None)
    facts = Facts(168, 24, seasons=(24, 168))
    net = LSTM(hidden_size=64).build(facts)
    steps = max(10, options.steps // 5 * 5)
    settings = Training(
        max_steps=steps + 5,
        batch_size=256,
        cycles=1,
        validations=(steps + 5) // 5,
        patience=None,
        precision=options.precision,
        threads=options.threads,
    )
    cpu = time.process_time()
    outcome = train(net, source, Job(type(net).__name__, facts, settings))
    first, last = outcome.curves[0], outcome.curves[-1]
    seconds = last.seconds - first.seconds
    line = {
        "peer": "forecast",
        "version": version("forecast"),
        "steps": last.step - first.step,
        "windows_per_second": (last.step - first.step) * 256 / seconds,
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "torch": torch.__version__,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
