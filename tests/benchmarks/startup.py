"""What starting costs."""

from __future__ import annotations

import os
import sys

import numpy as np

from tests.benchmarks.table import print_table

COMMANDS = {
    "python": ["-c", "pass"],
    "import forecast": ["-c", "import forecast"],
    "import pandas": ["-c", "import pandas"],
    "from forecast import Forecaster": ["-c", "from forecast import Forecaster"],
    "forecast --help": ["-m", "forecast.cli", "--help"],
    "forecast backtest --help": ["-m", "forecast.cli", "backtest", "--help"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """User plus system seconds of a fresh process."""
    silent = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, silent, 1)]
    pid = os.posix_spawn(sys.executable, [sys.executable, *arguments], os.environ, file_actions=actions)
    os.close(silent)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{arguments} exited with {status}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """CPU seconds of imports and help (targets: import forecast below import pandas, --help below 0.2)."""
    turns = [{name: cpu_seconds(arguments) for name, arguments in COMMANDS.items()} for _ in range(7)]
    rows = [(name, float(np.median([turn[name] for turn in turns[1:]]))) for name in COMMANDS]
    print_table(("command", "CPU seconds"), rows)
