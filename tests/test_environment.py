"""A bare machine: no home, a folder of nobody's, no network, other hash seeds; forecasts are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fault_process import ROOT, fit

# /proc takes no folder from anybody, root included; a proxy that nobody listens at is no network.
BARE = {"HOME": "/proc/nobody", "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "2", "LANG": "C", "CUDA_VISIBLE_DEVICES": ""}
NOBODY = {f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https")}
GONE = ("HOME", "USER", "LOGNAME", "MPLCONFIGDIR", "FORECAST_DATA_DIR", "FORECAST_JOBS")
PROGRAM = """
import json, pathlib, warnings
warnings.simplefilter("error")
from forecast.cli import main
from tests.fault_process import fit
found = {"fit": fit()}
quiet = ["progress=false", "trainer.max_steps=2", "trainer.batch_size=8", "trainer.cycles=1", "trainer.validations=1"]
net = ["data=nile", "model=lstm", "model.hidden_size=4", "data.input_size=12", *quiet]
found["backtest"] = main(["backtest", *net, "baselines=[naive]"])
found["fetch"] = main(["data", "fetch", "m4_hourly"])
pathlib.Path("found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process in a bare environment found, and what it said."""
    folder = tmp_path_factory.mktemp("bare")
    kept = {name: value for name, value in os.environ.items() if name not in GONE and not name.startswith("XDG_")}
    environment = {**kept, **BARE, **NOBODY, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {**json.loads((folder / "found.json").read_text()), "said": done.stderr, "folder": str(folder)}


def test_a_net_is_the_same_to_the_last_bit_in_another_process_with_another_hash_seed(bare):
    assert bare["fit"] == fit()


def test_without_a_home_a_backtest_is_written_with_its_report(bare):
    assert bare["backtest"] == 0
    (page,) = Path(bare["folder"]).glob("runs/backtest/*/report.html")
    assert page.stat().st_size > 10_000


def test_without_a_network_a_download_says_how_to_go_on(bare):
    assert bare["fetch"] in (7, 8)
    (line,) = [line for line in bare["said"].splitlines() if line.startswith("forecast: ")]
    assert "FORECAST_DATA_DIR" in line or "XDG_CACHE_HOME" in line
    assert "Traceback" not in bare["said"]
