"""The race against four other toolkits, each in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Training windows/s of an equal LSTM elsewhere (target: 2.5x the fastest as shipped)."""
    ours = f"{sys.executable} -m tests.benchmarks.ours {{panel}} --steps {{steps}} --threads {{threads}}"
    command = [sys.executable, str(HERE / "peers" / "compare.py"), "--rounds", "3", "--steps", "30", "--ours", ours]
    subprocess.run(command, check=False, cwd=HERE.parent.parent)
